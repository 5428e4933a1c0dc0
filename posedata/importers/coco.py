"""Importer for COCO's person keypoints (Lin et al., ECCV 2014), and for data sets in its layout with other joints.

`person_keypoints_train2017.json` has lists `images` (id, file_name, width, height), `annotations` (image_id,
category_id, iscrowd, keypoints: for each joint x, y, visibility, bbox: left, top, width, height) and `categories`,
whose `keypoints` name the joints (`evolift.posedata.importers.coco_categories`). Images are in a folder beside it.
Keypoints are numbers of pixels, so that the centre of the first one is (0, 0); boxes are measured from the image's
corner, and half a pixel is taken off.

The file is read entry by entry, several times: memory does not grow with its annotations.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evolift.posedata.checked_json import expect, number_table, whole_number
from evolift.posedata.errors import InputError
from evolift.posedata.importers.coco_categories import CocoLayout, coco_layout
from evolift.posedata.importers.image_folder import relative_folder
from evolift.posedata.importers.joint_boxes import MIN_JOINTS
from evolift.posedata.importers.json_stream import stream_json_list
from evolift.posedata.importers.labelled_people import LabelledPerson, append_people
from evolift.posedata.joint_mapping import UNLABELLED
from evolift.posedata.keypoint_formats.name_mapping import NameMapping
from evolift.posedata.output_file import check_output, sha256_of
from evolift.posedata.plausibility import imported
from evolift.posedata.progress import Progress, no_progress
from evolift.posedata.skeleton import Skeleton
from evolift.posedata.store import PoseStoreWriter, Provenance


@dataclass(frozen=True)
class CocoSummary:
    """What `import_coco` did.

    Args:
        people, images: written.
        crowds: annotations left out because they stand for a crowd.
        bare: annotations left out because they have too few labelled joints, or no box or an empty one.
        joints: what the store's joints are made of, and by what this was told.
    """

    people: int
    images: int
    crowds: int
    bare: int
    joints: str


@dataclass(frozen=True)
class _Image:
    file_name: str
    size: tuple[int, int] | None


class _Counts:
    def __init__(self) -> None:
        self.crowds = 0
        self.bare = 0


def import_coco(
    source: Path,
    images: Path,
    target: Path,
    *,
    skeleton: Skeleton,
    mapping: NameMapping | None = None,
    min_joints: int = MIN_JOINTS,
    implausible: bool = False,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> CocoSummary:
    """Write a pose store (2D joints) with a row for each person; images stay where they are.

    Args:
        source: person_keypoints_*.json, or another data set's file of this layout.
        images: folder of the images.
        target: the store to write.
        skeleton: of the store's joints.
        mapping: what the file's names of joints mean, if they are not known; names that it lacks are left out.
        min_joints: labelled joints that a person needs to be taken, of those that the store's are made of.
        implausible: accept poses that do not look like people's in millimetres with z up, rows of no sense among them; these
            rows are left out otherwise (`evolift.posedata.plausibility`).
        overwrite: replace an existing store.
        progress: counts images that have been looked at.

    Raises:
        InputError: the file is damaged or not of this layout, or an image is missing or of another size.
        OutputError: the target exists or cannot be written.
    """
    check_output(target, overwrite=overwrite, inputs=[source, images])
    layout = coco_layout(source, skeleton, mapping)
    entries = _images(source)
    counts = _Counts()
    provenance = Provenance(
        "evolift data import coco",
        {"skeleton": skeleton.name, "min_joints": min_joints, "joints": layout.columns.mapping.weights},
        inputs={source.name: sha256_of(source)},
    )
    root = relative_folder(images, target.parent)
    with PoseStoreWriter(
        target,
        skeleton,
        "none",
        provenance,
        image_root=root,
        source=source,
        implausible=imported(implausible),
        overwrite=overwrite,
    ) as writer:
        written = append_people(
            writer,
            _people(source, layout, entries, counts, min_joints),
            layout.columns,
            "coco",
            images,
            progress,
            len(entries),
            source=source,
        )
        writer.check_plausibility()
        people = len(writer)
        if not people:
            raise InputError(
                f"{source} has no person with {min_joints} labelled joints: give another file, or fewer by `min_joints`"
            )
    return CocoSummary(people, written, counts.crowds, counts.bare, layout.summary)


def _images(source: Path) -> dict[int, _Image]:
    images = {}
    for number, entry in enumerate(stream_json_list(source, "images")):
        where = f"{source}: images[{number}]"
        expect(entry, dict, where)
        name = expect(entry.get("file_name"), str, f"{where}.file_name")
        images[whole_number(entry.get("id"), f"{where}.id")] = _Image(name, _size(entry, where))
    return images


def _size(entry: dict[str, Any], where: str) -> tuple[int, int] | None:
    """(width, height); None for an image that has neither, as in PoseTrack's own files."""
    if entry.get("width") is None and entry.get("height") is None:
        return None
    width, height = (int(expect(entry.get(side), int, f"{where}.{side}")) for side in ("width", "height"))
    return width, height


def _people(
    source: Path, layout: CocoLayout, images: dict[int, _Image], counts: _Counts, min_joints: int
) -> Iterator[LabelledPerson]:
    """Every annotated person who is to be imported."""
    used = [
        number for number, name in enumerate(layout.columns.names) if name in layout.columns.mapping.names
    ]
    for number, entry in enumerate(stream_json_list(source, "annotations")):
        where = f"{source}: annotations[{number}]"
        expect(entry, dict, where)
        if layout.category is not None and entry.get("category_id") != layout.category:
            continue
        if entry.get("iscrowd"):
            counts.crowds += 1
            continue
        if not entry.get("keypoints") or not entry.get("bbox"):
            counts.bare += 1
            continue
        keypoints = _keypoints(entry["keypoints"], len(layout.columns.names), f"{where}.keypoints")
        box = number_table([entry["bbox"]], 4, [f"{where}.bbox"])[0]
        image = expect(entry.get("image_id"), int, f"{where}.image_id")
        if image not in images:
            raise InputError(f"{where}.image_id {image} is not among the images: download it again")
        if not np.isfinite(box).all():
            raise InputError(f"{where}.bbox is not finite: download it again")
        if (keypoints[used, 2] > UNLABELLED).sum() < min_joints or (box[2:] <= 0).any():
            counts.bare += 1
            continue
        box[:2] -= 0.5
        yield LabelledPerson(
            images[image].file_name,
            image,
            "photograph",
            keypoints[:, :2],
            keypoints[:, 2].astype(np.uint8),
            box,
            images[image].size,
        )


def _keypoints(values: Any, joints: int, where: str) -> np.ndarray:
    table: np.ndarray = number_table([values], 3 * joints, [where])[0].reshape(-1, 3)
    if not np.isin(table[:, 2], (0, 1, 2)).all():
        raise InputError(f"{where}: the third value of a joint must be 0, 1 or 2: download it again")
    if not np.isfinite(table).all():
        raise InputError(f"{where}: a joint is not finite: download it again")
    return table
