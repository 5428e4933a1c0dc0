from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from evolift.detector2d.efficientnet_lite import ResidualBlock
from evolift.detector2d.evaluation import evaluate_detector
from evolift.detector2d.image_source import read_source
from evolift.detector2d.model import DetectorModel
from evolift.detector2d.occlusion import synthetic_occluders
from evolift.detector2d.samples import batches_in_order, crop_settings
from evolift.detector2d.settings import DetectorSettings, DetectorTrainingSettings, OcclusionSettings
from evolift.detector2d.training import DetectorModule, train_detector
from evolift.posedata.errors import InputError, OutputError
from evolift.posedata.output_file import sha256_of
from evolift.posedata.skeleton import H36M17
from evolift.posedata.store import PoseStore, PoseStoreWriter, Provenance
from evolift.training.checkpoint import load_checkpoint

OCCLUDED = OcclusionSettings(occlusion_probability=1.0)


def short(**changes: object) -> DetectorTrainingSettings:
    """Two steps on a CPU, with a validation after each."""
    values = {"steps": 2, "validate_every": 1, "accelerator": "cpu", "progress": False, "batch_size": 2}
    return DetectorTrainingSettings(**(values | changes))  # type: ignore[arg-type]


def tiny(**changes: object) -> DetectorModel:
    torch.manual_seed(0)
    values = {"backbone": "test_resnet", "input_width": 64, "input_height": 64, "head": "light"}
    return DetectorModel(DetectorSettings(**{**values, "head_widths": (16,), **changes}))  # type: ignore[arg-type]


@pytest.mark.slow
def test_training_finds_the_dots(image_store: Path, tmp_path: Path) -> None:
    training = short(
        steps=60,
        validate_every=30,
        batch_size=12,
        learning_rate=3e-3,
        schedule="constant",
        augment=False,
        spread_weight=1.0,
    )
    model = tiny(backbone="test_efficientnet")
    history = train_detector(
        [image_store], tmp_path, validation=[image_store], detector=model, training=training
    )
    assert history["pck"].iloc[-1] > 0.25  # untrained: 0.03
    assert history["validation_loss"].iloc[-1] < 0.7 * history["validation_loss"].iloc[0]
    model = DetectorModel.load(tmp_path / "last.safetensors")
    table, found = evaluate_detector(model, image_store)
    assert table.set_index("name").loc["overall", "pck_0.2"] == pytest.approx(
        history["pck"].iloc[-1], abs=1e-6
    )
    assert found.joints.shape == (12, 17, 2)


def test_mixed_volumetric_training_with_everything_on(
    image_store: Path, photograph_store: Path, tmp_path: Path
) -> None:
    training = short(
        batch_size=4,
        warm_up=0.2,
        freeze="layer1",
        bone_weight=0.5,
        spread_weight=0.1,
        occlusion=OCCLUDED,
        channels_last=True,
    )
    history = train_detector(
        [image_store, photograph_store],
        tmp_path,
        validation=[image_store, photograph_store],
        detector=tiny(depth_bins=4, head="deconvolution", head_widths=(8, 8, 8), heatmap_dropout=0.1),
        training=training,
    )
    assert {"pck", "pck_rendered", "pck_photographs", "depth_error", "loss"} <= set(history.columns)
    assert np.isfinite(history.to_numpy(float)).all()


