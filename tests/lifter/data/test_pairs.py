from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from evolift.lifter.data.detection_errors import DetectionErrors, save_detection_errors
from evolift.lifter.data.pairs import (
    PairMaker,
    Pairs,
    errors_of,
    fixed_pairs,
    fixed_views,
    flipped,
    seen,
    with_noise,
)
from evolift.lifter.data.pose_source import Mixture, PosePart, Windows
from evolift.lifter.normalisation import screen
from evolift.lifter.settings import LifterSettings, PairSettings, ViewSettings
from evolift.posedata.camera import Camera
from evolift.posedata.camera_rig import sample_ring
from evolift.posedata.errors import InputError
from evolift.posedata.rig_settings import RingRig
from evolift.posedata.skeleton import COCO17, H36M16, H36M17, SMPL22
from evolift.posedata.store import PoseStore, PoseStoreWriter, Provenance


def part_of(path, rows=None, skeleton=H36M17, **rest) -> PosePart:
    with PoseStore(path) as store:
        count = len(store)
    return PosePart(path, np.arange(count) if rows is None else rows, skeleton, **rest)


def maker(path, settings=None, lifter=None, seed=0, **rest) -> PairMaker:
    mixture = Mixture([part_of(path, **rest)], [1.0])
    return PairMaker(
        mixture, settings or PairSettings(batch_size=16, flip=False), lifter or LifterSettings(), seed
    )


def same(a, b) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("cameras", ["ring", "random"])
def test_a_batch_depends_on_seed_step_and_rank_only(tiny_store, cameras) -> None:
    settings = PairSettings(batch_size=16, cameras=cameras, noise=1.0, missing=0.1, flip=True)
    first, second = maker(tiny_store, settings), pickle.loads(pickle.dumps(maker(tiny_store, settings)))
    second(7, 0, 1)
    assert same(first(3, 1, 2), second(3, 1, 2))
    for other in (first(4, 1, 2), first(3, 0, 2), maker(tiny_store, settings, seed=1)(3, 1, 2)):
        assert not torch.equal(first(3, 1, 2)["inputs"], other["inputs"])


def test_targets_are_poses_of_the_store_and_inputs_their_projections(tiny_store) -> None:
    part = part_of(tiny_store)
    bodies = part.bodies_at(0, 0)
    pairs = seen(part, bodies, ViewSettings(), torch.Generator().manual_seed(0))
    with PoseStore(tiny_store) as store:
        world = store.read().joints_3d
    for row in (0, 17, 63):
        batch = pairs.cameras
        camera = Camera(batch.K[row].numpy(), 1000, 1000, batch.R[row].numpy(), batch.t[row].numpy())
        np.testing.assert_allclose(pairs.joints[row], camera.to_camera(world[row]), atol=0.05)
        np.testing.assert_allclose(pairs.pixels[row], camera.project(world[row]), atol=0.05)
    batch = maker(tiny_store)(0, 0, 1)
    lengths = lambda joints: torch.stack(  # noqa: E731
        [(joints[:, a] - joints[:, b]).norm(dim=-1) for a, b in H36M17.bones], -1
    )
    torch.testing.assert_close(
        lengths(batch["target"]), lengths(torch.from_numpy(world))[:16], atol=0.05, rtol=0
    )
    assert bool((batch["target"][:, 0] == 0).all())


def test_store_cameras_and_store_pixels(camera_store, tiny_store) -> None:
    part = part_of(camera_store)
    bodies = part.bodies_at(0, 0)
    with PoseStore(tiny_store) as store:
        np.testing.assert_allclose(bodies.joints, store.read().joints_3d, atol=0.05)
    with PoseStore(camera_store) as store:
        poses = store.read()
    pairs = seen(part, bodies, ViewSettings(cameras="store"), torch.Generator())
    np.testing.assert_allclose(pairs.joints, poses.joints_3d, atol=0.1)
    np.testing.assert_array_equal(pairs.pixels, poses.joints_2d)
    np.testing.assert_array_equal(pairs.visibility, poses.visibility)
    batch = maker(camera_store, PairSettings(batch_size=8, cameras="store", flip=False))(0, 0, 1)
    assert bool((batch["inputs"][:, 16] == 0).all())
    assert bool((batch["inputs"][:, :16] != 0).all())


