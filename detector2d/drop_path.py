"""Residual blocks that are passed over at random in training, which keeps networks on few photographs from learning them by heart."""

from __future__ import annotations

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from evolift.posedata.errors import InputError


def dropped(branch: Float[Tensor, "batch *shape"], probability: float) -> Float[Tensor, "batch *shape"]:
    """What a block adds to its input, 0 for some of the batch and so much larger for the others that its mean stays (Huang et al. 2016)."""
    return branch * F.dropout(branch.new_ones((len(branch),) + (1,) * (branch.ndim - 1)), probability)


class DropPath(nn.Module):
    """`dropped` in training, as blocks of timm's call it.

    Args:
        probability: of dropping what a block adds.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, branch: Float[Tensor, "batch *shape"]) -> Float[Tensor, "batch *shape"]:
        """What the block adds."""
        return dropped(branch, self.probability) if self.training and self.probability else branch


def drop_paths(backbone: nn.Module, probability: float) -> None:
    """Have the blocks of a backbone passed over, the first never and later ones with evenly growing probability.

    Args:
        backbone: whose blocks have a `drop_path`, as those of EfficientNet-Lite and most of timm's have; changed.
        probability: of the last block; 0 ends it.

    Raises:
        InputError: it has no such blocks.
    """
    blocks: list[Any] = [block for block in backbone.modules() if hasattr(block, "drop_path")]
    if probability and not blocks:
        raise InputError("the backbone has no blocks that are known to be residual: leave `drop_path` at 0")
    for number, block in enumerate(blocks):
        share = probability * number / max(len(blocks) - 1, 1)
        if isinstance(block.drop_path, float):
            block.drop_path = share
        elif probability or isinstance(block.drop_path, DropPath):
            block.drop_path = DropPath(share)
