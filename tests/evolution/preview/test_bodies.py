"""Height and proportions of bodies, and those of people."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.kinematics.local_bones import to_local
from evolift.evolution.preview.bodies import proportions, proportions_image, ranges, standing_image, surveyed
from evolift.posedata.skeleton import H36M17

TREE = KinematicTree(H36M17)


@pytest.fixture(scope="module")
def standing(standing_pose: np.ndarray) -> tuple[np.ndarray, torch.Tensor]:
    local = to_local(TREE, torch.from_numpy(standing_pose)[None])
    return local.lengths.numpy(), local.directions[0]


def test_proportions_are_those_of_the_pose(
    standing: tuple[np.ndarray, torch.Tensor], standing_pose: np.ndarray
) -> None:
    lengths, posture = standing
    table = proportions(np.concatenate([lengths, 1.1 * lengths]), TREE, posture)
    # Feet to head, with legs a little more apart and arms hanging.
    height = np.ptp(standing_pose[:, 2]) / 1000
    assert table["height, m"].tolist() == pytest.approx([height, 1.1 * height], rel=0.01)
    side = [H36M17.index(f"left_{joint}") for joint in ("hip", "knee", "ankle")]
    leg = np.linalg.norm(np.diff(standing_pose[side], axis=0), axis=1).sum() / 1000
    assert table["legs, %"].tolist() == pytest.approx([100 * leg / table["height, m"][0]] * 2, rel=1e-3)
    assert table["arms, %"][0] == pytest.approx(table["arms, %"][1], rel=1e-4)


def test_people_are_spread_about_the_subject(standing: tuple[np.ndarray, torch.Tensor]) -> None:
    lengths, posture = standing
    people = proportions(surveyed(lengths[0], TREE), TREE, posture)
    own = proportions(lengths, TREE, posture)
    assert people["height, m"].median() == pytest.approx(own["height, m"][0], rel=0.02)
    # The survey's statures: 1.76 +- 0.07 m of men, 1.63 +- 0.06 m of women.
    assert people["height, m"].std() / people["height, m"].mean() == pytest.approx(0.055, abs=0.012)


def test_ranges_leave_out_the_tails() -> None:
    table = pd.DataFrame({"height, m": np.linspace(1, 2, 1001), "legs, %": np.linspace(50, 60, 1001)})
    assert ranges({"children": table}).to_dict("index") == {
        "children": {"height, m": "1.02 to 1.98", "legs, %": "50.2 to 59.8"}
    }


def test_taller_bodies_are_drawn_taller(standing: tuple[np.ndarray, torch.Tensor]) -> None:
    lengths, posture = standing
    image = standing_image({"small": 0.8 * lengths[0], "tall": lengths[0]}, TREE, posture)
    coloured = np.ptp(image.astype(int), axis=-1) > 60
    width = image.shape[1] // 2
    tops = [
        np.flatnonzero(half.any(1))[0]
        for half in (coloured[:, : width // 2 + 40], coloured[:, width // 2 + 40 :])
    ]
    feet = np.flatnonzero(coloured.any(1))[-1]
    assert (feet - tops[0]) / (feet - tops[1]) == pytest.approx(0.8, abs=0.02)


def test_the_ellipse_of_people_is_drawn(standing: tuple[np.ndarray, torch.Tensor]) -> None:
    lengths, posture = standing
    own, people = (proportions(one, TREE, posture) for one in (lengths, surveyed(lengths[0], TREE)))
    without, drawn = (proportions_image(own, own, spread, "legs, %") for spread in ([], [people]))
    grey = [((image == image[..., :1]).all(-1) & (image[..., 0] < 240)).mean() for image in (without, drawn)]
    assert grey[1] > grey[0] + 0.1
