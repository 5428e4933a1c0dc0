from __future__ import annotations

import importlib.util
import logging
import re
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from evolift.detector2d.backbone import (
    WEIGHT_FILES,
    build_backbone,
    packaged_weights,
    read_weights,
)
from evolift.detector2d.model import DetectorModel
from evolift.detector2d.settings import DetectorSettings
from evolift.detector2d.soft_argmax import hard_argmax, soft_argmax
from evolift.posedata.errors import CheckpointError, InputError
from evolift.posedata.extras import install_command
from evolift.posedata.image_file import decode_image
from evolift.posedata.skeleton import H36M17, LSP14
from evolift.training.checkpoint import Checkpoint, save_checkpoint

LITE0 = "tf_efficientnet_lite0"
TINY = {"backbone": "test_resnet", "input_width": 64, "input_height": 96, "head_widths": (8, 8, 8)}


def tiny(**changes: object) -> DetectorModel:
    return DetectorModel(DetectorSettings(**{**TINY, **changes}))  # type: ignore[arg-type]


@pytest.mark.parametrize("backbone", ["test_resnet", "mobilenetv3_small_050"])
@pytest.mark.parametrize("head", ["deconvolution", "light", "regression"])
@pytest.mark.parametrize("depth_bins", [1, 5])
def test_shapes(backbone: str, head: str, depth_bins: int) -> None:
    model = tiny(backbone=backbone, head=head, depth_bins=depth_bins, skeleton=LSP14).eval()
    output = model(torch.randn(2, 3, 96, 64))
    dimensions = 2 if depth_bins == 1 else 3
    assert output.joints.shape == (2, 14, dimensions)
    assert output.confidence.shape == (2, 14)
    if head == "regression":
        assert output.heatmaps is None
        return
    assert output.heatmaps.shape == ((2, 14, 24, 16) if depth_bins == 1 else (2, 14, 5, 24, 16))
    torch.testing.assert_close(output.joints, soft_argmax(output.heatmaps, dimensions).positions)
    hard = model(torch.randn(2, 3, 96, 64), hard=True)
    torch.testing.assert_close(hard.joints, hard_argmax(hard.heatmaps, dimensions).positions)


def test_channels_last_gives_the_same_joints() -> None:
    model = tiny(depth_bins=3).eval()
    torch.nn.init.normal_(model.head.last.weight, std=3.0)  # type: ignore[union-attr,arg-type]
    images = torch.randn(2, 3, 96, 64)
    expected = model(images).joints
    model.to(memory_format=torch.channels_last)
    found = model(images.contiguous(memory_format=torch.channels_last)).joints
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_alexnet_as_a_detector() -> None:
    output = tiny(backbone="alexnet", head="light").eval()(torch.randn(1, 3, 96, 64))
    assert output.heatmaps.shape == (1, 17, 24, 16)


def test_published_head_is_as_published() -> None:
    model = tiny(backbone="resnet18", head_widths=(256, 256, 256), depth_bins=4)
    kinds = [
        (m.kernel_size, m.stride, m.out_channels) for m in model.head.deconvolutions if hasattr(m, "stride")
    ]  # type: ignore[union-attr]
    assert kinds == [((4, 4), (2, 2), 256)] * 3
    assert model.head.last.weight.shape == (17 * 4, 256, 1, 1)  # type: ignore[union-attr]
    assert model.head.last.weight.std().item() == pytest.approx(0.001, rel=0.05)  # type: ignore[union-attr,operator]
    assert model.head.deconvolutions[0].weight.std().item() == pytest.approx(0.001, rel=0.01)  # type: ignore[union-attr,index,operator]


def test_untrained_detector_points_to_the_middle() -> None:
    output = tiny().eval()(torch.randn(1, 3, 96, 64))
    assert output.joints.abs().max() < 0.01


def test_depth_channels_are_per_joint() -> None:
    model = tiny(depth_bins=4).eval()
    with torch.no_grad():
        model.head.last.bias[5 * 4 + 3] = 500.0  # type: ignore[union-attr,index,operator]
    joints = model(torch.randn(1, 3, 96, 64)).joints[0]
    assert joints[5, 2].item() == pytest.approx(3.5 / 4 - 0.5)
    assert joints[[4, 6], 2].abs().max() < 0.05


