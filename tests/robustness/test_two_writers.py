"""Two processes with one output: the second is told who writes it, and what the first writes is whole."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import pytest

from evolift.evolution.job import algorithm
from evolift.evolution.job.work_folder import WorkFolder
from evolift.evolution.settings import EvolutionSettings
from evolift.posedata.errors import OutputError
from evolift.posedata.output_file import whole_file, write_json
from evolift.posedata.output_folder import output_folder
from evolift.posedata.poses import Poses
from evolift.posedata.skeleton import H36M17
from evolift.posedata.store import PoseStore, PoseStoreWriter, Provenance
from evolift.posedata.video_file import VideoWriter
from tests.robustness.forked import REFUSED, ended, forked

Make = Callable[..., Poses]


@contextmanager
def file(path: Path, poses: Poses) -> Iterator[None]:
    with whole_file(path, overwrite=True) as partial:
        yield
        partial.write_text("mine")


@contextmanager
def store(path: Path, poses: Poses) -> Iterator[None]:
    with PoseStoreWriter(path, H36M17, "world", Provenance("test"), overwrite=True) as writer:
        yield
        writer.append(poses)


@contextmanager
def video(path: Path, poses: Poses) -> Iterator[None]:
    with VideoWriter(path, (32, 32), 10, overwrite=True) as writer:
        yield
        writer.write(np.zeros((32, 32, 3), np.uint8))


@contextmanager
def folder(path: Path, poses: Poses) -> Iterator[None]:
    with output_folder(path, overwrite=True, resume=False):
        write_json(path / "settings.json", {})
        yield


@pytest.mark.parametrize(
    ("writer", "name"), [(file, "a.txt"), (store, "a.h5"), (video, "a.mp4"), (folder, "run")]
)
def test_the_second_is_refused(
    writer: Callable[[Path, Poses], AbstractContextManager[None]], name: str, tmp_path: Path, make_poses: Make
) -> None:
    path, poses = tmp_path / name, make_poses(10)

    def write() -> None:
        with writer(path, poses):
            pass

    with writer(path, poses):
        said = f"{path} is being written by this process: wait for it, or choose another output"
        with pytest.raises(OutputError, match=said):
            write()
        assert ended(forked(write)) == REFUSED
    assert path.exists()
    write()
    assert [entry.name for entry in tmp_path.iterdir()] == [name]
    if writer is store:
        with PoseStore(path) as opened:
            assert len(opened) == 10


def test_a_live_evolution_is_no_interrupted_one(tiny_store: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.h5"
    settings = EvolutionSettings(ratio=3.0)
    reading, writing = os.pipe()

    def wait() -> None:
        with WorkFolder(WorkFolder.beside(target), 1, {}).lock(target):
            WorkFolder.beside(target).mkdir()
            os.write(writing, b"1")
            time.sleep(60)

    pid = forked(wait)
    os.read(reading, 1)
    for flags in ({}, {"resume": True}, {"overwrite": True}):
        with pytest.raises(OutputError, match=f"a.h5 is being written by process {pid}: wait for it"):
            algorithm.evolve(tiny_store, target, settings, **flags)
    os.kill(pid, 9)
    ended(pid)
    algorithm.evolve(tiny_store, target, settings, overwrite=True)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.h5"]


@pytest.mark.fuzz
def test_many_writers_leave_one_whole_store(tmp_path: Path, make_poses: Make) -> None:
    path = tmp_path / "a.h5"

    def write(count: int) -> None:
        poses = make_poses(count)
        with PoseStoreWriter(path, H36M17, "world", Provenance("test"), overwrite=True) as writer:
            for _ in range(count):
                writer.append(poses)

    codes = []
    for round_ in range(40):
        writers = [forked(lambda count=count: write(count)) for count in (20, 30, 40)]
        codes += [ended(pid) for pid in writers]
        with PoseStore(path) as opened:
            assert len(opened) in (400, 900, 1600), round_
    print(f"\ntwo writers  whole {codes.count(0)}  refused {codes.count(REFUSED)}")
    assert set(codes) <= {0, REFUSED}
