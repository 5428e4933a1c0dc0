from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from evolift.posedata.errors import InputError
from evolift.posedata.settings import Settings
from evolift.posedata.skeleton import COCO17, H36M17, Skeleton


class Inner(Settings, frozen=True, kw_only=True):
    depth: Annotated[float, Meta(ge=0, lt=1)] = 0.5


class Example(Settings, frozen=True, kw_only=True):
    ratio: Annotated[float, Meta(gt=1, description="Of sizes.")] = 2.0
    count: Annotated[int, Meta(ge=1)] | None = None
    kind: Literal["a", "b"] = "a"
    is_on: bool = True
    parts: tuple[Annotated[float, Meta(gt=0)], ...] = ()
    pair: tuple[int, int] = (1, 2)
    skeleton: Skeleton = H36M17
    inner: Inner = Inner()

    def check(self) -> None:
        if self.count is not None and self.count > 10 * self.ratio:
            raise InputError("`count` must be at most ten times `ratio`")


class Heir(Example, frozen=True, kw_only=True):
    ratio: Annotated[float, Meta(gt=1)] = 5.0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"ratio": 0.5}, "`ratio` must be a number above 1, not 0.5"),
        ({"ratio": float("nan")}, "`ratio` must be a number above 1, not nan"),
        ({"ratio": True}, "`ratio` must be a number above 1, not True"),
        ({"ratio": "2"}, "`ratio` must be a number above 1, not '2'"),
        ({"count": 0}, "`count` must be a whole number of at least 1 or left out, not 0"),
        ({"count": 1.5}, "`count` must be a whole number of at least 1 or left out, not 1.5"),
        ({"kind": "c"}, "`kind` must be one of a, b, not 'c'"),
        ({"is_on": 1}, "`is_on` must be true or false, not 1"),
        ({"parts": (1.0, 0.0)}, r"`parts` must be a list, each a number above 0, not \(1.0, 0.0\)"),
        ({"pair": (1, 2, 3)}, r"`pair` must be 2 values, each a whole number, not \(1, 2, 3\)"),
        ({"skeleton": "H36M18"}, "`skeleton` must be a Skeleton, not 'H36M18'"),
        ({"count": 21}, "`count` must be at most ten times `ratio`"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_name(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}$"):
        Example(**values)
    with pytest.raises(InputError, match=f"^{message}$"):
        Example().replaced(**values)


def test_values_take_the_type_of_their_field() -> None:
    made: Any = Example(ratio=3, parts=[1, 2])  # type: ignore[arg-type]  # lists come from JSON and TOML
    assert (made.ratio, made.parts) == (3.0, (1.0, 2.0))
    assert isinstance(made.ratio, float)
    assert made == Example(ratio=3.0, parts=(1.0, 2.0))


def test_an_heir_says_its_own_defaults_and_keeps_the_checks() -> None:
    assert Heir().ratio == 5.0
    assert Heir(count=50).count == 50
    with pytest.raises(InputError, match="ten times"):
        Heir(count=51)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Example().ratio = 3.0  # type: ignore[misc]


@given(st.floats(1.0, 1e6, exclude_min=True), st.none() | st.integers(1, 10), st.lists(st.floats(0.1, 9.0)))
def test_plain_values_come_back_by_way_of_json(ratio: float, count: int | None, parts: list[float]) -> None:
    made = Example(ratio=ratio, count=count, parts=tuple(parts), skeleton=COCO17, inner=Inner(depth=0.25))
    assert Example.from_dict(json.loads(json.dumps(made.to_dict()))) == made


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"more": 1}, "^Example must have exactly count, inner, is_on, kind, pair, parts, ratio, skeleton$"),
        ({"ratio": 0}, r"Example: .*ratio"),
        ({"ratio": "3"}, r"Example: .*ratio"),
        ({"inner": {"depth": 2}}, r"depth"),
        ({"skeleton": {"name": "X"}}, r"Example: .*skeleton"),
    ],
)
def test_plain_values_that_cannot_be_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Example.from_dict(Example().to_dict() | change)
    with pytest.raises(InputError, match="must have exactly"):
        Example.from_dict({"ratio": 2.0})


def test_flat_values_are_those_of_all_fields() -> None:
    assert Example(parts=(2.0,)).flat() == {
        "ratio": 2.0, "count": None, "kind": "a", "is_on": True, "parts": (2.0,), "pair": (1, 2),
        "skeleton": "H36M17", "depth": 0.5,
    }  # fmt: skip


def test_paths_and_numbers_of_numpy_are_taken() -> None:
    class Sources(Settings, frozen=True, kw_only=True):
        path: str | None = None
        count: int = 0

    made = Sources(path=Path("a") / "b", count=np.int64(3))  # type: ignore[arg-type]
    assert made == Sources(path=str(Path("a") / "b"), count=3)


def test_a_wrong_field_of_settings_inside_is_named() -> None:
    assert Example(inner={"depth": 0.25}).inner == Inner(depth=0.25)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"`inner`: .*depth"):
        Example(inner={"depth": 2.0})  # type: ignore[arg-type]


class Derived(Settings, frozen=True, kw_only=True):
    derived: ClassVar[frozenset[str]] = frozenset({"is_new"})
    size: int = 3
    is_new: bool = False


class Later(Settings, frozen=True, kw_only=True):
    later: ClassVar[frozenset[str]] = frozenset({"is_new"})
    size: int = 3
    is_new: bool = False


@pytest.mark.parametrize("settings", [Derived, Later])
def test_a_file_from_before_a_field_came_is_read(settings: type[Derived] | type[Later]) -> None:
    assert settings.from_dict({"size": 4}) == settings(size=4)
    assert settings.from_dict(settings(is_new=True).to_dict()) == settings(is_new=True)
    for wrong in ({"is_new": True}, {"size": 4, "other": 1}):
        with pytest.raises(InputError, match=f"{settings.__name__} must have exactly is_new, size"):
            settings.from_dict(wrong)
