"""The chain through the command line: a new lifter behind a frozen detector, evaluation, and splitting."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch

from evolift.training.checkpoint import load_checkpoint
from tests.conftest import Finished

SMALL = ("--accelerator", "cpu", "--steps", 2, "--validate-every", 1, "--batch-size", 4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight rendered people, an untrained volumetric detector and an untrained lifter."""
    from evolift.detector2d.model import DetectorModel
    from evolift.detector2d.settings import DetectorSettings
    from evolift.lifter.model import LifterModel
    from evolift.lifter.settings import LifterSettings
    from evolift.synthetic.acting.actors import write_actor_store
    from evolift.synthetic.rendering.people import render_store
    from evolift.synthetic.settings import ActorSettings, RenderSettings

    path = tmp_path_factory.mktemp("finetune")
    write_actor_store(
        path / "poses.h5",
        ActorSettings(clips_per_action=1, frames=8),
        subjects=["F1"],
        actions=["walk"],
    )
    render_store(path / "poses.h5", path / "people.h5", RenderSettings(images=8, size=64))
    torch.manual_seed(0)
    detector = DetectorSettings(
        backbone="resnet10t", input_width=64, input_height=64, depth_bins=4, head="light", head_widths=(16,)
    )
    DetectorModel(detector).save(path / "detector.safetensors")
    lifter = LifterSettings(hidden=8, blocks=1, normalisation="box")
    LifterModel(lifter).save(path / "lifter.safetensors")
    return path


def finetune(evolift: Callable[..., Finished], folder: Path, output: Path, *more: object) -> Finished:
    people = folder / "people.h5"
    start = ("--detector", folder / "detector.safetensors")
    return evolift("finetune", people, "--validation", people, "-o", output, *start, *SMALL, *more)


def test_a_new_lifter_of_depth_learns_behind_a_frozen_detector(evolift, folder: Path, tmp_path: Path) -> None:
    new = ("--new-lifter", "--target", "z", "--hidden", 8, "--blocks", 1, "--normalisation", "box")
    result = finetune(
        evolift, folder, tmp_path / "chain", *new, "--freeze", "all", "--input-axes", 3, "--flip-test"
    )
    assert result.returncode == 0, result.stderr
    chain = load_checkpoint(tmp_path / "chain/best.safetensors", "chain")
    before = load_checkpoint(folder / "detector.safetensors", "detector")
    for name, tensor in before.tensors.items():
        assert torch.equal(chain.tensors["detector." + name], tensor), name
    assert chain.settings["lifter"]["target"] == "z"  # type: ignore[index]
    assert chain.settings["lifter"]["input_axes"] == 3  # type: ignore[index]

    scores = tmp_path / "scores.csv"
    checkpoint = tmp_path / "chain/best.safetensors"
    result = evolift("chain", "evaluate", checkpoint, "--data", folder / "people.h5", "-o", scores)
    assert result.returncode == 0, result.stderr
    assert pd.read_csv(scores)["mpjpe"].gt(0).all()
    assert set(pd.read_csv(scores)["joints_scored"]) == {17}
    assert "Scored: 17 joints, the root counted; mean over poses, in mm.\n" in result.stdout

    result = evolift("finetune", "--resume", "-o", tmp_path / "chain", "--steps", 3)
    assert result.returncode == 0, result.stderr
    history = pd.read_csv(tmp_path / "chain/history.csv")
    assert history["step"].tolist() == [1, 2, 3]
    assert list(history)[:3] == ["step", "loss", "mpjpe"]
    assert load_checkpoint(tmp_path / "chain/last.safetensors", "chain").settings["flip_test"] is True


