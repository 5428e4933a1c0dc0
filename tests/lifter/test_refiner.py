from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from evolift.lifter.data.pairs import PairSettings
from evolift.lifter.data.split import Split
from evolift.lifter.evaluation import evaluate_lifters, open_test_set
from evolift.lifter.model import LifterModel, LifterSettings
from evolift.lifter.refiner import (
    DenoisingAutoencoder,
    Refined,
    RefinerModel,
    RefinerSettings,
    load_refiner,
    save_refiner,
)
from evolift.lifter.refiner_training import PoseFaults, spoilt, train_refiner
from evolift.lifter.training import DataSettings, LearningSettings
from evolift.posedata.camera_rig import RingRig
from evolift.posedata.errors import CheckpointError, InputError
from evolift.posedata.metrics import mpjpe
from evolift.posedata.output_file import sha256_of
from evolift.posedata.seeds import generator_at
from evolift.posedata.skeleton import H36M16, H36M17
from evolift.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from evolift.training.trainer import TrainingSettings

SMALL = RefinerSettings(hidden=16, code=8, dropout=0.1)
PAIRS = PairSettings(batch_size=16, flip=True)
DATA = DataSettings(Split(validation_subjects=("bob",)))


def randomised(settings: RefinerSettings = SMALL, seed: int = 0) -> RefinerModel:
    torch.manual_seed(seed)
    model = RefinerModel(settings)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


def poses(batch: int = 4, joints: int = 17) -> Tensor:
    made = 300 * torch.randn(batch, joints, 3, generator=torch.Generator().manual_seed(1))
    made[:, 0] = 0
    return made


def run(store, folder, steps=6, *, resume=False, **rest) -> pd.DataFrame:
    folder.mkdir(exist_ok=True)
    training = TrainingSettings(steps, 2, seed=3, accelerator="cpu", devices="1", progress=False)
    chosen = {"refiner": SMALL, "pairs": PAIRS, "data": DATA, **rest}
    return train_refiner([store], folder, training, resume=resume, **chosen)


