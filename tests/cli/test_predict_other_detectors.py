"""`evolift predict --detector` with detectors that are not ours."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from evolift.posedata.extras import install_command
from evolift.posedata.predictions.prediction_files import read_predictions
from evolift.posedata.video_file import VideoReader, VideoWriter
from tests.prediction.detectors.onnx_pose_files import (
    SHAPE,
    image_with_dots,
    write_movenet,
    write_simcc,
    write_yolo,
)


def write_image(path: Path, *dots: tuple[int, int] | None) -> Path:
    cv2.imwrite(str(path), image_with_dots((96, 64), *dots)[..., ::-1])
    return path


def test_a_network_that_finds_people_predicts_everybody(evolift, tmp_path: Path) -> None:
    network = write_yolo(tmp_path / "yolo.onnx")
    folder = tmp_path / "photos"
    folder.mkdir()
    write_image(folder / "one.png", (30, 20))
    write_image(folder / "two.png", (30, 20), None, (60, 40))
    result = evolift("predict", folder, "--detector", network, "-o", tmp_path / "out", "--write", "json,csv")
    assert result.returncode == 0, result.stderr
    assert result.stderr.splitlines() == [
        f"{network}: YOLO-pose, 17 joints, taken to be COCO17's (else give --detector-skeleton)",
        "weights: keypoint_lifter, which come with evolift",
        "People and their joints were found by yolo.onnx.",
    ]
    found = read_predictions(tmp_path / "out" / "predictions.json")
    assert [(Path(image).name, who) for image, who in zip(found.image, found.person, strict=True)] == [
        ("one.png", "person 1"),
        ("two.png", "person 1"),
        ("two.png", "person 2"),
    ]
    assert found.provenance["checkpoints"].keys() == {str(network)}
    left_wrist = found.skeleton.index("left_wrist")
    np.testing.assert_allclose(found.joints_2d[2, left_wrist], SHAPE[9] + (60, 40), atol=1e-3)
    assert np.isfinite(found.joints_3d).all()
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"one_overlay.png", "two_overlay.png", "page.html", "predictions.csv"} <= names


def test_people_are_followed_through_a_video(evolift, tmp_path: Path) -> None:
    network = write_yolo(tmp_path / "yolo.onnx")
    with VideoWriter(tmp_path / "film.mp4", (96, 64), 10.0) as video:
        for step in range(4):
            dots = [(20 + step, 20), None, (70 - step, 40)]
            video.write(image_with_dots((96, 64), *dots, blur=4, level=255))  # type: ignore[arg-type]  # mypy makes it object
    run = ("predict", tmp_path / "film.mp4", "--detector", network, "--person-score", 0.6)
    result = evolift(*run, "--smooth", "-o", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    found = read_predictions(tmp_path / "out" / "predictions.json")
    assert found.frame.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert list(found.person) == ["1", "2"] * 4
    with VideoReader(tmp_path / "out" / "film_overlay.mp4") as overlay:
        assert len(list(overlay)) == 4
    one = evolift(*run, "--max-people", 1, "-o", tmp_path / "one")
    assert one.returncode == 0, one.stderr
    assert len(read_predictions(tmp_path / "one" / "predictions.json").frame) == 4


def test_a_network_of_one_person_takes_the_whole_image_and_says_so(evolift, tmp_path: Path) -> None:
    network = write_simcc(tmp_path / "rtmpose.onnx", (96, 64))
    image = write_image(tmp_path / "photo.png", (30, 20), (50, 30), (60, 40))
    result = evolift(
        "predict", image, "--detector", network, "--detector-skeleton", "COCO17", "-o", tmp_path / "out"
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr.splitlines()[-1] == (
        "No person box was given: rtmpose.onnx took the whole image for one person, or in videos, once somebody was found, what "
        "surrounds the joints of the frame before; --box and --persons say where people are."
    )
    found = read_predictions(tmp_path / "out" / "predictions.json")
    np.testing.assert_allclose(found.joints_2d[0, found.skeleton.index("left_wrist")], (50, 30), atol=1e-3)
    boxed = evolift("predict", image, "--detector", network, "--box", 10, 5, 60, 50, "-o", tmp_path / "boxed")
    assert boxed.returncode == 0, boxed.stderr
    assert "No person box" not in boxed.stderr
    again = read_predictions(tmp_path / "boxed" / "predictions.json")
    np.testing.assert_allclose(again.box, [[10, 5, 60, 50]])
    np.testing.assert_allclose(again.joints_2d[0, found.skeleton.index("left_wrist")], (50, 30), atol=0.6)


def test_nobody_is_told_of_each_image_and_the_rest_is_done(evolift, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    write_image(folder / "nobody.png")
    write_image(folder / "one.png", (30, 20))
    for network in (write_yolo(tmp_path / "yolo.onnx"), write_movenet(tmp_path / "movenet.onnx")):
        result = evolift("predict", folder, "--detector", network, "-o", tmp_path / network.stem)
        assert result.returncode == 2
        assert (
            result.stderr.splitlines()[-1] == f"Error: {folder / 'nobody.png'}: {network.name} finds nobody"
        )
        assert len(read_predictions(tmp_path / network.stem / "predictions.json").frame) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--detector", "rtmlib"), f"the package rtmlib is missing: {install_command('rtmlib')}"),
        (("--detector", "mediapipe"), "mediapipe needs the file of a pose landmarker: download"),
        (
            ("--detector", "rtmlib:hands"),
            "there is no rtmlib:hands: choose rtmlib:body, rtmlib:feet, rtmlib:wholebody",
        ),
        (
            ("--detector", "rtmlib", "--chain", "photo_pose"),
            "give --chain, or --detector and maybe --lifter, not both",
        ),
        (("--detector-mode", "performance"), "--detector-mode belongs to rtmlib as --detector: leave it out"),
        (("--person-score", "0.2"), "--person-score belongs to --persons: give that, too, or leave it out"),
        (("--detector", "none.onnx"), "'none.onnx' does not exist"),
    ],
)
def test_what_does_not_go_together_is_one_sentence(
    options: tuple[str, ...], message: str, evolift, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rtmlib", None)
    image = write_image(tmp_path / "photo.png", (30, 20))
    result = evolift("predict", image, *options, "-o", tmp_path / "out")
    assert result.returncode == 2
    assert message in " ".join(result.stderr.split())
    assert not (tmp_path / "out").exists()
