from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest
import rich_click as click
from click.testing import CliRunner, Result

from evolift.cli.main import COMMANDS, command_named
from evolift.cli.options import RecipeCommand, overwrite_option, resume_option
from evolift.cli.recipe_file import flags_of, read_recipe, require_options
from evolift.cli.settings_options import settings_options, taken_settings
from evolift.posedata.errors import InputError
from evolift.training.run_folder import run_folder, run_record
from evolift.training.settings import RunSettings, Steps, ValidateEvery


class Learning(RunSettings, frozen=True, kw_only=True):
    steps: Steps = 100
    validate_every: ValidateEvery = 10


@click.command(cls=RecipeCommand)
@click.option("--batch-size", type=int, default=4)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
@settings_options(Learning)
@overwrite_option
@resume_option
def learn(output: Path, batch_size: int, **options: object) -> None:
    settings = taken_settings(Learning, options)
    record = run_record("learn", settings, batch_size=batch_size, output=output)
    resume = bool(options["resume"])
    with run_folder(output, record, overwrite=not resume, resume=resume):
        (output / "result").write_text("done")
    values = {
        "batch_size": batch_size,
        "steps": settings.steps,
        "seed": settings.seed,
        "left": sorted(options),
    }
    click.echo(json.dumps(values))


def run(tmp_path: Path, *arguments: str) -> Result:
    return CliRunner().invoke(learn, ["-o", str(tmp_path / "out"), *arguments])


def recipe(tmp_path: Path, text: str) -> str:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return str(path)


HEAD = 'purpose = "a test"\ncommand = "learn"\n'


def test_a_recipe_sets_defaults_and_flags_win(tmp_path: Path) -> None:
    name = recipe(tmp_path, HEAD + "[options]\nbatch-size = 16\nsteps = 7\n")
    assert json.loads(run(tmp_path, "--recipe", name).output)["batch_size"] == 16
    won = json.loads(run(tmp_path, "--recipe", name, "--batch-size", "2").output)
    assert (won["batch_size"], won["steps"]) == (2, 7)
    written = json.loads((tmp_path / "out" / "settings.json").read_text())
    assert written["settings"]["batch_size"] == 2
    assert written["settings"]["steps"] == 7


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            HEAD + "[options]\nbatchsize = 1\n",
            "unknown option 'batchsize' (did you mean batch-size?): `evolift learn` has accelerator",
        ),
        (
            'purpose = "x"\ncommand = "evolve"\n[options]\n',
            "it is for `evolift evolve`, not for `evolift learn`",
        ),
        (HEAD + "speed = 1\n[options]\n", "its keys must be options and maybe purpose, command"),
        ("purpose = ", "not valid TOML"),
        ("options = 3\n" + HEAD, "its keys must be options and maybe purpose, command"),
        (HEAD, "its keys must be options and maybe purpose, command"),
    ],
)
def test_a_wrong_recipe_is_refused(tmp_path: Path, text: str, message: str) -> None:
    result = run(tmp_path, "--recipe", recipe(tmp_path, text))
    assert isinstance(result.exception, InputError)
    assert message in str(result.exception)


def test_an_unknown_recipe_names_the_known_ones() -> None:
    with pytest.raises(InputError, match="there is no recipe 'row-99': choose one of"):
        read_recipe("row-99")


def test_a_run_is_resumed_only_with_its_own_settings(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run(tmp_path, "--batch-size", "2")
    again = run(tmp_path, "--batch-size", "2", "--resume", "--num-workers", "3", "--steps", "200")
    assert again.exit_code == 0
    refused = run(tmp_path, "--batch-size", "8", "--resume")
    assert isinstance(refused.exception, InputError)
    assert "was begun with --batch-size 2, not 8: resume with the same settings" in str(refused.exception)
    (tmp_path / "out" / "settings.json").write_text("{")
    assert run(tmp_path, "--resume").exit_code == 0
    assert "settings.json is damaged: the run begins anew" in caplog.text


def test_a_recipe_of_one_s_own_needs_no_purpose_and_no_command(tmp_path: Path) -> None:
    name = recipe(tmp_path, "[options]\nbatch-size = 16\n")
    assert json.loads(run(tmp_path, "--recipe", name).output)["batch_size"] == 16
    with pytest.raises(InputError, match=r"mine.toml: say the command that it is for$"):
        read_recipe(name)


def test_the_settings_of_a_run_are_a_recipe(tmp_path: Path) -> None:
    run(tmp_path, "--batch-size", "16", "--steps", "7")
    path = tmp_path / "out" / "settings.json"
    again = CliRunner().invoke(
        learn, ["-o", str(tmp_path / "b"), "--recipe", str(path), "--steps", "8"], catch_exceptions=False
    )
    told = json.loads(again.output)
    assert (told["batch_size"], told["steps"]) == (16, 8)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"s\.json: there is no such settings file"),
        ("{", r"s\.json is not JSON \(line 1, column 2"),
        ("[]", r"s\.json is no record of a run: give the settings\.json of one"),
        ('{"settings": [], "command": "learn"}', r"s\.json is no record of a run"),
        ('{"settings": {}, "command": "evolift evolve"}', r"s\.json is of `evolift evolve`, not of `evolift learn`"),
        ('{"settings": {"steps": {}}, "command": "learn"}', r"s\.json: steps must be a whole number, not \{\}"),
        ('{"settings": {"output": ["a"], "batch_size": true}, "command": "learn"}', "batch_size must be a whole"),
    ],
)  # fmt: skip
def test_settings_that_are_none_are_refused(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "s.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=message):
        raise run(tmp_path, "--recipe", str(path)).exception or AssertionError


def test_a_resumed_run_needs_nothing_repeated(tmp_path: Path) -> None:
    run(tmp_path, "--batch-size", "2", "--seed", "9", "--no-progress")
    again = run(tmp_path, "--resume")
    assert json.loads(again.output)["batch_size"] == 2
    assert json.loads((tmp_path / "out/settings.json").read_text())["settings"]["progress"] is False
    refused = run(tmp_path, "--resume", "--recipe", recipe(tmp_path, "[options]\nbatch-size = 3\n"))
    assert "was begun with --batch-size 2, not 3" in str(refused.exception)
    new = CliRunner().invoke(learn, ["-o", str(tmp_path / "new"), "--resume"])
    assert json.loads(new.stdout)["batch_size"] == 4


def test_every_command_takes_a_recipe() -> None:
    def leaves(command: click.Command) -> list[click.Command]:
        if not isinstance(command, click.Group):
            return [command]
        context = click.Context(command)
        found = [command.get_command(context, name) for name in command.list_commands(context)]
        return [leaf for sub in found if sub is not None for leaf in leaves(sub)]

    for name, (module, _) in COMMANDS.items():
        for leaf in leaves(getattr(importlib.import_module(module), name)):
            assert isinstance(leaf, RecipeCommand), f"{name} {leaf.name}"


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[2] / "cli" / "recipes").glob("*.toml")), ids=lambda path: path.stem
)
def test_every_shipped_recipe_sets_only_options_of_its_commands(path: Path) -> None:
    shipped = read_recipe(path.stem)
    assert {"expected", "hardware", "time"} <= set(shipped)
    assert shipped["command"] in shipped["stages"]
    for name, options in shipped["stages"].items():
        command = command_named(name)
        require_options(options, command, name, path.stem)
        context, flags = click.Context(command), flags_of(command)
        for option, value in options.items():
            flags[option].type_cast_value(context, value)