def test_store_cameras_need_cameras(tiny_store) -> None:
    with pytest.raises(InputError, match="a pose has no camera: sample `cameras`"):
        maker(tiny_store, PairSettings(cameras="store"))(0, 0, 1)


def test_a_flipped_pair_is_a_image_of_the_mirrored_pose(tiny_store) -> None:
    part = part_of(tiny_store)
    pairs = seen(part, part.bodies_at(0, 0), ViewSettings(), torch.Generator().manual_seed(0))
    which = torch.arange(64) % 2 == 0
    got = flipped(pairs, H36M17, which)
    np.testing.assert_array_equal(got.pixels[1::2], pairs.pixels[1::2])
    again = got.joints @ pairs.cameras.K.transpose(1, 2)
    torch.testing.assert_close(got.pixels, again[..., :2] / again[..., 2:], atol=0.02, rtol=0)
    left, right = H36M17.index("left_wrist"), H36M17.index("right_wrist")
    torch.testing.assert_close(got.pixels[0, left, 0], 999 - pairs.pixels[0, right, 0])
    torch.testing.assert_close(got.pixels[0, left, 1], pairs.pixels[0, right, 1])
    twice = flipped(got, H36M17, which)
    torch.testing.assert_close(twice.pixels, pairs.pixels, atol=1e-3, rtol=0)
    torch.testing.assert_close(twice.joints, pairs.joints)


