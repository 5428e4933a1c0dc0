"""A process that takes training steps of one variant of SemGCN, or of another architecture, and says how long each took.

`python -m tests.benchmarks.training_step_worker VARIANT` reads batch sizes from its input, one a line, and answers each
with the milliseconds of processor time of one training step. A process for each variant, because the setting of
`reuse_freed_memory` is of a whole process and what one variant allocates would change what another finds free.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from evolift.lifter.architecture import FORMS
from evolift.lifter.model import LifterModel
from evolift.lifter.networks import semgcn
from evolift.lifter.networks.skeleton_graph import adjacency
from evolift.lifter.settings import LifterSettings
from evolift.posedata.skeleton import H36M17
from evolift.training.memory_allocator import reuse_freed_memory
from tests.lifter.networks.straightforward_semgcn import Straight

OURS, TORCH_DROPOUT, RETURNED_MEMORY = "ours", "dropout of torch", "memory given back"
STRAIGHT = "straightforward layer"
OTHERS = tuple(architecture for architecture in FORMS if architecture != "semgcn")
VARIANTS = (OURS, TORCH_DROPOUT, RETURNED_MEMORY, STRAIGHT, *OTHERS)
DROPOUT = 0.1
"""The default of lifters; the straightforward layer has none."""


def network_of(variant: str) -> nn.Module:
    """The network, ours with one of its tricks taken out, or another architecture."""
    if variant in OTHERS:
        return LifterModel(LifterSettings(architecture=variant)).network
    neighbours = adjacency(H36M17)
    if variant == STRAIGHT:
        return Straight(neighbours)
    if variant == TORCH_DROPOUT:
        semgcn.dropout = F.dropout
    return semgcn.SemGCN(2, 3, neighbours, dropout=DROPOUT)


def training_step(network: nn.Module) -> Callable[[Tensor, Tensor], None]:
    """A step as training takes it: Adam and clipped gradients."""
    optimiser = torch.optim.Adam(network.parameters(), 1e-3, fused=True)

    def step(x: Tensor, y: Tensor) -> None:
        optimiser.zero_grad()
        F.mse_loss(network(x), y).backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()

    return step


def main() -> None:
    """Answer until the input ends."""
    variant = sys.argv[1]
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    if variant != RETURNED_MEMORY:
        reuse_freed_memory()
    step = training_step(network_of(variant))
    print("ready", flush=True)
    for line in sys.stdin:
        x, y = torch.randn(int(line), 17, 2), torch.randn(int(line), 17, 3)
        start = time.process_time()
        step(x, y)
        print(1e3 * (time.process_time() - start), flush=True)


if __name__ == "__main__":
    main()
