from __future__ import annotations

import pytest
import torch

from evolift.detector2d.model import DetectorModel
from evolift.detector2d.settings import DetectorSettings
from evolift.posedata.errors import InputError

BLOCKS = ["stem", "layer1", "layer2", "layer3", "layer4"]


@pytest.fixture
def model() -> DetectorModel:
    return DetectorModel(
        DetectorSettings(backbone="test_resnet", input_width=64, input_height=64, head_widths=(8, 8, 8))
    )


def trainable(model: DetectorModel) -> set[str]:
    return {
        name.removeprefix("backbone.body.").split(".")[0]
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }


@pytest.mark.parametrize(
    ("freeze", "expected"),
    [
        ("none", {"conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "head"}),
        ("stem", {"layer1", "layer2", "layer3", "layer4", "head"}),
        ("layer2", {"layer3", "layer4", "head"}),
        ("all-but-last-block", {"layer4", "head"}),
        ("all-but-head", {"head"}),
        ("all", set()),
    ],
)
def test_what_learns(model: DetectorModel, freeze: str, expected: set[str]) -> None:
    model.freeze(freeze)
    assert trainable(model) == expected


def test_names_of_blocks(model: DetectorModel) -> None:
    assert [name for name, _ in model.backbone.stages] == BLOCKS


def test_frozen_weights_and_statistics_do_not_move(model: DetectorModel) -> None:
    model.freeze("all-but-last-block")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimiser = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1, weight_decay=0.1)
    model.train()
    for _ in range(2):
        optimiser.zero_grad()
        model(torch.randn(4, 3, 64, 64) * 3 + 1).joints.square().sum().backward()
        optimiser.step()
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    frozen = ("backbone.body.conv1", "backbone.body.bn1", *(f"backbone.body.layer{n}" for n in (1, 2, 3)))
    assert not [name for name in changed if name.startswith(frozen)]
    assert any(name.startswith("backbone.body.layer4") and "running_mean" in name for name in changed)
    assert any(name.startswith("head") for name in changed)


def test_unfreezing_again(model: DetectorModel) -> None:
    model.freeze("all")
    model.freeze("none")
    model.train()
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert all(module.training for module in model.modules())


def test_stem_of_a_transformer_holds_its_embeddings() -> None:
    model = DetectorModel(DetectorSettings(backbone="vit_tiny_patch16_224", input_width=64, input_height=64))
    model.freeze("stem")
    fixed = {name.split(".")[3] for name, p in model.named_parameters() if not p.requires_grad}
    assert fixed == {"cls_token", "pos_embed", "patch_embed"}
    model.freeze("all-but-last-block")
    assert [n for n, p in model.backbone.named_parameters() if p.requires_grad and "blocks.11" not in n] == []
    assert model.backbone.stages[-1][0] == "blocks.11"


def test_a_backbone_without_a_stem() -> None:
    model = DetectorModel(DetectorSettings(backbone="vgg11", input_width=64, input_height=64))
    with pytest.raises(InputError, match=r"no stem apart from its blocks: freeze a block \(features_0"):
        model.freeze("stem")


def test_unknown_part(model: DetectorModel) -> None:
    with pytest.raises(
        InputError, match=r"nothing called 'layer9' can be frozen: choose one of none, stem, .*layer4"
    ):
        model.freeze("layer9")
