from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from evolift.posedata.errors import InputError, OutputError
from evolift.posedata.importers.coco import import_coco
from evolift.posedata.importers.labelled_people import LabelledPerson, append_people
from evolift.posedata.joint_mapping import mapping_between
from evolift.posedata.skeleton import COCO17, H36M17
from evolift.posedata.store import PoseStore, PoseStoreWriter, Provenance

SKELETON = [[16, 14], [14, 12]]


def coco_annotations() -> dict[str, Any]:
    """The layout of person_keypoints_val2017.json: two people, one crowd, one person with no joints, and a dog."""
    rng = np.random.default_rng(0)

    def person(number: int, image: int, labelled: int = 17, **rest: Any) -> dict[str, Any]:
        keypoints = []
        for joint in range(17):
            x, y = rng.integers(10, 90, 2).tolist()
            keypoints += [x, y, 2 if joint % 3 else 1] if joint < labelled else [0, 0, 0]
        return {
            "segmentation": [[10.5, 20.25, 30, 40, 50, 60]], "num_keypoints": labelled, "area": 1200.5, "iscrowd": 0,
            "keypoints": keypoints, "image_id": image, "bbox": [10.5, 20.0, 60.25, 70.5], "category_id": 1, "id": number,
        } | rest  # fmt: skip

    crowd = person(3, 139, 0, iscrowd=1, segmentation={"counts": [1, 2], "size": [100, 120]})
    return {
        "info": {"description": "COCO 2017 Dataset", "year": 2017},
        "licenses": [{"url": "http://creativecommons.org/licenses/by/2.0/", "id": 4, "name": "Attribution License"}],
        "images": [
            {"license": 4, "file_name": f"{number:012d}.jpg", "coco_url": "", "height": 100, "width": 120, "id": number}
            for number in (139, 785)
        ],
        "annotations": [
            person(1, 785), person(2, 139, 6), crowd, person(4, 139, 5),
            {"image_id": 139, "category_id": 18, "bbox": [0, 0, 5, 5], "id": 5, "iscrowd": 0},
        ],
        "categories": [
            {"supercategory": "person", "id": 1, "name": "person", "keypoints": list(COCO17.joints), "skeleton": SKELETON},
            {"supercategory": "animal", "id": 18, "name": "dog"},
        ],
    }  # fmt: skip


def write_coco(folder: Path, annotations: dict[str, Any] | None = None) -> Path:
    annotations = coco_annotations() if annotations is None else annotations
    (folder / "val2017").mkdir(exist_ok=True)
    for image in ("000000000139", "000000000785"):
        cv2.imwrite(str(folder / "val2017" / f"{image}.jpg"), np.full((100, 120, 3), 90, np.uint8))
    path = folder / "person_keypoints_val2017.json"
    path.write_text(json.dumps(annotations))
    return path


def test_rows_of_the_store(tmp_path: Path) -> None:
    path = write_coco(tmp_path)
    annotations = coco_annotations()["annotations"]
    summary = import_coco(path, tmp_path / "val2017", tmp_path / "out.h5", skeleton=COCO17)
    assert (summary.people, summary.images, summary.crowds, summary.bare) == (2, 2, 1, 1)
    with PoseStore(tmp_path / "out.h5", skeleton=COCO17) as store:
        poses = store.read()
        assert all((store.image_folder / image).is_file() for image in poses.image or ())
        assert store.coordinate_frame == "none"
    assert list(poses.image or ()) == ["000000000785.jpg", "000000000139.jpg"]
    assert poses.frame.tolist() == [785, 139]
    assert poses.joints_2d is not None
    assert poses.visibility is not None
    assert poses.box is not None
    table = np.array(annotations[0]["keypoints"]).reshape(17, 3)
    np.testing.assert_array_equal(poses.joints_2d[0], table[:, :2])
    np.testing.assert_array_equal(poses.visibility[0], table[:, 2])
    assert poses.visibility[1].tolist() == [1, 2, 2, 1, 2, 2] + [0] * 11
    np.testing.assert_array_equal(poses.box[0], [10, 19.5, 60.25, 70.5])


