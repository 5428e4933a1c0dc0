from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from evolift.lifter.model import LifterModel
from evolift.lifter.networks.cascade import Cascade
from evolift.lifter.networks.joint_groups import groups_by_name, joint_order
from evolift.lifter.networks.martinez import Martinez
from evolift.lifter.networks.modulated_graph_convolution import ModulatedGraphConvolution
from evolift.lifter.networks.non_local import NonLocalBlock
from evolift.lifter.networks.semantic_graph_convolution import SemanticGraphConvolution
from evolift.lifter.settings import LifterSettings
from evolift.posedata.errors import InputError
from evolift.posedata.skeleton import COCO18_PELVIS, H36M16, H36M17

SHUFFLED = tuple(H36M17.joints[(7 * place + 3) % 17] for place in range(17))
NAMED = ["concat", "self", "related", "none", ((0, 1, 2), tuple(range(2, 17)))]


def randomised(model: LifterModel, seed: int = 0) -> LifterModel:
    """Random parameters and statistics, in float64."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.5)
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_()
            elif name.endswith("running_var"):
                buffer.uniform_(0.5, 2)
    return model.double()


def carried_over(plain: LifterModel, other: LifterModel) -> None:
    """Give `other`, of another joint order, the parameters of `plain`, joint by joint and edge by edge."""
    order = list(other.settings.order)
    other.load_state_dict(plain.state_dict())
    for mine, theirs in zip(plain.modules(), other.modules(), strict=True):
        if isinstance(mine, SemanticGraphConvolution):
            dense = torch.full(mine.adjacency.shape, torch.nan, dtype=torch.float64)
            dense[mine.adjacency] = mine.edge_logits.detach()
            with torch.no_grad():
                theirs.edge_logits.copy_(dense[order][:, order][theirs.adjacency])
        if isinstance(mine, ModulatedGraphConvolution):
            with torch.no_grad():
                theirs.modulation.copy_(mine.modulation[order])
                theirs.learnt_adjacency.copy_(mine.learnt_adjacency[order][:, order])


def inputs(joints: int = 17) -> Tensor:
    return torch.randn(6, joints, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("grouping", [None, *NAMED], ids=str)
@pytest.mark.parametrize("order", ["published", SHUFFLED], ids=["published", "own"])
@pytest.mark.parametrize("architecture", ["semgcn", "modulated-gcn"])
def test_an_order_only_permutes_the_parameters(architecture, order, grouping, training) -> None:
    more = {"architecture": architecture} | (
        {} if grouping is None else {"non_local": True, "grouping": grouping}
    )
    plain = randomised(LifterModel(LifterSettings(hidden=6, blocks=1, dropout=0.0, **more)))
    other = LifterModel(LifterSettings(hidden=6, blocks=1, dropout=0.0, joint_order=order, **more)).double()
    carried_over(plain, other)
    plain.train(training)
    other.train(training)
    torch.testing.assert_close(other(inputs()), plain(inputs()))
    assert not torch.allclose(other.network(inputs()), plain.network(inputs()))
    if not training:
        with torch.no_grad():
            torch.testing.assert_close(other(inputs()), plain(inputs()))


def test_an_order_without_its_permuted_parameters_is_another_network() -> None:
    plain = randomised(LifterModel(LifterSettings(hidden=6, blocks=1))).eval()
    other = LifterModel(LifterSettings(hidden=6, blocks=1, joint_order=SHUFFLED)).double().eval()
    other.load_state_dict(plain.state_dict())
    assert not torch.allclose(other(inputs()), plain(inputs()))


@pytest.mark.parametrize("architecture", ["martinez", "cascade"])
def test_perceptrons_take_an_order_too(architecture) -> None:
    small = {"architecture": architecture, "hidden": 6, "blocks": 1, "dropout": 0.0}
    plain = randomised(LifterModel(LifterSettings(**small))).eval()
    other = LifterModel(LifterSettings(**small, joint_order=SHUFFLED)).double().eval()
    other.load_state_dict(plain.state_dict())
    order = list(other.settings.order)
    parts = (network.network for network in (plain, other))
    mine, theirs = (list(part.parts) if isinstance(part, Cascade) else [part] for part in parts)
    with torch.no_grad():
        for a, b in zip(mine, theirs, strict=True):
            assert isinstance(a, Martinez)
            first = a.layers[0][0].weight
            b.layers[0][0].weight.copy_(first.view(6, 17, -1)[:, order].flatten(1))
            b.layers[-1].weight.copy_(a.layers[-1].weight.view(17, 3, 6)[order].flatten(0, 1))
            b.layers[-1].bias.copy_(a.layers[-1].bias.view(17, 3)[order].flatten())
    torch.testing.assert_close(other(inputs()), plain(inputs()))
    torch.testing.assert_close(other.stages(inputs()), plain.stages(inputs()))


def test_consecutive_groups_follow_the_order() -> None:
    model = LifterModel(
        LifterSettings(hidden=6, blocks=1, non_local=True, grouping="consecutive", joint_order=SHUFFLED)
    )
    blocks = [module for module in model.modules() if isinstance(module, NonLocalBlock)]
    pairs = [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9], [10, 11], [12, 13], [14, 15], [16, 16]]
    assert [block.group_joints.tolist() for block in blocks] == [pairs] * 2
    assert model.settings.groups is not None
    named = [tuple(H36M17.joints[joint] for joint in group) for group in model.settings.groups]
    assert named == [SHUFFLED[at : at + 2] for at in range(0, 17, 2)]


@pytest.mark.parametrize(("skeleton", "grouping"), [(H36M16, "pairs"), (H36M17, "self")], ids=["16", "17"])
def test_consecutive_joints_of_the_published_order_are_the_published_groups(skeleton, grouping) -> None:
    order = joint_order("published", skeleton)
    assert groups_by_name("consecutive", skeleton, order) == groups_by_name(grouping, skeleton)
    assert sorted(order) == list(range(len(skeleton)))


def test_the_published_order_by_number() -> None:
    sixteen = (2, 3, 5, 6, 1, 4, 0, 7, 8, 9, 14, 15, 11, 12, 10, 13)
    assert joint_order("published", H36M16) == sixteen
    names = [H36M16.joints[joint] for joint in sixteen]
    assert [H36M17.joints[joint] for joint in joint_order("published", H36M17)] == [*names, "nose"]


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(17)))
def test_any_order_gives_joints_back_where_they_came_from(order) -> None:
    names = tuple(H36M17.joints[joint] for joint in order)
    model = LifterModel(LifterSettings(hidden=2, blocks=0, joint_order=names))
    assert model.settings.order == tuple(order)
    model.network = torch.nn.Identity()
    x = torch.randn(2, 17, 2)
    torch.testing.assert_close(model(x), (x - x[:, :1]) * 1000)


def test_orders_are_checked() -> None:
    joints = H36M17.joints
    for order, message in (
        ("alphabetic", "there is no joint order 'alphabetic'"),
        (joints[1:], "the joint 'pelvis' is missing in the joint order"),
        ((*joints, "head"), "the joint 'head' is named twice in the joint order"),
        ((*joints[1:], "tail"), "skeleton H36M17 has no joint 'tail'"),
    ):
        with pytest.raises(InputError, match=message):
            LifterSettings(joint_order=order)
    with pytest.raises(InputError, match="'published' is defined for H36M16 and H36M17, not COCO18_PELVIS"):
        LifterSettings(skeleton=COCO18_PELVIS, joint_order="published")
