"""Bodies of the built-in actors: the bone lengths of some men and women of different build.

The lengths are means of motion-captured adults (CMU, H36M17 joints), scaled by stature and by the proportions of
each body. Left and right bones of a body are equally long. Nothing here knows of motion or of rendering.
"""

from __future__ import annotations

from dataclasses import dataclass

from evolift.posedata.errors import InputError
from evolift.posedata.mean_lengths import MEAN_LENGTHS

NECK_LENGTH, SKULL_LENGTH = 142.0, 98.0
"""Of the mean body in mm, also from motion capture (CMU)."""


@dataclass(frozen=True)
class Body:
    """One actor's build.

    Args:
        name: the subject's label.
        is_male: only told to users; the lengths say it all.
        scale: stature relative to the mean body.
        legs, arms, trunk, shoulders, hips: length or width relative to the mean body of that stature.
    """

    name: str
    is_male: bool
    scale: float
    legs: float = 1.0
    arms: float = 1.0
    trunk: float = 1.0
    shoulders: float = 1.0
    hips: float = 1.0

    @property
    def neck(self) -> float:
        """From the thorax joint to the base of the skull, mm."""
        return NECK_LENGTH * self.scale

    @property
    def skull(self) -> float:
        """From the base of the skull to the top of the head, mm."""
        return SKULL_LENGTH * self.scale

    def length(self, bone: str) -> float:
        """Length in mm of the bone that ends at the joint `bone`, named without its side."""
        factor = {
            "hip": self.hips,
            "knee": self.legs,
            "ankle": self.legs,
            "spine": self.trunk,
            "thorax": self.trunk,
            "shoulder": self.shoulders,
            "elbow": self.arms,
            "wrist": self.arms,
        }.get(bone, 1.0)
        return MEAN_LENGTHS[bone] * self.scale * factor


BODIES: dict[str, Body] = {
    body.name: body
    for body in (
        Body("F1", False, 0.96, legs=1.01, arms=0.97, trunk=0.99, shoulders=0.93, hips=1.04),
        Body("F2", False, 0.91, legs=0.97, arms=0.96, trunk=1.03, shoulders=0.92, hips=1.07),
        Body("F3", False, 1.01, legs=1.05, arms=0.99, trunk=0.97, shoulders=0.95, hips=1.02),
        Body("F4", False, 0.94, legs=0.99, arms=1.01, trunk=1.00, shoulders=0.96, hips=1.09),
        Body("F5", False, 0.98, legs=1.03, arms=0.98, trunk=0.96, shoulders=0.91, hips=1.00),
        Body("M1", True, 1.03, legs=1.00, arms=1.02, trunk=1.00, shoulders=1.05, hips=0.98),
        Body("M2", True, 1.08, legs=1.03, arms=1.04, trunk=0.98, shoulders=1.06, hips=0.97),
        Body("M3", True, 0.99, legs=0.97, arms=1.00, trunk=1.04, shoulders=1.03, hips=1.00),
        Body("M4", True, 1.05, legs=1.05, arms=1.05, trunk=0.96, shoulders=1.01, hips=0.95),
        Body("M5", True, 1.01, legs=0.98, arms=0.98, trunk=1.02, shoulders=1.09, hips=1.02),
    )
}
"""The built-in bodies by subject label: F women, M men."""


def body_by_name(name: str) -> Body:
    """One of the built-in bodies.

    Raises:
        InputError: there is none of that name.
    """
    if name not in BODIES:
        raise InputError(f"there is no built-in subject {name!r}: choose from {', '.join(BODIES)}")
    return BODIES[name]
