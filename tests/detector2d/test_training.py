from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from evolift.detector2d.evaluation import evaluate_detector
from evolift.detector2d.model import DetectorModel, DetectorSettings, load_detector
from evolift.detector2d.occlusion import OcclusionSettings
from evolift.detector2d.training import DetectorModule, DetectorTraining, crop_settings, train_detector
from evolift.posedata.errors import InputError
from evolift.training.trainer import TrainingSettings

SHORT = TrainingSettings(steps=2, validate_every=1, accelerator="cpu", progress=False)


def tiny(**changes: object) -> DetectorModel:
    torch.manual_seed(0)
    values = {"backbone": "test_resnet", "input_width": 64, "input_height": 64, "head": "light"}
    return DetectorModel(DetectorSettings(**{**values, "head_widths": (16,), **changes}))  # type: ignore[arg-type]


@pytest.mark.slow
def test_training_finds_the_dots(picture_store: Path, tmp_path: Path) -> None:
    training = DetectorTraining(
        batch_size=12, learning_rate=3e-3, schedule="constant", augmentation=None, spread_weight=1.0
    )
    settings = TrainingSettings(steps=60, validate_every=30, accelerator="cpu", progress=False)
    model = tiny(backbone="test_efficientnet")
    history = train_detector(
        model, [picture_store], [1.0], [picture_store], tmp_path, training, settings, record={"note": "x"}
    )
    assert history["pck"].iloc[-1] > 0.25  # untrained: 0.03
    assert history["loss"].iloc[-1] < 0.7 * history["loss"].iloc[0]
    model = load_detector(tmp_path / "last.safetensors")
    table, found = evaluate_detector(model, picture_store)
    assert table.set_index("name").loc["overall", "pck_0.2"] == pytest.approx(
        history["pck"].iloc[-1], abs=1e-6
    )
    assert found.joints.shape == (12, 17, 2)


def test_mixed_volumetric_training_with_everything_on(
    picture_store: Path, photograph_store: Path, tmp_path: Path
) -> None:
    training = DetectorTraining(
        batch_size=4,
        warm_up=0.2,
        freeze="layer1",
        bone_weight=0.5,
        spread_weight=0.1,
        occlusion=OcclusionSettings(),
        channels_last=True,
    )
    history = train_detector(
        tiny(depth_bins=4, head="deconvolution", head_widths=(8, 8, 8), heatmap_dropout=0.1),
        [picture_store, photograph_store],
        [1.0, 1.0],
        [picture_store, photograph_store],
        tmp_path,
        training,
        SHORT,
    )
    assert {"pck", "pck_rendered", "pck_photographs", "depth_error", "loss"} <= set(history.columns)
    assert np.isfinite(history.to_numpy(float)).all()


def test_bf16_autocast(picture_store: Path, tmp_path: Path) -> None:
    settings = TrainingSettings(
        steps=2, validate_every=2, accelerator="cpu", precision="bf16-mixed", progress=False
    )
    training = DetectorTraining(batch_size=4, spread_weight=1.0, channels_last=True)
    history = train_detector(
        tiny(depth_bins=4), [picture_store], [1.0], [picture_store], tmp_path, training, settings
    )
    assert np.isfinite(history.to_numpy(float)).all()
    weights = load_detector(tmp_path / "last.safetensors").state_dict().values()
    assert not any(value.dtype == torch.bfloat16 for value in weights)


def run(store: Path, folder: Path, steps: int, workers: int = 0, resume: bool = False) -> bytes:
    folder.mkdir(exist_ok=True)
    settings = TrainingSettings(
        steps=steps, validate_every=2, seed=5, workers=workers, accelerator="cpu", progress=False
    )
    model = tiny(heatmap_dropout=0.2)
    training = DetectorTraining(batch_size=3, schedule="constant", occlusion=OcclusionSettings())
    train_detector(model, [store], [1.0], [store], folder, training, settings, resume=resume)
    return (folder / "last.safetensors").read_bytes()


def test_resumed_run_ends_with_the_same_bytes(picture_store: Path, tmp_path: Path) -> None:
    whole = run(picture_store, tmp_path / "whole", 4)
    run(picture_store, tmp_path / "parts", 2)
    assert run(picture_store, tmp_path / "parts", 4, resume=True) == whole


def test_workers_do_not_change_the_result(picture_store: Path, tmp_path: Path) -> None:
    assert run(picture_store, tmp_path / "none", 2) == run(picture_store, tmp_path / "two", 2, workers=2)


