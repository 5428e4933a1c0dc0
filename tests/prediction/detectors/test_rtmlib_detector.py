from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from evolift.posedata.errors import InputError
from evolift.posedata.extras import install_command
from evolift.posedata.skeleton import COCO17, HALPE26, Skeleton
from evolift.prediction.detectors.people_detector import PeopleDetector
from evolift.prediction.detectors.rtmlib_detector import RtmlibDetector
from tests.prediction.detectors.onnx_pose_files import (
    COLOUR_OF_JOINT,
    image_with_dots,
    write_rtmlib_people,
    write_simcc,
)

MODES = ("balanced", "performance", "lightweight")


class Solution:
    """As one of rtmlib's: two stages, which take images as OpenCV has them."""

    joints = 17
    MODE = {mode: {"det": f"https://x/{mode}_d.zip", "pose": f"https://x/{mode}_p.zip"} for mode in MODES}  # noqa: RUF012
    corners: Any = ()
    fails: Exception | None = None
    given: dict[str, Any]

    def __init__(self, **arguments: Any) -> None:
        print("load something")
        if self.fails is not None:
            raise self.fails
        type(self).given = arguments

    def det_model(self, image: np.ndarray) -> Any:
        assert image[0, 0].tolist() == [30, 20, 10]
        return np.array(self.corners)

    def pose_model(self, image: np.ndarray, bboxes: np.ndarray) -> Any:
        assert image[0, 0].tolist() == [30, 20, 10]
        middle = (bboxes[:, None, :2] + bboxes[:, None, 2:]) / 2
        return np.repeat(middle, self.joints, 1), np.full((len(bboxes), self.joints), 1.25)


