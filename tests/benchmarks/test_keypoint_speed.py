"""100,000 people from a file of keypoints to a file of poses: processor time of each step.

Method: one round of a SemGCN of the published size, untrained, on COCO results; seconds of processor time (user and
system, all threads) and of the wall stand in the benchmark's extra info. One thread unless OMP_NUM_THREADS says
otherwise: on a busy machine, threads that wait for each other would count as work. Times are never asserted.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from evolift.lifter.model import LifterModel
from evolift.lifter.settings import LifterSettings
from evolift.posedata.keypoint_formats.keypoint_files import read_keypoints
from evolift.posedata.predictions.prediction_files import write_predictions
from evolift.prediction.keypoint_lifting import lift_keypoints

pytestmark = pytest.mark.benchmark
PEOPLE = 100_000


def test_a_hundred_thousand_people(benchmark, tmp_path: Path) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    table = np.random.default_rng(0).uniform(0, 900, (PEOPLE, 17, 3)).round(2)
    table[..., 2] /= 900
    results = [
        {"image_id": n, "category_id": 1, "keypoints": p}
        for n, p in enumerate(table.reshape(PEOPLE, -1).tolist())
    ]
    (tmp_path / "k.json").write_text(json.dumps(results))
    lifter = LifterModel(LifterSettings(normalisation="box")).eval()
    took: dict[str, str] = {}

    @contextmanager
    def timed(name: str) -> Iterator[None]:
        wall, processor = time.perf_counter(), time.process_time()
        yield
        took[name] = f"{time.process_time() - processor:.1f} s ({time.perf_counter() - wall:.1f} s wall)"

    def once() -> None:
        with timed("read"):
            keypoints = read_keypoints(tmp_path / "k.json")
        with timed("lift"):
            lifted = lift_keypoints(lifter, keypoints, "k.json")
        for ending in ("npz", "json", "csv"):
            with timed(f"write {ending}"):
                write_predictions(tmp_path / f"p.{ending}", lifted.predictions)

    benchmark.pedantic(once, rounds=1, iterations=1)
    torch.set_num_threads(before)
    benchmark.extra_info.update(took)
    print(f"\n{benchmark.name}: {took}")
