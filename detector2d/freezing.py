"""Which part of a detector learns. What is frozen keeps its weights and its BatchNorm statistics, bit for bit."""

from __future__ import annotations

from torch import nn

from evolift.detector2d.backbone import Backbone
from evolift.posedata.errors import InputError

CHOICES = ("none", "stem", "all-but-last-block", "all-but-head", "all")


def frozen_parts(backbone: Backbone, head: nn.Module, freeze: str) -> list[nn.Module]:
    """Modules that `freeze` names.

    Args:
        backbone, head: of the detector.
        freeze: "none"; "stem"; the name of a block, for the stem and all blocks up to and including it;
            "all-but-last-block" (the report's row U: the last block and the head learn); "all-but-head"; "all".

    Raises:
        InputError: there is no such part.
    """
    stages = list(backbone.stages)
    names = [name for name, _ in stages]
    if freeze == "all":
        return [backbone, head]
    if freeze == "all-but-head":
        return [backbone]
    if freeze == "all-but-last-block":
        return [module for _, module in stages[:-1]]
    if freeze == "none":
        return []
    if freeze == "stem" and not any(True for _ in stages[0][1].parameters()):
        raise InputError(
            f"this backbone has no stem apart from its blocks: freeze a block ({', '.join(names[1:])})"
        )
    if freeze not in names:
        raise InputError(
            f"nothing called {freeze!r} can be frozen: choose one of {', '.join(CHOICES)}, or a block ({', '.join(names[1:])})"
        )
    return [module for _, module in stages[: names.index(freeze) + 1]]
