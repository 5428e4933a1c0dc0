from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from evolift.posedata.errors import InputError
from evolift.posedata.extras import install_command
from evolift.posedata.skeleton import MEDIAPIPE33
from evolift.prediction.detectors.mediapipe_detector import MODELS, MediapipeDetector
from evolift.prediction.detectors.people_detector import PeopleDetector


class Landmarker:
    """As MediaPipe's: says what is white in an RGB image, as parts of width and height."""

    def __init__(self, options: Any) -> None:
        self.options, self.is_closed = options, False

    def detect(self, image: Any) -> Any:
        assert image.image_format == "SRGB"
        assert image.data.flags.c_contiguous
        height, width = image.data.shape[:2]
        rows, columns = np.nonzero((image.data == 255).all(-1))
        people = [
            [
                SimpleNamespace(x=(u + 0.5) / width, y=(v + 0.5 + joint) / height, visibility=0.75)
                for joint in range(33)
            ]
            for v, u in zip(rows.tolist(), columns.tolist(), strict=True)
        ]
        return SimpleNamespace(pose_landmarks=people[: self.options.num_poses])

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def mediapipe(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    def create(options: Any) -> Landmarker:
        if options.base_options.model_asset_buffer == b"broken":
            raise RuntimeError("Unable to open zip archive.")
        return Landmarker(options)

    vision = SimpleNamespace(
        PoseLandmarkerOptions=SimpleNamespace, PoseLandmarker=SimpleNamespace(create_from_options=create)
    )
    package: Any = ModuleType("mediapipe")
    package.tasks = SimpleNamespace(vision=vision, BaseOptions=SimpleNamespace)
    package.Image, package.ImageFormat = SimpleNamespace, SimpleNamespace(SRGB="SRGB")
    monkeypatch.setitem(sys.modules, "mediapipe", package)
    for name in ("tasks", "tasks.python", "tasks.python.vision"):
        monkeypatch.setitem(sys.modules, f"mediapipe.{name}", ModuleType(name))
    return package  # type: ignore[no-any-return]


@pytest.fixture
def task(tmp_path: Path) -> Path:
    path = tmp_path / "pose_landmarker_full.task"
    path.write_bytes(b"model")
    return path


def test_landmarks_are_pixels(mediapipe: ModuleType, task: Path) -> None:
    detector = MediapipeDetector([task], min_score=0.25, max_people=3)
    assert isinstance(detector, PeopleDetector)
    assert (detector.name, detector.skeleton, detector.finds_people) == ("mediapipe", MEDIAPIPE33, True)
    image = np.zeros((60, 100, 3), np.uint8)
    assert detector(image).joints_2d.shape == (0, 33, 2)
    image[10, 20] = image[12, 70] = 255
    found = detector(image)
    assert found.joints_2d.shape == (2, 33, 2)
    np.testing.assert_allclose(found.joints_2d[:, 0], [(20, 10), (70, 12)], atol=1e-9)
    np.testing.assert_allclose(found.joints_2d[0, 32], (20, 42), atol=1e-9)
    np.testing.assert_array_equal(found.confidence, np.full((2, 33), 0.75))


def test_one_person_is_looked_for_unless_more_are_asked_for(mediapipe: ModuleType, task: Path) -> None:
    image = np.zeros((60, 100, 3), np.uint8)
    image[10, 20] = image[12, 70] = 255
    assert len(MediapipeDetector([task])(image).joints_2d) == 1


def test_a_box_is_shown_as_a_piece_of_the_image(mediapipe: ModuleType, task: Path) -> None:
    image = np.zeros((60, 100, 3), np.uint8)
    image[10, 20] = image[12, 70] = 255
    boxes = [(65, 5, 12, 45), (15, 5, 10, 45), (40, 0, 5, 5), (-30, -30, 10, 10), (15, 10, 60, 40)]
    found = MediapipeDetector([task], max_people=2)(image, boxes)
    np.testing.assert_allclose(found.joints_2d[[0, 1], 0], [(70, 12), (20, 10)], atol=1e-9)
    assert found.confidence.any(1).tolist() == [True, True, False, False, True]


@pytest.mark.parametrize("weights", [(), ("none.task",), ("a.task", "b.task")])
def test_the_file_must_be_given(weights: tuple[str, ...]) -> None:
    given = ", none.task is none" if weights == ("none.task",) else ""
    with pytest.raises(InputError) as caught:
        MediapipeDetector(weights)
    assert str(caught.value) == (
        f"mediapipe needs the file of a pose landmarker{given}: download pose_landmarker_full.task from {MODELS} and give it "
        "with `detector_weights`"
    )


def test_a_file_of_something_else_is_told(mediapipe: ModuleType, task: Path) -> None:
    task.write_bytes(b"broken")
    with pytest.raises(
        InputError, match=r"full.task is no pose landmarker that MediaPipe can load \(Unable to open zip"
    ):
        MediapipeDetector([task])


def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch, task: Path) -> None:
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    with pytest.raises(InputError) as caught:
        MediapipeDetector([task])
    assert str(caught.value) == f"the package mediapipe is missing: {install_command('mediapipe')}"
