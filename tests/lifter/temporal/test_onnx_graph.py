from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from evolift.lifter.refiner import Refined, RefinerModel
from evolift.lifter.settings import RefinerSettings
from evolift.lifter.straight_view import Lens
from evolift.lifter.temporal.model import FRAMES_AT_ONCE
from evolift.lifter.temporal.onnx_graph import clip_graph
from evolift.training.onnx_file import write_onnx
from tests.same_answers import assert_same_answers
from tests.settled_networks import settled_temporal_lifter


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("normalisation", ["box", "screen", "camera"])
def test_the_file_lifts_clips_of_any_length_as_the_lifter_does(
    tmp_path: Path, normalisation: str, causal: bool
) -> None:
    model = settled_temporal_lifter(normalisation=normalisation, causal=causal)
    path = tmp_path / "clips.onnx"
    assert set(write_onnx(path, clip_graph(model))) == {"joints_3d"}
    session = onnxruntime.InferenceSession(str(path))
    generator = np.random.default_rng(0)
    for frames in (1, 2, 30, 2 * FRAMES_AT_ONCE + 1):
        joints = generator.normal(400, 90, (frames, 17, 2)).astype(np.float32)
        visibility = generator.choice(np.array([0, 1, 2], np.uint8), (frames, 17))
        visibility[:, 3] = 2
        joints[visibility == 0] = np.nan
        given = {"joints_2d": joints, "visibility": visibility}
        size, lens = None, None
        if normalisation == "screen":
            given["image_size"] = np.full((frames, 2), 800, np.float32)
            size = torch.full((frames, 2), 800.0)
        if normalisation == "camera":
            K = np.array([[900.0, 0, 480], [0, 905, 520], [0, 0, 1]], np.float32)
            given["intrinsics"] = np.tile(K, (frames, 1, 1))
            lens = Lens(torch.from_numpy(given["intrinsics"]))
        with torch.no_grad():
            expected = model.lift(torch.from_numpy(joints), torch.from_numpy(visibility), size, lens)
        found = session.run(["joints_3d"], given)[0]
        assert found.shape == (frames, 17, 3)
        assert_same_answers(found, expected, extent=1000.0)
        assert np.ptp(found) > 10, "the network says something"


def test_the_file_tells_its_frame_rate_and_that_its_first_axis_is_time(tmp_path: Path) -> None:
    path = tmp_path / "clips.onnx"
    write_onnx(path, clip_graph(settled_temporal_lifter(frames_per_second=25.0, causal=True)))
    session = onnxruntime.InferenceSession(str(path))
    header = json.loads(session.get_modelmeta().custom_metadata_map["evolift"])
    assert header["stage"] == "temporal-lifter"
    assert (header["frames_per_second"], header["frames_seen_together"], header["causal"]) == (25.0, 9, True)
    assert header["inputs"]["joints_2d"].startswith("float32 (frames, 17, 2)")
    assert header["outputs"]["joints_3d"].startswith("float32 (frames, joints, 3)")


def test_a_refiner_goes_behind_it(tmp_path: Path) -> None:
    model, refiner = settled_temporal_lifter(), RefinerModel(RefinerSettings(hidden=8, code=4)).eval()
    with torch.no_grad():
        for parameter in refiner.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    path = tmp_path / "clips.onnx"
    write_onnx(path, clip_graph(model, refiner))
    pixels = np.random.default_rng(1).normal(400, 90, (12, 17, 2)).astype(np.float32)
    given = {"joints_2d": pixels, "visibility": np.full((12, 17), 2, np.uint8)}
    found = onnxruntime.InferenceSession(str(path)).run(None, given)[0]
    with torch.no_grad():
        expected = Refined(model, refiner).lift(torch.from_numpy(pixels))
        plain = model.lift(torch.from_numpy(pixels))
    assert_same_answers(found, expected, extent=1000.0)
    assert (expected - plain).abs().max() > 1
