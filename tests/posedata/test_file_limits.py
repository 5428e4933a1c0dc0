"""Limits of what others' files may make this program read."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from evolift.posedata.errors import InputError
from evolift.posedata.file_limits import FileLimits, file_limits, limited
from evolift.posedata.importers.source_files import SourceFiles
from evolift.posedata.input_file import as_path, as_paths, read_text
from evolift.posedata.npz_file import read_npz
from evolift.posedata.plain_pickle import read_object_npz

TINY = FileLimits(max_unpacked=1e-6, max_text=1e-6)
"""1 kB."""


def test_limits_hold_in_their_block_alone() -> None:
    before = file_limits()
    with limited(TINY):
        assert file_limits() == TINY
    assert file_limits() == before == FileLimits()


def test_large_texts_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("x" * 2000)
    assert len(read_text(path)) == 2000
    with limited(TINY), pytest.raises(InputError) as caught:
        read_text(path)
    assert (
        str(caught.value)
        == f"{path} has 2e-06 GB, more than the 1e-06 GB that are read: give another file, or allow more by `max_text`"
    )


def test_large_members_of_archives_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.bvh", b"0" * 2000)
    np.savez_compressed(tmp_path / "a.npz", joints_2d=np.zeros((10, 17, 2)))
    np.savez_compressed(tmp_path / "b.npz", a=np.array({"a": np.zeros(500)}, object))
    with SourceFiles(tmp_path / "a.zip") as files:
        assert len(files.read("a.bvh")) == 2000
        with limited(TINY), pytest.raises(InputError, match=r"a\.zip: a\.bvh has 2e-06 GB.*`max_unpacked`"):
            files.read("a.bvh")
    with limited(TINY):
        with pytest.raises(InputError, match=r"a\.npz: joints_2d\.npy has 2\.85e-06 GB.*`max_unpacked`"):
            read_npz(tmp_path / "a.npz")
        with pytest.raises(InputError, match=r"b\.npz: a has .* GB.*`max_unpacked`"):
            read_object_npz(tmp_path / "b.npz", "a")


def test_the_command_takes_limits_and_names_their_flags(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[" + " " * 2000 + "]")
    done = subprocess.run(
        [
            sys.executable, "-m", "evolift", "--max-text", "1e-6", "predict", str(tmp_path / "a.json"),
            "-o", str(tmp_path / "out"),
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "allow more by --max-text" in done.stderr


@pytest.mark.parametrize("path", [None, 3, b"a", "a\0b"])
def test_what_is_no_path_is_refused(path: object) -> None:
    with pytest.raises(InputError, match=r"^`store` must be a path, not "):
        as_path(path, "store")
    with pytest.raises(InputError, match=r"^`stores` must be a path"):
        as_paths([path], "stores")


def test_paths_may_be_one() -> None:
    assert as_paths("a") == as_paths([Path("a")]) == [Path("a")]
    with pytest.raises(InputError, match=r"^`stores` must be a path or several, not None$"):
        as_paths(None, "stores")
