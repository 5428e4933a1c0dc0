from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import scipy.io

from evolift.posedata.errors import InputError, OutputError
from evolift.posedata.importers.mpii import import_mpii
from evolift.posedata.skeleton import H36M17, MPII16
from evolift.posedata.store import PoseStore

IMAGES = ("015601864.jpg", "086617615.jpg", "000000001.jpg")


def mpii_people() -> list[dict[str, Any]]:
    """The layout of train.json: two people; the second has four labelled joints."""
    rng = np.random.default_rng(0)
    people = []
    for number, labelled in enumerate((15, 4)):
        joints = rng.uniform(5, 90, (16, 2)).round(1).tolist()
        flags = [1] * labelled + [0] * (16 - labelled)
        people.append({
            "joints_vis": flags, "image": IMAGES[number], "scale": 0.5 + number, "center": [60.0, 51.0],
            "joints": [point if flag else [-1.0, -1.0] for point, flag in zip(joints, flags, strict=True)],
        })  # fmt: skip
    return people


def write_images(folder: Path) -> Path:
    (folder / "images").mkdir(exist_ok=True)
    for name in IMAGES:
        cv2.imwrite(str(folder / "images" / name), np.full((100, 120, 3), 90, np.uint8))
    return folder / "images"


def write_json(folder: Path, people: list[dict[str, Any]] | None = None) -> Path:
    write_images(folder)
    (folder / "train.json").write_text(json.dumps(mpii_people() if people is None else people))
    return folder / "train.json"


def structs(rows: list[dict[str, Any]]) -> np.ndarray:
    """A MATLAB struct array (1 x n)."""
    array = np.zeros((1, len(rows)), [(name, object) for name in rows[0]])
    for index, row in enumerate(rows):
        for name, value in row.items():
            array[0, index][name] = value
    return array


def write_mat(
    folder: Path, people: list[dict[str, Any]] | None = None, edit: Callable[[dict[str, Any]], object] = id
) -> Path:
    """The layout of mpii_human_pose_v1_u12_1.mat: three images, the last one of the test set.

    The first has the people of `mpii_people` and one without joints; the second has nobody.
    """
    write_images(folder)
    rects = []
    for person in mpii_people() if people is None else people:
        points = [
            # Numbers, texts and nothing: all three stand in the real file.
            {"x": x, "y": y, "id": joint, "is_visible": [1.0, "0", np.zeros((0, 0))][joint % 3]}
            for joint, ((x, y), flag) in enumerate(zip(person["joints"], person["joints_vis"], strict=True))
            if flag
        ]
        rects.append({
            "x1": 10.0, "y1": 5.0, "x2": 20.0, "y2": 15.0, "annopoints": structs([{"point": structs(points)}]),
            "scale": person["scale"], "objpos": structs([{"x": person["center"][0], "y": person["center"][1]}]),
        })  # fmt: skip
    empty = np.zeros((0, 0))
    rects.append(dict.fromkeys(rects[0], empty))
    release: dict[str, Any] = {
        "annolist": structs([
            {"image": structs([{"name": IMAGES[0]}]), "annorect": structs(rects), "frame_sec": empty, "vididx": empty},
            {"image": structs([{"name": IMAGES[1]}]), "annorect": empty, "frame_sec": empty, "vididx": empty},
            {"image": structs([{"name": IMAGES[2]}]), "annorect": structs(rects[:1]), "frame_sec": 1.0, "vididx": 2.0},
        ]),
        "img_train": np.array([[1, 1, 0]], np.uint8),
        "version": "12",
        "act": structs([{"cat_name": "sports", "act_name": "curling", "act_id": 1.0}] * 3).T,
    }  # fmt: skip
    edit(release)
    scipy.io.savemat(folder / "mpii_human_pose_v1_u12_1.mat", {"RELEASE": structs([release])})
    return folder / "mpii_human_pose_v1_u12_1.mat"


def test_json(tmp_path: Path) -> None:
    summary = import_mpii(write_json(tmp_path), tmp_path / "images", tmp_path / "out.h5", skeleton=MPII16)
    assert (summary.people, summary.images, summary.bare, summary.unlabelled) == (1, 1, 1, 0)
    with PoseStore(tmp_path / "out.h5", skeleton=MPII16) as store:
        poses = store.read()
        assert (store.image_folder / (poses.image or [""])[0]).is_file()
    person = mpii_people()[0]
    assert poses.joints_2d is not None
    assert poses.visibility is not None
    assert poses.box is not None
    np.testing.assert_allclose(poses.joints_2d[0, :15], np.array(person["joints"][:15]) - 1, rtol=1e-6)
    assert poses.visibility[0].tolist() == [2] * 15 + [0]
    # side 1.25 * 200 * 0.5; its centre (59, 50) from 0, 15 * 0.5 lower
    np.testing.assert_allclose(poses.box[0], [59 - 62.5, 57.5 - 62.5, 125, 125])
    assert poses.frame.tolist() == [1]