@pytest.fixture
def rtmlib(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    class Body(Solution):
        pass

    class BodyWithFeet(Solution):
        joints = 26

    class Wholebody(Solution):
        joints = 133

    package = SimpleNamespace(Body=Body, BodyWithFeet=BodyWithFeet, Wholebody=Wholebody)
    monkeypatch.setitem(sys.modules, "rtmlib", package)
    return package


IMAGE = np.full((60, 80, 3), (10, 20, 30), np.uint8)


@pytest.mark.parametrize(
    ("part", "solution", "skeleton"),
    [("body", "Body", COCO17), ("feet", "BodyWithFeet", HALPE26), ("wholebody", "Wholebody", COCO17)],
)
def test_people_are_found_in_two_stages(
    part: str,
    solution: str,
    skeleton: Skeleton,
    rtmlib: SimpleNamespace,
    capsys: pytest.CaptureFixture[str],
) -> None:
    told: list[str] = []
    detector = RtmlibDetector(part, mode="performance", device="cuda", report=told.append)
    assert isinstance(detector, PeopleDetector)
    assert (detector.name, detector.skeleton, detector.finds_people) == (
        f"rtmlib's {solution}",
        skeleton,
        True,
    )
    assert told == [
        "weights: https://x/performance_d.zip and https://x/performance_p.zip, which rtmlib downloads at first use"
    ]
    used = getattr(rtmlib, solution)
    assert used.given == {"mode": "performance", "backend": "onnxruntime", "device": "cuda"}
    assert capsys.readouterr().out == ""
    assert detector(IMAGE).joints_2d.shape == (
        0,
        len(skeleton),
        2,
    )  # rtmlib itself would take the whole image
    used.corners = [(10, 20, 30, 40), (50, 0, 60, 20)]
    found = detector(IMAGE)
    assert found.joints_2d.shape == (2, len(skeleton), 2)
    np.testing.assert_array_equal(found.joints_2d[:, 3], [(20, 30), (55, 10)])
    np.testing.assert_array_equal(found.confidence, np.ones((2, len(skeleton))))
    boxed = detector(IMAGE, [(10, 20, 4, 6)])
    np.testing.assert_array_equal(boxed.joints_2d[:, 0], [(12, 23)])


def test_what_cannot_be_downloaded_is_one_sentence_with_the_way_by_hand(rtmlib: SimpleNamespace) -> None:
    rtmlib.Body.fails = OSError("Name or service not known")
    with pytest.raises(InputError) as caught:
        RtmlibDetector()
    urls = "https://x/balanced_d.zip and https://x/balanced_p.zip"
    assert str(caught.value) == (
        f"rtmlib could not load its networks (Name or service not known): download {urls} where there is a network, "
        "unpack them, and give the two .onnx files in them with `detector_weights`"
    )


def test_files_are_taken_with_the_sizes_of_their_inputs(rtmlib: SimpleNamespace, tmp_path: Path) -> None:
    people, pose = write_rtmlib_people(tmp_path / "d.onnx", (64, 96)), write_simcc(tmp_path / "p.onnx")
    told: list[str] = []
    RtmlibDetector(weights=[people, str(pose)], report=told.append)
    assert told == []
    assert rtmlib.Body.given == {
        "mode": "balanced", "backend": "onnxruntime", "device": "cpu",
        "det": str(people), "det_input_size": (96, 64), "pose": str(pose), "pose_input_size": (48, 64),
    }  # fmt: skip
    RtmlibDetector(weights=[people, pose], device="auto")
    assert rtmlib.Body.given["device"] == "cpu"
    rtmlib.Body.fails = ValueError("bad graph")
    with pytest.raises(
        InputError,
        match=r"load .*d.onnx and .*p.onnx \(bad graph\): give other files with `detector_weights`",
    ):
        RtmlibDetector(weights=[people, pose])


@pytest.mark.parametrize(
    ("part", "weights", "message"),
    [
        ("hand", (), "there is no rtmlib:hand: choose rtmlib:body, rtmlib:feet, rtmlib:wholebody"),
        ("body", ("a.onnx",), "rtmlib takes two files as `detector_weights`, the .onnx of its person detector .*, not 1"),
        ("body", ("a.onnx", "b.onnx"), "a.onnx: there is no such file: give the .onnx file of rtmlib's person detector"),
    ],
)  # fmt: skip
def test_what_rtmlib_has_not_is_one_sentence(
    part: str, weights: tuple[str, ...], message: str, rtmlib: SimpleNamespace
) -> None:
    with pytest.raises(InputError, match=message):
        RtmlibDetector(part, weights=weights)


def test_a_mode_that_there_is_not_is_told(rtmlib: SimpleNamespace) -> None:
    with pytest.raises(
        InputError, match="`detector_mode` must be one of balanced, performance, lightweight, not best"
    ):
        RtmlibDetector(mode="best")


def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rtmlib", None)
    with pytest.raises(InputError) as caught:
        RtmlibDetector()
    assert str(caught.value) == f"the package rtmlib is missing: {install_command('rtmlib')}"


def test_the_package_itself_finds_people_in_files_of_its_layouts(tmp_path: Path) -> None:
    pytest.importorskip("rtmlib")
    weights = [write_rtmlib_people(tmp_path / "d.onnx", (128, 128)), write_simcc(tmp_path / "p.onnx")]
    detector = RtmlibDetector(weights=weights)
    # What is red here is the last colour for rtmlib, which gets blue first.
    image = image_with_dots((128, 128), (90, 60), None, (30, 50), blur=3)
    found = detector(image)
    assert found.joints_2d.shape == (2, 17, 2)
    blue, red = COLOUR_OF_JOINT == 0, COLOUR_OF_JOINT == 2
    np.testing.assert_allclose(found.joints_2d[0, blue], np.tile([30, 50], (blue.sum(), 1)), atol=0.7)
    np.testing.assert_allclose(found.joints_2d[1, red], np.tile([90, 60], (red.sum(), 1)), atol=0.7)
    np.testing.assert_allclose(found.confidence[0, blue], 0.8, atol=0.01)
    assert detector(np.zeros((128, 128, 3), np.uint8)).joints_2d.shape == (0, 17, 2)
