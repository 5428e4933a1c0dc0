from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from evolift.lifter.model import parameter_count
from evolift.lifter.networks.cascade import Cascade
from evolift.lifter.networks.joint_groups import groups_by_name, own_groups, padded_groups
from evolift.lifter.networks.martinez import Martinez
from evolift.lifter.networks.non_local import NonLocalBlock
from evolift.lifter.networks.semgcn import SemGCN
from evolift.lifter.networks.skeleton_graph import adjacency
from evolift.posedata.errors import InputError
from evolift.posedata.skeleton import COCO17, H36M16, H36M17
from tests.lifter.networks.straightforward_semgcn import Straight, copy_weights


def test_parameter_counts_are_the_published_ones() -> None:
    neighbours = adjacency(H36M16)
    plain = SemGCN(2, 3, neighbours)
    non_local = SemGCN(2, 3, neighbours, groups=groups_by_name("pairs", H36M16))
    assert parameter_count(plain) == 267_343  # 0.27 M
    assert parameter_count(non_local) == 434_703  # 0.43 M
    assert parameter_count(Martinez(16, 2, 3)) == 4_291_632  # 4.29 M


@pytest.mark.parametrize("skeleton", [H36M17, COCO17], ids=lambda s: s.name)
def test_semgcn_takes_any_skeleton(skeleton) -> None:
    network = SemGCN(2, 3, adjacency(skeleton), hidden=8, blocks=1, groups=groups_by_name("none", skeleton))
    assert network(torch.randn(5, 17, 2)).shape == (5, 17, 3)


def test_semgcn_learns_as_the_published_layer_written_down_plainly() -> None:
    torch.manual_seed(0)
    ours = SemGCN(2, 3, adjacency(H36M17), hidden=12, blocks=2).double()
    plain = Straight(adjacency(H36M17), hidden=12, blocks=2).double()
    copy_weights(ours, plain)
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

    (our_losses, our_answer), (plain_losses, plain_answer) = learnt(ours), learnt(plain)
    assert our_losses == pytest.approx(plain_losses, rel=1e-6)
    assert our_losses[-1] < 0.9 * our_losses[0]
    torch.testing.assert_close(our_answer, plain_answer, rtol=1e-5, atol=1e-5)


def test_mixed_precision_trains_semgcn() -> None:
    network = SemGCN(2, 3, adjacency(H36M16), hidden=12, blocks=2)
    with torch.autocast("cpu", torch.bfloat16):
        network(torch.randn(8, 16, 2)).square().sum().backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in network.parameters())


def test_dropout_is_active_in_training_only() -> None:
    network = SemGCN(2, 3, adjacency(H36M16), hidden=12, blocks=2, dropout=0.5)
    x = torch.randn(8, 16, 2)
    assert not torch.equal(network(x), network(x))
    network.eval()
    assert torch.equal(network(x), network(x))


def test_each_stage_of_a_cascade_corrects_the_last_and_is_trained_alone() -> None:
    torch.manual_seed(0)
    network = Cascade(17, 2, 3, stages=3, hidden=8, blocks=1, dropout=0.0).eval()
    x = torch.randn(4, 17, 2)
    first = network.parts[0](x)
    second = first + network.parts[1](torch.cat([x, first], -1))
    third = second + network.parts[2](torch.cat([x, second], -1))
    stages = network.stages(x)
    torch.testing.assert_close(stages, torch.stack([first, second, third]))
    torch.testing.assert_close(network(x), third)
    stages.unbind()[2].square().sum().backward()
    assert all(bool((parameter.grad == 0).all()) for parameter in network.parts[:2].parameters())
    assert all(bool((parameter.grad != 0).any()) for parameter in network.parts[2].parameters())


def by_definition(block: NonLocalBlock, x: torch.Tensor, groups) -> torch.Tensor:
    """The equation of the block with the whole map theta, joint by joint; x is (batch, joints, channels)."""
    x = x.transpose(0, 1)
    g, theta, phi = block.g(x), block.theta(x), block.phi(x)
    pooled_g = torch.stack([torch.stack([g[j] for j in group]).max(0).values for group in groups])
    pooled_phi = torch.stack([torch.stack([phi[j] for j in group]).max(0).values for group in groups])
    z = []
    for i in range(len(x)):
        y = 0
        for k in range(len(groups)):
            score = block.score(torch.cat([theta[i], pooled_phi[k]], -1)).clamp(min=0) / len(groups)
            y = y + score * pooled_g[k]
        z.append(block.out(y))
    flat = torch.cat(z)
    return (x + block.norm(flat).view_as(x)).transpose(0, 1)


@pytest.mark.parametrize("name", ["concat", "self", "related", "none"])
def test_non_local_block_is_its_equation(name: str) -> None:
    torch.manual_seed(0)
    groups = groups_by_name(name, H36M17)
    block = NonLocalBlock(6, groups).double()
    x = torch.randn(4, 17, 6, dtype=torch.float64)
    torch.testing.assert_close(block(x), x)  # it begins as the identity
    with torch.no_grad():
        block.norm.weight.normal_()
        block.norm.bias.normal_()
        block.theta.bias.normal_()
        block.phi.bias.normal_()
    torch.testing.assert_close(block(x), by_definition(block, x, groups))
    block.eval()
    torch.testing.assert_close(block(x), by_definition(block, x, groups))


def test_published_groups_by_number() -> None:
    published = [{2, 3}, {5, 6}, {1, 4}, {0, 7}, {8, 9}, {14, 15}, {11, 12}, {10, 13}]
    assert [set(group) for group in groups_by_name("pairs", H36M16)] == published


def test_the_seventeenth_joint_by_each_name() -> None:
    nose, thorax, head = (H36M17.index(name) for name in ("nose", "thorax", "head"))
    concat, own, related, none = (
        [set(group) for group in groups_by_name(name, H36M17)]
        for name in ("concat", "self", "related", "none")
    )
    assert {thorax, head, nose} in concat
    assert len(concat) == 8
    assert {nose} in own
    assert {thorax, head} in own
    assert {thorax, nose, head} in related
    assert {thorax, head} in related
    assert none == [{joint} for joint in range(17)]
    for groups in (concat, own, related):
        assert set().union(*groups) == set(range(17))


def test_own_groups_are_checked() -> None:
    groups = own_groups([[*range(9)], [*range(8, 17)]], H36M17)
    assert len(padded_groups(groups)[0]) == 9
    for wrong, message in (
        ([[]], "a joint group is empty"),
        ([[17]], "joint groups name 17, but H36M17 has joints 0 to 16"),
        ([[*range(16)]], "the joint 'right_wrist' is in no joint group"),
    ):
        with pytest.raises(InputError, match=message):
            own_groups(wrong, H36M17)
    with pytest.raises(InputError, match="there is no joint grouping 'twins'"):
        groups_by_name("twins", H36M17)
    with pytest.raises(InputError, match="defined for H36M16, not H36M17"):
        groups_by_name("pairs", H36M17)


def test_groups_of_different_sizes_and_their_gradients() -> None:
    torch.manual_seed(0)
    groups = own_groups([[0, 1, 2], [2]], _three_joints())
    block = NonLocalBlock(4, groups).double()
    torch.nn.init.normal_(block.norm.weight)
    block.eval()
    x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(block(x), by_definition(block, x, groups))
    assert torch.autograd.gradcheck(block, (x,))


def _three_joints():
    from evolift.posedata.skeleton import Skeleton

    return Skeleton("three", ("a", "b", "c"), (None, "a", "b"))
