from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from evolift.detector2d.detection import DetectedJoints, detect_joints
from evolift.detector2d.model import DetectorModel, DetectorOutput
from evolift.detector2d.settings import DetectorSettings
from evolift.detector2d.soft_argmax import soft_argmax
from evolift.prediction.persons.person_search import (
    GRID,
    KEPT,
    STEPS,
    WINDOWS,
    box_of_joints,
    box_on_grid,
    find_person,
    search_windows,
)

SIDE = 64


class DotDetector(DetectorModel):
    """Stands for a detector: all joints are at the red dot of the crop, spread as the dot is; confident if it fills the crop well.

    Without a dot in the crop its heat map is flat. It counts the crops that it is shown.
    """

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.settings = DetectorSettings(
            backbone="test_resnet", padding=1.25, input_width=SIDE, input_height=SIDE
        )
        self.register_buffer("image_mean", torch.zeros(1))
        self.batch_sizes: list[int] = []

    def train(self, mode: bool = True) -> DotDetector:
        return self

    def scale_images(self, crops: Tensor) -> Tensor:
        return crops.float().permute(0, 3, 1, 2)

    def forward(self, images: Tensor, *, hard: bool = False) -> DetectorOutput:
        del hard
        self.batch_sizes.append(len(images))
        red = (images[:, 0] - images[:, 1]).clamp(min=0) > 100
        joints, confidence = [], []
        for mask in red:
            if not mask.any():
                joints.append(torch.zeros(17, 2))
                confidence.append(torch.full((17,), 0.02))
                continue
            rows, columns = torch.nonzero(mask, as_tuple=True)
            low = torch.stack([columns.min(), rows.min()]) / SIDE - 0.5
            high = torch.stack([columns.max() + 1, rows.max() + 1]) / SIDE - 0.5
            joints.append(low + (high - low) * torch.linspace(0, 1, 17)[:, None])
            fill = float((high - low).max())
            confidence.append(torch.full((17,), 0.5 - abs(fill - 0.8) / 2))
        heatmaps = torch.zeros(len(images), 17, 4, 4)
        return DetectorOutput(
            torch.stack(joints), torch.stack(confidence), heatmaps, soft_argmax(heatmaps).marginals
        )


def dotted(width: int, height: int, box: tuple[int, int, int, int]) -> np.ndarray:
    image = np.full((height, width, 3), 40, np.uint8)
    left, top, wide, high = box
    cv2.rectangle(image, (left, top), (left + wide - 1, top + high - 1), (250, 20, 20), -1)
    return image


@pytest.mark.parametrize("box", [(280, 100, 30, 40), (4, 200, 30, 36), (140, 90, 60, 60), (60, 30, 200, 180)])
def test_a_small_person_anywhere_is_found(box: tuple[int, int, int, int]) -> None:
    model = DotDetector()
    found = np.array(find_person(model, dotted(320, 240, box)))
    assert np.abs(found - np.array(box)).max() < 0.08 * max(box[2:]) + 1.5, found
    assert sum(model.batch_sizes) == 1 + len(WINDOWS) + sum(KEPT[:-1])
    assert len(model.batch_sizes) == len(KEPT)


def test_in_a_large_image_the_box_is_in_its_own_pixels() -> None:
    box = (2400, 300, 300, 420)
    found = np.array(find_person(DotDetector(), dotted(3000, 2000, box)))
    assert np.abs(found - np.array(box)).max() < 30, found
    joints = detect_joints(DotDetector(), dotted(3000, 2000, box), [found]).joints[0]
    assert np.abs(joints[-1] - [2700, 720]).max() < 15


