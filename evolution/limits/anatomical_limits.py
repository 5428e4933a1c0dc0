"""Joint-angle limits from the clinical literature.

Clinicians measure one plane at a time. A ball joint's range becomes a region on the sphere of directions: a few
measured extreme directions, joined around the middle of the range. Elbow and knee are hinges: a largest flexion,
a little hyperextension, and the plane of flexion bounded by the axial rotation of the limb above. Left is the mirror
image of right. A head with a nose (H36M17) is limited in its own frame: the line from thorax to head tilts as the neck does,
the face rotates about it, and the angle at the nose stays that of a head.

The ranges and their sources are in `evolift.evolution.limits.ranges_of_motion`.

Tolerances: clinical values are means of a population, standard deviations are 6 to 12 degrees, and torso axes drawn
through joint centres differ from a goniometer's by some degrees. `BALL_TOLERANCE` is two standard deviations of a
typical joint; hinges, which share no torso frame, get a little more than one.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from evolift.evolution.kinematics.direction import cross, dot
from evolift.evolution.kinematics.head_frame import HeadFrame, head_frame, nose_and_head
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.kinematics.local_bones import LocalBones, numbers, picked
from evolift.evolution.limits.joint_limits import JointLimits
from evolift.evolution.limits.ranges_of_motion import (
    COLLAR,
    ELBOW,
    HEAD_BEND,
    HEAD_ROTATION,
    HIP,
    KNEE,
    LIFTED,
    NECK,
    NOSE,
    SHOULDER,
    TRUNK,
    TRUNK_TWIST,
    BallRange,
    HingeRange,
)
from evolift.posedata.skeleton import ROOT

BALL_TOLERANCE = 15.0
HINGE_TOLERANCE = 10.0
FADE = (60.0, 110.0)
"""Elevations of the upper limb, degrees, between which the zero of axial rotation changes: see `_axial_zero`."""
AZIMUTHS = 720
"""Steps in which the border of a region is tabulated (half a degree)."""


class AnatomicalLimits(JointLimits):
    """Ranges of motion of healthy adults, built in; for any skeleton with a kinematic tree.

    Trunk, neck, head, collar bones, upper arms, forearms, thighs and shins are limited as far as the skeleton
    has them; face, hands and feet are not.

    Attributes:
        ball_bones, hinge_bones: numbers of the bones that hang on ball joints and on hinges.
    """

    name = "anatomical"

    def __init__(self, tree: KinematicTree) -> None:
        super().__init__(tree)
        balls = _ball_ranges(tree)
        hinges = _hinge_ranges(tree)
        self._limited = tuple(bone in balls or bone in hinges for bone in range(len(tree.names)))
        self.ball_bones = list(balls)
        sides = [_side(tree, bone) for bone in balls]
        self._axes = torch.stack(
            [_region_axes(ball, side) for ball, side in zip(balls.values(), sides, strict=True)]
        ).permute(1, 2, 0)
        self._borders = torch.stack([_border(ball, BALL_TOLERANCE) for ball in balls.values()]).cos()
        self._head = nose_and_head(tree)
        self.hinge_bones = list(hinges)
        self._hinges = torch.tensor(
            [_hinge_constants(hinge, _side(tree, bone)) for bone, hinge in hinges.items()]
        ).T

    @property
    def limited(self) -> tuple[bool, ...]:
        """All bones but those of face, hands, feet and pelvis."""
        return self._limited

    def check_local(self, local: LocalBones) -> Bool[Tensor, "*batch bones"]:
        """For each of the measured local bones whether it keeps its limit, (..., bones)."""
        batch = local.lengths.shape[:-1]
        planes = local.directions.reshape(-1, *local.directions.shape[-2:]).permute(2, 1, 0)
        verdict = torch.ones(planes.shape[1:], dtype=torch.bool, device=planes.device)
        balls, hinges = tuple(self.ball_bones), tuple(self.hinge_bones)
        turned = picked(planes, balls)
        if self._head is not None:
            frame = head_frame(self.tree, local)
            turned = turned.clone()
            turned[:, self.ball_bones.index(self._head[1])] = frame.up
        verdict.index_copy_(0, numbers(balls, planes.device), self.in_ball_ranges(turned))
        if self._head is not None:
            verdict[self._head[0]] &= _faces_forward(frame)
            verdict[self._head[1]] &= _is_head(frame)
        carriers = tuple(self.tree.parents[bone] for bone in hinges)
        bent = self.in_hinge_ranges(picked(planes, hinges), picked(planes, carriers))
        verdict.index_copy_(0, numbers(hinges, planes.device), bent)
        verdict[self.tree.trunk[-1]] &= _untwisted(local.upper.reshape(-1, 3, 3))
        return verdict.T.reshape(*batch, -1)

    def in_ball_ranges(self, directions: Float[Tensor, "3 balls n"]) -> Bool[Tensor, "balls n"]:
        """Whether local directions of `ball_bones` lie in their ranges; of a head with a nose, that of the line to its top."""
        axes = self._axes.to(directions)
        a, b, along = (dot(axes[axis][..., None], directions) for axis in range(3))
        step = ((torch.atan2(b, a) / (2 * math.pi) + 0.5) * AZIMUTHS).long().clamp_(0, AZIMUTHS - 1)
        inside: Tensor = along >= self._borders.to(directions).gather(1, step)
        return inside

    def in_hinge_ranges(
        self, directions: Float[Tensor, "3 hinges n"], carriers: Float[Tensor, "3 hinges n"]
    ) -> Bool[Tensor, "hinges n"]:
        """Whether local directions of `hinge_bones` lie in their ranges; `carriers` are those of the limbs above."""
        constants = self._hinges.to(directions)[..., None]
        least_extension, straight, side, forward, lateral, medial, lifted = constants
        rests = self.tree.rest_directions[[self.tree.parents[bone] for bone in self.hinge_bones]]
        elevation = torch.arccos(-carriers[2].clamp(-1, 1))
        rotation = _axial_zero(carriers, rests.T[:, :, None].to(carriers), elevation)
        cosine, sine = torch.cos(rotation), torch.sin(rotation)
        x = directions[0] * cosine + directions[1] * sine
        y = directions[1] * cosine - directions[0] * sine
        extension = -directions[2]
        inward = medial + (lifted - medial) * _share(elevation, *map(math.radians, LIFTED))
        # The middle of the flexion plane's range, and half of it.
        middle, half = (lateral - inward) / 2, ((lateral + inward) / 2).clamp(max=math.pi)
        along = x * side * torch.sin(middle) + y * forward * torch.cos(middle)
        in_plane = along >= torch.cos(half) * torch.sqrt(x * x + y * y)
        inside: Tensor = (extension >= straight) | (in_plane & (extension >= least_extension))
        return inside


def _axial_zero(
    limb: Float[Tensor, "3 hinges n"], rest: Float[Tensor, "3 hinges 1"], elevation: Float[Tensor, "hinges n"]
) -> Float[Tensor, "hinges n"]:
    r"""Rotation from the carried frame to the frame in which clinicians measure axial rotation, radians.

    They call that rotation zero which brings the limb from hanging straight to its place: parallel transport
    from straight down, which is singular straight up. Our frame is transported from `rest`. Both differ by the area of the
    spherical triangle (down, rest, limb), :math:`2 \mathrm{atan2}(d \cdot (r \times u), 1 + d r + r u + u d)`.
    The clinical zero holds up to `FADE[0]` of elevation, ours from `FADE[1]` on, smoothly between.
    """
    down = torch.tensor([0.0, 0.0, -1.0]).to(limb)[:, None, None]
    area = 2 * torch.atan2(
        dot(cross(down, rest), limb), 1 + dot(down, rest) + dot(rest, limb) + dot(limb, down)
    )
    return area * (1 - _share(elevation, *map(math.radians, FADE)))


def _share(value: Float[Tensor, "hinges n"], start: float, end: float) -> Float[Tensor, "hinges n"]:
    """0 up to `start`, 1 from `end` on, smoothly between."""
    share = ((value - start) / (end - start)).clamp(0, 1)
    smooth: Tensor = share * share * (3 - 2 * share)
    return smooth


def _faces_forward(frame: HeadFrame) -> Bool[Tensor, "n"]:
    across, forward, _ = frame.level_face
    limit = math.cos(math.radians(HEAD_ROTATION + BALL_TOLERANCE))
    # NaN, a face whose top of the head is unlabelled, looks anywhere.
    aside: Tensor = forward < limit * torch.sqrt(across * across + forward * forward)
    return ~aside


def _is_head(frame: HeadFrame) -> Bool[Tensor, "n"]:
    least, most = HEAD_BEND
    bend = frame.bend
    return (bend <= math.cos(math.radians(least - HINGE_TOLERANCE))) & (
        bend >= math.cos(math.radians(most + HINGE_TOLERANCE))
    )


def _untwisted(upper: Float[Tensor, "n 3 3"]) -> Bool[Tensor, "n"]:
    across = upper[:, :2, 0]
    limit = math.cos(math.radians(TRUNK_TWIST + BALL_TOLERANCE))
    return across[:, 0] >= limit * torch.sqrt((across * across).sum(-1))


def _ball_ranges(tree: KinematicTree) -> dict[int, BallRange]:
    ranges = dict.fromkeys(tree.trunk, TRUNK)
    for bone, (name, parent) in enumerate(zip(tree.names, tree.parents, strict=True)):
        if name == "nose" and nose_and_head(tree) is not None:
            ranges[bone] = NOSE
        elif name in ("neck", "upper_neck", "head", "head_top"):
            ranges.setdefault(bone, NECK)
        elif name in tree.shoulders:
            ranges[bone] = COLLAR
        elif parent != ROOT and tree.names[parent] in tree.shoulders:
            ranges[bone] = SHOULDER
        elif parent != ROOT and tree.names[parent] in tree.hips:
            ranges[bone] = HIP
    return ranges


def _hinge_ranges(tree: KinematicTree) -> dict[int, HingeRange]:
    ranges = {}
    for bone, parent in enumerate(tree.parents):
        above = tree.parents[parent] if parent != ROOT else ROOT
        if above != ROOT and tree.names[above] in tree.shoulders:
            ranges[bone] = ELBOW
        elif above != ROOT and tree.names[above] in tree.hips:
            ranges[bone] = KNEE
    return ranges


def _side(tree: KinematicTree, bone: int) -> int:
    """+1 on the right and in the middle, -1 on the left."""
    return -1 if tree.is_left(bone) else 1


def _region_axes(ball: BallRange, side: int) -> Float[Tensor, "3 3"]:
    """Rows: two axes across the middle of the range, and the middle; mirrored on the left."""
    middle = torch.tensor(ball.middle, dtype=torch.float64)
    middle = middle / middle.norm()
    spare = torch.tensor([0.0, 0.0, 1.0] if abs(middle[2]) < 0.9 else [0.0, 1.0, 0.0], dtype=torch.float64)
    first = spare - middle * spare.dot(middle)
    first = first / first.norm()
    axes = torch.stack([first, torch.linalg.cross(middle, first), middle])
    return (axes * torch.tensor([side, 1, 1])).float()


def _border(ball: BallRange, tolerance: float) -> Float[Tensor, "azimuths"]:
    """Largest angle from the middle of the range for each step of azimuth around it, radians.

    Between extremes the angle is interpolated linearly over the azimuth.
    """
    axes = _region_axes(ball, 1).double()
    extremes = torch.tensor([extreme.direction(ball.neutral) for extreme in ball.extremes]).double()
    a, b, along = (extremes @ axes.T).unbind(-1)
    azimuth, order = torch.atan2(b, a).sort()
    angle = torch.arccos(along.clamp(-1, 1))[order]
    azimuth = torch.cat([azimuth[-1:] - 2 * math.pi, azimuth, azimuth[:1] + 2 * math.pi])
    angle = torch.cat([angle[-1:], angle, angle[:1]])
    steps = (torch.arange(AZIMUTHS, dtype=torch.float64) + 0.5) / AZIMUTHS * 2 * math.pi - math.pi
    after = torch.searchsorted(azimuth, steps).clamp(1, len(azimuth) - 1)
    share = (steps - azimuth[after - 1]) / (azimuth[after] - azimuth[after - 1])
    border = angle[after - 1] + share * (angle[after] - angle[after - 1])
    return (border + math.radians(tolerance)).clamp(max=math.pi).float()


def _hinge_constants(hinge: HingeRange, side: int) -> list[float]:
    """Cosines of the largest flexion and of straight; the sides of the flexion plane's range, and how far it reaches, radians."""
    reach = [hinge.lateral, hinge.medial, hinge.medial_lifted]
    return [
        math.cos(math.radians(hinge.flexion + HINGE_TOLERANCE)),
        math.cos(math.radians(hinge.hyperextension + HINGE_TOLERANCE)),
        side,
        hinge.forward,
        *(math.radians(degrees + BALL_TOLERANCE) for degrees in reach),
    ]
