"""A loss on bones that differ between the sides of the body. In the unit of the joints."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from evolift.posedata.errors import InputError
from evolift.posedata.skeleton import Skeleton


def symmetry_loss(prediction: Float[Tensor, "batch joints 3"], skeleton: Skeleton) -> Float[Tensor, "batch"]:
    r"""Difference in length between the bones of the left and of the right side.

    .. math:: L_S = \sum_{(l, r)} \big| \|\hat B_l\| - \|\hat B_r\| \big|

    over the pairs of bones that are each other's mirror image. It needs no labels.

    Args:
        prediction: joints.
        skeleton: of the joints.

    Returns:
        Of each pose, summed over the pairs.

    Raises:
        InputError: no bone of the skeleton has a mirror image.
    """
    pairs = mirror_bones(skeleton)
    if not pairs:
        raise InputError(f"{skeleton.name} has no bones on both sides: train without a symmetry loss")
    left, right = (_lengths(prediction, [pair[side] for pair in pairs]) for side in (0, 1))
    return (left - right).abs().sum(1)


def mirror_bones(skeleton: Skeleton) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Pairs of bones, each (parent, child), that are each other's mirror image; each pair once."""
    mirror = skeleton.mirror
    return [
        ((parent, child), (mirror[parent], mirror[child]))
        for parent, child in skeleton.bones
        if child < mirror[child] and (mirror[parent], mirror[child]) in skeleton.bones
    ]


def _lengths(joints: Tensor, bones: list[tuple[int, int]]) -> Float[Tensor, "batch bones"]:
    parents, children = (list(ends) for ends in zip(*bones, strict=True))
    lengths: Tensor = torch.linalg.vector_norm(joints[:, parents] - joints[:, children], dim=-1)
    return lengths
