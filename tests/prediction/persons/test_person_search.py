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
from evolift.prediction.persons.box_geometry import box_of_joints, box_on_grid
from evolift.prediction.persons.person_search import (
    CROSS,
    KEPT,
    MIN_CONFIDENCE,
    SQUARE,
    STEPS,
    find_people,
    find_person,
    search_windows,
)

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
            confidence.append(torch.full((17,), 0.7 - abs(fill - 0.8) / 2))
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
    assert model.batch_sizes == [1 + len(CROSS), *KEPT]


def test_in_a_large_image_the_box_is_in_its_own_pixels() -> None:
    box = (2400, 300, 300, 420)
    found = np.array(find_person(DotDetector(), dotted(3000, 2000, box)))
    assert np.abs(found - np.array(box)).max() < 30, found
    joints = detect_joints(DotDetector(), dotted(3000, 2000, box), [found]).joints[0]
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
    candidates = [(0, box, 1.0) for box in search_windows(120, 90)]
    for kept in (*KEPT, 1):
        seen = []
        for score, box, padding in candidates:
            one = detect_joints(model, image, [box], padding=padding)
            steps = round(STEPS * float(one.confidence.mean()))
            seen.append((score + steps, box_on_grid(box_of_joints(one.joints[0])), 1.25))
        candidates = sorted(seen, key=lambda entry: -entry[0])[:kept]
    np.testing.assert_allclose(find_person(model, image), candidates[0][1], atol=0.02)


def test_everybody_is_found_the_largest_first() -> None:
    image = dotted(320, 240, (20, 60, 40, 60))
    image[100:190, 220:280] = (250, 20, 20)
    found = find_people(DotDetector(), image)
    boxes = np.array([person.box for person in found])
    np.testing.assert_allclose(boxes, [(220, 100, 60, 90), (20, 60, 40, 60)], atol=5)
    assert all(person.confidence >= MIN_CONFIDENCE for person in found)
    (alone,) = find_people(DotDetector(), image, max_people=1)
    assert alone.box == find_person(DotDetector(), image)


def test_a_row_of_people_is_found_from_end_to_end() -> None:
    image = np.full((100, 900, 3), 40, np.uint8)
    lefts = [20, 170, 300, 480, 640, 840]
    for left in lefts:
        image[20:84, left : left + 40] = (250, 20, 20)
    found = sorted(person.box for person in find_people(DotDetector(), image))
    np.testing.assert_allclose(found, [(left, 20, 40, 64) for left in lefts], atol=4)


@pytest.mark.parametrize(
    ("inside", "apart", "found"),
    [(0.6, 0.48, "A"), (0.65, 0.48, "AB"), (0.61, 0.52, "AC"), (0.9, 0.9, "ABC")],
)
def test_of_whom_overlaps_a_better_one_more_confidence_is_asked(
    monkeypatch: pytest.MonkeyPatch, inside: float, apart: float, found: str
) -> None:
    """A quarter of B's box lies in A's, so it takes 0.5 + 0.5 / 4; none of C's does, so 0.5 are enough."""
    people = {
        "A": ((20, 20, 40, 80), 0.95),
        "B": ((50, 20, 40, 80), inside),
        "C": ((140, 20, 40, 80), apart),
    }

    def detect(model, image, boxes, *, padding):
        del model, image, padding
        joints, confidence = [], []
        for left, top, width, height in boxes:
            middle = np.array([left + width / 2, top + height / 2])
            (x, y, w, h), sure = min(
                people.values(),
                key=lambda one: np.abs(middle - [one[0][0] + one[0][2] / 2, one[0][1] + one[0][3] / 2]).sum(),
            )
            joints.append(np.array([x, y]) + UPRIGHT.numpy() * [w, h])
            confidence.append(np.full(17, sure))
        return DetectedJoints(np.array(joints), np.array(confidence), None)

    monkeypatch.setattr("evolift.prediction.persons.person_search.detect_joints", detect)
    image = np.zeros((120, 200, 3), np.uint8)
    for most in {None, max(2, len(found))}:  # who is left out takes nobody's place
        boxes = sorted(person.box[0] for person in find_people(DotDetector(), image, max_people=most))
        np.testing.assert_allclose(boxes, [people[name][0][0] for name in found], atol=1)


def test_a_box_around_parts_of_several_people_hides_none_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows that show both people give such a box, with more confidence at first than theirs give."""
    people, both = [(20, 20, 30, 60), (140, 20, 30, 60)], (20, 20, 150, 60)

    def detect(model, image, boxes, *, padding):
        del model, image
        is_first = padding == 1.0
        joints, confidence = [], []
        for left, top, width, height in boxes:
            del top, height
            nearest = min(people, key=lambda one: abs(left + width / 2 - one[0] - one[2] / 2))
            (x, y, w, h), sure = (both, 0.8 if is_first else 0.1) if width > 100 else (nearest, 0.7)
            joints.append(np.array([x, y]) + UPRIGHT.numpy() * [w, h])
            confidence.append(np.full(17, sure))
        return DetectedJoints(np.array(joints), np.array(confidence), None)

    monkeypatch.setattr("evolift.prediction.persons.person_search.detect_joints", detect)
    found = sorted(
        person.box for person in find_people(DotDetector(), np.zeros((120, 200, 3), np.uint8), max_people=2)
    )
    np.testing.assert_allclose(found, people, atol=1)


def test_without_anybody_there_is_one_person_of_low_confidence() -> None:
    found = find_people(DotDetector(), np.full((100, 140, 3), 40, np.uint8))
    assert len(found) == 1
    assert found[0].confidence < 0.1


def test_windows_reach_all_sides() -> None:
    boxes = np.array(search_windows(200, 100))
    assert len(boxes) == 1 + len(CROSS)
    assert len(search_windows(160, 100, everybody=True)) == 1 + len(CROSS) + len(SQUARE)
    assert boxes[:, 0].min() == boxes[0, 1] == -0.5
    assert boxes[:, 1].min() == -30.5  # windows of 130 pixels over an image of 100
    assert (boxes[:, :2] + boxes[:, 2:]).max(0).tolist() == [199.5, 129.5]


@pytest.mark.parametrize(("length", "is_tall"), [(190, False), (430, False), (790, True)])
def test_in_a_long_image_everybody_of_half_its_height_is_whole_in_a_square(
    length: int, is_tall: bool
) -> None:
    size = (100, length) if is_tall else (length, 100)
    squares = np.array(search_windows(*size, everybody=True)[1 + len(CROSS) + len(SQUARE) :])
    along, across = (1, 0) if is_tall else (0, 1)
    assert (squares[:, 2:] == 100).all()
    assert (squares[:, across] == -0.5).all()
    for start in np.arange(0, length - 49.9, 5) - 0.5:
        assert ((squares[:, along] <= start + 1e-9) & (squares[:, along] + 100 >= start + 50 - 1e-9)).any(), (
            start
        )


@pytest.mark.parametrize("size", [(4000, 1), (1, 4000), (4000, 16), (1280, 720)])
def test_no_image_has_many_windows(size: tuple[int, int]) -> None:
    windows = search_windows(*size, everybody=True)
    assert len(windows) <= 1 + len(CROSS) + len(SQUARE) + 15
    assert (len(windows) > 1 + len(CROSS) + len(SQUARE)) == (size != (1280, 720))


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
