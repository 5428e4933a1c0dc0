"""The detector around its convolutions, and its crops beside its training step.

All in turn within one run.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import median
from types import MethodType

import numpy as np
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import nn

from evolift.detector2d.depthwise import _in_float32, speed_up_depthwise
from evolift.detector2d.folded_detector import folded
from evolift.detector2d.model import DetectorModel
from evolift.detector2d.occlusion import synthetic_occluders
from evolift.detector2d.onnx_heatmaps import use_onnxruntime
from evolift.detector2d.samples import CropSettings, make_sample
from evolift.detector2d.settings import AugmentationSettings, DetectorSettings, OcclusionSettings
from evolift.posedata.skeleton import H36M17
from tests.benchmarks.interleaved_timing import time_interleaved, training_threads
from tests.benchmarks.test_sample_speed import one_photograph

ROUNDS = 5


def convolution_inputs(model: DetectorModel, images: torch.Tensor) -> list[tuple[nn.Module, torch.Tensor]]:
    """Every convolution and deconvolution with what it is given, in order."""
    seen: list[tuple[nn.Module, torch.Tensor]] = []
    hooks = [
        module.register_forward_pre_hook(lambda module, inputs: seen.append((module, inputs[0].clone())))
        for module in model.modules()
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d)
    ]
    model(images)
    for hook in hooks:
        hook.remove()
    return seen


@pytest.mark.benchmark
@torch.no_grad()
def test_forward_beside_its_convolutions(benchmark: BenchmarkFixture) -> None:
    """Volumetric ResNet50 at 256 x 256: the whole forward pass, as used for prediction, and its convolutions."""
    model = (
        DetectorModel(DetectorSettings(backbone="resnet50", depth_bins=64))
        .eval()
        .to(memory_format=torch.channels_last)
    )
    images = torch.randn(4, 3, 256, 256).contiguous(memory_format=torch.channels_last)
    calls = convolution_inputs(model, images)

    def convolutions() -> None:
        for module, inputs in calls:
            module(inputs)

    fast = folded(model)
    ways = {"whole": lambda: model(images), "folded": lambda: fast(images), "convolutions": convolutions}
    with training_threads():
        times = time_interleaved(benchmark, ROUNDS, ways)
    for name in ("whole", "folded"):
        benchmark.extra_info[f"{name} / convolutions"] = median(times[name]) / median(times["convolutions"])
    print(benchmark.extra_info)


@pytest.mark.benchmark
def test_crops_beside_the_training_step(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """A batch of 8 augmented and occluded crops, and a step of the smallest recommended detector on it, one thread each."""
    batch, side = 8, 128
    settings = DetectorSettings(
        backbone="tf_efficientnet_lite0",
        head="light",
        head_widths=(128,),
        input_width=side,
        input_height=side,
    )
    model = DetectorModel(settings).to(memory_format=torch.channels_last)
    images = torch.randn(batch, 3, side, side).contiguous(memory_format=torch.channels_last)
    crops = CropSettings(
        (side, side),
        H36M17,
        augmentation=AugmentationSettings(),
        occlusion=OcclusionSettings(occlusion_probability=1.0),
        occluders=synthetic_occluders(),
    )
    source, generator = one_photograph(tmp_path), np.random.default_rng(0)

    def make_batch() -> None:
        for _ in range(batch):
            make_sample(source, 0, crops, generator)

    def step() -> None:
        model(images).joints.square().sum().backward()

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    times = time_interleaved(benchmark, ROUNDS, {"crops": make_batch, "step": step})
    torch.set_num_threads(threads)
    benchmark.extra_info["crops / step"] = median(times["crops"]) / median(times["step"])
    print(benchmark.extra_info)


@pytest.mark.benchmark
def test_depthwise_convolutions_under_bf16(benchmark: BenchmarkFixture) -> None:
    """A training step of the shipped detector's network: float32, torch's bfloat16, depthwise in float32 as before, and as it is trained."""
    settings = DetectorSettings(
        backbone="tf_efficientnet_lite2", head="light", head_widths=(128,), input_width=160, input_height=160
    )
    images = torch.randn(16, 3, 160, 160).contiguous(memory_format=torch.channels_last)

    def step_of(model: DetectorModel, precision: torch.dtype | None) -> Callable[[], None]:
        model.to(memory_format=torch.channels_last).freeze("blocks.1")
        model.train()

        def step() -> None:
            with torch.autocast("cpu", torch.bfloat16, enabled=precision is not None):
                loss = model(images).joints.abs().sum()
            loss.backward()
            model.zero_grad()

        return step

    mixed, before = DetectorModel(settings), DetectorModel(settings)
    for model in (mixed, before):
        speed_up_depthwise(model)
    for module in before.modules():
        if "forward" in vars(module):
            module.forward = MethodType(_in_float32, module)  # type: ignore[method-assign]
    ways = {
        "float32": step_of(DetectorModel(settings), None),
        "bfloat16": step_of(DetectorModel(settings), torch.bfloat16),
        "depthwise in float32": step_of(before, torch.bfloat16),
        "mixed": step_of(mixed, torch.bfloat16),
    }
    with training_threads():
        times = time_interleaved(benchmark, ROUNDS, ways)
    for name in ("float32", "bfloat16", "depthwise in float32"):
        benchmark.extra_info[f"{name} / mixed"] = median(times[name]) / median(times["mixed"])
    print(benchmark.extra_info)


@pytest.mark.benchmark
@pytest.mark.parametrize("crops", [1, 6])
def test_heatmaps_by_onnxruntime(benchmark: BenchmarkFixture, crops: int) -> None:
    """The shipped detector's network as a search runs it, by torch and by onnxruntime; two threads unless OMP_NUM_THREADS says otherwise."""
    settings = DetectorSettings(
        backbone="tf_efficientnet_lite2", head="light", head_widths=(128,), input_width=160, input_height=160
    )
    images = torch.randn(crops, 3, 160, 160).contiguous(memory_format=torch.channels_last)
    model = DetectorModel(settings).eval()
    with training_threads(), torch.no_grad():
        by_torch, by_onnxruntime = folded(model), use_onnxruntime(folded(model))
        ways = {"torch": lambda: by_torch(images), "onnxruntime": lambda: by_onnxruntime(images)}
        times = time_interleaved(benchmark, 20, ways)
    benchmark.extra_info["torch / onnxruntime"] = median(times["torch"]) / median(times["onnxruntime"])
    print(benchmark.extra_info)