def test_alexnet_cells_are_centred_on_the_crop() -> None:
    backbone = build_backbone("alexnet").eval()
    for parameter in backbone.parameters():
        torch.nn.init.constant_(parameter, 0.01)
    layers = backbone.body.features
    assert isinstance(layers, torch.nn.Sequential)
    for number, layer in enumerate(layers):
        if isinstance(layer, torch.nn.MaxPool2d):  # a mean has a symmetric field of view, a maximum has not
            layers[number] = torch.nn.AvgPool2d(3, 2)
    image = torch.ones(1, 3, 256, 256, requires_grad=True)
    (features,) = backbone(image)
    assert features.shape[-2:] == (8, 8)
    for cell in (3, 4):
        (gradient,) = torch.autograd.grad(features[0, 0, cell, cell], image, retain_graph=True)
        seen = gradient[0, 0].abs().sum(0)
        centre = (seen * torch.arange(256)).sum() / seen.sum()
        assert centre.item() == pytest.approx(32 * cell + 15, abs=0.1)


@pytest.mark.parametrize("size", [(60, 96), (64, 100)])
def test_size_must_be_multiple_of_the_stride(size: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="must be multiples of 32, the stride of the backbone"):
        tiny(input_width=size[0], input_height=size[1])


def test_backbone_that_gives_no_pyramid() -> None:
    with pytest.raises(InputError, match=r"feature maps for 96x96 images have shapes .* are needed"):
        tiny(backbone="inception_v3", input_width=96, input_height=96)
    with pytest.raises(InputError, match="must be multiples of 14, the stride of the backbone"):
        tiny(backbone="vit_small_patch14_dinov2")


