from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.io

from evolift.posedata.errors import EvoliftError, InputError, OutputError
from evolift.posedata.importers.lsp import import_lsp, parse_annotation
from evolift.posedata.skeleton import H36M17, LSP14
from evolift.posedata.store import PoseStore
from tests.posedata.acclaim_files import zipped


def annotation(images: int, seed: int = 0) -> np.ndarray:
    """(images, 14, 3): x, y and 1, all labelled, inside and a little outside an image of 120 x 100."""
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.uniform(-10, 110, (images, 14, 2)), np.ones((images, 14, 1))], -1)


def mat_bytes(joints: np.ndarray, variant: str = "LSPET") -> bytes:
    file = io.BytesIO()
    scipy.io.savemat(
        file, {"joints": joints.transpose(1, 2, 0) if variant == "LSPET" else joints.transpose(2, 1, 0)}
    )
    return file.getvalue()


def write_dataset(folder: Path, joints: np.ndarray, variant: str = "LSPET") -> Path:
    (folder / "images").mkdir(parents=True)
    (folder / "joints.mat").write_bytes(mat_bytes(joints, variant))
    digits = 5 if variant == "LSPET" else 4
    rng = np.random.default_rng(0)
    for number in range(1, len(joints) + 1):
        image = rng.integers(0, 255, (100, 120, 3), np.uint8)
        cv2.imwrite(str(folder / "images" / f"im{number:0{digits}d}.jpg"), image)
    return folder


def test_both_layouts_are_told_by_their_shape() -> None:
    joints = annotation(5)
    joints[1, 3] = [np.nan, 1e9, 0]
    extended = parse_annotation(mat_bytes(joints, "LSPET"), "joints.mat")
    assert extended.variant == "LSPET"
    np.testing.assert_allclose(extended.joints[0], joints[0, :, :2], rtol=1e-6)
    assert extended.visibility[1].tolist() == [2, 2, 2, 0] + [2] * 10
    assert extended.joints[1, 3].tolist() == [0, 0]
    joints[1, 3] = [50, 60, 1]
    joints[..., 2] = 0
    joints[1, 3, 2] = 1  # LSP flags what is occluded
    original = parse_annotation(mat_bytes(joints, "LSP"), "joints.mat")
    assert original.variant == "LSP"
    assert original.visibility[1].tolist() == [2, 2, 2, 1] + [2] * 10
    assert original.joints[1, 3].tolist() == [50, 60]


def test_rows_of_the_store(tmp_path: Path) -> None:
    joints = annotation(4)
    joints[2, LSP14.index("left_hip"), 2] = 0
    folder = write_dataset(tmp_path / "lspet", joints)
    summary = import_lsp(folder, tmp_path / "out.h5", first=2, last=3)
    with PoseStore(tmp_path / "out.h5", skeleton=H36M17) as store:
        poses = store.read()
        assert store.coordinate_frame == "none"
        for image in poses.image or ():
            assert (store.image_folder / image).is_file()
    assert poses.frame.tolist() == [2, 3]
    assert list(poses.subject) == ["lspet", "lspet"]
    assert list(poses.action) == ["sport", "sport"]
    assert list(poses.image or ()) == ["images/im00002.jpg", "images/im00003.jpg"]
    assert poses.joints_2d is not None
    assert poses.visibility is not None
    assert poses.box is not None
    for joint in ("left_wrist", "right_wrist", "left_ankle", "right_knee", "left_shoulder"):
        np.testing.assert_allclose(
            poses.joints_2d[0, H36M17.index(joint)], joints[1, LSP14.index(joint), :2], rtol=1e-5
        )
    hidden = [H36M17.joints[k] for k in np.flatnonzero(poses.visibility[1] == 0)]
    assert hidden == ["pelvis", "left_hip", "spine", "nose"]
    assert poses.joints_2d[1, H36M17.index("left_hip")].tolist() == [0, 0]
    low, high = joints[1, :, :2].min(0), joints[1, :, :2].max(0)
    np.testing.assert_allclose(poses.box[0, :2], (low + high) / 2 - 0.625 * (high - low), rtol=1e-4)
    np.testing.assert_allclose(poses.box[0, 2:], 1.25 * (high - low), rtol=1e-5)
    assert (summary.poses, summary.left_out, summary.images) == (2, 0, folder)


def test_photographs_of_a_zip_are_put_beside_the_store(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "lspet", annotation(3))
    archive = zipped(folder, tmp_path / "lspet.zip")
    (tmp_path / "out").mkdir()
    import_lsp(archive, tmp_path / "out" / "val.h5", first=2)
    assert sorted(entry.name for entry in (tmp_path / "out").iterdir()) == ["val.h5", "val_images"]
    with PoseStore(tmp_path / "out" / "val.h5") as store:
        images = [store.image_folder / image for image in store.read().image or ()]
    assert [image.name for image in images] == ["im00002.jpg", "im00003.jpg"]
    for image in images:
        assert image.read_bytes() == (folder / "images" / image.name).read_bytes()


def test_rows_without_a_person_are_left_out_and_counted(tmp_path: Path) -> None:
    joints = annotation(4)
    joints[0, 5:, 2] = 0  # five labelled joints
    joints[1, 6:, 2] = 0  # six are enough
    joints[2, :, 0] = 40.0  # all in one column of pixels
    summary = import_lsp(write_dataset(tmp_path / "lspet", joints), tmp_path / "out.h5")
    assert (summary.poses, summary.left_out) == (2, 2)
    with PoseStore(tmp_path / "out.h5") as store:
        assert store.read().frame.tolist() == [2, 4]


