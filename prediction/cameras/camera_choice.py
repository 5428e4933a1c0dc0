"""Which camera a prediction takes its pictures to be of: given, told by the picture, assumed, or unknown."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32, Shaped

from evolift.posedata.camera import Camera
from evolift.posedata.errors import InputError
from evolift.posedata.poses import NO_CAMERA
from evolift.prediction.cameras.exif_focal import exif_focal_length
from evolift.prediction.cameras.intrinsics_file import Intrinsics

_MIDDLE = "its optical axis is taken to pass through the middle of the picture"
ASSUMED = "The focal length is not known and was assumed to be the diagonal of the picture, so that distances are rough."
MOST_FOCAL = 1e6
"""Pixels; a longer lens sees less than a person."""
UNKNOWN = {
    "box": "The camera is unknown: poses are as if seen by one that looks straight at the person; size and place in the room are not known.",
    "screen": "The camera is taken to be like those that the lifter was trained with, and to have taken the whole picture.",
}
"""What is said of unknown cameras, by the normalisation of the lifter."""


class ChosenCamera(NamedTuple):
    """Camera of a picture, None if it is unknown, and a sentence on where it comes from."""

    camera: Camera | None
    sentence: str


class KeypointCameras(NamedTuple):
    """Cameras of rows of keypoints.

    Args:
        cameras: one for each size of picture.
        camera: index of each row's, `NO_CAMERA` (-1) for none.
        sentence: on where they come from.
    """

    cameras: tuple[Camera, ...]
    camera: Int32[np.ndarray, "rows"]
    sentence: str


@dataclass(frozen=True)
class CameraRule:
    """How cameras are chosen: given intrinsics, else a given focal length, else the picture's EXIF data, else assumed.

    Args:
        normalisation: of the lifter; tells what an unknown camera means.
        intrinsics: of all pictures.
        focal: focal length of all pictures, pixels.
        is_assumed: an unknown focal length is taken to be the picture's diagonal (as CLIFF does, Li et al. 2022: a
            diagonal field of view of 53 degrees), and places in the room are told by it.

    Raises:
        InputError: both intrinsics and focal length are given, or the focal length is below 1 or above `MOST_FOCAL`.
    """

    normalisation: str
    intrinsics: Intrinsics | None = None
    focal: float | None = None
    is_assumed: bool = False

    def __post_init__(self) -> None:
        if self.intrinsics is not None and self.focal is not None:
            raise InputError("the focal length is in the intrinsics already: give --intrinsics or --focal")
        if self.focal is not None and not 1 <= self.focal <= MOST_FOCAL:
            raise InputError(
                f"--focal must be between 1 and {MOST_FOCAL:.0f} pixels, not {self.focal:g}: the picture's width is a common size"
            )

    def of_picture(self, size: tuple[int, int], label: str, path: Path | None = None) -> ChosenCamera:
        """The camera of a picture or video.

        Args:
            size: (width, height), pixels.
            label: of the picture, for messages.
            path: of a picture file that may have EXIF data.

        Raises:
            InputError: the intrinsics are for pictures of another shape.
        """
        if self.intrinsics is not None:
            camera = self.intrinsics.camera(size, label)
            return ChosenCamera(camera, f"The camera is that of {self.intrinsics.source}.")
        if self.focal is not None:
            return _of_focal(
                self.focal, size, "focal length given", f"The focal length was given; {_MIDDLE}."
            )
        told = exif_focal_length(path) if path is not None else None
        if told is not None:
            sentence = f"The focal length is from the EXIF data of the picture; {_MIDDLE}."
            return _of_focal(told, size, "EXIF focal length", sentence)
        if self.is_assumed:
            return _of_focal(math.hypot(*size), size, "focal length assumed", ASSUMED)
        return ChosenCamera(None, UNKNOWN[self.normalisation])

    def of_keypoints(self, sizes: Shaped[np.ndarray, "rows 2"], source: str) -> KeypointCameras:
        """Cameras of people in pictures of known size.

        Args:
            sizes: (width, height) of each row's picture, 0 where it is not known.
            source: their file, for messages.

        Raises:
            InputError: a size is needed and not known, or of another shape than the intrinsics.
        """
        if self.intrinsics is None and self.focal is None and not self.is_assumed:
            return KeypointCameras((), np.full(len(sizes), NO_CAMERA, np.int32), UNKNOWN[self.normalisation])
        if not (sizes > 0).all():
            raise InputError(
                f"{source} does not tell the size of its pictures, which the camera needs: give --image-size WIDTH HEIGHT"
            )
        different, camera = np.unique(sizes, axis=0, return_inverse=True)
        chosen = [self.of_picture((int(width), int(height)), source) for width, height in different]
        cameras = tuple(one.camera for one in chosen if one.camera is not None)
        return KeypointCameras(cameras, camera.reshape(-1).astype(np.int32), chosen[0].sentence)


def _of_focal(focal: float, size: tuple[int, int], name: str, sentence: str) -> ChosenCamera:
    return ChosenCamera(Camera.from_focal_length(focal, *size, name=name), sentence)
