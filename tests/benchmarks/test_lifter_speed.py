"""Inference of lifters as a user calls it, and data loading beside the training step that it feeds.

Method: after two rounds of warm-up the variants take turns on the same input, on one thread (more if OMP_NUM_THREADS says
so); the medians of their milliseconds of processor time over all rounds stand in the benchmark's extra info. Inference is
`model.eval()` under `torch.no_grad()`, and `model.folded()`. Times are never asserted. For the training step itself see
`test_semgcn_training_speed`.

    pytest tests/benchmarks/test_lifter_speed.py -m benchmark --benchmark-enable -s
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from evolift.lifter.architecture import FORMS
from evolift.lifter.data.pairs import PairMaker
from evolift.lifter.data.pose_source import Mixture, PosePart
from evolift.lifter.model import LifterModel
from evolift.lifter.networks.semgcn import SemGCN
from evolift.lifter.networks.skeleton_graph import adjacency
from evolift.lifter.settings import LifterSettings, PairSettings
from evolift.lifter.temporal.model import TemporalLifter
from evolift.lifter.temporal.settings import TemporalSettings
from evolift.posedata.skeleton import H36M17
from evolift.training.memory_allocator import reuse_freed_memory
from tests.benchmarks.interleaved_timing import time_interleaved
from tests.benchmarks.training_step_worker import training_step
from tests.lifter.networks.straightforward_semgcn import Straight, copy_weights

pytestmark = pytest.mark.benchmark


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    yield
    torch.set_num_threads(before)


def interleaved(benchmark, rounds: int, functions: dict[str, Callable[[], object]]) -> None:
    """Medians, and how many times as fast as the first the others are."""
    first, *others = time_interleaved(benchmark, rounds, functions, time.process_time).items()
    for name, times in others:
        ratio = statistics.median(first[1]) / statistics.median(times)
        benchmark.extra_info[f"{name} against {first[0]}"] = f"{ratio:.2f}x"
    print(f"\n{benchmark.name}: {benchmark.extra_info}")


def answering(network: nn.Module, x: Tensor) -> Callable[[], Tensor]:
    return torch.no_grad()(lambda: network(x))


BATCHES = pytest.mark.parametrize(("batch", "rounds"), [(1, 200), (64, 50), (256, 20), (1024, 10), (4096, 5)])


@BATCHES
def test_inference_of_semgcn(benchmark, batch: int, rounds: int) -> None:
    torch.manual_seed(0)
    straight, ours = Straight(adjacency(H36M17)), SemGCN(2, 3, adjacency(H36M17))
    copy_weights(ours, straight)
    straight.eval()
    ours.eval()
    x = torch.randn(batch, 17, 2)
    networks = {"straightforward": straight, "eval": ours, "folded": ours.folded()}
    interleaved(benchmark, rounds, {name: answering(network, x) for name, network in networks.items()})


@BATCHES
@pytest.mark.parametrize(
    "settings",
    [*(LifterSettings(architecture=architecture) for architecture in FORMS), LifterSettings(non_local=True)],
    ids=[*FORMS, "non-local"],
)
def test_inference_of_whole_lifters(benchmark, settings: LifterSettings, batch: int, rounds: int) -> None:
    lifter = LifterModel(settings).eval()
    x = torch.randn(batch, 17, 2)
    networks = {"eval": lifter, "folded": lifter.folded()}
    interleaved(benchmark, rounds, {name: answering(network, x) for name, network in networks.items()})


@pytest.mark.parametrize("seen", [9, 27, 81])
def test_a_clip_of_ten_seconds_through_a_temporal_lifter(benchmark, seen: int) -> None:
    """Window after window, as it is trained, and each layer once for each frame."""
    lifter = TemporalLifter(TemporalSettings(frames=seen)).eval()
    clip = torch.randn(300, 17, 2)
    place = torch.arange(300)[:, None] + torch.arange(seen) - lifter.settings.target_frame
    windows = clip[place.clamp(0, 299)]
    functions = {
        "windows": torch.no_grad()(lambda: torch.cat([lifter.windows(some) for some in windows.split(64)])),
        "clip": answering(lifter, clip),
        "folded": answering(lifter.folded(), clip),
    }
    torch.testing.assert_close(functions["windows"](), functions["clip"](), rtol=1e-3, atol=0.05)
    interleaved(benchmark, 7, functions)


@pytest.mark.parametrize("cameras", ["ring", "random"])
@pytest.mark.parametrize(("batch", "rounds"), [(64, 40), (1024, 8)])
def test_data_loading_beside_the_step_it_feeds(benchmark, tiny_store, cameras, batch, rounds) -> None:
    reuse_freed_memory()
    settings = PairSettings(batch_size=batch, cameras=cameras, noise=1.0, missing=0.05)
    lifter = LifterSettings(dropout=0.0)
    make = PairMaker(Mixture([PosePart(tiny_store, np.arange(64), H36M17)], [1.0]), settings, lifter, 0)
    made = make(0, 0, 1)
    step = training_step(LifterModel(lifter))
    inputs, target = made["inputs"], made["target"] / 1000
    functions = {"step": lambda: step(inputs, target), "loading": lambda: make(1, 0, 1)}
    interleaved(benchmark, rounds, functions)
