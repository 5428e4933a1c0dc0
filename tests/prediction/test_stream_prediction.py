"""From Python what `evolift predict -` does; more of it is tested through the command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evolift.posedata.errors import InputError
from evolift.posedata.skeleton import skeleton_by_name
from evolift.prediction.settings import CameraSettings, KeypointSettings, ModelSettings
from evolift.prediction.stream_prediction import predict_stream
from tests.settled_networks import settled_lifter


@pytest.fixture
def models(tmp_path: Path) -> ModelSettings:
    settled_lifter(normalisation="box").save(tmp_path / "lifter.safetensors")
    return ModelSettings(lifter=str(tmp_path / "lifter.safetensors"))


def test_lines_are_answered_and_what_is_wrong_is_told(models: ModelSettings) -> None:
    lines = [json.dumps({"joints_2d": [[9.0 * j, j * j + n] for j in range(17)], "frame": n}) for n in (0, 1)]
    lines += ["{", json.dumps({"joints_2d": [[5, 5]] * 17, "frame": 2})]
    keypoints = KeypointSettings(skeleton=skeleton_by_name("COCO17"), image_size=(640, 480))
    answers = list(predict_stream(lines, models, CameraSettings(focal=900.0), keypoints, where="the tracker"))
    frames = [row for answer in answers if answer.predictions is not None for row in answer.predictions.frame]
    assert frames == [0, 1]
    failed = [sentence for answer in answers for sentence in answer.failed]
    assert len(failed) == 2
    assert any("the tracker line 3 is not JSON" in sentence for sentence in failed)
    assert any("has all joints in one place" in sentence for sentence in failed)


def test_a_stream_of_nobody_and_one_of_no_skeleton_are_told(models: ModelSettings) -> None:
    with pytest.raises(InputError, match="the tracker held nobody"):
        list(predict_stream([], models, where="the tracker"))
    (answer,) = predict_stream([json.dumps({"joints_2d": [[5, 5]] * 17})], models)
    assert answer.predictions is None
    assert "say which with `skeleton`" in answer.failed[0]