def test_a_step_on_a_store_without_a_nose(image_store: Path, tmp_path: Path) -> None:
    nose = H36M17.index("nose")
    with PoseStore(image_store) as store:
        poses, cameras = store.read(), store.cameras
    assert poses.joints_3d is not None
    poses.joints_3d[:, nose] = np.nan
    path = tmp_path / "noseless.h5"
    with PoseStoreWriter(
        path,
        H36M17,
        "world",
        Provenance("test"),
        cameras=cameras,
        image_root=str(image_store.parent),
        unlabelled=("nose",),
    ) as writer:
        writer.append(poses)
    source = read_source(path, H36M17)
    assert (~source.known_3d).sum(0).tolist() == [12 * (joint == nose) for joint in range(17)]
    assert np.isnan(source.joints_3d[:, nose]).all()
    model = tiny(depth_bins=4)
    batch = next(iter(batches_in_order([source], crop_settings(model.settings, model.scaling, short()), 12)))
    assert batch["joints"].isfinite().all()
    assert batch["has_3d"].all()
    assert (batch["weight"][:, nose, 2] == 0).all()
    assert (batch["weight"][:, nose, :2] == 1).any()
    history = train_detector(
        [path, image_store],
        tmp_path / "run",
        validation=[path],
        detector=model,
        training=short(steps=1, batch_size=4, bone_weight=0.5, spread_weight=0.1),
    )
    assert np.isfinite(history.to_numpy(float)).all()
    weights = DetectorModel.load(tmp_path / "run" / "last.safetensors").state_dict().values()
    assert all(value.isfinite().all() for value in weights)
    table, found = evaluate_detector(DetectorModel.load(tmp_path / "run" / "last.safetensors"), path)
    table = table.set_index("name")
    assert found.depth is not None
    assert found.depth.isfinite().all()
    assert np.isnan(table.loc["nose", "depth_error"])
    assert np.isfinite(table.loc["overall", "depth_error"])
    assert np.isfinite(table.loc["nose", "error"])  # its 2D is labelled


def test_bf16_autocast(image_store: Path, tmp_path: Path) -> None:
    history = train_detector(
        [image_store],
        tmp_path,
        validation=[image_store],
        detector=tiny(depth_bins=4),
        training=short(validate_every=2, precision="bf16-mixed", batch_size=4, spread_weight=1.0),
    )
    assert np.isfinite(history.to_numpy(float)).all()
    weights = DetectorModel.load(tmp_path / "last.safetensors").state_dict().values()
    assert not any(value.dtype == torch.bfloat16 for value in weights)


def run(store: Path, folder: Path, steps: int, num_workers: int = 0, resume: bool = False) -> Path:
    training = short(
        steps=steps,
        validate_every=2,
        seed=5,
        num_workers=num_workers,
        batch_size=3,
        schedule="constant",
        occlusion=OCCLUDED,
    )
    detector = tiny(heatmap_dropout=0.2).settings
    train_detector([store], folder, validation=[store], detector=detector, training=training, resume=resume)
    return folder / "last.safetensors"


def test_resumed_run_ends_with_the_same_bytes(image_store: Path, tmp_path: Path) -> None:
    whole = run(image_store, tmp_path / "whole", 4)
    run(image_store, tmp_path / "parts", 2)
    assert run(image_store, tmp_path / "parts", 4, resume=True).read_bytes() == whole.read_bytes()


def test_workers_do_not_change_the_result(image_store: Path, tmp_path: Path) -> None:
    none, two = run(image_store, tmp_path / "none", 2), run(image_store, tmp_path / "two", 2, num_workers=2)
    assert none.read_bytes() == two.read_bytes()


def test_a_run_is_not_resumed_as_another(image_store: Path, tmp_path: Path) -> None:
    stores = [image_store]
    train_detector(stores, tmp_path / "run", validation=stores, detector=tiny(), training=short())
    with pytest.raises(InputError, match=r"was begun with `learning_rate` 0\.001, not 0\.1"):
        train_detector(
            stores,
            tmp_path / "run",
            validation=stores,
            detector=tiny(),
            training=short(learning_rate=0.1),
            resume=True,
        )
    with pytest.raises(OutputError, match="is not empty"):
        train_detector(stores, tmp_path / "run", validation=stores, detector=tiny(), training=short())


