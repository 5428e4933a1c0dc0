from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from evolift.lifter.model import parameter_count
from evolift.lifter.networks.chebyshev_graph_convolution import ChebyshevGraphConvolution
from evolift.lifter.networks.graformer import ChebyshevBlock, GraFormer, JointAttention, LearntGraph
from evolift.lifter.networks.skeleton_graph import adjacency
from evolift.posedata.errors import InputError
from evolift.posedata.skeleton import BODY25, H36M16, H36M17


def randomised(network: nn.Module, seed: int = 0) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator))
    return network.double()


def some(joints: int, channels: int, batch: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, joints, channels, dtype=torch.float64, generator=generator)


def layer_norm(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + norm.eps).sqrt() * norm.weight + norm.bias


def chebyshev(layer: ChebyshevGraphConvolution, x: Tensor, neighbours: Tensor) -> Tensor:
    """By the graph's Fourier transform: T_k(cos t) = cos(k t) for each of its frequencies."""
    degree = neighbours.sum(1).double()
    laplacian = -neighbours.double() / (degree[:, None] * degree).sqrt()
    values, vectors = torch.linalg.eigh(laplacian)
    angles = values.clamp(-1, 1).arccos()
    y = layer.bias.expand(*x.shape[:2], -1)
    for k, weight in enumerate(layer.weight):
        filtered = vectors @ torch.diag((k * angles).cos()) @ vectors.T @ x
        y = y + filtered @ weight
    return y


def attention(layer: JointAttention, x: Tensor) -> Tensor:
    """Person by person, head by head, joint by joint."""
    normed, (joints, channels) = layer_norm(layer.norm, x), x.shape[1:]
    query, key, value = (normed @ layer.query_key_value.weight.T + layer.query_key_value.bias).chunk(3, -1)
    width = channels // layer.heads
    mixed = torch.zeros_like(x)
    for person in range(len(x)):
        for head in range(layer.heads):
            own = slice(head * width, (head + 1) * width)
            for i in range(joints):
                scores = [
                    float(query[person, i, own] @ key[person, j, own]) / math.sqrt(width)
                    for j in range(joints)
                ]
                total = sum(math.exp(score) for score in scores)
                for j in range(joints):
                    mixed[person, i, own] += math.exp(scores[j]) / total * value[person, j, own]
    return x + mixed @ layer.out.weight.T + layer.out.bias


def learnt_graph(layer: LearntGraph, x: Tensor) -> Tensor:
    joints = len(layer.adjacency)
    mixing = torch.zeros(joints, joints, dtype=x.dtype)
    degree = [1e-5 + sum(abs(float(value)) for value in row) for row in layer.adjacency]
    for i in range(joints):
        for j in range(joints):
            mixing[i, j] = layer.adjacency[i, j] / math.sqrt(degree[i] * degree[j])
    wide = (mixing @ layer_norm(layer.norm, x)) @ layer.wide.weight.T + layer.wide.bias
    return x + (mixing @ wide.clamp(min=0)) @ layer.narrow.weight.T + layer.narrow.bias


@pytest.mark.parametrize("skeleton", [H36M17, H36M16, BODY25], ids=lambda s: s.name)
@torch.no_grad()
def test_the_network_is_its_equations(skeleton) -> None:
    neighbours = adjacency(skeleton)
    network = randomised(GraFormer(2, 3, neighbours, hidden=8, blocks=2)).eval()
    x = given = some(len(skeleton), 2)
    for layer in network.layers:
        if isinstance(layer, ChebyshevGraphConvolution):
            x = chebyshev(layer, x, neighbours)
        elif isinstance(layer, JointAttention):
            x = attention(layer, x)
        elif isinstance(layer, LearntGraph):
            x = learnt_graph(layer, x)
        else:
            inside = chebyshev(layer.first, x, neighbours).clamp(min=0)
            x = x + chebyshev(layer.second, inside, neighbours).clamp(min=0)
    assert [type(layer) for layer in network.layers[1:4]] == [JointAttention, LearntGraph, ChebyshevBlock]
    # The polynomials are kept in single precision.
    torch.testing.assert_close(network(given), x, rtol=1e-5, atol=1e-5)


def test_gradients_are_those_of_finite_differences() -> None:
    network = randomised(GraFormer(2, 1, adjacency(H36M16), hidden=4, blocks=1, heads=2)).eval()
    x = some(16, 2, batch=1).requires_grad_()
    names = [name for name, _ in network.named_parameters()]

    def run(x: Tensor, *values: Tensor) -> Tensor:
        return torch.func.functional_call(network, dict(zip(names, values, strict=True)), (x,))

    parameters = [parameter.detach().requires_grad_() for parameter in network.parameters()]
    assert torch.autograd.gradcheck(run, (x, *parameters), fast_mode=True)


def test_sixteen_joints_have_the_published_number_of_parameters() -> None:
    assert parameter_count(GraFormer(2, 3, adjacency(H36M16))) == 654_179  # 0.65 M


def test_a_learnt_graph_of_any_sign_has_numbers_and_gradients() -> None:
    layer = LearntGraph(5, 4, 0.0)
    with torch.no_grad():
        layer.adjacency.copy_(-torch.eye(5))
        layer.adjacency[0] = 0
    layer(torch.randn(2, 5, 4)).square().sum().backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in layer.parameters())


def test_every_joint_sees_every_other_one() -> None:
    network = randomised(GraFormer(2, 3, adjacency(H36M17), hidden=8, blocks=1)).eval()
    x = some(17, 2, batch=1).requires_grad_()
    for joint in range(17):
        (gradient,) = torch.autograd.grad(network(x)[0, joint].sum(), x)
        assert bool((gradient != 0).any(-1).all())


def test_an_order_of_the_joints_only_permutes_the_learnt_graphs() -> None:
    order = torch.randperm(17, generator=torch.Generator().manual_seed(3))
    neighbours = adjacency(H36M17)
    network = randomised(GraFormer(2, 3, neighbours, hidden=8, blocks=2)).eval()
    other = GraFormer(2, 3, neighbours[order][:, order], hidden=8, blocks=2).double().eval()
    state = {
        name: value[order][:, order] if name.endswith("adjacency") else value
        for name, value in network.state_dict().items()
    }
    other.load_state_dict(state)
    x = some(17, 2)
    torch.testing.assert_close(other(x[:, order]), network(x)[:, order], rtol=1e-5, atol=1e-5)


def test_dropout_is_active_in_training_only() -> None:
    network = GraFormer(2, 3, adjacency(H36M16), hidden=8, blocks=1, dropout=0.5)
    x = torch.randn(8, 16, 2)
    assert not torch.equal(network(x), network(x))
    network.eval()
    assert torch.equal(network(x), network(x))


def test_an_adjacency_that_is_no_skeleton_is_refused() -> None:
    with pytest.raises(InputError, match="must hold every joint itself"):
        ChebyshevGraphConvolution(2, 2, adjacency(H36M17) ^ torch.eye(17, dtype=torch.bool))
