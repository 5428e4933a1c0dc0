from __future__ import annotations

import numpy as np
import pytest
import torch

from evolift.lifter.data.pose_source import Mixture
from evolift.lifter.normalisation import turned
from evolift.lifter.settings import PairSettings
from evolift.lifter.temporal.clips import ClipPart
from evolift.lifter.temporal.settings import TemporalSettings
from evolift.lifter.temporal.windows import WindowMaker, as_windows, fixed_windows, seen_clips
from evolift.posedata.camera import project, world_to_camera
from evolift.posedata.errors import InputError
from evolift.posedata.rig_settings import RandomRig, RingRig

NINE = TemporalSettings(frames=9, hidden=8, blocks=1, normalisation="box")
NOISY = PairSettings(batch_size=6, noise=1.0, missing=0.1, missing_limbs=0.1, swapped=0.1)


@pytest.fixture
def part(clip_store) -> ClipPart:
    return ClipPart(clip_store, np.arange(160), NINE, 30.0)


@pytest.mark.parametrize("views", [PairSettings(), PairSettings(cameras="random")], ids=["ring", "random"])
def test_a_camera_stands_still_for_a_window_and_sees_all_of_it(part: ClipPart, views: PairSettings) -> None:
    bodies = part.bodies_at(0, 0)[torch.tensor([0, 20, 70, 159])]
    pairs = seen_clips(part, bodies, 9, 4, views, torch.Generator().manual_seed(0))
    cameras = pairs.cameras
    for values in (cameras.K, cameras.R, cameras.t, cameras.size):
        by_window = values.unflatten(0, (4, 9))
        assert (by_window == by_window[:, :1]).all()
        assert values.isfinite().all()
    assert not (cameras.R[0] == cameras.R[9]).all()
    seen = world_to_camera(bodies.joints, cameras.R, cameras.t)
    torch.testing.assert_close(pairs.joints, seen)
    torch.testing.assert_close(pairs.pixels, project(seen, cameras.K))
    assert (seen[..., 2] >= 499).all()


def test_a_person_who_comes_near_moves_the_camera_back_for_all_frames(part: ClipPart) -> None:
    near = RandomRig(camera_distance=(600.0, 600.0), camera_height=(900.0, 900.0), camera_roll=(0.0, 0.0))
    bodies = part.bodies_at(0, 0)[torch.arange(0, 160, 20)]
    pairs = seen_clips(part, bodies, 9, 4, PairSettings(cameras="random", random=near), torch.Generator().manual_seed(0))  # fmt: skip
    depth = pairs.joints[..., 2].view(8, -1).amin(1)
    assert (depth >= 499.9).all()


def test_the_target_is_of_one_frame_and_the_flip_of_a_whole_window(part: ClipPart) -> None:
    settings = PairSettings(batch_size=40, ring=RingRig(rotate_ring=False))
    plain = WindowMaker(Mixture([part], [1.0]), settings.replaced(flip=False), NINE, 3)(0, 0, 1)
    mixed = WindowMaker(Mixture([part], [1.0]), settings, NINE, 3)(0, 0, 1)
    assert plain["inputs"].shape == (40, 9, 17, 2)
    assert plain["target"].shape == (40, 17, 3)
    mirror = list(NINE.skeleton.mirror)
    is_same = (mixed["target"] == plain["target"]).flatten(1).all(1)
    assert 8 < int(is_same.sum()) < 32
    for window in range(40):
        inputs, target = plain["inputs"][window], plain["target"][window]
        if not is_same[window]:
            inputs = (inputs * torch.tensor([-1.0, 1.0]))[:, mirror]
            target = (target * torch.tensor([-1.0, 1.0, 1.0]))[mirror]
        torch.testing.assert_close(mixed["inputs"][window], inputs, rtol=0, atol=1e-4)
        torch.testing.assert_close(mixed["target"][window], target, rtol=0, atol=1e-2)
    bodies = part.bodies_at(0, 0)[torch.tensor([5, 30])]
    pairs = seen_clips(part, bodies, 9, 8, settings, torch.Generator().manual_seed(0))
    relative = pairs.root_relative(0)
    _, rotation = turned(pairs.pixels, pairs.visibility, pairs.lens, "box")
    for how, joints in (("screen", relative), ("box", relative @ rotation)):
        lifter, expected = NINE.replaced(normalisation=how), joints.view(2, 9, 17, 3)
        assert torch.equal(as_windows(pairs, lifter.replaced(causal=True))["target"], expected[:, 8])
        assert torch.equal(as_windows(pairs, lifter)["target"], expected[:, 4])


def test_batches_are_a_function_of_seed_step_and_rank(part: ClipPart, clip_store) -> None:
    other = ClipPart(clip_store, np.arange(160), NINE, 30.0)
    makers = [WindowMaker(Mixture([one], [1.0]), NOISY, NINE, 3) for one in (part, other)]
    makers[0](9, 0, 1)
    first, same = (maker(4, 0, 2) for maker in makers)
    assert all(torch.equal(first[name], same[name]) for name in first)
    for changed in (
        makers[0](5, 0, 2),
        makers[0](4, 1, 2),
        WindowMaker(Mixture([part], [1.0]), NOISY, NINE, 4)(4, 0, 2),
    ):
        assert not torch.equal(changed["inputs"], first["inputs"])


def test_validation_windows_are_seen_by_all_cameras_of_a_ring(part: ClipPart) -> None:
    settings = NOISY.replaced(ring=RingRig(rotate_ring=False))
    pairs, rows = fixed_windows(part, settings, NINE, 0, count=5)
    assert len(pairs) == 5 * 4 * 9
    assert rows.tolist() == np.repeat([0, 40, 80, 119, 159], 4).tolist()
    again, _ = fixed_windows(part, settings, NINE, 0, count=5)
    assert torch.equal(pairs.pixels, again.pixels)
    directions = pairs.cameras.R[::9].unflatten(0, (5, 4))
    torch.testing.assert_close(directions, directions[:1].expand_as(directions), rtol=0, atol=1e-4)
    assert all((directions[0, n] - directions[0, n - 1]).abs().max() > 0.1 for n in range(4))


def test_cameras_of_the_store_are_taken(camera_store, clip_store) -> None:
    lifter = NINE.replaced(frames_per_second=2.0)
    part = ClipPart(camera_store, np.arange(64), lifter, 8.0)
    bodies = part.bodies_at(0, 0)[torch.tensor([3, 30])]
    pairs = seen_clips(part, bodies, 9, 4, PairSettings(cameras="store"), torch.Generator())
    assert torch.equal(pairs.pixels, bodies.pixels)
    plain = ClipPart(clip_store, np.arange(160), NINE, 30.0)
    with pytest.raises(InputError, match="a pose has no camera: sample `cameras`"):
        seen_clips(plain, plain.bodies_at(0, 0)[torch.tensor([3])], 9, 4, PairSettings(cameras="store"), torch.Generator())  # fmt: skip
