"""What a lifter is fed: 2D joints in pixels brought to numbers of order one, by a named rule.

`screen`: divided by the image's width, x / w * 2 - 1 and y / w * 2 - h / w, as VideoPose3D and SemGCN do. The place
and size of the person in the image stay visible to the lifter, so it is for the camera that it was trained with.

`box`: the middle of the bounding box of the person's labelled joints becomes 0 and half of its longer side 1. It is
computed from the joints themselves, so the answer is the same for any crop, shift or scale of the image: for
photographs of unknown camera. The answer is in the frame of a camera that looks straight at the middle of the person, which is as much
as such input tells. Where the camera is known, the input is what that camera sees, and the answer is rotated into the frame of the true
one (`evolift.lifter.straight_view`), as in training. (Lifters that take or give depth alone are not turned: theirs is the true frame.)

`camera`: as a camera sees the joints that looks straight at the middle of the person, in multiples of a quarter of its focal length:
intrinsics and lens distortion are taken out, the person's place in the image too, while the size in view, which tells the distance, stays.
The answer is rotated back as that of `box`: for cameras of known intrinsics, whatever the lens and the place that the lifter was trained
with.

In all an unlabelled joint becomes (0, 0), the middle. A third input axis, depth from a volumetric detector, is
in millimetres relative to the root and becomes metres. All is differentiable in the joints.
"""

from __future__ import annotations

from typing import get_args

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from evolift.lifter.settings import CAMERA_NEEDED, Normalisation
from evolift.lifter.straight_view import Lens, seen_straight_on
from evolift.posedata.errors import InputError

MM_PER_M = 1000.0
_PER_FOCAL_LENGTH = 4.0
"""Makes a person of 1.7 m 3.4 m away two units high, so that numbers are of order one."""


def normalise(
    joints: Float[Tensor, "*batch joints axes"],
    visibility: UInt8[Tensor, "*batch joints"] | None,
    image_size: Float[Tensor, "*#batch 2"] | None,
    how: str,
) -> Float[Tensor, "*batch joints axes"]:
    """Input of a lifter from joints in pixels.

    Args:
        joints: (x, y) in pixels, and millimetres of depth relative to the root if there is a third axis.
        visibility: 0 marks unlabelled joints; None if all are labelled.
        image_size: (width, height) in pixels; only `screen` needs it.
        how: the rule.

    Raises:
        InputError: there is no such rule, or it needs what is not given: `screen` an image size, and `camera` a camera (`turned` gives both
            input and rotation).
    """
    labelled = torch.ones_like(joints[..., 0], dtype=torch.bool) if visibility is None else visibility > 0
    if how == "screen":
        if image_size is None:
            raise InputError("the normalisation 'screen' needs the image size in pixels")
        plane = screen(joints[..., :2], image_size)
    elif how == "box":
        plane = box(joints[..., :2], labelled)
    elif how == "camera":
        raise InputError(CAMERA_NEEDED)
    else:
        raise InputError(
            f"there is no normalisation {how!r}: choose one of {', '.join(get_args(Normalisation))}"
        )
    normalised = torch.cat([plane, joints[..., 2:] / MM_PER_M], -1)
    return torch.where(labelled[..., None], normalised, 0.0)


def turned(
    joints: Float[Tensor, "batch joints 2"],
    visibility: UInt8[Tensor, "batch joints"] | None,
    lens: Lens,
    how: str,
) -> tuple[Float[Tensor, "batch joints 2"], Float[Tensor, "batch 3 3"]]:
    """Input of a lifter of a rule that turns the camera, and the rotation from the frame of its answer to that of the camera.

    Of people whose joints no one camera can see the input is 0, and the rotation NaN, which makes the answer NaN and the target unlabelled.

    Args:
        joints: (x, y) in pixels.
        visibility: 0 marks unlabelled joints; None if all are labelled.
        lens: of their cameras.
        how: the rule, `camera` or `box`.
    """
    view = seen_straight_on(joints, visibility, lens)
    labelled = torch.ones_like(joints[..., 0], dtype=torch.bool) if visibility is None else visibility > 0
    plane = view.plane * _PER_FOCAL_LENGTH if how == "camera" else box(view.plane, labelled)
    in_sight = view.is_in_sight[:, None, None]
    return (
        torch.where(labelled[..., None] & in_sight, plane, 0.0),
        torch.where(in_sight, view.rotation, torch.nan),
    )


def screen(
    joints: Float[Tensor, "*batch joints 2"], image_size: Float[Tensor, "*#batch 2"]
) -> Float[Tensor, "*batch joints 2"]:
    """Pixels over half the image's width, (0, 0) in the middle of the image."""
    width = image_size[..., None, :1]
    return joints * (2 / width) - image_size[..., None, :] / width


def box(
    joints: Float[Tensor, "*batch joints 2"], labelled: Bool[Tensor, "*batch joints"]
) -> Float[Tensor, "*batch joints 2"]:
    """Pixels relative to the bounding box of the labelled joints: its middle is 0, half its longer side 1.

    A person without extent (one labelled joint, or all in one place) becomes all 0.
    """
    infinity = torch.tensor(float("inf"), dtype=joints.dtype, device=joints.device)
    low = torch.where(labelled[..., None], joints, infinity).amin(-2, keepdim=True)
    high = torch.where(labelled[..., None], joints, -infinity).amax(-2, keepdim=True)
    nobody = ~labelled.any(-1)[..., None, None]
    low, high = low.masked_fill(nobody, 0.0), high.masked_fill(nobody, 0.0)
    half = ((high - low) / 2).amax(-1, keepdim=True)
    scale = torch.where(half > 0, half, torch.ones_like(half))
    return (joints - (low + high) / 2) / scale
