"""Options made from settings classes: flag, type, range, default and help of each come from its field.

    @settings_options(EvolutionSettings)
    def evolve(**options): settings = taken_settings(EvolutionSettings, options)

In a command's help the options of a class stand below its title (`Settings.panel`), unless `only` picks some. Settings inside settings lie flat among the options, so the names of all fields must differ. A boolean becomes
`--name/--no-name`, several values become an option that is repeated, a pair one of two values.
"""

from __future__ import annotations

import math
import re
import types
import typing
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
import rich_click as click
from click.types import FloatParamType
from msgspec import Meta
from msgspec.structs import FieldInfo

from evolift.posedata.errors import EvoliftError, InputError
from evolift.posedata.settings import Settings
from evolift.posedata.skeleton import Skeleton, skeleton_by_name

Function = TypeVar("Function", bound=Callable[..., Any])
SomeSettings = TypeVar("SomeSettings", bound=Settings)


class FiniteNumber(FloatParamType):
    """Numbers; click itself takes nan and inf for some."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number that a text stands for, which must be finite."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


class FiniteRange(click.FloatRange, FiniteNumber):
    """Numbers of a range; click itself takes nan for one, and inf where there is no limit."""


class SkeletonName(click.ParamType[Any]):
    """One of the declared skeletons, by name."""

    name = "skeleton"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The skeleton of that name."""
        if isinstance(value, Skeleton):
            return value
        try:
            return skeleton_by_name(value)
        except InputError as error:
            self.fail(str(error), param, ctx)


class SeveralNumbers(click.RichOption):
    """An option of several numbers, which says so where they are too few: click takes the next flag for one of them."""

    def type_cast_value(self, ctx: click.Context, value: Any) -> Any:
        """The numbers that texts stand for."""
        for count, one in enumerate(value if isinstance(value, (tuple, list)) else ()):
            if isinstance(one, str) and not _is_number(one):
                names = f" ({self.metavar})" if self.metavar else ""
                raise click.BadParameter(
                    f"it takes {self.nargs} numbers{names}, and {count or 'none'} came before {one!r}.",
                    ctx,
                    self,
                )
        return super().type_cast_value(ctx, value)


def settings_options(
    settings: type[Settings],
    *,
    only: Collection[str] | None = None,
    leave_out: Collection[str] = (),
    special: Mapping[str, click.ParamType[Any]] | None = None,
) -> Callable[[Function], Function]:
    """Give a command the options of a settings class.

    Args:
        settings: the class; its defaults are those of the options.
        only: names of the fields to take; all if left out.
        leave_out: names of fields that the command sets itself.
        special: types of options whose text is read in a way of their own.
    """
    options = [
        _option(field, (special or {}).get(field.name), panel if only is None else None)
        for field, panel in _fields_in_panels(settings)
        if field.name not in leave_out and (only is None or field.name in only)
    ]

    def decorate(function: Function) -> Function:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def taken_settings(settings: type[SomeSettings], options: dict[str, Any], **given: Any) -> SomeSettings:
    """Make settings of a command's options, and take these out of them.

    Args:
        settings: the class.
        options: of the command, by name; those that are fields of `settings` are removed.
        given: values of fields that are no options.
    """
    values = dict(given)
    for field in msgspec.structs.fields(settings):
        if field.name in given:
            continue
        if _is_settings(field.type):
            values[field.name] = taken_settings(field.type, options)
        elif field.name in options:
            values[field.name] = options.pop(field.name)
    return settings(**values)


def flat_fields(settings: type[Settings]) -> Iterator[FieldInfo]:
    """The fields of a settings class that can be options, those of settings inside it in their place."""
    for field, _ in _fields_in_panels(settings):
        yield field


def _fields_in_panels(settings: type[Settings]) -> Iterator[tuple[FieldInfo, str | None]]:
    """As `flat_fields`, with the title that the option has above it in `--help`."""
    for field in msgspec.structs.fields(settings):
        if _is_settings(field.type):
            yield from _fields_in_panels(field.type)
        elif field.name not in settings.derived:
            yield field, settings.panels.get(field.name, settings.panel)


def flag_of(name: str) -> str:
    """The long flag of a field or option: `num_workers` is `--num-workers`."""
    return "--" + name.replace("_", "-")


