from __future__ import annotations

import pytest
import torch
from torch import Tensor

from evolift.lifter.networks.graph_form import SemanticGraphMessagePassing
from evolift.lifter.networks.semantic_graph_convolution import SemanticGraphConvolution
from evolift.lifter.networks.skeleton_graph import adjacency, edge_index
from evolift.posedata.errors import InputError
from evolift.posedata.skeleton import COCO18_PELVIS, H36M16, H36M17, Skeleton


def randomised(layer: SemanticGraphConvolution, seed: int = 0) -> SemanticGraphConvolution:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return layer


def side_by_side(*skeletons: Skeleton) -> Tensor:
    """Edges of several bodies, nodes numbered body after body."""
    edges, first = [], 0
    for skeleton in skeletons:
        edges.append(edge_index(adjacency(skeleton)) + first)
        first += len(skeleton)
    return torch.cat(edges, 1)


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


def test_message_passing_gives_the_same_numbers_and_gradients() -> None:
    layer = randomised(SemanticGraphConvolution(3, 4, adjacency(H36M17))).double()
    graph = SemanticGraphMessagePassing(layer)
    x = torch.randn(5, 17, 3, dtype=torch.float64)
    index, logits = side_by_side(*[H36M17] * 5), layer.edge_logits.repeat(5)
    dense, sparse = layer(x), graph(x.flatten(0, 1), index, logits).view(5, 17, 4)
    torch.testing.assert_close(dense, sparse)
    loss_gradient = torch.randn_like(dense)
    wanted = torch.autograd.grad(dense, list(layer.parameters()), loss_gradient)
    got = torch.autograd.grad(sparse, list(layer.parameters()), loss_gradient)
    for a, b in zip(wanted, got, strict=True):
        torch.testing.assert_close(a, b)


def test_message_passing_mixes_skeletons_in_a_batch() -> None:
    shared = randomised(SemanticGraphConvolution(3, 4, adjacency(H36M17)))
    other = SemanticGraphConvolution(3, 4, adjacency(COCO18_PELVIS))
    with torch.no_grad():
        other.weight.copy_(shared.weight)
        other.bias.copy_(shared.bias)
        other.edge_logits.normal_()
    a, b = torch.randn(17, 3), torch.randn(19, 3)
    index = side_by_side(H36M17, COCO18_PELVIS)
    logits = torch.cat([shared.edge_logits, other.edge_logits])
    got = SemanticGraphMessagePassing(shared)(torch.cat([a, b]), index, logits)
    torch.testing.assert_close(got[:17], shared(a[None])[0])
    torch.testing.assert_close(got[17:], other(b[None])[0])


def test_message_passing_follows_a_renumbering_of_the_nodes() -> None:
    layer = randomised(SemanticGraphConvolution(3, 4, adjacency(H36M17)))
    graph = SemanticGraphMessagePassing(layer)
    x, index = torch.randn(17, 3), edge_index(adjacency(H36M17))
    order = torch.randperm(17, generator=torch.Generator().manual_seed(3))
    place = torch.empty(17, dtype=torch.long)
    place[order] = torch.arange(17)
    got = graph(x[order], place[index], layer.edge_logits)
    torch.testing.assert_close(got, graph(x, index, layer.edge_logits)[order])


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
