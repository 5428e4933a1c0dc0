"""MATLAB files are read by a process of their own: right values, and one sentence whatever the file does to its reader."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from evolift.posedata.errors import InputError
from evolift.posedata.file_limits import FileLimits, limited
from evolift.posedata.mat_file import parse_mat, read_mat

CELLS = np.empty((1, 2), object)
CELLS[0, 0], CELLS[0, 1] = np.arange(6.0).reshape(2, 3), np.arange(6.0).reshape(2, 3)
VARIABLES = {
    "numbers": np.arange(6, dtype=np.int16).reshape(2, 3),
    "cells": CELLS,
    "person": {"name": "A", "scale": 2.5, "none": np.zeros((0, 0))},
}


def mat_bytes(**variables: object) -> bytes:
    file = io.BytesIO()
    scipy.io.savemat(file, variables)
    return file.getvalue()


def test_values_are_scipys() -> None:
    held = parse_mat(mat_bytes(**VARIABLES), "a.mat")
    assert set(held) == set(VARIABLES)
    assert held["numbers"].dtype == np.int16
    np.testing.assert_array_equal(held["numbers"], VARIABLES["numbers"])
    assert held["cells"].shape == (1, 2)
    np.testing.assert_array_equal(held["cells"][0, 1], CELLS[0, 1])
    (person,) = held["person"].reshape(-1)
    assert (person.name.tolist(), person.scale.tolist(), person.none.size) == (["A"], [[2.5]], 0)


def test_squeezed_values_stand_alone() -> None:
    person = parse_mat(mat_bytes(**VARIABLES), "a.mat", ("person",), squeeze=True)["person"]
    assert (person.name, float(person.scale), person.none.size) == ("A", 2.5, 0)


def test_only_the_named_variables_are_read() -> None:
    assert set(parse_mat(mat_bytes(**VARIABLES), "a.mat", ("numbers", "other"))) == {"numbers"}


def test_it_may_be_read_in_a_thread() -> None:
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.extend(parse_mat(mat_bytes(**VARIABLES), "a.mat")))
    thread.start()
    thread.join()
    assert set(found) == set(VARIABLES)


def test_a_script_needs_no_guard(tmp_path: Path) -> None:
    (tmp_path / "a.mat").write_bytes(mat_bytes(**VARIABLES))
    script = tmp_path / "script.py"
    script.write_text(
        "print('begun')\nfrom pathlib import Path\nfrom evolift.posedata.mat_file import read_mat\n"
        f"print(sorted(read_mat(Path({str(tmp_path / 'a.mat')!r}))))\n"
    )
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, check=True, env={"PYTHONPATH": root}
    )
    assert done.stdout == "begun\n['cells', 'numbers', 'person']\n"


def test_a_reader_that_dies_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    child = tmp_path / "dying_reader.py"
    child.write_text("import os, sys\nsys.stdin.buffer.read()\nos._exit(11)\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("evolift.posedata.mat_file._CHILD", "dying_reader")
    with pytest.raises(InputError) as caught:
        parse_mat(b"bytes", "a.mat")
    assert (
        str(caught.value)
        == "a.mat is a damaged MATLAB file (its reader ended with code 11): download it again"
    )


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (
            b"",
            "a.mat is not a MATLAB file of version 5 to 7 that can be read (Mat file appears to be truncated)",
        ),
        (b"no matrix", "Mat file appears to be truncated"),
        (mat_bytes(**VARIABLES)[:200], "a.mat is not a MATLAB file of version 5 to 7 that can be read"),
    ],
)
def test_damaged_files_are_refused(data: bytes, reason: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_mat(data, "a.mat", advice="save it again")
    assert reason in str(caught.value)
    assert str(caught.value).endswith(": save it again")


def test_a_file_that_takes_too_long_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "slow_reader.py").write_text("import time\ntime.sleep(60)\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("evolift.posedata.mat_file._CHILD", "slow_reader")
    with limited(FileLimits(mat_seconds=0.1)), pytest.raises(InputError) as caught:
        parse_mat(b"bytes", "a.mat")
    assert (
        str(caught.value)
        == "a.mat could not be read in 0.1 seconds: download it again, or allow more by `mat_seconds`"
    )


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not hold the limit of memory")
def test_a_file_that_takes_too_much_memory_is_refused() -> None:
    file = io.BytesIO()
    scipy.io.savemat(
        file, {"a": np.zeros(2 * 10**8, np.uint8)}, do_compression=True
    )  # 200 kB of a 200 MB array
    with limited(FileLimits(mat_memory=0.5)), pytest.raises(InputError, match="memory"):
        parse_mat(file.getvalue(), "a.mat")


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.mat cannot be read: No such file or directory"):
        read_mat(tmp_path / "a.mat")
