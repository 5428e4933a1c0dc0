"""One truth for every setting: a command without options is the library's call without arguments, and hides nothing."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner

from evolift.cli.main import command_named
from evolift.cli.settings_options import flat_fields
from evolift.lifter.model import LifterModel
from evolift.lifter.settings import LifterSettings
from evolift.posedata.settings import Settings
from tests.settled_networks import settled_detector

DETECTOR, LIFTER, STORE, OUTPUT = "DETECTOR", "LIFTER", "STORE", "OUTPUT"
"""Stand for checkpoints, a store of poses and a new file or folder in the words of a command."""
OF_THE_COMMAND = {"progress", "workers"}
"""Parameters that a command always gives: its progress bar, and who works, which never changes the result."""


class Stage(NamedTuple):
    """A command and the library's function that it calls with settings.

    Args:
        command: its words.
        function: by its full name.
        words: the arguments and options that the command cannot do without.
        hidden: fields of the function's settings that are no options of the command.
    """

    command: str
    function: str
    words: tuple[str, ...]
    hidden: frozenset[str] = frozenset()


STAGES = [
    Stage("lifter train", "evolift.lifter.training.train_lifter", (STORE, "-o", OUTPUT)),
    Stage("lifter train-refiner", "evolift.lifter.refiner_training.train_refiner", (STORE, "-o", OUTPUT)),
    Stage(
        "lifter evaluate",
        "evolift.lifter.evaluation.open_test_set",
        (LIFTER, "--data", STORE, "-o", OUTPUT),
        frozenset({"batch_size", "rotate_ring", "flip"}),
    ),
    Stage(
        "detector evaluate", "evolift.detector2d.evaluation.evaluate_detector", (DETECTOR, "--data", STORE)
    ),
    Stage("evolve", "evolift.evolution.job.algorithm.evolve", (STORE, "-o", OUTPUT)),
    Stage("evolve", "evolift.evolution.clips.clip_evolution.evolve_clips", (STORE, "-o", OUTPUT, "--clips")),
    Stage("limits fit", "evolift.evolution.limits.fitting.fit_store", (STORE, "-o", OUTPUT)),
    Stage("data actors", "evolift.synthetic.acting.actors.write_actor_store", ("-o", OUTPUT)),
    Stage("data render", "evolift.synthetic.rendering.people.render_store", (STORE, "-o", OUTPUT)),
    Stage("data import cmu", "evolift.posedata.importers.cmu_asfamc.import_cmu", (STORE, "-o", OUTPUT)),
]
every_stage = pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.command)


class Called(Exception):  # noqa: N818 - not an error
    """Ends a command where it calls the library."""


def signature_of(stage: Stage) -> inspect.Signature:
    """Of the library's function."""
    module, _, name = stage.function.rpartition(".")
    return inspect.signature(getattr(importlib.import_module(module), name))


def default_settings(signature: inspect.Signature) -> dict[str, Settings]:
    """Settings of a function, by parameter, when it is called without them."""
    parameters = signature.parameters.values()
    return {one.name: one.default for one in parameters if isinstance(one.default, Settings)}


@every_stage
def test_a_command_without_options_is_the_call_without_arguments(
    stage: Stage, tiny_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signature = signature_of(stage)
    passed: dict[str, Any] = {}

    def call(*arguments: Any, **named: Any) -> None:
        passed.update(signature.bind(*arguments, **named).arguments)
        raise Called

    monkeypatch.setattr(stage.function, call)
    stand_ins = {
        DETECTOR: tmp_path / "detector.safetensors",
        LIFTER: tmp_path / "lifter.safetensors",
        STORE: tiny_store,
        OUTPUT: tmp_path / "run",
    }
    if DETECTOR in stage.words:
        settled_detector().save(stand_ins[DETECTOR])
    if LIFTER in stage.words:
        LifterModel(LifterSettings(hidden=8, blocks=1)).save(stand_ins[LIFTER])
    words = [str(stand_ins.get(word, word)) for word in stage.words]
    result = CliRunner().invoke(command_named(stage.command), words)
    assert isinstance(result.exception, Called), result.output
    defaults = default_settings(signature)
    assert defaults
    assert {name: passed[name] for name in defaults} == defaults
    for name, value in passed.items():
        if name not in OF_THE_COMMAND and signature.parameters[name].default is not inspect.Parameter.empty:
            assert value == signature.parameters[name].default, name


@every_stage
def test_every_setting_is_an_option(stage: Stage) -> None:
    options = {option.name for option in command_named(stage.command).params}
    defaults = default_settings(signature_of(stage)).values()
    fields = {field.name for settings in defaults for field in flat_fields(type(settings))}
    assert fields - options == stage.hidden
