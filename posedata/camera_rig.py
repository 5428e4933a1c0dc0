"""Cameras drawn at random around a person, batched: what pairs of 2D and 3D joints are made with.

Two rigs (`rig_settings`): `sample_ring` draws from the four cameras of Human3.6M's capture room, `sample_random` cameras
of any distance, height, tilt and focal length within ranges. World: millimetres, z up, the person near the origin. Pixels
and frames are those of `camera`. Everything random is drawn from the generator given, on the CPU.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from evolift.posedata.camera import Camera, project, world_to_camera
from evolift.posedata.rig_settings import RandomRig, RingRig

NEAREST_DEPTH = 500.0
"""No joint comes nearer to the image plane than this, mm: a camera that is too near is moved back."""


@dataclass(frozen=True, eq=False)
class CameraBatch:
    """Cameras, one per pose.

    Args:
        K: intrinsics, pixels.
        R, t: `x_camera = R @ x_world + t`, mm.
        size: (width, height) of the images, pixels.
        distortion: (k1, k2, p1, p2, k3); None for none.
    """

    K: Float[Tensor, "batch 3 3"]
    R: Float[Tensor, "batch 3 3"]
    t: Float[Tensor, "batch 3"]
    size: Float[Tensor, "batch 2"]
    distortion: Float[Tensor, "batch 5"] | None = None

    def __len__(self) -> int:
        return len(self.K)

    def __getitem__(self, which: Int64[Tensor, "chosen"]) -> CameraBatch:
        """The cameras of the chosen rows; rows may repeat."""
        distortion = None if self.distortion is None else self.distortion[which]
        return CameraBatch(self.K[which], self.R[which], self.t[which], self.size[which], distortion)

    def project(
        self, poses: Float[Tensor, "batch joints 3"]
    ) -> tuple[Float[Tensor, "batch joints 2"], Float[Tensor, "batch joints 3"]]:
        """Pixels, and joints in the camera frame (mm), of world joints (mm)."""
        in_camera = world_to_camera(poses, self.R, self.t)
        return project(in_camera, self.K, self.distortion), in_camera

    def with_mirrored_lenses(self, which: Bool[Tensor, "batch"]) -> CameraBatch:
        """The cameras of mirrored images, u -> width - 1 - u, for the chosen rows: X -> -X in their frame projects there."""
        K = self.K.clone()
        K[:, 0, 1] *= -1
        K[:, 0, 2] = self.size[:, 0] - 1 - K[:, 0, 2]
        distortion = self.distortion
        if distortion is not None:
            mirrored = distortion * distortion.new_tensor([1.0, 1.0, 1.0, -1.0, 1.0])
            distortion = torch.where(which[:, None], mirrored, distortion)
        return CameraBatch(
            torch.where(which[:, None, None], K, self.K), self.R, self.t, self.size, distortion
        )

    @staticmethod
    def concatenate(parts: Sequence[CameraBatch]) -> CameraBatch:
        """One after the other; cameras without distortion get zeros if others have any."""
        distortion = None
        if any(part.distortion is not None for part in parts):
            distortion = torch.cat(
                [
                    part.K.new_zeros(len(part), 5) if part.distortion is None else part.distortion
                    for part in parts
                ]
            )
        return CameraBatch(
            torch.cat([part.K for part in parts]),
            torch.cat([part.R for part in parts]),
            torch.cat([part.t for part in parts]),
            torch.cat([part.size for part in parts]),
            distortion,
        )

    @classmethod
    def of(cls, cameras: Sequence[Camera]) -> CameraBatch:
        """A batch of calibrated cameras, as float32 tensors."""

        def stacked(name: str) -> Tensor:
            return torch.tensor(np.stack([getattr(camera, name) for camera in cameras]), dtype=torch.float32)

        size = torch.tensor([[camera.width, camera.height] for camera in cameras], dtype=torch.float32)
        return cls(stacked("K"), stacked("R"), stacked("t"), size, stacked("distortion"))


def sample_ring(
    rig: RingRig,
    poses: Float[Tensor, "batch joints 3"],
    root: int,
    generator: torch.Generator,
    which: Int64[Tensor, "batch"] | None = None,
) -> CameraBatch:
    """A camera of the ring for each pose.

    Facts of Human3.6M's room, rounded: cameras 5.2 m (three of them) and 4.1 m from the middle, 1.5 to 1.6 m high, focal
    length 1145 px on images of 1000 x 1000 px, all looking at the middle, 0.9 m above the floor.

    Args:
        rig: where people stand in the ring, and whether it is rotated.
        poses: world joints, mm; only their place and extent matter.
        root: index of the root joint, which is brought over the ring's middle (plus a random offset).
        generator: of the draws.
        which: index of the camera for each pose, below `RING_CAMERAS`; drawn if None.
    """
    batch = len(poses)
    if which is None:
        which = torch.randint(RING_CAMERAS, (batch,), generator=generator)
    position = torch.tensor(_RING_POSITIONS, dtype=poses.dtype)[which]
    target = torch.tensor([0.0, 0.0, 900.0], dtype=poses.dtype).expand(batch, 3)
    if rig.rotate_ring:
        position = _rotated(position, 2 * math.pi * _uniform(batch, generator, poses.dtype))
    middle = _place(poses, root, rig.ring_radius, generator)
    size = torch.full((batch, 2), 1000.0, dtype=poses.dtype)
    focal = torch.full((batch,), 1145.0, dtype=poses.dtype)
    R, t = look_at_batched(position + middle, target + middle)
    return _kept_clear(poses, CameraBatch(_intrinsics(focal, size), R, t, size))


_RING_POSITIONS = (
    (1840.0, 4950.0, 1560.0),
    (1760.0, -4900.0, 1600.0),
    (-1850.0, 5200.0, 1490.0),
    (-1790.0, -3720.0, 1570.0),
)
RING_CAMERAS = len(_RING_POSITIONS)


def sample_random(
    rig: RandomRig, poses: Float[Tensor, "batch joints 3"], root: int, generator: torch.Generator
) -> CameraBatch:
    """A camera of any direction for each pose.

    Args:
        rig: the ranges.
        poses: world joints, mm.
        root: index of the root joint, which the cameras look at, but for pan and tilt.
        generator: of the draws.
    """
    batch, dtype = len(poses), poses.dtype

    def draw(bounds: tuple[float, float]) -> Tensor:
        return bounds[0] + (bounds[1] - bounds[0]) * _uniform(batch, generator, dtype)

    middle = poses[:, root]
    azimuth = 2 * math.pi * _uniform(batch, generator, dtype)
    distance, height = draw(rig.camera_distance), poses[..., 2].amin(-1) + draw(rig.camera_height)
    position = torch.stack(
        [
            middle[:, 0] + distance * azimuth.cos(),
            middle[:, 1] + distance * azimuth.sin(),
            height,
        ],
        -1,
    )
    R, t = look_at_batched(position, middle)
    angles = (torch.deg2rad(draw(bounds)) for bounds in (rig.camera_tilt, rig.camera_pan, rig.camera_roll))
    offset = euler_batched(*angles)
    R, t = offset @ R, (offset @ t[..., None])[..., 0]
    aspect = draw(rig.camera_aspect)
    size = 1000.0 * torch.stack([aspect.clamp(max=1), (1 / aspect).clamp(max=1)], -1).round(decimals=3)
    K = _intrinsics(1000.0 * draw(rig.camera_focal), size)
    return _kept_clear(poses, CameraBatch(K, R, t, size))


def look_at_batched(
    position: Float[Tensor, "batch 3"], target: Float[Tensor, "batch 3"]
) -> tuple[Float[Tensor, "batch 3 3"], Float[Tensor, "batch 3"]]:
    """R and t of upright cameras at `position` (world mm, z up) that look at `target`, not straight up or down."""
    forward = torch.nn.functional.normalize(target - position, dim=-1)
    up = torch.tensor([0.0, 0.0, 1.0], dtype=position.dtype).expand_as(forward)
    right = torch.nn.functional.normalize(torch.linalg.cross(forward, up), dim=-1)
    R = torch.stack([right, torch.linalg.cross(forward, right), forward], -2)
    return R, -(R @ position[..., None])[..., 0]


def euler_batched(
    about_x: Float[Tensor, "batch"], about_y: Float[Tensor, "batch"], about_z: Float[Tensor, "batch"]
) -> Float[Tensor, "batch 3 3"]:
    """Rotations Rz Ry Rx by angles in radians."""
    rotations = []
    for axis, angle in enumerate((about_x, about_y, about_z)):
        first, second = (axis + 1) % 3, (axis + 2) % 3
        R = torch.eye(3, dtype=angle.dtype).repeat(len(angle), 1, 1)
        R[:, first, first] = R[:, second, second] = angle.cos()
        R[:, second, first] = angle.sin()
        R[:, first, second] = -angle.sin()
        rotations.append(R)
    return rotations[2] @ rotations[1] @ rotations[0]


def _place(poses: Tensor, root: int, radius: float, generator: torch.Generator) -> Tensor:
    # The ring is moved instead of the person, which gives the same image and keeps the world joints.
    distance = radius * _uniform(len(poses), generator, poses.dtype).sqrt()
    angle = 2 * math.pi * _uniform(len(poses), generator, poses.dtype)
    offset = torch.stack([distance * angle.cos(), distance * angle.sin(), torch.zeros_like(angle)], -1)
    floor = torch.tensor([1.0, 1.0, 0.0], dtype=poses.dtype)
    return poses[:, root] * floor - offset


def _rotated(position: Tensor, angle: Tensor) -> Tensor:
    c, s = angle.cos(), angle.sin()
    x, y, z = position.unbind(-1)
    return torch.stack([c * x - s * y, s * x + c * y, z], -1)


def _intrinsics(focal: Tensor, size: Tensor) -> Tensor:
    K = torch.zeros(len(focal), 3, 3, dtype=focal.dtype)
    K[:, 0, 0] = K[:, 1, 1] = focal
    K[:, :2, 2] = (size - 1) / 2
    K[:, 2, 2] = 1
    return K


def _kept_clear(poses: Tensor, cameras: CameraBatch) -> CameraBatch:
    depth = world_to_camera(poses, cameras.R, cameras.t)[..., 2].amin(-1)
    t = cameras.t.clone()
    t[:, 2] += (NEAREST_DEPTH - depth).clamp(min=0)
    return CameraBatch(cameras.K, cameras.R, t, cameras.size)


def _uniform(batch: int, generator: torch.Generator, dtype: torch.dtype) -> Tensor:
    return torch.rand(batch, generator=generator, dtype=dtype)
