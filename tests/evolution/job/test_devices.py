"""Children are bred on any device; here on one that is not there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from evolift.evolution.criteria.criterion_sources import criteria_by_names
from evolift.evolution.criteria.near_duplicates import duplicate_filter
from evolift.evolution.job.breeding import Parents, breed
from evolift.evolution.kinematics.gene_pool import GenePool
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.kinematics.local_bones import numbers, to_local
from evolift.evolution.limits.anatomical_limits import AnatomicalLimits
from evolift.evolution.limits.fitted_limits import fit_limits
from evolift.evolution.settings import ALGORITHM_1, EvolutionSettings, FitSettings
from evolift.posedata.errors import InputError
from evolift.posedata.skeleton import H36M17
from tests.evolution.job.pretended_device import DEVICE, pretended_device
from tests.evolution.kinematics.test_local_bones import random_bodies

TREE = KinematicTree(H36M17)
POSES = 60
EVERYTHING = EvolutionSettings(
    two_point_rate=0.5, crossed_lengths="swapped", length_rate=0.5, template_rate=0.5, immigrant_rate=0.2, min_change=2.0,
    criteria=("ground", "capsules"), sampling="novelty",
)  # fmt: skip


def parents(settings: EvolutionSettings) -> Parents:
    joints = random_bodies(H36M17, POSES, 1, spread=0.1)
    local = to_local(TREE, joints)
    pool = GenePool.in_memory(TREE, POSES)
    pool.put(0, local)
    lengths = local.lengths.numpy()
    near = (
        duplicate_filter(pool, POSES, POSES, lengths, settings.min_distance)
        if settings.min_distance
        else None
    )
    lowest = joints[..., 2].amin(-1).numpy()
    cumulative = np.cumsum(np.arange(POSES, dtype=np.float64)) if settings.sampling == "novelty" else None
    person = np.arange(POSES, dtype=np.int32)
    return Parents(pool, np.arange(POSES), cumulative, lengths, near, lowest, person, lowest)


@pytest.mark.parametrize(
    ("settings", "limits", "is_compared"),
    # The pretended device reads transposed planes that are indexed by tensors wrongly, as fitted limits and criteria do: that nothing of
    # theirs mixes devices is all that it can show, whether or not their children survive what was read.
    [
        (EvolutionSettings(), "anatomical", True),
        (ALGORITHM_1, "anatomical", True),
        (EVERYTHING, "fitted", False),
    ],
    ids=["defaults", "report", "everything"],
)
def test_children_of_a_device_are_those_of_the_cpu(
    settings: EvolutionSettings, limits: str, is_compared: bool
) -> None:
    bodies = random_bodies(H36M17, POSES, 1, spread=0.1)
    kept = AnatomicalLimits(TREE) if limits == "anatomical" else fit_limits([bodies], TREE, FitSettings())
    criteria = criteria_by_names(settings.criteria, TREE)
    who = parents(settings)
    expected = breed(who, 50, kept, settings, (1, 2), criteria)
    numbers.cache_clear()
    try:
        with pretended_device() as device:
            children = breed(replace(who, device=device), 50, kept, settings, (1, 2), criteria)
    except InputError as error:
        if is_compared or "nearly all" not in str(error):
            raise
        return  # none survived what was read
    assert len(children.joints) == 50
    for name, value in vars(expected).items() if is_compared else ():
        found = getattr(children, name)
        if name == "tally":
            assert found == value
        else:  # another layout in memory may round otherwise
            np.testing.assert_allclose(found, value, rtol=0, atol=0.01, err_msg=name)


def test_the_pretended_device_refuses_what_a_true_one_refuses() -> None:
    with pretended_device():
        away = torch.ones(3).to(DEVICE)
        with pytest.raises(RuntimeError, match="expected all tensors to be on the same device"):
            away + torch.ones(3)
        with pytest.raises(RuntimeError, match="a generator of the CPU draws"):
            torch.rand(3, generator=torch.Generator(), device=DEVICE)
        with pytest.raises(RuntimeError, match="is not supported for tensor subclasses"):
            away.numpy()
        assert (away + 1).cpu().tolist() == [2, 2, 2]
