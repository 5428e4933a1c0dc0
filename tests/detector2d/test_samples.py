from __future__ import annotations

import dataclasses
import pickle
import shutil
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
import torch

from evolift.detector2d.backbone import InputScaling
from evolift.detector2d.crop import crop_to_image
from evolift.detector2d.image_source import read_source, skipped_table, without_unreadable
from evolift.detector2d.occlusion import Occluder, synthetic_occluders
from evolift.detector2d.samples import CropSettings, MixedBatches, batches_in_order, make_sample, shares_of
from evolift.detector2d.settings import AugmentationSettings, OcclusionSettings
from evolift.posedata.errors import InputError, StoreError
from evolift.posedata.skeleton import H36M17, LSP14
from evolift.posedata.store import PoseStore

SIZE = (64, 96)
PLAIN = CropSettings(SIZE, H36M17)
AUGMENTED = dataclasses.replace(PLAIN, augmentation=AugmentationSettings())
OCCLUDED = dataclasses.replace(
    AUGMENTED, occlusion=OcclusionSettings(occlusion_probability=1.0), occluders=synthetic_occluders(5)
)


def test_source_of_3d_store(image_store: Path) -> None:
    source = read_source(image_store, H36M17)
    with PoseStore(image_store) as store:
        poses = store.read()
        camera = store.cameras[0]
    assert poses.joints_3d is not None
    expected = camera.to_camera(poses.joints_3d[3].astype(np.float64))
    np.testing.assert_allclose(source.joints_3d[3], expected - expected[0], atol=0.01)
    assert source.known_3d.all()
    assert source.paths[3].is_file()
    np.testing.assert_array_equal(source.rows, np.arange(12))
    np.testing.assert_allclose(source.boxes, read_source(image_store, H36M17, "store").boxes, rtol=1e-5)


def test_boxes_of_the_store_or_of_the_joints(
    image_store: Path, photograph_store: Path, tmp_path: Path
) -> None:
    from evolift.posedata.store import PoseStoreWriter, Provenance

    with PoseStore(image_store) as store:
        poses, cameras = store.read(), store.cameras
    wide = dataclasses.replace(poses, box=np.tile(np.array([1, 2, 3, 4], np.float32), (12, 1)))
    with PoseStoreWriter(
        tmp_path / "wide.h5", H36M17, "world", Provenance("test"), cameras=cameras
    ) as writer:
        writer.append(wide)
    np.testing.assert_array_equal(read_source(tmp_path / "wide.h5", H36M17, "store").boxes[5], [1, 2, 3, 4])
    by_joints = read_source(tmp_path / "wide.h5", H36M17).boxes
    np.testing.assert_allclose(by_joints, read_source(image_store, H36M17).boxes)
    with pytest.raises(InputError, match=r"photographs\.h5: it has no boxes: take those of the joints"):
        read_source(photograph_store, H36M17, "store")


def test_source_of_photographs_is_masked_where_it_knows_nothing(photograph_store: Path) -> None:
    source = read_source(photograph_store, H36M17)
    assert not source.known_3d.any()
    for joint in ("nose", "left_wrist"):  # the first is not in LSP14, the second not labelled
        assert (source.visibility[:, H36M17.index(joint)] == 0).all()
    labelled = source.joints_2d[0][source.visibility[0] > 0]
    np.testing.assert_allclose(source.boxes[0, :2], labelled.min(0), rtol=1e-6)
    np.testing.assert_allclose(source.boxes[0, :2] + source.boxes[0, 2:], labelled.max(0), rtol=1e-6)


