"""Frames per second of the motion-capture importers, from the zip to a pose store of 17 joints."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from evolift.posedata.importers.bvh import import_bvh
from evolift.posedata.importers.cmu_asfamc import import_cmu
from evolift.posedata.importers.settings import CmuSettings
from evolift.posedata.store import PoseStore


@pytest.mark.benchmark
@pytest.mark.real_data
@pytest.mark.parametrize("num_workers", [1, 2])
def test_cmu_import(benchmark: BenchmarkFixture, data_folder: Path, tmp_path: Path, num_workers: int) -> None:
    source, target = data_folder / "cmu_asfamc_subset.zip", tmp_path / "cmu.h5"
    summary = benchmark.pedantic(
        import_cmu,
        (source, target, CmuSettings(num_workers=num_workers)),
        {"overwrite": True},
        rounds=3,
        warmup_rounds=1,
    )
    assert summary.native_frames == 77754
    benchmark.extra_info["frames_per_second"] = summary.native_frames / benchmark.stats["median"]
    print(benchmark.extra_info)


@pytest.mark.benchmark
@pytest.mark.real_data
def test_bvh_import(benchmark: BenchmarkFixture, data_folder: Path, tmp_path: Path) -> None:
    source, target = data_folder / "cmu_walk_bvh.zip", tmp_path / "bvh.h5"
    summary = benchmark.pedantic(import_bvh, (source, target), {"overwrite": True}, rounds=3, warmup_rounds=1)
    benchmark.extra_info["frames_per_second"] = summary.native_frames / benchmark.stats["median"]
    print(benchmark.extra_info)


@pytest.mark.benchmark
@pytest.mark.real_data
def test_store_validation(benchmark: BenchmarkFixture, data_folder: Path, tmp_path: Path) -> None:
    import_cmu(data_folder / "cmu_asfamc_subset.zip", tmp_path / "cmu.h5", CmuSettings(num_workers=2))

    def open_and_close() -> int:
        with PoseStore(tmp_path / "cmu.h5") as store:
            return len(store)

    rows = benchmark.pedantic(open_and_close, rounds=5, warmup_rounds=1)
    benchmark.extra_info["rows_per_second"] = rows / benchmark.stats["median"]
    print(benchmark.extra_info)
