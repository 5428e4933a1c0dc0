"""ONNX person detectors for tests: one says always the same, one looks for a red patch."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn


class Fixed(nn.Module):
    """Gives the same outputs for any image."""

    def __init__(self, *outputs: Tensor) -> None:
        super().__init__()
        for number, output in enumerate(outputs):
            self.register_buffer(f"output_{number}", output)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        nothing = 0 * image.mean()
        return tuple((one + nothing).to(one.dtype) for one in self.buffers())


class RedPatch(nn.Module):
    """Finds the bounds of what is red (over 0.7, and blue under 0.3), in a layout; it has a score of 0.9."""

    def __init__(self, layout: str) -> None:
        super().__init__()
        self.layout = layout

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        red = ((image[..., 0, :, :] > 0.7) & (image[..., 2, :, :] < 0.3)).float()
        red = red.reshape(red.shape[-2], red.shape[-1])
        spans = []
        for line in (red.amax(0), red.amax(1)):
            spans += [line.argmax(), line.shape[0] - line.flip(0).argmax()]
        left, right, top, bottom = (one.float() for one in spans)
        score = 0.9 * red.amax((0, 1))
        if self.layout == "separate":
            return torch.stack([left, top, right, bottom])[None], score[None]
        one = torch.stack(
            [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top, score, 0 * score]
        )
        return (torch.cat([one[:, None], one[:, None] * torch.zeros(1, 7)], 1)[None],)


def write_onnx(
    path: Path, model: nn.Module, shape: tuple[int, ...] = (1, 3, 64, 96), *, is_dynamic: bool = False
) -> Path:
    """Export a model with torch.onnx, for images of one shape, or of any height and width."""
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    sizes = {len(shape) - 2: torch.export.Dim("height"), len(shape) - 1: torch.export.Dim("width")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's exporter
        torch.onnx.export(
            model.eval(),
            (torch.zeros(shape),),
            path,
            dynamo=True,
            verbose=False,
            dynamic_shapes=(sizes,) if is_dynamic else None,
        )
    return path


def separate_outputs(*people: tuple[float, ...], labels: list[int] | None = None) -> list[Tensor]:
    """Outputs of the first layout, of (left, top, right, bottom, score)."""
    table = torch.tensor(people)
    return [table[:, :4], table[:, 4]] + ([] if labels is None else [torch.tensor(labels)])


def yolo_output(*people: tuple[float, ...], classes: int = 2, places: int = 20) -> Tensor:
    """The output of the second layout, of (centre u, centre v, width, height, score of each class ...)."""
    table = torch.zeros(1, 4 + classes, places)
    table[0, :, : len(people)] = torch.tensor(people).reshape(-1, 4 + classes).T
    return table
