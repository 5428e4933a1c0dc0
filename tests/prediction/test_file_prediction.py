"""From Python what the command does; more of it is tested through the command (tests/cli/test_predict.py)."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from evolift.chain.model import ChainModel
from evolift.posedata.errors import InputError
from evolift.posedata.image_settings import ImageSettings
from evolift.posedata.skeleton import H36M17
from evolift.posedata.smoothing import smoothed
from evolift.posedata.video_file import VideoReader, VideoWriter
from evolift.prediction.file_prediction import predict_files
from evolift.prediction.frame_choice import FrameChoice
from evolift.prediction.settings import ModelSettings, PersonSettings, PredictSettings
from tests.posedata.keypoint_samples import csv_text, points
from tests.settled_networks import settled_detector, settled_lifter
from tests.variable_rate_video import with_durations

ONE = PersonSettings(max_people=1)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> ModelSettings:
    path = tmp_path_factory.mktemp("chain") / "chain.safetensors"
    ChainModel(settled_detector(), settled_lifter(normalisation="box")).save(path)
    return ModelSettings(chain=str(path))


@pytest.fixture
def image(tmp_path: Path) -> Path:
    coarse = np.random.default_rng(0).integers(0, 255, (9, 12, 3), np.uint8)
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), np.kron(coarse, np.ones((20, 20, 1), np.uint8)))
    return path


def test_files_are_predicted_written_and_given_back(
    models: ModelSettings, image: Path, tmp_path: Path
) -> None:
    told: list[str] = []
    results = predict_files(
        [str(image), tmp_path / "none.png"],
        tmp_path / "out",
        PredictSettings(models=models, people=PersonSettings(box=(5, 5, 100, 150)), formats=("npz", "npz")),
        report=told.append,
    )
    assert (results.poses, [clip.label for clip in results.clips]) == (1, ["photo.png"])
    assert [path.name for path in results.written] == ["predictions.npz", "page.html"]
    assert results.clips[0].predictions.provenance["settings"]["box"] == [5.0, 5.0, 100.0, 150.0]
    assert list(results.clips[0].predictions.provenance["checkpoints"]) == [models.chain]
    assert told == []
    with pytest.raises(InputError, match=r"none.png: there is no such file"):
        results.raise_failures()


def test_nothing_that_can_be_predicted_leaves_no_folder(models: ModelSettings, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_text("no image")
    with pytest.raises(InputError, match=r"bad.png is not a readable image"):
        predict_files([tmp_path / "bad.png"], tmp_path / "out", PredictSettings(models=models))
    with pytest.raises(InputError, match="or `webcam` NUMBER"):
        predict_files([], tmp_path / "out", PredictSettings(models=models))
    assert not (tmp_path / "out").exists()


def test_inputs_and_frames_are_counted(models: ModelSettings, image: Path, tmp_path: Path) -> None:
    pixels = cv2.imread(str(image))
    for name in ("a", "b"):
        with VideoWriter(tmp_path / f"{name}.mp4", (240, 180), 10.0) as video:
            for _ in range(6):
                video.write(pixels)
    (tmp_path / "k.csv").write_text(csv_text(points(H36M17), H36M17))
    counted: list[tuple[int, int | None]] = []
    predict_files(
        [image, tmp_path / "a.mp4", tmp_path / "b.mp4", tmp_path / "k.csv"],
        tmp_path / "out",
        PredictSettings(models=models, frames=FrameChoice(max_frames=4)),
        progress=lambda done, total=None: counted.append((done, total)),
    )
    totals = [total for _, total in counted if total is not None]
    assert (totals[0], totals[-1]) == (4, 4 + 2 * 4)
    assert sum(done for done, _ in counted) == totals[-1]


def test_incomplete_and_bad_images_are_told_and_the_rest_is_done(
    models: ModelSettings, image: Path, tmp_path: Path
) -> None:
    pixels = cv2.imread(str(image))
    data = cv2.imencode(".jpg", pixels)[1].tobytes()
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("b.jpg", "c.jpg"):
        (folder / name).write_bytes(data[: len(data) * 6 // 10] + b"\xff\xd9")
    (folder / "a.jpg").write_bytes(data)
    (folder / "empty.png").touch()
    told: list[str] = []
    settings = PredictSettings(models=models)
    results = predict_files(folder, tmp_path / "out", settings, report=told.append)
    sentence = (
        "2 images are incomplete, a part is missing and was predicted as grey: b.jpg, c.jpg; copy them again."
    )
    assert sentence in told
    assert sentence in json.loads((tmp_path / "out" / "predictions.json").read_text())["provenance"]["notes"]
    assert results.poses == 3
    assert results.failed == [f"{folder / 'empty.png'} is empty: it should be an image"]
    (folder / "empty.png").unlink()
    predict_files(folder, tmp_path / "lenient", settings).raise_failures()
    strict = predict_files(folder, tmp_path / "strict", settings.replaced(strict=True))
    assert strict.poses == 3
    with pytest.raises(InputError, match=r"^2 of the images are incomplete \(`strict`\)$"):
        strict.raise_failures()


def test_images_and_videos_of_too_many_pixels_are_refused(
    models: ModelSettings, image: Path, tmp_path: Path
) -> None:
    with VideoWriter(tmp_path / "film.mp4", (240, 180), 10.0) as video:
        video.write(cv2.imread(str(image)))
    settings = PredictSettings(models=models, images=ImageSettings(max_megapixels=0.04))
    with pytest.raises(InputError) as caught:
        predict_files([image, tmp_path / "film.mp4"], tmp_path / "out", settings)
    assert str(caught.value).count("has 240 x 180 pixels, at most 0.04 million are taken") == 2
    assert not (tmp_path / "out").exists()


def test_poses_of_a_video_of_varying_rate_are_at_the_times_of_its_container(
    models: ModelSettings, image: Path, tmp_path: Path
) -> None:
    pixels = cv2.imread(str(image))
    with VideoWriter(tmp_path / "a.mp4", (240, 180), 25.0) as video:
        for shift in range(6):
            video.write(np.roll(pixels, shift, axis=1))
    with_durations(tmp_path / "a.mp4", [40, 40, 200, 40, 280, 40])
    times = [0, 0.04, 0.08, 0.28, 0.32, 0.6]
    raw, smooth = (
        predict_files(
            [tmp_path / "a.mp4"],
            tmp_path / f"smooth {is_smooth}",
            PredictSettings(models=models, people=ONE, formats=("json", "bvh"), smooth=is_smooth),
        )
        for is_smooth in (False, True)
    )
    assert raw.notes[-2].startswith(
        "a.mp4: its frame rate varies, frames last 40 to 280 ms: poses are at the"
    )
    assert raw.notes[-2].endswith(
        "have 25 frames per second; the overlay shows each frame for the same time, at 9.375 frames per second."
    )
    assert raw.notes[-1] == "a_1.bvh: 10 of 16 frames are interpolated."
    before, after = (results.clips[0].predictions for results in (raw, smooth))
    np.testing.assert_allclose(before.time, times, atol=1e-6)
    by_hand = smoothed(before.joints_3d, np.array(times))
    np.testing.assert_allclose(after.joints_3d, by_hand, rtol=1e-5, atol=0.01)
    assert np.abs(after.joints_3d - before.joints_3d).max() > 1
    with VideoReader(tmp_path / "smooth True" / "a_overlay.mp4") as overlay:
        assert (len(list(overlay)), round(overlay.frames_per_second, 3)) == (6, 9.375)
