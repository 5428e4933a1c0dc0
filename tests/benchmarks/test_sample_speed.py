"""Augmented and occluded crops per second and core: ours, and separate resize, rotate, flip, colour and paste calls.

Processor seconds of one thread, so that other work on the machine disturbs little; both in turn within one run.
"""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median

import cv2
import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from evolift.detector2d.augmentation import draw_augmentation
from evolift.detector2d.image_source import ImageSource
from evolift.detector2d.occlusion import Occluder, occlude, synthetic_occluders
from evolift.detector2d.samples import CropSettings, make_sample
from evolift.detector2d.settings import AugmentationSettings, OcclusionSettings
from evolift.posedata.skeleton import H36M17

SIDE, ROUNDS, IMAGES = 256, 5, 30
BOX = (250.0, 60.0, 420.0, 640.0)


def photograph(folder: Path) -> Path:
    """A 1280 x 960 JPEG of cloudy noise, 200 kB."""
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)
    cv2.imwrite(str(folder / "photograph.jpg"), cv2.resize(small, (1280, 960), interpolation=cv2.INTER_CUBIC))
    return folder / "photograph.jpg"


def plain_sequence(path: Path, occluders: tuple[Occluder, ...], rng: np.random.Generator) -> np.ndarray:
    image = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    draw = draw_augmentation(rng, AugmentationSettings())
    middle, side = (BOX[0] + BOX[2] / 2, BOX[1] + BOX[3] / 2), max(BOX[2:]) * 1.25 * draw.scale
    rotated = cv2.warpAffine(
        image, cv2.getRotationMatrix2D(middle, -np.degrees(draw.angle), 1.0), (image.shape[1], image.shape[0])
    )
    crop = cv2.getRectSubPix(rotated, (round(side), round(side)), middle)
    crop = cv2.resize(crop, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    if draw.flip:
        crop = np.ascontiguousarray(crop[:, ::-1])
    crop = np.clip(crop.astype(np.float32) * np.array(draw.gains, np.float32), 0, 255)
    for _ in range(rng.integers(1, 9)):
        occluder = occluders[rng.integers(len(occluders))]
        scale = rng.uniform(0.2, 1)
        size = [max(1, round(n * scale)) for n in occluder.transparency.shape[::-1]]
        colour = cv2.resize(occluder.colour, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        clear = cv2.resize(occluder.transparency, size, interpolation=cv2.INTER_AREA)[..., None] / np.float32(
            255
        )
        left, top = (rng.uniform(0, SIDE, 2) - np.array(size) / 2).round().astype(int)
        x0, y0, x1, y1 = max(0, left), max(0, top), min(SIDE, left + size[0]), min(SIDE, top + size[1])
        inside = np.s_[y0 - top : y1 - top, x0 - left : x1 - left]
        crop[y0:y1, x0:x1] = crop[y0:y1, x0:x1] * clear[inside] + colour[inside]
    return crop.astype(np.uint8)


def one_photograph(folder: Path) -> ImageSource:
    """A source of one photograph."""
    rng = np.random.default_rng(1)
    joints = (np.array(BOX[:2]) + rng.random((1, 17, 2)) * BOX[2:]).astype(np.float32)
    return ImageSource(
        "photographs",
        (photograph(folder),),
        np.zeros(1, np.int64),
        joints,
        np.full((1, 17), 2, np.uint8),
        np.zeros((1, 17, 3), np.float32),
        np.zeros((1, 17), bool),
        np.array([BOX], np.float32),
        np.full((1, 3, 3), np.nan, np.float32),
        np.zeros((1, 5), np.float32),
    )


@pytest.mark.benchmark
def test_sample_speed(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    source = one_photograph(tmp_path)
    occluders = synthetic_occluders()
    settings = CropSettings(
        (SIDE, SIDE),
        H36M17,
        augmentation=AugmentationSettings(),
        occlusion=OcclusionSettings(occlusion_probability=1.0),
        occluders=occluders,
    )
    rng = np.random.default_rng(0)
    ways = {
        "plain": lambda: plain_sequence(source.paths[0], occluders, rng),
        "ours": lambda: make_sample(source, 0, settings, rng),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    for _ in range(ROUNDS):
        for name, way in ways.items():
            start = time.process_time()
            for _ in range(IMAGES):
                way()
            times[name].append((time.process_time() - start) / IMAGES)
    benchmark.pedantic(ways["ours"], rounds=20, warmup_rounds=1)
    cv2.setNumThreads(threads)
    benchmark.extra_info |= {
        f"{name}_images_per_second": 1 / median(values) for name, values in times.items()
    }
    benchmark.extra_info["ratio"] = median(times["plain"]) / median(times["ours"])
    print(benchmark.extra_info)


@pytest.mark.benchmark
def test_occlusion_speed(benchmark: BenchmarkFixture) -> None:
    rng, occluders = np.random.default_rng(0), synthetic_occluders()
    image, visibility = np.zeros((SIDE, SIDE, 3), np.uint8), np.full(17, 2, np.uint8)
    joints = rng.uniform(0, SIDE, (17, 2))
    for one in occluders:
        assert one.levels  # made once per training
    start = time.process_time()
    for _ in range(1000):
        occlude(image, joints, visibility, occluders, rng, OcclusionSettings(occlusion_probability=1.0))
    benchmark.extra_info["images_per_second"] = 1000 / (time.process_time() - start)
    print(benchmark.extra_info)
    benchmark.pedantic(
        occlude,
        (image, joints, visibility, occluders, rng, OcclusionSettings(occlusion_probability=1.0)),
        rounds=100,
        warmup_rounds=1,
    )
