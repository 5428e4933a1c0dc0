from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from evolift.chain.model import ChainModel
from evolift.lifter.model import LifterModel
from evolift.lifter.refiner import RefinerModel
from evolift.lifter.settings import RefinerSettings
from evolift.posedata.output_file import sha256_of
from tests.same_answers import assert_same_answers
from tests.settled_networks import settled_detector, settled_lifter, settled_temporal_lifter


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a checkpoint of each stage, tiny and untrained."""
    folder = tmp_path_factory.mktemp("stages")
    detector, lifter = settled_detector(), settled_lifter(normalisation="screen")
    detector.save(folder / "detector.safetensors")
    lifter.save(folder / "lifter.safetensors")
    settled_temporal_lifter().save(folder / "temporal-lifter.safetensors")
    ChainModel(detector, lifter).save(folder / "chain.safetensors")
    RefinerModel(RefinerSettings(hidden=8, code=4)).save(folder / "refiner.safetensors")
    return folder


@pytest.mark.parametrize(
    ("stage", "inputs", "outputs"),
    [
        ("detector", ["crop", "image_from_crop"], ["joints_2d", "confidence"]),
        ("lifter", ["joints_2d", "visibility", "image_size"], ["joints_3d"]),
        ("temporal-lifter", ["joints_2d", "visibility"], ["joints_3d"]),
        ("chain", ["crop", "image_from_crop", "image_size"], ["joints_3d", "joints_2d", "confidence"]),
    ],
)
def test_each_stage_is_told_from_its_checkpoint(
    evolift, checkpoints: Path, tmp_path: Path, stage: str, inputs: list[str], outputs: list[str]
) -> None:
    checkpoint, path = checkpoints / f"{stage}.safetensors", tmp_path / "out" / "net.onnx"
    result = evolift("export", checkpoint, "-o", path)
    assert result.returncode == 0, result.stderr
    assert f"net.onnx: {stage}, " in result.stdout
    for name in outputs:
        assert f"{name}: at most " in result.stdout
    assert result.stderr == ""
    session = onnxruntime.InferenceSession(str(path))
    assert [one.name for one in session.get_inputs()] == inputs
    assert [one.name for one in session.get_outputs()] == outputs
    metadata = json.loads(session.get_modelmeta().custom_metadata_map["evolift"])
    assert metadata["stage"] == stage
    assert metadata["checkpoint"] == {"name": f"{stage}.safetensors", "sha256": sha256_of(checkpoint)}


def test_a_refiner_goes_behind_lifter_and_chain(evolift, checkpoints: Path, tmp_path: Path) -> None:
    torch.manual_seed(1)
    refiner = RefinerModel(RefinerSettings(hidden=8, code=4))
    with torch.no_grad():
        for parameter in refiner.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    refiner.save(tmp_path / "r.safetensors")
    lifter = LifterModel.load(checkpoints / "lifter.safetensors")
    pixels = (torch.rand(5, 17, 2) * 300).numpy()
    given = {
        "joints_2d": pixels,
        "visibility": np.full((5, 17), 2, np.uint8),
        "image_size": np.full((5, 2), 400, np.float32),
    }
    size = torch.full((5, 2), 400.0)
    plain = lifter.lift(torch.from_numpy(pixels), None, size)
    for stage in ("lifter", "chain"):
        path = tmp_path / f"{stage}.onnx"
        result = evolift(
            "export",
            checkpoints / f"{stage}.safetensors",
            "--refiner",
            tmp_path / "r.safetensors",
            "-o",
            path,
        )
        assert result.returncode == 0, result.stderr
        metadata = onnxruntime.InferenceSession(str(path)).get_modelmeta().custom_metadata_map["evolift"]
        assert json.loads(metadata)["checkpoint"]["refiner_sha256"] == sha256_of(tmp_path / "r.safetensors")
    answer = onnxruntime.InferenceSession(str(tmp_path / "lifter.onnx")).run(None, given)[0]
    expected = refiner.eval()(plain).detach().numpy()
    assert_same_answers(answer, expected)
    assert np.abs(expected - plain.detach().numpy()).max() > 1, "the refiner does something"
    refused = evolift(
        "export",
        checkpoints / "detector.safetensors",
        "--refiner",
        tmp_path / "r.safetensors",
        "-o",
        tmp_path / "d.onnx",
    )
    assert refused.returncode == 2
    assert "a detector gives no poses to refine" in refused.stderr


@pytest.mark.parametrize(
    ("name", "output", "message"),
    [
        ("refiner.safetensors", "x.onnx", "is a checkpoint of the stage 'refiner': give one of a detector"),
        ("none.safetensors", "x.onnx", "does not exist"),
        ("text.safetensors", "x.onnx", "is not a readable safetensors file"),
        ("lifter.safetensors", "x.pt", "should end in .onnx"),
        ("lifter.safetensors", "old.onnx", "exists: choose another output or add --overwrite"),
    ],
)
def test_bad_input_is_one_sentence(
    evolift, checkpoints: Path, tmp_path: Path, name: str, output: str, message: str
) -> None:
    (checkpoints / "text.safetensors").write_text("no weights")
    (tmp_path / "old.onnx").write_text("older")
    result = evolift("export", checkpoints / name, "-o", tmp_path / output)
    assert result.returncode == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert (tmp_path / "old.onnx").read_text() == "older"
    assert [entry.name for entry in tmp_path.iterdir()] == ["old.onnx"]
