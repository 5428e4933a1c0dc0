"""All rows of the report at every shipped scale: their networks at their own size, and one step of each stage.

The networks are built on torch's meta device, which holds shapes and no numbers. The step is taken by the commands
themselves, on pictures of 64 pixels, with narrow heads, a small ResNet in place of the full scale's large ones (writing
their checkpoints would take minutes), and without ImageNet weights, which would be downloaded.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

import cv2
import numpy as np
import pytest
import torch

from evolift.chain.model import ChainModel
from evolift.chain.settings import ChainTrainingSettings
from evolift.chain.training import ChainModule
from evolift.cli.reproducing.data_stages import Division
from evolift.cli.reproducing.plan import Plan, make_plan
from evolift.cli.reproducing.plan_run import run_plan
from evolift.cli.reproducing.report_rows import ROWS
from evolift.cli.reproducing.scale import SCALES, Change, read_scale
from evolift.cli.reproducing.stages import TRAININGS, Stage
from evolift.detector2d.model import DetectorModel
from evolift.detector2d.occlusion import synthetic_occluders
from evolift.detector2d.settings import DetectorSettings, DetectorTrainingSettings
from evolift.detector2d.training import DetectorModule
from evolift.detector2d.voc_objects import save_occluders
from evolift.lifter.model import LifterModel
from evolift.lifter.settings import LifterSettings, LifterTrainingSettings
from evolift.lifter.training import LifterModule
from evolift.posedata.camera import Camera, look_at
from evolift.posedata.poses import Poses, labelled, repeated_label
from evolift.posedata.skeleton import H36M17
from evolift.posedata.store import PoseStoreWriter, Provenance
from evolift.training.checkpoint import load_checkpoint
from tests.conftest import Finished

DIVISION = Division(("S9",), ("S8",))
LARGE_BACKBONES = ("resnet50", "resnet152", "resnext101_32x8d")
ONE_STEP = {"steps": 1, "validate-every": 1}
TINY = (
    Change(
        "detector train",
        {},
        ONE_STEP | {"input-width": 64, "input-height": 64, "pretrained": "none", "batch-size": 4},
    ),
    Change("detector train", {"input-height": 384}, {"input-height": 96}),
    Change("detector train", {"head": "deconvolution"}, {"head-width": [16, 16, 16]}),
    Change("lifter train", {}, ONE_STEP),
    Change("finetune", {}, ONE_STEP | {"batch-size": 4}),
)
SMALL_BACKBONE = tuple(
    Change("detector train", {"backbone": name}, {"backbone": "resnet10t"}) for name in LARGE_BACKBONES
)


@pytest.fixture(scope="module")
def stores(make_poses: Callable[..., Poses], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Twelve images of S1, S8 and S9 with 3D joints, and four photographs; noise, for what is seen does not matter."""
    folder = tmp_path_factory.mktemp("rows")
    R, t = look_at(np.array([4000.0, 800.0, 1300.0]), np.array([0.0, 0.0, 900.0]))
    camera = Camera.from_focal_length(120.0, 64, 64, R=R, t=t)
    poses = make_poses(12)
    assert poses.joints_3d is not None
    joints = camera.project(poses.joints_3d)
    names = [f"{number}.png" for number in range(12)]
    rng = np.random.default_rng(0)
    for name in names:
        cv2.imwrite(str(folder / name), rng.integers(0, 255, (64, 64, 3), np.uint8))
    low, high = joints.min(1), joints.max(1)
    people = Poses(
        labelled((np.arange(12) // 4).astype(np.int32), ["S1", "S8", "S9"]),
        poses.action,
        poses.frame,
        poses.joints_3d,
        joints,
        np.full((12, 17), 2, np.uint8),
        np.zeros(12, np.int32),
        names,
        np.concatenate([low, high - low], 1).astype(np.float32),
    )
    with PoseStoreWriter(
        folder / "people.h5", H36M17, "world", Provenance("test"), cameras=[camera]
    ) as writer:
        writer.append(people)
    label = repeated_label("x", 4)
    photographs = Poses(
        label,
        label,
        np.arange(4),
        joints_2d=joints[:4],
        visibility=np.full((4, 17), 2, np.uint8),
        image=names[:4],
    )
    with PoseStoreWriter(folder / "photographs.h5", H36M17, "none", Provenance("test")) as writer:
        writer.append(photographs)
    return folder / "people.h5", folder / "photographs.h5"


@pytest.fixture(scope="module")
def occluders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three things to paste, which load quicker than a hundred are drawn."""
    path = tmp_path_factory.mktemp("rows") / "occluders.npz"
    save_occluders(path, synthetic_occluders(3))
    return path


def plan_at(scale: str, stores: Sequence[Path], *changes: Change, occluders: Path | None = None) -> Plan:
    shipped = read_scale(scale)
    execution = {"num-workers": 0, "accelerator": "cpu"}
    changed = dataclasses.replace(shipped, changes=(*shipped.changes, *changes))
    rows = dict.fromkeys(ROWS, 1)
    return make_plan(rows, stores, changed, DIVISION, occluders=occluders, execution=execution)


def detector_on_meta(stage: Stage) -> DetectorModel:
    """The detector of a stage as its training begins, with its frozen part; heatmaps or joints have their shape."""
    detector, training = stage.settings
    assert isinstance(detector, DetectorSettings)
    assert isinstance(training, DetectorTrainingSettings)
    with torch.device("meta"):
        model = DetectorModel(detector)
        images = torch.empty(2, 3, detector.input_height, detector.input_width)
    module = DetectorModule(model, training)
    answer = model.head(model.backbone(images))
    if detector.head == "regression":
        assert answer.shape == (2, 17, 3)
    else:
        width, height = detector.input_width // 4, detector.input_height // 4
        assert answer.shape[-2:] == (height, width)
        assert answer.numel() == 2 * 17 * detector.depth_bins * height * width
    is_open = [parameter.requires_grad for parameter in model.backbone.parameters()]
    assert any(is_open)
    assert all(is_open) == (training.freeze == "none")
    assert module.configure_optimizers()
    return model


@pytest.mark.parametrize("scale", SCALES)
def test_the_networks_of_all_rows_are_built_at_their_own_size_and_take_their_training(
    scale: str, stores: tuple[Path, Path]
) -> None:
    plan = plan_at(scale, stores)
    detectors, lifters, chains = {}, {}, 0
    for stage in plan.stages:
        if stage.command == "detector train":
            detectors[stage.key] = detector_on_meta(stage)
        elif stage.command == "lifter train":
            lifter, training = stage.settings
            assert isinstance(lifter, LifterSettings)
            assert isinstance(training, LifterTrainingSettings)
            lifters[stage.key] = LifterModel(lifter)
            assert LifterModule(lifters[stage.key], training, {}).configure_optimizers()
        elif stage.command == "finetune":
            *new, training = stage.settings
            assert isinstance(training, ChainTrainingSettings)
            inputs = {flag: product.stage for flag, product in stage.inputs}
            assert inputs["detector"] is not None
            if new:
                assert isinstance(new[0], LifterSettings)
                lifter_model = LifterModel(new[0])
            else:
                assert inputs["lifter"] is not None
                lifter_model = lifters[inputs["lifter"].key]
            chain = ChainModel(detectors[inputs["detector"].key], lifter_model)
            assert ChainModule(chain, training).configure_optimizers()
            chains += 1
    assert (len(detectors), len(lifters), chains) == ({"small": 7, "full": 8}[scale], 3, 6)


@pytest.mark.parametrize("scale", SCALES)
def test_every_stage_of_all_rows_takes_a_step(
    scale: str, stores: tuple[Path, Path], occluders: Path, evolift: Callable[..., Finished], tmp_path: Path
) -> None:
    def here(words: Sequence[str], log: IO[str], lock: int) -> int:
        result = evolift(*words)
        log.write(result.stdout + result.stderr)
        return result.returncode

    changes = (*TINY, *(SMALL_BACKBONE if scale == "full" else ()))
    plan = plan_at(scale, stores, *changes, occluders=occluders)
    learning = tuple(stage for stage in plan.stages if not stage.command.endswith("evaluate"))
    result = run_plan(dataclasses.replace(plan, stages=learning), tmp_path, execute=here)
    assert [ended.problem for ended in result.stages.values() if ended.problem] == []
    assert set(result.stages) == {stage.key for stage in learning}
    for run in plan.rows:
        load_checkpoint(run.model.located(tmp_path), "chain" if run.is_chain else "detector")
    assert {stage.command for stage in learning} == {*TRAININGS, "evolve", "data select"}
