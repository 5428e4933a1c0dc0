from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import evolift
from evolift.lifter.refiner import RefinerModel, RefinerSettings
from evolift.posedata.camera import Camera
from evolift.posedata.errors import InputError
from evolift.posedata.skeleton import AIC14, COCO17, H36M17, MEDIAPIPE33, SMPL22, Skeleton
from evolift.posedata.video_file import VideoWriter
from evolift.prediction.detectors.detector_choice import load_people_detector
from evolift.prediction.detectors.onnx_detector import OnnxDetector
from evolift.prediction.detectors.people_detector import DetectedPeople
from evolift.prediction.lifting_pipeline import LiftingPipeline
from evolift.prediction.persons.people_finder import PeopleFinder
from evolift.prediction.pose_prediction import NobodyError, OutOfSightError
from tests.prediction.detectors.onnx_pose_files import write_movenet
from tests.settled_networks import settled_lifter

IMAGE = np.zeros((240, 320, 3), np.uint8)
BODY = np.random.default_rng(0).uniform(0, 40, (17, 2))


def person(u: float, v: float, confidence: float | np.ndarray = 0.9) -> tuple[np.ndarray, np.ndarray]:
    return BODY + np.array([u, v]), np.broadcast_to(confidence, 17)


class Scripted:
    """A detector that says what it is told to, and notes the boxes that it was asked about."""

    name = "scripted"

    def __init__(
        self,
        *people: tuple[np.ndarray, np.ndarray],
        skeleton: Skeleton = COCO17,
        finds_people: bool = True,
    ) -> None:
        self.people, self.skeleton, self.finds_people = people, skeleton, finds_people
        self.boxes: list[object] = []

    def __call__(self, image: np.ndarray, boxes: Sequence[Sequence[float]] | None = None) -> DetectedPeople:
        self.boxes.append(boxes)
        chosen = self.people if boxes is None else self.people[: len(boxes)]
        joints, confidence = (
            zip(*chosen, strict=True) if chosen else (np.zeros((0, 17, 2)), np.zeros((0, 17)))
        )
        return DetectedPeople(np.array(joints), np.array(confidence))


def pipeline_of(*people: tuple[np.ndarray, np.ndarray], **settings: object) -> LiftingPipeline:
    return LiftingPipeline(Scripted(*people), settled_lifter(normalisation="box"), **settings)  # type: ignore[arg-type]


def test_everybody_is_lifted_as_keypoints_are() -> None:
    pipeline = pipeline_of(person(200, 50, 0.5), person(20, 60))
    poses = sorted(pipeline.predict_people(IMAGE), key=lambda pose: pose.box[0])  # all of one size
    assert [round(pose.box[0]) for pose in poses] == [round(x + BODY[:, 0].min()) for x in (20, 200)]
    for pose, (u, v) in zip(poses, ((20, 60), (200, 50)), strict=True):
        wanted = evolift.lift(
            (BODY + np.array([u, v]))[None], COCO17, lifter=settled_lifter(normalisation="box")
        )
        np.testing.assert_allclose(pose.joints_3d, wanted.joints_3d[0], atol=1e-2)
        np.testing.assert_allclose(pose.joints_2d, wanted.joints_2d[0], atol=1e-4)
        assert (pose.skeleton, pose.box_source, pose.image_size) == (H36M17, "found", (320, 240))
        assert np.isnan(pose.root_3d).all()
    assert [float(pose.confidence.mean()) for pose in poses] == pytest.approx([0.9, 0.5])
    assert [
        pose.box[0] for pose in pipeline_of(*pipeline.detector.people, max_people=1).predict_people(IMAGE)
    ] == [  # type: ignore[attr-defined]
        poses[0].box[0]
    ]
    # One person: the one of the highest confidence.
    np.testing.assert_array_equal(pipeline.predict(IMAGE).joints_3d, poses[0].joints_3d)


