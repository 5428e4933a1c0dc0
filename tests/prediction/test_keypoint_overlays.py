from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from evolift.posedata.errors import InputError
from evolift.posedata.image_file import read_image
from evolift.posedata.keypoint_formats.keypoints import keypoints_of
from evolift.posedata.predictions.predictions import Predictions
from evolift.posedata.skeleton import H36M17
from evolift.posedata.video_file import VideoReader, VideoWriter
from evolift.prediction.keypoint_lifting import lift_keypoints
from evolift.prediction.keypoint_overlays import draw_keypoints
from evolift.prediction.prediction_results import PredictionResults
from tests.settled_networks import settled_lifter

GREY = np.full((120, 160, 3), 90, np.uint8)


def predictions(images: tuple[str, ...], first: int = 0) -> Predictions:
    """A person in each image or frame."""
    joints = np.random.default_rng(0).uniform(20, 100, (len(images), 17, 2))
    frame = range(first, first + len(images))
    people = keypoints_of(H36M17, joints, format="test", image=images, frame=frame)
    return lift_keypoints(settled_lifter(normalisation="box"), people, "k.json").predictions


def is_drawn(image: np.ndarray) -> bool:
    return bool((np.abs(image.astype(int) - GREY) > 60).any())


def test_people_are_drawn_on_their_images(tmp_path: Path) -> None:
    for name in ("a.png", "sub/b.png", "sub/c.png", "other/c.png"):
        (tmp_path / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / "images" / name), GREY)
    (tmp_path / "out").mkdir()
    results = PredictionResults()
    given = predictions(("a.png", "elsewhere/b.png", "sub/c.png", "c.png", "none.png"))
    draw_keypoints(given, "k.json", tmp_path / "images", tmp_path / "out" / "k_overlay.mp4", results)
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {"a_overlay.png", "b_overlay.png", "c_overlay.png"}
    assert all(is_drawn(read_image(tmp_path / "out" / name)) for name in written)
    assert list(results.images.kept()) == [("a.png", 0), ("elsewhere/b.png", 1), ("sub/c.png", 2)]
    results.note_labelled()
    folder = tmp_path / "images"
    assert results.notes == [
        f"Not drawn, as {folder} has several images of that name: c.png.",
        f"Not drawn, as {folder} has no image of that name: none.png.",
    ]


def test_a_folder_of_other_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        draw_keypoints(predictions(("a.png",)), "k.json", tmp_path, tmp_path / "o.mp4", PredictionResults())
    assert (
        str(caught.value)
        == f"{tmp_path} has none of the images that k.json names (such as 'a.png'): give the folder of its images, or its video"
    )


@pytest.mark.parametrize(("first", "drawn"), [(0, [0, 1, 2]), (2, [1, 2, 3]), (1, [1, 2])])
def test_people_are_drawn_on_the_frames_of_their_video(tmp_path: Path, first: int, drawn: list[int]) -> None:
    """A file whose last frame has the number of frames counts from 1."""
    with VideoWriter(tmp_path / "film.mp4", (160, 120), 10.0) as video:
        for _ in range(4):
            video.write(GREY)
    results = PredictionResults()
    count = len(drawn)
    given = predictions(("",) * count, first)
    draw_keypoints(given, "k.json", tmp_path / "film.mp4", tmp_path / "overlay.mp4", results)
    with VideoReader(tmp_path / "overlay.mp4") as video:
        seen = [number for number, image in enumerate(video) if is_drawn(image)]
    assert seen == drawn
    assert results.failed == []
    assert len(results.images.kept()) == count
    assert len(results.notes) == (first == 2)


def test_frames_that_the_video_lacks_are_named(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "film.mp4", (160, 120), 10.0) as video:
        video.write(GREY)
    results = PredictionResults()
    given = replace(predictions(("", "")), frame=np.array([0, 7]))
    draw_keypoints(given, "k.json", tmp_path / "film.mp4", tmp_path / "overlay.mp4", results)
    assert results.failed == [
        f"k.json: 1 of its frames, such as 7, are not among the 1 of {tmp_path / 'film.mp4'}: give the video that it is of"
    ]


def test_sigma_is_drawn_with_the_joints(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "a.png"), GREY)
    drawn = []
    for sigma in (None, np.full((1, 17), 100, np.float32)):
        out = tmp_path / f"out {sigma is None}"
        out.mkdir()
        given = replace(predictions(("a.png",)), sigma_mm=sigma)
        draw_keypoints(given, "k.json", tmp_path / "images", out / "k_overlay.mp4", PredictionResults())
        drawn.append(read_image(out / "a_overlay.png"))
    assert (drawn[0] != drawn[1]).any()
