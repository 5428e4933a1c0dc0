from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from evolift.lifter.data.detection_errors import DetectionErrors, save_detection_errors
from evolift.lifter.data.pose_source import Mixture
from evolift.lifter.evaluation import evaluate_lifters, markdown_report, open_test_set, predict
from evolift.lifter.model import LifterModel
from evolift.lifter.settings import (
    EVOLVED_SHARE,
    LifterSettings,
    LifterTrainingSettings,
    PairSettings,
    RefinerTrainingSettings,
    Split,
)
from evolift.lifter.symmetry_loss import symmetry_loss
from evolift.lifter.training import LifterModule, open_data, train_lifter
from evolift.posedata.bone_loss import bone_loss
from evolift.posedata.errors import InputError, OutputError
from evolift.posedata.metrics import mpjpe
from evolift.posedata.output_file import sha256_of
from evolift.posedata.rig_settings import RingRig
from evolift.posedata.skeleton import H36M16, H36M17
from evolift.posedata.store import PoseStore
from evolift.training.checkpoint import load_checkpoint
from evolift.training.run_folder import MAY_CHANGE

SMALL = LifterSettings(hidden=16, blocks=1, dropout=0.1)
BOB = Split(validation_subjects=("bob",))
NONE = Split(validation_share=0.0)
QUICK = LifterTrainingSettings(
    steps=6,
    validate_every=2,
    seed=3,
    accelerator="cpu",
    devices="1",
    average_decay=0.0,
    progress=False,
    # A run of fewer steps stands for one that was stopped: its learning rates must not depend on the steps in all.
    schedule="published",
    split=BOB,
    pairs=PairSettings(batch_size=16, noise=1.0, missing=0.05, ring=RingRig(rotate_ring=False)),
)


def run(store, output, *, lifter=SMALL, resume=False, start_from=None, **training) -> pd.DataFrame:
    settings = QUICK.replaced(**training)
    return train_lifter(
        [store], output, lifter=lifter, training=settings, resume=resume, start_from=start_from
    )


def require_same_weights(first: Path, second: Path, stage: str = "lifter") -> None:
    """Checkpoints alike to the last bit, but for what may change when a run is resumed."""
    for name in ("best.safetensors", "last.safetensors"):
        one, other = (load_checkpoint(folder / name, stage) for folder in (first, second))
        assert one.tensors.keys() == other.tensors.keys()
        assert all(torch.equal(one.tensors[key], other.tensors[key]) for key in one.tensors)
        for checkpoint in (one, other):
            for setting in MAY_CHANGE:
                checkpoint.record["settings"].pop(setting, None)
        assert one.record == other.record


