from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from evolift.chain.model import ChainModel
from evolift.detector2d.model import DetectorModel
from evolift.detector2d.settings import DetectorSettings
from evolift.lifter.model import LifterModel
from evolift.lifter.refiner import RefinerModel
from evolift.lifter.settings import LifterSettings, RefinerSettings
from evolift.posedata.camera import Camera
from evolift.posedata.errors import InputError
from evolift.posedata.image_file import read_image
from evolift.posedata.importers.bvh import import_bvh
from evolift.posedata.predictions.prediction_files import read_predictions
from evolift.posedata.skeleton import H36M17
from evolift.posedata.store import PoseStore
from evolift.posedata.video_file import VideoReader, VideoWriter
from evolift.prediction.cameras.camera_choice import CameraRule
from evolift.prediction.image_prediction import ImagePrediction
from evolift.prediction.pipeline import Pipeline
from evolift.prediction.pose_prediction import OutOfSightError
from evolift.prediction.prediction_results import PredictionResults
from evolift.prediction.smoothing import smoothed_predictions
from evolift.prediction.tracking.person_following import PersonFollower
from tests.headless_chromium import HeadlessPage
from tests.posedata.keypoint_samples import csv_text
from tests.prediction.persons.person_onnx_files import Fixed, RedPatch, separate_outputs, write_onnx


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with detector, lifter and chain checkpoints of tiny untrained networks, and three images."""
    folder = tmp_path_factory.mktemp("chain")
    torch.manual_seed(0)
    settings = DetectorSettings(
        backbone="resnet10t", input_width=64, input_height=64, head="light", head_widths=(16,)
    )
    detector = DetectorModel(settings).eval()
    lifter = LifterModel(LifterSettings(hidden=16, blocks=1, normalisation="box")).eval()
    detector.save(folder / "detector.safetensors")
    lifter.save(folder / "lifter.safetensors")
    ChainModel(detector, lifter).save(folder / "chain.safetensors")
    # Heatmaps of large random numbers have one cell that stands out: this network is sure of every image.
    large = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in detector.head.parameters():
            weight.copy_(torch.randn(weight.shape, generator=large))
    ChainModel(detector, lifter).save(folder / "sure.safetensors")
    generator = np.random.default_rng(0)
    for name, shape in (("wide", (90, 160, 3)), ("tall", (200, 100, 3)), ("grey", (50, 60))):
        cv2.imwrite(str(folder / f"{name}.png"), generator.integers(0, 255, shape, np.uint8))
    return folder


def test_images_become_poses_overlays_and_a_page(evolift, checkpoints: Path, tmp_path: Path) -> None:
    output = tmp_path / "poses"
    images = [checkpoints / f"{name}.png" for name in ("wide", "tall", "grey")]
    result = evolift("predict", *images, "--chain", checkpoints / "chain.safetensors", "-o", output)
    assert result.returncode == 0, result.stderr
    predictions = read_predictions(output / "predictions.json")
    assert predictions.image == ("wide.png", "tall.png", "grey.png")
    np.testing.assert_allclose(predictions.joints_3d[:, 0], 0, atol=1e-3)
    assert "camera is unknown" in predictions.camera_assumption
    header = json.loads((output / "predictions.json").read_text())
    assert header["units"]["joints_3d"] == "mm"
    assert header["provenance"]["command"] == "evolift predict"
    for image in images:
        overlay = cv2.imread(str(output / f"{image.stem}_overlay.png"))
        assert overlay.shape[:2] == cv2.imread(str(image)).shape[:2]
    assert "wide.png" in (output / "page.html").read_text()


def test_shipped_weights_are_taken_by_name_and_the_output_has_a_default(
    evolift, checkpoints: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = (
        "predict",
        checkpoints / "wide.png",
        "--device",
        "auto",
        "--chain",
        "photo_pose",
        "--max-people",
        1,
    )
    result = evolift(*arguments)
    assert result.returncode == 0, result.stderr
    named = read_predictions(tmp_path / "runs" / "predict" / "predictions.json")
    expected = Pipeline.from_pretrained("photo_pose").predict(checkpoints / "wide.png").joints_3d
    np.testing.assert_allclose(named.joints_3d[0], expected, atol=0.1)
    shutil.copy(checkpoints / "chain.safetensors", tmp_path / "photo_pose")  # files go before names
    assert evolift(*arguments, "--overwrite").returncode == 0
    again = read_predictions(tmp_path / "runs" / "predict" / "predictions.json")
    assert np.abs(again.joints_3d - named.joints_3d).max() > 1


def test_a_lifter_for_a_rig_is_warned_of_once(evolift, checkpoints: Path, tmp_path: Path) -> None:
    lifter = LifterModel(LifterSettings(hidden=16, blocks=1)).eval()
    lifter.save(tmp_path / "rig.safetensors")
    stages = ("--detector", checkpoints / "detector.safetensors", "--lifter", tmp_path / "rig.safetensors")
    images = (checkpoints / "wide.png", checkpoints / "tall.png")
    result = evolift("predict", *images, *stages, "-o", tmp_path / "a")
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("this lifter was trained for a known rig") == 1
    known = evolift("predict", *images, *stages, "--assume-camera", "-o", tmp_path / "b")
    assert "known rig" not in known.stderr
    box = evolift("predict", *images, "--chain", checkpoints / "chain.safetensors", "-o", tmp_path / "c")
    assert "known rig" not in box.stderr
    keypoints = (coco_file(tmp_path), "--image-size", 500, 500, "--lifter", tmp_path / "rig.safetensors")
    assert "known rig" in evolift("predict", *keypoints, "-o", tmp_path / "d").stderr


def test_keypoints_are_drawn_on_their_images(evolift, checkpoints: Path, tmp_path: Path) -> None:
    from tests.posedata.keypoint_samples import points

    (tmp_path / "k.csv").write_text(csv_text(points(H36M17), H36M17))
    (tmp_path / "photos").mkdir()
    shutil.copy(checkpoints / "wide.png", tmp_path / "photos" / "img0.jpg")
    given = ("predict", tmp_path / "k.csv", "--lifter", checkpoints / "lifter.safetensors")
    result = evolift(*given, "--images", tmp_path / "photos", "-o", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    overlay = cv2.imread(str(tmp_path / "out" / "img0_overlay.png"))
    assert (overlay != cv2.imread(str(checkpoints / "wide.png"))).any()
    assert "Not drawn" in result.stderr
    assert "data:image/jpeg" in (tmp_path / "out" / "page.html").read_text()


def test_detector_and_lifter_say_what_their_chain_says(checkpoints: Path) -> None:
    image = np.random.default_rng(1).integers(0, 255, (120, 90, 3), np.uint8)
    chain = Pipeline.from_checkpoints(chain=checkpoints / "chain.safetensors")
    chained = Pipeline.from_checkpoints(
        detector=checkpoints / "detector.safetensors", lifter=checkpoints / "lifter.safetensors"
    )
    first, second = chain.predict(image), chained.predict(image)
    np.testing.assert_array_equal(first.joints_3d, second.joints_3d)
    assert first.box_source == "found"
    given = chain.predict(image, first.box)
    np.testing.assert_array_equal(given.joints_2d, first.joints_2d)
    with pytest.raises(InputError, match="give a chain checkpoint, or one of a detector and one of a lifter"):
        Pipeline.from_checkpoints(detector=checkpoints / "detector.safetensors")


def test_a_list_of_images_gives_a_list_of_poses(checkpoints: Path) -> None:
    rng = np.random.default_rng(1)
    images = [rng.integers(0, 255, shape, np.uint8) for shape in ((120, 90, 3), (60, 80, 3))]
    pipeline = Pipeline.from_pretrained(checkpoints / "chain.safetensors")
    poses = pipeline.predict(images, [None, (5, 5, 40, 50)])
    np.testing.assert_array_equal(poses[0].joints_3d, pipeline.predict(images[0]).joints_3d)
    np.testing.assert_array_equal(poses[1].joints_3d, pipeline.predict(images[1], (5, 5, 40, 50)).joints_3d)
    assert [pose.image_size for pose in pipeline.predict(images)] == [(90, 120), (80, 60)]
    assert pipeline.predict([]) == []
    with pytest.raises(InputError, match="there are 2 images but 1 boxes"):
        pipeline.predict(images, [None])
    for outside in ((-50, -50, 30, 30), (90.5, 0, 5, 5), (0, 0, 10, 0)):
        with pytest.raises(InputError, match="has no area in the image of 90 x 120 pixels"):
            pipeline.predict(images[0], outside)
    with pytest.raises(
        InputError, match=r"`box` must be four numbers \(left, top, width, height\), not \(nan, "
    ):
        pipeline.predict(images[0], (np.nan, 0, 5, 5))
    for wrong in (images[0][..., None], images[0].astype(np.int64), np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(InputError, match="an image must be"):
            pipeline.predict(wrong)


def test_images_may_be_named_by_their_files(checkpoints: Path) -> None:
    pipeline, path = Pipeline.from_pretrained(checkpoints / "chain.safetensors"), checkpoints / "wide.png"
    expected = pipeline.predict(read_image(path)).joints_3d
    for named in (path, str(path)):
        np.testing.assert_array_equal(pipeline.predict(named).joints_3d, expected)
        np.testing.assert_array_equal(pipeline.predict([named])[0].joints_3d, expected)
    with pytest.raises(InputError, match=r"none.png cannot be read"):
        pipeline.predict(checkpoints / "none.png")
    with pytest.raises(
        InputError, match=r"https://a.org/photo.jpg is an address on the web: download it first"
    ):
        pipeline.predict("https://a.org/photo.jpg")
    for wrong in (None, 3.0):
        with pytest.raises(
            InputError, match="an image must be an array, a Pillow image or the path of a file"
        ):
            pipeline.predict(wrong)
    np.testing.assert_array_equal(pipeline.predict(Image.open(path)).joints_3d, expected)
    assert len(pipeline.predict(path).plot(path).axes) == 2


def test_a_pose_can_be_plotted(checkpoints: Path) -> None:
    image = np.random.default_rng(1).integers(0, 255, (120, 90, 3), np.uint8)
    pose = Pipeline.from_pretrained(checkpoints / "chain.safetensors").predict(image)
    assert len(pose.plot().axes) == 1
    photograph, _ = pose.plot(image).axes
    shown = np.asarray(photograph.images[0].get_array())
    assert shown.shape == image.shape
    assert (shown != image).any()
    with pytest.raises(InputError, match="of an image of 90 x 120 pixels, this one has 120 x 90"):
        pose.plot(image.transpose(1, 0, 2))


def test_a_pose_prints_as_a_few_lines(checkpoints: Path) -> None:
    pipeline = Pipeline.from_pretrained(checkpoints / "chain.safetensors")
    image = np.random.default_rng(1).integers(0, 255, (120, 90, 3), np.uint8)
    pose = pipeline.predict(image, (5, 6, 70.4, 80))
    assert repr(pose).splitlines() == [
        f"<PosePrediction: H36M17, mean confidence {pose.confidence.mean():.2f}",
        "  joints_3d (17, 3), mm from the pelvis; camera unknown",
        "  joints_2d (17, 2), pixels of 90 x 120",
        "  box given: left 5, top 6, 70 x 80>",
    ]
    placed = replace(
        pose, camera=Camera.from_focal_length(100.0, 90, 120), root_3d=np.float32([1, -2.2, 3000])
    )
    assert "mm from the pelvis; that is at (1, -2, 3000) of the camera\n" in repr(placed)


def test_a_bad_image_is_named_and_the_others_are_done(evolift, checkpoints: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_text("not an image")
    output = tmp_path / "poses"
    result = evolift(
        "predict", bad, checkpoints / "wide.png", "--chain", checkpoints / "chain.safetensors", "-o", output
    )
    assert result.returncode == 2
    assert "bad.jpg is not a readable image" in result.stderr.replace("\n", " ")
    assert read_predictions(output / "predictions.json").image == ("wide.png",)


def test_what_is_not_there_is_named_and_the_others_are_done(
    evolift, checkpoints: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = cv2.VideoCapture()
    monkeypatch.setattr("evolift.posedata.video_file.cv2.VideoCapture", lambda _: closed)
    inputs = (tmp_path / "none.png", checkpoints / "wide.png", tmp_path / "*.jpg", "--webcam", 7)
    output = tmp_path / "poses"
    result = evolift("predict", *inputs, "--chain", checkpoints / "chain.safetensors", "-o", output)
    assert result.returncode == 2
    said = " ".join(result.stderr.split())
    assert "none.png: there is no such file or folder" in said
    assert "*.jpg: there is no such file or folder" in said
    assert "webcam 7" in said
    assert read_predictions(output / "predictions.json").image == ("wide.png",)


def test_of_an_animation_the_first_frame_is_taken_and_said_and_specks_are_refused(
    evolift, checkpoints: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    frames = [Image.fromarray(np.full((40, 50, 3), value, np.uint8)) for value in (10, 200)]
    for ending in ("gif", "webp"):
        frames[0].save(tmp_path / f"moving.{ending}", save_all=True, append_images=frames[1:])
    frames[0].crop((0, 0, 3, 2)).save(tmp_path / "speck.png")
    whole = (tmp_path / "moving.gif").read_bytes()
    (tmp_path / "cut.gif").write_bytes(whole[: len(whole) // 3])
    names = ("moving.gif", "moving.webp", "speck.png", "cut.gif")
    result = evolift(
        "predict",
        *(tmp_path / n for n in names),
        "--chain",
        checkpoints / "chain.safetensors",
        "-o",
        tmp_path / "o",
    )
    assert result.returncode == 2
    assert "speck.png has 3 x 2 pixels, too few to tell a person" in result.stderr
    assert "cut.gif is not a readable image" in result.stderr
    assert read_predictions(tmp_path / "o" / "predictions.json").image == names[:2]
    page = (tmp_path / "o" / "page.html").read_text()
    said = "Animated: the first frame was taken: moving.gif, moving.webp."
    assert said in page
    assert said in result.stderr
    assert said in read_predictions(tmp_path / "o" / "predictions.json").provenance["notes"]
    assert capfd.readouterr().err == "", "libraries say nothing themselves"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("{empty}", "--chain", "{chain}"), "there are no images in this folder"),
        (("{checkpoints}/none.png", "--chain", "{chain}"), "there is no such file or folder"),
        (
            ("https://example.org/a.jpg", "--chain", "{chain}"),
            "https://example.org/a.jpg is an address on the web: download it first, and give the file",
        ),
        (
            ("{checkpoints}/wide.png", "--chain", "phto_pose"),
            "There is no file 'phto_pose' (did you mean photo_pose?).",
        ),
        (("{checkpoints}/wide.png", "--chain", "mine.bin"), "'mine.bin' does not exist"),
        (
            ("{checkpoints}/wide.png", "--chain", "{chain}", "--min-confidence", "1"),
            "nobody was found with a confidence of 1 (mean 0.",
        ),
        (
            ("{checkpoints}/wide.png", "--chain", "{checkpoints}/lifter.safetensors"),
            "a checkpoint of the stage 'lifter', not 'chain'",
        ),
        (
            ("{checkpoints}/wide.png", "--chain", "{checkpoints}/wide.png"),
            "is not a readable safetensors file",
        ),
        (
            ("{checkpoints}/wide.png", "--lifter", "{checkpoints}/lifter.safetensors"),
            "give a chain checkpoint, or one of a detector and one of a lifter",
        ),
        (("{checkpoints}/wide.png", "--chain", "{chain}", "--box", "5", "5", "0", "9"), "has no area"),
        (
            ("{checkpoints}/wide.png", "--chain", "{chain}", "--box", "nan", "0", "3", "3"),
            "nan is not a finite number",
        ),
        (
            ("{checkpoints}/wide.png", "--chain", "{chain}", "--box", "10", "10"),
            "Invalid value for '--box': it takes 4 numbers (LEFT TOP WIDTH HEIGHT), and 2 came before '-o'.",
        ),
        (
            ("--box", "10", "{checkpoints}/wide.png", "--chain", "{chain}"),
            "it takes 4 numbers (LEFT TOP WIDTH HEIGHT), and 1 came before '{checkpoints}/wide.png'.",
        ),
        (("{checkpoints}/wide.png", "--chain", "{chain}", "--fps", "inf"), "inf is not a finite number"),
        (("{checkpoints}/wide.png", "--chain", "{chain}", "--fps", "nan"), "nan is not a finite number"),
        (
            ("{checkpoints}/wide.png", "--chain", "{chain}", "--person-score", "nan"),
            "nan is not a finite number",
        ),
        (
            ("-", "{checkpoints}/wide.png", "--chain", "{chain}"),
            "- is a stream of keypoints, which cannot be mixed",
        ),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(
    evolift, checkpoints: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    places = {"empty": empty, "checkpoints": checkpoints, "chain": checkpoints / "chain.safetensors"}
    result = evolift(
        "predict", *(argument.format(**places) for argument in arguments), "-o", tmp_path / "out"
    )
    assert result.returncode == 2
    assert message.replace("{checkpoints}", str(checkpoints)) in result.stderr
    assert not (tmp_path / "out" / "predictions.json").exists()


def test_an_output_folder_that_is_not_ours_is_never_emptied(
    evolift, checkpoints: Path, tmp_path: Path
) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("all my work")
    arguments = (
        "predict",
        checkpoints / "wide.png",
        "--chain",
        checkpoints / "chain.safetensors",
        "-o",
        precious,
    )
    assert "is not empty" in evolift(*arguments).stderr
    assert "was not made by evolift" in evolift(*arguments, "--overwrite").stderr
    assert (precious / "thesis.txt").read_text() == "all my work"


def coco_file(folder: Path, rows: int = 6) -> Path:
    """COCO results of `rows` people, two an image; the third lacks a joint, the fourth nearly all."""
    generator = np.random.default_rng(3)
    table = np.concatenate([generator.uniform(10, 400, (rows, 17, 2)), np.full((rows, 17, 1), 0.9)], -1)
    table[2, 9] = 0
    table[3, 4:] = 0
    path = folder / "keypoints.json"
    path.write_text(
        json.dumps(
            [
                {"image_id": n // 2, "category_id": 1, "keypoints": p.ravel().tolist()}
                for n, p in enumerate(table)
            ]
        )
    )
    return path


@pytest.mark.parametrize("option", ["lifter", "chain"])
def test_keypoints_become_poses(evolift, checkpoints: Path, tmp_path: Path, option: str) -> None:
    output = tmp_path / "poses"
    result = evolift(
        "predict", coco_file(tmp_path), f"--{option}", checkpoints / f"{option}.safetensors", "-o", output
    )
    assert result.returncode == 2, result.stderr
    assert "coco keypoints of 6 poses in 3 images, COCO17" in result.stderr
    assert "person 2 of frame 1 has fewer than 6 of the 17 joints" in result.stderr
    predictions = read_predictions(output / "predictions.json")
    assert list(zip(predictions.frame.tolist(), predictions.person, strict=True)) == [
        (0, "1"), (0, "2"), (1, "1"), (2, "1"), (2, "2")
    ]  # fmt: skip
    wrist = predictions.skeleton.index("left_wrist")
    assert predictions.confidence[:, wrist].tolist() == pytest.approx([0.9, 0.9, 0, 0.9, 0.9])
    assert np.isfinite(predictions.joints_3d).all()
    assert "keypoints.json" in (output / "page.html").read_text()


def test_keypoints_with_a_mapping_and_beside_images(evolift, checkpoints: Path, tmp_path: Path) -> None:
    from tests.posedata.keypoint_samples import points, sleap_text

    renamed = sleap_text(points(H36M17), H36M17).replace("left_hip", "my_hip")
    (tmp_path / "tracks.csv").write_text(renamed)
    names = {("my_hip" if joint == "left_hip" else joint): joint for joint in H36M17.joints}
    (tmp_path / "names.json").write_text(json.dumps({"skeleton": "H36M17", "joints": names}))
    given = (
        "predict",
        tmp_path / "tracks.csv",
        checkpoints / "wide.png",
        "--chain",
        checkpoints / "chain.safetensors",
    )
    refused = evolift(*given, "-o", tmp_path / "refused")
    assert refused.returncode == 2
    assert "say what they mean with --mapping" in refused.stderr
    assert read_predictions(tmp_path / "refused" / "predictions.json").image == ("wide.png",)
    result = evolift(*given, "--mapping", tmp_path / "names.json", "-o", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    assert read_predictions(tmp_path / "out" / "predictions.json").image == ("tracks.csv",) * 2 + (
        "wide.png",
    )


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("{", (), "is not JSON"),
        ("[]", (), "k.json holds no person: its list is empty"),
        ("[3]", (), "k.json is JSON of none of the known formats"),
        ("[]", ("--box", "1", "2", "3", "4"), "--box says where people are in images and videos"),
        ("[]", ("--format", "coco"), "holds no person with keypoints"),
        ("[]", ("--format", "cocoa"), "there is no keypoint format 'cocoa'"),
        (
            "[]",
            ("--detector", "{checkpoints}/detector.safetensors"),
            "to lift keypoints give --lifter or --chain",
        ),
    ],
)
def test_bad_keypoints_are_one_sentence(
    evolift, checkpoints: Path, tmp_path: Path, text: str, options: tuple[str, ...], message: str
) -> None:
    (tmp_path / "k.json").write_text(text)
    more = [option.format(checkpoints=checkpoints) for option in options]
    lifter = checkpoints / "lifter.safetensors"
    result = evolift("predict", tmp_path / "k.json", "--lifter", lifter, *more, "-o", tmp_path / "out")
    assert result.returncode == 2
    assert message in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_known_camera_gives_the_place_and_is_named(evolift, checkpoints: Path, tmp_path: Path) -> None:
    (tmp_path / "camera.json").write_text(
        json.dumps({"fx": 900, "fy": 900, "cx": 320, "cy": 240, "width": 640, "height": 480})
    )
    given = ("predict", coco_file(tmp_path), "--lifter", checkpoints / "lifter.safetensors")
    needs_size = evolift(*given, "--focal", "900", "-o", tmp_path / "none")
    assert "give --image-size WIDTH HEIGHT" in needs_size.stderr
    found = {}
    for name, options in {
        "focal": ("--focal", "900", "--image-size", "640", "480"),
        "file": ("--intrinsics", tmp_path / "camera.json"),
        "assumed": ("--assume-camera", "--image-size", "640", "480"),
    }.items():
        evolift(*given, *options, "-o", tmp_path / name)
        found[name] = read_predictions(tmp_path / name / "predictions.json")
        assert found[name].camera_assumption in (tmp_path / name / "page.html").read_text()
    assert found["focal"].cameras[0].K[0, 0] == 900
    assert found["file"].camera.tolist() == [0] * 5
    assert found["assumed"].cameras[0].K[0, 0] == 800
    assert [p.camera_assumption.split(" ")[-1] for p in found.values()] == [
        "image.",
        "camera.json.",
        "rough.",
    ]


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve frames of noise that move to the right."""
    path = tmp_path_factory.mktemp("video") / "film.mp4"
    noise = np.random.default_rng(0).integers(0, 255, (96, 200, 3), np.uint8)
    with VideoWriter(path, (128, 96), 25.0) as writer:
        for number in range(12):
            writer.write(np.ascontiguousarray(noise[:, number : number + 128]))
    return path


