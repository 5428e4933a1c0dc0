"""Recipes: TOML files that set options of the commands; flags given on the command line win.

A recipe has `purpose`, `command` (the one it is for), `options` of that command, and may say `expected`, `hardware` and
`time`. What takes several commands has `stages` too: options of the commands that come before, by their names. With
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

from evolift.cli.settings_options import in_flags
from evolift.posedata.errors import EvoliftError, InputError
from evolift.posedata.input_file import read_text
from evolift.posedata.output_file import require_apart
from evolift.posedata.settings import shown

REQUIRED_KEYS = {"purpose", "command", "options"}
MAX_BYTES, MAX_LINE, MAX_NESTED = 2**20, 2**13, 8
"""Of a recipe: size of its file, characters of a line (tomllib takes minutes for a key of many dots), and tables in tables."""
RECIPE_KEYS = REQUIRED_KEYS | {"expected", "hardware", "time", "stages", "extends"}
FOLDER = resources.files("evolift.cli") / "recipes"

Options = dict[str, Any]


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


def read_recipe(name: str) -> dict[str, Any]:
    """A recipe by name (from cli/recipes) or path, with what it extends already in it.

    Returns:
        The recipe, with `stages` always there: options by command, those of its own command among them.

    Raises:
        InputError: there is none of that name, it is not TOML, its keys are not those of a recipe, or it extends itself.
    """
    return _read_recipe(name, ())


def _read_recipe(name: str, extending: tuple[str, ...]) -> dict[str, Any]:
    if name in extending:
        raise InputError(f"recipe {name}: it extends itself by way of {', '.join(extending)}")
    if name.endswith(".toml"):
        recipe = read_toml(Path(name), "recipe")
    else:
        known = sorted(
            entry.name.removesuffix(".toml") for entry in FOLDER.iterdir() if entry.name.endswith(".toml")
        )
        if name not in known:
            raise InputError(
                f"there is no recipe {name!r}: choose one of {', '.join(known) or '(none)'}, or give a .toml file"
            )
        recipe = parsed((FOLDER / f"{name}.toml").read_text(encoding="utf-8"), f"recipe {name}")
    _check_keys(recipe, name)
    before: dict[str, Options] = {}
    if "extends" in recipe:
        before = _read_recipe(recipe["extends"], (*extending, name))["stages"]
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
        not REQUIRED_KEYS <= set(recipe) <= RECIPE_KEYS
        or not all(isinstance(table, dict) for table in tables)
        or not all(isinstance(text, str) for text in texts)
    ):
        raise InputError(
            f"recipe {name}: its keys must be purpose, command, options and maybe expected, hardware, time, stages, extends"
        )
    if recipe["command"] in stages:
        raise InputError(
            f"recipe {name}: options of `evolift {recipe['command']}` belong under [options], not under [stages]"
        )


def recipe_options(name: str, command: str) -> Options:
    """What a recipe sets for a command.

    Raises:
        InputError: the recipe is not sound, or not for this command.
    """
    stages: dict[str, Options] = read_recipe(name)["stages"]
    if command not in stages:
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
            f"{where}: unknown option {unknown[0]!r}: `evolift {command_name}` has {', '.join(sorted(known))}"
        )


class RecipeCommand(click.RichCommand):
    """A command with `--recipe`: defaults from a TOML file; flags given on the command line win."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(
            click.Option(
                ["--recipe"],
                is_eager=True,
                expose_value=False,
                callback=_apply_recipe,
                help="Take defaults from a recipe: a name from cli/recipes, or a TOML file. Flags win.",
            )
        )

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; errors of the library, which name fields, then name its flags."""
        try:
            _require_outputs_apart(ctx)
            return super().invoke(ctx)
        except EvoliftError as error:
            raise in_flags(error, self) from error


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
    command = ctx.command_path.removeprefix("evolift ").strip()
    options = recipe_options(name, command)
    require_options(options, ctx.command, command, f"recipe {name}")
    known = flags_of(ctx.command)
    for key, value in options.items():
        wanted = _wanted(known[key], value)
        if wanted is not None:
            raise InputError(f"recipe {name}: {key} must be {wanted}, not {shown(value)}")
    ctx.default_map = {str(known[key].name): value for key, value in options.items()}


def _wanted(option: click.Option, value: object) -> str | None:
    """What the value of an option must be, if this one is of another type; click itself would convert or stumble."""
    if option.is_flag or option.secondary_opts:
        return None if isinstance(value, bool) else "true or false"
    one = _wanted_type(option.type)
    if option.multiple or option.nargs != 1:
        count = "" if option.multiple else f"{option.nargs} "
        is_fine = isinstance(value, list) and all(_is_of(item, one) for item in value)
        is_fine &= option.multiple or (isinstance(value, list) and len(value) == option.nargs)
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
