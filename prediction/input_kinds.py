"""What the inputs of a prediction are: images, videos or files of keypoints; folders and patterns spelt out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from evolift.posedata.errors import InputError
from evolift.posedata.input_file import reading, require_regular_file
from evolift.posedata.keypoint_formats.keypoint_files import SUFFIXES as KEYPOINT_ENDINGS
from evolift.posedata.keypoint_formats.openpose_keypoints import FILE_PATTERN
from evolift.posedata.keypoint_formats.yolo_labels import label_files
from evolift.posedata.output_file import SETTINGS, shortened
from evolift.training.run_folder import made_by

COMMAND = "evolift predict"
"""Whose record the folders of predictions have."""
OVERLAY = "_overlay"
"""Ends the names of the images and videos that a prediction writes."""
PAGE = "page.html"
IMAGE_ENDINGS = (".bmp", ".gif", ".heic", ".heif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
VIDEO_ENDINGS = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ts", ".webm", ".wmv")

Kind = Literal["image", "video", "keypoints"]


class PredictionInput(NamedTuple):
    """One thing to predict.

    Args:
        kind: told from the ending; a file of unknown ending counts as an image.
        path: of the file, or of the folder of OpenPose files or YOLO labels.
        label: its name, or its path if another input has the same name.
    """

    kind: Kind
    path: Path
    label: str


class _OwnOutputError(InputError):
    """A folder or pattern stands for nothing but what `evolift predict` wrote."""


class Spelt(NamedTuple):
    """What paths stand for.

    Args:
        inputs: to predict.
        notes: a sentence for each folder or pattern of which files were left out.
        problems: a sentence for each path that stands for nothing.
    """

    inputs: list[PredictionInput]
    notes: list[str]
    problems: list[str]


def prediction_inputs(paths: Sequence[Path], *, are_keypoints: bool = False) -> Spelt:
    """Files that paths stand for, in their order.

    Args:
        paths: files, folders (of images and videos, of OpenPose files, or of YOLO labels), and patterns such as `*.jpg`.
        are_keypoints: files that are neither images nor videos by their ending hold keypoints.

    What `evolift predict` itself wrote is left out of folders and patterns, which is noted.

    Raises:
        InputError: none of the paths stands for anything.
    """
    found: list[tuple[Kind, Path]] = []
    notes: list[str] = []
    problems: list[str] = []
    for path in paths:
        try:
            with reading(path):
                found += _spelt_out(path, notes, are_keypoints)
        except _OwnOutputError as error:
            notes.append(f"{error}.")
        except InputError as error:
            problems.append(str(error))
    if not found and (problems or notes):
        raise InputError("; ".join([*problems, *(note.rstrip(".") for note in notes)]))
    names = [path.name for _, path in found]
    inputs = [
        PredictionInput(kind, path, path.name if names.count(path.name) == 1 else str(path))
        for kind, path in found
    ]
    return Spelt(inputs, notes, problems)


def overlay_names(inputs: Sequence[PredictionInput]) -> list[str]:
    """NAME_overlay.png for each image and .mp4 for each video, with a number where names repeat."""
    names: dict[PredictionInput, str] = {}
    taken: set[str] = set()
    for one in inputs:
        ending = ".mp4" if one.kind == "video" else ".png"
        stem = shortened(one.path.stem)
        number, name = 1, f"{stem}{OVERLAY}{ending}"
        while name in taken:
            number += 1
            name = f"{stem}_{number}{OVERLAY}{ending}"
        taken.add(names.setdefault(one, name))
    return [names[one] for one in inputs]


def _spelt_out(path: Path, notes: list[str], are_keypoints: bool) -> list[tuple[Kind, Path]]:
    if path.is_dir():
        return _folder(path, notes, are_keypoints)
    if path.is_file():
        return [(_kind(path, are_keypoints), path)]
    require_regular_file(path)
    pattern = str(path.relative_to(path.anchor))
    matches = sorted(match for match in Path(path.anchor).glob(pattern) if match.is_dir() or match.is_file())
    if matches:
        found: list[tuple[Kind, Path]] = []
        for match in _without_own(path, matches, notes):
            try:
                found += _spelt_out(match, notes, are_keypoints)
            except _OwnOutputError as error:
                notes.append(f"{error}.")
        return found
    webcam = f"; for a webcam give `webcam` {path}" if str(path).isdigit() else ""
    raise InputError(f"{path}: there is no such file or folder{webcam}")


def _folder(path: Path, notes: list[str], are_keypoints: bool) -> list[tuple[Kind, Path]]:
    if next(path.glob(FILE_PATTERN), None) is not None:
        return [("keypoints", path)]
    endings = (*IMAGE_ENDINGS, *VIDEO_ENDINGS)
    files = sorted(entry for entry in path.iterdir() if entry.is_file())
    found = [entry for entry in files if entry.suffix.lower() in endings]
    if made_by(path) == COMMAND:
        found = _without_own(path, found, notes)
        return [(_kind(entry), entry) for entry in found]
    if (not found or are_keypoints) and label_files(path):
        return [("keypoints", path)]
    if not found:
        raise InputError(
            f"{path}: there are no images in this folder, nor videos, OpenPose files or YOLO labels ({', '.join(endings)}, {FILE_PATTERN} or .txt)"
        )
    if others := len(files) - len(found):
        of_endings = ", ".join(sorted({entry.suffix or entry.name for entry in files if entry not in found}))
        notes.append(
            f"{path}: {others} {'files were' if others > 1 else 'file was'} left out that by the ending is no image or video ({of_endings}); give keypoints by name."
        )
    return [(_kind(entry), entry) for entry in found]


def _without_own(given: Path, files: Sequence[Path], notes: list[str]) -> list[Path]:
    """Files of a folder or pattern without the overlays, page and record of earlier predictions, which is noted.

    Raises:
        _OwnOutputError: there are no others.
    """
    is_output = {folder: made_by(folder) == COMMAND for folder in {file.parent for file in files}}
    others = [file for file in files if not (is_output[file.parent] and _is_own(file))]
    left = len(files) - len(others)
    if not others:
        raise _OwnOutputError(
            f"{given}: `{COMMAND}` wrote what is there, so it is left out: give the images themselves"
        )
    if left:
        what = f"files that `{COMMAND}` wrote are" if left > 1 else f"file that `{COMMAND}` wrote is"
        notes.append(f"{given}: {left} {what} left out.")
    return others


def _is_own(file: Path) -> bool:
    return file.stem.endswith(OVERLAY) or file.name in (SETTINGS, PAGE)


def _kind(path: Path, are_keypoints: bool = False) -> Kind:
    ending = path.suffix.lower()
    if ending in KEYPOINT_ENDINGS:
        return "keypoints"
    if ending in VIDEO_ENDINGS:
        return "video"
    return "keypoints" if are_keypoints and ending not in IMAGE_ENDINGS else "image"
