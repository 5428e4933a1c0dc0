"""Settings of poses that motions are bred by too have an effect on them; all others are refused, so that none is passed over."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from evolift.evolution.clips import clip_evolution
from evolift.evolution.clips.settings import OF_BOTH
from evolift.evolution.limits.fitting import fit_limits
from evolift.evolution.limits.limits_file import save_limits
from evolift.evolution.settings import EvolutionSettings, FitSettings
from evolift.posedata.errors import InputError
from evolift.posedata.store import PoseStore, Provenance
from tests.evolution.clips.made_clips import CLIPS, SETTINGS, TREE, write_clips

evolve_clips = partial(clip_evolution.evolve_clips, clips=CLIPS, block=8)
OTHERS: dict[str, Any] = {
    "ratio": 1.5,
    "target_size": 2000,
    "generations": 1,
    "limits": "fitted:LIMITS",
    "criteria": ("ground",),
    "crossover_rate": 0.0,
    "two_point_rate": 1.0,
    "mutation_rate": 0.0,
    "per_bone_rate": 0.1,
    "sigma": 5.0,
    "rotation_rate": 0.0,
    "tilt_sigma": 0.0,
    "crossed_lengths": "swapped",
    "length_rate": 0.1,
    "length_spread": 0.3,
    "template_rate": 0.5,
    "body_rate": 0.0,
    "immigrant_rate": 0.1,
    "immigrant_density": 0.5,
    "donor_rate": 0.1,
    "mirror_rate": 0.0,
    "settle": False,
    "sampling": "novelty",
    "min_change": 10.0,
    "min_distance": 10.0,
    "seed": 7,
}
"""Another value for every setting of an evolution of poses."""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("clips") / "clips.h5")


@pytest.fixture(scope="module")
def usual(source: Path) -> np.ndarray:
    return bred(source, source.with_name("usual.h5"), SETTINGS)


def bred(source: Path, target: Path, settings: EvolutionSettings) -> np.ndarray:
    evolve_clips(source, target, settings)
    with PoseStore(target) as store:
        joints = store.read().joints_3d
    assert joints is not None
    return joints


def test_every_setting_of_poses_is_decided_on() -> None:
    fields = set(EvolutionSettings.__struct_fields__)
    assert set(OTHERS) == fields
    assert set(OF_BOTH) < fields
    assert all(getattr(SETTINGS, name) != value for name, value in OTHERS.items())


@pytest.mark.parametrize("name", OF_BOTH)
def test_what_is_of_both_changes_motions(name: str, source: Path, usual: np.ndarray, tmp_path: Path) -> None:
    value = OTHERS[name]
    if name == "limits":
        with PoseStore(source) as store:
            joints = store.read().joints_3d
        assert joints is not None
        fitted = fit_limits([torch.from_numpy(joints)], TREE, FitSettings(smoothing=10.0))
        save_limits(tmp_path / "limits.h5", fitted, Provenance("test"))
        value = f"fitted:{tmp_path / 'limits.h5'}"
    changed = bred(source, tmp_path / "changed.h5", SETTINGS.replaced(**{name: value}))
    assert changed.shape != usual.shape or np.abs(changed - usual).max() > 1


@pytest.mark.parametrize("name", sorted(set(OTHERS) - set(OF_BOTH)))
def test_what_is_of_poses_alone_is_refused(name: str, source: Path, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=rf"^`{name}` is of single poses, which clips are not: leave it out$"
    ):
        evolve_clips(source, tmp_path / "motions.h5", SETTINGS.replaced(**{name: OTHERS[name]}))
    assert not list(tmp_path.iterdir())
