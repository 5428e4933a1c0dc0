"""A disk that is full at any byte: one sentence, the old file whole, nothing half, and no crash at the end of the process."""

from __future__ import annotations

import resource
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from evolift.posedata.output_file import write_text
from evolift.posedata.poses import Poses
from evolift.posedata.skeleton import H36M17
from evolift.posedata.store import PoseStoreWriter, Provenance
from tests.robustness.forked import REFUSED, ended, forked

Make = Callable[..., Poses]


def write_store(path: Path, poses: Poses) -> None:
    with PoseStoreWriter(path, H36M17, "world", Provenance("test"), overwrite=True) as writer:
        for _ in range(10):
            writer.append(poses)


def limited(size: int, work: Callable[[], None]) -> None:
    """Do the work with files of at most so many bytes."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    try:
        work()
    finally:  # what is said goes into a file too
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


@pytest.mark.parametrize("tries", [12, pytest.param(2000, marks=pytest.mark.fuzz)])
def test_files_of_limited_size(
    tmp_path: Path, make_poses: Make, tries: int, capfd: pytest.CaptureFixture[str]
) -> None:
    path, poses = tmp_path / "a.h5", make_poses(500)
    write_store(tmp_path / "whole.h5", poses)
    size = (tmp_path / "whole.h5").stat().st_size
    path.write_bytes(b"old")
    codes: Counter[int] = Counter()
    ends = [*np.linspace(8, size - 1, tries).astype(int), *range(size - 5000, size, 10 * 5000 // tries)]
    capfd.readouterr()
    for limit in ends:
        codes[ended(forked(lambda limit=int(limit): limited(limit, lambda: write_store(path, poses))))] += 1
        assert path.read_bytes() == b"old"
        assert {entry.name for entry in tmp_path.iterdir()} == {"a.h5", "whole.h5"}
    said = set(capfd.readouterr().err.splitlines())
    assert said == {f"{path} could not be written: File too large"}
    with capfd.disabled():
        print(f"\nfull disk  refused {codes[REFUSED]} of {len(ends)}")
    assert set(codes) == {REFUSED}
    assert ended(forked(lambda: limited(size, lambda: write_store(path, poses)))) == 0
    assert path.read_bytes() == (tmp_path / "whole.h5").read_bytes()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting is not allowed here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_small_disk(small_disk: Path, make_poses: Make, capfd: pytest.CaptureFixture[str]) -> None:
    poses = make_poses(2000)
    for name, work in {
        "a.h5": lambda: write_store(small_disk / "a.h5", poses),
        "a.txt": lambda: write_text(small_disk / "a.txt", "x" * 2_000_000),
    }.items():
        (small_disk / name).write_text("old")
        assert ended(forked(work)) == REFUSED
        assert (
            capfd.readouterr().err == f"{small_disk / name} could not be written: No space left on device\n"
        )
        assert (small_disk / name).read_text() == "old"
    assert {entry.name for entry in small_disk.iterdir()} == {"a.h5", "a.txt"}