def test_mat_agrees_with_json_and_knows_what_is_hidden(tmp_path: Path) -> None:
    import_mpii(
        write_json(tmp_path), tmp_path / "images", tmp_path / "json.h5", skeleton=H36M17, min_joints=4
    )
    summary = import_mpii(
        write_mat(tmp_path), tmp_path / "images", tmp_path / "mat.h5", skeleton=H36M17, min_joints=4
    )
    assert (summary.people, summary.images, summary.bare, summary.unlabelled) == (2, 1, 1, 1)
    with PoseStore(tmp_path / "json.h5") as store:
        a = store.read()
    with PoseStore(tmp_path / "mat.h5", skeleton=H36M17) as store:
        b = store.read()
    assert a.joints_2d is not None
    assert b.joints_2d is not None
    assert a.visibility is not None
    assert b.visibility is not None
    np.testing.assert_allclose(b.joints_2d, a.joints_2d, rtol=1e-6)
    np.testing.assert_allclose(b.box, a.box)
    np.testing.assert_array_equal(b.visibility > 0, a.visibility > 0)
    assert b.visibility[0, H36M17.index("right_knee")] == 1  # joint 1 of MPII: "0"
    assert b.visibility[0, H36M17.index("right_hip")] == 2  # joint 2: empty
    assert set(b.action) == {"curling"}


def first(people: list[dict[str, Any]]) -> dict[str, Any]:
    return people[0]


BAD_JSON: list[tuple[Callable[[list[dict[str, Any]]], object], str]] = [
    (lambda p: first(p).pop("joints"), r"\[0\] has no joints: the test set's are not given out"),
    (lambda p: first(p).update(joints=[[1, 2]] * 17), r"\[0\]\.joints must be 16, they are 17"),
    (lambda p: first(p).update(joints_vis=[2] * 16), "joints_vis must be 0 or 1"),
    (lambda p: first(p).update(joints_vis=[1] * 4), r"joints_vis must have 16 numbers, has 4"),
    (lambda p: first(p).update(scale="big"), r"\[0\]\.scale must be a number, not a text"),
    (lambda p: first(p).update(center=[1]), r"\[0\]\.center must have 2 numbers"),
    (lambda p: first(p)["joints"][0].__setitem__(0, float("nan")), "a number is not finite"),
    (lambda p: first(p).update(image="no.jpg"), r"no\.jpg is missing: give the folder of the images"),
    (lambda p: first(p).update(scale=-1.0), "has no person with 6 labelled joints"),
]  # fmt: skip


@pytest.mark.parametrize(("damage", "message"), BAD_JSON)
def test_damaged_json(tmp_path: Path, damage: Callable[[list[dict[str, Any]]], object], message: str) -> None:
    people = mpii_people()
    damage(people)
    path = write_json(tmp_path, people)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match=message):
        import_mpii(path, tmp_path / "images", tmp_path / "out.h5", skeleton=H36M17)
    assert sorted(tmp_path.iterdir()) == before


BAD_MAT: list[tuple[Callable[[dict[str, Any]], object], str]] = [
    (lambda r: r.pop("annolist"), r"is not MPII's \.mat file with a struct RELEASE"),
    (lambda r: r.update(img_train=np.ones((1, 2))), "annolist and img_train differ in length"),
    (lambda r: r["annolist"][0, 0].__setitem__("image", 3.0), r"annolist\(1\) is not as MPII's are"),
    (
        lambda r: r["annolist"][0, 0]["annorect"][0, 0]["annopoints"][0, 0]["point"][0, 0].__setitem__("id", 16),
        r"annolist\(1\) is not as MPII's are \(a joint has the number 16\)",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("edit", "message"), BAD_MAT)
def test_damaged_mat(tmp_path: Path, edit: Callable[[dict[str, Any]], object], message: str) -> None:
    path = write_mat(tmp_path, edit=edit)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match=message):
        import_mpii(path, tmp_path / "images", tmp_path / "out.h5", skeleton=H36M17)
    assert sorted(tmp_path.iterdir()) == before


def test_other_files(tmp_path: Path) -> None:
    (tmp_path / "a.mat").write_text("no matrix")
    with pytest.raises(InputError, match=r"a\.mat is not a MATLAB file"):
        import_mpii(tmp_path / "a.mat", write_images(tmp_path), tmp_path / "out.h5", skeleton=H36M17)
    (tmp_path / "out.h5").write_text("mine")
    with pytest.raises(OutputError, match="exists"):
        import_mpii(write_json(tmp_path), tmp_path / "images", tmp_path / "out.h5", skeleton=H36M17)
