"""Skeletons that turn on a page, and films beside them: `turning_poses.js` draws them, this makes its elements and data.

Poses and films of a page that are shown together run by one clock, so that a film's frame and its pose belong together.
The mouse turns a skeleton, a button stops all movement, and nobody who asked their system for less motion is shown any.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float, UInt8

from evolift.drawing.colours import hexadecimal, joint_colours
from evolift.drawing.pose_figure import upright
from evolift.posedata.image_file import image_url
from evolift.posedata.skeleton import H36M17, Skeleton

SCRIPT = Path(__file__).with_name("turning_poses.js").read_text(encoding="utf-8")
DATA_ID = "turning-poses"
JPEG_QUALITY = 82


@dataclass(frozen=True, eq=False)
class TurningPose:
    """A pose, or frames of a motion, as a skeleton that turns about the vertical.

    Args:
        frames: millimetres.
        caption: below it.
        frame: of the joints: camera (y down, z forward) or world (z up).
        frames_per_second: of a motion.
        skeleton: of the joints.

    Raises:
        ValueError: the joints do not fit the skeleton, or are not finite.
    """

    frames: Float[np.ndarray, "frames joints 3"]
    caption: str = ""
    frame: Literal["camera", "world"] = "camera"
    frames_per_second: float = 10.0
    skeleton: Skeleton = H36M17

    def __post_init__(self) -> None:
        if self.frames.ndim != 3 or self.frames.shape[1:] != (len(self.skeleton), 3) or not len(self.frames):
            raise ValueError(
                f"frames must have shape (frames, {len(self.skeleton)}, 3) (got {self.frames.shape})"
            )
        if not np.isfinite(self.frames).all():
            raise ValueError("joints of a turning pose must be finite")

    def data(self) -> dict[str, object]:
        """What the script draws: joints in whole millimetres, z up, about the middle of the motion."""
        points = upright(self.frames, self.frame)
        middle = (points.min((0, 1)) + points.max((0, 1))) / 2
        return {
            "frames": np.rint(points - middle).astype(int).tolist(),
            "rate": self.frames_per_second,
            "bones": self.skeleton.bones,
            "colours": [hexadecimal(colour) for colour in joint_colours(self.skeleton)],
        }


@dataclass(frozen=True, eq=False)
class Film:
    """Images one after the other.

    Args:
        images: RGB, all of one size.
        caption: below it.
        frames_per_second: of the film.
    """

    images: Sequence[UInt8[np.ndarray, "height width 3"]]
    caption: str = ""
    frames_per_second: float = 10.0

    def data(self) -> dict[str, object]:
        """What the script shows: data URLs."""
        return {
            "images": [image_url(image, quality=JPEG_QUALITY) for image in self.images],
            "rate": self.frames_per_second,
        }


def panel(shown: TurningPose | Film, number: int) -> str:
    """The element of one pose or film; `number` is its place in the page's data."""
    caption = html.escape(shown.caption)
    if isinstance(shown, Film):
        height, width = shown.images[0].shape[:2]
        first = image_url(shown.images[0], quality=JPEG_QUALITY)
        inside = (
            f'<img data-turning="{number}" src="{first}" width="{width}" height="{height}" alt="{caption}">'
        )
    else:
        inside = f'<canvas data-turning="{number}" role="img" aria-label="{caption}"></canvas>'
    return f"<figure>{inside}<figcaption>{caption}</figcaption></figure>"
