from __future__ import annotations

import re
import sys
import urllib.error
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.models import get_model, get_model_weights

from evolift.posedata.errors import InputError
from evolift.posedata.extras import install_command
from evolift.prediction.persons.person_boxes import (
    MODELS,
    Candidates,
    PersonDetector,
    TorchvisionCandidates,
    load_person_detector,
    load_torchvision,
)
from tests.prediction.persons.person_onnx_files import (
    Fixed,
    RedPatch,
    separate_outputs,
    write_onnx,
    yolo_output,
)

IMAGE = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)


def detector(*people: tuple[float, ...], **settings: float) -> PersonDetector:
    table = torch.tensor(people).reshape(-1, 5)
    return PersonDetector(lambda image: Candidates(table[:, :4], table[:, 4]), "test", **settings)


def test_boxes_are_pixels_of_the_image_from_left_to_right() -> None:
    found = detector((100, 10, 140, 90, 0.9), (20, 30, 50, 100, 0.6), (60, 0, 90, 120, 0.7))(IMAGE)
    np.testing.assert_allclose(
        found.boxes, [[19.5, 29.5, 30, 70], [59.5, -0.5, 30, 120], [99.5, 9.5, 40, 80]]
    )
    np.testing.assert_allclose(found.scores, [0.6, 0.7, 0.9])


def test_small_repeated_and_low_scored_boxes_are_left_out() -> None:
    people = (
        (20, 30, 50, 100, 0.8),
        (21, 31, 51, 99, 0.9),  # nearly the same, and surer
        (35, 30, 65, 100, 0.7),  # overlaps by a third: another person
        (90, 30, 120, 100, 0.49),
        (90, 30, 90.5, 100, 0.9),
        (170, 30, 190, 100, 0.9),  # outside the image
        (130, 30, 300, 300, 0.5),
    )
    boxes = detector(*people)(IMAGE).boxes
    np.testing.assert_allclose(
        boxes, [[20.5, 30.5, 30, 68], [34.5, 29.5, 30, 70], [129.5, 29.5, 30, 90]], atol=1e-4
    )
    assert len(detector(*people, min_score=0.4)(IMAGE).boxes) == 4
    best = detector(*people, max_people=2)(IMAGE)
    np.testing.assert_allclose(best.scores, [0.9, 0.7])
    assert detector()(IMAGE).boxes.shape == (0, 4)
    for settings in ({"min_score": 1.1}, {"min_score": float("nan")}, {"max_people": 0}):
        with pytest.raises(ValueError, match="min_score must be in"):
            detector(**settings)


def eager(name: str) -> nn.Module:
    """A detector of torchvision with random weights that takes almost anything for a person."""
    torch.manual_seed(0)
    model = get_model(name, weights=None, weights_backbone=None).eval()
    with torch.no_grad():
        if name.startswith("ssdlite"):
            for block in model.head.classification_head.module_list:
                block[1].bias.view(-1, 91)[:, 1] += 6
        else:
            model.roi_heads.box_predictor.cls_score.bias[1] += 6
    return model


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of the first model."""
    path = tmp_path_factory.mktemp("weights") / "first.pth"
    torch.save(eager(MODELS[0]).state_dict(), path)
    return path


@pytest.mark.parametrize("name", [MODELS[0], MODELS[3]])
def test_a_torchvision_model_with_given_weights_finds_what_the_library_finds(
    tmp_path: Path, name: str
) -> None:
    model = eager(name)
    torch.save(model.state_dict(), tmp_path / "w.pth")
    with torch.no_grad():
        answer = model([torch.from_numpy(IMAGE).permute(2, 0, 1) / 255])[0]
    expected = [
        [float(value) for value in box]
        for box, label, score in zip(answer["boxes"], answer["labels"], answer["scores"], strict=True)
        if label == 1 and score >= 0.5 and (box[2:] - box[:2]).min() >= 1
    ]
    assert len(expected) > 1
    find = load_person_detector(f"torchvision:{name}", weights=tmp_path / "w.pth")
    boxes = find(IMAGE).boxes + np.array([0.5, 0.5, 0, 0])
    found = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], 1)
    assert find.name == f"torchvision's {name}"
    assert 0 < len(found) <= len(expected)
    distances = np.abs(found[:, None] - np.array(expected)).max(-1)
    assert distances.min(1).max() < 1e-3  # each is one of the library's
    for box in expected:  # and of those that are missing, each overlaps one that is there
        low, high = np.maximum(found[:, :2], box[:2]), np.minimum(found[:, 2:], box[2:])
        shared = np.clip(high - low, 0, None).prod(1)
        areas = (found[:, 2:] - found[:, :2]).prod(1) + (box[2] - box[0]) * (box[3] - box[1])
        assert (shared / (areas - shared)).max() > 0.5


class Zoo(nn.Module):
    """Answers as torchvision's detectors do: a person, a dog, and a person."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        boxes = torch.tensor([[60.0, 5, 90, 70], [1, 2, 30, 40], [100, 5, 130, 70]])
        return [{"boxes": boxes, "labels": torch.tensor([1, 18, 1]), "scores": torch.tensor([0.9, 0.8, 0.7])}]


