"""Modulated graph convolution over a fixed skeleton: SemGCN's successor at the same size (Zou and Tang 2021)."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from evolift.lifter.networks.graph_convolution import GraphConvolution


class ModulatedGraphConvolution(GraphConvolution):
    r"""The layer of Zou and Tang 2021: the weights are modulated joint by joint, and the graph may grow edges.

    .. math:: y_i = a_{ii}\, m_i \odot (x_i W_0) + \sum_{j \ne i} a_{ij}\, m_j \odot (x_j W_1) + b, \qquad
              a = \tfrac12\big(\tilde a + q + (\tilde a + q)^\top\big)

    The modulation m, a vector per joint, makes of the shared weights some of each joint's own at the price of a row. To the
    skeleton's adjacency :math:`\tilde a`, which is 1 for a joint itself and the inverse of the number of its bones for
    each neighbour, a learnt matrix q is added: any joint may learn to listen to any other.

    Args:
        in_channels, out_channels: channels of x and y.
        adjacency: which joints are neighbours, True on the diagonal.

    Shapes:
        input (batch, joints, in_channels), output (batch, joints, out_channels). Parameters: `weight` (2, in,
        out) for self and others, `modulation` (joints, out), `learnt_adjacency` (joints, joints), `bias` (out,).

    Raises:
        InputError: the adjacency is not square and symmetric, or its diagonal is not all True.
    """

    skeleton_adjacency: Tensor

    def learn_affinity(self, adjacency: Bool[Tensor, "joints joints"]) -> None:
        """Nothing but the skeleton, and weights that are every joint's."""
        joints, channels = len(adjacency), self.weight.shape[2]
        self.modulation = nn.Parameter(torch.ones(joints, channels))
        self.learnt_adjacency = nn.Parameter(torch.zeros(joints, joints))
        itself = torch.eye(joints)
        neighbours = adjacency.float() - itself
        shares = neighbours / neighbours.sum(1, keepdim=True).clamp(min=1) + itself
        self.register_buffer("skeleton_adjacency", shares, persistent=False)

    def affinity(self) -> Float[Tensor, "joints joints"]:
        """The mixing weights a; symmetric."""
        one_way = self.skeleton_adjacency + self.learnt_adjacency
        return (one_way + one_way.mT) / 2

    def factors(self) -> Float[Tensor, "twice out"]:
        """The modulation m, two equal rows per joint."""
        return self.modulation.repeat_interleave(2, 0)
