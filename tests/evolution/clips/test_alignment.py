"""Alignment of clips in tempo, against a slow obvious search."""

from __future__ import annotations

from functools import cache

import pytest
import torch

from evolift.evolution.clips.alignment import aligned_frames, aligned_times
from evolift.evolution.clips.resampling import at_times
from evolift.evolution.kinematics.local_bones import to_local
from evolift.posedata.skeleton import H36M17
from tests.evolution.clips.made_clips import TREE
from tests.evolution.kinematics.test_local_bones import random_bodies


def slow_alignment(cost: list[list[float]], slack: int, penalty: float) -> tuple[float, list[int]]:
    """The cheapest of all ways that advance by 0, 1 or 2 frames, found by recursion."""
    frames, others = len(cost), len(cost[0])

    @cache
    def best(i: int, j: int) -> tuple[float, tuple[int, ...]]:
        """Of the ways from the start to frame i with frame j."""
        if not 0 <= j < others:
            return float("inf"), ()
        if i == 0:
            return (cost[0][j] if j <= slack else float("inf")), (j,)
        ways = [(best(i - 1, j - step), step) for step in (1, 0, 2)]
        (before, way), step = min(ways, key=lambda one: one[0][0] + (penalty if one[1] != 1 else 0))
        return before + cost[i][j] + (penalty if step != 1 else 0), (*way, j)

    total, way = min((best(frames - 1, j) for j in range(others - 1 - slack, others)), key=lambda one: one[0])
    return total, list(way)


@pytest.mark.parametrize(("frames", "others", "slack"), [(9, 9, 1), (9, 9, 0), (12, 7, 2), (7, 12, 3)])
def test_it_finds_the_cheapest_way(frames: int, others: int, slack: int) -> None:
    cost = torch.rand(
        20, frames, others, generator=torch.Generator().manual_seed(frames), dtype=torch.float64
    )
    found = aligned_frames(cost, slack=slack, penalty=0.1)
    for pair in range(len(cost)):
        total, way = slow_alignment(cost[pair].tolist(), slack, 0.1)
        steps = found[pair].diff()
        paid = cost[pair, torch.arange(frames), found[pair]].sum() + 0.1 * (steps != 1).sum()
        assert float(paid) == pytest.approx(total)
        assert found[pair].tolist() == way


def test_a_clip_is_aligned_with_itself_frame_by_frame() -> None:
    bones = to_local(TREE, random_bodies(H36M17, 3 * 20, 0, spread=0.3))
    taken = torch.zeros(3, len(TREE.names), dtype=torch.bool)
    taken[0, TREE.bone("left_elbow")] = True
    times = aligned_times(bones, bones, taken, TREE, 20, smoothing=5)
    assert torch.equal(times, torch.arange(20.0).repeat(3, 1))


def test_a_faster_clip_is_slowed_down_to_the_tempo_of_the_other() -> None:
    still = to_local(TREE, random_bodies(H36M17, 2, 1, spread=0.3))[torch.tensor([0, 1] * 20)]
    tempo = torch.linspace(0, 1, 40) ** 2  # slow at first
    slow, even = at_times(still, tempo[None]), at_times(still, torch.linspace(0, 1, 40)[None])
    taken = torch.zeros(1, len(TREE.names), dtype=torch.bool)
    times = aligned_times(slow, even, taken, TREE, 40, smoothing=1)[0]
    # Frame i of the slow clip shows what frame 39 (i / 39)^2 of the even one does; at the end waiting and hurrying cost more.
    wanted = 39 * tempo
    assert (times - wanted).abs()[:34].max() <= 2
    assert (torch.arange(40) - wanted).abs()[:34].max() > 9
    assert (times.diff() >= 0).all()
