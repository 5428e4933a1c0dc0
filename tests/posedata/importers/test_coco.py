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
from evolift.posedata.keypoint_formats.name_mapping import NameMapping
from evolift.posedata.poses import Poses
from evolift.posedata.skeleton import COCO17, H36M16, H36M17, HALPE26, LSP14, Skeleton
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


def annotations_of(names: list[str] | None, numbers: int | None = None, people: int = 3) -> dict[str, Any]:
    """A file of people with other joints than COCO's, all different, of whom the last has its flags as floats."""
    annotations = coco_annotations()
    count = numbers or len(names or [])
    values = np.random.default_rng(1).integers(10, 90, (people, count, 3)).astype(float)
    values[..., 2] = np.random.default_rng(2).integers(1, 3, (people, count))
    annotations["categories"] = [{"id": 1, "name": "person"} | ({"keypoints": names} if names else {})]
    annotations["annotations"] = [
        {
            "id": n,
            "image_id": 785,
            "category_id": 1,
            "bbox": [10, 20, 60, 70],
            "keypoints": row.reshape(-1).tolist(),
        }
        for n, row in enumerate(values)
    ]
    return annotations


def imported(
    folder: Path, annotations: dict[str, Any], skeleton: Skeleton = H36M17, mapping: NameMapping | None = None
) -> tuple[Poses, str]:
    """What the store holds, and what was said of the joints."""
    path = write_coco(folder, annotations)
    summary = import_coco(path, folder / "val2017", folder / "out.h5", skeleton=skeleton, mapping=mapping)
    with PoseStore(folder / "out.h5", skeleton=skeleton) as store:
        return store.read(), summary.joints


def table_of(annotations: dict[str, Any]) -> np.ndarray:
    return np.array([entry["keypoints"] for entry in annotations["annotations"]]).reshape(3, -1, 3)


POSETRACK = ["nose", "head_bottom", "head_top", "left_ear", "right_ear", *COCO17.joints[5:]]
HUMAN36M = [
    "root",
    *(joint.replace("ankle", "foot") for joint in H36M17.joints[1:9]),
    "neck_base",
    *H36M17.joints[10:],
]


def test_seventeen_joints_are_what_their_names_say(tmp_path: Path) -> None:
    annotations = annotations_of(HUMAN36M)
    poses, said = imported(tmp_path, annotations)
    np.testing.assert_array_equal(poses.joints_2d, table_of(annotations)[..., :2])
    np.testing.assert_array_equal(poses.visibility, table_of(annotations)[..., 2])
    assert said.startswith("joints by the file's names: pelvis from root; right_ankle from right_foot; ")
    assert "unlabelled" not in said


@pytest.mark.parametrize("skeleton", [H36M17, COCO17])
def test_joints_of_posetracks_heads_never_become_eyes(tmp_path: Path, skeleton: Skeleton) -> None:
    annotations = annotations_of(POSETRACK)
    poses, said = imported(tmp_path, annotations, skeleton)
    assert poses.joints_2d is not None
    assert poses.visibility is not None
    table = dict(zip(POSETRACK, table_of(annotations).transpose(1, 0, 2), strict=True))
    if skeleton == COCO17:
        eyes = [COCO17.index(f"{side}_eye") for side in ("left", "right")]
        assert (poses.visibility[:, eyes] == 0).all()
        assert said.endswith("unlabelled: left_eye, right_eye; left out: head_bottom, head_top")
        return
    shoulders = (table["left_shoulder"] + table["right_shoulder"]) / 2
    for joint, expected in ((8, shoulders), (9, table["nose"]), (10, table["head_top"])):
        np.testing.assert_allclose(poses.joints_2d[:, joint], expected[:, :2])
    assert said.endswith("; left out: head_bottom, left_ear, right_ear")


def test_whole_bodies_of_halpe_are_read_by_names_and_by_number(tmp_path: Path) -> None:
    names = [*HALPE26.joints, *(f"face-{n}" for n in range(68)), *(f"left_hand{n}" for n in range(42))]
    annotations = annotations_of(names)
    expected = mapping_between(HALPE26, H36M17).convert(table_of(annotations)[:, :26, :2].astype(np.float32))[
        0
    ]
    for file, start in (
        (annotations, "joints by the file's names: spine from pelvis and neck; "),
        (
            annotations_of(None, 136),
            "136 joints without names are taken to be HALPE26's: spine from pelvis and neck; ",
        ),
    ):
        folder = tmp_path / start[:3]
        folder.mkdir()
        poses, said = imported(folder, file)
        assert poses.joints_2d is not None
        np.testing.assert_allclose(poses.joints_2d, expected)
        assert said.startswith(start)


