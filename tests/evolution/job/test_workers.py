"""Who breeds never changes the bytes; killed runs go on; what is left lying about is never taken for something else."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from evolift.evolution.job import algorithm
from evolift.evolution.job.block_workers import Block, BlockWorkers, ProcessWorkers
from evolift.evolution.job.breeding import Tally
from evolift.evolution.job.work_folder import WorkFolder
from evolift.evolution.settings import EvolutionSettings
from evolift.posedata.errors import InputError, OutputError
from evolift.posedata.store import PoseStore

SETTINGS = EvolutionSettings(target_size=1500, generations=3, sigma=40.0, seed=2)


evolve = partial(algorithm.evolve, block=200)


@pytest.fixture
def undisturbed(tiny_store: Path, tmp_path: Path) -> bytes:
    evolve(tiny_store, tmp_path / "undisturbed.h5", SETTINGS)
    return (tmp_path / "undisturbed.h5").read_bytes()


class Interrupted(BlockWorkers):
    """Stops like a person at the keyboard after some blocks."""

    def __init__(self, after: int) -> None:
        self.left = after

    def breed(self, job, blocks):
        for tally in super().breed(job, blocks):
            if self.left == 0:
                raise KeyboardInterrupt
            self.left -= 1
            yield tally


@pytest.mark.parametrize("after", [0, 4])
def test_an_interrupted_run_goes_on_to_the_same_bytes(
    tiny_store: Path, tmp_path: Path, undisturbed: bytes, after: int
) -> None:
    target = tmp_path / "out.h5"
    with pytest.raises(KeyboardInterrupt):
        evolve(tiny_store, target, SETTINGS, workers=Interrupted(after))
    assert not target.exists()
    folder = WorkFolder.beside(target)
    assert len((folder / "finished.jsonl").read_text().split()) >= after
    bred: list[Block] = []

    class Counting(BlockWorkers):
        def breed(self, job, blocks):
            bred.extend(blocks)
            yield from super().breed(job, blocks)

    evolve(tiny_store, target, SETTINGS, resume=True, workers=Counting())
    assert target.read_bytes() == undisturbed
    assert len(bred) == 9 - after
    assert not folder.exists()


def test_a_log_cut_off_in_a_line_counts_as_not_finished(
    tiny_store: Path, tmp_path: Path, undisturbed: bytes
) -> None:
    target = tmp_path / "out.h5"
    with pytest.raises(KeyboardInterrupt):
        evolve(tiny_store, target, SETTINGS, workers=Interrupted(3))
    log = WorkFolder.beside(target) / "finished.jsonl"
    log.write_text(log.read_text()[:-20])
    evolve(tiny_store, target, SETTINGS, resume=True)
    assert target.read_bytes() == undisturbed


def test_leftovers_are_not_taken_up_unasked(tiny_store: Path, tmp_path: Path, undisturbed: bytes) -> None:
    target = tmp_path / "out.h5"
    with pytest.raises(KeyboardInterrupt):
        evolve(tiny_store, target, SETTINGS, workers=Interrupted(2))
    with pytest.raises(OutputError, match=r"out\.h5\.work was left by an interrupted run: add `resume`"):
        evolve(tiny_store, target, SETTINGS)
    other = EvolutionSettings(target_size=1500, generations=3, sigma=41.0, seed=2)
    with pytest.raises(InputError, match=r"the interrupted run had another sigma \(40\.0, now 41\.0\)"):
        evolve(tiny_store, target, other, resume=True)
    evolve(tiny_store, target, SETTINGS, overwrite=True)
    assert target.read_bytes() == undisturbed


def test_a_folder_of_somebody_else_is_never_deleted(tiny_store: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.h5"
    folder = WorkFolder.beside(target)
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match=r"holds files that no run made \(thesis\.txt\)"):
        evolve(tiny_store, target, SETTINGS, overwrite=True)
    with pytest.raises(OutputError, match="holds files that no run made"):
        evolve(tiny_store, target, SETTINGS, resume=True)
    assert (folder / "thesis.txt").read_text() == "years of work"


def test_a_full_disk_is_one_sentence(
    tiny_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OutputError, match=r"the run needs 0\.0 GB of disk there .*: No space left on device"):
        evolve(tiny_store, tmp_path / "out.h5", SETTINGS)
    assert not any(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 3])
def test_processes_give_the_same_bytes(
    tiny_store: Path, tmp_path: Path, undisturbed: bytes, processes: int
) -> None:
    with ProcessWorkers(processes) as workers:
        evolve(tiny_store, tmp_path / "out.h5", SETTINGS, workers=workers)
    assert (tmp_path / "out.h5").read_bytes() == undisturbed


RUN = """
import sys
from pathlib import Path
import evolift.evolution.job.algorithm as algorithm
from evolift.evolution.settings import EvolutionSettings
from evolift.evolution.job.block_workers import BlockWorkers
if __name__ == "__main__":
    settings = EvolutionSettings(target_size=20000, generations=4, sigma=40.0, seed=2)
    print("ready", flush=True)
    algorithm.evolve(Path(sys.argv[1]), Path(sys.argv[2]), settings, resume=True, block=200)
    print("done", flush=True)
"""


@pytest.mark.slow
def test_kill_9_at_20_random_moments(tiny_store: Path, tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(RUN)
    targets = [tmp_path / "undisturbed.h5", tmp_path / "killed.h5"]

    def start(target: Path) -> subprocess.Popen[str]:
        command = [sys.executable, str(script), str(tiny_store), str(target)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    begun = time.monotonic()
    first = start(targets[0])
    first.communicate()
    assert first.returncode == 0
    whole = time.monotonic() - begun
    chance = random.Random(1)
    kills, finished = 0, 0
    while kills < 20:
        process = start(targets[1])
        time.sleep(chance.uniform(0, whole / 12))
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            kills += 1
        process.communicate()
        if targets[1].exists():  # done between two kills: begin again, so that all 20 hit a run
            assert targets[1].read_bytes() == targets[0].read_bytes()
            targets[1].unlink()
            finished += 1
    last = start(targets[1])
    last.communicate()
    assert last.returncode == 0
    assert targets[1].read_bytes() == targets[0].read_bytes()
    with PoseStore(targets[1]) as store:
        assert len(store) == 20000


def test_tallies_survive_the_log(tmp_path: Path) -> None:
    folder = WorkFolder(tmp_path / "x.work", 10, {"genes": 85, "joints": 51})
    folder.start({"seed": 1}, resume=False, overwrite=False)
    tally = Tally(100, 3, 2, 5, {"left_elbow": 5})
    folder.log(2, 7, tally)
    with (folder.path / "finished.jsonl").open("a") as log:
        for generation, candidates in (("[]", "1"), ("3", '"1"'), ("3", "[" * 5000)):
            log.write(
                f'{{"generation": {generation}, "block": 0, "tally": {{"candidates": {candidates}}}}}\n'
            )
    assert folder.finished() == {(2, 7): tally}
    folder.write("joints", 4, np.full((2, 51), 3.0))
    assert (folder.read("joints", 4, 6) == 3).all()
    assert folder.read("operator", 0, 10).shape == (10,)
    assert json.loads((tmp_path / "x.work" / "run.json").read_text()) == {"seed": 1}
