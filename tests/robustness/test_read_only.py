"""Outputs on a disk that is read-only are refused before anything is done."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from evolift.evolution.job import algorithm
from evolift.posedata.errors import OutputError
from evolift.posedata.output_file import check_output, write_text
from evolift.posedata.output_folder import output_folder
from evolift.posedata.skeleton import H36M17
from evolift.posedata.store import PoseStoreWriter, Provenance


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A folder that cannot be written to, with a folder in it."""
    place = tmp_path / "disk"
    place.mkdir()
    try:
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(place)], check=True, capture_output=True)
        (place / "run").mkdir()
        subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting is not allowed here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def _enter(folder: Path) -> None:
    with output_folder(folder):
        pass


WRITERS: dict[str, Callable[[Path, Path], object]] = {
    "file": lambda place, _: write_text(place / "a.txt", "1"),
    "check": lambda place, _: check_output(place / "new" / "a.h5", overwrite=False),
    "store": lambda place, _: PoseStoreWriter(place / "a.h5", H36M17, "world", Provenance("test")),
    "new folder": lambda place, _: _enter(place / "new"),
    "folder": lambda place, _: _enter(place / "run"),
    "evolve": lambda place, source: algorithm.evolve(source, place / "a.h5"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_one_sentence(read_only: Path, tiny_store: Path, name: str) -> None:
    with pytest.raises(OutputError, match=re.escape(str(read_only))):
        WRITERS[name](read_only, tiny_store)
