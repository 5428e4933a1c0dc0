from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import rich_click as click

from evolift.cli import recipe_file
from evolift.cli.main import COMMANDS, command_named
from evolift.cli.recipe_file import read_recipe, recipe_options
from evolift.posedata.errors import InputError

FIRST = """
purpose = "first"
command = "lifter train"
[options]
steps = 5
hidden = 8
[stages.evolve]
ratio = 3.0
"""
SECOND = """
purpose = "second"
command = "finetune"
extends = "{folder}/first.toml"
[options]
freeze = "all"
[stages."lifter train"]
steps = 7
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "first.toml").write_text(FIRST)
    (tmp_path / "second.toml").write_text(SECOND.format(folder=tmp_path))
    return tmp_path


def test_a_recipe_has_the_stages_of_what_it_extends_and_wins(folder: Path) -> None:
    assert read_recipe(str(folder / "second.toml"))["stages"] == {
        "evolve": {"ratio": 3.0},
        "lifter train": {"steps": 7, "hidden": 8},
        "finetune": {"freeze": "all"},
    }
    assert read_recipe(str(folder / "first.toml"))["stages"]["lifter train"]["steps"] == 5


def test_each_command_takes_its_own_stage(folder: Path) -> None:
    name = str(folder / "second.toml")
    assert recipe_options(name, "lifter train") == {"steps": 7, "hidden": 8}
    assert recipe_options(name, "finetune") == {"freeze": "all"}
    with pytest.raises(InputError, match=r"for `evolift evolve` and .* not for `evolift export`"):
        recipe_options(name, "export")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SECOND.replace("first.toml", "third.toml"), "extends itself by way of"),
        (SECOND.replace("first.toml", "none.toml"), "there is no such recipe file"),
        (FIRST + '[stages."lifter train"]\nsteps = 1\n', r"belong under \[options\], not under \[stages\]"),
        (FIRST.replace("[stages.evolve]\nratio", "[stages]\nevolve"), "its keys must be"),
        (FIRST.replace('"first"', "1"), "its keys must be"),
    ],
)
def test_an_unsound_recipe_is_refused(folder: Path, text: str, message: str) -> None:
    (folder / "third.toml").write_text(text.format(folder=folder))
    with pytest.raises(InputError, match=message):
        read_recipe(str(folder / "third.toml"))


@pytest.mark.parametrize(
    ("value", "is_fine"),
    [
        ([[0, 1], [2]], True),
        (["pelvis", "head"], True),
        ("0,1;2", True),
        ([], False),
        ([[]], False),
        ([[True]], False),
        ([{}], False),
    ],
)
def test_groups_of_joints_may_be_lists_as_in_records(value: object, is_fine: bool) -> None:
    option = recipe_file.flags_of(command_named("lifter train"))["grouping"]
    assert (recipe_file._wanted(option, value) is None) == is_fine


def test_the_report_s_rows_build_on_each_other() -> None:
    rows = {number: read_recipe(f"report-row-{number:02d}")["stages"] for number in range(1, 15)}
    assert [n for n in rows if rows[n]["detector train"]["head"] == "regression"] == [1, 2]  # R
    assert all(rows[n]["detector train"]["head"] == "deconvolution" for n in range(3, 15))  # I
    # Occlusion alone is what the report shows by row 2.
    assert rows[2]["detector train"] == rows[1]["detector train"] | {"occlusion-probability": 1.0}
    assert [n for n in rows if rows[n]["detector train"]["occlusion-probability"] == 0] == [1, 3]
    assert [n for n in rows if rows[n]["detector train"]["augment"]] == list(range(5, 15))
    assert [n for n in rows if rows[n]["detector train"]["input-height"] == 384] == [7, 8]
    assert [n for n in rows if "finetune" in rows[n]] == [6, *range(10, 15)]
    assert [n for n in rows if "lifter train" in rows[n]] == [11, 12, 13, 14]  # P
    unfrozen = [n for n in rows if rows[n].get("finetune", {}).get("freeze") == "all-but-last-block"]
    assert unfrozen == [12, 13, 14]  # U
    assert [n for n in (11, 12, 13, 14) if rows[n]["lifter train"]["grouping"] == "none"] == [13, 14]  # G
    assert [n for n in rows if "evolve" in rows[n]] == [14]  # D


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("seed = 1.5", "seed must be a whole number, not 1.5"),
        ("seed = true", "seed must be a whole number, not True"),
        ("seed = [1, 2]", r"seed must be a whole number, not \[1, 2\]"),
        ("ratio = true", "ratio must be a number, not True"),
        ('sigma = "3"', "sigma must be a number, not '3'"),
        ("settle = 1", "settle must be true or false, not 1"),
        ('overwrite = "yes"', "overwrite must be true or false, not 'yes'"),
        ('criterion = "ground"', "criterion must be a list of texts, not 'ground'"),
        ("criterion = [1]", r"criterion must be a list of texts, not \[1\]"),
        ("limits = 3", "limits must be text, not 3"),
        ("sigma = {a = 1}", r"sigma must be a number, not \{'a': 1\}"),
    ],
)
def test_values_of_another_type_are_refused(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f'purpose = "x"\ncommand = "evolve"\n[options]\n{line}\n')
    context = click.Context(command_named("evolve"), info_name="evolve")
    with pytest.raises(InputError, match=f"mine.toml: {message}$"):
        command_named("evolve").parse_args(context, ["a.h5", "-o", "b.h5", "--recipe", str(path)])


def test_whole_numbers_are_numbers_and_pairs_are_lists(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'purpose = "x"\ncommand = "lifter train"\n[options]\nnoise = 2\ncamera-pan = [-3, 3.5]\nsubject = ["01"]\n'
    )
    command = command_named("lifter train")
    context = click.Context(command, info_name="lifter train")
    store = tmp_path / "a.h5"
    store.write_bytes(b"")
    command.parse_args(context, [str(store), "-o", "b", "--recipe", str(path)])
    assert (context.params["noise"], context.params["camera_pan"]) == (2.0, (-3.0, 3.5))
    assert context.params["subjects"] == ("01",)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (".".join("a" * 4000) + " = 1", "its values are nested too deeply: write it flat"),
        (".".join("a" * 20000) + " = 1", "a line has more than 8192 characters: write its values on several"),
        ("a = " + "[" * 3000 + "]" * 3000, "its values are nested too deeply: write it flat"),
        ("hidden = " + "9" * 5000, "not valid TOML: a number has thousands of digits"),
        ("#" + " " * 2**20, "it has more than 1048576 bytes, so it is none"),
    ],
)
def test_recipes_that_would_take_for_ever_are_refused(tmp_path: Path, value: str, message: str) -> None:
    path = tmp_path / "a.toml"
    path.write_text(f'purpose = "a"\ncommand = "lifter train"\n[options]\n{value}\n')
    with pytest.raises(InputError, match=rf"recipe .*a\.toml: {message}$"):
        read_recipe(str(path))


def test_options_of_every_command_refuse_values_of_other_types() -> None:
    """A number for a switch, a switch for a number, a part for a whole, one for several: click would convert some of them."""
    for name in COMMANDS:
        for option in _options(command_named(name)):
            wrong: list[object] = [{}, None, b"", [[]]]
            is_switch = option.is_flag or bool(option.secondary_opts)
            wrong += [0, 1, "true"] if is_switch else [True, False]
            if isinstance(option.type, click.IntRange):
                wrong += [1.5, 1.0, "1", [1.5], [True]]
            if isinstance(option.type, click.FloatRange):
                wrong += ["1", ["1"], [True]]
            assert [value for value in wrong if recipe_file._wanted(option, value) is None] == [], option.name


def _options(command: click.Command) -> Iterator[click.Option]:
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            inner = command.get_command(click.Context(command), name)
            assert inner is not None
            yield from _options(inner)
    else:
        yield from recipe_file.flags_of(command).values()
