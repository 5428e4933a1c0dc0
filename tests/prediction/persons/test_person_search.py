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
from evolift.posedata.skeleton import H36M17
from evolift.prediction.persons.person_search import (
    KEPT,
    MIN_CONFIDENCE,
    QUARTER_TURNS,
    STEPS,
    WINDOWS,
    find_people,
    find_person,
    search_windows,
    view_in_box,
)
from evolift.prediction.persons.person_view import PersonView, view_of_joints

SIDE = 64
UPRIGHT = torch.tensor(
    [
        (0.5, 0.5), (0.4, 0.5), (0.3, 0.75), (0, 1), (0.6, 0.5), (0.7, 0.75), (1, 1), (0.5, 0.4), (0.5, 0.25),
        (0.5, 0.1), (0.5, 0), (0.7, 0.25), (0.9, 0.4), (1, 0.5), (0.3, 0.25), (0.1, 0.4), (0, 0.5),
    ]
)  # fmt: skip
"""Where the joints of H36M17 are in the box of a person (across, down)."""


class DotDetector(DetectorModel):
    """Stands for a detector: a person is a red dot, upright in its box; confident if the largest one fills the crop well.

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
        side = images.shape[-1]
        red = (images[:, 0] - images[:, 1]).clamp(min=0) > 100
        joints, confidence = [], []
        for mask in red:
            if not mask.any():
                joints.append(torch.zeros(17, 2))
                confidence.append(torch.full((17,), 0.02))
                continue
            _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.numpy().astype(np.uint8))
            largest = torch.from_numpy(labels == 1 + stats[1:, cv2.CC_STAT_AREA].argmax())
            rows, columns = torch.nonzero(largest, as_tuple=True)
            low = torch.stack([columns.min(), rows.min()]) / side - 0.5
            high = torch.stack([columns.max() + 1, rows.max() + 1]) / side - 0.5
            joints.append(low + (high - low) * UPRIGHT)
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
    found = np.array(find_person(model, dotted(320, 240, box)).bounds)
    assert np.abs(found - np.array(box)).max() < 0.08 * max(box[2:]) + 1.5, found
    assert model.batch_sizes == [len(QUARTER_TURNS) + len(WINDOWS), *KEPT]


def test_in_a_large_image_the_box_is_in_its_own_pixels() -> None:
    box = (2400, 300, 300, 420)
    view = find_person(DotDetector(), dotted(3000, 2000, box))
    assert np.abs(np.array(view.bounds) - np.array(box)).max() < 30, view
    joints = detect_joints(DotDetector(), dotted(3000, 2000, box), [view.box], angles=[view.angle]).joints[0]
    assert np.abs(joints[H36M17.index("left_ankle")] - [2700, 720]).max() < 15


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
    whole, *windows = search_windows(120, 90)
    turned = (14.5, -15.5, 90.0, 120.0)  # the whole image along the sides of a crop that lies on its side
    looks = [(whole, 0.0), (turned, 90.0), (whole, 180.0), (turned, 270.0), *((box, 0.0) for box in windows)]
    candidates = [(0, PersonView(box, np.radians(angle)), 1.0, (32, 32)) for box, angle in looks]
    for kept in (*KEPT, 1):
        seen = []
        for score, view, padding, size in candidates:
            one = detect_joints(model, image, [view.box], angles=[view.angle], padding=padding, size=size)
            steps = round(STEPS * float(one.confidence.mean()))
            seen.append(
                (score + steps, view_of_joints(one.joints[0], model.settings.skeleton), 1.25, (32, 64))
            )
        candidates = sorted(seen, key=lambda entry: -entry[0])[:kept]
    found = find_person(model, image)
    np.testing.assert_allclose(found.box, candidates[0][1].box, atol=0.02)
    assert found.angle == candidates[0][1].angle


def test_everybody_is_found_the_largest_first() -> None:
    image = dotted(320, 240, (20, 60, 40, 60))
    image[100:190, 220:280] = (250, 20, 20)
    found = find_people(DotDetector(), image)
    boxes = np.array([view.bounds for view in found])
    np.testing.assert_allclose(boxes, [(220, 100, 60, 90), (20, 60, 40, 60)], atol=5)
    assert all(view.confidence >= MIN_CONFIDENCE for view in found)
    alone = find_people(DotDetector(), image, max_people=1)
    assert alone == [find_person(DotDetector(), image)]


def test_without_anybody_there_is_one_view_of_low_confidence() -> None:
    found = find_people(DotDetector(), np.full((100, 140, 3), 40, np.uint8))
    assert len(found) == 1
    assert found[0].confidence < 0.1


class UprightDetector(DotDetector):
    """Sees a figure whose red is above its green, the less the farther it is from that; its left is right."""

    def forward(self, images: Tensor, *, hard: bool = False) -> DetectorOutput:
        self.batch_sizes.append(len(images))
        joints, confidence = [], []
        for red, green, _ in images:
            ends = []
            for mask in ((red - green) > 100, (green - red) > 100):
                rows, columns = torch.nonzero(mask, as_tuple=True)
                ends.append(
                    torch.stack([columns.float().mean(), rows.float().mean()]) / images.shape[-1] - 0.5
                )
            head, feet = ends
            its = torch.zeros(17, 2)
            order = [10, 9, 8, 7, 11, 14, 12, 15, 13, 16, 0, 1, 4, 2, 5, 3, 6]
            for place, joint in enumerate(order):
                its[joint] = head + (feet - head) * place / 16
            joints.append(its)
            upright = float((feet - head)[1] / (feet - head).norm().clamp(min=1e-6))
            confidence.append(torch.full((17,), 0.3 + 0.3 * upright))
        heatmaps = torch.zeros(len(images), 17, 4, 4)
        return DetectorOutput(
            torch.stack(joints), torch.stack(confidence), heatmaps, soft_argmax(heatmaps).marginals
        )


@pytest.mark.parametrize(
    ("feet", "degrees"), [((60, 90), 0), ((60, 30), 180), ((30, 60), -90), ((90, 60), 90)]
)
def test_a_person_in_a_box_is_looked_at_upright(feet: tuple[int, int], degrees: int) -> None:
    image = np.full((120, 120, 3), 40, np.uint8)
    head = (120 - feet[0], 120 - feet[1])
    cv2.circle(image, head, 8, (250, 20, 20), -1)
    cv2.circle(image, feet, 8, (20, 250, 20), -1)
    view = view_in_box(UprightDetector(), image, (20.0, 20.0, 80.0, 80.0))
    assert np.degrees(view.angle) == pytest.approx(degrees)
    np.testing.assert_allclose(view.bounds, (20, 20, 80, 80), atol=1e-6)


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
    found = detect_joints(model, image, [find_person(model, image).box])
    # First at (47.5, 23.5); each further round is at 2 x 2 pixels there, widened to 2 x 3.
    np.testing.assert_allclose(found.joints[0, 0], [47.5 + 3 * 0.25 * 2.5, 23.5 - 3 * 0.25 * 3.75], atol=1e-3)


def test_a_difference_in_the_last_digits_does_not_change_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """As between one thread and two: joints by up to 1e-4 pixels, confidences by 1e-6."""
    image = np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8)
    model, noise = DotDetector(), np.random.default_rng(1)
    shapes = np.random.default_rng(2)
    people = [shapes.uniform(10, 80, (17, 2)) for _ in range(12)]

    def shaken(scale: float):
        def detect(model, image, boxes, **how):
            del model, image, how
            chosen = [people[int(sum(box) * 7919) % 12] for box in boxes]
            joints = np.array(chosen) + scale * 1e-4 * noise.uniform(-1, 1, (len(boxes), 17, 2))
            same = np.full((len(boxes), 17), 0.3004) + scale * 1e-6 * noise.uniform(-1, 1, (len(boxes), 17))
            return DetectedJoints(joints.astype(np.float32), same.astype(np.float32), None)

        monkeypatch.setattr("evolift.prediction.persons.person_search.detect_joints", detect)
        return find_person(model, image)[:2]

    exact = shaken(0)
    assert all(shaken(1) == exact for _ in range(20))