def test_a_video_becomes_a_track_an_overlay_and_a_page(
    evolift, checkpoints: Path, video: Path, tmp_path: Path
) -> None:
    nobody = evolift(
        "predict", video, "--chain", checkpoints / "chain.safetensors", "-o", tmp_path / "nobody"
    )
    assert nobody.returncode == 2
    assert "film.mp4: nobody was found in its 12 frames" in nobody.stderr
    assert not (tmp_path / "nobody").exists()
    given = ("predict", video, "--chain", checkpoints / "sure.safetensors", "--max-people", 1)
    unasked = evolift(*given, "-o", tmp_path / "unasked", "--focal", 1000)
    assert unasked.returncode == 0
    assert (
        "film.mp4: 3D poses are smoothed over time, as those of videos are if nothing else is said (--smooth or --no-smooth)."
        in unasked.stderr
    )
    raw = evolift(*given, "--no-smooth", "-o", tmp_path / "raw", "--focal", 1000)
    assert (raw.returncode, "smoothed over time" in raw.stderr) == (0, False)
    result = evolift(*given, "--smooth", "--frames", 9, "--focal", 1000, "-o", tmp_path / "smooth")
    assert result.returncode == 0, result.stderr
    raw, unasked, smooth = (
        read_predictions(tmp_path / name / "predictions.json") for name in ("raw", "unasked", "smooth")
    )
    by_hand = smoothed_predictions(raw, 25.0)
    np.testing.assert_allclose(unasked.joints_3d, by_hand.joints_3d, rtol=1e-5, atol=0.01)
    assert raw.frame.tolist() == list(range(12))
    assert smooth.frame.tolist() == list(range(9))
    assert smooth.provenance["frames_per_second"] == {"film.mp4": 25.0}
    same_track = [row for row in range(1, 9) if raw.person[row] == raw.person[0]]
    assert same_track
    jumps = [np.abs(np.diff(p.joints_3d[:9], axis=0)).mean() for p in (raw, smooth)]
    assert jumps[1] < jumps[0]
    np.testing.assert_array_equal(raw.joints_2d[:9], smooth.joints_2d)
    with VideoReader(tmp_path / "smooth" / "film_overlay.mp4") as overlay, VideoReader(video) as film:
        drawn, shown = list(overlay), list(film)
    assert len(drawn) == 9
    assert np.abs(drawn[5].astype(int) - shown[5]).mean() > 1
    assert "film.mp4, frame 8" in (tmp_path / "smooth" / "page.html").read_text()


