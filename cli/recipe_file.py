"""Recipes: TOML files that set options of the commands; flags given on the command line win.

A recipe has `options` of a command, and may say its `purpose`, that `command`, what is `expected`, `hardware` and
`time`; those of evolift say all. What takes several commands has `stages` too: options of the commands that come before, by their names. With
`extends`, a recipe has the stages of another and says only what differs:

    purpose = "Row 12: as row 11, with the backbone's last block unfrozen (U)"
    command = "finetune"
    extends = "report-row-11"
    [options]
    freeze = "all-but-last-block"
    [stages."lifter train"]
    steps = 1000
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import rich_click as click

from evolift.cli.recorded_options import read_record, record_to_resume, recorded_options
from evolift.cli.settings_options import in_flags
from evolift.posedata.errors import EvoliftError, InputError
from evolift.posedata.input_file import read_text
from evolift.posedata.output_file import require_apart
from evolift.posedata.settings import shown
from evolift.posedata.similar_name import guess

MAX_BYTES, MAX_LINE, MAX_NESTED = 2**20, 2**13, 8
"""Of a recipe: size of its file, characters of a line (tomllib takes minutes for a key of many dots), and tables in tables."""
RECIPE_KEYS = {"options", "purpose", "command", "expected", "hardware", "time", "stages", "extends"}
FOLDER = resources.files("evolift.cli") / "recipes"

Options = dict[str, Any]
_PANELS = ("Options", "Network", "Data", "Optimiser", "Hardware")


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """A TOML file of a user; `what` names its kind in messages.

    Raises:
        InputError: it is missing, cannot be read as text, or is not TOML.
    """
    if not path.is_file():
        raise InputError(f"{path}: there is no such {what} file")
    if path.stat().st_size > MAX_BYTES:
        raise InputError(f"{what} {path}: it has more than {MAX_BYTES} bytes, so it is none")
    return parsed(read_text(path, f"give a {what}"), f"{what} {path}")


def parsed(text: str, name: str) -> dict[str, Any]:
    """The values of TOML text; `name` is for the message.

    Raises:
        InputError: it is not TOML.
    """
    if len(max(text.splitlines(), key=len, default="")) > MAX_LINE:
        raise InputError(f"{name}: a line has more than {MAX_LINE} characters: write its values on several")
    try:
        values = tomllib.loads(text)
    except RecursionError:
        raise InputError(f"{name}: its values are nested too deeply: write it flat") from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{name}: not valid TOML: {' '.join(str(error).split())[:200]}") from None
    except ValueError:  # Python's own limit, with an advice to raise it
        raise InputError(f"{name}: not valid TOML: a number has thousands of digits") from None
    level: list[Any] = [values]
    for _ in range(MAX_NESTED):
        level = [
            part
            for one in level
            if isinstance(one, (dict, list))
            for part in (one.values() if isinstance(one, dict) else one)
        ]
    if level:
        raise InputError(f"{name}: its values are nested too deeply: write it flat")
    return values


def read_recipe(name: str, command: str | None = None) -> dict[str, Any]:
    """A recipe by name (from cli/recipes) or path, with what it extends already in it.

    Args:
        name: of the recipe, or path of its file.
        command: that its options are for if it does not say so.

    Returns:
        The recipe, with `stages` always there: options by command, those of its own command among them.

    Raises:
        InputError: there is none of that name, it is not TOML, its keys are not those of a recipe, or it extends itself.
    """
    return _read_recipe(name, command, ())


def shipped_recipes() -> list[str]:
    """The names of the recipes that come with evolift."""
    return sorted(
        entry.name.removesuffix(".toml") for entry in FOLDER.iterdir() if entry.name.endswith(".toml")
    )


def _read_recipe(name: str, command: str | None, extending: tuple[str, ...]) -> dict[str, Any]:
    if name in extending:
        raise InputError(f"recipe {name}: it extends itself by way of {', '.join(extending)}")
    if name.endswith(".toml"):
        recipe = read_toml(Path(name), "recipe")
    else:
        known = shipped_recipes()
        if name not in known:
            raise InputError(
                f"there is no recipe {name!r}{guess(name, known)}: choose one of {', '.join(known) or '(none)'}, or give a .toml file"
            )
        recipe = parsed((FOLDER / f"{name}.toml").read_text(encoding="utf-8"), f"recipe {name}")
    _check_keys(recipe, name)
    recipe.setdefault("command", command)
    if recipe["command"] is None:
        raise InputError(f"recipe {name}: say the command that it is for")
    before: dict[str, Options] = {}
    if "extends" in recipe:
        before = _read_recipe(recipe["extends"], command, (*extending, name))["stages"]
    own = recipe.get("stages", {}) | {recipe["command"]: recipe["options"]}
    stages = {
        command: before.get(command, {}) | own.get(command, {})
        for command in [*before, *(command for command in own if command not in before)]
    }
    return recipe | {"stages": stages}


def _check_keys(recipe: Mapping[str, Any], name: str) -> None:
    tables = [recipe.get("options"), recipe.get("stages", {})]
    stages = recipe.get("stages", {})
    tables += stages.values() if isinstance(stages, dict) else []
    texts = [recipe.get(key, "") for key in RECIPE_KEYS - {"options", "stages"}]
    if (
        not {"options"} <= set(recipe) <= RECIPE_KEYS
        or not all(isinstance(table, dict) for table in tables)
        or not all(isinstance(text, str) for text in texts)
    ):
        raise InputError(
            f"recipe {name}: its keys must be options and maybe purpose, command, expected, hardware, time, stages, extends"
        )
    if recipe.get("command") in stages:
        raise InputError(
            f"recipe {name}: options of `evolift {recipe['command']}` belong under [options], not under [stages]"
        )


def recipe_options(name: str, command: str) -> Options:
    """What a recipe sets for a command.

    Raises:
        InputError: the recipe is not sound, or not for this command.
    """
    stages: dict[str, Options] = read_recipe(name, command)["stages"]
    if command not in stages:  # then it says its own command
        meant = " and ".join(f"`evolift {stage}`" for stage in stages)
        raise InputError(f"recipe {name}: it is for {meant}, not for `evolift {command}`")
    return stages[command]


def flags_of(command: click.Command) -> dict[str, click.Option]:
    """Options of a command by the names that recipes have for them: the long flag without its dashes."""
    options = [option for option in command.params if isinstance(option, click.Option)]
    return {max(option.opts, key=len).lstrip("-"): option for option in options if option.name != "recipe"}


def require_options(
    options: Mapping[str, Any], command: click.Command, command_name: str, where: str
) -> None:
    """Refuse options that a command does not have.

    Raises:
        InputError: naming the first, and what the command has.
    """
    known = flags_of(command)
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise InputError(
            f"{where}: unknown option {unknown[0]!r}{guess(unknown[0], known)}: `evolift {command_name}` has {', '.join(sorted(known))}"
        )


class RecipeCommand(click.RichCommand):
    """A command with `--recipe`: defaults from a TOML file; flags given on the command line win."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.panels = [
            *self.panels,
            *map(click.RichOptionPanel, _PANELS),
        ]  # their order; empty ones are not shown
        self.params.append(
            click.Option(
                ["--recipe"],
                is_eager=True,
                expose_value=False,
                callback=_apply_recipe,
                help="Take defaults from a recipe: one of `evolift recipes`, a TOML file, or the settings.json of a run. Flags win.",
            )
        )

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click; a run that is resumed has the options and arguments that it was begun with, where others are not given."""
        if any(parameter.name == "resume" for parameter in self.params):
            given, _, _ = self.make_parser(ctx).parse_args(list(args))
            found = record_to_resume(given)
            if found is not None:
                _take_record(ctx, *found)
            elif given.get("resume") and given.get("output") and self._lacks_arguments(given):
                raise InputError(
                    f"{given['output']} holds no run to resume: give the folder of one, or what a new run needs"
                )
        return super().parse_args(ctx, args)

    def _lacks_arguments(self, given: dict[str, Any]) -> bool:
        arguments = [one for one in self.params if isinstance(one, click.Argument) and one.required]
        # What is not given is click's own sentinel; what is given is text.
        return any(not isinstance(given.get(str(one.name)), (str, tuple, list)) for one in arguments)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; errors of the library, which name fields, then name its flags.

        Of what is interrupted, a note says what was kept, if the library has not said so.
        """
        output = ctx.params.get("output")
        was_there = isinstance(output, Path) and output.exists()
        try:
            _require_outputs_apart(ctx)
            return super().invoke(ctx)
        except EvoliftError as error:
            raise in_flags(error, self) from error
        except (KeyboardInterrupt, SystemExit) as interruption:
            if isinstance(output, Path) and not getattr(interruption, "__notes__", None):
                if not output.exists():
                    interruption.add_note(f"{output} was not written.")
                elif was_there and output.is_file():
                    interruption.add_note(f"{output} is as it was before.")
            raise


