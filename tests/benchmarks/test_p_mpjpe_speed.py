"""P-MPJPE of 100k poses of 17 joints: ours, and batched torch.linalg.svd as the public code does it."""

from __future__ import annotations

import time
from statistics import median

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from evolift.posedata.metrics import p_mpjpe

POSES, ROUNDS = 100_000, 7


def svd_p_mpjpe(prediction: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    x, y = prediction - prediction.mean(1, keepdim=True), truth - truth.mean(1, keepdim=True)
    x_size, y_size = (v.square().sum((1, 2), keepdim=True).sqrt() for v in (x, y))
    U, S, Vt = torch.linalg.svd((y / y_size).transpose(1, 2) @ (x / x_size))
    sign = torch.linalg.det(U @ Vt).sign()
    U = torch.cat([U[:, :, :2], U[:, :, 2:] * sign[:, None, None]], 2)
    scale = (S[:, :2].sum(1) + S[:, 2] * sign)[:, None, None] * y_size / x_size
    return (scale * x @ (U @ Vt).transpose(1, 2) - y).norm(dim=-1).mean(-1)


@pytest.mark.benchmark
def test_p_mpjpe_speed(benchmark: BenchmarkFixture) -> None:
    generator = torch.Generator().manual_seed(0)
    truth = 300 * torch.randn(POSES, 17, 3, generator=generator)
    prediction = truth + 80 * torch.randn(POSES, 17, 3, generator=generator)
    assert torch.allclose(p_mpjpe(prediction, truth), svd_p_mpjpe(prediction, truth), atol=1e-2)
    seconds: dict[str, list[float]] = {"svd": [], "ours": []}
    for _ in range(ROUNDS):
        for name, function in (("svd", svd_p_mpjpe), ("ours", p_mpjpe)):
            start = time.perf_counter()
            function(prediction, truth)
            seconds[name].append(time.perf_counter() - start)
    benchmark.extra_info |= {f"{name}_poses_per_second": POSES / median(seconds[name]) for name in seconds}
    benchmark.extra_info["ratio"] = median(seconds["svd"]) / median(seconds["ours"])
    print(benchmark.extra_info)
    benchmark.pedantic(p_mpjpe, (prediction, truth), rounds=3, warmup_rounds=1)
