from __future__ import annotations

import subprocess
import sys

import pytest

from evolift.artifacts.shipped_files import shipped_weights
from evolift.posedata.errors import InputError
from evolift.posedata.skeleton import COCO17, skeleton_by_name
from evolift.prediction.settings import (
    AppSettings,
    CameraSettings,
    FrameChoice,
    KeypointSettings,
    ModelSettings,
    PersonSettings,
    PredictSettings,
)


@pytest.mark.parametrize(
    ("group", "values", "message"),
    [
        (CameraSettings, {"intrinsics": "k.json", "focal": 3.0}, "give `intrinsics` or `focal`"),
        (CameraSettings, {"focal": -3.0}, "`focal` must be a number of at least 1 and at most"),
        (CameraSettings, {"focal": float("nan")}, "`focal` must be a number .*, not nan"),
        (PersonSettings, {"persons": "torchvision", "box": (1, 2, 3, 4)}, "`persons` and `box` both say"),
        (
            PersonSettings,
            {"max_people": 2, "box": (1, 2, 3, 4)},
            "one person in `box`: leave `max_people` out",
        ),
        (AppSettings, {"people": PersonSettings(person_score=0.2)}, "`person_score` belongs to `persons`"),
        (
            ModelSettings,
            {"chain": "c", "detector": "rtmlib"},
            "give `chain`, or `detector` and maybe `lifter`",
        ),
        (
            ModelSettings,
            {"detector_weights": ("a",)},
            "`detector_weights` belongs to rtmlib and mediapipe as",
        ),
        (
            ModelSettings,
            {"detector": "a.onnx", "detector_mode": "performance"},
            "`detector_mode` belongs to rtmlib as",
        ),
        (
            ModelSettings,
            {"detector": "mediapipe", "detector_skeleton": COCO17},
            "belongs to an .onnx file as `detector`",
        ),
        (
            PredictSettings,
            {"models": ModelSettings(detector="rtmlib"), "people": PersonSettings(person_score=0.3)},
            "`person_score` belongs to `persons`",
        ),
        (ModelSettings, {"detector_mode": "best"}, "`detector_mode` must be"),
        (PersonSettings, {"person_weights": "w.pth"}, "`person_weights` belongs to `persons`"),
        (PersonSettings, {"box": (1, 2, 3)}, "`box` must be 4 values"),
        (KeypointSettings, {"image_size": (0, 3)}, "`image_size` must be 2 values"),
        (PredictSettings, {"formats": ("json", "fbx")}, "`formats` json,fbx: choose some of json,jsonl,csv"),
        (PredictSettings, {"formats": ()}, "`formats` : choose some of"),
    ],
)
def test_settings_that_cannot_be_are_one_sentence(
    group: type[PredictSettings], values: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        group(**values)


@pytest.mark.parametrize(
    ("detector", "kind"),
    [
        ("rtmlib", "rtmlib"),
        ("rtmlib:feet", "rtmlib"),
        ("mediapipe", "mediapipe"),
        ("runs/pose.ONNX", ".onnx"),
        ("runs/best.safetensors", None),
        ("photo_pose", None),
    ],
)
def test_detectors_of_others_are_told_from_ours(detector: str, kind: str | None) -> None:
    models = ModelSettings(detector=detector)
    assert models.other_detector == kind
    people = PersonSettings(max_people=2, person_score=0.5 if kind == "rtmlib" else 0.3)
    if kind is not None:  # it finds people itself
        assert PredictSettings(models=models, people=people).people == people


@pytest.mark.parametrize("people", [PersonSettings(box=(1, 2, 3, 4)), PersonSettings(persons="a.onnx")])
def test_people_are_found_in_images_alone(people: PersonSettings) -> None:
    PersonSettings().require_images()
    with pytest.raises(InputError, match="in images and videos, and there are none: leave it out"):
        people.require_images()


def test_options_of_keypoints_are_refused_where_there_are_none() -> None:
    KeypointSettings().require_files()
    KeypointSettings(format="jsonl", image_size=(3, 4), mapping="m.json").require_stream()
    with pytest.raises(
        InputError, match="none of the inputs is by its ending: `mapping` and `image_size`; leave"
    ):
        KeypointSettings(mapping="m.json", image_size=(3, 4)).require_files()
    with pytest.raises(InputError, match="a stream is of JSON lines: leave out `format` csv"):
        KeypointSettings(format="csv").require_stream()
    with pytest.raises(InputError, match="leave out `frames_per_second`"):
        KeypointSettings(frames_per_second=30.0).require_stream()


def test_the_files_that_a_prediction_is_read_from_are_known() -> None:
    settings = PredictSettings(
        models=ModelSettings(chain="j", refiner="r"), people=PersonSettings(persons="p.ONNX")
    )
    assert [str(path) for path in settings.files] == ["j", "r", "p.ONNX"]
    pose = ModelSettings(detector="pose.onnx")
    rtmlib = ModelSettings(detector="rtmlib:feet", detector_weights=("d.onnx", "p.onnx"))
    assert [[str(path) for path in one.files] for one in (pose, rtmlib)] == [
        ["pose.onnx"],
        ["d.onnx", "p.onnx"],
    ]
    weights = PersonSettings(persons="torchvision", person_weights="w.pth")
    assert [str(path) for path in weights.files] == ["w.pth"]


def test_settings_come_back_from_a_file() -> None:
    settings = PredictSettings(
        people=PersonSettings(box=(1, 2, 3, 4)),
        keypoints=KeypointSettings(skeleton=skeleton_by_name("COCO17"), image_size=(640, 480)),
        camera=CameraSettings(focal=900.0),
        formats=("json", "bvh"),
    )
    assert PredictSettings.from_dict(settings.to_dict()) == settings


def test_settings_import_nothing_slow() -> None:
    code = (
        "import sys, evolift.prediction.settings, evolift.cli.predict, evolift.cli.app\n"
        "print('slow:', sorted({'torch', 'numpy', 'pandas', 'cv2', 'scipy'} & set(sys.modules)))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip().endswith("slow: []")


def test_shipped_weights_are_known_by_name_and_skeletons_too() -> None:
    assert ModelSettings(chain="photo_pose").files == [shipped_weights("photo_pose")]
    assert KeypointSettings(skeleton="COCO17") == KeypointSettings(skeleton=COCO17)  # type: ignore[arg-type]  # what users do


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (FrameChoice(), [0, 1, 2, 3, 4, 5, 6, 7]),
        (FrameChoice(start=2, stride=3), [2, 5]),
        (FrameChoice(start=1, stride=3, max_frames=2), [1, 4]),
        (FrameChoice(max_frames=3), [0, 1, 2]),
        (FrameChoice(start=9), []),
    ],
)
def test_frames_are_chosen_and_none_is_read_beyond_the_last(choice: FrameChoice, expected: list[int]) -> None:
    frames = iter(range(8))
    assert list(choice.of(frames)) == expected
    assert choice.count(8) == len(expected)
    if choice.max_frames is not None:
        assert next(frames) == expected[-1] + 1