def test_the_network_is_input_plus_decoded_code() -> None:
    network = randomised(RefinerSettings(hidden=6, code=4, layers=2)).network
    linears = [module for module in network.modules() if isinstance(module, torch.nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in linears] == [
        (51, 6), (6, 6), (6, 4), (4, 6), (6, 6), (6, 51)
    ]  # fmt: skip
    x = poses() / 1000
    inner = x.flatten(1)
    for part in list(network.layers)[:-1]:
        inner = part[1](part[0](inner)).clamp(min=0)
    torch.testing.assert_close(network(x), x + network.layers[-1](inner).view_as(x))


def test_a_new_refiner_changes_nothing() -> None:
    torch.testing.assert_close(RefinerModel(SMALL)(poses()), poses())


def test_a_refined_pose_is_root_relative() -> None:
    refined = randomised()(poses())
    assert bool((refined[:, 0] == 0).all())
    assert float((refined - poses()).detach().abs().max()) > 1
    with pytest.raises(InputError, match="takes 17 joints of H36M17, got 16"):
        randomised()(poses(joints=16))


def test_refiner_by_finite_differences() -> None:
    network = DenoisingAutoencoder(3, hidden=4, layers=1, code=2, dropout=0.0).double().eval()
    torch.nn.init.normal_(network.layers[-1].weight)
    x = torch.randn(2, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(network, (x,))


def test_faults_are_those_asked_for() -> None:
    clean = torch.zeros(20_000, 17, 3) + 100
    faults = PoseFaults(noise=20, depth_noise=50, dropped=0.1)
    dirty = spoilt(clean, faults, 0, generator_at(0, 1))
    assert bool((dirty[:, 0] == 0).all())
    lost = (dirty[:, 1:] == 0).all(-1)
    assert float(lost.double().mean()) == pytest.approx(0.1, abs=0.005)
    np.testing.assert_allclose((dirty - clean)[:, 1:][~lost].std(0), [20, 20, 50], rtol=0.02)
    untouched = spoilt(clean, PoseFaults(0, 0, 0), 0, generator_at(0, 1))
    assert torch.equal(untouched[:, 1:], clean[:, 1:])
    for wrong in ({"noise": -1}, {"depth_noise": -1}, {"dropped": 1.0}):
        with pytest.raises(InputError, match="noise must not be negative, dropped at least 0 and below 1"):
            PoseFaults(**wrong)


def test_a_refiner_mends_poses_that_it_was_not_shown(tiny_store, tmp_path) -> None:
    training = TrainingSettings(400, 200, accelerator="cpu", devices="1", progress=False)
    pairs = PairSettings(batch_size=64, ring=RingRig(radius=0.0))
    faults = PoseFaults(noise=60, depth_noise=120, dropped=0.1)
    history = train_refiner(
        [tiny_store],
        tmp_path,
        training,
        refiner=RefinerSettings(hidden=64, code=32),
        pairs=pairs,
        faults=faults,
        learning=LearningSettings(learning_rate=3e-3, schedule="one-cycle"),
        data=DATA,
    )
    assert history["mpjpe"].iloc[-1] < 0.85 * history["mpjpe_given"].iloc[-1]
    model = load_refiner(tmp_path / "best.safetensors")
    truth = open_test_set(tiny_store, H36M17, pairs, subjects=("bob",)).truth
    dirty = spoilt(truth, faults, 0, generator_at(5, 5))
    with torch.no_grad():
        mended = float(mpjpe(model(dirty), truth).mean())
    assert mended < 0.85 * float(mpjpe(dirty, truth).mean())
    assert math.isclose(mended, history["mpjpe"].min(), rel_tol=0.05)


def test_a_resumed_run_ends_with_the_bytes_of_an_undisturbed_one(tiny_store, tmp_path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    # A shorter run stands for one that was stopped: its learning rates must not depend on the steps in all.
    learning = LearningSettings(schedule="published")
    history = run(tiny_store, whole, learning=learning)
    run(tiny_store, cut, steps=4, learning=learning)
    resumed = run(tiny_store, cut, resume=True, learning=learning)
    assert (whole / "last.safetensors").read_bytes() == (cut / "last.safetensors").read_bytes()
    pd.testing.assert_frame_equal(history, resumed)


def test_checkpoints_tell_how_they_were_made(tiny_store, tmp_path) -> None:
    run(tiny_store, tmp_path / "a", steps=2, record={"command": "test"})
    record = load_checkpoint(tmp_path / "a" / "last.safetensors", "refiner").record
    assert record["command"] == "test"
    assert record["stores"] == {str(tiny_store): sha256_of(tiny_store)}


def test_losses_on_bones_are_learnt_from_too(tiny_store, tmp_path) -> None:
    learning = LearningSettings(bone_weight=1.0, symmetry_weight=1.0)
    with_terms = run(tiny_store, tmp_path / "a", steps=2, learning=learning)
    without = run(tiny_store, tmp_path / "b", steps=2)
    assert with_terms["loss"].iloc[0] > without["loss"].iloc[0]


def test_there_must_be_something_to_validate_on(tiny_store, tmp_path) -> None:
    with pytest.raises(InputError, match="there is nothing to validate on"):
        run(tiny_store, tmp_path / "a", data=DataSettings(Split(validation_share=0.0)))


@pytest.mark.parametrize("flip_test", [False, True])
def test_a_refined_lifter_lifts_and_then_refines(flip_test) -> None:
    torch.manual_seed(0)
    lifter = LifterModel(LifterSettings(hidden=8, blocks=1)).eval()
    refiner, both = randomised(), Refined(lifter, randomised())
    pixels, size = 500 + poses()[..., :2], torch.tensor([[1000.0, 1000.0]])
    wanted = refiner(lifter.lift(pixels, None, size))
    if flip_test:
        mirror, turn = list(H36M17.mirror), torch.tensor([-1.0, 1.0, 1.0])
        given = torch.stack([999 - pixels[..., 0], pixels[..., 1]], -1)[:, mirror]
        wanted = (wanted + refiner(lifter.lift(given, None, size))[:, mirror] * turn) / 2
    torch.testing.assert_close(both.lift(pixels, None, size, flip_test=flip_test), wanted)
    assert both.skeleton == H36M17
    assert both.settings == lifter.settings
    with pytest.raises(CheckpointError, match="trained on input normalised by 'screen'"):
        both.require_normalisation("box")


def test_a_refined_lifter_is_scored_as_a_lifter(tiny_store) -> None:
    torch.manual_seed(0)
    lifter = LifterModel(LifterSettings(hidden=8, blocks=1)).eval()
    tests = open_test_set(tiny_store, H36M17, PairSettings(), poses=8)
    same = evaluate_lifters({"a": lifter, "b": Refined(lifter, RefinerModel(SMALL).eval())}, tests)
    a, b = (same[same["checkpoint"] == name]["mpjpe"].to_numpy() for name in "ab")
    np.testing.assert_allclose(a, b, rtol=1e-4)
    other = evaluate_lifters({"c": Refined(lifter, randomised())}, tests)
    assert not np.allclose(other["mpjpe"], a, rtol=1e-3)


def test_a_refiner_that_does_not_fit_is_refused() -> None:
    refiner = RefinerModel(SMALL)
    with pytest.raises(InputError, match="the lifter gives H36M16 and the refiner takes H36M17"):
        Refined(LifterModel(LifterSettings(hidden=8, blocks=1, skeleton=H36M16)), refiner)
    with pytest.raises(InputError, match="put the refiner on a lifter of target xyz"):
        Refined(LifterModel(LifterSettings(hidden=8, blocks=1, target="z")), refiner)


def test_saved_and_loaded_refiners_agree(tmp_path) -> None:
    model, path = randomised(RefinerSettings(H36M16, 6, 2, 4, 0.2)), tmp_path / "a.safetensors"
    save_refiner(path, model, {})
    again = load_refiner(path)
    assert again.settings == model.settings
    assert not again.training
    assert torch.equal(again(poses(joints=16)), model(poses(joints=16)))
    assert RefinerSettings.from_dict(json.loads(json.dumps(SMALL.to_dict()))) == SMALL


def test_damaged_refiners_are_refused(tmp_path) -> None:
    model, path = randomised(), tmp_path / "a.safetensors"
    tensors, settings = dict(model.state_dict()), model.settings.to_dict()
    fewer = {name: tensor for name, tensor in tensors.items() if name != "network.layers.0.0.bias"}
    for given, values, message in (
        (fewer, settings, r"tensor 'network.layers.0.0.bias' is missing.*train the refiner again"),
        (tensors, {"a": 1}, "settings of a refiner must be code, dropout, hidden, layers, skeleton"),
        (tensors, settings | {"code": "x"}, "code cannot be 'x'"),
        (tensors, settings | {"skeleton": "H36M17"}, "skeleton must be an object"),
        (tensors, settings | {"code": 0}, "hidden and code must be at least 1"),
    ):
        save_checkpoint(path, Checkpoint("refiner", given, values, {}), overwrite=True)
        with pytest.raises(CheckpointError, match=message):
            load_refiner(path)