def dot_near(image: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Centre of mass of the bright spot around a pixel."""
    u0, v0 = np.rint(at).astype(int)
    v, u = np.mgrid[v0 - 4 : v0 + 5, u0 - 4 : u0 + 5]
    weight = image[v, u].max(-1).astype(float)
    return np.array([(u * weight).sum(), (v * weight).sum()]) / weight.sum()


@pytest.mark.parametrize("seed", range(6))
def test_labels_stay_on_the_dots_through_every_augmentation(image_store: Path, seed: int) -> None:
    settings = dataclasses.replace(AUGMENTED, size=(128, 160))
    source = read_source(image_store, H36M17)
    sample = make_sample(source, seed, settings, np.random.default_rng(seed))
    pixels = (sample.joints[:, :2] + 0.5) * settings.size - 0.5
    apart = np.linalg.norm(pixels[:, None] - pixels[None], axis=-1) + 99 * np.eye(17)
    checked = 0
    for pixel, weight, alone in zip(pixels, sample.weight[:, 0], apart.min(1) > 14, strict=True):
        if weight and alone and (pixel > 5).all() and (pixel < np.array(settings.size) - 6).all():
            assert np.linalg.norm(dot_near(sample.image, pixel) - pixel) < 0.25
            checked += 1
    assert checked


def test_labels_stay_on_the_dots_of_drawn_out_photographs(photograph_store: Path) -> None:
    stretch = AugmentationSettings(stretch=0.3, rotation=40.0, colour=0.0, scale=0.1)
    settings = dataclasses.replace(PLAIN, size=(256, 256), augmentation=stretch)
    source = read_source(photograph_store, H36M17)
    checked, sides = 0, []
    for seed in range(8):
        sample = make_sample(source, seed, settings, np.random.default_rng(seed))
        pixels = (sample.joints[:, :2] + 0.5) * settings.size - 0.5
        back = pixels @ sample.image_from_crop[:, :2].T + sample.image_from_crop[:, 2]
        known = sample.weight[:, 0] > 0
        np.testing.assert_allclose(back[known], sample.joints_2d[known], atol=1e-2)
        sides.append(np.linalg.svd(sample.image_from_crop[:, :2])[1])
        dots = [
            H36M17.index(name) for name in ("right_ankle", "left_ankle", "right_wrist", "head")
        ]  # labels, not means of others
        for joint in dots:
            near = pixels[joint]
            if known[joint] and (near > 6).all() and (near < 249).all():
                assert dot_near(sample.image, near).max() > 0
                assert np.linalg.norm(dot_near(sample.image, near) - near) < 2.5
                checked += 1
    assert checked > 5
    ratios = np.array(sides)[:, 0] / np.array(sides)[:, 1]
    assert 1.2 < ratios.max() <= np.exp(1.2) + 1e-6


def test_people_with_3d_joints_are_not_drawn_out(image_store: Path) -> None:
    settings = dataclasses.replace(PLAIN, augmentation=AugmentationSettings(stretch=0.3))
    sample = make_sample(read_source(image_store, H36M17), 1, settings, np.random.default_rng(0))
    first, second = np.linalg.svd(sample.image_from_crop[:, :2])[1]
    assert first == pytest.approx(second)


def test_other_cameras_change_the_crop_and_not_its_labels(photograph_store: Path) -> None:
    plain = dataclasses.replace(PLAIN, augmentation=AugmentationSettings())
    other = dataclasses.replace(PLAIN, augmentation=AugmentationSettings(photometric=1.0))
    source = read_source(photograph_store, H36M17)
    changed = 0
    for seed in range(8):
        a, b = (make_sample(source, seed, s, np.random.default_rng(seed)) for s in (plain, other))
        np.testing.assert_array_equal(a.joints, b.joints)
        changed += not (a.image == b.image).all()
    assert changed > 4


def test_what_is_pasted_over_people_is_seen_by_the_same_camera(photograph_store: Path) -> None:
    """Grey crops, of which there are some among these seeds, are grey where something lies on them too."""
    red = np.full((40, 40, 3), (250, 10, 10), np.uint8)
    settings = dataclasses.replace(
        PLAIN,
        augmentation=AugmentationSettings(photometric=1.0),
        occlusion=OcclusionSettings(occlusion_probability=1.0),
        occluders=(Occluder(red, np.zeros((40, 40), np.uint8)),),
    )
    source = read_source(photograph_store, H36M17)
    samples = [make_sample(source, n % 8, settings, np.random.default_rng(n)) for n in range(60)]
    coloured = np.array([np.ptp(sample.image.astype(int), axis=2).max() for sample in samples])
    assert 1 <= (coloured < 12).sum() < 20


def test_image_from_crop_takes_joints_to_the_labels(image_store: Path) -> None:
    batches = MixedBatches([read_source(image_store, H36M17)], [1.0], 8, AUGMENTED, seed=1)
    batch = batches(0, 0, 1)
    known = batch["weight"][..., 0] > 0
    back = crop_to_image(batch["joints"], batch["image_from_crop"], SIZE)
    torch.testing.assert_close(back[known], batch["joints_2d"][known], atol=2e-3, rtol=0)


def test_left_and_right_swap_when_mirrored(image_store: Path) -> None:
    mirroring = dataclasses.replace(
        PLAIN, augmentation=AugmentationSettings(rotation=0.0, flip_probability=1.0, scale=0.0, colour=0.0)
    )
    source = read_source(image_store, H36M17)
    plain = make_sample(source, 2, PLAIN)
    mirrored = make_sample(source, 2, mirroring, np.random.default_rng(0))
    order = list(H36M17.mirror)
    np.testing.assert_array_equal(mirrored.image, cv2.flip(plain.image, 1))
    np.testing.assert_allclose(mirrored.joints[:, 0], -plain.joints[order, 0], atol=1e-6)
    np.testing.assert_allclose(mirrored.joints[:, 1:], plain.joints[order, 1:], atol=1e-6)
    np.testing.assert_allclose(mirrored.joints_3d, plain.joints_3d[order] * [-1, 1, 1], atol=1e-3)


def test_3d_belongs_to_the_turned_image(image_store: Path) -> None:
    # A weak perspective fits each crop's 2D to its 3D; without rotating the 3D it would not.
    source = read_source(image_store, H36M17)
    settings = dataclasses.replace(
        PLAIN,
        augmentation=AugmentationSettings(rotation=60.0, rotation_probability=1.0, scale=0.2, colour=0.0),
    )
    for seed in range(5):
        sample = make_sample(source, seed, settings, np.random.default_rng(seed))
        pixels = sample.joints[:, :2] * SIZE
        flat = sample.joints_3d[:, :2]
        inside = sample.weight[:, 0] > 0
        scale = np.linalg.norm(pixels[inside] - pixels[inside].mean(0)) / np.linalg.norm(
            flat[inside] - flat[inside].mean(0)
        )
        residual = (pixels - pixels[inside].mean(0)) - scale * (flat - flat[inside].mean(0))
        assert np.linalg.norm(residual[inside], axis=1).mean() < 3


def test_depth_targets_and_weights(image_store: Path, photograph_store: Path) -> None:
    sample = make_sample(read_source(image_store, H36M17), 0, PLAIN)
    np.testing.assert_allclose(sample.joints[:, 2], sample.joints_3d[:, 2] / 2000, rtol=1e-6)
    assert (sample.weight == 1).all()
    assert sample.has_3d
    flat = make_sample(read_source(photograph_store, H36M17), 0, PLAIN)
    assert (flat.weight[:, 2] == 0).all()
    assert not flat.has_3d
    np.testing.assert_array_equal(flat.weight[:, 0] > 0, flat.visibility > 0)


def test_joints_outside_the_crop_do_not_count(image_store: Path) -> None:
    tight = dataclasses.replace(PLAIN, padding=0.5)
    sample = make_sample(read_source(image_store, H36M17), 0, tight)
    outside = (np.abs(sample.joints[:, :2]) > 0.5).any(1)
    assert outside.any()
    assert not outside.all()
    np.testing.assert_array_equal(sample.weight[:, 0] == 0, outside)


def test_occluded_joints_are_hidden_but_still_count(image_store: Path) -> None:
    source = read_source(image_store, H36M17)
    samples = [make_sample(source, i, OCCLUDED, np.random.default_rng(i)) for i in range(12)]
    hidden = np.stack([sample.visibility == 1 for sample in samples])
    counted = np.stack([sample.weight[:, 0] > 0 for sample in samples])
    assert 0.02 < hidden.mean() < 0.8
    assert (hidden & counted).any()


def test_a_batch_is_a_pure_function_of_seed_step_and_rank(image_store: Path, photograph_store: Path) -> None:
    sources = [read_source(image_store, H36M17), read_source(photograph_store, H36M17)]
    batches = MixedBatches(sources, [2.0, 1.0], 6, OCCLUDED, seed=3)
    first = batches(4, 1, 2)
    batches(5, 0, 2)
    again = pickle.loads(pickle.dumps(batches))(4, 1, 2)
    assert set(first) == set(again)
    for name, value in first.items():
        assert torch.equal(value, again[name]), name
    assert first["source"].tolist() == [0, 0, 0, 0, 1, 1]
    assert not torch.equal(first["image"], batches(4, 0, 2)["image"])
    assert not torch.equal(
        first["image"], MixedBatches(sources, [2.0, 1.0], 6, OCCLUDED, seed=4)(4, 1, 2)["image"]
    )


def test_every_row_comes_once_per_round_over_all_processes(image_store: Path) -> None:
    batches = MixedBatches([read_source(image_store, H36M17)], [1.0], 3, PLAIN, seed=0)
    rows = [row for step in range(2) for rank in range(2) for row in batches(step, rank, 2)["row"].tolist()]
    assert sorted(rows) == list(range(12))
    later = [
        row for step in range(2, 4) for rank in range(2) for row in batches(step, rank, 2)["row"].tolist()
    ]
    assert sorted(later) == list(range(12))
    assert later != rows


def test_batch_in_the_scaling_of_the_model(image_store: Path) -> None:
    scaling = InputScaling((0.1, 0.2, 0.3), (0.5, 0.6, 0.7))
    settings = dataclasses.replace(PLAIN, scaling=scaling)
    source = read_source(image_store, H36M17)
    batch = next(iter(batches_in_order([source], settings, 4)))
    pixel = make_sample(source, 1, settings).image[30, 20]
    expected = (pixel / 255 - np.array(scaling.mean)) / np.array(scaling.std)
    np.testing.assert_allclose(batch["image"][1, :, 30, 20].numpy(), expected, atol=1e-6)
    assert batch["image_size"].tolist() == [[160, 200]] * 4


@pytest.mark.parametrize("num_workers", [0, 2])
def test_batches_in_order(image_store: Path, photograph_store: Path, num_workers: int) -> None:
    sources = [read_source(path, H36M17) for path in (image_store, photograph_store)]
    batches = list(batches_in_order(sources, PLAIN, 7, num_workers))
    assert torch.cat([batch["row"] for batch in batches]).tolist() == [*range(12), *range(8)]
    assert torch.cat([batch["source"] for batch in batches]).tolist() == [0] * 12 + [1] * 8


def test_large_jpegs_are_read_reduced_without_moving_the_labels(tmp_path: Path) -> None:
    from evolift.posedata.poses import Poses, repeated_label
    from evolift.posedata.store import PoseStoreWriter, Provenance
    from tests.detector2d.conftest import draw_dots

    joints = np.random.default_rng(0).uniform(60, 540, (14, 2)).astype(np.float32)
    cv2.imwrite(str(tmp_path / "big.jpg"), draw_dots(joints, 603, 601, spread=6.0))
    label = repeated_label("x", 1)
    poses = Poses(
        label,
        label,
        np.zeros(1, np.int64),
        joints_2d=joints[None],
        visibility=np.full((1, 14), 2, np.uint8),
        image=["big.jpg"],
    )
    with PoseStoreWriter(tmp_path / "big.h5", LSP14, "none", Provenance("test")) as writer:
        writer.append(poses)
    sample = make_sample(read_source(tmp_path / "big.h5", LSP14), 0, CropSettings((128, 128), LSP14))
    pixels = (sample.joints[:, :2] + 0.5) * 128 - 0.5
    apart = np.linalg.norm(pixels[:, None] - pixels[None], axis=-1) + 99 * np.eye(14)
    for pixel in pixels[apart.min(1) > 11]:
        assert np.linalg.norm(dot_near(sample.image, pixel) - pixel) < 0.25


@pytest.mark.parametrize(
    ("ratios", "batch", "shares"),
    [
        ([1.0, 1.0], 16, [8, 8]),
        ([2.0, 1.0], 8, [5, 3]),
        ([8.0, 2.0], 5, [4, 1]),
        ([3.0], 4, [4]),
        ([], 5, [3, 2]),
    ],
)
def test_shares(ratios: list[float], batch: int, shares: list[int]) -> None:
    assert shares_of(ratios, len(shares), batch) == shares


@pytest.mark.parametrize(
    ("ratios", "message"),
    [
        ([1.0], "2 stores need as many `ratios`, not 1"),
        ([100.0, 1.0], "a batch of 4 has no crop of store number 2"),
    ],
)
def test_ratios_that_do_not_fit(ratios: list[float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        shares_of(ratios, 2, 4)


def test_unreadable_images_are_left_out_and_listed(photograph_store: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(photograph_store.parent, tmp_path / "copy")
    (folder / "im2.jpg").write_bytes(b"broken")
    (folder / "im5.jpg").unlink()
    source, skipped = without_unreadable(read_source(folder / "photographs.h5", H36M17))
    assert source.rows.tolist() == [0, 1, 3, 4, 6, 7]
    assert [entry.row for entry in skipped] == [2, 5]
    table = skipped_table(skipped).splitlines()
    assert table[0] == "store,row,reason"
    assert table[1].startswith("photographs,2,")
    assert "im2.jpg is not a readable image" in table[1]
    for image in folder.glob("*.jpg"):
        image.unlink()
    with pytest.raises(InputError, match="photographs: none of its 8 images can be read"):
        without_unreadable(read_source(folder / "photographs.h5", H36M17))


def test_stores_that_cannot_be_used(tiny_store: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"tiny\.h5: it has no images"):
        read_source(tiny_store, H36M17)
    with pytest.raises(StoreError):
        read_source(tmp_path / "none.h5", H36M17)
    with pytest.raises(InputError, match="occlusion needs occluders"):
        CropSettings(SIZE, H36M17, occlusion=OcclusionSettings(occlusion_probability=1.0))


def test_rows_with_too_few_joints_show_no_person(photograph_store: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(photograph_store.parent, tmp_path / "data")
    with h5py.File(folder / "photographs.h5", "r+") as file:
        file["poses/visibility"][0] = np.arange(len(LSP14)) < 2
    assert 0 not in read_source(folder / "photographs.h5", H36M17).rows
    assert 0 in read_source(photograph_store, H36M17).rows
