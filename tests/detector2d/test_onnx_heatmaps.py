from __future__ import annotations

import copy
import importlib.util
from collections.abc import Callable

import pytest
import torch
from torch import nn

from evolift.detector2d.deconvolution_head import LightHead
from evolift.detector2d.folded_detector import folded
from evolift.detector2d.model import DetectorModel
from evolift.detector2d.onnx_heatmaps import OnnxHeatmaps, use_onnxruntime
from evolift.posedata.errors import InputError
from tests.settled_networks import settled_detector

KNOWN: dict[str, object] = {"backbone": "tf_efficientnet_lite0", "input_width": 96, "input_height": 64}


@pytest.fixture(scope="module")
def detector() -> DetectorModel:
    return settled_detector(**KNOWN)


def assert_alike(first: DetectorModel, second: DetectorModel, images: torch.Tensor) -> None:
    with torch.no_grad():
        one, other = first(images), second(images)
    size = float(one.heatmaps.abs().max())
    assert float(one.heatmaps.std()) > size / 100  # something is seen
    torch.testing.assert_close(other.heatmaps, one.heatmaps, rtol=0, atol=1e-4 * size)
    torch.testing.assert_close(other.joints, one.joints, rtol=0, atol=1e-5)
    torch.testing.assert_close(other.confidence, one.confidence, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"backbone": "tf_efficientnet_lite2", "decoding": "mode"},
        {"head_widths": (24,), "input_width": 160, "input_height": 160},
    ],
)
def test_heatmaps_are_those_of_torch(settings: dict[str, object]) -> None:
    detector = settled_detector(**KNOWN | settings)
    fast = use_onnxruntime(folded(detector))
    assert isinstance(fast.head, OnnxHeatmaps)
    width, height = detector.settings.size
    for batch in (1, 3, 1):
        images = torch.randn(batch, 3, height, width)
        assert_alike(detector, fast, images)
        assert_alike(detector, fast, images.contiguous(memory_format=torch.channels_last))


def test_the_detector_as_it_was_trained_stays_what_it_is(detector: DetectorModel) -> None:
    before = {name: value.clone() for name, value in detector.state_dict().items()}
    use_onnxruntime(folded(detector))
    torch.testing.assert_close(detector.state_dict(), before, rtol=0, atol=0)


def test_a_copy_answers_by_a_session_of_its_own(detector: DetectorModel) -> None:
    fast = use_onnxruntime(folded(detector))
    images = torch.randn(2, 3, 64, 96)
    fast(images)
    other = copy.deepcopy(fast)
    assert_alike(fast, other, images)
    assert other.head._session is not fast.head._session


def _without_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


def _nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """All is there."""


@pytest.mark.parametrize(
    ("settings", "change"),
    [
        ({}, _without_packages),
        ({"backbone": "resnet10t"}, _nothing),
        ({"head": "deconvolution", "head_widths": (16, 16, 16)}, _nothing),
        ({"depth_bins": 8}, _nothing),
    ],
)
def test_what_onnxruntime_does_not_know_stays_with_torch(
    settings: dict[str, object],
    change: Callable[[pytest.MonkeyPatch], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    detector = settled_detector(**KNOWN | settings)
    change(monkeypatch)
    kept = folded(detector)
    before = (kept.backbone, kept.head)
    assert use_onnxruntime(kept) is kept
    assert (kept.backbone, kept.head) == before


def test_a_layer_that_no_such_detector_has_is_not_left_out(detector: DetectorModel) -> None:
    fast = folded(detector)
    body, head = fast.backbone.body, fast.head
    assert isinstance(head, LightHead)
    head.smoothings[0].append(nn.Sigmoid())
    with pytest.raises(TypeError, match="Sigmoid is no layer"):
        OnnxHeatmaps(body, head)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="BatchNorm2d is no layer"):
        use_onnxruntime(detector)


def test_a_broken_installation_is_one_sentence(
    detector: DetectorModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    with pytest.raises(InputError, match="onnxruntime is missing"):
        use_onnxruntime(folded(detector))
