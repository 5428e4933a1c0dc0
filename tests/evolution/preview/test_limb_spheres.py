"""Limb directions before and after: densities on the sphere, and how much of what limits allow is taken."""

from __future__ import annotations

import numpy as np
import torch

from evolift.drawing.direction_maps import disc_grid, in_disc
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.kinematics.limb_directions import folded, limb_bones, nearness
from evolift.evolution.kinematics.local_bones import to_local
from evolift.evolution.limits.limit_sources import joint_limits
from evolift.evolution.preview.limb_spheres import limb_spheres
from evolift.posedata.skeleton import H36M17
from tests.evolution.kinematics.test_local_bones import random_bodies

TREE = KinematicTree(H36M17)


def test_limbs_are_found_on_both_sides() -> None:
    found = {limb: [TREE.names[bone] for bone in pair] for limb, pair in limb_bones(TREE).items()}
    assert found == {
        "upper_arm": ["left_elbow", "right_elbow"],
        "forearm": ["left_wrist", "right_wrist"],
        "thigh": ["left_knee", "right_knee"],
        "shin": ["left_ankle", "right_ankle"],
    }


def test_left_limbs_fold_onto_right_ones() -> None:
    bodies = random_bodies(H36M17, 5, 1, spread=0.4)
    mirrored = bodies[:, list(H36M17.mirror)] * torch.tensor([-1.0, 1, 1])
    for pair in limb_bones(TREE).values():
        here, there = (folded(to_local(TREE, joints), pair) for joints in (bodies, mirrored))
        torch.testing.assert_close(here, torch.cat([there[5:], there[:5]]), atol=1e-5, rtol=0)


def test_densities_have_a_mean_of_one_over_the_sphere() -> None:
    places = torch.from_numpy(disc_grid()[:, in_disc()]).flatten(0, 1)
    one = torch.nn.functional.normalize(torch.tensor([[0.3, -0.8, 0.5]], dtype=torch.float64), dim=-1)
    density = nearness(places, one)[:, 0]
    # Cells are equal areas of the sphere, so their mean is the integral over it.
    assert abs(float(density.mean()) - 1) < 0.01
    assert float(places[density.argmax()] @ one[0]) > 0.995
    even = torch.nn.functional.normalize(
        torch.randn(20000, 3, generator=torch.Generator().manual_seed(0)), dim=-1
    )
    assert float((nearness(places.float(), even).mean(1) - 1).abs().max()) < 0.3


def test_more_of_what_limits_allow_is_taken_by_more_varied_poses() -> None:
    limits = joint_limits("anatomical", H36M17)
    stiff, lively = (to_local(TREE, random_bodies(H36M17, 200, 3, spread=spread)) for spread in (0.05, 0.5))
    spheres = limb_spheres(stiff, lively, limits)
    assert [one.limb for one in spheres] == ["upper_arm", "forearm", "thigh", "shin"]
    for one in spheres:
        assert 0 < one.before < one.after <= 1
        assert np.ptp(one.image.reshape(-1, 3).astype(int), axis=0).min() > 100


def test_directions_on_the_discs_are_where_the_scatter_puts_them() -> None:
    from evolift.drawing.charts import disc_coordinates

    grid, inside = disc_grid(8), in_disc(8)
    np.testing.assert_allclose(np.linalg.norm(grid, axis=-1), 1, atol=1e-12)
    steps = (np.arange(8) + 0.5) / 4 - 1
    v, u = np.meshgrid(steps, steps, indexing="ij")
    for half, sign in ((0, -1), (1, 1)):
        across, up = disc_coordinates(grid[half][inside])
        np.testing.assert_allclose(across - sign * 1.3, u[inside], atol=1e-12)
        np.testing.assert_allclose(up, v[inside], atol=1e-12)
