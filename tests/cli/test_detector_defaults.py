"""What a command trains without options is what the library trains without arguments; every setting has an option."""

from __future__ import annotations

import functools
import inspect
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import rich_click as click
from click.testing import CliRunner

import evolift.chain.training
import evolift.detector2d.training
from evolift.chain.model import ChainModel
from evolift.chain.settings import ChainTrainingSettings
from evolift.cli.detector import augment_preview, evaluate, train
from evolift.cli.finetune import finetune
from evolift.cli.settings_options import flat_fields
from evolift.detector2d.settings import (
    AugmentationSettings,
    DetectorSettings,
    DetectorTrainingSettings,
    OcclusionSettings,
)
from evolift.posedata.settings import Settings
from tests.settled_networks import settled_detector, settled_lifter

UNLIKE_THE_DEFAULTS = {
    "head_widths": ["--head-width", "8", "--head-width", "9"],
    "milestones": ["--milestone", "0.5"],
    "ratios": ["--ratio", "2"],
    "augment": ["--no-augment"],
    "channels_last": ["--no-channels-last"],
    "check_images": ["--no-check-images"],
    "occlusion_probability": ["--occlusion-probability", "0.25"],
    "max_occluders": ["--max-occluders", "3"],
    "rotation_clip": ["--rotation-clip", "2"],
    "boxes": ["--boxes", "store"],
    "skeleton": ["--skeleton", "LSP14"],
}
"""Settings of a detector and its training, and the words that set each to another value than its default."""


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a command passes to the library's function, which does nothing but keep it."""
    kept: dict[str, Any] = {}

    def instead(function: Any) -> Any:
        @functools.wraps(function)
        def keep(*given: Any, **named: Any) -> pd.DataFrame:
            bound = inspect.signature(function).bind(*given, **named)
            kept.update(bound.arguments)
            return pd.DataFrame({"step": [1.0], "pck": [0.0], "mpjpe": [0.0]})

        return keep

    for module, name in (
        (evolift.detector2d.training, "train_detector"),
        (evolift.chain.training, "finetune"),
    ):
        monkeypatch.setattr(module, name, instead(getattr(module, name)))
    return kept


def call(command: click.Command, *words: str | Path) -> None:
    result = CliRunner().invoke(command, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output


def defaults_of(function: Any) -> dict[str, Any]:
    parameters = inspect.signature(function).parameters
    return {
        name: one.default for name, one in parameters.items() if one.default is not inspect.Parameter.empty
    }


def test_detector_train_without_options_is_train_detector_without_arguments(
    taken: dict[str, Any], tmp_path: Path
) -> None:
    expected = defaults_of(evolift.detector2d.training.train_detector)
    (tmp_path / "store.h5").touch()
    call(train, tmp_path / "store.h5", "--validation", tmp_path / "store.h5", "-o", tmp_path / "run")
    given = {"stores": (tmp_path / "store.h5",), "validation": (tmp_path / "store.h5",)}
    assert taken == expected | given | {"output": tmp_path / "run"}
    assert expected["training"] == DetectorTrainingSettings()
    assert expected["detector"] == DetectorSettings()


def test_finetune_without_options_is_finetune_without_arguments(
    taken: dict[str, Any], tmp_path: Path
) -> None:
    expected = defaults_of(evolift.chain.training.finetune)
    ChainModel(settled_detector(), settled_lifter()).save(tmp_path / "chain.safetensors")
    (tmp_path / "store.h5").touch()
    stores = (tmp_path / "store.h5", "--validation", tmp_path / "store.h5", "-o", tmp_path / "run")
    call(finetune, *stores, "--chain", tmp_path / "chain.safetensors")
    assert taken.pop("chain").origin == tmp_path / "chain.safetensors"
    given = {"stores": (tmp_path / "store.h5",), "validation": (tmp_path / "store.h5",)}
    assert taken == expected | given | {"output": tmp_path / "run"}
    assert expected["training"] == ChainTrainingSettings()


def test_flags_set_what_they_are_named_for(taken: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "store.h5").touch()
    words = [word for words in UNLIKE_THE_DEFAULTS.values() for word in words]
    call(train, tmp_path / "store.h5", "--validation", tmp_path / "store.h5", "-o", tmp_path / "run", *words)
    before = DetectorSettings().flat() | DetectorTrainingSettings().flat()
    after = taken["detector"].flat() | taken["training"].flat()
    assert {name for name in after if after[name] != before[name]} == set(UNLIKE_THE_DEFAULTS)
    assert (after["head_widths"], after["ratios"], after["skeleton"]) == ((8, 9), (2.0,), "LSP14")
    assert taken["training"].occlusion == OcclusionSettings(occlusion_probability=0.25, max_occluders=3)


@pytest.mark.parametrize(
    ("command", "settings"),
    [
        (train, (DetectorSettings, DetectorTrainingSettings)),
        (finetune, (ChainTrainingSettings,)),
        (augment_preview, (AugmentationSettings, OcclusionSettings)),
    ],
    ids=["detector train", "finetune", "augment-preview"],
)
def test_every_setting_has_an_option_with_help(
    command: click.Command, settings: tuple[type[Settings], ...]
) -> None:
    options = {option.name: option for option in command.params if isinstance(option, click.Option)}
    fields = [field for one in settings for field in flat_fields(one)]
    assert len({field.name for field in fields}) == len(fields)
    for field in fields:
        assert options[field.name].help, field.name


def test_evaluation_crops_and_computes_as_training_does() -> None:
    options = {option.name: option for option in evaluate.params}
    training = DetectorTrainingSettings()
    assert (options["boxes"].default, options["channels_last"].default) == (
        training.boxes,
        training.channels_last,
    )
