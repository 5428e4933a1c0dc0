from __future__ import annotations

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from evolift.lifter.architecture import FORMS
from evolift.lifter.model import LifterModel
from evolift.lifter.settings import LifterSettings
from evolift.posedata.errors import CheckpointError, InputError, OutputError
from evolift.posedata.skeleton import BODY25, COCO18_PELVIS, H36M16, H36M17
from evolift.training.checkpoint import Checkpoint, save_checkpoint

SMALL = {"hidden": 8, "blocks": 1}
EVERY_KIND = [
    LifterSettings(**SMALL),
    LifterSettings(**SMALL, non_local=True, grouping="concat", normalisation="box"),
    LifterSettings(**SMALL, non_local=True, grouping=((*range(10),), (*range(8, 17),)), dropout=0.2),
    LifterSettings(**SMALL, target="z", input_axes=3),
    LifterSettings(**SMALL, architecture="martinez", skeleton=H36M16),
    LifterSettings(**SMALL, skeleton=COCO18_PELVIS),
    LifterSettings(**SMALL, architecture="cascade", stages=3),
    LifterSettings(**SMALL, architecture="semgcn-graph", non_local=True),
    LifterSettings(**SMALL, non_local=True, grouping="consecutive", joint_order="published"),
    LifterSettings(**SMALL, architecture="cascade", joint_order=tuple(reversed(H36M17.joints))),
    LifterSettings(**SMALL, uncertainty=True),
    LifterSettings(**SMALL, architecture="modulated-gcn", non_local=True, skeleton=BODY25),
    LifterSettings(**SMALL, architecture="graformer", target="z", joint_order="published"),
    *(LifterSettings(**SMALL, architecture=architecture) for architecture in FORMS),
]


def pixels(model: LifterModel, batch: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    shape = (batch, len(model.skeleton), model.settings.input_axes)
    return 500 + 150 * torch.randn(shape, generator=generator)


SIZE = torch.tensor([[1000.0, 1000.0]])


@pytest.mark.parametrize(
    "kind", EVERY_KIND, ids=lambda s: f"{s.architecture}-{s.skeleton.name}-{s.target}-{s.grouping}"
)
def test_saved_and_loaded_lifters_agree(kind, tmp_path) -> None:
    torch.manual_seed(0)
    model = LifterModel(kind)
    model(torch.randn(20, len(kind.skeleton), kind.input_axes))  # moves the running statistics
    model.eval()
    model.save(tmp_path / "a.safetensors", {"command": "test"})
    again = LifterModel.load(tmp_path / "a.safetensors")
    assert again.settings == kind
    assert not again.training
    assert torch.equal(model.lift(pixels(model), None, SIZE), again.lift(pixels(model), None, SIZE))
    with pytest.raises(OutputError, match="exists"):
        model.save(tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    "kind", EVERY_KIND, ids=lambda s: f"{s.architecture}-{s.skeleton.name}-{s.target}-{s.grouping}"
)
def test_output_is_root_relative_and_of_the_target(kind) -> None:
    model = LifterModel(kind).eval()
    out = model.lift(pixels(model), None, SIZE)
    assert out.shape == (3, len(kind.skeleton), kind.target_axes)
    assert bool((out[:, kind.skeleton.root] == 0).all())
    assert float(out.detach().abs().max()) > 1  # mm, not metres


def test_settings_go_through_json() -> None:
    for kind in EVERY_KIND:
        assert LifterSettings.from_dict(json.loads(json.dumps(kind.to_dict()))) == kind


def test_sizes_that_are_left_out_are_those_of_the_architecture() -> None:
    for architecture, sizes, stages in (
        ("semgcn", (128, 4, 0.1), 1),
        ("modulated-gcn", (128, 4, 0.1), 1),
        ("graformer", (96, 5, 0.1), 1),
        ("martinez", (1024, 2, 0.5), 1),
        ("cascade", (1024, 2, 0.5), 2),
    ):
        settings = LifterSettings(architecture=architecture)
        assert (settings.sizes, settings.stage_count) == (sizes, stages)
        assert settings == LifterSettings(architecture=architecture, hidden=sizes[0], stages=stages)


def test_a_lifter_refuses_input_normalised_otherwise() -> None:
    model = LifterModel(LifterSettings(**SMALL, normalisation="box"))
    model.require_normalisation("box")
    with pytest.raises(
        CheckpointError,
        match="trained on input normalised by 'box', the input given is normalised by 'screen'",
    ):
        model.require_normalisation("screen")


@settings(max_examples=20, deadline=None)
@given(st.floats(0.05, 20), st.floats(-2000, 2000), st.floats(-2000, 2000))
def test_a_box_lifter_sees_no_crop(scale, dx, dy) -> None:
    torch.manual_seed(0)
    model = LifterModel(LifterSettings(**SMALL, normalisation="box")).double().eval()
    joints = pixels(model).double()
    moved = joints * scale + torch.tensor([dx, dy], dtype=torch.float64)
    torch.testing.assert_close(model.lift(joints), model.lift(moved))


@pytest.mark.parametrize("normalisation", ["screen", "box"])
def test_flip_test_makes_the_answer_mirror_with_its_input(normalisation) -> None:
    torch.manual_seed(0)
    model = LifterModel(LifterSettings(**SMALL, normalisation=normalisation)).eval()
    joints, mirror = pixels(model), list(H36M17.mirror)
    seen = torch.full((3, 17), 2, dtype=torch.uint8)
    seen[:, 12] = 0
    given = torch.stack([999 - joints[..., 0], joints[..., 1]], -1)[:, mirror]
    plain = model.lift(joints, seen, SIZE, flip_test=True)
    other = model.lift(given, seen[:, mirror], SIZE, flip_test=True)
    torch.testing.assert_close(plain * torch.tensor([-1.0, 1.0, 1.0]), other[:, mirror], rtol=1e-4, atol=0.02)
    assert not torch.allclose(plain, model.lift(joints, seen, SIZE), atol=1.0)


def test_lift_is_differentiable_down_to_the_pixels() -> None:
    torch.manual_seed(0)
    model = LifterModel(LifterSettings(**SMALL, normalisation="box")).double().eval()
    joints = pixels(model, 1).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: model.lift(x) / 1000, (joints / 1,), atol=1e-7)


