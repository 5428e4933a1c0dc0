from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolift.posedata.importers.number_table import first_problem, read_numbers

rows = st.integers(1, 5).flatmap(
    lambda columns: st.lists(
        st.lists(st.floats(-1e9, 1e9, allow_nan=False), min_size=columns, max_size=columns),
        min_size=1,
        max_size=6,
    )
)


@given(rows, st.sampled_from(["{!r}", "{:.6g}", "{:.4f}", "{:e}"]), st.sampled_from([" ", "\t", "   "]))
@settings(max_examples=60, deadline=None)
def test_numbers_are_read_as_python_reads_them(values: list[list[float]], form: str, gap: str) -> None:
    words = [[form.format(value) for value in row] for row in values]
    lines = [gap.join(row).encode() for row in words]
    numbers = read_numbers(lines, len(values[0]))
    assert numbers is not None
    np.testing.assert_allclose(
        numbers, [[float(word) for word in row] for row in words], rtol=1e-14, atol=1e-300
    )


def test_forms_found_in_files() -> None:
    numbers = read_numbers([b" -1.6201e-014 .5 -.25 3. +2 \r", b"\t1 2  3 4   5"], 5)
    assert numbers is not None
    assert numbers.tolist() == [[-1.6201e-14, 0.5, -0.25, 3.0, 2.0], [1, 2, 3, 4, 5]]
    empty = read_numbers([], 3)
    assert empty is not None
    assert empty.shape == (0, 3)


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ([b"1 2", b"3"], (1, "it has 1 numbers, 2 channels are declared")),
        ([b"1 2", b"3 4 5"], (1, "it has 3 numbers, 2 channels are declared")),
        ([b"1 2 3", b"3 4 5"], (0, "it has 3 numbers, 2 channels are declared")),
        ([b"1 2", b""], (1, "it has 0 numbers, 2 channels are declared")),
        ([b"1 2", b"3 abc"], (1, "'abc' is not a finite number")),
        ([b"1 2", b"3 nan"], (1, "'nan' is not a finite number")),
        ([b"1 NA", b"3 4"], (0, "'NA' is not a finite number")),
        ([b"1 1e999", b"3 4"], (0, "'1e999' is not a finite number")),
        ([b"1 0x10", b"3 4"], (0, "'0x10' is not a finite number")),
        ([b'1 "2', b'3" 4'], (0, "'\"2' is not a finite number")),
        ([b"1 2", b"3 \xff"], (1, "'\ufffd' is not a finite number")),
        ([b"1 " + b"9" * 5000, b"3 4"], (0, f"'{'9' * 24}' is not a finite number")),
    ],
)
def test_errors_are_found(lines: list[bytes], problem: tuple[int, str]) -> None:
    assert read_numbers(lines, 2) is None
    assert first_problem(lines, 2) == problem
