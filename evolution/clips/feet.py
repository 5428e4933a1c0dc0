r"""Feet that stand: where they do, bodies moved so that they still do, and what slides.

A foot stands between two frames if its ankle is within `HEIGHT` of where ankles are when they stand (the `FLOOR_SHARE` quantile of
both over the clip) in both, and moves no faster than `SPEED`. The speed is that of Rempe et al. 2021 (HuMoR: 5 mm in a frame of 30
a second; their ankles may be 80 mm above the ground, where ours are above standing ankles). Even a standing ankle moves: the
heel lifts before the toes do.

A child's legs, from whichever parent, reach elsewhere than before: bones of the limb or above it are others, or it is another
body's. So the root is moved until feet do what they do in the clip that gave the leg, in the direction that the child is headed:

.. math:: r(t+1) - r(t) = \operatorname{mean}_{f\ \mathrm{stands}} \big( R_t\, d_f(t) - (p_f(t+1) - p_f(t)) \big)

horizontally, with the way d of the foot in the giver, the rotation R by the child's heading, and the foot's place p relative to the child's root;
while none stands, the root goes on as in the parent whose body it is. Vertically feet are as high above the floor as they were, the
more so the lower:

.. math:: \Delta z = \sum_f w_f\, (z_0 + h_f - z_f) \Big/ \sum_f w_f, \qquad w_f = e^{-h_f / H}

with the height h of the foot in the giver, its height z in the child, the floor z_0, and H = `HEIGHT`. Two feet that cannot both stand
leave a rest: it is what slides, or stands too high or too low.

Reference: Kovar, Schreiner and Gleicher, Footskate cleanup for motion capture editing, SCA 2002.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from evolift.evolution.clips.resampling import values_at
from evolift.evolution.criteria.ground import FLOOR_SHARE
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.posedata.errors import InputError

HEIGHT = 50.0
"""mm."""
SPEED = 150.0
"""mm/s."""
FEET = ("left_ankle", "right_ankle")


@dataclass(frozen=True, eq=False)
class Feet:
    """What the two feet of clips do.

    Args:
        stands: from each frame to the next.
        passed: horizontal way since the first frame along the body's front and right, mm: a body that walks straight on and one that
            walks in a circle pass the same.
        height: of the ankle above standing ankles, mm.
    """

    stands: Bool[Tensor, "clips steps 2"]
    passed: Float[Tensor, "clips frames 2 2"]
    height: Float[Tensor, "clips frames 2"]

    def at(self, times: Float[Tensor, "clips frames"]) -> Feet:
        """The feet of clips at times between their frames."""
        middle = ((times[:, 1:] + times[:, :-1]) / 2).floor().long().clamp(0, self.stands.shape[1] - 1)
        stands = self.stands.gather(1, middle[..., None].expand(-1, -1, 2))
        return Feet(stands, values_at(self.passed, times), values_at(self.height, times))

    def scaled(self, scale: Float[Tensor, "clips"]) -> Feet:
        """The same feet of bodies whose legs are so many times as long."""
        return Feet(self.stands, self.passed * scale[:, None, None, None], self.height)

    def put(self, clips: Int64[Tensor, "k"], chosen: Bool[Tensor, "k 2"], others: Feet) -> Feet:
        """The same feet, but in some clips those of others where chosen."""
        parts = []
        for field in fields(self):
            ours, theirs = getattr(self, field.name), getattr(others, field.name)
            mask = chosen.reshape(-1, 1, 2, *[1] * (ours.ndim - 3))
            parts.append(ours.index_copy(0, clips, torch.where(mask, theirs, ours[clips])))
        return Feet(*parts)


@dataclass(frozen=True, eq=False)
class Footing:
    """How well the feet of clips stand.

    Args:
        slides: most that a standing foot moves from a frame to the next otherwise than in the giver, or beyond `SPEED` (the child may
            be faster), mm.
        sinks: most that it is above or below where it should be, mm.
    """

    slides: Float[Tensor, "clips"]
    sinks: Float[Tensor, "clips"]


def ankles_of(tree: KinematicTree) -> list[int]:
    """The joints that tell where feet are.

    Raises:
        InputError: the skeleton has none.
    """
    names = tree.skeleton.joints
    if not set(FEET) <= set(names):
        raise InputError(
            f"the skeleton {tree.skeleton.name} has no ankles, which clips need to stand on: convert the store (`skeleton` H36M17 of `evolift data select`)"
        )
    return [names.index(foot) for foot in FEET]


def standing_height(ankles: Float[Tensor, "clips frames 2 3"]) -> Float[Tensor, "clips"]:
    """How high ankles are when they stand, mm."""
    return ankles[..., 2].flatten(1).quantile(FLOOR_SHARE, 1)


def feet_of(
    joints: Float[Tensor, "clips frames joints 3"], tree: KinematicTree, frames_per_second: float
) -> Feet:
    """What the feet of clips do, mm, z up."""
    ankles = joints[:, :, ankles_of(tree)]
    height = ankles[..., 2] - standing_height(ankles)[:, None, None]
    low = height <= HEIGHT
    moved = ankles.diff(dim=1)
    stands = low[:, 1:] & low[:, :-1] & (moved.norm(dim=-1) * frames_per_second <= SPEED)
    passed = _turned(moved[..., :2], _headings(joints, tree)[:, :-1], back=True).cumsum(1)
    return Feet(stands, torch.nn.functional.pad(passed, (0, 0, 0, 0, 1, 0)), height)


def keep_feet(
    joints: Float[Tensor, "clips frames joints 3"],
    feet: Feet,
    floor: Float[Tensor, "clips"],
    tree: KinematicTree,
    frames_per_second: float,
) -> tuple[Float[Tensor, "clips frames joints 3"], Footing]:
    """Move the bodies of clips, frame by frame, so that feet do as they should.

    Args:
        joints: mm, z up.
        feet: what they should do.
        floor: height of standing ankles where the clip takes place, mm.
    """
    ankles = joints[:, :, ankles_of(tree)]
    wanted = _turned(feet.passed.diff(dim=1), _headings(joints, tree)[:, :-1])
    missing = wanted - ankles[..., :2].diff(dim=1)
    stands = feet.stands
    count = stands.sum(2).clamp_min(1)[..., None]
    step = (missing * stands[..., None]).sum(2) / count
    sideways = torch.nn.functional.pad(step.cumsum(1), (0, 0, 1, 0))
    rest = missing - step[:, :, None]
    too_fast = (wanted - rest).norm(dim=-1) - SPEED / frames_per_second
    slides = (torch.maximum(rest.norm(dim=-1), too_fast) * stands).amax((1, 2))

    height = floor[:, None, None] + feet.height
    rise = ((height - ankles[..., 2]) * torch.softmax(-feet.height / HEIGHT, 2)).sum(2)
    down = torch.nn.functional.pad(stands, (0, 0, 0, 1)) | torch.nn.functional.pad(stands, (0, 0, 1, 0))
    sinks = ((height - ankles[..., 2] - rise[..., None]).abs() * down).amax((1, 2))
    moved = joints + torch.cat([sideways, rise[..., None]], -1)[:, :, None]
    return moved, Footing(slides, sinks)


def slide_of(
    joints: Float[Tensor, "clips frames joints 3"], tree: KinematicTree, frames_per_second: float
) -> Float[Tensor, "clips"]:
    """Most that a standing foot of each clip moves along the floor from a frame to the next, mm."""
    stands = feet_of(joints, tree, frames_per_second).stands
    moved = joints[:, :, ankles_of(tree), :2].diff(dim=1).norm(dim=-1)
    most: Tensor = (moved * stands).amax((1, 2))
    return most


def _headings(
    joints: Float[Tensor, "clips frames joints 3"], tree: KinematicTree
) -> Float[Tensor, "clips frames"]:
    """Angle of the hip line about the vertical, radians."""
    left, right = (tree.skeleton.index(hip) for hip in tree.hips)
    across = joints[:, :, right] - joints[:, :, left]
    return torch.atan2(across[..., 1], across[..., 0])


def _turned(
    ways: Float[Tensor, "clips steps 2 2"], heading: Float[Tensor, "clips steps"], *, back: bool = False
) -> Float[Tensor, "clips steps 2 2"]:
    """Horizontal ways from the axes of bodies into those of the world, or back."""
    cosine, sine = torch.cos(heading)[..., None], torch.sin(heading)[..., None] * (-1 if back else 1)
    x, y = ways[..., 0], ways[..., 1]
    return torch.stack([cosine * x - sine * y, sine * x + cosine * y], -1)