def _require_outputs_apart(ctx: click.Context) -> None:
    """Refuse an output file that is one of the inputs; folders are looked at where they are made."""
    inputs: list[Path] = []
    outputs: list[Path] = []
    for parameter in ctx.command.params:
        if isinstance(parameter.type, click.Path):
            value = ctx.params.get(str(parameter.name))
            paths = value if isinstance(value, tuple) else (value,)
            is_output = isinstance(parameter, click.Option) and not parameter.type.exists
            (outputs if is_output else inputs).extend(Path(path) for path in paths if path is not None)
    for output in outputs:
        if not output.is_dir():
            require_apart(output, inputs)
        if outputs.count(output) > 1:
            raise InputError(f"{output} is to be written twice: give different names")


def _apply_recipe(ctx: click.Context, parameter: click.Parameter, name: str | None) -> None:
    if name is None:
        return
    if name.endswith(".json"):
        if not Path(name).is_file():
            raise InputError(f"{name}: there is no such settings file")
        _take_record(ctx, Path(name), read_record(Path(name)))
        return
    command = _command_name(ctx)
    options = recipe_options(name, command)
    require_options(options, ctx.command, command, f"recipe {name}")
    known = flags_of(ctx.command)
    for key, value in options.items():
        wanted = _wanted(known[key], value)
        if wanted is not None:
            raise InputError(f"recipe {name}: {key} must be {wanted}, not {shown(value)}")
    taken = {str(known[key].name): value for key, value in options.items()}
    ctx.default_map = {**(ctx.default_map or {}), **taken}


