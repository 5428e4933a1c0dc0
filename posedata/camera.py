"""One pinhole camera with lens distortion, and the projection of points through it.

Conventions are OpenCV's. World: millimetres, z up. Camera frame: millimetres, x right, y down, z forward;
`x_camera = R @ x_world + t`. Pixels: (u, v) = (column, row), the centre of the top-left pixel is (0, 0).
Distortion is (k1, k2, p1, p2, k3): radial and tangential, in OpenCV's order.

The free functions take torch tensors with any leading batch dimensions that broadcast, and are differentiable;
`Camera` holds one calibrated camera as numpy values.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from evolift.posedata.errors import InputError

UNDISTORT_ITERATIONS = 20
_MOST = 1e9
"""Of the size of a number that tells something of a camera: a thousand kilometres, if it is mm."""


def world_to_camera(
    points: Float[Tensor, "*#batch points 3"],
    rotation: Float[Tensor, "*#batch 3 3"],
    translation: Float[Tensor, "*#batch 3"],
) -> Float[Tensor, "... points 3"]:
    """World points (mm) in the frame of a camera with `x_camera = rotation @ x_world + translation`."""
    return points @ rotation.transpose(-1, -2) + translation[..., None, :]


def camera_to_world(
    points: Float[Tensor, "*#batch points 3"],
    rotation: Float[Tensor, "*#batch 3 3"],
    translation: Float[Tensor, "*#batch 3"],
) -> Float[Tensor, "... points 3"]:
    """Inverse of `world_to_camera`."""
    return (points - translation[..., None, :]) @ rotation


def distort(
    points: Float[Tensor, "*#batch points 2"], distortion: Float[Tensor, "*#batch 5"]
) -> Float[Tensor, "... points 2"]:
    r"""Brown-Conrady distortion of ideal image-plane coordinates x/z, y/z.

    .. math:: x' = x (1 + k_1 r^2 + k_2 r^4 + k_3 r^6) + 2 p_1 x y + p_2 (r^2 + 2 x^2)

    and likewise for y (OpenCV, calib3d).
    """
    k1, k2, p1, p2, k3 = distortion[..., None, :].unbind(-1)
    x, y = points.unbind(-1)
    r2 = x * x + y * y
    radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
    return torch.stack(
        [
            x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
            y * radial + 2 * p2 * x * y + p1 * (r2 + 2 * y * y),
        ],
        -1,
    )


def undistort(
    points: Float[Tensor, "*#batch points 2"], distortion: Float[Tensor, "*#batch 5"]
) -> Float[Tensor, "... points 2"]:
    """Inverse of `distort` by fixed-point iteration, as OpenCV's undistortPoints does."""
    k1, k2, p1, p2, k3 = distortion[..., None, :].unbind(-1)
    ideal = points
    for _ in range(UNDISTORT_ITERATIONS):
        x, y = ideal.unbind(-1)
        r2 = x * x + y * y
        radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        tangential = torch.stack(
            [2 * p1 * x * y + p2 * (r2 + 2 * x * x), 2 * p2 * x * y + p1 * (r2 + 2 * y * y)], -1
        )
        ideal = (points - tangential) / radial[..., None]
    return ideal


def project(
    points: Float[Tensor, "*#batch points 3"],
    intrinsics: Float[Tensor, "*#batch 3 3"],
    distortion: Float[Tensor, "*#batch 5"] | None = None,
) -> Float[Tensor, "... points 2"]:
    """Pixels of points in the camera frame (mm, z > 0). Points behind the camera give meaningless pixels."""
    plane = points[..., :2] / points[..., 2:]
    if distortion is not None:
        plane = distort(plane, distortion)
    ones = torch.ones_like(plane[..., :1])
    return (torch.cat([plane, ones], -1) @ intrinsics.transpose(-1, -2))[..., :2]


def unproject(
    pixels: Float[Tensor, "*#batch points 2"],
    depth: Float[Tensor, "*#batch points"],
    intrinsics: Float[Tensor, "*#batch 3 3"],
    distortion: Float[Tensor, "*#batch 5"] | None = None,
) -> Float[Tensor, "... points 3"]:
    """Camera-frame points (mm) at the given depths (mm, along z); inverse of `project`."""
    fx, skew, cx = (intrinsics[..., 0, column, None] for column in range(3))
    fy, cy = (intrinsics[..., 1, column, None] for column in (1, 2))
    y = (pixels[..., 1] - cy) / fy
    x = (pixels[..., 0] - cx - skew * y) / fx
    plane = torch.stack([x, y], -1)
    if distortion is not None:
        plane = undistort(plane, distortion)
    plane = plane * depth[..., None]
    return torch.cat([plane, depth[..., None].expand_as(plane[..., :1])], -1)