@pytest.mark.parametrize(
    ("name", "strides"),
    [
        (
            "swin_tiny_patch4_window7_224",
            (4, 8, 16, 32),
        ),  # fixed input size, channels last, buffers outside the state
        ("vit_tiny_patch16_224", (16, 16, 16)),  # fixed input size, all maps of one stride
        ("coat_tiny", (4, 8, 16, 32)),  # modules that are shared
        ("mambaout_femto", (4, 8, 16, 32)),  # channels last
    ],
)
def test_transformers_and_channels_last(name: str, strides: tuple[int, ...]) -> None:
    backbone = build_backbone(name, size=(64, 96)).eval()
    backbone.check_input(64, 96)
    features = backbone(torch.zeros(1, 3, 96, 64))
    assert backbone.strides == strides
    assert [tuple(feature.shape) for feature in features] == [
        (1, channels, 96 // stride, 64 // stride)
        for channels, stride in zip(backbone.channels, strides, strict=True)
    ]


def test_channels_last_maps_against_timm() -> None:
    backbone = build_backbone("mambaout_femto", size=(64, 64)).eval()
    image = torch.randn(1, 3, 64, 64)
    for found, expected in zip(backbone(image), backbone.body(image), strict=True):
        assert torch.equal(found[0, :, 1, 0], expected[0, 1, 0])


def test_the_regression_head_has_no_heatmaps() -> None:
    with pytest.raises(InputError, match="leave `heatmap_dropout` at 0"):
        tiny(head="regression", heatmap_dropout=0.1)
    with pytest.raises(InputError, match="no heatmaps whose largest cell"):
        tiny(head="regression")(torch.zeros(1, 3, 96, 64), hard=True)


def test_parameters_that_no_joint_depends_on() -> None:
    model = tiny(backbone="hrnet_w18_small", input_width=64, input_height=64)
    model.freeze_unused()
    learning = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert 0 < len(learning) < len(list(model.parameters()))
    model(torch.randn(2, 3, 64, 64)).joints.square().sum().backward()
    assert all(parameter.grad is not None for parameter in learning.values())
    assert any("incre_modules" in name for name in dict(model.named_parameters()).keys() - learning.keys())


def test_unknown_backbone_suggests_others() -> None:
    with pytest.raises(InputError, match="timm has no model 'resnet5': did you mean"):
        tiny(backbone="resnet5")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"depth_bins": 0}, "`depth_bins` must be a whole number of at least 1 and at most 1024, not 0"),
        ({"head": "x"}, "`head` must be one of deconvolution, light, regression, not 'x'"),
        ({"feature_dropout": 1.0}, "`feature_dropout` must be a number of at least 0 and below 1, not 1.0"),
        ({"head_widths": ()}, "`head_widths` must be one number or more"),
        ({"input_width": 16}, "`input_width` must be a whole number of at least 32 and at most 4096, not 16"),
    ],
)
def test_bad_settings(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        DetectorSettings(**{**TINY, **wrong})  # type: ignore[arg-type]


def test_dropout_only_in_training() -> None:
    model = tiny(feature_dropout=0.5, heatmap_dropout=0.5)
    torch.nn.init.normal_(model.head.last.weight)  # type: ignore[union-attr,arg-type]
    images = torch.randn(2, 3, 96, 64)
    model.train()
    assert not torch.equal(model(images).joints, model(images).joints)
    model.eval()
    assert torch.equal(model(images).joints, model(images).joints)


def test_scaling_of_images() -> None:
    model = tiny(backbone="mobilenetv3_small_050")
    images = torch.randint(0, 256, (1, 96, 64, 3), dtype=torch.uint8)
    scaled = model.scale_images(images)
    expected = (images[0, 5, 7].float() / 255 - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor(
        [0.229, 0.224, 0.225]
    )
    torch.testing.assert_close(scaled[0, :, 5, 7], expected)


@pytest.mark.parametrize("head", ["deconvolution", "light", "regression"])
def test_checkpoint_gives_the_same_model(tmp_path: Path, head: str) -> None:
    model = tiny(head=head, depth_bins=3).eval()
    model.image_mean += 0.1  # as if its weights had another scaling
    model.save(tmp_path / "d.safetensors", {"note": "x"})
    again = DetectorModel.load(tmp_path / "d.safetensors")
    assert again.settings == model.settings
    assert not again.training
    torch.testing.assert_close(again.image_mean, model.image_mean)
    images = torch.randn(1, 3, 96, 64)
    assert torch.equal(again(images).joints, model(images).joints)


def test_checkpoint_of_other_settings(tmp_path: Path) -> None:
    model = tiny()
    settings = model.settings.to_dict() | {"depth_bins": 7}
    save_checkpoint(
        tmp_path / "d.safetensors", Checkpoint("detector", dict(model.state_dict()), settings, {})
    )
    with pytest.raises(
        CheckpointError, match=r"d\.safetensors: tensor '.*' is missing, unknown or of another"
    ):
        DetectorModel.load(tmp_path / "d.safetensors")
    save_checkpoint(
        tmp_path / "typed.safetensors", Checkpoint("detector", {}, settings | {"padding": "wide"}, {})
    )
    with pytest.raises(
        CheckpointError,
        match=r"typed\.safetensors: DetectorSettings: `padding` must be a number above 0, not 'wide'",
    ):
        DetectorModel.load(tmp_path / "typed.safetensors")
    del settings["head"]
    save_checkpoint(tmp_path / "e.safetensors", Checkpoint("detector", {}, settings, {}))
    with pytest.raises(CheckpointError, match="DetectorSettings must have exactly backbone"):
        DetectorModel.load(tmp_path / "e.safetensors")


def test_weights_from_a_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("test_resnet", "test_efficientnet", "test_convnext"):
        classifier = timm.create_model(name, num_classes=7)
        save_file(classifier.state_dict(), tmp_path / "w.safetensors")
        with caplog.at_level(logging.WARNING):
            backbone = build_backbone(name, str(tmp_path / "w.safetensors")).eval()
        images = torch.randn(1, 3, 64, 64)
        reference = classifier.eval().forward_intermediates(images, intermediates_only=True)[-1]
        torch.testing.assert_close(backbone(images)[-1], reference)
    assert not caplog.records
    torch.save(
        {"state_dict": {f"module.{k}": v for k, v in classifier.state_dict().items()}}, tmp_path / "w.pth"
    )
    torch.testing.assert_close(build_backbone(name, str(tmp_path / "w.pth")).eval()(images)[-1], reference)


@pytest.mark.parametrize("name", list(WEIGHT_FILES))
def test_weights_of_the_package_know_what_photographs_show(name: str, data_folder: Path) -> None:
    """LSPET is full of gymnasts: a third of its images are beams and bars to a classifier of 1000 classes."""
    # An import would hide the package of this name that another test makes.
    if importlib.util.find_spec(WEIGHT_FILES[name].partition("/")[0]) is None:
        pytest.skip(f"the package with the weights of {name} is not installed")
    weights = read_weights(packaged_weights(name))
    classifier = timm.create_model(name).eval()
    classifier.load_state_dict(dict(zip(classifier.state_dict(), weights.values(), strict=True)))
    scaling = build_backbone(name, "package").scaling
    mean, std = torch.tensor(scaling.mean), torch.tensor(scaling.std)
    with zipfile.ZipFile(data_folder / "lspet_subset.zip") as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))[3600:3660]
        photographs = [cv2.resize(decode_image(archive.read(name), name), (224, 224)) for name in names]
    images = ((torch.from_numpy(np.stack(photographs)) / 255 - mean) / std).permute(0, 3, 1, 2)
    with torch.no_grad():
        found = classifier(images).argmax(-1)
    gymnastics = torch.tensor([416, 602, 702])  # balance beam, horizontal bar, parallel bars
    assert float(torch.isin(found, gymnastics).float().mean()) > 0.25


