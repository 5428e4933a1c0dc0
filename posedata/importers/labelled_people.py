"""People with 2D joints in photographs that stay where they are: what the importers of such data sets have in common."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from jaxtyping import Float64, UInt8

from evolift.posedata.errors import InputError
from evolift.posedata.image_file import read_image_size
from evolift.posedata.importers.image_folder import image_inside
from evolift.posedata.joint_mapping import UNLABELLED, Conversion
from evolift.posedata.poses import Poses, label_each, repeated_label
from evolift.posedata.progress import Progress, no_progress
from evolift.posedata.store import PoseStoreWriter

ROWS = 4096
"""People that are written at a time."""


@dataclass(frozen=True, eq=False)
class LabelledPerson:
    """One person in one photograph.

    Args:
        image: path of the photograph inside its folder.
        number: what the data set counts it by.
        action: label.
        joints: pixels.
        visibility: 0 unlabelled, 1 labelled but hidden, 2 visible.
        box: (left, top, width, height), pixels.
        size: (width, height) that the annotations say the photograph has, None if they do not.
    """

    image: str
    number: int
    action: str
    joints: Float64[np.ndarray, "joints 2"]
    visibility: UInt8[np.ndarray, "joints"]
    box: Float64[np.ndarray, "4"]
    size: tuple[int, int] | None = None


def append_people(
    writer: PoseStoreWriter,
    people: Iterator[LabelledPerson],
    mapping: Conversion,
    subject: str,
    folder: Path,
    progress: Progress = no_progress,
    total: int | None = None,
    *,
    source: Path | None = None,
    rows: int = ROWS,
) -> int:
    """Write people, some thousands at a time; returns the number of different photographs.

    Args:
        writer: of the store.
        people: in the joints that `mapping` starts from.
        mapping: to the store's joints.
        subject: label of all rows.
        folder: of the photographs.
        progress: counts photographs that have been looked at.
        total: of them, if that is known.
        source: file that names the photographs, for messages.
        rows: people that are written at a time; never changes the store.

    Raises:
        InputError: a photograph is missing, lies outside the folder, is not an image, or is of another size than the annotations say.
    """
    known: set[str] = set()
    while block := list(islice(people, rows)):
        for one in block:
            if one.image not in known:
                _check_image(image_inside(folder, one.image, str(source or folder)), one.size)
                known.add(one.image)
                progress(1, total)
        visibility = np.stack([one.visibility for one in block])
        joints = np.where(visibility[..., None] == UNLABELLED, 0, np.stack([one.joints for one in block]))
        joints_2d, visibility = mapping.convert(joints.astype(np.float32), visibility)
        writer.append(
            Poses(
                repeated_label(subject, len(block)),
                label_each([one.action for one in block]),
                np.array([one.number for one in block], np.int64),
                joints_2d=joints_2d,
                visibility=visibility,
                image=[one.image for one in block],
                box=np.stack([one.box for one in block]).astype(np.float32),
            )
        )
    return len(known)


def _check_image(path: Path, wanted: tuple[int, int] | None) -> None:
    if not path.is_file():
        raise InputError(f"{path} is missing: give the folder of the images by `images`")
    size = read_image_size(path)
    if wanted is not None and size != wanted:
        raise InputError(
            f"{path} is {size[0]}x{size[1]}, the annotations say {wanted[0]}x{wanted[1]}: give the original images"
        )