def test_lsp_has_four_digits_and_its_own_label(tmp_path: Path) -> None:
    joints = annotation(2)
    joints[..., 2] = 0
    import_lsp(write_dataset(tmp_path / "lsp", joints, "LSP"), tmp_path / "out.h5")
    with PoseStore(tmp_path / "out.h5") as store:
        assert set(store.table()["subject"]) == {"lsp"}
        assert store.table()["image"].tolist() == ["images/im0001.jpg", "images/im0002.jpg"]


def not_an_image(folder: Path) -> None:
    (folder / "images" / "im00003.jpg").write_text("<html>not found</html>")


def empty_image(folder: Path) -> None:
    (folder / "images" / "im00003.jpg").write_bytes(b"")


def missing_image(folder: Path) -> None:
    (folder / "images" / "im00002.jpg").unlink()


def corrupt_mat(folder: Path) -> None:
    data = (folder / "joints.mat").read_bytes()
    (folder / "joints.mat").write_bytes(data[: len(data) // 2])


def text_mat(folder: Path) -> None:
    (folder / "joints.mat").write_text("not a matrix")


def missing_mat(folder: Path) -> None:
    (folder / "joints.mat").unlink()


def other_name(folder: Path) -> None:
    scipy.io.savemat(folder / "joints.mat", {"points": np.zeros((14, 3, 3))})


def other_shape(folder: Path) -> None:
    scipy.io.savemat(folder / "joints.mat", {"joints": np.zeros((16, 3, 3))})


def other_flag(folder: Path) -> None:
    joints = annotation(3)
    joints[0, 0, 2] = 0.5
    (folder / "joints.mat").write_bytes(mat_bytes(joints))


def not_finite(folder: Path) -> None:
    joints = annotation(3)
    joints[1, 4, 0] = np.inf
    (folder / "joints.mat").write_bytes(mat_bytes(joints))


DAMAGES: list[tuple[Callable[[Path], None], str]] = [
    (not_an_image, r"im00003\.jpg is not a readable image"),
    (empty_image, r"im00003\.jpg is empty: it should be an image"),
    (missing_image, r"lacks 1 of the images 1 to 3, first im00002\.jpg"),
    (corrupt_mat, r"joints\.mat is not a MATLAB file"),
    (text_mat, r"joints\.mat is not a MATLAB file"),
    (missing_mat, r"holds 0 files joints\.mat, one is needed"),
    (other_name, r"joints\.mat is not a MATLAB file"),
    (other_shape, "must be 14x3xN .* it is 16x3x3"),
    (other_flag, "the third value of a joint must be 0 or 1"),
    (not_finite, "image 2 has a labelled joint that is not finite"),
]


@pytest.mark.parametrize("kind", ["folder", "zip"])
@pytest.mark.parametrize(("damage", "message"), DAMAGES)
def test_damaged_files_are_one_sentence_and_leave_nothing(
    tmp_path: Path, damage: Callable[[Path], None], message: str, kind: str
) -> None:
    source = write_dataset(tmp_path / "lspet", annotation(3))
    damage(source)
    if kind == "zip":
        source = zipped(source, tmp_path / "lspet.zip")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match=message) as caught:
        import_lsp(source, tmp_path / "out.h5")
    assert "\n" not in str(caught.value)
    assert sorted(tmp_path.iterdir()) == before


def test_numbers_outside_are_refused(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "lspet", annotation(3))
    for first, last in ((0, 2), (3, 2), (1, 4), (4, None)):
        with pytest.raises(InputError, match="has the images 1 to 3: first"):
            import_lsp(folder, tmp_path / "out.h5", first=first, last=last)


def test_existing_outputs_are_kept_unless_overwritten(tmp_path: Path) -> None:
    archive = zipped(write_dataset(tmp_path / "lspet", annotation(3)), tmp_path / "lspet.zip")
    target, images = tmp_path / "out.h5", tmp_path / "out_images"
    target.write_text("mine")
    with pytest.raises(OutputError, match=r"out\.h5 exists"):
        import_lsp(archive, target)
    target.unlink()
    images.mkdir()
    (images / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="out_images exists"):
        import_lsp(archive, target)
    with pytest.raises(OutputError, match="out_images holds more than images, so it is not overwritten"):
        import_lsp(archive, target, overwrite=True)
    assert (images / "notes.txt").read_text() == "mine"
    assert not target.exists()
    (images / "notes.txt").rename(images / "old.jpg")
    import_lsp(archive, target, overwrite=True)
    assert sorted(entry.name for entry in images.iterdir()) == ["im00001.jpg", "im00002.jpg", "im00003.jpg"]
    import_lsp(archive, target, overwrite=True)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [
        "lspet",
        "lspet.zip",
        "out.h5",
        "out_images",
    ]


def test_a_failed_overwrite_keeps_the_old_store_and_its_photographs(tmp_path: Path) -> None:
    good = zipped(write_dataset(tmp_path / "good", annotation(2)), tmp_path / "good.zip")
    bad_folder = write_dataset(tmp_path / "bad", annotation(3))
    not_an_image(bad_folder)
    bad = zipped(bad_folder, tmp_path / "bad.zip")
    import_lsp(good, tmp_path / "out.h5")
    with pytest.raises(EvoliftError):
        import_lsp(bad, tmp_path / "out.h5", overwrite=True)
    with PoseStore(tmp_path / "out.h5") as store:
        assert all((store.image_folder / image).is_file() for image in store.read().image or ())
        assert len(store) == 2
    assert not list(tmp_path.glob(".evolift-*"))
