"""Intrinsics of a user's camera, from a JSON file.

The file is an object with `K` (three rows of three numbers, pixels) or `fx`, `fy`, `cx` and `cy`; and if known
`distortion` (k1, k2, p1, p2 and maybe k3, OpenCV's order), `width` and `height` of the images that they were
calibrated with, and `name`. One camera of a header of predictions is such an object.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from evolift.posedata.camera import Camera
from evolift.posedata.checked_json import expect, number, number_table, read_json, whole_number
from evolift.posedata.errors import InputError

_SAME_SHAPE = 0.01
_NUM_DISTORTION = 5
_KEYS = {"K", "fx", "fy", "cx", "cy", "distortion", "width", "height", "name"}


@dataclass(frozen=True, eq=False)
class Intrinsics:
    """Of one camera.

    Args:
        K: pixels, the centre of the top-left one is (0, 0).
        distortion: (k1, k2, p1, p2, k3).
        size: (width, height) of the images that K is for, None if the file does not tell.
        source: the file.
    """

    K: Float[np.ndarray, "3 3"]
    distortion: Float[np.ndarray, "5"]
    size: tuple[int, int] | None
    source: str

    def camera(self, size: tuple[int, int], label: str) -> Camera:
        """The camera for images of a size (width, height): K is scaled if they are smaller or larger.

        Args:
            size: of the images, pixels.
            label: of the image, for messages.

        Raises:
            InputError: they have another shape than the calibrated ones, or K is no camera matrix.
        """
        K = self.K.copy()
        if self.size is not None and self.size != size:
            scale = np.array(size) / np.array(self.size)
            if abs(scale[0] / scale[1] - 1) > _SAME_SHAPE:
                raise InputError(
                    f"{label} has {size[0]} x {size[1]} pixels, {self.source} is for {self.size[0]} x {self.size[1]}: give the intrinsics of this shape of image"
                )
            # Pixel centres: the middle of the top-left pixel is (0, 0) at every size.
            half = np.array([[0, 0, 0.5], [0, 0, 0.5]])
            K[:2] = np.diag(scale) @ (K[:2] + half) - half
        try:
            return Camera(K, *size, distortion=self.distortion, name=self.source)
        except InputError as error:
            raise InputError(f"{self.source}: {error}") from None


def read_intrinsics(path: Path) -> Intrinsics:
    """The intrinsics of a file.

    Raises:
        InputError: it is damaged, something is missing, or it is no camera.
    """
    values = expect(read_json(path), dict, str(path))
    unknown = sorted(values.keys() - _KEYS)
    if unknown:
        raise InputError(f"{path}: {unknown[0]!r} is not known: give {', '.join(sorted(_KEYS))}")
    distortion = expect(values.get("distortion", [0.0] * _NUM_DISTORTION), list, f"{path}: distortion")
    if len(distortion) not in (_NUM_DISTORTION - 1, _NUM_DISTORTION):
        raise InputError(
            f"{path}: distortion must be k1, k2, p1, p2 and maybe k3, has {len(distortion)} numbers"
        )
    distortion = [*distortion, 0.0][:_NUM_DISTORTION]
    size = None
    if "width" in values or "height" in values:
        width, height = (
            whole_number(values.get(side), f"{path}: {side}", below=2**31) for side in ("width", "height")
        )
        size = (width, height)
    found = Intrinsics(
        _matrix(path, values),
        number_table([distortion], _NUM_DISTORTION, [f"{path}: distortion"])[0],
        size,
        path.name,
    )
    K = found.K
    if abs(K[2] - [0, 0, 1]).max() > 1e-9 or K[1, 0] != 0:
        raise InputError(f"{path}: K must be [[fx, skew, cx], [0, fy, cy], [0, 0, 1]]")
    found.camera(size or (1, 1), str(path))
    return found


def _matrix(path: Path, values: dict[str, Any]) -> Float[np.ndarray, "3 3"]:
    if "K" in values:
        matrix = number_table(expect(values["K"], list, f"{path}: K"), 3, f"{path}: K")
        if matrix.shape != (3, 3):
            raise InputError(f"{path}: K must have three rows of three numbers")
        return matrix
    if missing := [name for name in ("fx", "fy", "cx", "cy") if name not in values]:
        raise InputError(f"{path} lacks {missing[0]!r}: give K, or fx, fy, cx and cy, in pixels")
    fx, fy, cx, cy = (number(values[name], f"{path}: {name}") for name in ("fx", "fy", "cx", "cy"))
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
