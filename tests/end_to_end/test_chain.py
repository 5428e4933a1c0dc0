"""All stages in a row through the command line, on the smallest data and networks: each takes what the last one wrote."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from evolift.posedata.predictions.prediction_files import read_predictions
from evolift.posedata.store import PoseStore
from evolift.training.checkpoint import load_checkpoint
from tests.conftest import Finished

SMALL = ("--accelerator", "cpu", "--steps", "4", "--validate-every", "2")
DETECTOR = (
    "--backbone",
    "resnet10t",
    "--head",
    "light",
    "--head-width",
    "16",
    "--input-width",
    "64",
    "--input-height",
    "64",
)


@pytest.fixture
def ok(evolift: Callable[..., Finished]) -> Callable[..., str]:
    """Run a command that must succeed; gives what it printed."""

    def run(*arguments: object) -> str:
        result = evolift(*arguments)
        assert result.returncode == 0, result.stderr
        return result.stdout

    return run


def actors_and_evolution(ok: Callable[..., str], folder: Path) -> None:
    actors = ("--subjects", "F1,M1", "--actions", "walk,squat")
    ok("data", "actors", "-o", folder / "poses.h5", *actors, "--clips", 1, "--frames", 30)
    ok("evolve", folder / "poses.h5", "-o", folder / "evolved.h5", "--ratio", 2, "--generations", 2)
    with PoseStore(folder / "evolved.h5") as store:
        table = store.table()
    assert len(table) == 240
    assert sorted(table["generation"].unique()) == [0, 1, 2]
    assert "240 poses" in ok("data", "info", folder / "evolved.h5")


def lifter(ok: Callable[..., str], folder: Path) -> None:
    small = ("--hidden", 16, "--blocks", 1, "--normalisation", "box", "--batch-size", 16)
    ok(
        "lifter",
        "train",
        folder / "evolved.h5",
        "-o",
        folder / "lifter",
        *small,
        *SMALL,
        "--validation-subject",
        "M1",
    )
    scores = ok(
        "lifter",
        "evaluate",
        folder / "lifter/best.safetensors",
        "--data",
        folder / "poses.h5",
        "-o",
        folder / "scores",
    )
    assert "mpjpe" in scores.lower()


def rendered_people(ok: Callable[..., str], folder: Path) -> None:
    for name, images, seed in (("train", 12, 0), ("test", 6, 1)):
        target = folder / f"renders_{name}.h5"
        ok(
            "data",
            "render",
            folder / "poses.h5",
            "-o",
            target,
            "--images",
            images,
            "--size",
            64,
            "--seed",
            seed,
        )
        with PoseStore(target) as store:
            assert store.coordinate_frame == "camera"
            assert {"image", "visibility", "joints_2d", "joints_3d"} <= store.columns


def detector(ok: Callable[..., str], folder: Path) -> None:
    stores = (folder / "renders_train.h5", "--validation", folder / "renders_test.h5")
    ok("detector", "train", *stores, "-o", folder / "detector", *DETECTOR, *SMALL, "--batch-size", 4)
    assert (
        "pck"
        in ok(
            "detector", "evaluate", folder / "detector/best.safetensors", "--data", folder / "renders_test.h5"
        ).lower()
    )


def chain_stage(ok: Callable[..., str], folder: Path) -> None:
    parts = (
        "--detector",
        folder / "detector/best.safetensors",
        "--lifter",
        folder / "lifter/best.safetensors",
    )
    stores = (folder / "renders_train.h5", "--validation", folder / "renders_test.h5")
    ok("finetune", *stores, *parts, "-o", folder / "chain", *SMALL, "--batch-size", 4)
    checkpoint = load_checkpoint(folder / "chain/best.safetensors", "chain")
    assert checkpoint.record["command"] == "evolift finetune"
    ok(
        "chain",
        "evaluate",
        folder / "chain/best.safetensors",
        *parts,
        "--data",
        folder / "renders_test.h5",
        "-o",
        folder / "chain.csv",
    )
    scores = pd.read_csv(folder / "chain.csv")
    assert len(scores) == 4
    assert scores["mpjpe"].gt(0).all()


def prediction(ok: Callable[..., str], folder: Path) -> None:
    chain = folder / "chain/best.safetensors"
    ok("predict", folder / "renders_test_images", "--chain", chain, "-o", folder / "predictions")
    assert len(read_predictions(folder / "predictions/predictions.json")) == 6
    settings = json.loads((folder / "predictions/settings.json").read_text())
    assert settings["command"] == "evolift predict"


WRONG_FILES = (
    (("lifter", "train", "{f}/detector/best.safetensors", "-o", "{f}/x"), "is not a readable HDF5 file"),
    (("evolve", "{f}/renders_train.h5", "-o", "{f}/x.h5"), "world frame"),
    (
        ("evolve", "{f}/poses.h5", "-o", "{f}/evolved.h5"),
        "exists: choose another output or add --overwrite",
    ),
    (
        ("detector", "train", "{f}/poses.h5", "--validation", "{f}/poses.h5", "-o", "{f}/x"),
        "it has no images",
    ),
    (
        (
            *("finetune", "{f}/renders_train.h5", "--validation", "{f}/renders_test.h5", "-o", "{f}/x"),
            *("--detector", "{f}/lifter/best.safetensors", "--lifter", "{f}/lifter/best.safetensors"),
        ),
        "is a checkpoint of the stage 'lifter', not 'detector'",
    ),
    (
        ("lifter", "evaluate", "{f}/chain/best.safetensors", "--data", "{f}/poses.h5", "-o", "{f}/x"),
        "of the stage 'chain', not 'lifter'",
    ),
)


def test_each_stage_takes_what_the_last_one_wrote(
    evolift: Callable[..., Finished], ok: Callable[..., str], tmp_path: Path
) -> None:
    """One test, as each stage needs the files of those before it, and workers share no folder."""
    for stage in (actors_and_evolution, lifter, rendered_people, detector, chain_stage, prediction):
        stage(ok, tmp_path)
    for arguments, message in WRONG_FILES:
        before = sorted(tmp_path.rglob("*"))
        result = evolift(*(argument.format(f=tmp_path) for argument in arguments))
        assert result.returncode == 2, arguments
        assert message in " ".join(result.stderr.split())
        left = [path for path in sorted(tmp_path.rglob("*")) if path not in before]
        assert all(path.name in ("x", "settings.json") for path in left), "nothing half written"
