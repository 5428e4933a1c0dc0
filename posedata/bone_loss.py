"""The loss on bones that detector, lifter and chain share (row B of the report's table)."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from evolift.posedata.skeleton import Skeleton


def bone_loss(
    prediction: Float[Tensor, "batch joints axes"],
    target: Float[Tensor, "batch joints axes"],
    skeleton: Skeleton,
    weight: Float[Tensor, "batch joints axes"] | None = None,
) -> Float[Tensor, "batch"]:
    r"""L1 distance between bone vectors, from a joint to its parent, in the unit of the joints.

    .. math:: L_B = \sum_k \| \hat B_k - B_k \|_1, \qquad B_k = J_{parent(k)} - J_k

    Args:
        prediction, target: joints; with one axis, depth alone.
        skeleton: of the joints.
        weight: 1 where a coordinate is known, else 0; a bone's counts when both of its ends are known. All if None.

    Returns:
        Of each pose, summed over bones and axes.
    """
    parents, children = (list(ends) for ends in zip(*skeleton.bones, strict=True))
    difference = prediction - target
    bones = (difference[:, parents] - difference[:, children]).abs()
    if weight is not None:
        bones = bones * weight[:, parents] * weight[:, children]
    return bones.sum((1, 2))
