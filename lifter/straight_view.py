"""What a camera would see that looked straight at the person: same centre and lens, rotated.

Its image is a homography of the true one, so nothing has to be known of depth; lens distortion is taken out on the way. A pose
in its frame is rotated back into that of the true camera. The virtual camera is panned about the true one's vertical axis
and then tilted, so that a level camera stays level. (The canonical domain of single-view lifting: with intrinsics known,
place in the image and lens say nothing of the pose.)
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from evolift.posedata.camera import unproject

_MORE_TURNS = 3
_MIN_COSINE = 0.05  # a joint nearly 90 degrees beside the virtual camera's axis has no place in its image


class Lens(NamedTuple):
    """What is known of the camera of each pair.

    Args:
        intrinsics: K, pixels.
        distortion: (k1, k2, p1, p2, k3); None for none.
    """

    intrinsics: Float[Tensor, "batch 3 3"]
    distortion: Float[Tensor, "batch 5"] | None = None

    def of_rows(self, rows: slice) -> Lens:
        """The lenses of some rows."""
        return Lens(self.intrinsics[rows], None if self.distortion is None else self.distortion[rows])


class StraightView(NamedTuple):
    """Joints as a camera sees them that looks straight at the middle of the person.

    Args:
        plane: x and y on its plane at depth 1.
        rotation: from its frame to that of the true camera.
        is_in_sight: whether one camera can see all labelled joints of the person.
    """

    plane: Float[Tensor, "batch joints 2"]
    rotation: Float[Tensor, "batch 3 3"]
    is_in_sight: Bool[Tensor, "batch"]


def seen_straight_on(
    pixels: Float[Tensor, "batch joints 2"], visibility: UInt8[Tensor, "batch joints"] | None, lens: Lens
) -> StraightView:
    """Turn the camera to the middle of the bounds of the labelled joints.

    Args:
        pixels: of the true image.
        visibility: 0 marks unlabelled joints; None if all are labelled.
        lens: of the true camera.
    """
    labelled = torch.ones_like(pixels[..., 0], dtype=torch.bool) if visibility is None else visibility > 0
    kind = exact_dtype(pixels.device)
    depth_one = pixels.new_ones(pixels.shape[:-1], dtype=kind)
    distortion = None if lens.distortion is None else lens.distortion.to(kind)
    rays = unproject(pixels.to(kind), depth_one, lens.intrinsics.to(kind), distortion)
    rotation = camera_from_virtual(_middle(rays, labelled))
    for _ in range(
        _MORE_TURNS
    ):  # what is the middle of the person changes a little with where the camera looks
        rotation = camera_from_virtual((rotation @ _middle(rays @ rotation, labelled)[..., None])[..., 0])
    rotated = rays @ rotation
    cosine = rotated[..., 2] / rotated.norm(dim=-1)
    plane = rotated[..., :2] / rotated[..., 2:].clamp(min=_MIN_COSINE)
    is_in_sight = ((cosine > _MIN_COSINE) | ~labelled).all(-1)
    return StraightView(plane.to(pixels.dtype), rotation.to(pixels.dtype), is_in_sight)


def camera_from_virtual(directions: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """Rotation from the frame of a camera that looks along each direction to the frame of the true camera.

    Its columns are the axes of the virtual camera: z along the direction, x horizontal (no y component).

    Args:
        directions: in the frame of the true camera, of any length, in front of it (z > 0).
    """
    forward = torch.nn.functional.normalize(directions, dim=-1)
    down = torch.zeros_like(forward)
    down[..., 1] = 1
    right = torch.nn.functional.normalize(torch.linalg.cross(down, forward), dim=-1)
    return torch.stack([right, torch.linalg.cross(forward, right), forward], -1)


def _middle(
    rays: Float[Tensor, "batch joints 3"], labelled: Bool[Tensor, "batch joints"]
) -> Float[Tensor, "batch 3"]:
    """Ray through the middle of the bounds of the labelled joints on the plane at depth 1."""
    plane = rays / rays[..., 2:].clamp(min=_MIN_COSINE)
    low = plane.masked_fill(~labelled[..., None], torch.inf).amin(-2)
    high = plane.masked_fill(~labelled[..., None], -torch.inf).amax(-2)
    return torch.where(labelled.any(-1, keepdim=True), (low + high) / 2, rays.new_tensor([0.0, 0.0, 1.0]))


def exact_dtype(device: torch.device) -> torch.dtype:
    """That rays are computed in: double precision, which Apple's GPUs (mps) do not have."""
    return torch.float32 if device.type == "mps" else torch.float64
