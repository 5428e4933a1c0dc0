from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

# No BatchNorm anywhere, so that the gradient does not depend on how a batch is divided.
SMALL = [
    *("--backbone", "test_convnext", "--head", "regression", "--input-width", "64", "--input-height", "64"),
    *("--batch-size", "3", "--no-augment", "--schedule", "constant", "--validate-every", "2"),
    *("--steps", "4", "--accelerator", "cpu", "--no-check-images"),
]


def train(store: Path, folder: Path, *more: str) -> dict[str, torch.Tensor]:
    command = [sys.executable, "-m", "evolift", "detector", "train", str(store), "--validation", str(store)]
    subprocess.run(
        [*command, "-o", str(folder), *SMALL, *more], check=True, capture_output=True, text=True, timeout=280
    )
    return load_file(folder / "last.safetensors")


@pytest.mark.slow
def test_two_processes_learn_as_one_with_twice_the_batches(image_store: Path, tmp_path: Path) -> None:
    two = train(image_store, tmp_path / "two", "--devices", "2")
    one = train(image_store, tmp_path / "one", "--devices", "1", "--accumulate", "2")
    half = train(image_store, tmp_path / "half", "--devices", "1")
    away = max(float((two[name] - one[name]).abs().max()) for name in one)
    apart = max(float((two[name] - half[name]).abs().max()) for name in one)
    assert away < 1e-4
    assert apart > 1e-3
    assert (tmp_path / "two" / "history.csv").read_text().count("\n") == 3


@pytest.mark.slow
def test_weights_that_no_joint_depends_on_do_not_stop_two_processes(
    image_store: Path, tmp_path: Path
) -> None:
    """HRNet's finer branches end in maps that the deconvolutions do not take."""
    unlike = ("--backbone", "hrnet_w18_small", "--head", "deconvolution", "--head-width", "8")
    two = train(image_store, tmp_path / "two", "--devices", "2", *unlike)
    assert all(bool(value.isfinite().all()) for value in two.values())
