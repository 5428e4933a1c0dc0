"""The fused training path and the folded inference path against the operations one by one."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from evolift.lifter.networks.fused_graph_layer import POSES_AT_ONCE, fused_graph_layer
from evolift.lifter.networks.joint_groups import groups_by_name
from evolift.lifter.networks.semantic_graph_convolution import SemanticGraphConvolution, affinities, mixings
from evolift.lifter.networks.semgcn import SemGCN
from evolift.lifter.networks.skeleton_graph import adjacency
from evolift.posedata.skeleton import H36M16, H36M17
from tests.lifter.networks.straightforward_semgcn import Straight, copy_weights


def layer_and_norm(inside: int, outside: int) -> tuple[SemanticGraphConvolution, nn.BatchNorm1d]:
    torch.manual_seed(0)
    layer = SemanticGraphConvolution(inside, outside, adjacency(H36M17)).double()
    norm = nn.BatchNorm1d(outside).double()
    with torch.no_grad():
        for parameter in (*layer.parameters(), *norm.parameters()):
            parameter.normal_()
    return layer, norm


def one_by_one(x: torch.Tensor, layer: SemanticGraphConvolution, norm: nn.BatchNorm1d) -> torch.Tensor:
    a, identity = layer.affinity(), torch.eye(17, dtype=x.dtype)
    own, others = (a * identity) @ (x @ layer.weight[0]), (a * (1 - identity)) @ (x @ layer.weight[1])
    y = own + others + layer.bias
    return F.relu(norm(y.transpose(1, 2)).transpose(1, 2))


@pytest.mark.parametrize(
    ("inside", "outside", "batch"), [(2, 6, 5), (6, 6, 5), (6, 3, 2 * POSES_AT_ONCE + 5)]
)
def test_fused_layer_gives_the_numbers_statistics_and_gradients_of_its_parts(inside, outside, batch) -> None:
    layer, norm = layer_and_norm(inside, outside)
    other = nn.BatchNorm1d(outside).double()
    other.load_state_dict(norm.state_dict())
    x = torch.randn(batch, 17, inside, dtype=torch.float64, requires_grad=True)
    wanted = one_by_one(x, layer, other)
    got = fused_graph_layer(x, mixings([layer])[0], layer.weight, layer.bias, norm)
    torch.testing.assert_close(got, wanted)
    assert norm.num_batches_tracked == other.num_batches_tracked == 1
    torch.testing.assert_close(norm.running_mean, other.running_mean)
    torch.testing.assert_close(norm.running_var, other.running_var)
    upstream = torch.randn_like(got)
    inputs = [x, *layer.parameters()]
    a = torch.autograd.grad(wanted, [*inputs, *other.parameters()], upstream)
    b = torch.autograd.grad(got, [*inputs, *norm.parameters()], upstream)
    for one, two in zip(a, b, strict=True):
        torch.testing.assert_close(one, two, atol=1e-9, rtol=1e-7)


def test_fused_layer_by_finite_differences() -> None:
    layer, norm = layer_and_norm(3, 4)
    x = torch.randn(2, 17, 3, dtype=torch.float64, requires_grad=True)
    a = mixings([layer])[0].detach().requires_grad_()
    values = [p.detach().requires_grad_() for p in (layer.weight, layer.bias)]
    assert torch.autograd.gradcheck(lambda x, a, w, b: fused_graph_layer(x, a, w, b, norm), (x, a, *values))


def network(groups=None, dropout: float = 0.0) -> SemGCN:
    torch.manual_seed(1)
    net = SemGCN(2, 3, adjacency(H36M16), hidden=12, blocks=2, groups=groups, dropout=dropout)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    net(torch.randn(50, 16, 2))  # moves the running statistics
    return net


@pytest.mark.parametrize("groups", [None, groups_by_name("pairs", H36M16)], ids=["plain", "non-local"])
@pytest.mark.parametrize("batch", [1, 3, 300])
def test_folded_inference_gives_the_numbers_of_evaluation(groups, batch) -> None:
    net = network(groups).eval()
    x = torch.randn(batch, 16, 2)
    wanted = net(x).detach()  # with gradients: the operations one by one
    with torch.no_grad():
        torch.testing.assert_close(net(x), wanted, atol=1e-4, rtol=1e-4)
    with torch.inference_mode():
        torch.testing.assert_close(net(x), wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("frozen", [False, True])
def test_folded_weights_follow_every_change_of_the_network(frozen) -> None:
    net = network().eval().requires_grad_(not frozen)
    x = torch.randn(4, 16, 2)
    optimiser = torch.optim.Adam(net.parameters(), 0.05, fused=True)

    def change_by_optimiser() -> None:
        net.requires_grad_()
        net(x).square().sum().backward()
        optimiser.step()  # a fused optimiser does not move the version counters of what it changes
        net.requires_grad_(not frozen)

    def change_by_loading() -> None:
        net.load_state_dict({name: value * 0.9 for name, value in net.state_dict().items()})

    def change_statistics() -> None:
        net.train()
        net(x * 3)
        net.eval()

    def change_by_replacing() -> None:
        net.head.bias = nn.Parameter(torch.ones(3))

    with torch.no_grad():
        before = net(x)
    for change in (change_by_optimiser, change_by_loading, change_statistics, change_by_replacing):
        change()
        wanted = net(x).detach()
        with torch.no_grad():
            torch.testing.assert_close(net(x), wanted, atol=1e-4, rtol=1e-4)
        assert not torch.allclose(wanted, before, atol=1e-3)
        before = wanted


def test_folded_weights_of_a_frozen_network_are_kept() -> None:
    net = network().eval().requires_grad_(False)
    with torch.no_grad():
        assert net._folds() is net._folds()
        net.requires_grad_()
        assert net._folds() is not net._folds()


def test_affinities_of_many_layers_are_those_of_each() -> None:
    net = network()
    together = affinities(net.convolutions())
    for layer, affinity in zip(net.convolutions(), together, strict=True):
        torch.testing.assert_close(affinity, layer.affinity())


def test_mixed_precision_takes_the_operations_one_by_one() -> None:
    net = network()
    x = torch.randn(8, 16, 2)
    with torch.autocast("cpu", torch.bfloat16):
        out = net(x)
        out.square().sum().backward()
    assert all(bool(p.grad.isfinite().all()) for p in net.parameters() if p.grad is not None)


def test_dropout_is_active_in_training_only() -> None:
    net = network(dropout=0.5)
    x = torch.randn(8, 16, 2)
    assert not torch.equal(net(x), net(x))
    net.eval()
    assert torch.equal(net(x), net(x))


def test_training_by_the_fast_paths_is_training_of_the_plain_network() -> None:
    torch.manual_seed(0)
    fast = SemGCN(2, 3, adjacency(H36M17), hidden=12, blocks=2).double()
    plain = Straight(adjacency(H36M17), hidden=12, blocks=2).double()
    copy_weights(fast, plain)
    x, y = torch.randn(40, 8, 17, 2).double(), torch.randn(40, 8, 17, 3).double()

    def learnt(network: nn.Module) -> tuple[list[float], torch.Tensor]:
        optimiser = torch.optim.Adam(network.parameters(), 1e-2)
        losses = []
        for inputs, targets in zip(x, y, strict=True):
            optimiser.zero_grad()
            loss = F.mse_loss(network(inputs), targets)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            losses.append(loss.item())
        network.eval()
        with torch.no_grad():
            return losses, network(x[0])

    (fast_losses, fast_answer), (plain_losses, plain_answer) = learnt(fast), learnt(plain)
    assert fast_losses == pytest.approx(plain_losses, rel=1e-6)
    assert fast_losses[-1] < 0.9 * fast_losses[0]
    torch.testing.assert_close(fast_answer, plain_answer, rtol=1e-5, atol=1e-5)
