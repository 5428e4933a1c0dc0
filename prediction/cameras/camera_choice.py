"""Which camera a prediction takes its images to be of: given, told by the image, assumed, or unknown."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32, Shaped

from evolift.lifter.settings import CAMERA_NEEDED
from evolift.posedata.camera import Camera
from evolift.posedata.errors import InputError
from evolift.posedata.poses import NO_CAMERA
from evolift.prediction.cameras.exif_focal import exif_focal_length
from evolift.prediction.cameras.intrinsics_file import Intrinsics, read_intrinsics
from evolift.prediction.settings import CameraSettings

_MIDDLE = "its optical axis is taken to pass through the middle of the image"
ASSUMED = "The focal length is not known and was assumed to be the diagonal of the image, so that distances are rough."
_UNKNOWN = {
    "box": "The camera is unknown: poses are as if seen by one that looks straight at the person; size and place in the room are not known.",
    "screen": "The camera is taken to be like those that the lifter was trained with, and to have taken the whole image.",
}
RIG_LIFTER = (
    "The camera is unknown, and this lifter was trained for a known rig (normalisation `screen`): on photographs of other cameras "
    "thighs came out between 153 and 456 mm long. Train one by `evolift lifter train --for photos`, or use keypoint_lifter, which comes with evolift."
)
"""Said where a lifter of normalisation `screen` meets an unknown camera."""


class ChosenCamera(NamedTuple):
    """Camera of an image, None if it is unknown, and a sentence on where it comes from."""

    camera: Camera | None
    sentence: str


class KeypointCameras(NamedTuple):
    """Cameras of rows of keypoints.

    Args:
        cameras: one for each size of image.
        camera: index of each row's, `NO_CAMERA` (-1) for none.
        sentence: on where they come from.
    """

    cameras: tuple[Camera, ...]
    camera: Int32[np.ndarray, "rows"]
    sentence: str


def unknown_camera(normalisation: str) -> str:
    """What is said of unknown cameras, by the normalisation of the lifter.

    Raises:
        InputError: it needs a known one.
    """
    if normalisation == "camera":
        raise InputError(CAMERA_NEEDED)
    return _UNKNOWN[normalisation]


@dataclass(frozen=True)
class CameraRule:
    """How cameras are chosen: given intrinsics, else a given focal length, else the image's EXIF data, else assumed.

    Args:
        normalisation: of the lifter; tells what an unknown camera means.
        intrinsics: of all images.
        focal: focal length of all images, pixels.
        is_assumed: an unknown focal length is taken to be the image's diagonal (as CLIFF does, Li et al. 2022: a
            diagonal field of view of 53 degrees), and places in the room are told by it.
    """

    normalisation: str
    intrinsics: Intrinsics | None = None
    focal: float | None = None
    is_assumed: bool = False

    @classmethod
    def of_settings(cls, settings: CameraSettings, normalisation: str) -> CameraRule:
        """The rule of settings, for a lifter of a normalisation.

        Raises:
            InputError: the file of intrinsics is none.
        """
        path = settings.intrinsics
        intrinsics = None if path is None else read_intrinsics(Path(path))
        return cls(normalisation, intrinsics, settings.focal, settings.assume_camera)

    def of_image(self, size: tuple[int, int], label: str, path: Path | None = None) -> ChosenCamera:
        """The camera of an image or video.

        Args:
            size: (width, height), pixels.
            label: of the image, for messages.
            path: of an image file that may have EXIF data.

        Raises:
            InputError: the intrinsics are for images of another shape.
        """
        if self.intrinsics is not None:
            camera = self.intrinsics.camera(size, label)
            return ChosenCamera(camera, f"The camera is that of {self.intrinsics.source}.")
        if self.focal is not None:
            return _of_focal(
                self.focal, size, "focal length given", f"The focal length was given; {_MIDDLE}."
            )
        focal_length = exif_focal_length(path) if path is not None else None
        if focal_length is not None:
            sentence = f"The focal length is from the EXIF data of the image; {_MIDDLE}."
            return _of_focal(focal_length, size, "EXIF focal length", sentence)
        if self.is_assumed:
            return _of_focal(math.hypot(*size), size, "focal length assumed", ASSUMED)
        return ChosenCamera(None, unknown_camera(self.normalisation))

    def of_keypoints(self, sizes: Shaped[np.ndarray, "rows 2"], source: str) -> KeypointCameras:
        """Cameras of people in images of known size.

        Args:
            sizes: (width, height) of each row's image, 0 where it is not known.
            source: their file, for messages.

        Raises:
            InputError: a size is needed and not known, or of another shape than the intrinsics.
        """
        if self.intrinsics is None and self.focal is None and not self.is_assumed:
            return KeypointCameras(
                (), np.full(len(sizes), NO_CAMERA, np.int32), unknown_camera(self.normalisation)
            )
        if not (sizes > 0).all():
            raise InputError(
                f"{source} does not tell the size of its images, which the camera needs: give `image_size` WIDTH HEIGHT"
            )
        different, camera = np.unique(sizes, axis=0, return_inverse=True)
        chosen = [self.of_image((int(width), int(height)), source) for width, height in different]
        cameras = tuple(one.camera for one in chosen if one.camera is not None)
        return KeypointCameras(cameras, camera.reshape(-1).astype(np.int32), chosen[0].sentence)


def _of_focal(focal: float, size: tuple[int, int], name: str, sentence: str) -> ChosenCamera:
    return ChosenCamera(Camera.from_focal_length(focal, *size, name=name), sentence)
