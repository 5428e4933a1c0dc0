from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evolift.posedata.errors import InputError
from evolift.posedata.extras import install_command
from evolift.posedata.skeleton import COCO17, HALPE26, MPII16, Skeleton
from evolift.prediction.detectors.heat_maps import peaks
from evolift.prediction.detectors.onnx_detector import OnnxDetector
from evolift.prediction.detectors.people_detector import PeopleDetector
from tests.prediction.detectors.onnx_pose_files import (
    COLOUR_OF_JOINT,
    SHAPE,
    Graph,
    image_with_dots,
    write_heat_maps,
    write_movenet,
    write_simcc,
    write_yolo,
)

Write = Callable[[Path], Path]
PEOPLE: dict[str, Write] = {
    "yolo": write_yolo,
    "yolo repeated": partial(write_yolo, repeats=3),
    "yolo thinned": partial(write_yolo, is_thinned=True),
    "movenet multi": partial(write_movenet, is_multi=True),
}
ONE: dict[str, Write] = {
    "simcc": write_simcc,
    "simcc reversed": partial(write_simcc, is_reversed=True),
    "heat maps": write_heat_maps,
}


def people_at(*places: tuple[float, float]) -> np.ndarray:
    return SHAPE + np.array(places)[:, None]


@pytest.mark.parametrize("name", ONE)
def test_one_person_fills_the_image(name: str, tmp_path: Path) -> None:
    told: list[str] = []
    detector = OnnxDetector(ONE[name](tmp_path / "a.onnx"), report=told.append)
    assert isinstance(detector, PeopleDetector)
    assert (detector.finds_people, detector.skeleton) == (False, COCO17)
    family = "heat maps (HRNet)" if name == "heat maps" else "SimCC (RTMPose)"
    assert told == [
        f"{tmp_path / 'a.onnx'}: {family}, 17 joints, taken to be COCO17's (else give `detector_skeleton`)"
    ]
    dots = np.array([(8, 20), (28, 40), (4, 56)])  # a cell is 4 pixels
    # 4 pixels narrower on each side than the input, which is then no scaling but a shift.
    image = image_with_dots((40, 64), *[(u, v) for u, v in dots.tolist()])
    found = detector(image)
    np.testing.assert_allclose(found.joints_2d, dots[COLOUR_OF_JOINT][None], atol=1e-6)
    np.testing.assert_allclose(found.confidence, np.full((1, 17), 0.8), atol=1e-6)
    nobody = detector(np.zeros((64, 40, 3), np.uint8))
    np.testing.assert_allclose(nobody.confidence, np.zeros((1, 17)), atol=1e-6)


@pytest.mark.parametrize(("width", "height"), [(24, 32), (48, 64), (96, 128), (100, 70)])
def test_places_are_exact_to_a_part_of_a_pixel_at_any_scale(width: int, height: int, tmp_path: Path) -> None:
    detector = OnnxDetector(write_heat_maps(tmp_path / "a.onnx"))
    zoom = min(48 / width, 64 / height)
    dots = np.rint(np.array([(0.45, 0.4), (0.55, 0.55), (0.6, 0.37)]) * (width, height)).astype(int)
    image = image_with_dots((width, height), *[(u, v) for u, v in dots.tolist()], blur=4 / zoom, level=255)
    found = detector(image)
    # Half a pixel of the input, of the image, or of one in the place of the other is more than that.
    np.testing.assert_allclose(found.joints_2d[0], dots[COLOUR_OF_JOINT], atol=0.1 / zoom)


def test_cells_of_a_vit_pose_span_the_crop_from_centre_to_centre(tmp_path: Path) -> None:
    detector = OnnxDetector(write_heat_maps(tmp_path / "a.onnx", attention=True))
    found = detector(image_with_dots((48, 64), (0, 0), (20, 40), (44, 60)))
    np.testing.assert_allclose(
        found.joints_2d[0, [0, 6, 16]], [(0, 0), (5 * 47 / 11, 10 * 63 / 15), (47, 63)], atol=1e-6
    )


