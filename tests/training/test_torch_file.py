"""Refusals of foreign pickles are our own words: torch's advise to run what the file holds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from evolift.detector2d.backbone import read_weights
from evolift.lifter.public_checkpoint import load_public_checkpoint
from evolift.posedata.errors import EvoliftError
from evolift.training.torch_file import read_torch_file


class Runs:
    def __reduce__(self) -> tuple[object, ...]:
        return os.getcwd, ()


@pytest.mark.filterwarnings("ignore:.*torch.jit.*")
@pytest.mark.parametrize("read", [read_torch_file, load_public_checkpoint, read_weights])
@pytest.mark.parametrize("kind", ["object", "script", "text", "empty", "cut"])
def test_no_advice_of_torch_is_passed_on(tmp_path: Path, read: object, kind: str) -> None:
    path = tmp_path / "a.pth"
    torch.save({"a": Runs()} if kind == "object" else {"a": torch.zeros(100)}, path)
    if kind == "script":
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), str(path))  # type: ignore[no-untyped-call]
    elif kind != "object":
        data = path.read_bytes()
        path.write_bytes({"text": b"weights", "empty": b"", "cut": data[: len(data) // 2]}[kind])
    with pytest.raises(EvoliftError) as caught:
        read(path)  # type: ignore[operator]
    assert str(path) in str(caught.value)
    for word in ("weights_only", "WeightsUnpickler", "pytorch", "\n"):
        assert word not in str(caught.value)