@dataclass(frozen=True, eq=False)
class Camera:
    """One calibrated camera.

    Args:
        K: intrinsics in pixels.
        width, height: image size in pixels.
        R, t: `x_camera = R @ x_world + t`, t in millimetres. Identity and zero when the world is the camera frame.
        distortion: (k1, k2, p1, p2, k3).
        name: what the data set calls it.

    Raises:
        InputError: a value is not finite, a shape is wrong, R is not a rotation, or a size is not positive.
    """

    K: Float[np.ndarray, "3 3"]
    width: int
    height: int
    R: Float[np.ndarray, "3 3"] = field(default_factory=lambda: np.eye(3))
    t: Float[np.ndarray, "3"] = field(default_factory=lambda: np.zeros(3))
    distortion: Float[np.ndarray, "5"] = field(default_factory=lambda: np.zeros(5))
    name: str = ""

    def __post_init__(self) -> None:
        for label, shape in (("K", (3, 3)), ("R", (3, 3)), ("t", (3,)), ("distortion", (5,))):
            value = np.asarray(getattr(self, label), np.float64)
            if value.shape != shape:
                raise InputError(f"camera {self.name!r}: {label} must have shape {shape}, has {value.shape}")
            if not np.isfinite(value).all():
                raise InputError(f"camera {self.name!r}: {label} has values that are not finite")
            if (np.abs(value) > _MOST).any():
                raise InputError(f"camera {self.name!r}: {label} has values beyond {_MOST:g}")
            object.__setattr__(self, label, value)
        if not np.allclose(self.R @ self.R.T, np.eye(3), atol=1e-4) or np.linalg.det(self.R) < 0:
            raise InputError(
                f"camera {self.name!r}: R is not a rotation (its rows must be orthonormal, det +1)"
            )
        if self.width <= 0 or self.height <= 0:
            raise InputError(f"camera {self.name!r}: image size {self.width}x{self.height} is not positive")
        if self.K[0, 0] <= 0 or self.K[1, 1] <= 0:
            raise InputError(f"camera {self.name!r}: focal lengths must be positive")

    @classmethod
    def from_focal_length(cls, focal: float, width: int, height: int, **rest: object) -> Camera:
        """Camera without distortion whose principal point is the middle of the image."""
        K = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
        return cls(K, width, height, **rest)  # type: ignore[arg-type]  # checked by __post_init__

    @property
    def position(self) -> Float[np.ndarray, "3"]:
        """Where the camera stands in the world, mm."""
        position: np.ndarray = -self.R.T @ self.t
        return position

    def to_camera(self, points: Float[np.ndarray, "*batch 3"]) -> Float[np.ndarray, "*batch 3"]:
        """World points (mm) in this camera's frame."""
        in_camera: np.ndarray = points @ self.R.T.astype(points.dtype) + self.t.astype(points.dtype)
        return in_camera

    def to_world(self, points: Float[np.ndarray, "*batch 3"]) -> Float[np.ndarray, "*batch 3"]:
        """Camera-frame points (mm) in the world."""
        in_world: np.ndarray = (points - self.t.astype(points.dtype)) @ self.R.astype(points.dtype)
        return in_world

    def project(self, points: Float[np.ndarray, "*batch 3"]) -> Float[np.ndarray, "*batch 2"]:
        """Pixels of world points (mm), with this camera's distortion, in the dtype of `points`."""
        flat = torch.from_numpy(self.to_camera(points.astype(np.float64)).reshape(-1, 3))
        pixels = project(flat, torch.from_numpy(self.K), torch.from_numpy(self.distortion))
        return pixels.numpy().reshape(*points.shape[:-1], 2).astype(points.dtype)


def look_at(
    position: Float[np.ndarray, "3"], target: Float[np.ndarray, "3"], *, roll: float = 0.0
) -> tuple[Float[np.ndarray, "3 3"], Float[np.ndarray, "3"]]:
    """R and t of an upright camera at `position` (world mm, z up) that looks at `target`.

    Args:
        position, target: world points, mm; the line between them must not be vertical.
        roll: rotation about the optical axis, radians; positive rotates the image clockwise.

    Raises:
        InputError: the camera would look straight up or down, or stands on its target.
    """
    forward = np.asarray(target, np.float64) - np.asarray(position, np.float64)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    if np.linalg.norm(right) < 1e-9 * max(1.0, float(np.linalg.norm(forward))):
        raise InputError("look_at: the camera must not stand on, above or below its target")
    forward, right = forward / np.linalg.norm(forward), right / np.linalg.norm(right)
    down = np.cross(forward, right)
    c, s = np.cos(roll), np.sin(roll)
    R = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.stack([right, down, forward])
    return R, -R @ position
