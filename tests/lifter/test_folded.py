"""Folded copies for inference against the lifters that they are made of."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from evolift.lifter.architecture import FORMS
from evolift.lifter.lifter import FoldedLifter, Lifter
from evolift.lifter.model import LifterModel
from evolift.lifter.networks.folded_layers import POSES_AT_ONCE
from evolift.lifter.refiner import Refined, RefinerModel, RefinerSettings
from evolift.lifter.settings import LifterSettings
from evolift.posedata.errors import InputError
from evolift.posedata.skeleton import BODY25, COCO18_PELVIS, H36M17
from tests.lifter.networks.test_joint_order import SHUFFLED, randomised
from tests.same_answers import assert_same_answers

DTYPES = (torch.float32, torch.float64)

SMALL = {"hidden": 12, "blocks": 2}
KINDS = {
    "semgcn": LifterSettings(**SMALL, dropout=0.3),
    "depth": LifterSettings(**SMALL, target="z", input_axes=3),
    "non-local": LifterSettings(**SMALL, non_local=True, grouping="related"),
    "ordered": LifterSettings(**SMALL, non_local=True, grouping="consecutive", joint_order=SHUFFLED),
    "19 joints": LifterSettings(**SMALL, skeleton=COCO18_PELVIS),
    "semgcn-graph": LifterSettings(**SMALL, architecture="semgcn-graph", non_local=True),
    "modulated-gcn": LifterSettings(**SMALL, architecture="modulated-gcn", non_local=True, skeleton=BODY25),
    "cascade": LifterSettings(**SMALL, architecture="cascade", stages=3),
}
KINDS |= {name: LifterSettings(**SMALL, architecture=name) for name in FORMS if name not in KINDS}


def inputs(lifter: Lifter, batch: int = 5) -> Tensor:
    shape = (batch, len(lifter.skeleton), lifter.settings.input_axes)
    dtype = next(lifter.parameters()).dtype
    return torch.randn(shape, generator=torch.Generator().manual_seed(batch), dtype=torch.float64).to(dtype)


@pytest.mark.parametrize("batch", [0, 1, 3, 2 * POSES_AT_ONCE + 5])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_the_folded_copy_gives_the_answers_of_evaluation(kind, dtype, batch) -> None:
    lifter = randomised(LifterModel(kind)).to(dtype).eval()
    x = inputs(lifter, batch)
    wanted, got = lifter(x).detach(), lifter.folded()(x)
    assert_same_answers(got, wanted)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("architecture", FORMS)
def test_a_refined_lifter_is_folded_with_its_refiner(architecture, dtype) -> None:
    refiner = randomised(RefinerModel(RefinerSettings(hidden=12, code=6, dropout=0.2)))
    network = randomised(LifterModel(LifterSettings(**SMALL, architecture=architecture)))
    lifter = Refined(network, refiner).to(dtype).eval()
    x = inputs(lifter)
    assert_same_answers(lifter.folded()(x), lifter(x).detach())


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_the_lifter_stays_as_it_was_and_its_copy_as_it_became(kind) -> None:
    lifter = randomised(LifterModel(kind))
    before = {name: value.clone() for name, value in lifter.state_dict().items()}
    folded, x = lifter.folded(), inputs(lifter)
    answer = folded(x)
    assert lifter.training
    assert all(parameter.requires_grad for parameter in lifter.parameters())
    torch.testing.assert_close(lifter.state_dict(), before, rtol=0, atol=0)
    with torch.no_grad():
        for value in (*lifter.parameters(), *lifter.buffers()):
            value.zero_()
    assert torch.equal(folded(x), answer)


def test_a_folded_lifter_lifts_pixels_and_is_its_own_folded_copy() -> None:
    lifter = randomised(LifterModel(KINDS["semgcn"])).eval()
    folded = lifter.folded()
    assert folded.folded() is folded
    assert folded.skeleton == H36M17
    pixels, size = 500 + 100 * inputs(lifter), torch.tensor([[1000.0, 900.0]], dtype=torch.float64)
    wanted = lifter.lift(pixels, None, size, flip_test=True).detach()
    assert_same_answers(folded.lift(pixels, None, size, flip_test=True), wanted)


class Doubled(Lifter):
    """A lifter of somebody else, which knows of no way to be faster."""

    def __init__(self) -> None:
        super().__init__()
        self.settings = LifterSettings(target="z")
        self.factor = torch.nn.Parameter(torch.tensor(2.0))

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs[..., :1] * self.factor


def test_other_lifters_are_frozen_copies() -> None:
    lifter, x = Doubled(), torch.randn(3, 17, 2)
    folded = lifter.folded()
    assert torch.equal(folded(x), 2 * x[..., :1])
    assert lifter.factor.requires_grad
    assert not any(parameter.requires_grad for parameter in folded.parameters())


@pytest.fixture
def folded() -> FoldedLifter:
    return LifterModel(KINDS["semgcn"]).folded()


def test_folded_lifters_refuse_training(folded) -> None:
    assert not any(parameter.requires_grad for parameter in folded.parameters())
    with pytest.raises(InputError, match="a folded lifter cannot be trained: train the lifter that it was"):
        folded.train()
    with pytest.raises(InputError, match="cannot be trained"):
        torch.nn.Sequential(folded).train()
    assert not any(module.training for module in folded.modules())
    folded.eval()


def test_folded_lifters_refuse_to_give_gradients(folded) -> None:
    x = torch.randn(3, 17, 2, requires_grad=True)
    with pytest.raises(InputError, match="a folded lifter gives no gradients: use the lifter that it was"):
        folded(x)
    with torch.no_grad():
        assert folded(x).isfinite().all()
    assert not folded(x.detach()).requires_grad


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_folding_works_where_no_gradients_are_kept(mode) -> None:
    lifter = randomised(LifterModel(KINDS["non-local"])).eval()
    x = inputs(lifter)
    wanted = lifter(x).detach()
    with mode():
        assert_same_answers(lifter.folded()(x), wanted)


@pytest.mark.parametrize("architecture", FORMS)
def test_folded_lifters_take_mixed_precision(architecture) -> None:
    torch.manual_seed(0)
    lifter = LifterModel(LifterSettings(**SMALL, architecture=architecture))
    x = inputs(lifter)
    wanted = lifter.eval()(x).detach()
    with torch.autocast("cpu", torch.bfloat16):
        got = lifter.folded()(x)
    assert float((got - wanted).abs().max() / wanted.abs().max()) < 0.05
