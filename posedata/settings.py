"""Settings: frozen records whose fields carry default, range and help, and nothing else does.

A field says all that there is to know of a setting:

    class OcclusionSettings(Settings):
        occlusion_probability: Annotated[float, Meta(ge=0, le=1, description="That things are pasted over.")] = 0.0

The options of a command, the keys of a recipe, the record of a run and the settings stored in a checkpoint are made
from it (`evolift.cli.settings_options`, `to_dict`, `from_dict`). A value out of its range cannot be constructed, in
Python as little as on the command line. Types and ranges are those of msgspec; a settings class may hold another.
"""

from __future__ import annotations

import math
import os
import types
import typing
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, TypeVar

import msgspec
from msgspec import Meta

from evolift.posedata.errors import InputError
from evolift.posedata.similar_name import guess
from evolift.posedata.skeleton import SKELETONS, Skeleton

SomeSettings = TypeVar("SomeSettings", bound="Settings")
_MAX_WHOLE = 2**63 - 1
_MAX_SHOWN = 80
"""Letters of a wrong value, or its parts, that a message shows."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all settings: its values are checked when it is made, by type and range of each field.

    Attributes:
        panel: title that the fields' options have above them in a command's help; none for that of all options.
        panels: titles of single fields, where they differ.
        derived: fields that follow from other settings: no option is made of them, and files may lack them as they may `later` ones.
        later: fields that came after files were written; a file that lacks them means their defaults.

    Raises:
        InputError: naming the field, what it may be and what it was.
    """

    panel: ClassVar[str | None] = None
    panels: ClassVar[Mapping[str, str | None]] = {}
    derived: ClassVar[frozenset[str]] = frozenset()
    later: ClassVar[frozenset[str]] = frozenset()

    def __post_init__(self) -> None:
        for field in msgspec.structs.fields(type(self)):
            value = getattr(self, field.name)
            settled = _settled(field.name, value, field.type)
            if not _is_finite(settled):
                raise InputError(f"`{field.name}` must be finite, not {shown(value)}")
            if settled is not value:  # such as 3 for a float, a list for a tuple
                msgspec.structs.force_setattr(self, field.name, settled)
        self.check()

    def check(self) -> None:
        """Refuse values that do not go together; for subclasses.

        Raises:
            InputError: naming the fields, in backquotes.
        """

    def replaced(self: SomeSettings, **values: Any) -> SomeSettings:
        """A copy with other values for some fields."""
        return msgspec.structs.replace(self, **values)

    def flat(self) -> dict[str, Any]:
        """Plain values by field, those of settings inside in their place; skeletons by name. For records and tables."""
        values: dict[str, Any] = {}
        for field in msgspec.structs.fields(type(self)):
            value = getattr(self, field.name)
            if isinstance(value, Settings):
                values |= value.flat()
            else:
                values[field.name] = value.name if isinstance(value, Skeleton) else msgspec.to_builtins(value)
        return values

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` is the inverse."""
        plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self))
        return plain

    @classmethod
    def from_dict(cls: type[SomeSettings], values: Mapping[str, Any]) -> SomeSettings:
        """Settings from what `to_dict` gave.

        Raises:
            InputError: a key is missing or unknown, or a value cannot be.
        """
        known = {field.name for field in msgspec.structs.fields(cls)}
        if not isinstance(values, Mapping) or not known - cls.derived - cls.later <= set(values) <= known:
            raise InputError(f"{cls.__name__} must have exactly {', '.join(sorted(known))}")
        try:
            return cls(**values)
        except InputError as error:
            raise InputError(f"{cls.__name__}: {error}") from None


def _settled(name: str, value: Any, annotation: Any) -> Any:
    """The value of a field as its type has it; objects of JSON become the settings or the skeleton that they tell.

    Raises:
        InputError: it cannot be.
    """
    if isinstance(value, str) and value in SKELETONS and _class_in(annotation) is Skeleton:
        return SKELETONS[value]
    if isinstance(value, Mapping):
        kind = _class_in(annotation)
        if kind is not None:
            return _made(name, value, kind)
    try:
        settled = msgspec.convert(_plain(value), annotation)
    except (msgspec.ValidationError, OverflowError, RecursionError):
        raise InputError(f"`{name}` must be {allowed(annotation)}, not {shown(value)}") from None
    if isinstance(settled, int) and abs(settled) > _MAX_WHOLE:
        raise InputError(f"`{name}` must be {allowed(annotation)} below 2**63, not {shown(value)}")
    return settled


def _made(name: str, values: Mapping[Any, Any], kind: type[Settings] | type[Skeleton]) -> Settings | Skeleton:
    try:
        if issubclass(kind, Skeleton):
            return Skeleton.from_dict(dict(values))
        known = [field.name for field in msgspec.structs.fields(kind)]
        for key in values:
            if key not in known:
                raise InputError(f"there is no {shown(key)}{guess(str(key), known)}, only {', '.join(known)}")
        return kind(**values)
    except (InputError, TypeError) as error:
        raise InputError(f"`{name}`: {error}") from None


def _class_in(annotation: Any) -> type[Settings] | type[Skeleton] | None:
    """The settings class, or Skeleton, that a field holds, if it holds one."""
    if isinstance(annotation, type) and issubclass(annotation, (Settings, Skeleton)):
        return annotation
    for one in typing.get_args(annotation):
        if isinstance(one, type) or typing.get_origin(one) is not None:
            found = _class_in(one)
            if found is not None:
                return found
    return None


def shown(value: Any) -> str:
    """A value as a message shows it: short, whatever it is."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _MAX_WHOLE:
        return "a number beyond 64 bits"
    if isinstance(value, (dict, list, tuple, set)) and len(value) > _MAX_SHOWN:
        return f"{type(value).__name__} of {len(value)} values"
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # ValueError: a whole number of thousands of digits
        return f"a {type(value).__name__}"
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."


def _is_finite(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def require_settings(name: str, value: object, kind: type[Settings]) -> None:
    """Refuse an argument that is not the settings it must be.

    Args:
        name: of the argument.
        value: that was given.
        kind: class that it must be of.

    Raises:
        InputError: it is something else.
    """
    if not isinstance(value, kind):
        raise InputError(f"`{name}` must be {kind.__name__}(...), not {type(value).__name__}")


def allowed(annotation: Any) -> str:
    """What values of a type may be, in words: "a number above 0", "one of xyz, z"."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        words = allowed(arguments[0])
        ranges = [limit for one in arguments[1:] if isinstance(one, Meta) and (limit := _range(one))]
        return " ".join([words, *ranges])
    if origin in (typing.Union, types.UnionType):
        return " or ".join("left out" if one is types.NoneType else allowed(one) for one in arguments)
    if origin is Literal:
        return "one of " + ", ".join(map(str, arguments))
    if origin is tuple:
        if arguments[-1] is Ellipsis:
            return f"a list, each {allowed(arguments[0])}"
        return f"{len(arguments)} values, each {allowed(arguments[0])}"
    return {int: "a whole number", float: "a number", bool: "true or false", str: "text"}.get(
        annotation, f"a {getattr(annotation, '__name__', annotation)}"
    )


def _range(meta: Meta) -> str:
    low = (
        f"above {_number(meta.gt)}"
        if meta.gt is not None
        else f"at least {_number(meta.ge)}"
        if meta.ge is not None
        else ""
    )
    high = (
        f"below {_number(meta.lt)}"
        if meta.lt is not None
        else f"at most {_number(meta.le)}"
        if meta.le is not None
        else ""
    )
    words = " and ".join(filter(None, (low, high)))
    return f"of {words}" if words.startswith("at") else words


def _number(limit: float) -> str:
    return str(limit) if isinstance(limit, int) else f"{limit:g}"


def _plain(value: Any) -> Any:
    """Paths as text, and numpy's numbers as Python's, which is what settings are made of."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return value.item() if type(value).__module__ == "numpy" and getattr(value, "ndim", 1) == 0 else value