def test_poses_tell_how_sure_the_lifter_is() -> None:
    sure = settled_lifter(normalisation="box", uncertainty=True)
    pose = LiftingPipeline(Scripted(person(20, 60)), sure).predict(IMAGE)
    wanted = evolift.lift((BODY + np.array([20, 60]))[None], COCO17, lifter=sure).sigma_mm
    assert pose.sigma_mm is not None
    assert wanted is not None
    np.testing.assert_allclose(pose.sigma_mm, wanted[0], rtol=1e-4)
    assert pipeline_of(person(20, 60)).predict(IMAGE).sigma_mm is None


def test_the_person_in_a_box_is_asked_for() -> None:
    pipeline = pipeline_of(person(20, 60))
    pose = pipeline.predict(IMAGE, (10, 50, 60, 60))
    assert pipeline.detector.boxes == [[(10.0, 50.0, 60.0, 60.0)]]  # type: ignore[attr-defined]
    assert (pose.box, pose.box_source) == ((10, 50, 60, 60), "given")
    with pytest.raises(InputError, match="has no area in the image of 320 x 240 pixels"):
        pipeline.predict(IMAGE, (400, 0, 5, 5))


def test_joints_that_are_not_found_are_lifted_from_the_others() -> None:
    confidence = np.full(17, 0.9)
    confidence[[COCO17.index("left_wrist"), COCO17.index("left_elbow")]] = 0
    joints, _ = person(20, 60)
    joints[COCO17.index("left_wrist")] = np.nan
    pipeline = pipeline_of((joints, confidence))
    pose = pipeline.predict(IMAGE)
    missing = [H36M17.index("left_wrist"), H36M17.index("left_elbow")]
    assert np.flatnonzero(np.isnan(pose.joints_2d).any(-1)).tolist() == sorted(missing)
    assert (pose.confidence[missing] == 0).all()
    assert np.isfinite(pose.joints_3d).all()
    assert np.isfinite(pose.bounds).all()


def test_nobody_and_too_little_of_somebody_are_told() -> None:
    few = np.zeros(17)
    few[:3] = 0.9
    with pytest.raises(NobodyError, match=r"^scripted finds nobody$"):
        pipeline_of().predict(IMAGE)
    with pytest.raises(NobodyError, match=r"^scripted finds nobody$"):
        pipeline_of(person(20, 60, 0.0)).predict(IMAGE, (0, 0, 50, 50))
    with pytest.raises(NobodyError, match=r"^scripted finds too few joints of a person to lift them$"):
        pipeline_of(person(20, 60, few)).predict(IMAGE)
    with pytest.raises(NobodyError, match="scripted finds too few joints"):
        pipeline_of(person(20, 60, few)).predict_people(IMAGE)
    everybody = pipeline_of(person(20, 60, few), person(90, 10)).everybody()
    assert everybody is not None
    found = everybody.people(IMAGE, None)
    assert [one.pose is None for one in found] == [True, False]
    assert isinstance(found[0].problem, NobodyError)


def test_with_a_camera_people_have_their_places() -> None:
    camera = Camera(np.array([[300.0, 0, 160], [0, 300, 120], [0, 0, 1]]), 320, 240)
    pose = pipeline_of(person(20, 60)).predict(IMAGE, camera=camera)
    assert np.isfinite(pose.joints_3d).all()
    assert pose.camera is camera
    wide = Camera(np.array([[1.0, 0, 160], [0, 1, 120], [0, 0, 1]]), 320, 240)
    with pytest.raises(OutOfSightError, match="span more than this camera can see"):
        pipeline_of(person(140, 100)).predict(IMAGE, camera=wide)
    small = dataclasses.replace(camera, width=100)
    for predict in (pipeline_of().predict, pipeline_of().predict_people):
        with pytest.raises(InputError, match="the camera is for images of 100 x 240 pixels"):
            predict(IMAGE, camera=small)


