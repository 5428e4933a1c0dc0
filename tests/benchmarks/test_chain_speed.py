"""One training step of the chain against a step of the detector plus a step of the lifter.

Method: the three take turns on the same batch, forward, backward and optimiser, in one run; the chain step's loss is the
detector's own plus the 3D error. The ratio is the median over rounds of joint / (detector + lifter), so that a machine
that slows down slows all three. Times are never asserted. Two threads unless OMP_NUM_THREADS says otherwise.
"""

from __future__ import annotations

import copy
import statistics
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from evolift.chain.model import ChainModel
from evolift.chain.settings import ChainTrainingSettings
from evolift.chain.training import ChainModule
from evolift.detector2d.model import DetectorModel
from evolift.detector2d.settings import DetectorSettings, DetectorTrainingSettings
from evolift.detector2d.training import DetectorModule
from evolift.lifter.model import LifterModel
from evolift.lifter.settings import LifterSettings, LifterTrainingSettings
from evolift.lifter.training import LifterModule
from evolift.training.trainer import Batch, StageModule
from tests.benchmarks.interleaved_timing import time_interleaved, training_threads

pytestmark = pytest.mark.benchmark

LIGHT = DetectorSettings(
    backbone="tf_efficientnet_lite0", input_width=128, input_height=128, head="light", head_widths=(128,)
)
VOLUMETRIC = DetectorSettings(backbone="resnet50", depth_bins=64)


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    with training_threads():
        yield


def crops(settings: DetectorSettings, count: int) -> Batch:
    """A batch as `evolift.detector2d.samples` makes it, of noise."""
    torch.manual_seed(0)
    joints = torch.rand(count, 17, 3) * 0.8 + 0.1
    return {
        "image": torch.randn(count, 3, settings.input_height, settings.input_width),
        "joints": joints[..., : settings.dimensions],
        "weight": torch.ones(count, 17, settings.dimensions),
        "joints_3d": torch.randn(count, 17, 3) * 300,
        "has_3d": torch.ones(count, dtype=torch.bool),
        "image_from_crop": torch.tensor([[2.0, 0.0, 30.0], [0.0, 2.0, 20.0]]).repeat(count, 1, 1),
        "image_size": torch.tensor([[640, 480]]).repeat(count, 1),
    }


def training_step(module: StageModule, loss: Callable[[], Tensor]) -> Callable[[], None]:
    configured: Any = module.configure_optimizers()
    optimiser = configured["optimizer"]

    def step() -> None:
        optimiser.zero_grad()
        torch.autograd.backward(loss())
        optimiser.step()

    return step


@pytest.mark.parametrize(
    ("settings", "count", "rounds"),
    [
        pytest.param(LIGHT, 32, 12, id="light-128x128-batch-32"),
        pytest.param(VOLUMETRIC, 4, 6, id="resnet50-volumetric-256x256-batch-4"),
    ],
)
def test_chain_step(benchmark, settings: DetectorSettings, count: int, rounds: int) -> None:
    torch.manual_seed(0)
    detector, lifter = DetectorModel(settings), LifterModel(LifterSettings(normalisation="box"))
    batch = crops(settings, count)
    of_detector = DetectorModule(
        copy.deepcopy(detector), DetectorTrainingSettings(steps=100, spread_weight=0.1)
    )
    of_lifter = LifterModule(copy.deepcopy(lifter), LifterTrainingSettings(steps=100), {})
    of_chain = ChainModule(ChainModel(detector, lifter), ChainTrainingSettings(steps=100, spread_weight=0.1))
    inputs, target = torch.randn(count, 17, 2), batch["joints_3d"]
    steps = {
        "detector": training_step(of_detector, lambda: of_detector.losses(batch)["loss"]),
        "lifter": training_step(of_lifter, lambda: of_lifter.loss(of_lifter.model(inputs), target)),
        "chain": training_step(of_chain, lambda: of_chain.losses(batch)["loss"]),
    }
    kept = time_interleaved(benchmark, rounds, steps)
    ratios = [
        joint / (alone + lift)
        for alone, lift, chained in zip(kept["detector"], kept["lifter"], kept["chain"], strict=True)
    ]
    benchmark.extra_info["joint / (detector + lifter)"] = round(statistics.median(ratios), 3)
    print(f"\n{benchmark.name}: {benchmark.extra_info}")