@pytest.mark.parametrize("has_categories", [True, False])
def test_joints_without_names_are_those_of_their_number(tmp_path: Path, has_categories: bool) -> None:
    annotations = annotations_of(None, 17)
    if not has_categories:
        del annotations["categories"]
    poses, said = imported(tmp_path, annotations, COCO17)
    np.testing.assert_array_equal(poses.joints_2d, table_of(annotations)[..., :2])
    assert said == "17 joints without names are taken to be COCO17's: all by their own names"


def test_fourteen_joints_without_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"does not name its 14 joints, and only 17 \(COCO17\), .* name them in"
    ):
        imported(tmp_path, annotations_of(None, 14))


def test_own_names_are_read_by_their_mapping(tmp_path: Path) -> None:
    names = [f"p{number}" for number in range(15)]
    order = np.random.default_rng(3).permutation(14)
    mapping = NameMapping.one_to_one(LSP14, {f"p{order[n]}": joint for n, joint in enumerate(LSP14.joints)})
    annotations = annotations_of(names)
    poses, said = imported(tmp_path, annotations, mapping=mapping)
    expected, _ = mapping_between(LSP14, H36M17).convert(
        table_of(annotations)[:, order, :2].astype(np.float32)
    )
    assert poses.joints_2d is not None
    np.testing.assert_allclose(poses.joints_2d, expected)
    assert said.startswith("joints by the mapping: ")
    assert said.endswith("; left out: p14")


def test_a_mapping_of_other_names_is_refused(tmp_path: Path) -> None:
    mapping = NameMapping.one_to_one(LSP14, {"hip_l": "left_hip", "nose": "neck"})
    with pytest.raises(InputError, match=r"keypoints lack hip_l, which `mapping` names"):
        imported(tmp_path, annotations_of(list(COCO17.joints)), mapping=mapping)
    with pytest.raises(InputError, match=r"has no names of joints for `mapping`"):
        imported(tmp_path, annotations_of(None, 17), mapping=mapping)


def test_the_category_with_keypoints_is_read(tmp_path: Path) -> None:
    annotations = annotations_of(list(COCO17.joints))
    annotations["categories"] = [
        {"id": 1, "name": "climber", "keypoints": list(COCO17.joints)},
        {"id": 2, "name": "rope"},
    ]
    annotations["annotations"].append({"id": 9, "image_id": 785, "category_id": 2, "bbox": [0, 0, 5, 5]})
    assert len(imported(tmp_path, annotations)[0]) == 3
    annotations["categories"].append({"id": 3, "name": "Person", "keypoints": list(COCO17.joints)})
    annotations["annotations"][1]["category_id"] = 3
    (tmp_path / "out.h5").unlink()
    assert imported(tmp_path, annotations)[0].frame.tolist() == [785]


def test_joints_that_the_store_has_not_do_not_count(tmp_path: Path) -> None:
    annotations = annotations_of(list(COCO17.joints))
    for entry, labelled in zip(
        annotations["annotations"], ([0, 5, 6, 7, 8, 9], [5, 6, 7, 8, 9, 10], []), strict=True
    ):
        flags = np.zeros(17)
        flags[labelled] = 2
        entry["keypoints"][2::3] = flags.tolist()
    summary = import_coco(
        write_coco(tmp_path, annotations),
        tmp_path / "val2017",
        tmp_path / "out.h5",
        skeleton=H36M16,
        min_joints=6,
    )
    assert (summary.people, summary.bare) == (1, 2)


def test_people_without_box_or_joints_are_counted_and_images_may_have_no_size(tmp_path: Path) -> None:
    annotations = annotations_of(list(COCO17.joints))
    del annotations["annotations"][0]["bbox"]
    del annotations["annotations"][1]["keypoints"]
    for image in annotations["images"]:
        del image["width"], image["height"]
    summary = import_coco(
        write_coco(tmp_path, annotations), tmp_path / "val2017", tmp_path / "out.h5", skeleton=H36M17
    )
    assert (summary.people, summary.bare) == (1, 2)


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
    (lambda a: a["categories"].pop(0), "has nobody with keypoints"),
    (lambda a: [c.update(name=n, keypoints=["nose"]) for c, n in zip(a["categories"], ("cat", "dog"), strict=True)], r"its people may be of several categories \(cat, dog\): leave one in the file"),
    (lambda a: a["categories"][0].update(keypoints=["nose"] * 17), r"categories\[0\]\.keypoints have the name 'nose' twice"),
    (lambda a: a["categories"][0].update(keypoints=["nose", 3]), r"categories\[0\]\.keypoints\[1\] must be a text, not a number"),
    (lambda a: a["categories"][0].update(keypoints=["nose", "blob"]), r"categories\[0\]\.keypoints: no skeleton has the joints blob: say .* `mapping` FILE, \{"),
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
