from __future__ import annotations

import pytest
import torch
from torch import Tensor

from evolift.lifter.model import parameter_count
from evolift.lifter.networks.modulated_graph_convolution import ModulatedGraphConvolution
from evolift.lifter.networks.semgcn import SemGCN
from evolift.lifter.networks.skeleton_graph import adjacency
from evolift.posedata.errors import InputError
from evolift.posedata.skeleton import BODY25, H36M16, H36M17


def randomised(layer: ModulatedGraphConvolution, seed: int = 0) -> ModulatedGraphConvolution:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return layer


def by_definition(layer: ModulatedGraphConvolution, x: Tensor, neighbours: Tensor) -> Tensor:
    """The equation, joint by joint and pair by pair."""
    joints = len(neighbours)
    one_way = torch.zeros(joints, joints, dtype=x.dtype)
    for i in range(joints):
        bones = sum(bool(neighbours[i, j]) for j in range(joints) if j != i)
        for j in range(joints):
            share = (1.0 if i == j else 1 / bones) if neighbours[i, j] else 0.0
            one_way[i, j] = share + layer.learnt_adjacency[i, j]
    y = torch.zeros(*x.shape[:2], layer.bias.numel(), dtype=x.dtype)
    for i in range(joints):
        for j in range(joints):
            weight = layer.weight[0 if i == j else 1]
            y[:, i] += (one_way[i, j] + one_way[j, i]) / 2 * layer.modulation[j] * (x[:, j] @ weight)
        y[:, i] += layer.bias
    return y


@pytest.mark.parametrize("skeleton", [H36M17, H36M16, BODY25], ids=lambda s: s.name)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_layer_is_the_published_equation(skeleton, dtype) -> None:
    neighbours = adjacency(skeleton)
    layer = randomised(ModulatedGraphConvolution(3, 5, neighbours)).to(dtype)
    x = torch.randn(4, len(skeleton), 3, dtype=dtype, generator=torch.Generator().manual_seed(1))
    tolerance = {"rtol": 1e-5, "atol": 1e-4} if dtype == torch.float32 else {"rtol": 1e-6, "atol": 1e-6}
    torch.testing.assert_close(layer(x), by_definition(layer, x, neighbours), **tolerance)


def test_gradients_are_those_of_finite_differences() -> None:
    layer = randomised(ModulatedGraphConvolution(2, 3, adjacency(H36M16))).double()
    x = torch.randn(2, 16, 2, dtype=torch.float64, requires_grad=True)
    names = [name for name, _ in layer.named_parameters()]

    def run(x: Tensor, *values: Tensor) -> Tensor:
        return torch.func.functional_call(layer, dict(zip(names, values, strict=True)), (x,))

    assert torch.autograd.gradcheck(run, (x, *(p.detach().requires_grad_() for p in layer.parameters())))


def test_sixteen_joints_have_the_published_number_of_parameters() -> None:
    network = SemGCN(2, 3, adjacency(H36M16), convolution=ModulatedGraphConvolution)
    assert parameter_count(network) == 287_923  # 0.29 M


def test_a_new_layer_is_the_skeleton_alone_with_weights_that_are_every_joints() -> None:
    layer = ModulatedGraphConvolution(4, 6, adjacency(H36M17))
    assert bool((layer.modulation == 1).all())
    affinity = layer.affinity().detach()
    assert torch.equal(affinity != 0, adjacency(H36M17))
    assert bool((affinity.diagonal() == 1).all())
    # The pelvis has three bones and the right hip two: (1/3 + 1/2) / 2.
    assert affinity[0, 1].item() == pytest.approx(5 / 12)


def test_a_trained_layer_stays_symmetric_and_lets_far_joints_listen_to_each_other() -> None:
    layer = ModulatedGraphConvolution(2, 2, adjacency(H36M17))
    with torch.no_grad():
        layer.learnt_adjacency[3, 16] = 0.5
    affinity = layer.affinity()
    assert torch.equal(affinity, affinity.mT)
    assert affinity[16, 3].item() == 0.25


def test_an_order_of_the_joints_only_permutes_the_parameters() -> None:
    order = torch.randperm(17, generator=torch.Generator().manual_seed(3))
    neighbours = adjacency(H36M17)
    layer = randomised(ModulatedGraphConvolution(3, 4, neighbours))
    other = ModulatedGraphConvolution(3, 4, neighbours[order][:, order])
    state = layer.state_dict()
    state["modulation"] = state["modulation"][order]
    state["learnt_adjacency"] = state["learnt_adjacency"][order][:, order]
    other.load_state_dict(state)
    x = torch.randn(2, 17, 3)
    torch.testing.assert_close(other(x[:, order]), layer(x)[:, order], rtol=1e-5, atol=1e-4)


def test_an_adjacency_that_is_no_skeleton_is_refused() -> None:
    lopsided = adjacency(H36M17)
    lopsided[0, 16] = True
    with pytest.raises(InputError, match="must be square and symmetric"):
        ModulatedGraphConvolution(2, 2, lopsided)
