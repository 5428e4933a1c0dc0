"""Calibration files of Skeletool (`camera.calibration` of MPI-INF-3DHP): blocks of name, size, intrinsic and extrinsic.

Intrinsic and extrinsic are 4x4 matrices row by row; the extrinsic takes a point of the world (mm) into the camera's
frame. The world of these files has y up; here it has z up.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from evolift.posedata.camera import Camera
from evolift.posedata.errors import InputError, reason_of, within

_HEADER = "Skeletool Camera Calibration File"
# (x, y, z) of a world with y up from (x, -z, y) of one with z up.
_Y_UP_FROM_Z_UP = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
_SIZES = {"size": 2, "intrinsic": 16, "extrinsic": 16, "radial": 1}


def read_skeletool_cameras(path: Path, prefix: str) -> dict[str, Camera]:
    """Cameras by their names, in the order of the file.

    Args:
        path: of the file.
        prefix: put before the names that the cameras get.

    Raises:
        InputError: it is not such a file, or a camera has lens distortion, which these files give in a form of their own.
    """
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({reason_of(error)}): copy it again") from None
    if not lines or not lines[0].startswith(_HEADER):
        raise InputError(f"{path} does not start with {_HEADER!r}: give camera.calibration of the data set")
    blocks: dict[str, dict[str, np.ndarray]] = {}
    name = ""
    for number, line in enumerate(lines[1:], start=2):
        words = line.split()
        if words[:1] == ["name"] and len(words) == 2:
            name = words[1]
            if name in blocks:
                raise InputError(f"{path}, line {number}: camera {name} is there twice: copy it again")
            blocks[name] = {}
        elif words and words[0] in _SIZES and name:
            blocks[name][words[0]] = _numbers(words, f"{path}, line {number}")
    if not blocks:
        raise InputError(f"{path} holds no cameras: copy it again")
    return {
        name: _camera(block, f"{path}, camera {name}", f"{prefix}{name}") for name, block in blocks.items()
    }


def _numbers(words: list[str], where: str) -> np.ndarray:
    try:
        numbers = np.array([float(word) for word in words[1:]])
    except ValueError:
        numbers = np.empty(0)
    if len(numbers) != _SIZES[words[0]] or not np.isfinite(numbers).all():
        raise InputError(f"{where}: {words[0]} must be {_SIZES[words[0]]} numbers: copy the file again")
    return numbers


def _camera(block: dict[str, np.ndarray], where: str, name: str) -> Camera:
    missing = [word for word in ("size", "intrinsic", "extrinsic") if word not in block]
    if missing:
        raise InputError(f"{where} has no {missing[0]}: copy the file again")
    if block.get("radial", np.zeros(1))[0] != 0:
        raise InputError(f"{where} has radial distortion, which is not known here: give the original file")
    K = block["intrinsic"].reshape(4, 4)[:3, :3]
    extrinsic = block["extrinsic"].reshape(4, 4)
    width, height = (int(side) for side in block["size"])
    with within(where):
        return Camera(K, width, height, extrinsic[:3, :3] @ _Y_UP_FROM_Z_UP, extrinsic[:3, 3], name=name)
