"""A dask cluster on loopback: one of its workers is killed while it breeds, and the bytes stay the same."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from distributed import LocalCluster

from evolift.evolution.job.algorithm import evolve
from evolift.evolution.job.workers import block_workers
from evolift.evolution.settings import EvolutionSettings
from evolift.posedata.errors import InputError


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # dask warns of ports, sizes and lost workers as it likes
def test_a_worker_is_killed_mid_run(tiny_store: Path, tmp_path: Path) -> None:
    settings = EvolutionSettings(target_size=60000, generations=2, seed=4)
    evolve(tiny_store, tmp_path / "alone.h5", settings, block=2000)
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
    ) as cluster:
        killed: list[int] = []

        def kill_one(done: int) -> None:
            if not killed:
                worker = next(iter(cluster.workers.values()))
                killed.append(worker.pid)
                os.kill(worker.pid, signal.SIGKILL)

        with block_workers(cluster=cluster.scheduler_address) as workers:
            evolve(
                tiny_store, tmp_path / "cluster.h5", settings, workers=workers, progress=kill_one, block=2000
            )
    assert killed
    assert (tmp_path / "cluster.h5").read_bytes() == (tmp_path / "alone.h5").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alone.h5", "cluster.h5"]


def test_no_scheduler_is_one_sentence() -> None:
    from evolift.evolution.job.cluster_workers import ClusterWorkers

    with pytest.raises(InputError, match=r"there is no dask scheduler at tcp://127\.0\.0\.1:9"):
        ClusterWorkers("tcp://127.0.0.1:9", timeout=0.5)