def test_keypoints_are_smoothed_only_if_people_and_times_are_told(
    evolift, checkpoints: Path, tmp_path: Path
) -> None:
    points = np.random.default_rng(0).uniform(10, 400, (6, 17, 2))
    np.savez(tmp_path / "k.npz", keypoints=points, skeleton="COCO17", frame=range(6), person=["a"] * 6)
    given = ("predict", "--lifter", checkpoints / "lifter.safetensors", "--smooth")
    assert "give --fps" in evolift(*given, tmp_path / "k.npz", "-o", tmp_path / "1").stderr
    assert "who is who" in evolift(*given, coco_file(tmp_path), "--fps", 25, "-o", tmp_path / "2").stderr
    bvh = evolift(*given[:-1], tmp_path / "k.npz", "--write", "json,bvh", "-o", tmp_path / "bvh")
    said = "k.npz does not tell the time between frames (give --fps), so there is no track for a bvh file"
    assert (bvh.returncode, said in bvh.stderr, (tmp_path / "bvh").exists()) == (2, True, False)
    assert "npz keypoints of 1 person in 6 frames, COCO17" in bvh.stderr
    assert evolift(*given, tmp_path / "k.npz", "--fps", 25, "-o", tmp_path / "3").returncode == 0
    unasked = evolift(*given[:-1], tmp_path / "k.npz", "--fps", 25, "-o", tmp_path / "4")
    assert (unasked.returncode, "smoothed over time" in unasked.stderr) == (0, False)
    smooth, raw = (read_predictions(tmp_path / n / "predictions.json").joints_3d for n in "34")
    assert np.abs(np.diff(smooth, axis=0)).mean() < np.abs(np.diff(raw, axis=0)).mean()