def test_who_finds_everybody_is_asked_for_everybody_unless_a_box_or_a_finder_says_who() -> None:
    finder = PeopleFinder(lambda image: np.array([[1.0, 2, 50, 60]]), "Found by boxes.", "nobody")
    finds, does_not = Scripted(person(20, 60)), Scripted(person(20, 60), finds_people=False)
    for detector, box, with_finder, note in (
        (finds, None, False, "People and their joints were found by scripted."),
        (finds, (1, 2, 3, 4), False, None),
        (does_not, None, False, None),
        (finds, None, True, "Found by boxes."),
        (does_not, None, True, "Found by boxes."),
    ):
        pipeline = LiftingPipeline(detector, settled_lifter(normalisation="box"))
        everybody = pipeline.everybody(finder if with_finder else None, box)
        assert (None if everybody is None else everybody.note) == note
        if everybody is not None and with_finder:
            assert [one.box for one in everybody.people(IMAGE, None)] == [[1.0, 2, 50, 60]]


def test_one_person_is_followed_by_what_surrounds_the_joints(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "film.mp4", (320, 240), 10.0) as video:
        for _ in range(3):
            video.write(IMAGE)
    detector = Scripted(person(20, 60), finds_people=False)
    pipeline = LiftingPipeline(detector, settled_lifter(normalisation="box"))
    frames = list(pipeline.predict_video(tmp_path / "film.mp4"))
    assert [frame.pose is not None for frame in frames] == [True] * 3
    assert detector.boxes[0] is None
    np.testing.assert_allclose(detector.boxes[1][0][:2], BODY.min(0) + np.array([20, 60]), atol=0.5)  # type: ignore[index]
    detector.people = (person(20, 60, 0.0),)
    assert [frame.pose for frame in pipeline.predict_video(tmp_path / "film.mp4")] == [None] * 3


@pytest.mark.parametrize(
    ("joints", "confidence", "said"),
    [((1, 16, 2), (1, 17), r"joints \(1, 16, 2\) and confidences \(1, 17\)"), ((2, 17, 2), (1, 17), r"for COCO17 they must be")],
)  # fmt: skip
def test_what_a_detector_gives_is_checked(
    joints: tuple[int, ...], confidence: tuple[int, ...], said: str
) -> None:
    class Wrong(Scripted):
        def __call__(self, image: np.ndarray, boxes: object = None) -> DetectedPeople:
            return DetectedPeople(np.ones(joints), np.ones(confidence))

    with pytest.raises(InputError, match=said):
        LiftingPipeline(Wrong(), settled_lifter(normalisation="box")).predict(IMAGE)
    many = Scripted(person(1, 2), person(3, 4))
    many.people = (*many.people,)
    pipeline = LiftingPipeline(many, settled_lifter(normalisation="box"))
    many.__class__ = type(
        "Deaf", (Scripted,), {"__call__": lambda self, image, boxes=None: Scripted.__call__(self, image)}
    )
    with pytest.raises(
        InputError, match="scripted gives 2 people for one box: a detector must give a row for each box"
    ):
        pipeline.predict(IMAGE, (0, 0, 50, 50))


def test_detector_and_lifter_must_fit() -> None:
    with pytest.raises(InputError, match=r"no mapping from MEDIAPIPE33 to SMPL22"):
        LiftingPipeline(Scripted(skeleton=MEDIAPIPE33), settled_lifter(normalisation="box", skeleton=SMPL22))
    with pytest.raises(InputError, match="this lifter gives depth alone"):
        LiftingPipeline(Scripted(), settled_lifter(normalisation="box", target="z"))
    refiner = RefinerModel(RefinerSettings(hidden=8, code=4))
    refined = LiftingPipeline(Scripted(skeleton=AIC14), settled_lifter(normalisation="box"), refiner=refiner)
    assert repr(refined) == "<LiftingPipeline: scripted (AIC14), lifter semgcn (box) of H36M17>"


def test_detectors_are_chosen_by_name_or_file(tmp_path: Path) -> None:
    path = write_movenet(tmp_path / "a.onnx")
    pipeline = LiftingPipeline(path)
    assert isinstance(pipeline.detector, OnnxDetector)
    assert "a.onnx took the whole image for one person" in pipeline.search_note()
    for choice in ("openpose", "none.onnx", "mediapipe:full"):
        with pytest.raises(
            InputError, match=f"^{re.escape(choice)} is none of other people's detectors: give rtmlib, "
        ):
            load_people_detector(choice)
