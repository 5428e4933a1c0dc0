"""Which poses become parents more often: all alike, those far from others, or those that somebody finds hard.

A score is a non-negative weight per pose; a parent is drawn with a chance proportional to it. Scores are made once per
generation, in the main process, from the population before it, so they are the same however blocks are bred.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from evolift.evolution.kinematics.gene_pool import GenePool
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.kinematics.local_bones import LocalBones, to_joints
from evolift.posedata.errors import InputError
from evolift.posedata.seeds import generator_at

Score = Callable[[Float[np.ndarray, "n joints 3"]], Float[np.ndarray, "n"]]
"""World joints in mm -> weight of each pose, for example the error of a lifter on it."""

ANCHORS = 2048
CHUNK = 8192
_PLACE = 2**31
"""Third coordinate of the seed of a generation's anchors; blocks count from 0 and never get there."""


def in_torso_frame(local: LocalBones, tree: KinematicTree) -> Float[Tensor, "n joints 3"]:
    """Joints about the root, in the axes of the lower torso, mm."""
    upright = torch.eye(3).to(local.lower).expand_as(local.lower)
    return to_joints(tree, local.with_values(root=torch.zeros_like(local.root), lower=upright))


def pose_distance(
    one: Float[Tensor, "*#batch joints 3"], other: Float[Tensor, "*#batch joints 3"]
) -> Float[Tensor, "..."]:
    """Root mean square over joints of their distance, mm."""
    return (one - other).square().sum(-1).mean(-1).sqrt()


def novelty(
    pool: GenePool, rows: Int64[np.ndarray, "n"], seed: int, generation: int
) -> Float[np.ndarray, "n"]:
    """Distance of poses to the nearest of `ANCHORS` others of them, drawn at random for each generation, mm."""
    tree = pool.tree
    if len(rows) == 1:  # far from nobody
        return np.ones(1)
    generator = generator_at(seed, generation, _PLACE)
    chosen = np.sort(torch.randperm(len(rows), generator=generator)[:ANCHORS].numpy())
    anchors = in_torso_frame(pool.take(torch.from_numpy(rows[chosen])), tree).flatten(1)
    scale = 1 / np.sqrt(len(tree.skeleton))
    scores = []
    for start in range(0, len(rows), CHUNK):
        end = min(start + CHUNK, len(rows))
        poses = in_torso_frame(pool.take(torch.from_numpy(rows[start:end])), tree).flatten(1)
        distance = torch.cdist(poses, anchors) * scale
        # An anchor is not its own neighbour.
        own = np.flatnonzero((chosen >= start) & (chosen < end))
        distance[torch.from_numpy(chosen[own] - start), torch.from_numpy(own)] = torch.inf
        scores.append(distance.min(-1).values.numpy())
        pool.forget()
    return np.concatenate(scores)


def hardness(pool: GenePool, rows: Int64[np.ndarray, "n"], score: Score) -> Float[np.ndarray, "n"]:
    """Weights that a function gives.

    Raises:
        InputError: it gives something else than one finite, non-negative weight per pose, or all are 0.
    """
    weights = []
    for start in range(0, len(rows), CHUNK):
        local = pool.take(torch.from_numpy(rows[start : start + CHUNK]))
        joints = to_joints(pool.tree, local).contiguous().numpy()
        weight = np.asarray(score(joints), np.float64)
        if weight.shape != (len(joints),) or not np.isfinite(weight).all() or (weight < 0).any():
            raise InputError("the hardness of poses must be one finite weight of at least 0 for each of them")
        weights.append(weight)
        pool.forget()
    total = np.concatenate(weights)
    if not total.any():
        raise InputError("the hardness of all poses is 0, so no parent can be drawn")
    return total


def draw_weighted_pairs(
    cumulative: Float[Tensor, "population"], n: int, generator: torch.Generator
) -> tuple[Int64[Tensor, "n"], Int64[Tensor, "n"]]:
    """Two different members for each of n children, each drawn by its weight.

    Args:
        cumulative: running sum of the weights, float64; the last is their total.
    """
    members = len(cumulative)
    draws = torch.rand(2, n, generator=generator, dtype=torch.float64) * cumulative[-1]
    first, second = torch.searchsorted(cumulative, draws, right=True).clamp_(max=members - 1)
    # A pose does not mate with itself: its neighbour in the population stands in.
    return first, torch.where(second == first, (second + 1) % members, second)