def _take_record(ctx: click.Context, path: Path, record: dict[str, Any]) -> None:
    """Take defaults from the record of a run.

    Raises:
        InputError: it is not of this command, or a value is of another type.
    """
    taken = recorded_options(record, ctx.command, _command_name(ctx), path)
    for parameter in ctx.command.params:
        value = taken.get(str(parameter.name))
        if value is not None:
            wanted = _wanted(parameter, value)
            if wanted is not None:
                raise InputError(f"{path}: {parameter.name} must be {wanted}, not {shown(value)}")
    ctx.default_map = {**(ctx.default_map or {}), **taken}


def _command_name(ctx: click.Context) -> str:
    return ctx.command_path.removeprefix("evolift ").strip()


def _wanted(option: click.Parameter, value: object) -> str | None:
    """What the value of an option must be, if this one is of another type; click itself would convert or stumble."""
    if getattr(option, "is_flag", False) or option.secondary_opts:
        return None if isinstance(value, bool) else "true or false"
    if getattr(option.type, "takes_lists", False) and isinstance(value, list):  # as records have them
        parts = [part for one in value for part in (one if isinstance(one, list) and one else [one])]
        return None if value and all(_is_of(part, int) or _is_of(part, str) for part in parts) else "text"
    one = _wanted_type(option.type)
    is_open = option.multiple or option.nargs == -1
    if is_open or option.nargs != 1:
        count = "" if is_open else f"{option.nargs} "
        is_fine = isinstance(value, list) and all(_is_of(item, one) for item in value)
        is_fine &= is_open or (isinstance(value, list) and len(value) == option.nargs)
        return None if is_fine else f"a list of {count}{_PLURALS[one]}"
    return None if _is_of(value, one) else _SINGULARS[one]


_SINGULARS = {int: "a whole number", float: "a number", str: "text"}
_PLURALS = {int: "whole numbers", float: "numbers", str: "texts"}


def _wanted_type(kind: click.ParamType[Any]) -> type:
    if isinstance(kind, (click.IntRange, type(click.INT))):
        return int
    return float if isinstance(kind, type(click.FLOAT)) else str


def _is_of(value: object, kind: type) -> bool:
    if isinstance(value, bool) or (isinstance(value, int) and abs(value) >= 2**63):
        return False
    if isinstance(value, str) and "\0" in value:
        return False
    return isinstance(value, (int, float) if kind is float else kind)