def test_weights_of_another_architecture(tmp_path: Path) -> None:
    save_file(timm.create_model("test_efficientnet").state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(
        InputError, match=r"the pretrained weights are not of test_resnet: the file lacks 'conv1.0.weight'"
    ):
        build_backbone("test_resnet", str(tmp_path / "w.safetensors"))
    with pytest.raises(InputError, match=r"not of alexnet: the file lacks 'features.0.weight'"):
        build_backbone("alexnet", str(tmp_path / "w.safetensors"))


def test_weight_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"pretrained weights 'nowhere' are not a file: give \"none\", \"library\""
    ):
        build_backbone("test_resnet", "nowhere")
    (tmp_path / "w.pth").write_bytes(b"no weights")
    with pytest.raises(InputError, match=r"w\.pth (is not a readable weight file|holds more than tensors)"):
        build_backbone("test_resnet", str(tmp_path / "w.pth"))
    torch.save({"a": print}, tmp_path / "code.pth")
    with pytest.raises(InputError, match=r"code\.pth holds more than tensors"):
        build_backbone("test_resnet", str(tmp_path / "code.pth"))
    with pytest.raises(InputError, match='pretrained "package" is for the backbones tf_efficientnet_lite0'):
        build_backbone("test_resnet", "package")


def test_weights_of_the_python_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The real package holds 19 MB; this one has its layout: the same tensors in timm's order under other names.
    classifier = timm.create_model(LITE0)
    file = tmp_path / WEIGHT_FILES[LITE0]
    file.parent.mkdir(parents=True)
    (file.parents[1] / "__init__.py").write_text("")
    named = {f"_other.{number}": value for number, value in enumerate(classifier.state_dict().values())}
    torch.save(named, file)
    monkeypatch.syspath_prepend(tmp_path)
    model = tiny(backbone=LITE0, head="light")
    trained = DetectorModel(model.settings, "package").eval()
    images = torch.randn(1, 3, 96, 64)
    reference = classifier.eval().forward_intermediates(images, intermediates_only=True)[-1]
    torch.testing.assert_close(trained.backbone(images)[-1], reference)
    pixel = trained.scale_images(torch.full((1, 2, 2, 3), 191, dtype=torch.uint8))
    torch.testing.assert_close(pixel, torch.full((1, 3, 2, 2), (191 - 127) / 128))
    torch.save(dict(list(named.items())[:-3]), file)
    with pytest.raises(
        InputError, match="the pretrained weights are not of tf_efficientnet_lite0: the file has 293"
    ):
        DetectorModel(model.settings, "package")


def test_package_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=re.escape(f"is not installed: {install_command('pretrained')}")):
        build_backbone(LITE0, "package")


def test_skeleton_decides_the_joints() -> None:
    assert tiny().head.last.out_channels == len(H36M17)  # type: ignore[union-attr]
    assert tiny(skeleton=LSP14).head.last.out_channels == 14  # type: ignore[union-attr]
