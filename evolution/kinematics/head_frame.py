"""The frame of the head, of the three joints that H36M17 has there: thorax, nose and head (the top).

The nose bone (thorax to nose) and the head bone (nose to top) hang on one rigid head, which the neck tilts and rotates. Told in
the trunk's frame each of the two points almost anywhere; told by the head's frame the nose is always in front.

Axes, right-handed: z from the thorax to the top of the head, y the direction of the face (towards the nose, square to z), x to
the person's right. Singular when nose, thorax and top lie on one line, which no head does: the axes then fall back on the
trunk's and stay finite.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from evolift.evolution.kinematics.direction import cross, dot, swing, unit
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.kinematics.local_bones import LocalBones, head_in_torso_frame, numbers

_UP, _FORWARD = (0.0, 0.0, 1.0), (0.0, 1.0, 0.0)


@dataclass(frozen=True, eq=False)
class HeadFrame:
    """Heads in the frame of the upper torso (x to the person's right, y forward, z up), as planes.

    Args:
        axes: x, y and z of the head's frame, as columns.
        nose, head: unit directions of the two bones.
    """

    axes: Float[Tensor, "3 3 n"]
    nose: Float[Tensor, "3 n"]
    head: Float[Tensor, "3 n"]

    @property
    def up(self) -> Float[Tensor, "3 n"]:
        """From the thorax to the top of the head."""
        return self.axes[:, 2]

    @property
    def bend(self) -> Float[Tensor, "n"]:
        """Cosine of the angle at the nose by which the head bone leaves the nose bone's direction."""
        return dot(self.nose, self.head)

    @property
    def level_face(self) -> Float[Tensor, "3 n"]:
        """The direction of the face with the tilt of the head undone: its angle to y is the rotation of the head."""
        rest = torch.tensor(_UP).to(self.up)[:, None]
        return swing(self.axes[:, 1], self.up, rest)


def nose_and_head(tree: KinematicTree) -> tuple[int, int] | None:
    """The bones of a head with a nose: one on the joint where the shoulders branch off, the other on its end; None without."""
    if not {"nose", "head"} <= set(tree.names):
        return None
    nose, head = tree.names.index("nose"), tree.names.index("head")
    hangs_so = tree.parents[head] == nose and tree.parents[nose] == tree.trunk[-1]
    return (nose, head) if hangs_so else None


def head_frame(tree: KinematicTree, local: LocalBones) -> HeadFrame:
    """The heads of measured poses.

    Args:
        tree: one for which `nose_and_head` is not None.
        local: one batch axis.
    """
    bones = nose_and_head(tree)
    assert bones is not None  # the caller asked
    nose, head = head_in_torso_frame(tree, local, *bones)
    lengths = local.lengths.reshape(-1, local.lengths.shape[-1]).T.index_select(
        0, numbers(bones, nose.device)
    )
    fallback = torch.tensor([_UP, _FORWARD]).to(nose)[..., None]
    up, _ = unit(nose * lengths[0] + head * lengths[1], fallback[0])
    face, _ = unit(nose - up * dot(up, nose), fallback[1] - up * dot(up, fallback[1]))
    # A second pass makes the axes perpendicular to rounding error even when the nose is nearly on the line.
    face, _ = unit(face - up * dot(up, face), face)
    return HeadFrame(torch.stack([cross(face, up), face, up], 1), nose, head)