def test_unreadable_pictures_are_listed_in_the_run_folder(photograph_store: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(photograph_store.parent, tmp_path / "data")
    (folder / "im1.jpg").write_bytes(b"broken")
    run_folder = tmp_path / "run"
    run_folder.mkdir()
    train_detector(
        tiny(),
        [folder / "photographs.h5"],
        [1.0],
        [photograph_store],
        run_folder,
        DetectorTraining(batch_size=2),
        SHORT,
    )
    assert "im1.jpg" in (run_folder / "skipped_images.csv").read_text()
    with pytest.raises(InputError, match=r"im1\.jpg is not a readable picture"):
        evaluate_detector(tiny(), folder / "photographs.h5")


def test_unreadable_pictures_of_the_validation_are_left_out(photograph_store: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(photograph_store.parent, tmp_path / "data")
    (folder / "im1.jpg").write_bytes(b"broken")
    run_folder = tmp_path / "run"
    run_folder.mkdir()
    stores = [photograph_store], [1.0], [folder / "photographs.h5"]
    history = train_detector(tiny(), *stores, run_folder, DetectorTraining(batch_size=2), SHORT)
    assert len(history) == 2
    assert "im1.jpg" in (run_folder / "skipped_images.csv").read_text()


@pytest.mark.parametrize("workers", [0, 1])
def test_a_trusted_picture_that_cannot_be_read_is_one_sentence(
    photograph_store: Path, tmp_path: Path, workers: int
) -> None:
    folder = shutil.copytree(photograph_store.parent, tmp_path / "data")
    for picture in folder.glob("im*.jpg"):
        picture.write_bytes(b"broken")
    settings = TrainingSettings(2, 1, workers=workers, accelerator="cpu", progress=False)
    stores = [folder / "photographs.h5"], [1.0], [photograph_store]
    with pytest.raises(InputError) as caught:
        train_detector(
            tiny(), *stores, tmp_path, DetectorTraining(batch_size=2), settings, check_images=False
        )
    assert re.fullmatch(r"\S+im\d+\.jpg is not a readable picture: give .*", str(caught.value))


def test_one_crop_of_one_cell(picture_store: Path, tmp_path: Path) -> None:
    model = tiny(head="deconvolution", head_widths=(8, 8, 8), input_width=32, input_height=32)
    stores = [picture_store], [1.0], [picture_store]
    with pytest.raises(InputError, match="BatchNorm cannot learn from one crop"):
        train_detector(model, *stores, tmp_path, DetectorTraining(batch_size=1), SHORT)


def test_the_regression_head_has_no_spread() -> None:
    with pytest.raises(InputError, match="leave spread_weight at 0"):
        DetectorModule(tiny(head="regression"), DetectorTraining(spread_weight=0.1), 10)


def test_learning_rates(picture_store: Path) -> None:
    steps = DetectorTraining(milestones=(0.5, 0.8))
    assert [steps.rate_at(p) for p in (0.0, 0.49, 0.5, 0.79, 0.8, 1.0)] == pytest.approx(
        [1, 1, 0.1, 0.1, 0.01, 0.01]
    )
    cosine = DetectorTraining(schedule="cosine", warm_up=0.1)
    assert [cosine.rate_at(p) for p in (0.05, 0.5, 1.0)] == pytest.approx([0.5, 0.5, 0])
    module = DetectorModule(tiny(), DetectorTraining(backbone_factor=0.1), 10)
    optimiser = module.configure_optimizers()["optimizer"]
    assert [group["initial_lr"] for group in optimiser.param_groups] == pytest.approx([1e-3, 1e-4])
    frozen = DetectorModule(tiny(), DetectorTraining(freeze="all-but-head"), 10)
    assert len(frozen.configure_optimizers()["optimizer"].param_groups) == 1
    with pytest.raises(InputError, match="freeze 'all' leaves nothing to train"):
        DetectorModule(tiny(), DetectorTraining(freeze="all"), 10).configure_optimizers()


def test_validation_crops_are_plain() -> None:
    training = DetectorTraining(occlusion=OcclusionSettings())
    plain = crop_settings(tiny(), training, augmented=False)
    assert plain.augmentation is None
    assert plain.occlusion is None
    augmented = crop_settings(tiny(), training, augmented=True)
    assert augmented.augmentation is not None
    assert augmented.occluders


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"batch_size": 0}, "the batch size must be at least 1, not 0"),
        ({"learning_rate": 0.0}, "must be positive"),
        ({"schedule": "x"}, "there is no schedule 'x'"),
        ({"milestones": (1.2,)}, "milestones are parts of the training"),
        ({"warm_up": 1.0}, "must not be negative"),
    ],
)
def test_bad_settings(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        DetectorTraining(**wrong)  # type: ignore[arg-type]
