from __future__ import annotations

import pytest
import torch
from torch import Tensor

from evolift.lifter.networks.graph_form import SemanticGraphMessagePassing
from evolift.lifter.networks.semantic_graph_convolution import SemanticGraphConvolution
from evolift.lifter.networks.skeleton_graph import adjacency
from evolift.posedata.errors import InputError
from evolift.posedata.skeleton import COCO18_PELVIS, H36M16, H36M17


def randomised(layer: SemanticGraphConvolution, seed: int = 0) -> SemanticGraphConvolution:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return layer


def by_definition(layer: SemanticGraphConvolution, x: Tensor, neighbours: Tensor) -> Tensor:
    """The equation, joint by joint and edge by edge."""
    logits, position = {}, 0
    for i in range(len(neighbours)):
        for j in range(len(neighbours)):
            if neighbours[i, j]:
                logits[i, j] = layer.edge_logits[position]
                position += 1
    y = torch.zeros(*x.shape[:2], layer.bias.numel(), dtype=x.dtype)
    for i in range(len(neighbours)):
        around = [j for j in range(len(neighbours)) if neighbours[i, j]]
        total = sum(torch.exp(logits[i, j]) for j in around)
        for j in around:
            weight = layer.weight[0 if i == j else 1]
            y[:, i] += torch.exp(logits[i, j]) / total * (x[:, j] @ weight)
        y[:, i] += layer.bias
    return y


@pytest.mark.parametrize("skeleton", [H36M17, H36M16, COCO18_PELVIS], ids=lambda s: s.name)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dense_layer_is_the_published_equation(skeleton, dtype) -> None:
    neighbours = adjacency(skeleton)
    layer = randomised(SemanticGraphConvolution(3, 5, neighbours)).to(dtype)
    x = torch.randn(4, len(skeleton), 3, dtype=dtype, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(layer(x), by_definition(layer, x, neighbours))


def test_gradients_are_those_of_finite_differences() -> None:
    layer = randomised(SemanticGraphConvolution(2, 3, adjacency(H36M16))).double()
    x = torch.randn(2, 16, 2, dtype=torch.float64, requires_grad=True)
    names = [name for name, _ in layer.named_parameters()]

    def run(x: Tensor, *values: Tensor) -> Tensor:
        return torch.func.functional_call(layer, dict(zip(names, values, strict=True)), (x,))

    assert torch.autograd.gradcheck(run, (x, *(p.detach().requires_grad_() for p in layer.parameters())))


@pytest.mark.parametrize("skeleton", [H36M17, COCO18_PELVIS], ids=lambda s: s.name)
def test_messages_give_the_same_numbers_and_gradients(skeleton) -> None:
    dense = randomised(SemanticGraphConvolution(3, 4, adjacency(skeleton))).double()
    messages = SemanticGraphMessagePassing(3, 4, adjacency(skeleton)).double()
    messages.load_state_dict(dense.state_dict())
    x = torch.randn(5, len(skeleton), 3, dtype=torch.float64)
    wanted, got = dense(x), messages(x)
    torch.testing.assert_close(got, wanted)
    upstream = torch.randn_like(wanted)
    a = torch.autograd.grad(wanted, list(dense.parameters()), upstream)
    b = torch.autograd.grad(got, list(messages.parameters()), upstream)
    for one, two in zip(a, b, strict=True):
        torch.testing.assert_close(two, one)


@pytest.mark.parametrize("form", [SemanticGraphConvolution, SemanticGraphMessagePassing])
def test_an_order_of_the_joints_only_permutes_the_edges(form) -> None:
    order = torch.randperm(17, generator=torch.Generator().manual_seed(3))
    neighbours = adjacency(H36M17)
    layer, other = form(3, 4, neighbours), form(3, 4, neighbours[order][:, order])
    randomised(layer)
    logits = torch.full(neighbours.shape, torch.nan)
    logits[neighbours] = layer.edge_logits.detach()
    other.load_state_dict({**layer.state_dict(), "edge_logits": logits[order][:, order][other.adjacency]})
    x = torch.randn(2, 17, 3)
    torch.testing.assert_close(other(x[:, order]), layer(x)[:, order])


def test_each_joint_weighs_itself_and_its_neighbours_by_shares_that_sum_to_one() -> None:
    layer = randomised(SemanticGraphConvolution(2, 2, adjacency(H36M17)))
    affinity = layer.affinity()
    torch.testing.assert_close(affinity.sum(-1), torch.ones(17))
    assert torch.equal(affinity > 0, adjacency(H36M17))


def test_a_new_layer_starts_as_published() -> None:
    torch.manual_seed(0)
    layer = SemanticGraphConvolution(128, 128, adjacency(H36M16))
    assert [tuple(p.shape) for p in layer.parameters()] == [(2, 128, 128), (46,), (128,)]
    assert bool((layer.edge_logits == 1).all())
    limit = 1.414 * (6 / (128 * 128 + 2 * 128)) ** 0.5
    assert 0.98 * limit < float(layer.weight.detach().abs().max()) <= limit
    assert float(layer.bias.detach().abs().max()) <= 128**-0.5


def test_an_adjacency_that_is_no_skeleton_is_refused() -> None:
    lopsided = adjacency(H36M17)
    lopsided[0, 16] = True
    with pytest.raises(InputError, match="must be square and symmetric"):
        SemanticGraphConvolution(2, 2, lopsided)
    with pytest.raises(InputError, match="must hold every joint itself"):
        SemanticGraphConvolution(2, 2, adjacency(H36M17) ^ torch.eye(17, dtype=torch.bool))
