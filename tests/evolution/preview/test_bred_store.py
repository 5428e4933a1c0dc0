"""What a store tells of its run: with it, the run's own candidates are bred once more."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evolift.evolution.criteria.criterion_sources import criteria_by_names
from evolift.evolution.job.algorithm import evolve
from evolift.evolution.job.breeding import Tally, breed
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.limits.limit_sources import joint_limits
from evolift.evolution.preview.bred_store import BredStore, operators_in_words, read_bred
from evolift.evolution.settings import EvolutionSettings
from evolift.posedata.skeleton import H36M17
from evolift.posedata.store import PoseStore

TREE = KinematicTree(H36M17)
RUN = EvolutionSettings(ratio=6, generations=2, sigma=50)


def opened(path: Path) -> tuple[PoseStore, BredStore]:
    store = PoseStore(path)
    return store, read_bred(store, TREE)


@pytest.mark.parametrize(
    "changes",
    [
        {"body_rate": 0.0},
        {"body_rate": 1.0},
        {"body_rate": 0.7, "template_rate": 0.3, "immigrant_rate": 0.3},
        # Of those that stand where their parents do not, the ground of each original decides.
        {"criteria": ("ground", "capsules"), "settle": False},
    ],
    ids=["own bodies", "other bodies", "templates and immigrants", "criteria"],
)
def test_what_is_refused_on_the_same_draws_is_what_the_run_refused(
    tiny_store: Path, tmp_path: Path, changes: dict[str, object]
) -> None:
    settings = RUN.replaced(**changes)
    evolve(tiny_store, tmp_path / "out.h5", settings)
    store, bred = opened(tmp_path / "out.h5")
    limits = joint_limits("anatomical", H36M17)
    criteria = criteria_by_names(settings.criteria, TREE)
    with store:
        quota = len(bred.children) // 2
        told = [Tally(**values) for values in store.provenance.parameters["report"]["generations"]]
        for generation, tally in enumerate(told):
            there = np.arange(bred.originals + generation * quota)
            parents = bred.parents(store, there, limits)
            again = breed(parents, quota, limits, settings, (generation, 0), criteria)
            assert again.tally == tally
            assert tally.refused > 0
            first = bred.originals + generation * quota
            joints = store.read(slice(first, first + quota)).joints_3d
            # The run knows how high its parents stood; here it is measured again.
            np.testing.assert_allclose(again.joints, joints, rtol=0, atol=0.01)
        assert not criteria or told[0].implausible > 0


def test_everybody_descends_from_an_original_of_the_same_subject(tiny_store: Path, tmp_path: Path) -> None:
    evolve(tiny_store, tmp_path / "once.h5", RUN)
    evolve(tmp_path / "once.h5", tmp_path / "twice.h5", RUN.replaced(ratio=2))
    store, bred = opened(tmp_path / "twice.h5")
    with store:
        table = store.table()
        assert bred.originals == 6 * 64  # those that another run bred are originals of this one
        assert bred.growth["new poses"].tolist() == [384, 192, 192]
        assert bred.ancestor.max() < bred.originals
        names = table["subject"].to_numpy(str)
        assert (names[bred.ancestor] == names).all()
        row = len(store) - 1
        while row >= bred.originals:
            row = int(table["parent_a"][row])
        assert bred.ancestor[-1] == row
        mirrored = np.array(["mirror" in str(label) for label in table["operator"]])
        assert (bred.made_by("mirror") == mirrored).all()


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("mutation", "mutation"),
        ("crossover+mutation+mirror", "crossover, mutation and mirror"),
        ("", "nothing"),
    ],
)
def test_operators_in_words(label: str, words: str) -> None:
    assert operators_in_words(label) == words
