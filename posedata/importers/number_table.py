"""Fast reading of text tables of numbers, as motion-capture files hold them."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

_LONGEST_QUOTE = 24


def read_numbers(lines: Sequence[bytes], columns: int) -> Float[np.ndarray, "rows columns"] | None:
    """Numbers of a table, separated by blanks or tabs.

    Args:
        lines: one per row.
        columns: that every row must have.

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
        )
    except ValueError:  # also what pandas' own errors derive from
        return None
    numbers: np.ndarray = table.to_numpy()
    if numbers.shape != (len(lines), columns) or not np.isfinite(numbers).all():
        return None
    return numbers


def first_problem(lines: Sequence[bytes], columns: int) -> tuple[int, str]:
    """Row and description of the first error in lines that `read_numbers` did not take."""
    for row, line in enumerate(lines):
        words = line.split()
        for word in words:
            if not _is_finite_number(word):
                return row, f"{word[:_LONGEST_QUOTE].decode('ascii', 'replace')!r} is not a finite number"
        if len(words) != columns:
            return row, f"it has {len(words)} numbers, {columns} channels are declared"
    return 0, "its numbers cannot be read"


def _is_finite_number(word: bytes) -> bool:
    try:
        return bool(np.isfinite(float(word)))
    except ValueError:
        return False
