"""Where upper arms, forearms, thighs and shins point, left ones folded onto right ones, and how densely.

Directions are those of `evolift.evolution.kinematics.local_bones`: upper arms and thighs in the frames of the torso, forearms and
shins in that of the limb above. Folded, +x is outward, +y forward and +z up; for a forearm or a shin -z is a straight
elbow or knee.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.kinematics.local_bones import LocalBones

SPREAD = 10.0
"""Standard deviation of the kernel that densities are smoothed with, degrees."""


def limb_bones(tree: KinematicTree) -> dict[str, tuple[int, int]]:
    """The left and the right bone of each limb that the skeleton has: `upper_arm`, `forearm`, `thigh`, `shin`."""
    limbs = {}
    for names, joints in ((("upper_arm", "forearm"), tree.shoulders), (("thigh", "shin"), tree.hips)):
        above = [tree.bone(joint) for joint in joints]
        for name in names:
            if not all(bone in tree.parents for bone in above):
                break
            above = [tree.parents.index(bone) for bone in above]
            limbs[name] = (above[0], above[1])
    return limbs


def end_names(limb: str) -> tuple[tuple[str, str, str], tuple[str, str, str]]:
    """What the positive and the negative ends of a limb's axes are called."""
    if limb in ("forearm", "shin"):
        return ("out", "front", "folded"), ("in", "back", "straight")
    return ("out", "front", "up"), ("in", "back", "down")


def folded(bones: LocalBones, pair: tuple[int, int]) -> Float[Tensor, "both 3"]:
    """Directions of the left bone of a pair, mirrored, then those of the right one.

    Args:
        bones: one batch axis.
        pair: left and right bone.
    """
    left, right = (bones.directions[:, bone] for bone in pair)
    return torch.cat([left * left.new_tensor([-1.0, 1.0, 1.0]), right])


def nearness(
    places: Float[Tensor, "places 3"], directions: Float[Tensor, "n 3"], *, spread: float = SPREAD
) -> Float[Tensor, "places n"]:
    r"""Kernel of von Mises and Fisher over that of the uniform density: its mean over directions is their density at each place.

    .. math:: \frac{2 \kappa}{1 - e^{-2\kappa}} e^{\kappa (x^\top d - 1)}, \qquad \kappa = 1 / \sigma^2

    The density is 1 everywhere if all directions are equally frequent.

    Args:
        places: where it is asked for, unit vectors.
        directions: unit vectors.
        spread: sigma, degrees.
    """
    concentration = 1 / math.radians(spread) ** 2
    scale = 2 * concentration / -math.expm1(-2 * concentration)
    return scale * torch.exp(concentration * (places @ directions.T - 1))
