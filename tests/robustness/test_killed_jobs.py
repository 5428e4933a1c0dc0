"""Jobs that are killed at seeded moments: what was there stays, and the next run ends with the bytes of an undisturbed one."""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from evolift.evolution.job import algorithm
from evolift.evolution.settings import EvolutionSettings
from evolift.lifter.settings import LifterSettings, LifterTrainingSettings, PairSettings, Split
from evolift.lifter.training import train_lifter
from evolift.posedata.errors import OutputError
from evolift.posedata.output_folder import output_folder
from evolift.posedata.poses import Poses
from evolift.posedata.skeleton import H36M17
from evolift.posedata.store import PoseStoreWriter, Provenance
from tests.robustness.forked import ended, forked, killed

Make = Callable[..., Poses]
KILLS = 6
SETTINGS = EvolutionSettings(target_size=800, generations=3, seed=2)


def after_kills(
    work: Callable[[], object], result: Path, expected: bytes, kills: int, longest: float
) -> Counter[str]:
    """Kill the work again and again, then let it end; counts of what was found after each kill."""
    chance = np.random.default_rng(kills)
    found: Counter[str] = Counter()
    for _ in range(kills):
        pid = forked(work)
        time.sleep(chance.uniform(0, longest))
        found["killed" if killed(pid) else "done before"] += 1
        found["result there" if result.exists() else "no result"] += 1
        if result.exists():
            assert result.read_bytes() == expected
            result.unlink()  # or there would be nothing left to kill
    assert ended(forked(work)) == 0
    assert result.read_bytes() == expected
    return found


def told(name: str, found: Counter[str]) -> None:
    """Print a row of the table of counts (`pytest -s`)."""
    print(f"\n{name:<12} " + "  ".join(f"{what} {times}" for what, times in sorted(found.items())))


def check_evolution(tiny_store: Path, folder: Path, kills: int) -> None:
    def evolve(target: Path) -> None:
        algorithm.evolve(tiny_store, target, SETTINGS, resume=True, block=100)

    begun = time.perf_counter()
    assert ended(forked(lambda: evolve(folder / "whole.h5"))) == 0
    longest = time.perf_counter() - begun
    expected = (folder / "whole.h5").read_bytes()
    told(
        "evolve",
        after_kills(lambda: evolve(folder / "killed.h5"), folder / "killed.h5", expected, kills, longest),
    )
    assert {entry.name for entry in folder.iterdir()} == {"whole.h5", "killed.h5"}


def test_evolution(tiny_store: Path, tmp_path: Path) -> None:
    check_evolution(tiny_store, tmp_path, 2)


@pytest.mark.fuzz
def test_evolution_often(tiny_store: Path, tmp_path: Path) -> None:
    check_evolution(tiny_store, tmp_path, 10 * KILLS)


def test_evolution_killed_after_the_rename(
    tiny_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    target = tmp_path / "a.h5"
    with monkeypatch.context() as patch:
        patch.setattr(algorithm.WorkFolder, "remove", lambda self: os._exit(9))
        assert ended(forked(lambda: algorithm.evolve(tiny_store, target, SETTINGS))) == 9
    before = target.read_bytes()
    report = algorithm.evolve(tiny_store, target, SETTINGS, resume=True)
    assert "was finished already: nothing is bred" in caplog.text
    assert (report.originals, report.children) == (64, 736)
    assert len(report.table()) == 3
    assert target.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.h5"]
    other = SETTINGS.replaced(seed=3)
    with pytest.raises(OutputError, match=r"a\.h5 was bred with other settings or of another source"):
        algorithm.evolve(tiny_store, target, other, resume=True)


def train(store: Path, folder: Path) -> None:
    training = LifterTrainingSettings(
        steps=6,
        validate_every=2,
        split=Split(validation_share=0.25),
        pairs=PairSettings(batch_size=8),
        progress=False,
        accelerator="cpu",
    )
    train_lifter([store], folder, lifter=LifterSettings(hidden=8, blocks=1), training=training, resume=True)


@pytest.mark.fuzz
def test_trainings(tiny_store: Path, tmp_path: Path) -> None:
    begun = time.perf_counter()
    assert ended(forked(lambda: train(tiny_store, tmp_path / "whole"))) == 0
    longest = time.perf_counter() - begun
    expected = (tmp_path / "whole/last.safetensors").read_bytes()
    found: Counter[str] = Counter()
    chance = np.random.default_rng(1)
    for _ in range(2 * KILLS):
        pid = forked(lambda: train(tiny_store, tmp_path / "killed"))
        time.sleep(chance.uniform(0, longest))
        if killed(pid):
            found["killed"] += 1
        else:
            found["done before"] += 1
            shutil.rmtree(tmp_path / "killed")
    assert ended(forked(lambda: train(tiny_store, tmp_path / "killed"))) == 0
    told("training", found)
    assert (tmp_path / "killed/last.safetensors").read_bytes() == expected
    assert {entry.name for entry in (tmp_path / "killed").iterdir()} == {
        entry.name for entry in (tmp_path / "whole").iterdir()
    }


def test_a_store_that_is_overwritten(make_poses: Make, tmp_path: Path) -> None:
    path = tmp_path / "a.h5"

    def write(count: int) -> None:
        with PoseStoreWriter(path, H36M17, "world", Provenance("test"), overwrite=True) as writer:
            for _ in range(20):
                writer.append(make_poses(count))

    write(50)
    old = path.read_bytes()
    write(2000)
    new = path.read_bytes()
    chance, found = np.random.default_rng(3), Counter[str]()
    for _ in range(2 * KILLS):
        path.write_bytes(old)
        pid = forked(lambda: write(2000))
        time.sleep(chance.uniform(0, 0.1))
        killed(pid)
        there = path.read_bytes()
        found["old" if there == old else "new" if there == new else "wreck"] += 1
    told("store", found)
    assert not found["wreck"]
    write(50)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.h5"]


def test_a_folder_that_is_overwritten(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = tmp_path / "run"

    def work(value: str, *, stop: bool = False) -> None:
        with output_folder(run, overwrite=True, resume=False):
            (run / "settings.json").write_text("{}")
            (run / "best").write_text(value)
            if stop:
                os.kill(os.getpid(), 9)

    work("old")
    assert ended(forked(lambda: work("new", stop=True))) == -9
    assert (tmp_path / "run.replaced/best").read_text() == "old"
    assert ended(forked(lambda: work("newer", stop=True))) == -9
    assert (tmp_path / "run.replaced/best").read_text() == "old"
    assert (tmp_path / "run.replaced-2/best").read_text() == "new"
    work("newest")
    assert f"{run}.replaced holds what {run} held before a run that was interrupted" in caplog.text
    assert (run / "best").read_text() == "newest"
    assert [entry.name for entry in tmp_path.iterdir()] == ["run"]