def test_a_resumed_run_ends_with_the_weights_of_an_undisturbed_one(tiny_store, tmp_path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    history = run(tiny_store, whole)
    run(tiny_store, cut, steps=4)
    resumed = run(tiny_store, cut, resume=True)
    require_same_weights(whole, cut)
    pd.testing.assert_frame_equal(history, resumed)
    assert list(history["step"]) == [2, 4, 6]


def test_a_resumed_run_with_averaged_weights_ends_with_the_same_ones(tiny_store, tmp_path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    run(tiny_store, whole, average_decay=0.9)
    run(tiny_store, cut, steps=4, average_decay=0.9)
    run(tiny_store, cut, resume=True, average_decay=0.9)
    run(tiny_store, tmp_path / "plain")
    require_same_weights(whole, cut)
    assert (whole / "history.csv").read_bytes() == (cut / "history.csv").read_bytes()
    averaged, plain = (
        LifterModel.load(folder / "last.safetensors").state_dict() for folder in (whole, tmp_path / "plain")
    )
    learnt = [name for name in averaged if name.endswith(("weight", "running_mean", "running_var"))]
    assert not any(torch.equal(averaged[name], plain[name]) for name in learnt)
    counts = [name for name in averaged if name.endswith("num_batches_tracked")]
    assert all(torch.equal(averaged[name], plain[name]) for name in counts)


def test_workers_do_not_change_the_result(tiny_store, tmp_path) -> None:
    run(tiny_store, tmp_path / "alone", steps=2)
    run(tiny_store, tmp_path / "two", steps=2, num_workers=2)
    require_same_weights(tmp_path / "alone", tmp_path / "two")


def test_gradients_are_clipped_in_mixed_precision_too(tiny_store, tmp_path) -> None:
    history = run(tiny_store, tmp_path / "run", precision="bf16-mixed")
    assert np.isfinite(history["mpjpe"]).all()


def test_a_lifter_learns_poses_it_was_not_shown(tiny_store, tmp_path) -> None:
    folder = tmp_path / "run"
    pairs = PairSettings(ring=RingRig(ring_radius=0.0, rotate_ring=False), flip=False)
    history = run(
        tiny_store,
        folder,
        lifter=LifterSettings(hidden=32, blocks=2),
        steps=300,
        validate_every=100,
        seed=0,
        pairs=pairs,
        learning_rate=5e-3,
        schedule="one-cycle",
    )
    tests = open_test_set(tiny_store, H36M17, pairs, subjects=("bob",))
    truth = tests.truth
    mean_pose = float(mpjpe(truth.mean(0).expand_as(truth), truth).mean())
    scores = evaluate_lifters({"lifter": LifterModel.load(folder / "best.safetensors")}, tests)
    overall = scores[scores["name"] == "overall"].iloc[0]
    assert overall["mpjpe"] < 0.7 * mean_pose
    # Validation looks at the same poses by the same cameras, so it must agree with the evaluation.
    assert math.isclose(overall["mpjpe"], history["mpjpe"].min(), rel_tol=1e-4)


def test_a_cascade_trains_all_its_stages(tiny_store, tmp_path) -> None:
    lifter = LifterSettings(architecture="cascade", hidden=8, blocks=1)
    torch.manual_seed(3)
    start = LifterModel(lifter).state_dict()
    run(tiny_store, tmp_path / "a", steps=2, lifter=lifter)
    end = LifterModel.load(tmp_path / "a" / "last.safetensors").state_dict()
    still = [name for name in start if name.endswith("weight") and torch.equal(start[name], end[name])]
    assert not still


def test_losses_on_bones_are_added_with_their_weights_in_metres() -> None:
    generator = torch.Generator().manual_seed(0)
    prediction, target = (200 * torch.randn(4, 17, 3, generator=generator) for _ in range(2))
    model = LifterModel(SMALL)

    def loss(**weights: float) -> torch.Tensor:
        return LifterModule(model, LifterTrainingSettings(**weights), {}).loss(prediction, target)

    plain = loss()
    bones = bone_loss(prediction, target, H36M17).mean() / 1000
    symmetry = symmetry_loss(prediction, H36M17).mean() / 1000
    torch.testing.assert_close(loss(bone_weight=0.5), plain + 0.5 * bones)
    torch.testing.assert_close(loss(symmetry_weight=0.25), plain + 0.25 * symmetry)
    torch.testing.assert_close(loss(bone_weight=2.0, symmetry_weight=3.0), plain + 2 * bones + 3 * symmetry)


def test_losses_on_bones_need_whole_joints(tiny_store, tmp_path) -> None:
    depth = LifterSettings(hidden=8, blocks=1, target="z")
    for name in ("bone_weight", "symmetry_weight"):
        with pytest.raises(InputError, match="need whole joints: train with `target` xyz"):
            run(tiny_store, tmp_path / name, lifter=depth, **{name: 0.1})
        assert not (tmp_path / name).exists()


def test_a_run_leaves_its_settings_and_checkpoints_that_tell_how_they_were_made(tiny_store, tmp_path) -> None:
    run(tiny_store, tmp_path / "a", steps=2)
    record = load_checkpoint(tmp_path / "a" / "last.safetensors", "lifter").record
    assert record["command"] == "evolift lifter train"
    assert record["stores"] == {str(tiny_store): sha256_of(tiny_store)}
    assert record["step"] == 2
    assert record["validation"]["mpjpe"] > 0
    settings = json.loads((tmp_path / "a" / "settings.json").read_text())["settings"]
    assert {name: settings[name] for name in record["settings"]} == record["settings"]
    assert set(settings) - set(record["settings"]) == {"logger", "output", "progress", "num_workers"}
    assert settings["stores"] == [str(tiny_store)]
    assert (settings["hidden"], settings["noise"], settings["validation_subjects"]) == (16, 1.0, ["bob"])


def test_a_run_is_not_overwritten_unasked_nor_resumed_as_another(tiny_store, tmp_path) -> None:
    run(tiny_store, tmp_path / "a", steps=2)
    with pytest.raises(OutputError, match="is not empty"):
        run(tiny_store, tmp_path / "a", steps=2)
    with pytest.raises(InputError, match=r"was begun with `learning_rate` 0\.002, not 0\.1"):
        run(tiny_store, tmp_path / "a", resume=True, learning_rate=0.1)


def test_training_can_start_from_a_checkpoint(tiny_store, tmp_path) -> None:
    run(tiny_store, tmp_path / "a", steps=4)
    start = tmp_path / "a" / "last.safetensors"
    first = run(tiny_store, tmp_path / "b", steps=2, start_from=start)
    cold = run(tiny_store, tmp_path / "c", steps=2)
    assert first["loss"].iloc[0] < cold["loss"].iloc[0]
    with pytest.raises(InputError, match="settings are others than those asked for"):
        run(tiny_store, tmp_path / "d", lifter=LifterSettings(hidden=8), start_from=start)


def test_shares_of_evolved_poses(evolved_store) -> None:
    def mixture(**settings: object) -> Mixture:
        return open_data([evolved_store], H36M17, QUICK.replaced(split=NONE, **settings)).mixture

    every = mixture()
    assert [len(part) for part in every.parts] == [40, 40]
    np.testing.assert_allclose(every.weights, [1 - EVOLVED_SHARE, EVOLVED_SHARE])
    np.testing.assert_allclose(mixture(evolved_share=0.4).weights, [0.6, 0.4])
    assert [len(part) for part in mixture(evolved_share=0.0).parts] == [40]


def test_stores_are_mixed_by_rows_and_weights(tiny_store, evolved_store) -> None:
    settings = QUICK.replaced(split=NONE, store_weights=(2.0, 1.0))
    assert open_data([tiny_store], H36M17, settings.replaced(store_weights=())).mixture.weights == [64.0]
    mixture = open_data([tiny_store, evolved_store], H36M17, settings).mixture
    recorded = 1 - EVOLVED_SHARE
    np.testing.assert_allclose(mixture.weights, [recorded * 128 / 168, recorded * 40 / 168, EVOLVED_SHARE])


def test_the_share_of_evolved_poses_grows_over_the_warm_up(tiny_store, evolved_store) -> None:
    settings = QUICK.replaced(split=NONE, evolved_share=0.4, evolved_warm_up=100)
    mixture = open_data([tiny_store, evolved_store], H36M17, settings).mixture
    for step, share in ((0, 0.0), (25, 0.1), (50, 0.2), (99, 0.396), (100, 0.4), (10_000, 0.4)):
        shares = mixture.shares(step)
        assert float(shares.sum()) == pytest.approx(1)
        assert float(shares[2]) == pytest.approx(share)
        assert float(shares[0] / shares[1]) == pytest.approx(64 / 40)
    drawn = [len(bodies) for _, bodies in mixture.draw(20_000, 50, 0, torch.Generator().manual_seed(0))]
    assert drawn[2] / 20_000 == pytest.approx(0.2, abs=0.01)
    assert len(mixture.draw(1000, 0, 0, torch.Generator().manual_seed(0))) == 2, "none at the start"
    at_once = open_data([tiny_store, evolved_store], H36M17, settings.replaced(evolved_warm_up=0)).mixture
    assert float(at_once.shares(0)[2]) == pytest.approx(0.4)


def test_clips_to_validate_on_are_drawn_with_the_seed_of_the_run(evolved_store) -> None:
    def held_out(seed: int) -> list[float]:
        settings = QUICK.replaced(split=Split(validation_share=0.2), seed=seed)
        (part,) = open_data([evolved_store], H36M17, settings).validation
        return part.evenly(1)[1].tolist()

    assert held_out(0) == held_out(0)
    assert len({tuple(held_out(seed)) for seed in range(12)}) > 1


def test_what_cannot_be_trained_is_refused(tiny_store, tmp_path) -> None:
    with pytest.raises(InputError, match="no store has evolved poses: run `evolift evolve`"):
        open_data([tiny_store], H36M17, QUICK.replaced(split=NONE, evolved_share=0.5))
    with pytest.raises(InputError, match="`store_weights` must be one per store: 2 for 1"):
        open_data([tiny_store], H36M17, QUICK.replaced(store_weights=(1.0, 2.0)))
    with pytest.raises(InputError, match="there is nothing to validate on"):
        run(tiny_store, tmp_path / "a", split=NONE)
    with pytest.raises(InputError, match="`loss` must be one of mse, l1, nll, not 'l7'"):
        LifterTrainingSettings(loss="l7")
    with pytest.raises(InputError, match=r"`bone_weight` must be a number of at least 0, not -0\.1"):
        LifterTrainingSettings(bone_weight=-0.1)


def test_errors_of_a_detector_are_learnt_from_and_named_in_the_checkpoint(tiny_store, tmp_path) -> None:
    path = tmp_path / "errors.csv"
    save_detection_errors(path, DetectionErrors(H36M17, torch.full((1, 17, 2), 50.0)))
    histories = [
        run(tiny_store, tmp_path / name, steps=2, pairs=QUICK.pairs.replaced(errors=errors))
        for name, errors in (("clean", None), ("noisy", str(path)))
    ]
    assert histories[0]["mpjpe"].iloc[0] != histories[1]["mpjpe"].iloc[0]
    record = load_checkpoint(tmp_path / "noisy" / "last.safetensors", "lifter").record
    assert record["detection_errors"] == {str(path): sha256_of(path)}
    other = LifterSettings(hidden=8, skeleton=H36M16)
    with pytest.raises(InputError, match=r"errors\.csv, line 11: H36M16 has no joint 'nose'"):
        run(tiny_store, tmp_path / "other", lifter=other, pairs=QUICK.pairs.replaced(errors=str(path)))


def test_a_depth_lifter_is_scored_on_depth_alone(tiny_store) -> None:
    torch.manual_seed(0)
    model = LifterModel(LifterSettings(hidden=8, blocks=1, target="z")).eval()
    tests = open_test_set(tiny_store, H36M17, poses=8)
    prediction = predict(model, tests)
    assert torch.equal(prediction[..., :2], tests.truth[..., :2])
    assert not torch.equal(prediction[..., 2], tests.truth[..., 2])


def test_scores_of_several_lifters_stand_side_by_side(tiny_store) -> None:
    torch.manual_seed(0)
    models = {"one": LifterModel(SMALL).eval(), "two": LifterModel(SMALL).eval()}
    tests = open_test_set(tiny_store, H36M17)
    scores = evaluate_lifters(models, tests)
    assert list(dict.fromkeys(scores["checkpoint"])) == ["one", "two"]
    report = markdown_report(scores)
    two = scores[(scores["checkpoint"] == "two") & (scores["name"] == "walk")].iloc[0]
    assert "| action | one | two |" in report
    assert f"| {two['mpjpe']:.1f} |" in report
    for name in ("left_wrist", "ann", "sit", "action-wise mean"):
        assert f"| {name} |" in report


def test_a_test_set_keeps_labels_beside_poses(tiny_store) -> None:
    tests = open_test_set(tiny_store, H36M17, subjects=("bob",), actions=("sit",))
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
    settings = QUICK.replaced(split=Split())
    opened = open_data([tmp_path / "fit.h5"], H36M17, settings, [tmp_path / "held.h5"])
    assert [len(part) for part in opened.validation] == [32]
    assert sum(len(part) for part in opened.mixture.parts) == 32
    with pytest.raises(InputError, match="not both"):
        open_data([tiny_store], H36M17, QUICK, [tmp_path / "held.h5"])


@pytest.mark.parametrize("lifter", [SMALL, SMALL.replaced(architecture="cascade", target="z", input_axes=3)])
def test_the_loss_nll_trains_a_lifter_that_says_how_sure_it_is(tiny_store, tmp_path, lifter) -> None:
    history = run(tiny_store, tmp_path / "nll", lifter=lifter, loss="nll", steps=30, learning_rate=0.01)
    assert np.isfinite(history[["loss", "mpjpe"]].to_numpy()).all()
    assert history["loss"].iloc[-1] < history["loss"].iloc[0]
    model = LifterModel.load(tmp_path / "nll" / "last.safetensors")
    assert model.settings == lifter.replaced(uncertainty=True)
    assert json.loads((tmp_path / "nll" / "settings.json").read_text())["settings"]["uncertainty"] is True
    further = run(
        tiny_store,
        tmp_path / "further",
        lifter=lifter,
        loss="nll",
        start_from=tmp_path / "nll" / "last.safetensors",
    )
    assert further["loss"].iloc[0] < history["loss"].iloc[0]


def test_bones_are_learnt_with_the_loss_nll_too(tiny_store, tmp_path) -> None:
    losses = [
        run(tiny_store, tmp_path / str(weight), loss="nll", steps=2, bone_weight=weight)["loss"].iloc[0]
        for weight in (0.0, 1.0)
    ]
    assert losses[1] > losses[0] + 0.1


def test_a_loss_that_does_not_fit_the_lifter_is_refused(tiny_store, tmp_path) -> None:
    LifterModel(SMALL).save(tmp_path / "silent.safetensors")
    LifterModel(SMALL.replaced(uncertainty=True)).save(tmp_path / "sure.safetensors")
    with pytest.raises(InputError) as plain:
        run(tiny_store, tmp_path / "a", lifter=SMALL.replaced(uncertainty=True))
    assert str(plain.value) == (
        "this lifter says how sure it is of each joint (`uncertainty`), which `loss` l1 does not teach: train with `loss` nll"
    )
    with pytest.raises(InputError) as silent:
        run(tiny_store, tmp_path / "b", loss="nll", start_from=tmp_path / "silent.safetensors")
    assert str(silent.value) == (
        f"{tmp_path / 'silent.safetensors'}: this lifter does not say how sure it is of each joint, and `loss` nll trains one that does: leave out `start_from`, or train with another `loss`"
    )
    assert not (tmp_path / "a").exists()
    assert not (tmp_path / "b").exists()
    with pytest.raises(InputError, match="`loss` must be one of mse, l1, not 'nll'"):
        RefinerTrainingSettings(loss="nll")  # type: ignore[arg-type]
