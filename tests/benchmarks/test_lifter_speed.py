"""SemGCN against a straightforward implementation of the published layer, interleaved in one run.

Method: after two rounds of warm-up, old and new take turns on the same input; the median of each over all rounds, and
their ratio, stand in the benchmark's extra info. Two threads unless OMP_NUM_THREADS says otherwise. Both profit from
`keep_freed_memory`, as in training.
Data loading is timed in the same way against the training step it feeds. Times are never asserted.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evolift.lifter.data.pairs import PairMaker, PairSettings
from evolift.lifter.data.pose_source import Mixture, PosePart
from evolift.lifter.model import LifterModel, LifterSettings
from evolift.lifter.networks.semgcn import SemGCN
from evolift.lifter.networks.skeleton_graph import adjacency
from evolift.posedata.skeleton import H36M17
from tests.benchmarks.taking_turns import take_turns, training_threads
from tests.lifter.networks.straightforward_semgcn import Straight, copy_weights

pytestmark = pytest.mark.benchmark


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    with training_threads():
        yield


def interleaved(benchmark, rounds: int, **functions: Callable[[], object]) -> None:
    old, new = (statistics.median(times) for times in take_turns(benchmark, rounds, functions).values())
    benchmark.extra_info["ratio"] = round(old / new, 2)
    print(f"\n{benchmark.name}: {benchmark.extra_info}")


def both() -> tuple[Straight, SemGCN]:
    torch.manual_seed(0)
    new = SemGCN(2, 3, adjacency(H36M17))
    old = Straight(adjacency(H36M17))
    copy_weights(new, old)
    x = torch.randn(64, 17, 2)
    torch.testing.assert_close(new(x), old(x), atol=1e-3, rtol=1e-3)  # the same network, in training mode
    return old, new


def training_step(network: nn.Module, x: Tensor, y: Tensor, *, fused: bool) -> Callable[[], None]:
    optimiser = torch.optim.Adam(network.parameters(), 1e-3, fused=fused)

    def step() -> None:
        optimiser.zero_grad()
        F.mse_loss(network(x), y).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()

    return step


@pytest.mark.parametrize(("batch", "rounds"), [(64, 40), (256, 20), (1024, 8)])
def test_training_step(benchmark, batch: int, rounds: int) -> None:
    old, new = both()
    x, y = torch.randn(batch, 17, 2), torch.randn(batch, 17, 3)
    interleaved(
        benchmark,
        rounds,
        straightforward=training_step(old, x, y, fused=False),
        ours=training_step(new, x, y, fused=True),
    )


@pytest.mark.parametrize(("batch", "rounds"), [(1, 200), (256, 20), (4096, 5)])
def test_inference(benchmark, batch: int, rounds: int) -> None:
    old, new = both()
    old.eval(), new.eval().requires_grad_(False)
    x = torch.randn(batch, 17, 2)

    def run(network: nn.Module) -> Callable[[], Tensor]:
        return torch.no_grad()(lambda: network(x))

    interleaved(benchmark, rounds, straightforward=run(old), ours=run(new))


@pytest.mark.parametrize("cameras", ["ring", "random"])
@pytest.mark.parametrize(("batch", "rounds"), [(64, 40), (1024, 8)])
def test_data_loading_beside_the_step_it_feeds(benchmark, tiny_store, cameras, batch, rounds) -> None:
    settings = PairSettings(batch_size=batch, cameras=cameras, noise=1.0, missing=0.05, flip=True)
    lifter = LifterSettings(dropout=0.0)
    make = PairMaker(Mixture([PosePart(tiny_store, np.arange(64), H36M17)], [1.0]), settings, lifter, 0)
    made = make(0, 0, 1)
    step = training_step(LifterModel(lifter), made["inputs"], made["target"] / 1000, fused=True)
    interleaved(benchmark, rounds, step=step, loading=lambda: make(1, 0, 1))
