from __future__ import annotations

import json

import numpy as np
import pytest

from evolift.posedata.predictions.number_text import points_text


def slow(points: np.ndarray, known: np.ndarray) -> list[str]:
    """Number by number, as the standard library writes them."""
    rounded = np.round(points.astype(np.float64), 3).tolist()
    rows = [
        [point if seen else None for point, seen in zip(row, marks, strict=True)]
        for row, marks in zip(rounded, known.tolist(), strict=True)
    ]
    return [json.dumps(row, separators=(",", ":"))[1:-1] for row in rows]


@pytest.mark.parametrize("largest", [0.0004, 0.9, 3.0, 999.9994, 5e4, 3e6, 9e9, 3e13])
def test_text_is_that_of_json(largest: float) -> None:
    generator = np.random.default_rng(0)
    points = generator.uniform(-largest, largest, (40, 5, 3)).astype(np.float32)
    points[0, 0] = [0.0, -0.0, 1.0]
    points[1, 1] = [-0.0004, 0.1, -0.05]
    points[2, 2] = [100.0, 1000.5, 10.25]
    known = generator.random((40, 5)) < 0.7
    known[:3] = True
    points[~known] = np.nan
    assert points_text(points, known) == slow(np.where(known[..., None], points, 0), known)


def test_shapes_at_the_edge() -> None:
    assert points_text(np.zeros((2, 1, 1), np.float32), np.array([[True], [False]])) == ["[0.0]", "null"]
    assert points_text(np.zeros((0, 3, 2), np.float32), np.zeros((0, 3), bool)) == []
