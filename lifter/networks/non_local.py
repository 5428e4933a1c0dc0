"""Non-local block: every joint attends to groups of joints (Wang et al. 2018, concatenation form; Zhao et al. 2019)."""

from __future__ import annotations

import copy

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_linear_bn_eval

from evolift.lifter.networks.joint_groups import Groups, padded_groups


class NonLocalBlock(nn.Module):
    r"""Residual attention from joints to pooled groups of joints.

    .. math:: z_i = x_i + \mathrm{BN}\Big(W \frac{1}{G} \sum_g
              \mathrm{ReLU}(w_\theta \cdot \theta(x_i) + w_\phi \cdot \hat\phi_g)\, \hat g_g\Big)

    where :math:`\hat\phi_g, \hat g_g` are channel-wise maxima over the joints of group g of the linear maps
    :math:`\phi(x), g(x)`. The block begins as the identity: its batch norm starts with scale and shift 0.

    Args:
        channels: of x; the maps have half as many.
        groups: see `joint_groups`.

    Shapes:
        input and output (batch, joints, channels).
    """

    group_joints: Tensor

    def __init__(self, channels: int, groups: Groups) -> None:
        super().__init__()
        inner = max(channels // 2, 1)
        self.g = nn.Linear(channels, inner)
        self.theta = nn.Linear(channels, inner)
        self.phi = nn.Linear(channels, inner)
        self.score = nn.Linear(2 * inner, 1, bias=False)
        self.out = nn.Linear(inner, channels)
        norm = nn.BatchNorm1d(channels)
        self.norm: nn.Module = norm
        self.register_buffer("group_joints", torch.tensor(padded_groups(groups)), persistent=False)
        for linear in (self.g, self.theta, self.phi, self.score, self.out):
            nn.init.kaiming_normal_(linear.weight)
            if linear.bias is not None:
                nn.init.zeros_(linear.bias)
        nn.init.zeros_(norm.weight)
        nn.init.zeros_(norm.bias)

    def forward(
        self, features: Float[Tensor, "batch joints channels"]
    ) -> Float[Tensor, "batch joints channels"]:
        """The output z of the class's equation."""
        attention = self._attention(features)
        values = self._pooled(self.g(features))
        mixed = torch.bmm(attention, values)
        out = self.norm(self.out(mixed).flatten(0, 1)).view_as(features)
        z: Tensor = features + out
        return z

    def folded(self) -> NonLocalBlock:
        """A copy for inference, its batch norm part of W (see `Network.folded`)."""
        result = copy.deepcopy(self).eval().requires_grad_(False)
        assert isinstance(result.norm, nn.BatchNorm1d)
        result.out = fuse_linear_bn_eval(result.out, result.norm)
        result.norm = nn.Identity()
        return result

    def _attention(
        self, features: Float[Tensor, "batch joints channels"]
    ) -> Float[Tensor, "batch joints groups"]:
        """What each joint takes from each group: ReLU(...) / G of the class's equation."""
        of_theta, of_phi = self.score.weight.chunk(2, -1)
        # theta is only seen through one number per joint, so its map and that number are one product.
        query = F.linear(features, of_theta @ self.theta.weight, of_theta @ self.theta.bias)
        key = F.linear(self._pooled(self.phi(features)), of_phi)
        return F.relu(query + key.mT) / len(self.group_joints)

    def _pooled(self, features: Float[Tensor, "batch joints inner"]) -> Float[Tensor, "batch groups inner"]:
        """The largest value of each group's joints."""
        if self.group_joints.shape[1] == 1:
            return features[:, self.group_joints[:, 0]]
        return features[:, self.group_joints].amax(2)