def test_the_stages_are_split_off_bit_for_bit_and_go_on_alone(evolift, folder: Path, tmp_path: Path) -> None:
    lifter = ("--lifter", folder / "lifter.safetensors")
    result = finetune(evolift, folder, tmp_path / "chain", *lifter, "--freeze", "all-but-last-block")
    assert result.returncode == 0, result.stderr
    chain = tmp_path / "chain/best.safetensors"
    result = evolift("chain", "split", chain, "-o", tmp_path / "stages")
    assert result.returncode == 0, result.stderr
    whole = load_checkpoint(chain, "chain")
    for stage in ("detector", "lifter"):
        part = load_checkpoint(tmp_path / f"stages/{stage}.safetensors", stage)
        assert part.record["command"] == "evolift finetune"
        assert len(part.tensors) == sum(name.startswith(stage + ".") for name in whole.tensors)
        for name, tensor in part.tensors.items():
            assert torch.equal(tensor, whole.tensors[f"{stage}.{name}"])
    parts = ("--detector", tmp_path / "stages/detector.safetensors")
    parts += ("--lifter", tmp_path / "stages/lifter.safetensors")
    scores = tmp_path / "scores.csv"
    result = evolift("chain", "evaluate", chain, *parts, "--data", folder / "people.h5", "-o", scores)
    assert result.returncode == 0, result.stderr
    table = pd.read_csv(scores).drop(columns="chain")
    pd.testing.assert_frame_equal(table[:2], table[2:].reset_index(drop=True))
    people, detector = folder / "people.h5", tmp_path / "stages/detector.safetensors"
    more = ("--validation", people, "--start-from", detector, "-o", tmp_path / "detector", *SMALL)
    result = evolift("detector", "train", people, *more)
    assert result.returncode == 0, result.stderr


def _as_a_process(*arguments: object) -> Finished:
    command = [sys.executable, "-m", "evolift", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    return Finished(done.returncode, done.stdout, done.stderr)


@pytest.mark.slow
def test_two_processes_fine_tune_as_one_with_twice_the_batches(folder: Path, tmp_path: Path) -> None:
    """BatchNorm as it was learnt, so that the gradient does not depend on how a batch is divided."""
    from evolift.lifter.model import LifterModel
    from evolift.lifter.settings import LifterSettings

    lifter = tmp_path / "lifter.safetensors"
    LifterModel(LifterSettings(hidden=8, blocks=1, normalisation="box", dropout=0.0)).save(lifter)

    plain = ("--no-augment", "--schedule", "constant")

    def learnt(name: str, *more: object) -> dict[str, torch.Tensor]:
        # Not the fixture that runs in this process: a training of several processes starts its own command again.
        result = finetune(_as_a_process, folder, tmp_path / name, "--lifter", lifter, *plain, *more)
        assert result.returncode == 0, result.stderr
        return load_checkpoint(tmp_path / name / "last.safetensors", "chain").tensors

    def furthest(others: dict[str, torch.Tensor]) -> float:
        return max(float((two[name] - others[name]).abs().max()) for name in two)

    two, one = learnt("two", "--devices", 2), learnt("one", "--devices", 1, "--accumulate", 2)
    assert furthest(one) < 5e-5
    assert furthest(learnt("half", "--devices", 1)) > 2e-4
    before = load_checkpoint(folder / "detector.safetensors", "detector").tensors
    statistics = [name for name in before if name.endswith("running_mean")]
    assert statistics
    for name in statistics:
        assert torch.equal(two["detector." + name], before[name]), name


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ((), "give --detector and --lifter, --detector and --new-lifter, or --chain alone"),
        (("--new-lifter", "--lifter", "{f}/lifter.safetensors"), "give --detector and --lifter, --detector"),
        (
            ("--lifter", "{f}/lifter.safetensors", "--target", "z"),
            "--target does nothing here: it is for --new-lifter",
        ),
        (("--new-lifter", "--occluders", "{f}"), "--occluders does nothing without --occlusion-probability"),
        (
            ("--new-lifter", "--freeze", "all", "--lifter-learning-rate", "0"),
            "detector and lifter are both frozen",
        ),
    ],
)
def test_what_cannot_be_is_one_sentence(
    evolift, folder: Path, tmp_path: Path, more: tuple[str, ...], message: str
) -> None:
    result = finetune(evolift, folder, tmp_path / "x", *(word.format(f=folder) for word in more))
    assert result.returncode == 2
    assert message in " ".join(result.stderr.split())
    assert not (tmp_path / "x").exists()


def test_a_chain_is_scored_on_a_device_that_is_there(evolift, folder: Path) -> None:
    parts = ("--detector", folder / "detector.safetensors", "--lifter", folder / "lifter.safetensors")
    result = evolift("chain", "evaluate", *parts, "--data", folder / "people.h5", "--device", "warp")
    assert result.returncode == 2
    assert result.stderr.startswith("Error: --device warp: ")


def test_what_is_no_chain_cannot_be_split(evolift, folder: Path, tmp_path: Path) -> None:
    result = evolift("chain", "split", folder / "lifter.safetensors", "-o", tmp_path / "x")
    assert result.returncode == 2
    assert "is a checkpoint of the stage 'lifter', not 'chain'" in result.stderr
    assert not (tmp_path / "x").exists()
