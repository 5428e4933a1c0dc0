"""2D keypoints of any detector, read from a file or folder whose format is told from its content.

| format | what |
|---|---|
| coco | COCO annotations or results, COCO-WholeBody (`evolift.posedata.keypoint_formats.coco_keypoints`) |
| alphapose | AlphaPose results: COCO, Halpe or MPII joints |
| openpose | a folder of OpenPose files, or one (`evolift.posedata.keypoint_formats.openpose_keypoints`) |
| mediapipe | MediaPipe pose landmarks (`evolift.posedata.keypoint_formats.mediapipe_keypoints`) |
| mmpose | MMPose inferencer or demo (`evolift.posedata.keypoint_formats.mmpose_keypoints`) |
| dwpose | DWPose and OpenPose of ControlNet programs (`evolift.posedata.keypoint_formats.dwpose_keypoints`) |
| yolo | Ultralytics: results and labels (`evolift.posedata.keypoint_formats.yolo_results`, `...yolo_labels`) |
| detectron2 | Detectron2 by VideoPose3D's script (`evolift.posedata.keypoint_formats.detectron_keypoints`) |
| videopose3d | VideoPose3D's 2D files (`evolift.posedata.keypoint_formats.videopose3d_keypoints`) |
| deeplabcut, sleap | their CSV files, with a mapping of names (`evolift.posedata.keypoint_formats.tracking_keypoints`), and SLEAP's analysis files and projects (`evolift.posedata.keypoint_formats.sleap_analysis`, `...sleap_project`) |
| trc | markers in pixels of Sports2D (`evolift.posedata.keypoint_formats.trc_keypoints`) |
| csv, npz | plain tables (`evolift.posedata.keypoint_formats.table_keypoints`) |
| npy | an array (`evolift.posedata.keypoint_formats.array_keypoints`) |
| jsonl | a person a line (`evolift.posedata.keypoint_formats.line_keypoints`) |
| evolift | predictions of this package |

A reader gets the file's `evolift.posedata.keypoint_formats.reading.Reading`, takes options from it and tells it what it
found; `read_keypoints` then refuses or tells what was passed over, and brings 2D joints to pixels.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from evolift.posedata.checked_json import read_json
from evolift.posedata.errors import InputError
from evolift.posedata.garbage_collection import paused_garbage_collection
from evolift.posedata.input_file import reading as reading_file
from evolift.posedata.keypoint_formats import yolo_labels, yolo_results
from evolift.posedata.keypoint_formats.array_keypoints import MAGIC as NPY_MAGIC
from evolift.posedata.keypoint_formats.array_keypoints import read_npy_keypoints
from evolift.posedata.keypoint_formats.coco_keypoints import keypoints_of_coco
from evolift.posedata.keypoint_formats.detectron_keypoints import MEMBERS as DETECTRON_MEMBERS
from evolift.posedata.keypoint_formats.detectron_keypoints import read_detectron2
from evolift.posedata.keypoint_formats.dwpose_keypoints import is_dwpose, keypoints_of_dwpose
from evolift.posedata.keypoint_formats.image_units import beyond_image, in_pixels
from evolift.posedata.keypoint_formats.keypoints import Keypoints
from evolift.posedata.keypoint_formats.line_keypoints import keypoints_of_predictions, read_keypoint_lines
from evolift.posedata.keypoint_formats.mediapipe_keypoints import LANDMARK_KEYS, keypoints_of_mediapipe
from evolift.posedata.keypoint_formats.mmpose_keypoints import keypoints_of_mmpose
from evolift.posedata.keypoint_formats.name_mapping import NameMapping
from evolift.posedata.keypoint_formats.openpose_keypoints import (
    FILE_PATTERN,
    keypoints_of_openpose,
    read_openpose_folder,
)
from evolift.posedata.keypoint_formats.reading import Reading
from evolift.posedata.keypoint_formats.sleap_analysis import MAGIC as HDF5_MAGIC
from evolift.posedata.keypoint_formats.sleap_analysis import read_sleap_hdf5
from evolift.posedata.keypoint_formats.table_keypoints import read_csv_keypoints, read_npz_keypoints
from evolift.posedata.keypoint_formats.tracking_keypoints import read_deeplabcut, read_sleap
from evolift.posedata.keypoint_formats.trc_keypoints import MARK as TRC_MARK
from evolift.posedata.keypoint_formats.trc_keypoints import read_trc
from evolift.posedata.keypoint_formats.videopose3d_keypoints import MEMBER as VIDEOPOSE3D_MEMBER
from evolift.posedata.keypoint_formats.videopose3d_keypoints import read_videopose3d
from evolift.posedata.npz_file import NPZ_DAMAGES
from evolift.posedata.predictions.prediction_files import read_predictions
from evolift.posedata.predictions.prediction_header import FORMAT
from evolift.posedata.similar_name import guess
from evolift.posedata.skeleton import Skeleton

FORMATS = (
    "coco",
    "alphapose",
    "openpose",
    "mediapipe",
    "mmpose",
    "dwpose",
    "yolo",
    "detectron2",
    "videopose3d",
    "deeplabcut",
    "sleap",
    "trc",
    "csv",
    "npz",
    "npy",
    "jsonl",
    "evolift",
)
SUFFIXES = (".json", ".jsonl", ".csv", ".tsv", ".npz", ".npy", ".h5", ".hdf5", ".slp", ".trc", ".txt")
"""Endings of files that may hold keypoints."""


@paused_garbage_collection()
def read_keypoints(
    path: Path,
    *,
    format: str | None = None,
    skeleton: Skeleton | None = None,
    mapping: NameMapping | None = None,
    image_size: tuple[int, int] | None = None,
) -> Keypoints:
    """People of a file or folder of 2D keypoints.

    Args:
        path: of the file or folder.
        format: one of `FORMATS`; told from the content if None.
        skeleton: of joints that have no names; joints with names come in this skeleton.
        mapping: what names or numbers of joints mean, from `evolift.posedata.keypoint_formats.name_mapping.read_name_mapping`.
        image_size: (width, height) in pixels of images of which the file does not tell it.

    Raises:
        InputError: the format cannot be told, something is missing or damaged, an option does not fit the file, joints are
            parts of images of unknown size, or nobody is in it.
    """
    if format is not None and format not in FORMATS:
        raise InputError(
            f"there is no keypoint format {format!r}{guess(format, FORMATS)}: choose one of {', '.join(FORMATS)}"
        )
    values = None
    if format is None:
        format, values = _recognised(path)
    if path.is_dir() and format not in ("openpose", "yolo"):
        raise InputError(f"{path} is a folder: give the file of {format} keypoints")
    reading = Reading(str(path), skeleton=skeleton, mapping=mapping, image_size=image_size)
    return _finished(_read(path, format, values, reading), reading)


def _read(path: Path, format: str, values: Any, reading: Reading) -> Keypoints:
    """People of a file of known format, whose values are read already or None."""
    readers: dict[str, Callable[[], Keypoints]] = {
        "csv": lambda: read_csv_keypoints(path, reading),
        "deeplabcut": lambda: read_deeplabcut(path, reading),
        "sleap": lambda: (read_sleap_hdf5 if _is_hdf5(path) else read_sleap)(path, reading),
        "trc": lambda: read_trc(path, reading),
        "detectron2": lambda: read_detectron2(path, reading),
        "videopose3d": lambda: read_videopose3d(path, reading),
        "npy": lambda: read_npy_keypoints(path, reading),
        "npz": lambda: read_npz_keypoints(path, reading),
        "evolift": lambda: _of_predictions(path, reading),
        "jsonl": lambda: _of_lines(path, reading),
    }
    if format in readers:
        return readers[format]()
    if path.is_dir() and format == "openpose":
        return read_openpose_folder(path, reading)
    if format == "yolo" and values is None and not _is_json(path):
        return yolo_labels.read_yolo_labels(path, reading)
    values = read_json(path) if values is None else values
    of_values: dict[str, Callable[[], Keypoints]] = {
        "coco": lambda: keypoints_of_coco(values, reading),
        "alphapose": lambda: keypoints_of_coco(values, reading, is_alphapose=True),
        "openpose": lambda: keypoints_of_openpose([(path, values)], reading),
        "mediapipe": lambda: keypoints_of_mediapipe(values, reading),
        "mmpose": lambda: keypoints_of_mmpose(values, reading),
        "dwpose": lambda: keypoints_of_dwpose(values, reading),
        "yolo": lambda: yolo_results.keypoints_of_yolo_results(values, reading),
    }
    return of_values[format]()


def _finished(people: Keypoints, reading: Reading) -> Keypoints:
    """The people in pixels, with all that there is to say of the reading; options that were passed over are refused."""
    reading.require_used(people.format)
    notes = [*reading.notes, *people.notes]
    if (size := reading.image_size) is not None:
        told = {tuple(own) for own in people.image_size.tolist()}
        if 0 not in {side for own in told for side in own} and told != {size}:
            notes.append(f"the file tells the size of its images, so {size[0]} x {size[1]} is not used")
        people = people.with_image_size(size)
    people = in_pixels(replace(people, notes=tuple(notes)), reading.where)
    return replace(people, notes=(*people.notes, *reading.unread(), *beyond_image(people)))


def _recognised(path: Path) -> tuple[str, Any]:
    """The format, and the values if they are read already."""
    if path.is_dir():
        return _folder_format(path), None
    head = _head(path)
    if not head:
        raise InputError(f"{path} is empty: write it again")
    if head.startswith(b"PK"):
        return _archive_format(path), None
    if head.startswith(HDF5_MAGIC):
        return "sleap", None
    if head.startswith(NPY_MAGIC):
        return "npy", None
    text = head.decode("utf-8-sig", "replace").lstrip()
    if text.startswith(("{", "[")):
        return _json_format(path, text)
    if b"\0" in head:
        raise InputError(f"{path} is neither JSON nor CSV nor NPZ nor HDF5: give a file of keypoints")
    if path.suffix.lower() in (".json", ".jsonl"):
        raise InputError(f"{path} holds no JSON object or list: give a file of keypoints")
    return _table_format(text), None


def _head(path: Path) -> bytes:
    with reading_file(path), path.open("rb") as file:
        return file.read(4096)


def _is_hdf5(path: Path) -> bool:
    return _head(path).startswith(HDF5_MAGIC)


def _is_json(path: Path) -> bool:
    return path.is_file() and _head(path).decode("utf-8-sig", "replace").lstrip().startswith(("{", "["))


def _folder_format(path: Path) -> str:
    if next(path.glob(FILE_PATTERN), None) is not None:
        return "openpose"
    if yolo_labels.label_files(path):
        return "yolo"
    raise InputError(
        f"{path} holds no {FILE_PATTERN} files of OpenPose and no YOLO labels: give a file of keypoints"
    )


def _table_format(text: str) -> str:
    """Format of a CSV from its beginning."""
    header = text.partition("\n")[0].strip()
    if yolo_labels.is_label_line(header):
        return "yolo"
    if header.startswith(TRC_MARK):
        return "trc"
    if header.startswith('# {"format":"evolift-predictions"'):
        return "evolift"
    if header.split(",")[0] == "scorer":
        return "deeplabcut"
    columns = header.split(",")
    return "sleap" if "frame_idx" in columns and any(column.endswith(".x") for column in columns) else "csv"


def _json_format(path: Path, head: str) -> tuple[str, Any]:
    first = head.partition("\n")[0].strip()
    if path.suffix.lower() == ".jsonl" or (first.startswith("{") and first.endswith("}") and "\n{" in head):
        return "jsonl", None
    values = read_json(path)
    if values == []:
        raise InputError(f"{path} holds no person: its list is empty")
    entry = values[0] if isinstance(values, list) else values
    if isinstance(entry, list):  # frames of several people; the first may have none
        entry = next((people[0] for people in values if isinstance(people, list) and people), entry)
    recognised = _object_formats(entry, is_listed=isinstance(values, list)) if isinstance(entry, dict) else []
    if len(recognised) > 1:
        raise InputError(f"{path} may be {' or '.join(recognised)}: say which with `format`")
    if not recognised:
        keys = (
            f"an object with {', '.join(list(entry)[:10])}"
            if isinstance(entry, dict) and entry
            else "no such object"
        )
        raise InputError(
            f"{path} is JSON of none of the known formats ({', '.join(FORMATS)}; it begins with {keys}): give a file of keypoints"
        )
    return recognised[0], values


def _object_formats(entry: dict[str, Any], *, is_listed: bool) -> list[str]:
    """Formats that a file may have by its object, or by the first one of its list."""
    keypoints = entry.get("keypoints")
    is_flat = isinstance(keypoints, list) and bool(keypoints) and not isinstance(keypoints[0], list)
    is_track = isinstance(entry.get("image_id"), str) or "idx" in entry
    marks = {
        "mmpose": "instance_info" in entry
        or "instances" in entry
        or (is_listed and "keypoint_scores" in entry),
        "mediapipe": any(key in entry for key in LANDMARK_KEYS)
        or (not is_listed and "frames" in entry)
        or (is_listed and "x" in entry and "y" in entry),
        "evolift": not is_listed and entry.get("format") == FORMAT,
        "dwpose": "format" not in entry and is_dwpose(entry, is_listed=is_listed),
        "yolo": is_listed and yolo_results.is_yolo_result(entry),
        "openpose": not is_listed
        and "people" in entry
        and "format" not in entry
        and not is_dwpose(entry, is_listed=False),
        "coco": (not is_listed and "annotations" in entry)
        or (is_listed and is_flat and "image_id" in entry and not is_track),
        "alphapose": is_listed and is_flat and "image_id" in entry and is_track,
    }
    return [name for name, is_marked in marks.items() if is_marked]


def _archive_format(path: Path) -> str:
    """Format of a zip archive by the names of its arrays."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = set(archive.namelist())
    except NPZ_DAMAGES:
        raise InputError(f"{path} is a damaged .npz file: write it again") from None
    if {"header.npy", "joints_3d.npy"} <= members:
        return "evolift"
    if VIDEOPOSE3D_MEMBER in members:
        return "videopose3d"
    return "detectron2" if members >= DETECTRON_MEMBERS else "npz"


def _of_lines(path: Path, reading: Reading) -> Keypoints:
    with reading_file(path), path.open(encoding="utf-8-sig") as file:
        parts = list(read_keypoint_lines(file, reading, rows=2**31, is_whole=True))
    if not parts:
        raise InputError(f"{path} holds nobody")
    if len(parts) > 1:
        raise InputError(f"{path} holds people of several skeletons: split it into one file for each")
    return parts[0]


def _of_predictions(path: Path, reading: Reading) -> Keypoints:
    keypoints = keypoints_of_predictions(read_predictions(path))
    if not len(keypoints):
        raise InputError(f"{path} holds nobody")
    reading.tells(keypoints.skeleton, str(path))
    return keypoints
