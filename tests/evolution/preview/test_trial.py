"""Candidates of the page: what each operator costs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evolift.evolution.job.algorithm import evolve
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.limits.limit_sources import joint_limits
from evolift.evolution.preview.bred_store import read_bred
from evolift.evolution.preview.trial import Trial, try_out
from evolift.evolution.settings import EvolutionSettings
from evolift.posedata.seeds import generator_at
from evolift.posedata.skeleton import H36M17
from evolift.posedata.store import PoseStore


@pytest.fixture(scope="module")
def trial(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Trial:
    path = tmp_path_factory.mktemp("trial") / "out.h5"
    settings = EvolutionSettings(ratio=2, generations=1, mutation_rate=0.5, sigma=60, immigrant_rate=0.2)
    evolve(tiny_store, path, settings)
    limits = joint_limits("anatomical", H36M17)
    with PoseStore(path) as store:
        parents = read_bred(store, KinematicTree(H36M17)).parents(store, np.arange(len(store)), limits)
    return try_out(parents, limits, settings, [], generator_at(0, 7), batches=3, shown=4, batch=1000)


def test_counts_agree_with_each_other(trial: Trial) -> None:
    assert trial.tally.candidates == 2000  # two batches have shown enough
    assert trial.all_accepted == trial.tally.survivors
    assert len(trial.broken) == 4
    table = trial.by_operator().set_index("operator")
    assert table["of the candidates, %"]["mutation"] == pytest.approx(50, abs=4)
    assert table["of the candidates, %"]["immigration"] == pytest.approx(20, abs=3)
    share, kept, others = table.loc["mutation"] / 100
    assert share * kept + (1 - share) * others == pytest.approx(trial.all_accepted / 2000)


def test_wild_mutation_costs_more_than_mirroring(trial: Trial) -> None:
    table = trial.by_operator().set_index("operator")
    cost = table["kept without it, %"] - table["kept with it, %"]
    assert cost["mutation"] > 20
    assert abs(cost["mirror"]) < 8
    assert np.isnan(cost["rotation"])  # all are rotated
