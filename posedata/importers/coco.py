"""Importer for COCO's person keypoints (Lin et al., ECCV 2014), and for data sets in its layout with 17 joints.

`person_keypoints_train2017.json` has lists `images` (id, file_name, width, height), `annotations` (image_id,
category_id, iscrowd, keypoints: 17 times x, y, visibility, bbox: left, top, width, height) and `categories`. Pictures
are in a folder beside it. Keypoints are numbers of pixels, so that the centre of the first one is (0, 0); boxes are
measured from the picture's corner, and half a pixel is taken off.

The file is read entry by entry, twice: memory does not grow with its annotations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from posedata.errors import InputError
from posedata.image_file import picture_size
from posedata.importers.image_folder import relative_folder
from posedata.importers.joint_boxes import FEWEST_JOINTS
from posedata.importers.json_stream import stream_json_list
from posedata.joint_mapping import UNLABELLED, mapping_between
from posedata.keypoint_formats.checked_json import expect, number_table
from posedata.output_file import check_output, sha256_of
from posedata.poses import Poses, repeated_label
from posedata.skeleton import COCO17, Skeleton
from posedata.store import PoseStoreWriter, Provenance

_ROWS = 4096


@dataclass(frozen=True)
class CocoSummary:
    """What `import_coco` did.

    Args:
        people, pictures: written.
        crowds: annotations left out because they stand for a crowd.
        bare: annotations left out because they have too few labelled joints or an empty box.
    """

    people: int
    pictures: int
    crowds: int
    bare: int


@dataclass(frozen=True)
class _Picture:
    file_name: str
    size: tuple[int, int]


class _Counts:
    def __init__(self) -> None:
        self.crowds = 0
        self.bare = 0
        self.pictures: set[int] = set()


def import_coco(
    source: Path,
    images: Path,
    target: Path,
    *,
    skeleton: Skeleton,
    fewest: int = FEWEST_JOINTS,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> CocoSummary:
    """Write a pose store (2D joints) with a row for each person; pictures stay where they are.

    Args:
        source: person_keypoints_*.json.
        images: folder of the pictures.
        target: the store to write.
        skeleton: COCO17, or one that it is mapped to.
        fewest: labelled joints of 17 that a person needs to be taken.
        overwrite: replace an existing store.
        progress: called with 1 and the number of all pictures after each picture that has been looked at.

    Raises:
        InputError: the file is damaged or not of this layout, or a picture is missing or of another size.
        OutputError: the target exists or cannot be written.
    """
    check_output(target, overwrite=overwrite)
    mapping = mapping_between(COCO17, skeleton)
    person = _person_category(source)
    pictures = _pictures(source)
    counts = _Counts()
    provenance = Provenance(
        "evolift data import coco",
        {"skeleton": skeleton.name, "fewest": fewest},
        inputs={source.name: sha256_of(source)},
    )
    root = relative_folder(images, target.parent)
    with PoseStoreWriter(target, skeleton, "none", provenance, image_root=root, overwrite=overwrite) as writer:
        for block in _blocks(_people(source, person, pictures, counts, fewest)):
            ids, keypoints, boxes = zip(*block, strict=True)
            names = []
            for image in ids:
                picture = pictures[image]
                if image not in counts.pictures:
                    _check_picture(images, picture)
                    counts.pictures.add(image)
                    if progress is not None:
                        progress(1, len(pictures))
                names.append(picture.file_name)
            table = np.stack(keypoints)
            visibility = table[..., 2].astype(np.uint8)
            joints = np.where(visibility[..., None] == UNLABELLED, 0, table[..., :2])
            joints_2d, visibility = mapping.convert(joints.astype(np.float32), visibility)
            writer.append(
                Poses(
                    repeated_label("coco", len(ids)),
                    repeated_label("photograph", len(ids)),
                    np.array(ids, np.int64),
                    joints_2d=joints_2d,
                    visibility=visibility,
                    image=names,
                    box=np.stack(boxes).astype(np.float32),
                )
            )
        people = len(writer)
        if not people:
            raise InputError(f"{source} has no person with {fewest} labelled joints: give another file, or fewer by --fewest")
    return CocoSummary(people, len(counts.pictures), counts.crowds, counts.bare)


def _person_category(source: Path) -> int:
    for number, entry in enumerate(stream_json_list(source, "categories")):
        where = f"{source}: categories[{number}]"
        expect(entry, dict, where)
        if entry.get("name") == "person":
            joints = expect(entry.get("keypoints"), list, f"{where}.keypoints")
            if joints != list(COCO17.joints):
                raise InputError(
                    f"{where}.keypoints are {len(joints)} joints that are not COCO's 17: convert the file to COCO's"
                )
            return int(expect(entry.get("id"), int, f"{where}.id"))
    raise InputError(f"{source} has no category 'person': give COCO's person_keypoints_*.json")


def _pictures(source: Path) -> dict[int, _Picture]:
    pictures = {}
    for number, entry in enumerate(stream_json_list(source, "images")):
        where = f"{source}: images[{number}]"
        expect(entry, dict, where)
        name = expect(entry.get("file_name"), str, f"{where}.file_name")
        size = tuple(int(expect(entry.get(side), int, f"{where}.{side}")) for side in ("width", "height"))
        pictures[int(expect(entry.get("id"), int, f"{where}.id"))] = _Picture(name, (size[0], size[1]))
    return pictures


_Person = tuple[int, np.ndarray, np.ndarray]


def _people(
    source: Path, person: int, pictures: dict[int, _Picture], counts: _Counts, fewest: int
) -> Iterator[_Person]:
    """Image id, keypoints (17 x 3) and box of each person to be taken."""
    for number, entry in enumerate(stream_json_list(source, "annotations")):
        where = f"{source}: annotations[{number}]"
        expect(entry, dict, where)
        if entry.get("category_id") != person:
            continue
        if entry.get("iscrowd"):
            counts.crowds += 1
            continue
        keypoints = _keypoints(entry.get("keypoints"), f"{where}.keypoints")
        box = number_table([entry.get("bbox")], 4, [f"{where}.bbox"])[0]
        image = expect(entry.get("image_id"), int, f"{where}.image_id")
        if image not in pictures:
            raise InputError(f"{where}.image_id {image} is not among the images: download it again")
        if not np.isfinite(box).all():
            raise InputError(f"{where}.bbox is not finite: download it again")
        if (keypoints[:, 2] > UNLABELLED).sum() < fewest or (box[2:] <= 0).any():
            counts.bare += 1
            continue
        box[:2] -= 0.5
        yield image, keypoints, box


def _keypoints(values: Any, where: str) -> np.ndarray:
    table = number_table([values], 3 * len(COCO17), [where])[0].reshape(-1, 3)
    if not np.isin(table[:, 2], (0, 1, 2)).all():
        raise InputError(f"{where}: the third value of a joint must be 0, 1 or 2: download it again")
    if not np.isfinite(table).all():
        raise InputError(f"{where}: a joint is not finite: download it again")
    return table


def _blocks(people: Iterator[_Person]) -> Iterator[list[_Person]]:
    while block := list(islice(people, _ROWS)):
        yield block


def _check_picture(folder: Path, picture: _Picture) -> None:
    path = folder / picture.file_name
    if not path.is_file():
        raise InputError(f"{path} is missing: give the folder of the pictures by --images")
    size = picture_size(path)
    if size != picture.size:
        raise InputError(
            f"{path} is {size[0]}x{size[1]}, the annotations say {picture.size[0]}x{picture.size[1]}: give the original pictures"
        )
