from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import pytest
import rich_click as click
from click.testing import CliRunner
from msgspec import Meta

from evolift.cli.recipe_file import RecipeCommand
from evolift.cli.settings_options import flat_fields, settings_options, taken_settings
from evolift.posedata.errors import InputError
from evolift.posedata.settings import Settings
from evolift.posedata.skeleton import COCO17, H36M17, Skeleton


class Inner(Settings, frozen=True, kw_only=True):
    depth: Annotated[float, Meta(ge=0, lt=1, description="How deep.")] = 0.5


class Example(Settings, frozen=True, kw_only=True):
    derived: ClassVar[frozenset[str]] = frozenset({"is_settled"})

    is_settled: bool = False
    ratio: Annotated[float, Meta(gt=1, description="Of sizes.")] = 2.0
    max_count: Annotated[int, Meta(ge=1, description="At most so many.")] | None = None
    kind: Annotated[Literal["a", "b"], Meta(description="Which.")] = "a"
    is_on: Annotated[bool, Meta(description="Whether.")] = True
    parts: Annotated[
        tuple[Annotated[float, Meta(gt=0)], ...], Meta(description="Repeatable.", extra={"flag": "part"})
    ] = ()
    pair: tuple[int, int] | None = None
    skeleton: Annotated[Skeleton, Meta(description="Joints.")] = H36M17
    inner: Inner = Inner()


def made_from(*arguments: str) -> Any:
    seen: list[Example] = []

    @click.command(cls=RecipeCommand)
    @settings_options(Example)
    def command(**options: Any) -> None:
        seen.append(taken_settings(Example, options))
        assert not options, "every option was taken"
        if seen[-1].ratio == 7:
            raise InputError("`max_count` does not go with `ratio` 7, and `other` is no option")

    done = CliRunner().invoke(command, list(arguments))
    return seen[0] if seen and done.exception is None else done


def test_without_options_the_defaults_are_those_of_the_class() -> None:
    assert made_from() == Example()


def test_every_field_can_be_set() -> None:
    made = made_from(
        "--ratio", "3", "--max-count", "4", "--kind", "b", "--no-is-on", "--part", "1", "--part", "2.5",
        "--pair", "3", "4", "--skeleton", "COCO17", "--depth", "0.25",
    )  # fmt: skip
    assert made == Example(
        ratio=3.0, max_count=4, kind="b", is_on=False, parts=(1.0, 2.5), pair=(3, 4), skeleton=COCO17,
        inner=Inner(depth=0.25),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--ratio", "1"), "1.0 is not in the range x>1"),
        (("--ratio", "nan"), "is not a finite number"),
        (("--max-count", "0"), "0 is not in the range x>=1"),
        (("--kind", "c"), "'c' is not one of 'a', 'b'"),
        (("--part", "0"), "0.0 is not in the range x>0"),
        (("--depth", "1"), "1.0 is not in the range 0<=x<1"),
        (("--skeleton", "MAN9"), "MAN9"),
    ],
)
def test_a_value_out_of_range_is_refused_by_its_flag(arguments: tuple[str, str], message: str) -> None:
    done = made_from(*arguments)
    assert done.exit_code == 2
    assert message in done.output.replace("│", "").replace("\n", " ")
    assert arguments[0] in done.output


def test_an_error_of_the_library_names_flags() -> None:
    error = made_from("--ratio", "7").exception
    assert isinstance(error, InputError)
    assert str(error) == "--max-count does not go with --ratio 7, and `other` is no option"


def test_help_tells_default_range_and_meaning() -> None:
    @click.command(cls=RecipeCommand)
    @settings_options(Example, only=("ratio", "skeleton"))
    def command(**options: Any) -> None:
        pass

    text = CliRunner().invoke(command, ["--help"]).output
    for words in ("--ratio", "x>1", "Of sizes.", "default: 2.0", "default: H36M17"):
        assert words in text
    assert "--kind" not in text


def test_a_type_that_no_option_can_have_is_our_mistake() -> None:
    class Odd(Settings, frozen=True, kw_only=True):
        what: str | int = "x"

    with pytest.raises(TypeError, match="give it a special type"):
        settings_options(Odd)


def test_no_option_is_made_of_a_derived_field() -> None:
    assert "is_settled" not in [field.name for field in flat_fields(Example)]
    refused = made_from("--is-settled")
    assert refused.exit_code == 2
    assert "No such option" in refused.output
