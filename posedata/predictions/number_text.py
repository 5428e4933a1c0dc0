"""Numbers of many people as JSON text, all at once: digit by digit over whole arrays instead of number by number.

The text is that of `json.dumps` for the numbers rounded to three decimals, in a fraction of its time: each number gets a
cell of bytes as wide as the largest one needs, and the bytes that are not part of its text are left out at the end.
"""

from __future__ import annotations

import json

import numpy as np
from jaxtyping import Bool, Float32

DECIMALS = 3
_LARGEST = 1e12  # thousandths of larger numbers are beyond float64's exact integers
_NULL = np.frombuffer(b"null", np.uint8)


def points_text(
    points: Float32[np.ndarray, "rows points axes"], known: Bool[np.ndarray, "rows points"]
) -> list[str]:
    """The points of each row, `[1.5,2.0],null,[0.25,1.125]`, without brackets around all of them.

    Args:
        points: any numbers; finite where known.
        known: other points are null.
    """
    values = np.where(known[..., None], points, np.float32(0)).astype(np.float64)
    if not values.size or np.abs(values).max() > _LARGEST:
        return [_slow_text(row, seen) for row, seen in zip(values, known, strict=True)]
    text, shown = _cells(values)
    rows, count, axes, width = text.shape
    # Columns of a point: null, or [, and each number with the comma or ] after it; then the comma between points.
    line = np.empty((rows, count, len(_NULL) + 1 + axes * (width + 1) + 1), np.uint8)
    mask = np.empty(line.shape, bool)
    line[..., :4], mask[..., :4] = _NULL, ~known[..., None]
    line[..., 4], mask[..., 4] = ord("["), known
    line[..., -1], mask[..., -1] = ord(","), True
    mask[:, -1, -1] = False
    for axis in range(axes):
        start = 5 + axis * (width + 1)
        end = start + width
        line[..., start:end], mask[..., start:end] = text[:, :, axis], shown[:, :, axis] & known[..., None]
        line[..., end], mask[..., end] = ord("]" if axis == axes - 1 else ","), known
    flat = line[mask].tobytes().decode("ascii")
    ends = np.cumsum(mask.reshape(rows, -1).sum(1)).tolist()
    return [flat[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]


def _cells(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bytes of each number, (..., width), and which of them are its text: sign, digits, point, decimals."""
    scaled = np.rint(values * 10**DECIMALS)
    rest = np.abs(scaled).astype(np.uint64)
    if rest.max(initial=0) < 2**32:
        rest = rest.astype(np.uint32)
    digits = max(len(str(int(rest.max(initial=0)))), DECIMALS + 1)
    text = np.empty((*values.shape, digits + 2), np.uint8)
    shown = np.ones(text.shape, bool)
    text[..., 0], shown[..., 0] = ord("-"), np.signbit(values)
    text[..., -1 - DECIMALS] = ord(".")
    is_zero_after = np.ones(values.shape, bool)
    for digit in range(digits):
        column = text.shape[-1] - 1 - digit - (digit >= DECIMALS)
        if digit > DECIMALS:
            shown[..., column] = rest > 0
        quotient = rest // 10
        figure = rest - 10 * quotient
        text[..., column] = figure + ord("0")
        if digit < DECIMALS - 1:  # zeros at the end are no text, but for the first decimal
            is_zero_after &= figure == 0
            shown[..., column] = ~is_zero_after
        rest = quotient
    return text, shown


def _slow_text(row: np.ndarray, seen: np.ndarray) -> str:
    points = [
        point if is_seen else None for point, is_seen in zip(row.round(DECIMALS).tolist(), seen, strict=True)
    ]
    return json.dumps(points, separators=(",", ":"))[1:-1]
