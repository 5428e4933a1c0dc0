"""Fast reading of text tables of numbers, as motion-capture files hold them."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

_LONGEST_QUOTE = 24


_NAN = tuple(
    f"{sign}{word}"
    for sign in ("", "-")
    for word in ("nan(ind)", "nan(snan)", "1.#IND00", "1.#QNAN0", "1.#IND000", "1.#QNAN00")
)
"""How Windows programs write nan, beside those that pandas knows."""


def read_numbers(
    lines: Sequence[bytes], columns: int, *, allow_nan: bool = False
) -> Float[np.ndarray, "rows columns"] | None:
    """Numbers of a table, separated by blanks or tabs.

    Args:
        lines: one per row.
        columns: that every row must have.
        allow_nan: take numbers that are not finite.

    Returns:
        None if a row has another number of columns, or a word is not a finite number; `first_problem` says where.
    """
    if not lines:
        return np.empty((0, columns))
    try:
        # pandas reads decimal numbers three times as fast as numpy.
        table = pd.read_csv(
            io.BytesIO(b"\n".join(lines)),
            sep=r"\s+",
            header=None,
            dtype=np.float64,
            engine="c",
            quoting=3,
            skip_blank_lines=False,
            low_memory=False,
            na_values=list(_NAN),
        )
    except ValueError:  # also what pandas' own errors derive from
        return None
    numbers: np.ndarray = table.to_numpy()
    if numbers.shape != (len(lines), columns):
        return None
    if allow_nan:
        # pandas fills rows that are too short with nan.
        ends = np.flatnonzero(np.isnan(numbers[:, -1])).tolist()
        return numbers if all(len(lines[row].split()) == columns for row in ends) else None
    return numbers if np.isfinite(numbers).all() else None


def first_problem(lines: Sequence[bytes], columns: int, *, allow_nan: bool = False) -> tuple[int, str]:
    """Row and description of the first error in lines that `read_numbers` did not take."""
    for row, line in enumerate(lines):
        words = line.split()
        for word in words:
            if not (_is_finite_number(word) or (allow_nan and _is_nan(word))):
                return row, f"{word[:_LONGEST_QUOTE].decode('ascii', 'replace')!r} is not a finite number"
        if len(words) != columns:
            return row, f"it has {len(words)} numbers, {columns} channels are declared"
    return 0, "its numbers cannot be read"


def _is_finite_number(word: bytes) -> bool:
    try:
        return bool(np.isfinite(float(word)))
    except ValueError:
        return False


def _is_nan(word: bytes) -> bool:
    text = word.decode("ascii", "replace").lower()
    return (
        text.lstrip("+-") in ("nan", "inf", "infinity") or "#" in text or text.lstrip("-").startswith("nan(")
    )