def test_noise_is_in_per_cent_of_the_person_and_missing_joints_become_unlabelled(tiny_store) -> None:
    part = part_of(tiny_store)
    clean = seen(part, part.bodies_at(0, 0), ViewSettings(), torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    parts = [
        with_noise(clean, PairSettings(noise=2.0, missing=0.25), None, H36M17, generator) for _ in range(30)
    ]
    extent = (clean.pixels.amax(1) - clean.pixels.amin(1)).amax(-1)
    error = torch.cat([((part.pixels - clean.pixels) / extent[:, None, None]).flatten() for part in parts])
    assert 0.0195 < float(error.std()) < 0.0205
    assert abs(float(error.mean())) < 0.001
    lost = torch.cat([part.visibility.flatten() == 0 for part in parts]).float().mean()
    assert 0.24 < float(lost) < 0.26
    assert torch.equal(parts[0].joints, clean.joints)


def test_limbs_are_lost_whole_and_sides_are_swapped_whole(tiny_store) -> None:
    part = part_of(tiny_store)
    clean = seen(part, part.bodies_at(0, 0), ViewSettings(), torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    settings = PairSettings(missing_limbs=0.2, swapped=0.3)
    parts = [with_noise(clean, settings, None, H36M17, generator) for _ in range(30)]
    lost = torch.cat([part.visibility == 0 for part in parts])
    for limb in (("left_knee", "left_ankle"), ("right_elbow", "right_wrist")):
        first, second = (lost[:, H36M17.index(joint)] for joint in limb)
        assert torch.equal(first, second)
        assert 0.15 < float(first.float().mean()) < 0.25
    assert not lost[
        :, [H36M17.index(name) for name in ("pelvis", "left_hip", "head", "right_shoulder")]
    ].any()
    mirror = list(H36M17.mirror)
    before = clean.pixels.repeat(len(parts), 1, 1)
    after = torch.cat([part.pixels for part in parts])
    arms, legs = (
        [H36M17.index(f"{side}_{joint}") for side in ("left", "right") for joint in joints]
        for joints in (("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle"))
    )
    was_swapped = []
    for limbs in (arms, legs):
        changed = (after[:, limbs] != before[:, limbs]).any(-1).any(-1)
        assert torch.equal(after[changed][:, limbs], before[changed][:, mirror][:, limbs])
        was_swapped.append(changed)
    arms_only = was_swapped[0] & ~was_swapped[1]
    assert 0.16 < float(arms_only.float().mean()) < 0.26  # 0.3 x 0.7
    assert torch.equal(after[:, H36M17.index("head")], before[:, H36M17.index("head")])
    assert torch.equal(parts[0].joints, clean.joints)


def test_errors_of_a_detector_are_made_again_at_the_size_of_the_person(tiny_store, tmp_path) -> None:
    part = part_of(tiny_store)
    clean = seen(part, part.bodies_at(0, 0), ViewSettings(), torch.Generator().manual_seed(0))
    percent = torch.arange(17.0)[:, None] * torch.tensor([0.0, 1.0])
    percent[[1, 2, 3, 11, 12, 13]] = percent[[4, 5, 6, 14, 15, 16]]  # the same when mirrored
    path = tmp_path / "errors.csv"
    save_detection_errors(path, DetectionErrors(H36M17, percent[None]))
    settings = PairSettings(errors=str(path))
    errors = errors_of(settings, H36M17)
    noisy = with_noise(clean, settings, errors, H36M17, torch.Generator().manual_seed(1))
    extent = (clean.pixels.amax(1) - clean.pixels.amin(1)).amax(-1)
    wanted = clean.pixels + percent / 100 * extent[:, None, None]
    torch.testing.assert_close(noisy.pixels, wanted, atol=1e-3, rtol=0)
    assert torch.equal(noisy.joints, clean.joints)
    with pytest.raises(InputError, match="COCO17 has no joint 'pelvis'"):
        errors_of(settings, COCO17)


def test_targets_and_inputs_of_a_depth_lifter(tiny_store) -> None:
    lifter = LifterSettings(target="z", input_axes=3)
    batch = maker(tiny_store, PairSettings(batch_size=512), lifter)(0, 0, 1)
    assert batch["target"].shape == (512, 17, 1)
    torch.testing.assert_close(batch["inputs"][..., 2:] * 1000, batch["target"])
    noisy = maker(tiny_store, PairSettings(batch_size=512, depth_noise=50.0), lifter)(0, 0, 1)
    error = noisy["inputs"][..., 2:] * 1000 - noisy["target"]
    assert 48 < float(error.std()) < 52


def test_mixture_draws_by_weight(tiny_store) -> None:
    low, high = part_of(tiny_store, np.arange(0, 32)), part_of(tiny_store, np.arange(32, 64))
    mixture = Mixture([low, high], [3.0, 1.0])
    drawn = mixture.draw(20_000, 0, 0, torch.Generator().manual_seed(0))
    share = len(drawn[0][1]) / 20_000
    assert 0.74 < share < 0.76
    counts = torch.unique(drawn[1][1].joints[:, 1, 0], return_counts=True)[1]
    assert len(counts) == 32
    assert int(counts.min()) > 100
    with pytest.raises(InputError, match="weights of pose stores must be positive"):
        Mixture([low], [0.0])


def test_many_poses_are_read_window_by_window(tiny_store) -> None:
    windows = Windows(chunk_rows=8, chunks=2, steps=5)
    rows = np.arange(1, 64, 2)
    part = part_of(tiny_store, rows, rows_in_memory=0, windows=windows)
    memory = part_of(tiny_store, rows)
    every = memory.bodies_at(0, 0).joints
    seen = [part.bodies_at(step, 0).joints for step in range(40)]
    for window in seen:
        assert len(window) == 8
        assert all(bool((pose == every).flatten(1).all(1).any()) for pose in window)
    assert torch.equal(seen[0], seen[4])
    assert not torch.equal(seen[0], seen[5])
    assert torch.equal(part.bodies_at(12, 0).joints, seen[12])  # going back gives the same
    settings = PairSettings(batch_size=4)
    make = PairMaker(Mixture([part], [1.0]), settings, LifterSettings(), 0)
    again = part_of(tiny_store, rows, rows_in_memory=0, windows=windows)
    fresh = PairMaker(Mixture([again], [1.0]), settings, LifterSettings(), 0)
    make(3, 0, 1)
    assert same(make(33, 0, 1), fresh(33, 0, 1))


def test_other_skeletons_are_converted_or_refused(tiny_store, make_poses, tmp_path) -> None:
    part = part_of(tiny_store, skeleton=H36M16)
    kept = [H36M17.index(joint) for joint in H36M16.joints]
    whole = part_of(tiny_store).bodies_at(0, 0).joints
    torch.testing.assert_close(part.bodies_at(0, 0).joints, whole[:, kept])
    with pytest.raises(InputError, match="no mapping from H36M17 to SMPL22 is declared"):
        part_of(tiny_store, skeleton=SMPL22)
    face = part_of(tiny_store, skeleton=COCO17)
    lacking = [COCO17.index(f"{side}_{joint}") for joint in ("eye", "ear") for side in ("left", "right")]
    assert sorted(face.lacking) == sorted(lacking)
    bodies = face.bodies_at(0, 0).joints
    assert bodies[:, lacking].isnan().all()
    assert int(bodies.isfinite().all(-1).sum()) == 64 * 13
    poses = make_poses(4)
    poses.joints_3d[:, H36M17.index("nose")] = np.nan
    with PoseStoreWriter(
        tmp_path / "noseless.h5", H36M17, "world", Provenance("test"), unlabelled=("nose",)
    ) as writer:
        writer.append(poses)
    with pytest.raises(InputError, match=r"noseless\.h5: its 3D joints lack nose, the root of COCO17"):
        PosePart(tmp_path / "noseless.h5", np.arange(4), COCO17)


def test_fixed_pairs_show_each_row_to_the_whole_ring(tiny_store) -> None:
    part = part_of(tiny_store)
    pairs, rows = fixed_pairs(part, PairSettings(), 0, count=10)
    assert len(pairs) == 40
    np.testing.assert_array_equal(rows[:5], [0, 0, 0, 0, 7])
    again, _ = fixed_pairs(part, PairSettings(), 0, count=10)
    assert torch.equal(pairs.pixels, again.pixels)
    single, rows = fixed_pairs(part, PairSettings(cameras="random"), 0, count=100)
    np.testing.assert_array_equal(rows, np.arange(64))
    assert isinstance(single, Pairs)


def test_fixed_pairs_are_fixed_views_with_noise(tiny_store, tmp_path) -> None:
    part, settings = part_of(tiny_store), PairSettings(noise=1.0)
    clean, rows = fixed_views(part, settings, 0, count=10)
    noisy, same_rows = fixed_pairs(part, settings, 0, count=10)
    np.testing.assert_array_equal(rows, same_rows)
    assert torch.equal(clean.joints, noisy.joints)
    assert not torch.equal(clean.pixels, noisy.pixels)
    quiet, _ = fixed_pairs(part, PairSettings(), 0, count=10)
    assert torch.equal(clean.pixels, quiet.pixels)


def test_screen_inputs_use_the_image_size_of_each_camera(tiny_store) -> None:
    part = part_of(tiny_store)
    settings = PairSettings(batch_size=8, cameras="random", flip=False)
    mixture = Mixture([part], [1.0])
    batch = PairMaker(mixture, settings, LifterSettings(), 0)(0, 0, 1)
    generator = pose_source_generator(0)
    ((part, bodies),) = mixture.draw(8, 0, 0, generator)
    pairs = seen(part, bodies, settings, generator)
    assert len(torch.unique(pairs.cameras.size[:, 0])) > 1
    torch.testing.assert_close(batch["inputs"], screen(pairs.pixels, pairs.cameras.size))


def pose_source_generator(step: int) -> torch.Generator:
    from evolift.posedata.seeds import generator_at

    return generator_at(0, step, 0)


def test_bad_settings_are_refused() -> None:
    with pytest.raises(InputError, match=r"`noise` must be a number of at least 0, not -1\.0"):
        PairSettings(noise=-1.0)
    with pytest.raises(InputError, match="`cameras` must be one of ring, random, store, not 'moving'"):
        PairSettings(cameras="moving")


def test_noise_scales_with_the_labelled_joints_alone() -> None:
    """Unlabelled joints lie at (0, 0), which would make a small person far from there look huge."""
    joints = torch.rand(500, 17, 3) * 100
    pixels = joints[..., :2] + 800
    pixels[:, 3] = 0
    visibility = torch.full((500, 17), 2, dtype=torch.uint8)
    visibility[:, 3] = 0
    cameras = sample_ring(RingRig(), joints, 0, torch.Generator().manual_seed(0))
    pairs = Pairs(pixels, visibility, joints, cameras)
    noisy = with_noise(pairs, PairSettings(noise=2.0), None, H36M17, torch.Generator().manual_seed(1))
    labelled = [joint for joint in range(17) if joint != 3]
    spread = (noisy.pixels - pixels)[:, labelled].std().item()
    assert 1.4 < spread < 2.1  # 2 per cent of about 90 pixels
