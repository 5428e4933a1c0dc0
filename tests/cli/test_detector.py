from __future__ import annotations

import json
from pathlib import Path

import cv2
import pandas as pd
import pytest
from click.testing import CliRunner

from evolift.cli.detector import detector
from evolift.detector2d.model import DetectorModel
from evolift.lifter.data.detection_errors import load_detection_errors
from evolift.posedata.errors import CheckpointError, InputError, OutputError
from evolift.posedata.skeleton import H36M17
from tests.detector2d.conftest import image_store, photograph_store
from tests.detector2d.test_voc_objects import voc

__all__ = ["image_store", "photograph_store", "voc"]

SMALL = [
    *("--backbone", "test_resnet", "--input-width", "64", "--input-height", "64", "--head", "light"),
    *(
        "--head-width",
        "8",
        "--batch-size",
        "4",
        "--steps",
        "2",
        "--validate-every",
        "2",
        "--accelerator",
        "cpu",
    ),
]


def run(*arguments: str | Path):
    result = CliRunner().invoke(detector, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module")
def trained(image_store, photograph_store, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "run"
    stores = (image_store, photograph_store, "--ratio", "3", "--ratio", "1")
    run(
        "train",
        *stores,
        "--validation",
        image_store,
        "-o",
        folder,
        *SMALL,
        "--occlusion-probability",
        "0.5",
    )
    return folder


def test_train_writes_checkpoints_history_and_settings(trained) -> None:
    assert DetectorModel.load(trained / "best.safetensors").settings.head_widths == (8,)
    assert json.loads((trained / "settings.json").read_text())["settings"]["ratios"] == [3.0, 1.0]
    history = pd.read_csv(trained / "history.csv")
    assert list(history)[:3] == ["step", "loss", "pck"]
    assert "validation_loss" in history
    assert list(history["step"]) == [2]


def test_a_detector_is_trained_further_and_resumed_by_its_folder(trained, image_store, tmp_path) -> None:
    start, folder = trained / "best.safetensors", tmp_path / "run"
    inputs = ("train", image_store, "--validation", image_store, "-o", folder, "--start-from", start)
    short = ("--steps", "1", "--validate-every", "1", "--batch-size", "4", "--accelerator", "cpu")
    run(*inputs, *short)
    assert DetectorModel.load(folder / "last.safetensors").settings == DetectorModel.load(start).settings
    run("train", "--resume", "-o", folder, "--steps", "2")
    assert list(pd.read_csv(folder / "history.csv")["step"]) == [1, 2]
    run(*inputs, *short, "--overwrite", "--input-width", "96", "--decoding", "mode")  # these may be other
    adapted = DetectorModel.load(folder / "last.safetensors").settings
    assert adapted == DetectorModel.load(start).settings.replaced(input_width=96, decoding="mode")
    with pytest.raises(InputError, match=r"has --padding 1\.25, not 1\.5: leave that out"):
        run(*inputs, *short, "--overwrite", "--padding", "1.5")
    with pytest.raises(InputError, match="--pretrained library is for new detectors"):
        run(*inputs, *short, "--overwrite", "--pretrained", "library")


def test_evaluate_prints_and_writes_scores(trained, photograph_store, tmp_path) -> None:
    out, errors = tmp_path / "scores.csv", tmp_path / "errors.csv"
    result = run(
        "evaluate",
        trained / "best.safetensors",
        "--data",
        photograph_store,
        "-o",
        out,
        "--errors",
        errors,
        "--sheet",
        tmp_path / "sheet.png",
        "--flip-test",
    )
    assert cv2.imread(str(tmp_path / "sheet.png")).shape[1] > 1000
    table = pd.read_csv(out).set_index("name")
    assert f"{table.loc['overall', 'pck_0.2']:.3f}" in result.output
    assert "pckh_0.5" not in result.output  # LSP has no base of the skull
    made = load_detection_errors(errors, H36M17)
    assert H36M17.index("nose") in made.unmeasured  # nor of it here
    assert int((~made.percent.isnan()).sum()) // 2 == table.loc["overall", "labelled"]
    with pytest.raises(OutputError, match="exists: choose another output or add --overwrite"):
        run("evaluate", trained / "best.safetensors", "--data", photograph_store, "-o", out)


def test_augment_preview(image_store, tmp_path) -> None:
    sheet = tmp_path / "sheet.png"
    arguments = ("--rows", "2", "--columns", "3", "--size", "64", "--occlusion-probability", "1")
    run("augment-preview", image_store, "-o", sheet, *arguments)
    image = cv2.imread(str(sheet))
    assert image.shape == (2 * 72 + 8, 4 * 72 + 8, 3)
    run("augment-preview", image_store, "-o", tmp_path / "again.png", *arguments)
    assert (tmp_path / "again.png").read_bytes() == sheet.read_bytes()


def test_cut_outs_become_occluders(voc, image_store, tmp_path) -> None:
    result = run("cut-outs", voc, "-o", tmp_path / "cut.npz")
    assert "cut.npz: 2 objects" in result.output
    arguments = (
        "--rows",
        "1",
        "--columns",
        "1",
        "--size",
        "64",
        "--occlusion-probability",
        "1",
        "--occluders",
    )
    run("augment-preview", image_store, "-o", tmp_path / "file.png", *arguments, tmp_path / "cut.npz")
    run("augment-preview", image_store, "-o", tmp_path / "folder.png", *arguments, voc)
    assert (tmp_path / "file.png").read_bytes() == (tmp_path / "folder.png").read_bytes()
    with pytest.raises(InputError, match="--occluders does nothing without --occlusion-probability"):
        run("augment-preview", image_store, "-o", tmp_path / "x.png", "--occluders", voc)


def test_what_a_user_can_get_wrong(trained, tiny_store, image_store, tmp_path) -> None:
    with pytest.raises(InputError, match=r"tiny\.h5: it has no images"):
        run("evaluate", trained / "best.safetensors", "--data", tiny_store)
    with pytest.raises(CheckpointError, match="not a readable safetensors file"):
        run("evaluate", image_store, "--data", image_store)
    with pytest.raises(InputError, match="1 stores need as many --ratio, not 2"):
        run(
            *("train", image_store, "--ratio", "1", "--ratio", "1", "--validation", image_store),
            *("-o", tmp_path / "x", *SMALL),
        )
    with pytest.raises(InputError, match="--device nowhere: "):
        run("evaluate", trained / "best.safetensors", "--data", image_store, "--device", "nowhere")
