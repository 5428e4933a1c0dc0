from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from evolift.detector2d.evaluation import (
    AUC_FRACTIONS,
    Detections,
    detect_in_batches,
    evaluate_detector,
    score_detections,
)
from evolift.detector2d.evaluation_settings import DetectorEvaluationSettings
from evolift.detector2d.flip_test import detect_crops
from evolift.detector2d.image_source import read_source
from evolift.detector2d.model import DetectorModel
from evolift.detector2d.samples import CropSettings, batches_in_order
from evolift.detector2d.settings import Decoding, DetectorSettings
from evolift.posedata.skeleton import H36M17
from tests.settled_networks import settled_detector


@pytest.fixture
def model() -> DetectorModel:
    torch.manual_seed(0)
    settings = DetectorSettings(
        backbone="test_resnet", input_width=64, input_height=64, depth_bins=4, head_widths=(8, 8, 8)
    )
    model = DetectorModel(settings).eval()
    torch.nn.init.normal_(model.head.last.weight, std=3.0)  # type: ignore[union-attr,arg-type]
    return model


@pytest.fixture
def perfect() -> Detections:
    generator = torch.Generator().manual_seed(0)
    truth = torch.rand(4, 17, 2, generator=generator) * 100
    visibility = torch.full((4, 17), 2, dtype=torch.uint8)
    visibility[:, 3] = 0
    joints_3d = torch.randn(4, 17, 3, generator=generator) * 300
    has_3d = torch.tensor([True, True, False, True])
    return Detections(
        torch.arange(4),
        truth.clone(),
        truth,
        torch.ones(4, 17),
        visibility,
        joints_3d[..., 2].clone(),
        joints_3d,
        has_3d,
    )


def test_perfect_detections(perfect: Detections) -> None:
    table = score_detections(perfect, H36M17, head_size=torch.full((4,), 60.0)).set_index("name")
    for column, best in (("pck_0.2", 1), ("pckh_0.5", 1), ("auc", 1), ("error", 0), ("depth_error", 0)):
        assert table.loc["overall", column] == best
        assert np.isnan(table.loc["right_ankle", column])


def test_scores_against_plain_counting(perfect: Detections) -> None:
    moved = perfect.truth + torch.randn(4, 17, 2, generator=torch.Generator().manual_seed(1)) * 15
    found = dataclasses.replace(perfect, joints=moved, depth=perfect.joints_3d[..., 2] + 40)
    head = torch.tensor([40.0, 60.0, torch.nan, 25.0])  # NaN: that row does not count
    table = score_detections(found, H36M17, head_size=head).set_index("name")
    torso = torch.linalg.vector_norm(found.truth[:, 11] - found.truth[:, 1], dim=-1)
    away = torch.linalg.vector_norm(moved - found.truth, dim=-1)
    knee = H36M17.index("left_knee")
    assert table.loc["left_knee", "pck_0.2"] == pytest.approx(
        float((away[:, knee] <= 0.2 * torso).double().mean())
    )
    assert table.loc["left_knee", "pckh_0.5"] == pytest.approx(
        float((away[[0, 1, 3], knee] <= 0.5 * head[[0, 1, 3]]).double().mean())
    )
    assert score_detections(found, H36M17)["pckh_0.5"].isna().all()
    curve = [float((away[:, knee] <= f * torso).double().mean()) for f in AUC_FRACTIONS]
    assert table.loc["left_knee", "auc"] == pytest.approx(np.mean(curve))
    assert table.loc["overall", "depth_error"] == pytest.approx(40, rel=1e-5)


def test_precisions_are_there_where_boxes_are(perfect: Detections) -> None:
    box = torch.tensor([[0.0, 0.0, 100.0, 100.0]]).repeat(4, 1)
    assert not any(column.startswith("oks") for column in score_detections(perfect, H36M17))
    table = score_detections(perfect, H36M17, box=box).set_index("name")
    assert table.loc["overall", ["oks_ap", "oks_ap50", "oks_ap75"]].tolist() == [1, 1, 1]
    assert table["oks_ap"].count() == 1
    # A knee (k = 2 * 0.087) is 20 px off in a person of 0.53 * 100 * 100 square pixels: exp(-20^2 / (2 * 5300 * 0.174^2)) = 0.288.
    moved = perfect.truth.clone()
    moved[0, H36M17.index("left_knee"), 0] += 20
    found = dataclasses.replace(perfect, joints=moved)
    table = score_detections(found, H36M17, box=box).set_index("name")
    # 11 of the 12 scored joints are labelled: OKS is (10 + 0.288) / 11 = 0.935, which is wrong at 0.95 only.

    assert table.loc["overall", "oks_ap75"] == 1
    assert 0.9 < table.loc["overall", "oks_ap"] < 1


