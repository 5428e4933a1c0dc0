"""The programs of the documentation's gallery run, each in a process and a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

GALLERY = Path(__file__).parents[2] / "docs" / "gallery"
QUICK = {"plot_1_predict_photo", "plot_2_keypoints_to_bvh"}


@pytest.mark.parametrize(
    "program",
    [
        pytest.param(path, id=path.stem, marks=[] if path.stem in QUICK else pytest.mark.slow)
        for path in sorted(GALLERY.glob("*.py"))
    ],
)
def test_a_program_of_the_gallery_runs(program: Path, tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, program],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(GALLERY.parents[1]), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout


def test_there_are_six() -> None:
    assert len(list(GALLERY.glob("*.py"))) == 6