def test_a_gaussian_has_its_peak_between_cells_and_at_the_border_none() -> None:
    v, u = np.indices((9, 11))
    places = np.array([(3.3, 4.8), (7.0, 2.45), (0.3, 8.4)])
    maps = np.exp(-((u - places[:, 0, None, None]) ** 2 + (v - places[:, 1, None, None]) ** 2) / (2 * 1.5**2))
    found, values = peaks(maps[None])
    np.testing.assert_allclose(found[0, :2], places[:2], atol=1e-6)
    np.testing.assert_array_equal(found[0, 2], (0, 8))
    np.testing.assert_allclose(values[0], maps.max((1, 2)))
    flat, _ = peaks(np.zeros((1, 1, 4, 4)))
    np.testing.assert_array_equal(flat, np.zeros((1, 1, 2)))


@pytest.mark.parametrize("name", PEOPLE)
def test_everybody_is_found_in_the_image(name: str, tmp_path: Path) -> None:
    detector = OnnxDetector(PEOPLE[name](tmp_path / "a.onnx"))
    assert detector.finds_people
    image = image_with_dots((96, 50), (30, 20), None, (60, 30))  # 7 rows of padding above and below
    found = detector(image)
    np.testing.assert_allclose(found.joints_2d, people_at((30, 20), (60, 30)), atol=1e-4)
    np.testing.assert_allclose(found.confidence, np.full((2, 17), 0.8), atol=1e-6)
    assert len(detector(image_with_dots((96, 50), (30, 20))).joints_2d) == 1
    assert detector(np.zeros((50, 96, 3), np.uint8)).joints_2d.shape == (0, 17, 2)
    assert len(OnnxDetector(tmp_path / "a.onnx", min_score=0.9)(image).joints_2d) == 0


@pytest.mark.parametrize("kind", ["INT32", "UINT8", "FLOAT"])
def test_movenet_of_one_person_takes_the_image_for_them(kind: str, tmp_path: Path) -> None:
    detector = OnnxDetector(write_movenet(tmp_path / "a.onnx", kind=kind))
    assert not detector.finds_people
    found = detector(image_with_dots((80, 64), (30, 20)))
    np.testing.assert_allclose(found.joints_2d, people_at((30, 20)), atol=1e-4)
    np.testing.assert_allclose(found.confidence, np.full((1, 17), 0.8), atol=1e-6)


def test_boxes_say_who_is_meant(tmp_path: Path) -> None:
    image = image_with_dots((192, 128), (50, 60), None, (140, 70), blur=3)
    boxes = [(120, 50, 40, 40), (30, 40, 40, 40)]
    people = OnnxDetector(write_yolo(tmp_path / "y.onnx"))(image, [*boxes, (70, 0, 10, 10)])
    zoom = (
        np.array([max(40, 40 * 96 / 64), 10 * 96 / 64]) * 1.25 / 96
    )  # pixels of the image per pixel of the input
    expected = [SHAPE * zoom[0] + (140, 70), SHAPE * zoom[0] + (50, 60)]
    np.testing.assert_allclose(people.joints_2d[:2], expected, atol=0.5)
    np.testing.assert_array_equal(people.confidence[2], np.zeros(17))
    one = OnnxDetector(write_simcc(tmp_path / "s.onnx"))(image, boxes)
    np.testing.assert_allclose(one.joints_2d[0, 12:], np.tile([140, 70], (5, 1)), atol=0.6)
    np.testing.assert_allclose(one.joints_2d[1, :6], np.tile([50, 60], (6, 1)), atol=0.6)


