"""The networks that can be inside a lifter: their names, and what settings must know of them. Importing this loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Architecture = Literal["semgcn", "semgcn-graph", "modulated-gcn", "graformer", "martinez", "cascade"]


@dataclass(frozen=True)
class Form:
    """What a network is unless it is told otherwise, and what it can be.

    Args:
        hidden, blocks, dropout, stages: where settings leave them out.
        block_weights: of a block, in squares of `hidden`.
        heads: of its attention; `hidden` must be a multiple.
        non_local: whether it can have non-local blocks.
    """

    hidden: int
    blocks: int
    dropout: float
    stages: int = 1
    block_weights: int = 4
    heads: int = 1
    non_local: bool = False


FORMS: dict[Architecture, Form] = {
    "semgcn": Form(128, 4, 0.1, non_local=True),
    "semgcn-graph": Form(128, 4, 0.1, non_local=True),
    "modulated-gcn": Form(128, 4, 0.1, non_local=True),
    "graformer": Form(96, 5, 0.1, block_weights=14, heads=4),
    "martinez": Form(1024, 2, 0.5),
    "cascade": Form(1024, 2, 0.5, stages=2),
}
"""Published sizes. Of the dropout only that of the perceptrons is published: SemGCN and Modulated GCN had none, of which a tenth
takes a fifth off SemGCN's error on another person (docs/results.md), and GraFormer 0.25."""