def test_a_run_tells_what_it_was_made_with(image_store: Path, tmp_path: Path) -> None:
    first = tmp_path / "first"
    train_detector(
        [image_store],
        first,
        validation=[image_store],
        detector=tiny().settings,
        training=short(occlusion=OCCLUDED),
        occluders=synthetic_occluders(3),
    )
    record = load_checkpoint(first / "best.safetensors", "detector").record
    told = json.loads((first / "settings.json").read_text())
    assert record["command"] == told["command"]
    assert {name: told["settings"][name] for name in record["settings"]} == record["settings"]
    assert record["stores"] == {str(image_store): sha256_of(image_store)}
    settings = told["settings"]
    assert (told["command"], settings["head_widths"], settings["occluders"]) == (
        "evolift detector train",
        [16],
        "3 cut-outs",
    )
    again = tmp_path / "again"
    on = DetectorModel.load(first / "best.safetensors")
    train_detector([image_store], again, validation=[image_store], detector=on, training=short())
    told = json.loads((again / "settings.json").read_text())
    assert told["settings"]["start_from"] == str(first / "best.safetensors")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"occluders": ()}, "`occluders` does nothing without `occlusion_probability`"),
        ({"pretrained": "library"}, "`pretrained` library is for new detectors"),
    ],
)
def test_what_would_do_nothing_is_refused(
    image_store: Path, tmp_path: Path, wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        train_detector([image_store], tmp_path / "x", validation=[image_store], detector=tiny(), **wrong)
    assert not (tmp_path / "x").exists()


def test_unreadable_images_are_listed_in_the_run_folder(photograph_store: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(photograph_store.parent, tmp_path / "data")
    (folder / "im1.jpg").write_bytes(b"broken")
    run_folder = tmp_path / "run"
    train_detector(
        [folder / "photographs.h5"],
        run_folder,
        validation=[photograph_store],
        detector=tiny(),
        training=short(),
    )
    assert "im1.jpg" in (run_folder / "skipped_images.csv").read_text()
    with pytest.raises(InputError, match=r"im1\.jpg is not a readable image"):
        evaluate_detector(tiny(), folder / "photographs.h5")


def test_unreadable_images_of_the_validation_are_left_out(photograph_store: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(photograph_store.parent, tmp_path / "data")
    (folder / "im1.jpg").write_bytes(b"broken")
    run_folder = tmp_path / "run"
    history = train_detector(
        [photograph_store],
        run_folder,
        validation=[folder / "photographs.h5"],
        detector=tiny(),
        training=short(),
    )
    assert len(history) == 2
    assert "im1.jpg" in (run_folder / "skipped_images.csv").read_text()


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_trusted_image_that_cannot_be_read_is_one_sentence(
    photograph_store: Path, tmp_path: Path, num_workers: int
) -> None:
    folder = shutil.copytree(photograph_store.parent, tmp_path / "data")
    for image in folder.glob("im*.jpg"):
        image.write_bytes(b"broken")
    with pytest.raises(InputError) as caught:
        train_detector(
            [folder / "photographs.h5"],
            tmp_path / "run",
            validation=[photograph_store],
            detector=tiny(),
            training=short(num_workers=num_workers, check_images=False),
        )
    assert re.fullmatch(r"\S+im\d+\.jpg is not a readable image: give .*", str(caught.value))


def test_one_crop_of_one_cell(image_store: Path, tmp_path: Path) -> None:
    model = tiny(head="deconvolution", head_widths=(8, 8, 8), input_width=32, input_height=32)
    with pytest.raises(InputError, match="BatchNorm cannot learn from one crop"):
        train_detector(
            [image_store],
            tmp_path,
            validation=[image_store],
            detector=model,
            training=short(batch_size=1),
        )


def test_the_regression_head_has_no_spread() -> None:
    with pytest.raises(InputError, match="leave `spread_weight` at 0"):
        DetectorModule(tiny(head="regression"), DetectorTrainingSettings(spread_weight=0.1))


def test_learning_rates(image_store: Path) -> None:
    module = DetectorModule(tiny(), DetectorTrainingSettings(backbone_factor=0.1))
    optimiser = module.configure_optimizers()["optimizer"]
    assert [group["initial_lr"] for group in optimiser.param_groups] == pytest.approx([1e-3, 1e-4])
    frozen = DetectorModule(tiny(), DetectorTrainingSettings(freeze="all-but-head"))
    assert len(frozen.configure_optimizers()["optimizer"].param_groups) == 1
    with pytest.raises(InputError, match="`freeze` all leaves nothing to train"):
        DetectorModule(tiny(), DetectorTrainingSettings(freeze="all")).configure_optimizers()


def test_blocks_are_passed_over_as_the_training_says_and_no_longer() -> None:
    model = tiny(backbone="tf_efficientnet_lite0")
    blocks = [block for block in model.backbone.modules() if isinstance(block, ResidualBlock)]
    DetectorModule(model, DetectorTrainingSettings(drop_path=0.3))
    assert blocks[-1].drop_path == pytest.approx(0.3)
    DetectorModule(model, DetectorTrainingSettings())
    assert blocks[-1].drop_path == 0


def test_validation_crops_are_plain() -> None:
    model, occluders = tiny(), synthetic_occluders(1)
    plain = crop_settings(model.settings, model.scaling)
    assert plain.augmentation is None
    assert plain.occlusion is None
    training = DetectorTrainingSettings(occlusion=OCCLUDED)
    augmented = crop_settings(model.settings, model.scaling, training, occluders)
    assert augmented.augmentation == training.augmentation
    assert (augmented.occlusion, augmented.occluders) == (OCCLUDED, occluders)
    off = crop_settings(model.settings, model.scaling, DetectorTrainingSettings(augment=False), occluders)
    assert (off.augmentation, off.occlusion, off.occluders) == (None, None, ())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"batch_size": 0}, "`batch_size` must be a whole number of at least 1, not 0"),
        ({"learning_rate": 0.0}, "`learning_rate` must be a number above 0, not 0.0"),
        (
            {"schedule": "x"},
            "`schedule` must be one of constant, steps, cosine, one-cycle, published, not 'x'",
        ),
        ({"milestones": (1.2,)}, "`milestones` must be a list, each a number above 0 and below 1"),
        ({"warm_up": 1.0}, "`warm_up` must be a number of at least 0 and below 1, not 1.0"),
        ({"ratios": (1.0, 0.0)}, "`ratios` must be a list, each a number above 0"),
        ({"bone_weight": float("inf")}, "`bone_weight` must be finite, not inf"),
    ],
)
def test_bad_settings(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        DetectorTrainingSettings(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(("is_loaded", "batch_norm"), [(True, "learn"), (True, "keep"), (False, "keep")])
def test_what_training_further_does_to_the_statistics_of_batch_norm(
    is_loaded: bool, batch_norm: str, image_store: Path, tmp_path: Path
) -> None:
    training = short(batch_norm=batch_norm)
    model = tiny(feature_dropout=0.5)
    if is_loaded:
        model.save(tmp_path / "start.safetensors", {"command": "test"})
        model = DetectorModel.load(tmp_path / "start.safetensors")
    before = {name: value.clone() for name, value in model.state_dict().items() if "running" in name}
    module = DetectorModule(model, training)
    dropouts = [part for part in module.modules() if isinstance(part, torch.nn.Dropout2d | torch.nn.Dropout)]
    assert dropouts
    assert all(part.training for part in dropouts), "features are dropped in further training too"
    train_detector(image_store, tmp_path / "run", validation=image_store, detector=model, training=training)
    after = DetectorModel.load(tmp_path / "run" / "last.safetensors").state_dict()
    kept = [torch.equal(after[name], before[name]) for name in before]
    assert all(kept) if is_loaded and batch_norm == "keep" else not any(kept)