def test_only_people_are_taken_from_torchvision() -> None:
    found = TorchvisionCandidates(Zoo())(IMAGE)
    assert found.corners[:, 0].tolist() == [60, 100]
    assert found.scores.tolist() == pytest.approx([0.9, 0.7])


def test_weights_may_be_those_of_a_training_script_or_of_frozen_norms(weights: Path, tmp_path: Path) -> None:
    state = torch.load(weights, weights_only=True)
    torch.save({"model": state, "epoch": 3}, tmp_path / "script.pth")
    frozen = OrderedDict((key, value) for key, value in state.items() if "num_batches_tracked" not in key)
    assert len(frozen) < len(state)
    torch.save(frozen, tmp_path / "frozen.pth")
    for name in ("script", "frozen"):
        loaded = load_torchvision(MODELS[0], tmp_path / f"{name}.pth").state_dict()
        assert all(torch.equal(loaded[key], value) for key, value in frozen.items())


class Trap:
    """What a pickle of it would run."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("caught",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not weights", "holds more than tensors, or is damaged"),
        ([torch.zeros(3)], "holds no state dict"),
        ({}, "holds no state dict"),
        (Trap(), "holds more than tensors, or is damaged"),
        ({"head.weight": torch.zeros(3)}, f"does not fit torchvision's {MODELS[0]} (Missing key(s)"),
    ],
    ids=["text", "list", "empty", "code", "other"],
)
def test_weights_that_are_none_are_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: object, message: str
) -> None:
    path = tmp_path / "w.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(InputError) as caught:
        load_person_detector("torchvision", weights=path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "caught" not in capsys.readouterr().out


def test_weights_that_are_not_finite_are_refused(weights: Path, tmp_path: Path) -> None:
    state = torch.load(weights, weights_only=True)
    state["roi_heads.box_predictor.cls_score.bias"][0] = torch.nan
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(InputError, match=r"w\.pth holds weights that are not finite"):
        load_torchvision(MODELS[0], tmp_path / "w.pth")


def test_the_librarys_weights_are_downloaded_once_or_asked_for(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_network(*_: object, **__: object) -> object:
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr("torch.hub.urlopen", no_network)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    url = get_model_weights(MODELS[0]).DEFAULT.url
    with pytest.raises(InputError) as caught:
        load_person_detector("torchvision")
    assert (
        str(caught.value)
        == f"the weights of torchvision's {MODELS[0]} could not be had from {url} (Name or service not known): download them where there is a network, and give the file with `person_weights`"
    )
    assert capsys.readouterr().out == ""
    kept = tmp_path / "hub" / "checkpoints" / url.rpartition("/")[2]
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(weights.read_bytes())
    assert len(load_person_detector("torchvision")(IMAGE).boxes) > 0
    kept.write_bytes(b"cut off")
    with pytest.raises(InputError, match="could not be had"):
        load_person_detector("torchvision")


def test_every_model_that_can_be_chosen_has_weights_of_people() -> None:
    for name in MODELS:
        assert get_model_weights(name).DEFAULT.meta["categories"][1] == "person"
    with pytest.raises(InputError, match=f"choose one of {MODELS[0]}, "):
        load_person_detector("torchvision:yolo")


def test_a_choice_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("not a network")
    (tmp_path / "w.pth").write_bytes(b"")
    for choice in (tmp_path / "none.onnx", tmp_path / "w.pth", tmp_path):
        with pytest.raises(
            InputError, match="is no person detector: give torchvision, torchvision:MODEL, or"
        ):
            load_person_detector(str(choice))
    with pytest.raises(InputError, match=r"text\.onnx has its weights inside: leave out .*w\.pth"):
        load_person_detector(str(tmp_path / "text.onnx"), weights=tmp_path / "w.pth")
    pytest.importorskip("onnxruntime")
    with pytest.raises(InputError, match=r"text\.onnx is not an ONNX file that onnxruntime can load"):
        load_person_detector(str(tmp_path / "text.onnx"))


def test_without_onnxruntime_it_is_said_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "people.onnx").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(
        InputError, match=re.escape(f"the package onnxruntime is missing: {install_command('onnx')}")
    ):
        load_person_detector(str(tmp_path / "people.onnx"))


def test_separate_outputs_are_boxes_of_the_fitted_image(tmp_path: Path) -> None:
    """The input is 96 x 64; an image of 160 x 120 becomes 85 x 64 in it, after 5 grey columns."""
    people = ((6, 0, 48, 64, 0.9), (50, 8, 80, 60, 0.8), (50, 8, 80, 60, 0.95), (60, 0, 70, 9, 0.3))
    path = write_onnx(tmp_path / "p.onnx", Fixed(*separate_outputs(*people, labels=[1, 1, 17, 1])))
    found = load_person_detector(str(path))(IMAGE)
    scale = np.array([85 / 160, 64 / 120])
    low, size = np.array([[6, 0], [50, 8]]), np.array([[42, 64], [30, 52]])
    expected = np.concatenate([(low - [5, 0]) / scale - 0.5, size / scale], 1)
    np.testing.assert_allclose(found.boxes, expected, rtol=1e-5)
    np.testing.assert_allclose(found.scores, [0.9, 0.8])  # the surer box is a cat's
    without = write_onnx(tmp_path / "q.onnx", Fixed(*separate_outputs(*people)[::-1]))
    np.testing.assert_allclose(load_person_detector(str(without))(IMAGE).scores, [0.9, 0.95])


def test_a_yolo_table_is_boxes_of_the_fitted_image(tmp_path: Path) -> None:
    people = (
        (27, 32, 42, 64, 0.9, 0.1),
        (65, 34, 30, 52, 0.8, 0.2),
        (65, 34, 30, 52, 0.6, 0.7),
        (87, 10, 8, 9, 0.6, 0.7),  # rather of the other class
        (20, 20, 9, 9, 0.4, 0),
    )
    path = write_onnx(tmp_path / "p.onnx", Fixed(yolo_output(*people)))
    found = load_person_detector(str(path))(IMAGE)
    scale = np.array([85 / 160, 64 / 120])
    low, size = np.array([[6, 0], [50, 8]]), np.array([[42, 64], [30, 52]])
    np.testing.assert_allclose(
        found.boxes, np.concatenate([(low - [5, 0]) / scale - 0.5, size / scale], 1), rtol=1e-5
    )
    np.testing.assert_allclose(found.scores, [0.9, 0.8])


@pytest.mark.parametrize("layout", ["separate", "yolo"])
@pytest.mark.parametrize(
    ("shape", "is_dynamic"), [((1, 3, 64, 96), False), ((1, 3, 64, 96), True), ((3, 64, 96), True)]
)
def test_a_red_patch_is_found_where_it_is(
    tmp_path: Path, layout: str, shape: tuple[int, ...], is_dynamic: bool
) -> None:
    """Colours in order and from 0 to 1, and the way into the input and back: one edge is uncertain by a scaled pixel."""
    path = write_onnx(tmp_path / "p.onnx", RedPatch(layout), shape, is_dynamic=is_dynamic)
    find = load_person_detector(str(path))
    for height, width in ((480, 640), (500, 200), (700, 1300)):
        image = np.full((height, width, 3), 60, np.uint8)
        image[height // 4 : height // 2, width // 8 : width // 2] = [230, 20, 20]
        found = find(image)
        expected = [width // 8 - 0.5, height // 4 - 0.5, width // 2 - width // 8, height // 2 - height // 4]
        uncertain = (
            0.01
            if is_dynamic and layout == "separate"
            else 2.5
            if is_dynamic
            else max(height / 64, width / 96)
        )
        np.testing.assert_allclose(found.boxes, [expected], atol=uncertain)
        assert find(image[..., ::-1]).boxes.shape == (0, 4)


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ([torch.zeros(1, 20, 6)], "has the outputs "),  # YOLOv5, v10: the other way round
        ([torch.zeros(5, 4)], "export it with boxes (N, 4), scores (N,)"),
        ([torch.zeros(5, 4), torch.zeros(4)], "export it with boxes (N, 4), scores (N,)"),
        ([torch.zeros(5, 4), torch.zeros(5), torch.zeros(5)], "export it with boxes (N, 4)"),
        ([torch.zeros(1, 6, 20), torch.zeros(1, 32, 16, 16)], "export it with boxes (N, 4)"),  # masks
        ([7 + yolo_output()], "gives scores from 7 to 7: export a detector of boxes alone"),  # YOLOv8-pose
        ([torch.zeros(5, 4), torch.full((5,), torch.nan)], "boxes or scores that are not finite"),
    ],
    ids=["turned", "boxes", "lengths", "scores", "masks", "poses", "nan"],
)
def test_outputs_of_other_layouts_are_one_sentence(
    tmp_path: Path, outputs: list[Tensor], message: str
) -> None:
    path = write_onnx(tmp_path / "p.onnx", Fixed(*outputs))
    with pytest.raises(InputError) as caught:
        load_person_detector(str(path))(IMAGE)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize("shape", [(2, 3, 64, 96), (1, 64, 96, 3), (1, 1, 64, 96), (64, 96)])
def test_inputs_of_other_shapes_are_one_sentence(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = write_onnx(tmp_path / "p.onnx", Fixed(*separate_outputs((1, 2, 3, 4, 0.5))), shape)
    with pytest.raises(
        InputError, match=r"export it with one input, float, of shape \(1, 3, height, width\)"
    ):
        load_person_detector(str(path))
