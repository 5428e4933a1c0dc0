r"""How fast, and how suddenly, bodies move: limits fitted to clips, each part of the body for itself.

.. math:: \omega_b(t) = f\, |u_b(t+1) - u_b(t)|, \qquad \alpha_b(t) = f^2\, |u_b(t+1) - 2 u_b(t) + u_b(t-1)|

with f frames per second and the direction u of bone b in its local frame: angular velocity (rad/s) and acceleration (rad/s^2), by
chords, which are no longer than the arcs. So are those of the axes of the pelvis in the world and of the shoulders relative to it (by
the root mean square over three axes, times the square root of 3/2, which makes it the angle), and in mm the velocity and acceleration
of the root.

A limit is a quantile, over clips, of the fastest that a part moves in a clip; left and right have the larger of both. A clip keeps
the limits if no part is faster in any frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.kinematics.local_bones import LocalBones

PELVIS, SHOULDERS, ROOT = "pelvis", "shoulders", "root"
TOLERANCE, LEAST = 1e-4, 0.1
"""What a limit is exceeded by in rounding: a share of it, and so much in its unit for parts that do not move at all."""
_ROTATION = 2**-0.5  # |R' - R| of three axes is sqrt(2) times that of a vector in the plane of rotation


@dataclass(frozen=True)
class SpeedLimits:
    """Fastest that each part of a body may move.

    Args:
        parts: bones, pelvis, shoulders and root.
        velocity: rad/s, of the root mm/s.
        acceleration: rad/s^2, of the root mm/s^2.
    """

    parts: tuple[str, ...]
    velocity: tuple[float, ...]
    acceleration: tuple[float, ...]

    @classmethod
    def fitted(
        cls,
        tree: KinematicTree,
        peaks: Sequence[tuple[Float[Tensor, "_clips parts"], Float[Tensor, "_clips parts"]]],
        quantile: float,
    ) -> SpeedLimits:
        """Limits that a share of clips keep in each part.

        Args:
            peaks: of clips, as `peaks_of` gives them.
            quantile: that share.
        """
        mirror = torch.tensor([*tree.mirror, *range(len(tree.mirror), len(tree.mirror) + 3)])
        limits = []
        for fastest in zip(*peaks, strict=True):
            limit = torch.cat(fastest).double().quantile(quantile, 0)
            limits.append(tuple(torch.maximum(limit, limit[mirror]).tolist()))
        return cls((*tree.names, PELVIS, SHOULDERS, ROOT), *limits)

    def check(
        self, peaks: tuple[Float[Tensor, "clips parts"], Float[Tensor, "clips parts"]]
    ) -> Bool[Tensor, "clips parts"]:
        """Which parts of which clips keep both of their limits."""
        kept = [
            peak <= torch.tensor(limit, dtype=torch.float64) * (1 + TOLERANCE) + LEAST
            for peak, limit in zip(peaks, (self.velocity, self.acceleration), strict=True)
        ]
        return kept[0] & kept[1]


def peaks_of(
    bones: LocalBones, frames: int, frames_per_second: float
) -> tuple[Float[Tensor, "clips parts"], Float[Tensor, "clips parts"]]:
    """Largest velocity and acceleration of each part in each clip, see above.

    Args:
        bones: of clips of so many frames, at least 3.
    """
    parts = (
        bones.directions,
        bones.lower.flatten(1)[:, None] * _ROTATION,
        bones.upper.flatten(1)[:, None] * _ROTATION,
        bones.root[:, None],
    )
    peaks = []
    for order in (1, 2):
        moved = [
            part.reshape(-1, frames, *part.shape[1:]).diff(n=order, dim=1).norm(dim=-1).amax(1)
            for part in parts
        ]
        peaks.append(torch.cat(moved, 1) * frames_per_second**order)
    return peaks[0], peaks[1]