@pytest.mark.parametrize(
    ("count", "given", "skeleton", "said"),
    [
        (26, None, HALPE26, "26 joints, taken to be HALPE26's (else give `detector_skeleton`)"),
        (133, None, COCO17, "133 joints, the first 17 taken to be COCO17's (else give `detector_skeleton`)"),
        (16, MPII16, MPII16, "16 joints of MPII16"),
        (17, COCO17, COCO17, "17 joints of COCO17"),
    ],
)
def test_joints_are_told_by_their_number_or_by_the_user(
    count: int, given: Skeleton | None, skeleton: Skeleton, said: str, tmp_path: Path
) -> None:
    told: list[str] = []
    path = write_simcc(tmp_path / "a.onnx", joints=[0] * count)
    detector = OnnxDetector(path, skeleton=given, report=told.append)
    assert detector.skeleton == skeleton
    assert told == [f"{path}: SimCC (RTMPose), {said}"]
    assert detector(image_with_dots((48, 64), (8, 20))).joints_2d.shape == (1, len(skeleton), 2)


def other_outputs(path: Path, **outputs: np.ndarray) -> Path:
    """A network that gives the same for any image."""
    graph = Graph()
    zero = graph.Mul(graph.ReduceMean("image", keepdims=0), np.float32(0))
    values = {
        name: (graph.Add(zero, value.astype(np.float32)), value.ndim) for name, value in outputs.items()
    }
    return graph.write(path, (1, 3, 64, 48), values)


def of_input(path: Path, shape: tuple[Any, ...], kind: str = "FLOAT") -> Path:
    graph = Graph()
    return graph.write(path, shape, {"out": (graph.Cast("image", to=1), len(shape))}, kind)


@pytest.mark.parametrize(
    ("write", "skeleton", "message"),
    [
        (
            lambda path: other_outputs(path, boxes=np.zeros((5, 4)), scores=np.zeros(5)),
            None,
            r"a.onnx has the outputs boxes \(5, 4\), scores \(5,\) for an image of 48 x 64 pixels, as no detector of joints",
        ),
        (
            lambda path: other_outputs(path, detections=np.zeros((1, 84, 8400))),
            None,
            r"the outputs detections \(1, 84, 8400\) for an image of 48 x 64",
        ),
        (
            lambda path: other_outputs(path, simcc_x=np.zeros((1, 17, 96)), simcc_y=np.zeros((1, 17, 64))),
            None,
            r"they must be simcc_x and simcc_y \(1, joints, bins\), heat maps",
        ),
        (lambda path: of_input(path, (1, 64, 48)), None, r"a detector of joints takes one image, \(1, 3, height"),
        (lambda path: of_input(path, (2, 3, 64, 48)), None, r"has the inputs image tensor\(float\) \[2, 3, 64, 48\]:"),
        (lambda path: of_input(path, (1, 3, 64, 48), "DOUBLE"), None, r"has the inputs image tensor\(double\)"),
        (
            lambda path: write_simcc(path, joints=[0] * 15),
            None,
            r"a.onnx finds 15 joints, and their number does not tell which: give `detector_skeleton`",
        ),
        (
            write_simcc,
            HALPE26,
            r"a.onnx finds 17 joints, and HALPE26 has 26: give another `detector_skeleton`",
        ),
        (
            lambda path: path.write_text("no network") and path,
            None,
            "a.onnx is not an ONNX file that onnxruntime can load",
        ),
    ],
)  # fmt: skip
def test_what_is_no_detector_is_one_sentence(
    write: Write, skeleton: Skeleton | None, message: str, tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime")
    with pytest.raises(InputError, match=message) as caught:
        OnnxDetector(write(tmp_path / "a.onnx"), skeleton=skeleton)
    assert "\n" not in str(caught.value)


def test_joints_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    path = other_outputs(tmp_path / "a.onnx", heat=np.full((1, 17, 16, 12), np.nan))
    with pytest.raises(InputError, match=r"a.onnx gives joints that are not finite: export it again"):
        OnnxDetector(path)(np.zeros((64, 48, 3), np.uint8))


def test_a_missing_extra_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_heat_maps(tmp_path / "a.onnx")
    for package in ("onnx", "onnxruntime"):
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(InputError) as caught:
            OnnxDetector(path)
        assert str(caught.value) == f"the package {package} is missing: {install_command('onnx')}"
