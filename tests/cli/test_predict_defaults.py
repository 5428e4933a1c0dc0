"""One truth for every setting: `evolift predict` with no option predicts as `predict_files` with no settings does."""

from __future__ import annotations

from pathlib import Path

import pytest

from evolift.cli.app import app
from evolift.cli.predict import predict
from evolift.cli.settings_options import flat_fields
from evolift.posedata.image_settings import ImageSettings
from evolift.posedata.skeleton import HALPE26, skeleton_by_name
from evolift.prediction.prediction_results import PredictionResults
from evolift.prediction.settings import (
    AppSettings,
    CameraSettings,
    FrameChoice,
    KeypointSettings,
    ModelSettings,
    PersonSettings,
    PredictSettings,
)


@pytest.fixture
def passed(monkeypatch: pytest.MonkeyPatch) -> list[PredictSettings]:
    """What the command gives to the library."""
    given: list[PredictSettings] = []

    def record(inputs: object, output: object, settings: PredictSettings, **_: object) -> PredictionResults:
        given.append(settings)
        return PredictionResults()

    monkeypatch.setattr("evolift.prediction.file_prediction.predict_files", record)
    return given


def test_the_command_without_options_has_the_defaults_of_the_settings(
    evolift, passed: list[PredictSettings], tmp_path: Path
) -> None:
    result = evolift("predict", "photo.jpg", "-o", tmp_path)
    assert result.returncode == 0, result.stderr
    assert passed == [PredictSettings()]


def test_every_setting_can_be_reached(evolift, passed: list[PredictSettings], tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    stages = ("--chain", file, "--detector", file, "--lifter", file, "--refiner", file, "--device", "cuda")
    persons = (
        "--persons", "torchvision", "--person-weights", file, "--person-score", 0.2, "--max-people", 3
    )  # fmt: skip
    keypoints = (
        "--format",
        "csv",
        "--skeleton",
        "COCO17",
        "--mapping",
        file,
        "--image-size",
        64,
        48,
        "--fps",
        25,
    )
    others = (
        "--intrinsics",
        file,
        "--assume-camera",
        "--frames",
        9,
        "--start",
        4,
        "--stride",
        2,
        "--smooth",
        "--write",
        "json, BVH,json",
    )
    pixels = ("--max-megapixels", 50, "--strict")
    everything = evolift(
        "predict", "photo.jpg", *stages, *persons, *keypoints, *others, *pixels, "-o", tmp_path / "out"
    )
    assert everything.returncode == 0, everything.stderr
    model = tmp_path / "pose.onnx"
    model.touch()
    last = ("--min-confidence", 0.2, "--images", file, "--min-joint-confidence", 0.4, "--temporal", file)
    others_detector = (
        "--detector",
        "rtmlib:feet",
        "--detector-mode",
        "lightweight",
        "--detector-weights",
        file,
    )
    others_file = ("--detector", model, "--detector-skeleton", "HALPE26")
    for number, given in enumerate((others_detector, others_file)):
        result = evolift("predict", "photo.jpg", *given, "-o", tmp_path / f"out{number}")
        assert result.returncode == 0, result.stderr
    rest = evolift("predict", "photo.jpg", "--box", 1, 2, 3, 4, "--focal", 900, *last, "-o", tmp_path / "out")
    assert rest.returncode == 0, rest.stderr
    name = str(file)
    first = PredictSettings(
        models=ModelSettings(chain=name, detector=name, lifter=name, refiner=name, device="cuda"),
        people=PersonSettings(persons="torchvision", person_weights=name, person_score=0.2, max_people=3),
        keypoints=KeypointSettings(
            format="csv",
            skeleton=skeleton_by_name("COCO17"),
            mapping=name,
            image_size=(64, 48),
            frames_per_second=25.0,
        ),
        camera=CameraSettings(intrinsics=name, assume_camera=True),
        frames=FrameChoice(max_frames=9, start=4, stride=2),
        smooth=True,
        formats=("json", "bvh"),
        images=ImageSettings(max_megapixels=50.0),
        strict=True,
    )
    second = PredictSettings(
        models=ModelSettings(temporal=name),
        people=PersonSettings(box=(1, 2, 3, 4), min_confidence=0.2),
        camera=CameraSettings(focal=900.0),
        keypoints=KeypointSettings(overlay_images=name, min_joint_confidence=0.4),
    )
    third = PredictSettings(
        models=ModelSettings(detector="rtmlib:feet", detector_mode="lightweight", detector_weights=(name,))
    )
    fourth = PredictSettings(models=ModelSettings(detector=str(model), detector_skeleton=HALPE26))
    assert passed == [first, third, fourth, second]
    default = PredictSettings().flat()
    changed = {key for one in passed for key, value in one.flat().items() if value != default[key]}
    assert changed == {field.name for field in flat_fields(PredictSettings)}


def test_the_page_has_an_option_for_every_setting() -> None:
    assert {field.name for field in flat_fields(AppSettings)} <= {option.name for option in app.params}
    assert {field.name for field in flat_fields(PredictSettings)} <= {
        option.name for option in predict.params
    }
