from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch

from evolift.posedata.camera import Camera, look_at
from evolift.posedata.camera_rig import (
    NEAREST_DEPTH,
    CameraBatch,
    euler_batched,
    look_at_batched,
    sample_random,
    sample_ring,
)
from evolift.posedata.errors import InputError
from evolift.posedata.rig_settings import RandomRig, RingRig


def people(standing_pose: np.ndarray, count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    place = torch.rand(count, 1, 3, generator=generator) * torch.tensor([9000.0, 9000.0, 0.0])
    return torch.from_numpy(standing_pose) + place


RIGS = {
    "fixed-ring": partial(sample_ring, RingRig(rotate_ring=False)),
    "rotated-ring": partial(sample_ring, RingRig(ring_radius=0.0)),
    "random": partial(sample_random, RandomRig()),
}
every_rig = pytest.mark.parametrize("sample", RIGS.values(), ids=RIGS)


@every_rig
def test_people_stand_upright_in_front_of_the_camera(sample, standing_pose) -> None:
    poses = people(standing_pose, 500)
    cameras = sample(poses, 0, torch.Generator().manual_seed(0))
    pixels, joints = cameras.project(poses)
    assert float(joints[..., 2].min()) >= NEAREST_DEPTH - 0.1
    assert bool((joints[:, 10, 1] < joints[:, 3, 1]).all())  # head above ankle: y is down
    assert bool((pixels[:, 10, 1] < pixels[:, 3, 1]).all())
    identity = torch.eye(3).expand(500, 3, 3)
    torch.testing.assert_close(cameras.R @ cameras.R.transpose(1, 2), identity, atol=1e-5, rtol=0)
    torch.testing.assert_close(torch.linalg.det(cameras.R), torch.ones(500))


@every_rig
def test_the_same_generator_gives_the_same_cameras(sample, standing_pose) -> None:
    poses = people(standing_pose, 20)
    first, second, other = (sample(poses, 0, torch.Generator().manual_seed(seed)) for seed in (3, 3, 4))
    for name in ("K", "R", "t", "size"):
        assert torch.equal(getattr(first, name), getattr(second, name))
    assert not torch.equal(first.t, other.t)


def test_a_person_facing_the_camera_has_its_left_on_the_right(standing_pose) -> None:
    # Facing +x, seen from +x.
    R, t = look_at_batched(torch.tensor([[5000.0, 0, 900]]), torch.tensor([[0.0, 0, 900]]))
    left_shoulder = torch.from_numpy(standing_pose)[11]
    in_camera = R[0] @ left_shoulder + t[0]
    assert float(in_camera[0]) > 150


def test_look_at_agrees_with_the_single_camera() -> None:
    rng = np.random.default_rng(0)
    position, target = rng.normal(0, 3000, (8, 3)), rng.normal(0, 500, (8, 3))
    R, t = look_at_batched(torch.from_numpy(position), torch.from_numpy(target))
    for i in range(8):
        wanted_R, wanted_t = look_at(position[i], target[i])
        np.testing.assert_allclose(R[i], wanted_R, atol=1e-12)
        np.testing.assert_allclose(t[i], wanted_t, atol=1e-8)


def test_ring_looks_from_four_corners_at_people_within_its_radius(standing_pose) -> None:
    poses = people(standing_pose, 400)
    rig = RingRig(ring_radius=500.0, rotate_ring=False)
    which = torch.arange(4).repeat(100)
    cameras = sample_ring(rig, poses, 0, torch.Generator().manual_seed(0), which)
    position = -(cameras.R.transpose(1, 2) @ cameras.t[..., None])[..., 0] - poses[:, 0]
    azimuth = torch.atan2(position[:, 1], position[:, 0]).view(100, 4)
    assert float(azimuth.std(0).max()) < 0.15  # radians: each camera keeps its direction
    distance = position[:, :2].norm(dim=-1).view(100, 4)
    assert 3500 < float(distance.min()) < 4000
    assert 5500 < float(distance.max()) < 6100
    pixels, _ = cameras.project(poses)
    assert float(pixels.min()) > 0
    assert float(pixels.max()) < 999


def test_random_cameras_stay_within_their_ranges(standing_pose) -> None:
    rig = RandomRig(
        camera_distance=(3000.0, 4000.0),
        camera_height=(500.0, 1000.0),
        camera_pan=(0.0, 0.0),
        camera_tilt=(0.0, 0.0),
        camera_roll=(0.0, 0.0),
        camera_focal=(1.0, 1.5),
    )
    poses = people(standing_pose, 300)
    cameras = sample_random(rig, poses, 0, torch.Generator().manual_seed(1))
    position = -(cameras.R.transpose(1, 2) @ cameras.t[..., None])[..., 0]
    away = (position - poses[:, 0])[:, :2].norm(dim=-1)
    height = position[:, 2] - poses[..., 2].amin(-1)
    assert 2999 < float(away.min()) < 3100
    assert 3900 < float(away.max()) < 4001
    assert 499 < float(height.min()) < 520
    assert 980 < float(height.max()) < 1001
    assert 1000 <= float(cameras.K[:, 0, 0].min()) < float(cameras.K[:, 0, 0].max()) <= 1500
    torch.testing.assert_close(cameras.size.amax(-1), torch.full((300,), 1000.0))
    pixels, _ = cameras.project(poses)
    torch.testing.assert_close(pixels[:, 0], (cameras.size - 1) / 2, atol=0.05, rtol=0)  # aimed at the root


def test_a_camera_that_is_too_near_is_moved_back(standing_pose) -> None:
    rig = RandomRig(camera_distance=(50.0, 100.0))
    poses = people(standing_pose, 50)
    _, joints = sample_random(rig, poses, 0, torch.Generator().manual_seed(0)).project(poses)
    nearest = joints[..., 2].amin(-1)
    assert float(nearest.min()) > NEAREST_DEPTH - 0.1
    assert int((nearest < NEAREST_DEPTH + 0.1).sum()) > 25


def test_euler_angles_turn_as_right_hands_do() -> None:
    quarter, none = torch.tensor([math.pi / 2]), torch.zeros(1)
    x, y, z = torch.eye(3)
    for angles, start, end in (
        ((quarter, none, none), y, z),
        ((none, quarter, none), z, x),
        ((none, none, quarter), x, y),
    ):
        torch.testing.assert_close(euler_batched(*angles)[0] @ start, end, atol=1e-6, rtol=0)


def test_calibrated_cameras_project_as_themselves(standing_pose) -> None:
    R, t = look_at(np.array([3000.0, 4000, 1500]), np.array([0.0, 0, 900]))
    camera = Camera(
        np.array([[1100.0, 0, 500], [0, 1120, 490], [0, 0, 1]]),
        1000,
        1002,
        R,
        t,
        np.array([0.1, -0.05, 0.001, 0.002, 0]),
    )
    batch = CameraBatch.of([camera, camera])
    pixels, joints = batch[torch.tensor([1])].project(torch.from_numpy(standing_pose)[None])
    np.testing.assert_allclose(pixels[0], camera.project(standing_pose), atol=1e-2)
    np.testing.assert_allclose(joints[0], camera.to_camera(standing_pose), atol=1e-2)
    sampled = sample_ring(RingRig(), torch.from_numpy(standing_pose)[None], 0, torch.Generator())
    joined = CameraBatch.concatenate([sampled, batch])
    assert len(joined) == 3
    assert joined.distortion is not None
    assert bool((joined.distortion[0] == 0).all())


def test_bad_ranges_are_refused() -> None:
    with pytest.raises(
        InputError, match=r"`camera_height` must be two numbers, the smaller first, not 3.0 and 1"
    ):
        RandomRig(camera_height=(3.0, 1.0))
    for wrong in ((0.0, math.inf), (math.nan, 1.0)):
        with pytest.raises(InputError, match="`camera_height` must be finite, not"):
            RandomRig(camera_height=wrong)
    with pytest.raises(InputError, match="`camera_focal` must be 2 values, each a number above 0, not"):
        RandomRig(camera_focal=(0.0, 1.0))
    with pytest.raises(InputError, match="`ring_radius` must be a number of at least 0 and at most 2500"):
        RingRig(ring_radius=-1.0)
