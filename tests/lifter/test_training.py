from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch

from evolift.lifter.bone_losses import bone_loss, symmetry_loss
from evolift.lifter.data.pairs import PairSettings
from evolift.lifter.data.split import Split
from evolift.lifter.evaluation import evaluate_lifters, markdown_report, open_test_set, predict
from evolift.lifter.model import LifterModel, LifterSettings, load_lifter
from evolift.lifter.training import (
    DataSettings,
    LearningSettings,
    LifterModule,
    open_data,
    schedule_factor,
    train_lifter,
)
from evolift.posedata.camera_rig import RingRig
from evolift.posedata.errors import InputError
from evolift.posedata.metrics import mpjpe
from evolift.posedata.output_file import sha256_of
from evolift.posedata.skeleton import H36M17
from evolift.posedata.store import PoseStore
from evolift.training.checkpoint import load_checkpoint
from evolift.training.trainer import TrainingSettings

SMALL = LifterSettings(hidden=16, blocks=1, dropout=0.1)
PAIRS = PairSettings(batch_size=16, noise=1.0, missing=0.05, flip=True)
DATA = DataSettings(Split(validation_subjects=("bob",)))


def run(
    store,
    folder,
    steps=6,
    *,
    resume=False,
    workers=0,
    lifter=SMALL,
    stop=None,
    average_decay=0.0,
    precision="32-true",
    **rest,
):
    folder.mkdir(exist_ok=True)
    # A run of fewer steps stands for one that was stopped: its learning rates must not depend on the steps in all.
    rest.setdefault("learning", LearningSettings(schedule="published"))
    training = TrainingSettings(
        stop or steps,
        2,
        seed=3,
        workers=workers,
        accelerator="cpu",
        devices="1",
        gradient_clip=1.0,
        average_decay=average_decay,
        precision=precision,
        progress=False,
    )
    return train_lifter(
        [store], folder, training, lifter=lifter, pairs=PAIRS, data=DATA, resume=resume, **rest
    )


