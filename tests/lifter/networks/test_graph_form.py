"""The lifter of torch-geometric's messages against the dense one."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from evolift.lifter.model import LifterModel
from evolift.lifter.networks.graph_form import SemanticGraphMessagePassing
from evolift.lifter.settings import LifterSettings
from evolift.posedata.skeleton import COCO18_PELVIS
from tests.lifter.networks.test_joint_order import SHUFFLED, randomised

SMALL = {"hidden": 6, "blocks": 2, "dropout": 0.0}
KINDS = {
    "plain": SMALL,
    "depth": {**SMALL, "target": "z", "input_axes": 3},
    "narrow": {"hidden": 2, "blocks": 0, "dropout": 0.0},
    "related": {**SMALL, "non_local": True, "grouping": "related"},
    "ordered": {**SMALL, "non_local": True, "grouping": "consecutive", "joint_order": SHUFFLED},
    "19 joints": {**SMALL, "skeleton": COCO18_PELVIS},
}


def both(**values: object) -> list[LifterModel]:
    """The dense lifter, and that of messages with the same parameters."""
    dense, graph = (
        randomised(LifterModel(LifterSettings(architecture=architecture, **values)))
        for architecture in ("semgcn", "semgcn-graph")
    )
    graph.load_state_dict(dense.state_dict())
    return [dense, graph]


def inputs(lifter: LifterModel) -> Tensor:
    generator = torch.Generator().manual_seed(4)
    shape = (5, len(lifter.skeleton), lifter.settings.input_axes)
    return torch.randn(shape, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_the_same_parameters_give_the_same_numbers_gradients_and_statistics(kind, training) -> None:
    dense, graph = (lifter.train(training) for lifter in both(**kind))
    assert any(isinstance(module, SemanticGraphMessagePassing) for module in graph.modules())
    x = inputs(dense).requires_grad_()
    wanted, got = dense(x), graph(x)
    torch.testing.assert_close(got, wanted)
    upstream = torch.randn_like(wanted)
    a = torch.autograd.grad(wanted, [x, *dense.parameters()], upstream)
    b = torch.autograd.grad(got, [x, *graph.parameters()], upstream)
    for one, two in zip(a, b, strict=True):
        torch.testing.assert_close(two, one, rtol=1e-7, atol=1e-8)
    torch.testing.assert_close(graph.state_dict(), dense.state_dict())


def test_both_begin_with_the_same_weights() -> None:
    values = []
    for architecture in ("semgcn", "semgcn-graph"):
        torch.manual_seed(0)
        values.append(LifterModel(LifterSettings(architecture=architecture, **SMALL)).state_dict())
    torch.testing.assert_close(values[1], values[0], rtol=0, atol=0)


def test_dropout_works_in_training_only() -> None:
    lifter = LifterModel(LifterSettings(architecture="semgcn-graph", **{**SMALL, "dropout": 0.5}))
    x = inputs(lifter).float()
    assert not torch.equal(lifter(x), lifter(x))
    lifter.eval()
    assert torch.equal(lifter(x), lifter(x))


def test_a_checkpoint_brings_the_form_back(tmp_path) -> None:
    _, graph = both(**KINDS["related"])
    graph = graph.float().eval()
    graph.save(tmp_path / "a.safetensors")
    again = LifterModel.load(tmp_path / "a.safetensors")
    assert any(isinstance(module, SemanticGraphMessagePassing) for module in again.modules())
    x = inputs(graph).float()
    assert torch.equal(again(x), graph(x))