def in_flags(error: EvoliftError, command: click.Command) -> EvoliftError:
    """An error of the library, which names fields in backquotes, as one that names the command's flags and arguments."""
    return type(error)(with_flags(str(error), command))


def with_flags(sentence: str, command: click.Command) -> str:
    """A sentence of the library, which names fields in backquotes, as one that names the command's flags."""
    flags = {
        option.name: _flag_in_sentence(option)
        for option in command.params
        if isinstance(option, click.Option)
    } | {
        argument.name: argument.name.upper()
        for argument in command.params
        if isinstance(argument, click.Argument)
    }
    return re.sub(r"`(\w+)`", lambda match: flags.get(match[1], match[0]), sentence)


def _flag_in_sentence(option: click.Option) -> str:
    """The long flag; of what is neither on nor off if it is not given, both."""
    flag = max(option.opts, key=len)
    return (
        f"{flag} or {option.secondary_opts[0]}" if option.secondary_opts and option.default is None else flag
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_settings(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Settings)


def _option(
    field: FieldInfo, special: click.ParamType[Any] | None, panel: str | None
) -> Callable[[Function], Function]:
    inner, meta = _unpacked(field.type)
    default = None if field.default is msgspec.NODEFAULT else field.default
    attributes: dict[str, Any] = {
        "help": meta.get("description"),
        "show_default": default not in (None, ()),
        "panel": panel,
    }
    if "metavar" in meta:
        attributes["metavar"] = meta["metavar"]
    flag = flag_of(meta.get("flag", field.name))
    if field.default is not msgspec.NODEFAULT:
        attributes["default"] = default
    else:
        attributes["required"] = True
    if inner is bool:
        return click.option(f"{flag}/--no-{flag[2:]}", field.name, **attributes)
    if special is not None:
        return click.option(flag, field.name, type=special, **attributes)
    if inner is Skeleton:
        attributes["default"] = default.name if isinstance(default, Skeleton) else None
        return click.option(flag, field.name, type=SkeletonName(), **attributes)
    if typing.get_origin(inner) is tuple:
        first, *rest = typing.get_args(inner)
        attributes |= {"multiple": True} if rest == [Ellipsis] else {"nargs": 1 + len(rest)}
        inner, meta = _unpacked(first)
        if "nargs" in attributes and inner in (int, float):
            attributes["cls"] = SeveralNumbers
    return click.option(flag, field.name, type=_type(inner, meta), **attributes)


def _unpacked(annotation: Any) -> tuple[Any, dict[str, Any]]:
    """The type inside `Annotated` and `| None`, and what the metadata say: description, range, flag."""
    meta: dict[str, Any] = {}
    while True:
        origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
        if origin is typing.Annotated:
            for one in arguments[1:]:
                if isinstance(one, Meta):
                    said = {name: getattr(one, name) for name in ("description", "ge", "gt", "le", "lt")}
                    meta |= {name: value for name, value in said.items() if value is not None}
                    meta |= one.extra or {}
            annotation = arguments[0]
        elif origin in (typing.Union, types.UnionType) and types.NoneType in arguments:
            (annotation, *others) = [one for one in arguments if one is not types.NoneType]
            if others:
                raise TypeError(
                    f"an option cannot be made of {annotation} | {others}: give it a special type"
                )
        else:
            return annotation, meta


def _type(inner: Any, meta: Mapping[str, Any]) -> click.ParamType[Any] | type:
    if typing.get_origin(inner) is Literal:
        return click.Choice([str(one) for one in typing.get_args(inner)])
    low, high = meta.get("ge", meta.get("gt")), meta.get("le", meta.get("lt"))
    bounds = {"min": low, "max": high, "min_open": "gt" in meta, "max_open": "lt" in meta}
    has_range = low is not None or high is not None
    if inner is int:
        return click.IntRange(**bounds) if has_range else click.INT
    if inner is float:
        return FiniteRange(**bounds) if has_range else FiniteNumber()
    if inner is Path:
        return click.Path(path_type=Path)
    if inner is str:
        return click.STRING
    raise TypeError(f"an option cannot be made of {inner}: give it a special type")
