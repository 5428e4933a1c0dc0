"""2D joints of images as a file of COCO's person keypoints (Lin et al., ECCV 2014), which most 2D tools read.

Lists `images` (id, file_name, width, height), `annotations` (id, image_id, category_id, iscrowd, keypoints: x, y and
visibility of each joint, num_keypoints, bbox: left, top, width, height, area) and `categories` with the joints' names and, counted
from 1, their bones. Images are not copied: file_name is relative to the store's folder of images. Boxes are measured
from the image's corner, keypoints from the centre of its first pixel. The area, which COCO takes of outlines that a store has not, is
`evolift.posedata.object_keypoint_similarity.AREA_OF_BOX` of the box, as other tools assume.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import orjson

from evolift.posedata.errors import InputError
from evolift.posedata.image_file import read_image_size
from evolift.posedata.importers.image_folder import image_inside
from evolift.posedata.importers.joint_boxes import joint_boxes
from evolift.posedata.joint_mapping import UNLABELLED
from evolift.posedata.object_keypoint_similarity import AREA_OF_BOX
from evolift.posedata.output_file import whole_file
from evolift.posedata.poses import Poses
from evolift.posedata.progress import Progress, no_progress
from evolift.posedata.store import PoseStore

_CATEGORY = 1


def write_coco(
    path: Path, store: PoseStore, *, overwrite: bool, progress: Progress = no_progress
) -> tuple[int, int]:
    """Write the people of a store who have an image and a labelled joint.

    Args:
        path: of the file (.json).
        store: with images and 2D joints.
        overwrite: replace an existing file.
        progress: counts rows.

    Returns:
        How many people and images were written.

    Raises:
        InputError: it has no 2D joints or no images, or one of these cannot be read.
        OutputError: the file exists or cannot be written.
    """
    for column, what in (("joints_2d", "2D joints"), ("image", "images")):
        if column not in store.columns:
            raise InputError(f"{store.path} has no {what}, which COCO's files are of: give another store")
    numbers: dict[str, int] = {}
    images: list[dict[str, Any]] = []
    people = 0
    with whole_file(path, overwrite=overwrite) as partial, partial.open("wb") as file:
        file.write(b'{"annotations":[')
        for poses in store.batches():
            for person in _annotations(store, poses, numbers, images):
                people += 1
                file.write(b",\n" if people > 1 else b"\n")
                file.write(orjson.dumps({"id": people, **person}, option=orjson.OPT_SERIALIZE_NUMPY))
            progress(len(poses))
        if not people:
            raise InputError(f"{store.path}: none of its rows has both an image and a labelled joint")
        rest = {"images": images, "categories": [_category(store)]}
        file.write(b"\n]," + orjson.dumps(rest)[1:] + b"\n")
    return people, len(images)


def _category(store: PoseStore) -> dict[str, Any]:
    return {
        "id": _CATEGORY,
        "name": "person",
        "supercategory": "person",
        "keypoints": list(store.skeleton.joints),
        "skeleton": [[parent + 1, child + 1] for parent, child in store.skeleton.bones],
    }


def _annotations(
    store: PoseStore, poses: Poses, numbers: dict[str, int], images: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """People of some rows; images that are new are added."""
    assert poses.joints_2d is not None  # checked by the caller
    assert poses.visibility is not None
    joints = np.where(poses.visibility[..., None] == UNLABELLED, 0, poses.joints_2d)
    boxes = poses.box if poses.box is not None else joint_boxes(joints, poses.visibility, 1)[0]
    found = []
    for row, name in enumerate(poses.image or []):
        labelled = int((poses.visibility[row] > UNLABELLED).sum())
        if not name or not labelled:
            continue
        if name not in numbers:
            width, height = read_image_size(image_inside(store.image_folder, name, str(store.path)))
            numbers[name] = len(images) + 1
            images.append({"id": numbers[name], "file_name": name, "width": width, "height": height})
        left, top, width_of_box, height_of_box = boxes[row].astype(np.float64)
        found.append(
            {
                "image_id": numbers[name],
                "category_id": _CATEGORY,
                "iscrowd": 0,
                "num_keypoints": labelled,
                "bbox": [left + 0.5, top + 0.5, width_of_box, height_of_box],
                "area": width_of_box * height_of_box * AREA_OF_BOX,
                "keypoints": [
                    value
                    for point, flag in zip(joints[row], poses.visibility[row], strict=True)
                    for value in (point[0], point[1], int(flag))
                ],
            }
        )
    return found