def test_a_resumed_run_ends_with_the_bytes_of_an_undisturbed_one(tiny_store, tmp_path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    history = run(tiny_store, whole)
    run(tiny_store, cut, stop=4)
    resumed = run(tiny_store, cut, resume=True)
    assert (whole / "last.safetensors").read_bytes() == (cut / "last.safetensors").read_bytes()
    assert (whole / "best.safetensors").read_bytes() == (cut / "best.safetensors").read_bytes()
    pd.testing.assert_frame_equal(history, resumed)
    assert list(history["step"]) == [2, 4, 6]


def test_a_resumed_run_with_averaged_weights_ends_with_the_same_bytes(tiny_store, tmp_path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    run(tiny_store, whole, average_decay=0.9)
    run(tiny_store, cut, stop=4, average_decay=0.9)
    run(tiny_store, cut, resume=True, average_decay=0.9)
    run(tiny_store, tmp_path / "plain")
    names = ("last.safetensors", "best.safetensors", "history.csv")
    assert all((whole / name).read_bytes() == (cut / name).read_bytes() for name in names)
    averaged, plain = (
        load_lifter(folder / "last.safetensors").state_dict() for folder in (whole, tmp_path / "plain")
    )
    learnt = [name for name in averaged if name.endswith(("weight", "running_mean", "running_var"))]
    assert not any(torch.equal(averaged[name], plain[name]) for name in learnt)
    counts = [name for name in averaged if name.endswith("num_batches_tracked")]
    assert all(torch.equal(averaged[name], plain[name]) for name in counts)


def test_workers_do_not_change_the_result(tiny_store, tmp_path) -> None:
    run(tiny_store, tmp_path / "alone", steps=2)
    run(tiny_store, tmp_path / "two", steps=2, workers=2)
    alone, two = ((tmp_path / name / "last.safetensors").read_bytes() for name in ("alone", "two"))
    assert alone == two


def test_gradients_are_clipped_in_mixed_precision_too(tiny_store, tmp_path) -> None:
    history = run(tiny_store, tmp_path / "run", precision="bf16-mixed")
    assert np.isfinite(history["mpjpe"]).all()


def test_a_lifter_learns_poses_it_was_not_shown(tiny_store, tmp_path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    training = TrainingSettings(300, 100, accelerator="cpu", devices="1", gradient_clip=1.0, progress=False)
    pairs = PairSettings(batch_size=64, ring=RingRig(radius=0.0))
    learning = LearningSettings(learning_rate=5e-3, schedule="one-cycle")
    lifter = LifterSettings(hidden=32, blocks=2)
    history = train_lifter(
        [tiny_store], folder, training, lifter=lifter, pairs=pairs, learning=learning, data=DATA
    )
    tests = open_test_set(tiny_store, H36M17, pairs, subjects=("bob",))
    truth = tests.truth
    mean_pose = float(mpjpe(truth.mean(0).expand_as(truth), truth).mean())
    scores = evaluate_lifters({"lifter": load_lifter(folder / "best.safetensors")}, tests)
    overall = scores[scores["name"] == "overall"].iloc[0]
    assert overall["mpjpe"] < 0.7 * mean_pose
    # Validation looks at the same poses by the same cameras, so it must agree with the evaluation.
    assert math.isclose(overall["mpjpe"], history["mpjpe"].min(), rel_tol=1e-4)


def test_a_cascade_trains_all_its_stages(tiny_store, tmp_path) -> None:
    lifter = LifterSettings(architecture="cascade", hidden=8, blocks=1)
    torch.manual_seed(3)
    start = LifterModel(lifter).state_dict()
    run(tiny_store, tmp_path / "a", steps=2, lifter=lifter)
    end = load_lifter(tmp_path / "a" / "last.safetensors").state_dict()
    still = [name for name in start if name.endswith("weight") and torch.equal(start[name], end[name])]
    assert not still


def test_losses_on_bones_are_added_with_their_weights_in_metres() -> None:
    generator = torch.Generator().manual_seed(0)
    prediction, target = (200 * torch.randn(4, 17, 3, generator=generator) for _ in range(2))
    model = LifterModel(SMALL)

    def loss(**weights: float) -> torch.Tensor:
        return LifterModule(model, LearningSettings(**weights), 10, {}).loss(prediction, target)

    plain = loss()
    bones = bone_loss(prediction, target, H36M17).mean() / 1000
    symmetry = symmetry_loss(prediction, H36M17).mean() / 1000
    torch.testing.assert_close(loss(bone_weight=0.5), plain + 0.5 * bones)
    torch.testing.assert_close(loss(symmetry_weight=0.25), plain + 0.25 * symmetry)
    torch.testing.assert_close(loss(bone_weight=2.0, symmetry_weight=3.0), plain + 2 * bones + 3 * symmetry)


def test_losses_on_bones_need_whole_joints(tiny_store, tmp_path) -> None:
    depth = LifterSettings(hidden=8, blocks=1, target="z")
    for name in ("bone_weight", "symmetry_weight"):
        with pytest.raises(InputError, match="need whole joints: train with target xyz"):
            run(tiny_store, tmp_path / name, lifter=depth, learning=LearningSettings(**{name: 0.1}))
        with pytest.raises(InputError, match="must not be negative"):
            LearningSettings(**{name: -0.1})


def test_checkpoints_tell_how_they_were_made(tiny_store, tmp_path) -> None:
    run(tiny_store, tmp_path / "a", steps=2, record={"command": "test"})
    record = load_checkpoint(tmp_path / "a" / "last.safetensors", "lifter").record
    assert record["command"] == "test"
    assert record["stores"] == {str(tiny_store): sha256_of(tiny_store)}
    assert record["step"] == 2
    assert record["validation"]["mpjpe"] > 0


def test_training_can_start_from_a_checkpoint(tiny_store, tmp_path) -> None:
    run(tiny_store, tmp_path / "a", steps=4)
    start = tmp_path / "a" / "last.safetensors"
    first = run(tiny_store, tmp_path / "b", steps=2, start_from=start)
    cold = run(tiny_store, tmp_path / "c", steps=2)
    assert first["loss"].iloc[0] < cold["loss"].iloc[0]
    with pytest.raises(InputError, match="settings are others than those asked for"):
        run(tiny_store, tmp_path / "d", lifter=LifterSettings(hidden=8), start_from=start)


@pytest.mark.parametrize("name", ["published", "cosine", "one-cycle", "constant"])
def test_schedules(name) -> None:
    factors = np.array([schedule_factor(name, step, 1000) for step in range(1000)])
    assert factors.max() == 1.0
    assert (factors > 0).all()
    if name == "one-cycle":
        assert factors[0] == 0.01
        assert factors.argmax() in (99, 100)
    if name in ("cosine", "one-cycle"):
        assert factors[-1] < 1e-4
    assert schedule_factor("published", 250_000, 10**6) == 0.96**2


def test_shares_of_evolved_poses(evolved_store) -> None:
    split = Split(validation_share=0.0)
    every = open_data([evolved_store], H36M17, DataSettings(split)).mixture
    assert [len(part) for part in every.parts] == [40, 40]
    assert every.weights[0] == every.weights[1]
    quarter = open_data([evolved_store], H36M17, DataSettings(split, evolved_share=0.25)).mixture
    np.testing.assert_allclose(quarter.weights, [0.75, 0.25])
    without = open_data([evolved_store], H36M17, DataSettings(split, evolved_share=0.0)).mixture
    assert [len(part) for part in without.parts] == [40]


def test_stores_are_mixed_by_rows_and_weights(tiny_store, evolved_store) -> None:
    settings = DataSettings(Split(validation_share=0.0), store_weights=(2.0, 1.0))
    mixture = open_data([tiny_store, evolved_store], H36M17, settings).mixture
    assert list(mixture.weights) == [128.0, 40.0, 40.0]


def test_what_cannot_be_trained_is_refused(tiny_store, tmp_path) -> None:
    settings = DataSettings(Split(validation_share=0.0), evolved_share=0.5)
    with pytest.raises(InputError, match="no store has any: run `evolift evolve`"):
        open_data([tiny_store], H36M17, settings)
    with pytest.raises(InputError, match="1 stores cannot have 2 weights"):
        open_data([tiny_store], H36M17, DataSettings(store_weights=(1.0, 2.0)))
    training = TrainingSettings(2, 2, progress=False)
    with pytest.raises(InputError, match="there is nothing to validate on"):
        train_lifter([tiny_store], tmp_path, training, data=DataSettings(Split(validation_share=0.0)))
    with pytest.raises(InputError, match="there is no loss 'l7'"):
        LearningSettings(loss="l7")


def test_a_depth_lifter_is_scored_on_depth_alone(tiny_store) -> None:
    torch.manual_seed(0)
    model = LifterModel(LifterSettings(hidden=8, blocks=1, target="z")).eval()
    tests = open_test_set(tiny_store, H36M17, PairSettings(), poses=8)
    prediction = predict(model, tests)
    assert torch.equal(prediction[..., :2], tests.truth[..., :2])
    assert not torch.equal(prediction[..., 2], tests.truth[..., 2])


def test_scores_of_several_lifters_stand_side_by_side(tiny_store) -> None:
    torch.manual_seed(0)
    models = {"one": LifterModel(SMALL).eval(), "two": LifterModel(SMALL).eval()}
    tests = open_test_set(tiny_store, H36M17, PairSettings())
    scores = evaluate_lifters(models, tests)
    assert list(dict.fromkeys(scores["checkpoint"])) == ["one", "two"]
    report = markdown_report(scores)
    two = scores[(scores["checkpoint"] == "two") & (scores["name"] == "walk")].iloc[0]
    assert "| action | one | two |" in report
    assert f"| {two['mpjpe']:.1f} |" in report
    for name in ("left_wrist", "ann", "sit", "action-wise mean"):
        assert f"| {name} |" in report


def test_a_test_set_keeps_labels_beside_poses(tiny_store) -> None:
    tests = open_test_set(tiny_store, H36M17, PairSettings(), subjects=("bob",), actions=("sit",))
    assert set(tests.subject) == {"bob"}
    assert set(tests.action) == {"sit"}
    with PoseStore(tiny_store) as store:
        world = store.read().joints_3d
    lengths = np.linalg.norm(world[tests.rows][:, 2] - world[tests.rows][:, 9], axis=-1)
    got = np.linalg.norm(tests.truth[:, 2] - tests.truth[:, 9], axis=-1)
    np.testing.assert_allclose(got, lengths, atol=0.05)


def test_validation_stores_are_validated_on_and_everything_else_trains(tiny_store, tmp_path) -> None:
    from evolift.posedata.selection import select_rows

    select_rows(tiny_store, tmp_path / "fit.h5", subjects=["ann"])
    select_rows(tiny_store, tmp_path / "held.h5", subjects=["bob"])
    opened = open_data([tmp_path / "fit.h5"], H36M17, DataSettings(), [tmp_path / "held.h5"])
    assert [len(part) for part in opened.validation] == [32]
    assert sum(len(part) for part in opened.mixture.parts) == 32
    with pytest.raises(InputError, match="not both"):
        open_data([tiny_store], H36M17, DATA, [tmp_path / "held.h5"])