@pytest.mark.parametrize("architecture", FORMS)
def test_mixed_precision_trains_every_architecture(architecture) -> None:
    model = LifterModel(LifterSettings(**SMALL, architecture=architecture))
    with torch.autocast("cpu", torch.bfloat16):
        model(torch.randn(8, 17, 2)).square().sum().backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in model.parameters())


def test_bad_settings_are_refused() -> None:
    for values, message in (
        (
            {"architecture": "oracle"},
            "`architecture` must be one of semgcn, semgcn-graph, modulated-gcn, graformer, martinez, cascade, not 'oracle'",
        ),
        ({"input_axes": 4}, "`input_axes` must be a whole number of at least 2 and at most 3, not 4"),
        ({"dropout": 1.0}, "`dropout` must be a number of at least 0 and below 1 or left out, not 1.0"),
        ({"stages": 2}, "`stages` must be 1 for modulated-gcn, not 2"),
        (
            {"hidden": "many"},
            "`hidden` must be a whole number of at least 1 and at most 16384 or left out, not 'many'",
        ),
        ({"joint_order": "random"}, "there is no joint order 'random': choose one of declared, published"),
        ({"grouping": ((0, 17),)}, "joint groups name 17, but H36M17 has joints 0 to 16"),
        ({"grouping": "no"}, "there is no joint grouping 'no': choose one of pairs, concat"),
        ({"non_local": True, "grouping": "pairs"}, "the joint grouping 'pairs' is defined for H36M16"),
        (
            {"architecture": "graformer", "non_local": True},
            "`non_local` blocks belong to semgcn, semgcn-graph, modulated-gcn, not to graformer",
        ),
        (
            {"architecture": "graformer", "hidden": 10},
            "`hidden` must be a multiple of 4 for graformer, whose heads share the channels, not 10",
        ),
    ):
        with pytest.raises(InputError, match=message):
            LifterSettings(**values)
    with pytest.raises(InputError, match="LifterSettings must have exactly architecture, blocks, dropout"):
        LifterSettings.from_dict({"architecture": "semgcn"})
    with pytest.raises(InputError, match="takes 17 joints of H36M17 with 2 axes, got"):
        LifterModel(LifterSettings(**SMALL))(torch.zeros(2, 16, 2))


def test_damaged_checkpoints_are_refused(tmp_path) -> None:
    model = LifterModel(LifterSettings(**SMALL))
    tensors = dict(model.state_dict())
    path = tmp_path / "a.safetensors"
    fewer = {name: tensor for name, tensor in tensors.items() if name != "network.head.bias"}
    save_checkpoint(path, Checkpoint("lifter", fewer, model.settings.to_dict(), {}))
    with pytest.raises(CheckpointError, match=r"a.safetensors: tensor 'network.head.bias' is missing"):
        LifterModel.load(path)
    save_checkpoint(path, Checkpoint("lifter", tensors, {"a": 1}, {}), overwrite=True)
    with pytest.raises(CheckpointError, match=r"a.safetensors: LifterSettings must have exactly"):
        LifterModel.load(path)
    save_checkpoint(path, Checkpoint("detector", tensors, {}, {}), overwrite=True)
    with pytest.raises(CheckpointError, match="checkpoint of the stage 'detector'"):
        LifterModel.load(path)


def test_another_architecture_brings_its_own_sizes() -> None:
    settings = LifterSettings(input_axes=3).replaced(architecture="martinez", dropout=0.25)
    assert (settings.sizes, settings.stage_count, settings.input_axes) == ((1024, 2, 0.25), 1, 3)
    assert LifterSettings(hidden=8).replaced(target="z").sizes[0] == 8
