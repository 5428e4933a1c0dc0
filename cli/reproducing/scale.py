"""At which scale the report's rows are run, all in one TOML file: `full`, `small`, or one's own.

purpose = "what it is for; shown above its table"
comparable = false            # whether scores may stand beside the published ones

[data]
train-images = 1500           # rendered, where a store has poses alone; likewise validation-images, test-images
image-size = 128            # pixels
test-subjects = ["S9"]        # unless the command line says other ones; likewise validation-subjects

[[change]]                    # in this order, each to what the rows' recipes set
command = "detector train"
where = { backbone = "resnet50" }   # only where a recipe says so; left out: everywhere
set = { backbone = "tf_efficientnet_lite0", steps = 800 }
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from evolift.cli.recipe_file import Options, parsed, read_toml, require_options
from evolift.posedata.errors import InputError

SCALES = ("full", "small")
_FOLDER = resources.files("evolift.cli") / "reproducing" / "scales"
_DATA: dict[str, type] = {
    "train-images": int,
    "validation-images": int,
    "test-images": int,
    "image-size": int,
    "test-subjects": list,
    "validation-subjects": list,
}
_KEYS = {"purpose", "comparable", "data", "change"}


@dataclass(frozen=True)
class Change:
    """Options of a command that are set where its recipe says something."""

    command: str
    where: Mapping[str, Any]
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Scale:
    """How rows are run.

    Args:
        name: of the scale.
        purpose: shown above its table.
        comparable: whether scores may stand beside the published ones.
        images: to render, by split.
        image_size: of those, pixels.
        test_subjects, validation_subjects: unless the command line says others.
        changes: in their order.
    """

    name: str
    purpose: str
    comparable: bool
    images: Mapping[str, int]
    image_size: int
    test_subjects: tuple[str, ...]
    validation_subjects: tuple[str, ...]
    changes: tuple[Change, ...]

    def changed(self, command: str, options: Options) -> Options:
        """What a command's options become; `where` is asked of the recipe's, not of what earlier changes made."""
        result = dict(options)
        for change in self.changes:
            if change.command == command and change.where.items() <= options.items():
                result |= change.values
        return result


def read_scale(name: str) -> Scale:
    """A scale by name or from a TOML file.

    Raises:
        InputError: there is none, or something in it is not what a scale has.
    """
    if name in SCALES:
        values = parsed((_FOLDER / f"{name}.toml").read_text(encoding="utf-8"), f"scale {name}")
    elif name.endswith(".toml"):
        values = read_toml(Path(name), "scale")
    else:
        raise InputError(f"there is no scale {name!r}: choose {' or '.join(SCALES)}, or give a .toml file")
    where = f"scale {name}"
    data = values.get("data")
    if (
        set(values) - {"change"} != _KEYS - {"change"}
        or not isinstance(values["purpose"], str)
        or not isinstance(values["comparable"], bool)
        or not isinstance(data, dict)
        or not isinstance(values.get("change", []), list)
    ):
        raise InputError(
            f"{where}: its keys must be purpose (text), comparable (true or false), data (a table) and maybe change (a list of tables)"
        )
    if {key: type(value) for key, value in data.items()} != _DATA:
        raise InputError(
            f"{where}: data must have {', '.join(f'{key} ({kind.__name__})' for key, kind in _DATA.items())}"
        )
    return Scale(
        Path(name).stem,
        values["purpose"],
        values["comparable"],
        {split: data[f"{split}-images"] for split in ("train", "validation", "test")},
        data["image-size"],
        tuple(map(str, data["test-subjects"])),
        tuple(map(str, data["validation-subjects"])),
        tuple(_change(change, where) for change in values.get("change", [])),
    )


def _change(values: Any, where: str) -> Change:
    from evolift.cli.main import command_named

    if not isinstance(values, dict) or not {"command", "set"} <= set(values) <= {"command", "set", "where"}:
        raise InputError(f"{where}: a change has command, set and maybe where")
    try:
        command = command_named(str(values["command"]))
    except KeyError:
        raise InputError(f"{where}: there is no command {values['command']!r}") from None
    change = Change(str(values["command"]), values.get("where", {}), values["set"])
    for options in (change.where, change.values):
        require_options(options, command, change.command, where)
    return change
