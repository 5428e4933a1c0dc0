"""Makes docs/settings.md: a table of every settings class, from its fields. Run it after changing a setting."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from pathlib import Path

import msgspec

from evolift.chain.settings import ChainTrainingSettings
from evolift.cli.settings_options import flag_of
from evolift.detector2d.evaluation_settings import DetectorEvaluationSettings
from evolift.detector2d.settings import DetectorSettings, DetectorTrainingSettings
from evolift.evolution.clips.settings import ClipSettings
from evolift.evolution.settings import EvolutionSettings, FitSettings
from evolift.lifter.judge_settings import JudgeSettings
from evolift.lifter.loop_settings import LoopSettings
from evolift.lifter.settings import (
    LifterSettings,
    LifterTrainingSettings,
    ProtocolSettings,
    RefinerSettings,
    RefinerTrainingSettings,
)
from evolift.lifter.temporal.settings import TemporalSettings, TemporalTrainingSettings
from evolift.posedata.file_limits import FileLimits
from evolift.posedata.importers.settings import CmuSettings, PoseBaselineSettings
from evolift.posedata.settings import Settings, allowed
from evolift.posedata.skeleton import Skeleton
from evolift.prediction.settings import AppSettings, PredictSettings
from evolift.synthetic.settings import ActorSettings, RenderSettings

PAGE = Path(__file__).with_name("settings.md")
CLASSES: dict[type[Settings], str] = {
    FileLimits: "evolift",
    PredictSettings: "evolift predict",
    AppSettings: "evolift app",
    LifterSettings: "evolift lifter train",
    LifterTrainingSettings: "evolift lifter train",
    TemporalSettings: "evolift lifter train --frames",
    TemporalTrainingSettings: "evolift lifter train --frames",
    ProtocolSettings: "evolift lifter evaluate",
    RefinerSettings: "evolift lifter train-refiner",
    RefinerTrainingSettings: "evolift lifter train-refiner",
    DetectorSettings: "evolift detector train",
    DetectorTrainingSettings: "evolift detector train",
    DetectorEvaluationSettings: "evolift detector evaluate",
    ChainTrainingSettings: "evolift finetune",
    EvolutionSettings: "evolift evolve",
    LoopSettings: "evolift evolve --loop",
    ClipSettings: "evolift evolve --clips",
    JudgeSettings: "evolift judge",
    FitSettings: "evolift limits fit",
    ActorSettings: "evolift data actors",
    RenderSettings: "evolift data render",
    CmuSettings: "evolift data import cmu",
    PoseBaselineSettings: "evolift data import 3d-pose-baseline",
}


def page() -> str:
    """The page as Markdown."""
    parts = [
        "# Settings",
        "Every setting of evolift, made from the settings classes by `python docs/settings_page.py`. In Python a setting is a "
        "field, on the command line a flag, in a recipe the flag without its dashes.",
    ]
    for settings, command in CLASSES.items():
        parts += [
            f"## {settings.__name__}",
            f"`{settings.__module__}`, options of `{command}`. {(settings.__doc__ or '').strip().splitlines()[0]}",
            "| field | flag | default | values | what |\n|---|---|---|---|---|\n" + "\n".join(rows(settings)),
        ]
    return "\n\n".join(parts) + "\n"


def rows(settings: type[Settings], inside: str = "") -> Iterator[str]:
    """A row for each field; those of settings inside stand in their place, as `outer.field`."""
    for field in msgspec.structs.fields(settings):
        if isinstance(field.type, type) and issubclass(field.type, Settings):
            yield from rows(field.type, f"{inside}{field.name}.")
            continue
        told = _told(field.type)
        cells = (
            f"`{inside}{field.name}`",
            "(none)" if field.name in settings.derived else f"`{flag_of(told.get('flag', field.name))}`",
            _default(field.default),
            allowed(field.type),
            told.get("description", ""),
        )
        yield "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def _told(annotation: typing.Any) -> dict[str, str]:
    """What the metadata of a field's type say."""
    told: dict[str, str] = {}
    for one in getattr(annotation, "__metadata__", ()):
        if isinstance(one, msgspec.Meta):
            told |= {"description": one.description} if one.description else {}
            told |= one.extra or {}
    for inner in typing.get_args(annotation):
        told = _told(inner) | told
    return told


def _default(value: object) -> str:
    if value is msgspec.NODEFAULT:
        return "(must be given)"
    if isinstance(value, Skeleton):
        return value.name
    if value is None or value == ():
        return "(left out)"
    if isinstance(value, tuple):
        return ", ".join(_default(one) for one in value)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
