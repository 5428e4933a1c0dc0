"""BatchNorm in networks that were trained before."""

from __future__ import annotations

from torch import nn


def settled_batch_norms(network: nn.Module) -> list[nn.Module]:
    """BatchNorm layers in evaluation mode, as those of loaded networks are: to stay in it, they must be put there again.

    Weights and statistics of a trained network fit each other. In a short training on other images the statistics move at once and the
    weights hardly, which costs more than such a training gains (docs/results.md, "The chain").
    """
    return [
        layer
        for layer in network.modules()
        if isinstance(layer, nn.modules.batchnorm._BatchNorm) and not layer.training
    ]
