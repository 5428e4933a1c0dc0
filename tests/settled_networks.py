"""Small networks that were never trained but answer as if: batch norms have seen something, heatmaps are decided."""

from __future__ import annotations

import torch
from torch import nn

from evolift.detector2d.model import DetectorModel
from evolift.detector2d.settings import DetectorSettings
from evolift.lifter.model import LifterModel
from evolift.lifter.settings import LifterSettings
from evolift.lifter.temporal.model import TemporalLifter
from evolift.lifter.temporal.settings import TemporalSettings


def settled_detector(**settings: object) -> DetectorModel:
    """A detector on a small backbone, of 64 x 64 crops unless told otherwise."""
    torch.manual_seed(0)
    values: dict[str, object] = {"backbone": "resnet10t", "head": "light", "head_widths": (16,)}
    values |= {"input_width": 64, "input_height": 64, **settings}
    model = DetectorModel(DetectorSettings(**values))  # type: ignore[arg-type]
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # statistics are those of all that was seen
    model.train()
    with torch.no_grad():
        width, height = model.settings.size
        model(torch.randn(8, 3, height, width))
        last = [module for module in model.head.modules() if isinstance(module, nn.Conv2d | nn.Linear)][-1]
        # Heatmaps that are decided; or joints as parts of the crop, which heatmaps keep within it and nothing else does.
        nn.init.normal_(last.weight, std=0.3 if isinstance(last, nn.Conv2d) else 0.05 / last.in_features**0.5)
    return model.eval()


def settled_lifter(**settings: object) -> LifterModel:
    """A SemGCN of 16 channels and one block."""
    torch.manual_seed(0)
    small: dict[str, object] = {"architecture": "semgcn", "hidden": 16, "blocks": 1}
    model = LifterModel(LifterSettings(**(small | settings)))  # type: ignore[arg-type]
    _settle(model)
    return model.eval()


def settled_temporal_lifter(**settings: object) -> TemporalLifter:
    """A temporal lifter of 9 frames, 8 channels and one block."""
    torch.manual_seed(0)
    small: dict[str, object] = {"hidden": 8, "blocks": 1, "frames": 9, "normalisation": "box"}
    model = TemporalLifter(TemporalSettings(**(small | settings)))  # type: ignore[arg-type]
    _settle(model)
    return model.eval()


def _settle(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.2)
            module.running_mean = torch.randn_like(module.weight) * 0.1
            module.running_var = torch.rand_like(module.weight) + 0.5
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("modulation", "adjacency")):  # which begin as ones, zeros or the identity
                parameter.add_(torch.randn_like(parameter) * 0.2)