def test_detections_are_in_pixels_of_the_images(model: DetectorModel, image_store: Path) -> None:
    source = read_source(image_store, H36M17)
    loader = batches_in_order([source], CropSettings((64, 64), H36M17), 5)
    advanced: list[int] = []
    found = detect_in_batches(model, loader, progress=advanced.append)
    assert advanced == [5, 5, 2]
    np.testing.assert_allclose(found.truth.numpy(), source.joints_2d, atol=1e-4)
    assert found.row.tolist() == list(range(12))
    assert found.depth is not None
    # Crops of different boxes give different pixels: the crop's middle lies at the box's middle.
    with torch.no_grad():
        for parameter in model.head.parameters():
            parameter.zero_()
    middle = detect_in_batches(model, loader).joints[:, 0].numpy()
    np.testing.assert_allclose(middle, source.boxes[:, :2] + source.boxes[:, 2:] / 2, atol=1e-3)


def test_reduced_precision_and_layout(model: DetectorModel, image_store: Path) -> None:
    for weight in model.head.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    plain, _ = evaluate_detector(model, image_store, DetectorEvaluationSettings(channels_last=False))
    last, _ = evaluate_detector(model, image_store)
    assert "oks_ap" in last
    half, _ = evaluate_detector(model, image_store, DetectorEvaluationSettings(precision="bf16-mixed"))
    np.testing.assert_allclose(last["error"], plain["error"], rtol=1e-4)
    np.testing.assert_allclose(half["error"], plain["error"], rtol=0.1)
    assert not np.array_equal(half["error"], plain["error"])


@pytest.mark.parametrize("decoding", ["expectation", "mode"])
def test_mirrored_crop_gives_the_mirrored_answer(decoding: Decoding) -> None:
    model = settled_detector(depth_bins=8, decoding=decoding)
    images = torch.randn(2, 3, 64, 64)
    joints, confidence = detect_crops(model, images, flip_test=True)[:2]
    mirrored, mirrored_confidence = detect_crops(model, images.flip(-1), flip_test=True)[:2]
    order = list(H36M17.mirror)
    torch.testing.assert_close(mirrored[:, order] * torch.tensor([-1.0, 1, 1]), joints)
    torch.testing.assert_close(mirrored_confidence[:, order], confidence)
    assert not torch.allclose(joints, detect_crops(model, images)[0])


def test_flip_test_of_expectations_is_their_mean(model: DetectorModel) -> None:
    images = torch.randn(2, 3, 64, 64)
    order = list(H36M17.mirror)
    mirrored = model.eval()(images.flip(-1)).joints[:, order] * torch.tensor([-1.0, 1, 1])
    joints = detect_crops(model, images, flip_test=True).joints
    torch.testing.assert_close(joints, (model(images).joints + mirrored) / 2)


def test_flip_test_of_modes_takes_one_of_two_places(
    model: DetectorModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As seen, the joint is at the left; mirrored, it is less surely at the right of the image as seen."""
    model = model.adapted(decoding="mode").eval()
    as_seen, mirrored = (torch.full((1, 17, 16, 16, 16), -20.0) for _ in range(2))
    as_seen[..., 8, 3], mirrored[..., 8, 3] = 9, 2
    maps = iter([as_seen, mirrored])
    monkeypatch.setattr(model, "forward", lambda images, hard: model.decoded(next(maps), hard=hard))
    joints = detect_crops(model, torch.zeros(1, 3, 64, 64), flip_test=True).joints
    torch.testing.assert_close(joints[..., 0], torch.full((1, 17), 3.5 / 16 - 0.5), atol=1e-4, rtol=0)


def test_evaluation_of_photographs_has_no_depth_scores(photograph_store: Path) -> None:
    model = DetectorModel(
        DetectorSettings(backbone="test_resnet", input_width=64, input_height=64, head="light")
    )
    table, _ = evaluate_detector(model, photograph_store, DetectorEvaluationSettings(batch_size=3))
    assert "depth_error" not in table
    assert "oks_ap" not in table  # it has no boxes
    assert table.set_index("name").loc["overall", "labelled"] == 8 * 15  # 17 without nose and left wrist
    assert np.isnan(table.set_index("name").loc["nose", "pck_0.2"])
