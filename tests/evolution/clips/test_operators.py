"""Operators on clips: smooth, of the stated size, and without effect on what they are not to change."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from evolift.evolution.clips.operators import bend_bones, head_clips, mirror_clips, warped_times
from evolift.evolution.clips.resampling import at_times, smooth_curves
from evolift.evolution.kinematics.local_bones import to_joints, to_local
from evolift.evolution.operators.mutation import mirror_bodies
from evolift.posedata.skeleton import H36M17
from tests.evolution.clips.made_clips import TREE
from tests.evolution.kinematics.test_local_bones import random_bodies


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def clips(number: int, frames: int) -> torch.Tensor:
    """Random bodies as clips, (clips, frames, joints, 3)."""
    return random_bodies(H36M17, number * frames, 1, spread=0.3).reshape(number, frames, -1, 3)


def test_curves_have_the_stated_variance_and_a_bounded_second_difference() -> None:
    curves = smooth_curves(4000, 60, 20.0, generator())[0].double()
    assert (curves.square().mean(1).mean() - 1).abs() < 0.05
    # |c''| is at most the largest second difference of the coefficients, here below 4 sqrt(6) sigma, over h^2 sqrt(v).
    assert curves.diff(n=2).abs().max() < 4.5 * math.sqrt(6) / (20**2 * math.sqrt(0.47))
    assert curves.std(0).min() > 0.9  # as much at the ends


@pytest.mark.parametrize("spacing", [10.0, 40.0])
def test_bones_are_bent_smoothly_and_no_others(spacing: float) -> None:
    still = to_local(TREE, clips(500, 1).expand(-1, 60, -1, -1).reshape(-1, 17, 3))
    bent = torch.zeros(500, len(TREE.names), dtype=torch.bool)
    bent[:, TREE.bone("left_elbow")] = True
    bent[::2, TREE.bone("thorax")] = True
    after = bend_bones(still, bent, TREE, generator(), sigma=math.radians(10), spacing=spacing)
    before = still.directions.reshape(500, 60, -1, 3)
    moved = after.directions.reshape(500, 60, -1, 3)
    assert torch.equal(moved.transpose(1, 2)[~bent], before.transpose(1, 2)[~bent])
    angle = torch.rad2deg(torch.arccos((moved * before).sum(-1).double().clamp(-1, 1)))
    assert (angle[:, :, TREE.bone("left_elbow")] ** 2).mean() == pytest.approx(200, rel=0.1)
    second = moved[:, :, TREE.bone("left_elbow")].diff(n=2, dim=1).norm(dim=-1)
    assert second.max() < math.radians(10) * 4.5 * 6 / spacing**2 + 1e-5
    assert torch.equal(after.upper.reshape(500, 60, 3, 3)[1::2], still.upper.reshape(500, 60, 3, 3)[1::2])
    assert not torch.allclose(
        after.upper.reshape(500, 60, 3, 3)[::2], still.upper.reshape(500, 60, 3, 3)[::2]
    )
    assert torch.equal(after.lengths, still.lengths)


def test_tempo_begins_and_ends_with_the_parent_and_never_goes_back() -> None:
    warped = torch.tensor([True] * 300 + [False] * 5)
    times = warped_times(warped, 40, generator(), sigma=0.2, spacing=20.0)
    assert torch.equal(times[300:], torch.arange(40.0).repeat(5, 1))
    torch.testing.assert_close(times[:, [0, -1]], torch.tensor([[0.0, 39.0]]).repeat(305, 1))
    steps = times.diff()
    assert steps.min() > 0
    # The tempo of a clip as a whole is lost: both ends are the parent's.
    assert 0.08 < steps[:300].log().std() < 0.2


def test_bones_between_frames() -> None:
    joints = clips(2, 9)
    bones = to_local(TREE, joints.flatten(0, 1))
    same = at_times(bones, torch.arange(9.0).repeat(2, 1))
    torch.testing.assert_close(to_joints(TREE, same), joints.flatten(0, 1), atol=2e-2, rtol=0)
    half = at_times(bones, (torch.arange(9.0) + 0.5).clamp_max(8).repeat(2, 1))
    torch.testing.assert_close(
        half.lower.transpose(1, 2) @ half.lower, torch.eye(3).expand(18, 3, 3), atol=1e-5, rtol=0
    )
    torch.testing.assert_close(half.root[0], (bones.root[0] + bones.root[1]) / 2)


def test_mirrored_twice_a_clip_is_itself_and_once_it_is_the_mirror_image_of_its_bodies() -> None:
    joints = clips(4, 6)
    mirrored = torch.tensor([True, True, False, True])
    once = mirror_clips(joints, TREE, mirrored)
    torch.testing.assert_close(mirror_clips(once, TREE, mirrored), joints, atol=1e-2, rtol=0)
    assert torch.equal(once[2], joints[2])
    # The first frame is mirrored as a single pose is.
    bodies = mirror_bodies(to_local(TREE, joints[:, 0]), TREE, mirrored)
    torch.testing.assert_close(once[:, 0], to_joints(TREE, bodies), atol=1e-2, rtol=0)
    # One plane for all frames: every joint moves as far as its mirror image.
    other = list(H36M17.mirror)
    speeds = joints.diff(dim=1).norm(dim=-1)
    torch.testing.assert_close(once.diff(dim=1).norm(dim=-1)[0], speeds[0][:, other], atol=1e-2, rtol=1e-4)


def test_a_clip_is_headed_elsewhere_about_its_first_place() -> None:
    joints = clips(3, 5)
    turned = head_clips(joints, TREE, torch.tensor([np.pi / 2, 0.0, 1.0]))
    assert torch.equal(turned[1], joints[1])
    torch.testing.assert_close(turned[:, 0, 0], joints[:, 0, 0])
    way, before = (clip[0, 3, 5] - clip[0, 0, 0] for clip in (turned, joints))
    torch.testing.assert_close(way, torch.stack([-before[1], before[0], before[2]]), atol=1e-2, rtol=0)
    torch.testing.assert_close(turned[..., 2], joints[..., 2])