def test_shared_ids_are_numbers_and_no_tracks(evolift, checkpoints: Path, tmp_path: Path) -> None:
    points = np.random.default_rng(0).uniform(10, 400, (4, 17, 3)).clip(0.5)
    rows = [
        {
            "image_id": f"{n // 2}.jpg",
            "category_id": 1,
            "idx": 0,
            "score": 1.0,
            "keypoints": p.ravel().tolist(),
        }
        for n, p in enumerate(points)
    ]
    (tmp_path / "a.json").write_text(json.dumps(rows))
    given = ("predict", tmp_path / "a.json", "--lifter", checkpoints / "lifter.safetensors", "--fps", 25)
    result = evolift(*given, "--write", "json,bvh", "-o", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    said = f"{tmp_path / 'a.json'} does not tell who is who over frames, so there is no bvh file of it."
    assert said in result.stdout + result.stderr
    assert "two people of frame 0 have the id '0'" in result.stdout + result.stderr
    assert read_predictions(tmp_path / "out" / "predictions.json").person == ("1", "2", "1", "2")
    assert not list((tmp_path / "out").glob("*.bvh"))
    alone = evolift(*given, "--write", "bvh", "-o", tmp_path / "alone")
    assert (alone.returncode, "so there is no track for a bvh file" in alone.stderr) == (2, True)
    smooth = evolift(*given, "--smooth", "-o", tmp_path / "smooth")
    assert (smooth.returncode, "which smoothing needs: leave smoothing out" in smooth.stderr) == (2, True)


def test_frames_that_are_images_of_their_own_names_are_smoothed_and_become_one_bvh(
    evolift, checkpoints: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "alphapose.json"
    points = np.random.default_rng(0).uniform(10, 400, (6, 17, 2))
    rows = [
        {
            "image_id": f"{n}.jpg",
            "category_id": 1,
            "idx": 1,
            "score": 1.0,
            "keypoints": np.concatenate([p, np.full((17, 1), 0.9)], 1).ravel().tolist(),
        }
        for n, p in enumerate(points)
    ]
    folder.write_text(json.dumps(rows))
    given = ("predict", folder, "--lifter", checkpoints / "lifter.safetensors", "--fps", 25)
    smooth = evolift(*given, "--smooth", "--write", "json,bvh", "-o", tmp_path / "s")
    assert smooth.returncode == 0, smooth.stderr
    assert evolift(*given, "-o", tmp_path / "r").returncode == 0
    smooth, raw = (read_predictions(tmp_path / n / "predictions.json") for n in "sr")
    assert smooth.image == tuple(f"{n}.jpg" for n in range(6))
    assert (
        np.abs(np.diff(smooth.joints_3d, axis=0)).mean() < 0.9 * np.abs(np.diff(raw.joints_3d, axis=0)).mean()
    )
    assert "Frames: 6" in (tmp_path / "s" / "alphapose_1.bvh").read_text()


def test_a_refiner_mends_images_and_keypoints(evolift, checkpoints: Path, tmp_path: Path) -> None:
    torch.manual_seed(1)
    refiner = RefinerModel(RefinerSettings(hidden=8, code=4))
    with torch.no_grad():
        for parameter in refiner.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    refiner.save(tmp_path / "r.safetensors")
    chain = checkpoints / "chain.safetensors"
    for number, given in enumerate((checkpoints / "wide.png", coco_file(tmp_path))):
        plain, refined = tmp_path / f"p{number}", tmp_path / f"r{number}"
        one = ("--max-people", 1) if number == 0 else ()
        evolift("predict", given, "--chain", chain, *one, "-o", plain)
        evolift(
            "predict", given, "--chain", chain, "--refiner", tmp_path / "r.safetensors", *one, "-o", refined
        )
        before, after = (read_predictions(folder / "predictions.json") for folder in (plain, refined))
        expected = refiner.eval()(torch.from_numpy(before.joints_3d)).detach().numpy()
        np.testing.assert_allclose(after.joints_3d, expected, atol=0.02)
        np.testing.assert_array_equal(after.joints_2d, before.joints_2d)
        hashes = after.provenance["checkpoints"]
        assert str(tmp_path / "r.safetensors") in hashes


def test_poses_of_a_video_are_gathered_bit_by_bit(checkpoints: Path, video: Path, tmp_path: Path) -> None:
    pipeline = Pipeline.from_checkpoints(chain=checkpoints / "sure.safetensors")
    tables = []
    for gathered in (5, 100):
        results = PredictionResults()
        images = ImagePrediction(
            pipeline,
            CameraRule(pipeline.lifter.settings.normalisation),
            results,
            gathered=gathered,
            max_people=1,
        )
        images.video(video, "film.mp4", tmp_path / f"{gathered}.mp4")
        tables.append(results.clips[0].predictions)
    assert tables[0].frame.tolist() == list(range(12))
    np.testing.assert_array_equal(tables[0].joints_3d, tables[1].joints_3d)
    assert tables[0].person == tables[1].person


def test_who_cannot_be_seen_by_the_camera_is_left_out_of_that_frame(
    evolift, checkpoints: Path, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predict, follow, frames = Pipeline._predict, PersonFollower.__call__, []

    def counted(self, image):  # type: ignore[no-untyped-def]  # of a test
        frames.append(1)
        return follow(self, image)

    def sometimes(self, *arguments):  # type: ignore[no-untyped-def]  # of a test
        if len(frames) in (3, 7):
            raise OutOfSightError("too wide")
        return predict(self, *arguments)

    monkeypatch.setattr(PersonFollower, "__call__", counted)
    monkeypatch.setattr(Pipeline, "_predict", sometimes)
    result = evolift(
        "predict",
        video,
        "--chain",
        checkpoints / "sure.safetensors",
        "--focal",
        200,
        "--max-people",
        1,
        "-o",
        tmp_path / "out",
    )
    assert result.returncode == 2
    assert "film.mp4: 2 times a person spans more than this camera can see" in result.stderr
    assert len(read_predictions(tmp_path / "out" / "predictions.json")) == 10
    with VideoReader(tmp_path / "out" / "film_overlay.mp4") as overlay:
        assert len(list(overlay)) == 12


def test_a_stream_of_lines_is_answered_by_lines(
    evolift, checkpoints: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [
        {"joints_2d": [[n * 9.0 + j, j * j] for j in range(17)], "frame": n, "person": "a"} for n in range(3)
    ]
    lines.insert(1, {"joints_2d": [[5, 5]] * 17, "frame": 9, "person": "b"})
    given = ("predict", "-", "--lifter", checkpoints / "lifter.safetensors", "--skeleton", "COCO17")
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(map(json.dumps, lines)) + "\n{\n"))
    result = evolift(*given)
    assert result.returncode == 2
    assert "standard input line 5 is not JSON" in result.stderr
    assert "has all joints in one place" in result.stderr
    (tmp_path / "out.jsonl").write_text(result.stdout)
    predictions = read_predictions(tmp_path / "out.jsonl")
    assert (predictions.frame.tolist(), set(predictions.person)) == ([0, 1, 2], {"a"})
    for text, message in (("", "standard input held nobody"), ("{}\n", "joints_2d must be a list")):
        monkeypatch.setattr("sys.stdin", io.StringIO(text))
        result = evolift(*given)
        assert (result.returncode, result.stdout) == (2, "")
        assert message in result.stderr
    assert "leave out --output, --write" in evolift(*given, "-o", tmp_path / "x").stderr
    assert "leave out --output, --write" in evolift(*given, "--write", "json").stderr
    assert "--box says where people are in images" in evolift(*given, "--box", 1, 2, 3, 4).stderr


def test_a_stream_goes_on_after_names_and_bytes_that_are_no_text(checkpoints: Path) -> None:
    good = {"joints_2d": [[9.0 * j, j * j] for j in range(17)], "skeleton": "COCO17"}
    lines = [
        json.dumps(good | {"image": "\ud800"}).encode(),
        b"\xff",
        json.dumps(good | {"image": "last"}).encode(),
    ]
    result = subprocess.run(
        [sys.executable, "-m", "evolift", "predict", "-", "--lifter", checkpoints / "lifter.safetensors"],
        input=b"\n".join(lines),
        capture_output=True,
        check=False,
    )
    said = result.stderr.decode()
    assert (result.returncode, "Traceback" in said) == (2, False), said
    assert "standard input line 1: image and person must be Unicode" in said
    assert "standard input line 2 is not JSON" in said
    assert json.loads(result.stdout.splitlines()[-1])["image"] == "last"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_file_names_that_are_no_text(evolift, checkpoints: Path, video: Path, tmp_path: Path) -> None:
    given = ("--chain", checkpoints / "chain.safetensors", "--write", "json,jsonl,csv,npz,h5,bvh,sleap")
    image, film = (tmp_path / os.fsdecode(b"\xff" + ending) for ending in (b".png", b".mp4"))
    shutil.copy(checkpoints / "wide.png", image)
    shutil.copy(video, film)
    out = tmp_path / os.fsdecode(b"out\xfe")
    result = evolift("predict", image, *given, "-o", out)
    assert result.returncode == 0, result.stderr
    result.stdout.encode()
    settings = json.loads((out / "settings.json").read_text())
    assert settings["settings"]["inputs"] == [str(image)]
    assert read_predictions(out / "predictions.json").image == (image.name,)
    with PoseStore(out / "predictions.h5", implausible=True) as store:  # an untrained lifter's
        assert list(store.read().action) == ["\\udcff.png"]
    assert {path.suffix for path in out.iterdir()} & {".partial"} == set()
    for arguments in ((film, *given, "-o", tmp_path / "film"), (video, *given, "-o", out, "--overwrite")):
        result = evolift("predict", *arguments)
        assert result.returncode == 2
        assert "is not UTF-8, which OpenCV needs of the names of videos: rename it" in result.stderr
    assert (out / "page.html").exists()


def test_every_format_of_poses_is_written(evolift, checkpoints: Path, tmp_path: Path) -> None:
    points = np.random.default_rng(0).uniform(10, 400, (6, 17, 2))
    np.savez(tmp_path / "k.npz", keypoints=points, skeleton="COCO17", frame=[0, 1, 2] * 2, person=[*"aaabbb"])
    given = ("predict", tmp_path / "k.npz", "--lifter", checkpoints / "lifter.safetensors")
    result = evolift(*given, "--fps", 25, "--write", "json,JSONL, csv,npz,h5,bvh", "-o", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    names = {entry.name for entry in (tmp_path / "out").iterdir()}
    files = {f"predictions.{ending}" for ending in ("json", "jsonl", "csv", "npz", "h5")}
    assert names == files | {"k_a.bvh", "k_b.bvh", "page.html", "settings.json"}
    for ending in ("json", "jsonl", "csv", "npz"):
        assert len(read_predictions(tmp_path / "out" / f"predictions.{ending}")) == 6
    assert (
        import_bvh(
            tmp_path / "out" / "k_a.bvh",
            tmp_path / "a.h5",
            names="evolift",
            up="y",
            mirrored=False,
            implausible=True,
        ).poses
        == 3
    )
    without = evolift(*given, "--write", "bvh,npz", "-o", tmp_path / "half")
    assert (without.returncode, (tmp_path / "half").exists()) == (2, False)  # before the work
    assert "does not tell the time between frames (give --fps), so there is no track" in without.stderr
    wrong = evolift(*given, "--write", "json,fbx", "-o", tmp_path / "wrong")
    assert "--write json,fbx: choose some of json,jsonl,csv,npz,h5,bvh" in wrong.stderr


def test_the_page_of_a_clip_works_in_a_browser(evolift, checkpoints: Path, tmp_path: Path) -> None:
    points = np.random.default_rng(0).uniform(10, 400, (8, 17, 2))
    np.savez(
        tmp_path / "k.npz",
        keypoints=points,
        skeleton="COCO17",
        frame=[0, 0, 1, 1, 2, 2, 3, 3],
        person=[*"abababab"],
    )
    given = (
        "predict",
        tmp_path / "k.npz",
        "--lifter",
        checkpoints / "lifter.safetensors",
        "-o",
        tmp_path / "out",
    )
    assert evolift(*given).returncode == 0
    with HeadlessPage() as page:
        page.open(tmp_path / "out" / "page.html")
        first = page.canvas("#pose")
        page.drag("#pose", 120, 0)
        assert (page.canvas("#pose") != first).any()
        assert page.evaluate("document.getElementById('frame').max") == "3"
        page.evaluate(
            "(() => { const f = document.getElementById('frame'); f.value = 2; f.dispatchEvent(new Event('input')); })()"
        )
        assert page.evaluate("document.getElementById('caption').textContent") == "k.npz, frame 2"
        names = page.evaluate(
            "[...document.querySelectorAll('#readings tr td:first-child')].map((e) => e.textContent)"
        )
        assert any(name.startswith("left knee, bent") for name in names), names
        assert page.evaluate("document.querySelectorAll('#readings .outside').length") > 0
        assert "healthy adults" in page.evaluate("document.body.textContent")
        assert page.screenshot().std() > 1
        assert not page.errors
        assert [url for url in page.requests if not url.startswith("file:")] == []


def test_a_track_of_images_of_their_own_names_is_one_clip(evolift, checkpoints: Path, tmp_path: Path) -> None:
    """AlphaPose names each frame's image; its tracks are over all of them."""
    points = np.random.default_rng(0).uniform(10, 400, (5, 17, 2))
    names = [f"frame_{n}.jpg" for n in range(5)]
    np.savez(
        tmp_path / "k.npz", keypoints=points, skeleton="COCO17", frame=range(5), person=["a"] * 5, image=names
    )
    given = (
        "predict",
        tmp_path / "k.npz",
        "--lifter",
        checkpoints / "lifter.safetensors",
        "--write",
        "npz,bvh",
        "--fps",
        25,
    )
    assert evolift(*given, "-o", tmp_path / "raw").returncode == 0
    assert evolift(*given, "--smooth", "-o", tmp_path / "smooth").returncode == 0
    raw, smooth = (read_predictions(tmp_path / n / "predictions.npz") for n in ("raw", "smooth"))
    assert smooth.image == tuple(names)
    assert np.abs(np.diff(smooth.joints_3d, axis=0)).mean() < np.abs(np.diff(raw.joints_3d, axis=0)).mean()
    assert "Frames: 5" in (tmp_path / "raw" / "k_a.bvh").read_text()


def test_a_webcam_is_ended_by_hand_and_what_was_seen_is_kept(
    evolift, checkpoints: Path, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, follow, seen = cv2.VideoCapture, PersonFollower.__call__, []

    def until_interrupted(follower: PersonFollower, image: np.ndarray) -> object:
        seen.append(image)
        if len(seen) == 7:
            raise KeyboardInterrupt
        return follow(follower, image)

    given = ("predict", "--chain", checkpoints / "sure.safetensors", "--max-people", 1)
    with monkeypatch.context() as patch:
        patch.setattr("evolift.posedata.video_file.cv2.VideoCapture", lambda _: opened(str(video)))
        patch.setattr(PersonFollower, "__call__", until_interrupted)
        result = evolift(*given, "--webcam", 0, "-o", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    assert read_predictions(tmp_path / "out" / "predictions.json").frame.tolist() == list(range(6))
    with VideoReader(tmp_path / "out" / "webcam_overlay.mp4") as overlay:
        assert len(list(overlay)) == 6
    assert "or --webcam NUMBER" in evolift(*given, "-o", tmp_path / "none").stderr


def test_weights_are_told_of_when_they_are_used(evolift, checkpoints: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").touch()
    (tmp_path / "bad.png").write_text("no image")
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n")
    (tmp_path / "bad.json").write_text("{}")
    image = checkpoints / "wide.png"
    for arguments in (
        (image, "-o", tmp_path / "full"),
        (tmp_path / "bad.png", "-o", tmp_path / "a"),
        (tmp_path / "bad.csv", "-o", tmp_path / "b"),
        (image, "--intrinsics", tmp_path / "bad.json", "-o", tmp_path / "c"),
    ):
        result = evolift("predict", *arguments)
        assert (result.returncode, len(result.stderr.splitlines())) == (2, 1), result.stderr


def test_photographs_and_keypoints_need_no_checkpoint(evolift, checkpoints: Path, tmp_path: Path) -> None:
    result = evolift("predict", checkpoints / "wide.png", "-o", tmp_path / "photo")
    assert result.returncode == 0, result.stderr
    assert "weights: photo_pose, which come with evolift" in result.stderr
    keypoints = tmp_path / "people.csv"
    keypoints.write_text(csv_text(np.random.default_rng(0).random((1, 17, 3)) * [100, 100, 1], H36M17))
    result = evolift("predict", keypoints, "-o", tmp_path / "lifted")
    assert result.returncode == 0, result.stderr
    assert "weights: keypoint_lifter, which come with evolift" in result.stderr
    assert len(read_predictions(tmp_path / "lifted" / "predictions.json")) == 1


@pytest.fixture(scope="module")
def three_people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector that finds the same three people in each image, of 128 x 96 pixels best, whatever is on it."""
    people = ((70, 10, 110, 90, 0.9), (4, 8, 34, 90, 0.8), (40, 8, 66, 90, 0.6), (0, 0, 128, 96, 0.2))
    path = tmp_path_factory.mktemp("persons") / "three.onnx"
    return write_onnx(path, Fixed(*separate_outputs(*people)), (1, 3, 96, 128))


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("group") / "group.png"
    cv2.imwrite(str(path), np.random.default_rng(3).integers(0, 255, (96, 128, 3), np.uint8))
    return path


def test_everybody_in_a_image_gets_a_pose(
    evolift, checkpoints: Path, three_people: Path, group: Path, tmp_path: Path
) -> None:
    given = ("predict", group, "--chain", checkpoints / "chain.safetensors", "--persons", three_people)
    result = evolift(*given, "--write", "json,bvh", "-o", tmp_path / "all")
    assert result.returncode == 0, result.stderr
    predictions = read_predictions(tmp_path / "all" / "predictions.json")
    assert predictions.person == ("person 1", "person 2", "person 3")
    assert set(predictions.image) == {"group.png"}
    boxes = [[3.5, 7.5, 30, 82], [39.5, 7.5, 26, 82], [69.5, 9.5, 40, 80]]
    np.testing.assert_allclose(predictions.box, boxes, atol=1e-4)
    pipeline = Pipeline.from_checkpoints(chain=checkpoints / "chain.safetensors")
    for row, box in enumerate(boxes):
        pose = pipeline.predict(cv2.imread(str(group))[..., ::-1].copy(), box)
        np.testing.assert_allclose(predictions.joints_2d[row], pose.joints_2d, atol=0.01)
        np.testing.assert_allclose(predictions.joints_3d[row], pose.joints_3d, atol=0.1)
    assert str(three_people) in predictions.provenance["checkpoints"]
    drawn, image = (cv2.imread(str(path)) for path in (tmp_path / "all" / "group_overlay.png", group))
    for left, top, _, height in np.array(boxes).round().astype(int):  # a box is drawn around each
        assert (drawn[top : top + height, left] != image[top : top + height, left]).any(-1).all()
    limited = evolift(*given, "--max-people", 2, "--person-score", 0.1, "-o", tmp_path / "max")
    assert limited.returncode == 0, limited.stderr
    two = read_predictions(tmp_path / "max" / "predictions.json")
    np.testing.assert_allclose(two.box, [boxes[0], boxes[2]], atol=1e-4)
    assert "score of 0.1 or more, at most 2" in (tmp_path / "max" / "page.html").read_text()


def test_the_page_shows_everybody_in_a_image(
    evolift, checkpoints: Path, three_people: Path, group: Path, tmp_path: Path
) -> None:
    given = ("predict", group, "--chain", checkpoints / "chain.safetensors", "--persons", three_people)
    assert evolift(*given, "-o", tmp_path / "out").returncode == 0
    with HeadlessPage() as page:
        page.open(tmp_path / "out" / "page.html")
        options = "[...document.querySelectorAll('#person option')].map((one) => one.value)"
        assert page.evaluate(options) == ["person 1", "person 2", "person 3"]
        assert page.evaluate("document.getElementById('person-control').hidden") is False
        assert page.evaluate("document.getElementById('frame').hidden") is True  # one image
        photo, pose = page.canvas("#photo"), page.canvas("#pose")
        page.evaluate(
            "(() => { const p = document.getElementById('person'); p.value = 'person 3'; p.dispatchEvent(new Event('change')); })()"
        )
        assert (page.canvas("#pose") != pose).any()
        assert (page.canvas("#photo") != photo).any()  # the chosen person's lines are wider
        assert "three.onnx" in page.evaluate("document.body.textContent")
        assert not page.errors


def test_everybody_in_a_video_is_a_track(
    evolift, checkpoints: Path, three_people: Path, video: Path, tmp_path: Path
) -> None:
    given = ("predict", video, "--chain", checkpoints / "chain.safetensors", "--persons", three_people)
    result = evolift(*given, "--frames", 5, "--smooth", "--write", "json,bvh", "-o", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    predictions = read_predictions(tmp_path / "out" / "predictions.json")
    assert predictions.frame.tolist() == [frame for frame in range(5) for _ in range(3)]
    assert predictions.person == ("1", "2", "3") * 5
    assert len(list((tmp_path / "out").glob("film_*.bvh"))) == 3
    assert "nobody was found" not in (tmp_path / "out" / "page.html").read_text()
    with VideoReader(tmp_path / "out" / "film_overlay.mp4") as overlay, VideoReader(video) as film:
        drawn, shown = list(overlay), list(film)
    joints = predictions.joints_2d[predictions.frame == 3].mean(1).round().astype(int)
    for u, v in joints:  # of an untrained network, close to the middle of each box
        patch = (slice(max(v - 4, 0), v + 5), slice(max(u - 4, 0), u + 5))
        assert np.abs(drawn[3][patch].astype(int) - shown[3][patch]).mean() > 10


def test_a_image_without_people_is_named_and_the_others_are_done(
    evolift, checkpoints: Path, tmp_path: Path
) -> None:
    path = write_onnx(tmp_path / "red.onnx", RedPatch("separate"), is_dynamic=True)
    image = np.full((100, 120, 3), 60, np.uint8)
    cv2.imwrite(str(tmp_path / "nobody.png"), image)
    image[20:90, 30:60] = [20, 20, 230]
    cv2.imwrite(str(tmp_path / "one.png"), image)
    images = (tmp_path / "nobody.png", tmp_path / "one.png")
    joint = checkpoints / "chain.safetensors"
    result = evolift("predict", *images, "--chain", joint, "--persons", path, "-o", tmp_path / "out")
    assert result.returncode == 2
    said = result.stderr.replace("\n", " ")
    assert "nobody.png" in said
    assert "red.onnx finds nobody with a score of 0.5 or more: lower --person-score, or give --box" in said
    predictions = read_predictions(tmp_path / "out" / "predictions.json")
    assert (predictions.image, predictions.person) == (("one.png",), ("person 1",))
    np.testing.assert_allclose(predictions.box, [[29.5, 19.5, 30, 70]], atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("{checkpoints}/wide.png", "--max-people", "2", "--box", "1", "2", "3", "4"),
            "there is one person in --box: leave --max-people out",
        ),
        (("{checkpoints}/wide.png", "--person-score", "0"), "--person-score belongs to --persons"),
        (
            ("{checkpoints}/wide.png", "--persons", "torchvision", "--box", "1", "2", "3", "4"),
            "--persons and --box both say where people are",
        ),
        (
            ("{checkpoints}/k.csv", "--persons", "torchvision"),
            "finds people in images and videos, and there are none",
        ),
        (("-", "--persons", "torchvision"), "--persons"),
        (("{checkpoints}/wide.png", "--persons", "yolo"), "yolo is no person detector: give torchvision"),
        (
            ("{checkpoints}/wide.png", "--persons", "torchvision:vgg"),
            "there is no person detector torchvision:vgg",
        ),
        (
            (
                "{checkpoints}/wide.png",
                "--persons",
                "torchvision",
                "--person-weights",
                "{checkpoints}/wide.png",
            ),
            "wide.png holds more than tensors, or is damaged",
        ),
    ],
)
def test_person_options_that_do_not_fit_are_one_sentence(
    evolift, checkpoints: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    (checkpoints / "k.csv").write_text(csv_text(np.ones((1, 17, 3)), H36M17))
    output = () if arguments[0] == "-" else ("-o", tmp_path / "out")
    result = evolift(
        "predict",
        *(argument.format(checkpoints=checkpoints) for argument in arguments),
        "--chain",
        checkpoints / "chain.safetensors",
        *output,
    )
    assert result.returncode == 2
    assert message in result.stderr.replace("\n", " ")
    assert not (tmp_path / "out").exists()