def test_the_highest_confidence_over_all_rounds_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against the obvious loop over single crops, each candidate with its own history."""
    generator = torch.Generator().manual_seed(3)
    settings = DetectorSettings(
        backbone="test_resnet", padding=1.25, input_width=32, input_height=64, head="light", head_widths=(8,)
    )
    model = DetectorModel(settings).eval()
    with torch.no_grad():
        for weight in model.head.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator))
    image = np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8)
    candidates = [(0, box, 1.0) for box in search_windows(120, 90)]
    for kept in KEPT:
        seen = []
        for score, box, padding in candidates:
            one = detect_joints(model, image, [box], padding=padding)
            steps = round(STEPS * float(one.confidence.mean()))
            seen.append((score + steps, box_on_grid(box_of_joints(one.joints[0])), 1.25))
        candidates = sorted(seen, key=lambda entry: -entry[0])[:kept]
    np.testing.assert_allclose(find_person(model, image), candidates[0][1], atol=0.02)


def test_windows_reach_all_sides() -> None:
    boxes = np.array(search_windows(200, 100))
    assert len(boxes) == 1 + len(WINDOWS)
    assert boxes[:, :2].min() == -0.5
    assert (boxes[:, :2] + boxes[:, 2:]).max(0).tolist() == [199.5, 99.5]


def test_a_detector_that_cannot_tell_its_confidence_looks_at_the_whole_image() -> None:
    settings = DetectorSettings(
        backbone="test_resnet", padding=1.25, input_width=64, input_height=96, head="regression"
    )
    model = DetectorModel(settings)
    with torch.no_grad():
        model.head.linear.bias.copy_(torch.tensor([0.25, -0.25]).repeat(17))  # type: ignore[union-attr,operator]
        model.head.linear.weight.zero_()  # type: ignore[union-attr,operator]
    image = np.zeros((96, 64, 3), np.uint8)
    found = detect_joints(model, image, [find_person(model, image)])
    # First at (47.5, 23.5); each further round is at 2 x 2 pixels there, widened to 2 x 3.
    np.testing.assert_allclose(found.joints[0, 0], [47.5 + 3 * 0.25 * 2.5, 23.5 - 3 * 0.25 * 3.75], atol=1e-3)


def test_box_of_joints() -> None:
    assert box_of_joints(np.array([[3, 4], [9, 5]], np.float32)) == (3, 3.5, 6, 2)


def test_boxes_lie_on_a_grid_that_is_as_fine_as_they_are_small() -> None:
    generator = np.random.default_rng(0)
    for _ in range(300):
        left, top = generator.uniform(-500, 3000, 2)
        width, height = np.exp(generator.uniform(np.log(2), np.log(3000), 2))
        given = np.array([left, top, width, height])
        moved = np.array(box_on_grid(tuple(given)))
        step = 2.0 ** np.ceil(np.log2(max(width, height) / GRID))
        middle, wanted = moved[:2] + moved[2:] / 2, given[:2] + given[2:] / 2
        assert (np.abs(middle - wanted) <= step / 2).all()
        assert (moved[2:] > 0).all()
        assert (np.abs(moved[2:] - given[2:]) <= step).all()
        assert (np.mod(middle, step) == 0).all()
        assert (np.mod(moved[2:], step) == 0).all()


def test_a_difference_in_the_last_digits_does_not_change_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """As between one thread and two: joints by up to 1e-4 pixels, confidences by 1e-6."""
    image = np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8)
    model, noise = DotDetector(), np.random.default_rng(1)
    shapes = np.random.default_rng(2)
    people = [shapes.uniform(10, 80, (17, 2)) for _ in range(12)]

    def shaken(scale: float):
        def detect(model, image, boxes, *, padding):
            del model, image, padding
            chosen = [people[int(sum(box) * 7919) % 12] for box in boxes]
            joints = np.array(chosen) + scale * 1e-4 * noise.uniform(-1, 1, (len(boxes), 17, 2))
            same = np.full((len(boxes), 17), 0.3004) + scale * 1e-6 * noise.uniform(-1, 1, (len(boxes), 17))
            return DetectedJoints(joints.astype(np.float32), same.astype(np.float32), None)

        monkeypatch.setattr("evolift.prediction.persons.person_search.detect_joints", detect)
        return find_person(model, image)

    exact = shaken(0)
    assert all(shaken(1) == exact for _ in range(20))
