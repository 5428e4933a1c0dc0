"""Soft-argmax of volumetric heatmaps: ours, and softmax then weighted sums over the whole volume.

Processor seconds, so that other work on the machine disturbs little; both in turn within one run.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

from evolift.detector2d.soft_argmax import cell_centres, soft_argmax

ROUNDS = 5


def plain(heatmaps: Tensor) -> Tensor:
    probability = heatmaps.flatten(-3).softmax(-1).reshape(heatmaps.shape)
    z, v, u = (cell_centres(n, heatmaps) for n in heatmaps.shape[-3:])
    axes = (u, v[:, None], z[:, None, None])
    return torch.stack([(probability * axis).sum((-3, -2, -1)) for axis in axes], -1)


def ours(heatmaps: Tensor) -> Tensor:
    return soft_argmax(heatmaps, 3).positions


def seconds(function: Callable[[Tensor], Tensor], heatmaps: Tensor) -> float:
    heatmaps.grad = None
    start = time.process_time()
    positions = function(heatmaps)
    if heatmaps.requires_grad:
        positions.sum().backward()
    return time.process_time() - start


@pytest.mark.benchmark
@pytest.mark.parametrize("gradient", [False, True], ids=["forward", "forward+backward"])
@pytest.mark.parametrize("shape", [(8, 17, 64, 64, 64), (4, 17, 72, 96, 72)], ids=["64x64x64", "72x96x72"])
def test_soft_argmax_speed(benchmark: BenchmarkFixture, shape: tuple[int, ...], gradient: bool) -> None:
    heatmaps = torch.randn(shape, generator=torch.Generator().manual_seed(0)).requires_grad_(gradient)
    assert torch.allclose(plain(heatmaps), ours(heatmaps), atol=1e-5)
    times: dict[str, list[float]] = {"plain": [], "ours": []}
    for _ in range(ROUNDS):
        times["plain"].append(seconds(plain, heatmaps))
        times["ours"].append(seconds(ours, heatmaps))
    with torch.no_grad():
        start = time.process_time()
        heatmaps.exp()
        benchmark.extra_info["exponentials_alone"] = time.process_time() - start
    benchmark.extra_info |= {name: median(values) for name, values in times.items()}
    benchmark.extra_info["ratio"] = median(times["plain"]) / median(times["ours"])
    print(benchmark.extra_info)
    benchmark.pedantic(seconds, (ours, heatmaps), rounds=3, warmup_rounds=1)


_PEAK = """
import re, sys, torch
from pathlib import Path
sys.path.insert(0, ".")
from tests.benchmarks.test_soft_argmax_speed import ours, plain
torch.set_num_threads(1)
name, gradient = sys.argv[1], sys.argv[2] == "True"
function = {"plain": plain, "ours": ours}[name]

def run(heatmaps):
    positions = function(heatmaps)
    if gradient:
        positions.sum().backward()

def resident(key):
    return int(re.search(key + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024

run(torch.randn(1, 1, 64, 64, 64).requires_grad_(gradient))
heatmaps = torch.randn(8, 17, 64, 64, 64).requires_grad_(gradient)
Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
before = resident("VmRSS")
run(heatmaps)
print((resident("VmHWM") - before) / (heatmaps.numel() * 4))
"""


@pytest.mark.benchmark
@pytest.mark.parametrize(("gradient", "limit"), [(False, 0.15), (True, 1.15)])
def test_soft_argmax_memory(gradient: bool, limit: float) -> None:
    """Peak memory beyond the heatmaps, in units of the heatmaps."""
    extra = {
        name: float(
            subprocess.run(
                [sys.executable, "-c", _PEAK, name, str(gradient)], check=True, capture_output=True, text=True
            ).stdout
        )
        for name in ("plain", "ours")
    }
    print(extra)
    assert extra["ours"] < limit < extra["plain"]
