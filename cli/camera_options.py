"""The options of `evolift predict` and `evolift app` that say which camera pictures are of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import rich_click as click

from evolift.cli.options import ExistingFile, Function

if TYPE_CHECKING:
    from evolift.prediction.cameras.camera_choice import CameraRule

_OPTIONS: list[Callable[[Any], Any]] = [
    click.option(
        "--intrinsics",
        type=ExistingFile,
        help="Camera of all pictures: JSON with K or fx, fy, cx, cy (pixels), and if known distortion, width and height.",
    ),
    click.option("--focal", type=float, metavar="PX", help="Focal length of all pictures, in pixels."),
    click.option(
        "--assume-camera",
        is_flag=True,
        help="Where the camera is not known, take the focal length to be the picture's diagonal, and tell places by it.",
    ),
]


def camera_options(function: Function) -> Function:
    """`--intrinsics`, `--focal` and `--assume-camera`; see `camera_rule`."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def camera_rule(options: Mapping[str, Any], normalisation: str) -> CameraRule:
    """What the options say.

    Args:
        options: of the command.
        normalisation: of the lifter.

    Raises:
        InputError: the options do not fit each other, or the file of intrinsics is none.
    """
    from evolift.prediction.cameras.camera_choice import CameraRule
    from evolift.prediction.cameras.intrinsics_file import read_intrinsics

    path = options["intrinsics"]
    return CameraRule(
        normalisation,
        read_intrinsics(path) if path else None,
        options["focal"],
        options["assume_camera"],
    )