def test_as_human36m_joints(tmp_path: Path) -> None:
    import_coco(write_coco(tmp_path), tmp_path / "val2017", tmp_path / "out.h5", skeleton=H36M17)
    table = np.array(coco_annotations()["annotations"][0]["keypoints"], np.float32).reshape(17, 3)
    with PoseStore(tmp_path / "out.h5", skeleton=H36M17) as store:
        poses = store.read(slice(0, 1))
    assert poses.joints_2d is not None
    left, right = COCO17.index("left_hip"), COCO17.index("right_hip")
    np.testing.assert_allclose(poses.joints_2d[0, 0], (table[left, :2] + table[right, :2]) / 2)
    np.testing.assert_allclose(
        poses.joints_2d[0, H36M17.index("right_ankle")], table[COCO17.index("right_ankle"), :2]
    )
    assert poses.visibility is not None
    assert poses.visibility[0, 0] == min(table[left, 2], table[right, 2])


def many(annotations: dict[str, Any]) -> None:
    annotations["annotations"] = [annotations["annotations"][0] | {"id": number} for number in range(20)]


def test_many_people_keep_their_order(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((100, 100, 3), np.uint8))
    known, box = np.full(17, 2, np.uint8), np.array([0.0, 0, 10, 10])
    people = [
        LabelledPerson("a.png", number, "standing", np.full((17, 2), number, np.float64), known, box)
        for number in range(20)
    ]
    calls: list[tuple[int, int | None]] = []

    def progress(done: int, total: int | None = None) -> None:
        calls.append((done, total))

    mapping = mapping_between(COCO17, COCO17)
    with PoseStoreWriter(
        tmp_path / "out.h5", COCO17, "none", Provenance("test"), image_root=str(tmp_path)
    ) as writer:
        assert append_people(writer, iter(people), mapping, "coco", tmp_path, progress, 2, rows=8) == 1
    with PoseStore(tmp_path / "out.h5") as store:
        poses = store.read()
    assert poses.frame.tolist() == list(range(20))
    assert poses.joints_2d is not None
    assert poses.joints_2d[:, 3, 0].tolist() == list(range(20))
    assert calls == [(1, 2)]


def first(annotations: dict[str, Any]) -> dict[str, Any]:
    entry: dict[str, Any] = annotations["annotations"][0]
    return entry


DAMAGES: list[tuple[Callable[[dict[str, Any]], object], str]] = [
    (lambda a: a.pop("annotations"), "it has no list 'annotations'"),
    (lambda a: a["categories"].pop(0), "has no category 'person'"),
    (lambda a: a["categories"][0].update(keypoints=["nose"] * 133), r"categories\[0\]\.keypoints are 133 joints that are not COCO's 17"),
    (lambda a: first(a).update(keypoints=[1, 2]), r"annotations\[0\]\.keypoints must have 51 numbers, has 2"),
    (lambda a: first(a)["keypoints"].__setitem__(2, 3), "must be 0, 1 or 2"),
    (lambda a: first(a)["keypoints"].__setitem__(0, float("nan")), "a joint is not finite"),
    (lambda a: first(a).update(bbox=[1, 2, 3]), r"annotations\[0\]\.bbox must have 4 numbers"),
    (lambda a: first(a).update(image_id=3), "image_id 3 is not among the images"),
    (lambda a: a["images"][1].update(width=640), r"000000000785\.jpg is 120x100, the annotations say 640x100"),
    (lambda a: a["images"][1].update(file_name="x.jpg"), r"x\.jpg is missing: give the folder of the images by `images`"),
    (lambda a: a["images"][1].pop("file_name"), r"images\[1\]\.file_name must be a text, not null"),
    (lambda a: a.update(annotations=a["annotations"][2:]), "has no person with 6 labelled joints"),
]  # fmt: skip


@pytest.mark.parametrize(("damage", "message"), DAMAGES)
def test_damaged_files_are_one_sentence_and_leave_nothing(
    tmp_path: Path, damage: Callable[[dict[str, Any]], object], message: str
) -> None:
    annotations = coco_annotations()
    damage(annotations)
    path = write_coco(tmp_path, annotations)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match=message):
        import_coco(path, tmp_path / "val2017", tmp_path / "out.h5", skeleton=H36M17)
    assert sorted(tmp_path.iterdir()) == before


def test_existing_outputs_are_kept(tmp_path: Path) -> None:
    (tmp_path / "out.h5").write_text("mine")
    with pytest.raises(OutputError, match="exists"):
        import_coco(write_coco(tmp_path), tmp_path / "val2017", tmp_path / "out.h5", skeleton=H36M17)
