"""Feet that stand: found, kept where they are, and what slides."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from evolift.evolution.clips.feet import FEET, SPEED, ankles_of, feet_of, keep_feet, standing_height
from evolift.evolution.clips.operators import head_clips
from evolift.posedata.skeleton import H36M17
from tests.evolution.clips.made_clips import RATE, TREE, windows, write_clips


@pytest.fixture(scope="module")
def walks(tmp_path_factory: pytest.TempPathFactory) -> torch.Tensor:
    return windows(write_clips(tmp_path_factory.mktemp("feet") / "clips.h5"))[::3]


def steps(standing_pose: np.ndarray, frames: int = 10) -> torch.Tensor:
    """A person who stands on the left foot while the right one is lifted and set down again."""
    joints = torch.from_numpy(standing_pose).repeat(1, frames, 1, 1)
    joints[0, 2:8, H36M17.index("right_ankle"), 2] += 120
    return joints


def test_standing_feet_are_low_and_slow(standing_pose: np.ndarray) -> None:
    joints = steps(standing_pose)
    stands = feet_of(joints, TREE, 10.0).stands[0]
    assert stands[:, FEET.index("left_ankle")].all()
    assert stands[:, FEET.index("right_ankle")].tolist() == [True] + [False] * 7 + [True]
    drifting = joints + torch.arange(10.0)[None, :, None, None] * torch.tensor([1.1 * SPEED / 10, 0.0, 0.0])
    assert not feet_of(drifting, TREE, 10.0).stands.any()


def test_bodies_are_moved_until_the_standing_foot_stays(standing_pose: np.ndarray) -> None:
    joints = steps(standing_pose)
    feet, floor = feet_of(joints, TREE, 10.0), standing_height(joints[:, :, ankles_of(TREE)])
    sway = torch.linspace(0, 300, 10)[None, :, None, None] * torch.tensor([1.0, 0.5, 0.1])
    kept, footing = keep_feet(joints + sway, feet, floor, TREE, RATE)
    torch.testing.assert_close(kept, joints, atol=1e-2, rtol=0)
    assert footing.slides.max() < 1e-2
    assert footing.sinks.max() < 1e-2


def test_feet_that_part_slide_by_half_of_it(standing_pose: np.ndarray) -> None:
    joints = torch.from_numpy(standing_pose).repeat(1, 5, 1, 1)
    feet, floor = feet_of(joints, TREE, 10.0), standing_height(joints[:, :, ankles_of(TREE)])
    parting = joints.clone()
    parting[0, :, H36M17.index("left_ankle"), 1] += torch.tensor([0.0, 0, 30, 30, 30])
    parting[0, :, H36M17.index("left_ankle"), 2] += 40
    _, footing = keep_feet(parting, feet, floor, TREE, RATE)
    assert float(footing.slides) == pytest.approx(15, abs=0.01)
    assert float(footing.sinks) == pytest.approx(20, abs=0.01)


def test_a_walk_with_its_own_feet_stays_as_it_is_wherever_it_is_headed(walks: torch.Tensor) -> None:
    feet, floor = feet_of(walks, TREE, RATE), standing_height(walks[:, :, ankles_of(TREE)])
    assert feet.stands.float().mean() > 0.1
    turned = head_clips(walks, TREE, torch.full((len(walks),), 2.0))
    kept, footing = keep_feet(turned, feet, floor, TREE, RATE)
    torch.testing.assert_close(kept, turned, atol=0.1, rtol=0)
    assert footing.slides.max() < 0.1


def test_a_longer_leg_of_another_keeps_its_foot_on_the_floor(walks: torch.Tensor) -> None:
    feet, floor = feet_of(walks, TREE, RATE), standing_height(walks[:, :, ankles_of(TREE)])
    larger = (walks - walks[:, :, :1]) * 1.1 + walks[:, :, :1]
    kept, _ = keep_feet(larger, feet, floor, TREE, RATE)
    height = standing_height(kept[:, :, ankles_of(TREE)])
    torch.testing.assert_close(height, floor, atol=15, rtol=0)
    # In single support the standing foot follows the giver's exactly.
    stands = feet.stands
    moved = kept[:, :, ankles_of(TREE), :2].diff(dim=1).norm(dim=-1)
    single = stands & (stands.sum(2, keepdim=True) == 1)
    assert (moved * single).max() <= SPEED / RATE * 1.01


def test_feet_at_other_times_are_interpolated(walks: torch.Tensor) -> None:
    feet = feet_of(walks, TREE, RATE)
    frames = torch.arange(float(walks.shape[1])).repeat(len(walks), 1)
    same = feet.at(frames)
    assert torch.equal(same.stands, feet.stands)
    assert torch.equal(same.passed, feet.passed)
    halved = feet.at(frames / 2)
    torch.testing.assert_close(halved.passed[:, ::2], feet.passed[:, : halved.passed[:, ::2].shape[1]])


def test_a_foot_that_stands_in_a_faster_child_slides_beyond_its_speed(walks: torch.Tensor) -> None:
    joints = walks[:1, :1].repeat(1, 10, 1, 1)
    joints[..., 0] += torch.arange(10.0)[None, :, None] * (0.9 * SPEED / RATE)
    feet, floor = feet_of(joints, TREE, RATE), standing_height(joints[:, :, ankles_of(TREE)])
    assert feet.stands.any()
    _, footing = keep_feet(joints, feet, floor, TREE, RATE)
    assert footing.slides.max() < 0.01
    twice = feet.scaled(torch.tensor([2.0]))
    _, footing = keep_feet(joints, twice, floor, TREE, RATE)
    assert float(footing.slides) == pytest.approx(0.8 * SPEED / RATE, abs=0.01)
