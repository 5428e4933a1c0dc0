"""Errors by limb direction: against a plain loop, and what their difference says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.kinematics.local_bones import to_local
from evolift.lifter.direction_errors import AXES, direction_errors, direction_gains
from evolift.lifter.direction_figure import direction_images
from evolift.lifter.evaluation import open_test_set, predict
from evolift.lifter.model import LifterModel
from evolift.lifter.settings import LifterSettings
from evolift.posedata.skeleton import COCO17, H36M17

TREE = KinematicTree(H36M17)


@pytest.fixture(scope="module")
def model() -> LifterModel:
    torch.manual_seed(0)
    return LifterModel(LifterSettings()).eval()


def test_errors_are_those_of_a_plain_loop(tiny_store: Path, model: LifterModel) -> None:
    tests = open_test_set(tiny_store, H36M17)
    table = direction_errors(model, tests)
    off = (predict(model, tests) - tests.truth).norm(dim=-1)
    directions = to_local(TREE, tests.truth).directions
    for limb, joint in (("upper_arm", "elbow"), ("shin", "ankle")):
        rows = table[table["name"] == limb]
        middles = torch.tensor(rows[list(AXES)].to_numpy(np.float32))
        total = 0.0
        for side, sign in (("left", -1.0), ("right", 1.0)):
            there = directions[:, TREE.bone(f"{side}_{joint}")] * torch.tensor([sign, 1, 1])
            # The limb of each pose lies in a cell of the table, whose middle is not far.
            assert float((there @ middles.T).max(1).values.min()) > np.cos(np.radians(16))
            total += float(off[:, H36M17.index(f"{side}_{joint}")].double().sum())
        assert rows["poses"].sum() == 2 * len(off)
        assert (rows["poses"] * rows["mpjpe"]).sum() == pytest.approx(total, rel=1e-6)


def test_a_skeleton_without_body_frames_has_none(tiny_store: Path, model: LifterModel) -> None:
    tests = open_test_set(tiny_store, COCO17)
    assert direction_errors(model, tests).empty


@pytest.fixture
def scores() -> pd.DataFrame:
    """Waving arms gain 8 mm, hanging ones lose 2; the second seed says the same of other poses."""
    rows = [
        (arm, seed, "upper_arm", up, poses, base - gain * (arm == "evolved"))
        for arm in ("without", "evolved")
        for seed, poses in ((0, 30), (1, 10))
        for up, base, gain in ((1.0, 90.0, 8.0 + 4 * seed), (-1.0, 40.0, -2.0))
    ]
    table = pd.DataFrame(rows, columns=["arm", "seed", "name", "up", "poses", "mpjpe"])
    return table.assign(out=0.0, front=0.0, **{"trained on": "walks", "tested on": "dance"})


def test_gains_are_means_over_poses(scores: pd.DataFrame) -> None:
    gains = direction_gains(scores, "without").set_index("up")
    assert gains["gain"].to_dict() == {1.0: pytest.approx((30 * 8 + 10 * 12) / 40), -1.0: pytest.approx(-2.0)}
    assert gains["poses"].tolist() == [40, 40]
    assert set(gains["arm"]) == {"evolved"}


def test_what_gains_is_blue_and_what_loses_red(scores: pd.DataFrame) -> None:
    images = direction_images(direction_gains(scores, "without"))
    assert list(images) == ["upper_arm"]
    discs = images["upper_arm"][: int(0.72 * len(images["upper_arm"]))].astype(int)
    blue, red = (discs[..., 2] - discs[..., 0] > 60), (discs[..., 0] - discs[..., 2] > 25)
    assert blue.sum() > 200
    assert red.sum() > 200
    assert np.argwhere(blue)[:, 0].mean() < np.argwhere(red)[:, 0].mean()  # up is above
