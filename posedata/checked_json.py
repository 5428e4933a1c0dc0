"""JSON of other programs, read so that whatever is wrong with it becomes one sentence.

Places inside a file are named as JavaScript names them, for example `annotations[3].keypoints`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from evolift.posedata.errors import InputError
from evolift.posedata.input_file import read_text


def read_json(path: Path) -> Any:
    """The values of a JSON file.

    Raises:
        InputError: it cannot be read, is not UTF-8, or is not JSON.
    """
    return parse_json(read_text(path, "give a JSON file"), str(path))


def parse_json(text: str, where: str) -> Any:
    """The values of a JSON text.

    Args:
        text: the whole text.
        where: what the message calls it.

    Raises:
        InputError: it is not JSON, or is nested too deeply.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{where} is not JSON (line {error.lineno}, column {error.colno}: {error.msg}): write it again"
        ) from None
    except RecursionError:
        raise InputError(
            f"{where} is not JSON that can be read (it is nested too deeply): write it again"
        ) from None
    except ValueError:  # Python's own limit, with an advice to raise it
        raise InputError(
            f"{where} is not JSON that can be read (a number has thousands of digits): write it again"
        ) from None


def expect(value: Any, kind: type | tuple[type, ...], where: str) -> Any:
    """The value if it is of a JSON kind.

    Args:
        value: from `read_json`.
        kind: dict, list, str, int, float or several of them.
        where: file and place, for the message.

    Raises:
        InputError: it is of another kind.
    """
    kinds = kind if isinstance(kind, tuple) else (kind,)
    if isinstance(value, kinds) and not (isinstance(value, bool) and bool not in kinds):
        return value
    expected = " or ".join(dict.fromkeys(_KIND_NAMES[k] for k in kinds))
    raise InputError(f"{where} must be {expected}, not {_kind_name(value)}")


def number(value: Any, where: str) -> float:
    """The value if it is a number that fits float64.

    Raises:
        InputError: it is of another kind, or too large.
    """
    try:
        return float(expect(value, (int, float), where))
    except OverflowError:
        raise InputError(f"{where} is too large a number") from None


def whole_number(value: Any, where: str, *, below: int = 2**63) -> int:
    """The value if it is a whole number, also one written as 640.0, between -below and below.

    Raises:
        InputError: it is something else.
    """
    if isinstance(expect(value, (int, float), where), float) and not value.is_integer():
        raise InputError(f"{where} must be a whole number, not {value}")
    if not -below < value < below:
        raise InputError(f"{where} is too large a number")
    return int(value)


def number_table(
    rows: Sequence[Any], width: int, where: Sequence[str] | str
) -> Float64[np.ndarray, "rows width"]:
    """Rows of equally many numbers as an array; null and NaN become NaN.

    Args:
        rows: one list of numbers each.
        width: numbers in each row.
        where: file and place of each row, or of all of them (then `[row]` is added), for the message.

    Raises:
        InputError: a row is no list, has another length, or holds something else than numbers.
    """
    if not isinstance(rows, (list, tuple)):
        expect(rows, list, where if isinstance(where, str) else "its rows")
    try:
        table = np.array(rows, np.float64)
        if table.shape == (len(rows), width) and not _has_text(rows):
            return table
    except (ValueError, TypeError, OverflowError):
        pass
    if not rows:
        return np.zeros((0, width))
    for index, row in enumerate(rows):
        place = f"{where}[{index}]" if isinstance(where, str) else where[index]
        expect(row, list, place)
        if len(row) != width:
            raise InputError(f"{place} must have {width} numbers, has {len(row)}")
        for column, value in enumerate(row):
            if value is not None:
                number(value, f"{place}[{column}]")
    return np.array(rows, np.float64)


def _has_text(rows: Sequence[Any]) -> bool:
    """Whether a value is text or a truth value, which numpy would turn into a number."""
    return not {str, bool}.isdisjoint(map(type, chain.from_iterable(rows)))


_KIND_NAMES = {
    dict: "an object",
    list: "a list",
    str: "a text",
    int: "a number",
    float: "a number",
    bool: "true or false",
}


def _kind_name(value: Any) -> str:
    return "null" if value is None else _KIND_NAMES.get(type(value), type(value).__name__)
