"""What the inputs of a prediction are: pictures, videos or files of keypoints; folders and patterns spelt out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from posedata.errors import InputError
from posedata.keypoint_formats.keypoint_files import SUFFIXES as KEYPOINT_ENDINGS
from posedata.keypoint_formats.openpose_keypoints import FILE_PATTERN

PICTURE_ENDINGS = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
VIDEO_ENDINGS = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv")

Kind = Literal["picture", "video", "keypoints"]


class PredictionInput(NamedTuple):
    """One thing to predict.

    Args:
        kind: told from the ending; a file of unknown ending counts as a picture.
        path: of the file, or of the folder of OpenPose files.
        label: its name, or its path if another input has the same name.
    """

    kind: Kind
    path: Path
    label: str


def prediction_inputs(paths: Sequence[Path]) -> list[PredictionInput]:
    """Files that paths stand for, in their order.

    Args:
        paths: files, folders (of pictures and videos, or of OpenPose files), and patterns such as `*.jpg`.

    Raises:
        InputError: there is nothing of that name, or a folder holds nothing to predict.
    """
    found = [entry for path in paths for entry in _spelt_out(path)]
    names = [path.name for _, path in found]
    return [
        PredictionInput(kind, path, path.name if names.count(path.name) == 1 else str(path))
        for kind, path in found
    ]


def overlay_names(inputs: Sequence[PredictionInput]) -> list[str]:
    """NAME_overlay.png for each picture and .mp4 for each video, with a number where names repeat."""
    names: dict[PredictionInput, str] = {}
    taken: set[str] = set()
    for one in inputs:
        ending = ".mp4" if one.kind == "video" else ".png"
        number, name = 1, f"{one.path.stem}_overlay{ending}"
        while name in taken:
            number += 1
            name = f"{one.path.stem}_{number}_overlay{ending}"
        taken.add(names.setdefault(one, name))
    return [names[one] for one in inputs]


def _spelt_out(path: Path) -> Iterator[tuple[Kind, Path]]:
    if path.is_dir():
        yield from _folder(path)
    elif path.is_file():
        yield _kind(path), path
    elif matches := sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor)))):
        for match in matches:
            yield from _spelt_out(match)
    else:
        raise InputError(f"{path}: there is no such file or folder")


def _folder(path: Path) -> Iterator[tuple[Kind, Path]]:
    if next(path.glob(FILE_PATTERN), None) is not None:
        yield "keypoints", path
        return
    endings = (*PICTURE_ENDINGS, *VIDEO_ENDINGS)
    found = sorted(entry for entry in path.iterdir() if entry.suffix.lower() in endings)
    if not found:
        raise InputError(
            f"{path}: there are no pictures in this folder, nor videos or OpenPose files ({', '.join(endings)} or {FILE_PATTERN})"
        )
    for entry in found:
        yield _kind(entry), entry


def _kind(path: Path) -> Kind:
    ending = path.suffix.lower()
    if ending in KEYPOINT_ENDINGS:
        return "keypoints"
    return "video" if ending in VIDEO_ENDINGS else "picture"
