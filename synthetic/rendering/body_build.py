"""What the parts of a rendered person share: the build, and the directions of hips and chest in a pose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from evolift.posedata.nose import head_of_nose
from evolift.posedata.skeleton import H36M17
from evolift.synthetic.rendering.surface_grid import Point, cross, square_to, unit

PELVIS, SPINE, THORAX, NOSE, HEAD = (
    H36M17.index(name) for name in ("pelvis", "spine", "thorax", "nose", "head")
)


@dataclass(frozen=True)
class Build:
    """Thickness of a person's parts, relative to the mean; 1 everywhere is a slim adult.

    Args:
        limbs: girth of arms and legs.
        belly, chest, hips: girth of the trunk at three heights.
        shoulders: thickness of the shoulders.
        head: size of the head.
        hair_length: 0 none beyond the scalp, 1 down to the shoulder blades.
        sleeve, trouser: how far the cloth stands off the skin, mm.
        skirt: place on the legs where a skirt ends (1 at the knees), 0 for none.
        skirt_flare: how far it opens towards its end.
    """

    limbs: float = 1.0
    belly: float = 1.0
    chest: float = 1.0
    hips: float = 1.0
    shoulders: float = 1.0
    head: float = 1.0
    hair_length: float = 0.0
    sleeve: float = 6.0
    skirt: float = 0.0
    skirt_flare: float = 0.3
    trouser: float = 8.0


@dataclass(frozen=True, eq=False)
class BodyFrame:
    """What the parts of a pose share: left, up and front of hips, chest and head, unit vectors, and the base of the skull."""

    left_hips: Point
    up_hips: Point
    front_hips: Point
    left_chest: Point
    up_chest: Point
    front_chest: Point
    left_head: Point
    up_head: Point
    front_head: Point
    skull: Point

    @classmethod
    def of(cls, joints: Float[np.ndarray, "17 3"]) -> BodyFrame:
        """The body frame of one pose of H36M17 joints."""
        hips = unit(joints[H36M17.index("left_hip")] - joints[H36M17.index("right_hip")])
        shoulders = unit(joints[H36M17.index("left_shoulder")] - joints[H36M17.index("right_shoulder")])
        up_hips = square_to(joints[SPINE] - joints[PELVIS], hips, np.array([0.0, 0.0, 1.0]))
        up_chest = square_to(joints[THORAX] - joints[SPINE], shoulders, up_hips)
        skull, left, up = head_of_nose(joints[THORAX], joints[NOSE], joints[HEAD])
        return cls(
            hips,
            up_hips,
            cross(hips, up_hips),
            shoulders,
            up_chest,
            cross(shoulders, up_chest),
            left,
            up,
            cross(left, up),
            skull,
        )
