from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from evolift.lifter.evaluation import evaluate_lifters, open_test_set
from evolift.lifter.model import LifterModel
from evolift.lifter.refiner import DenoisingAutoencoder, Refined, RefinerModel
from evolift.lifter.refiner_training import corrupted, train_refiner
from evolift.lifter.settings import (
    LifterSettings,
    PairSettings,
    PoseNoise,
    RefinerSettings,
    RefinerTrainingSettings,
    Split,
    ViewSettings,
)
from evolift.posedata.errors import CheckpointError, InputError
from evolift.posedata.metrics import mpjpe
from evolift.posedata.output_file import sha256_of
from evolift.posedata.rig_settings import RingRig
from evolift.posedata.seeds import generator_at
from evolift.posedata.skeleton import H36M16, H36M17
from evolift.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint

SMALL = RefinerSettings(hidden=16, code=8, dropout=0.1)
QUICK = RefinerTrainingSettings(
    steps=6,
    validate_every=2,
    seed=3,
    accelerator="cpu",
    devices="1",
    average_decay=0.0,
    progress=False,
    split=Split(validation_subjects=("bob",)),
    views=ViewSettings(batch_size=16, ring=RingRig(rotate_ring=False)),
)


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


def run(store, output, *, refiner=SMALL, resume=False, **training) -> pd.DataFrame:
    settings = QUICK.replaced(**training)
    return train_refiner([store], output, refiner=refiner, training=settings, resume=resume)


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


def test_noise_is_that_asked_for() -> None:
    clean = torch.zeros(20_000, 17, 3) + 100
    noise = PoseNoise(noise=20, depth_noise=50, masked=0.1)
    dirty = corrupted(clean, noise, 0, generator_at(0, 1))
    assert bool((dirty[:, 0] == 0).all())
    masked = (dirty[:, 1:] == 0).all(-1)
    assert float(masked.double().mean()) == pytest.approx(0.1, abs=0.005)
    np.testing.assert_allclose((dirty - clean)[:, 1:][~masked].std(0), [20, 20, 50], rtol=0.02)
    none = PoseNoise(noise=0, depth_noise=0, masked=0)
    assert torch.equal(corrupted(clean, none, 0, generator_at(0, 1))[:, 1:], clean[:, 1:])
    for wrong, message in (
        ({"noise": -1}, "`noise` must be a number of at least 0, not -1"),
        ({"depth_noise": -1}, "`depth_noise` must be a number of at least 0, not -1"),
        ({"masked": 1.0}, "`masked` must be a number of at least 0 and below 1, not 1.0"),
    ):
        with pytest.raises(InputError, match=message):
            PoseNoise(**wrong)


def test_a_refiner_mends_poses_that_it_was_not_shown(tiny_store, tmp_path) -> None:
    noise = PoseNoise(noise=60, depth_noise=120, masked=0.1)
    ring = RingRig(ring_radius=0.0, rotate_ring=False)
    history = run(
        tiny_store,
        tmp_path,
        refiner=RefinerSettings(hidden=64, code=32),
        steps=400,
        validate_every=200,
        seed=0,
        learning_rate=3e-3,
        views=ViewSettings(ring=ring, flip=False),
        pose_noise=noise,
    )
    assert history["mpjpe"].iloc[-1] < 0.85 * history["mpjpe_given"].iloc[-1]
    model = RefinerModel.load(tmp_path / "best.safetensors")
    truth = open_test_set(tiny_store, H36M17, PairSettings(ring=ring), subjects=("bob",)).truth
    dirty = corrupted(truth, noise, 0, generator_at(5, 5))
    with torch.no_grad():
        mended = float(mpjpe(model(dirty), truth).mean())
    assert mended < 0.85 * float(mpjpe(dirty, truth).mean())
    assert math.isclose(mended, history["mpjpe"].min(), rel_tol=0.05)


def test_a_resumed_run_ends_with_the_weights_of_an_undisturbed_one(tiny_store, tmp_path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    # A shorter run stands for one that was stopped: its learning rates must not depend on the steps in all.
    history = run(tiny_store, whole, schedule="published")
    run(tiny_store, cut, steps=4, schedule="published")
    resumed = run(tiny_store, cut, resume=True, schedule="published")
    one, other = (RefinerModel.load(folder / "last.safetensors").state_dict() for folder in (whole, cut))
    assert all(torch.equal(one[name], other[name]) for name in one)
    pd.testing.assert_frame_equal(history, resumed)


def test_a_run_leaves_its_settings_and_checkpoints_that_tell_how_they_were_made(tiny_store, tmp_path) -> None:
    run(tiny_store, tmp_path / "a", steps=2)
    record = load_checkpoint(tmp_path / "a" / "last.safetensors", "refiner").record
    assert record["command"] == "evolift lifter train-refiner"
    assert record["stores"] == {str(tiny_store): sha256_of(tiny_store)}
    settings = json.loads((tmp_path / "a" / "settings.json").read_text())["settings"]
    assert (settings["code"], settings["depth_noise"], settings["rotate_ring"]) == (8, 40.0, False)


def test_losses_on_bones_are_learnt_from_too(tiny_store, tmp_path) -> None:
    with_terms = run(tiny_store, tmp_path / "a", steps=2, bone_weight=1.0, symmetry_weight=1.0)
    without = run(tiny_store, tmp_path / "b", steps=2)
    assert with_terms["loss"].iloc[0] > without["loss"].iloc[0]


def test_there_must_be_something_to_validate_on(tiny_store, tmp_path) -> None:
    with pytest.raises(InputError, match="there is nothing to validate on"):
        run(tiny_store, tmp_path / "a", split=Split(validation_share=0.0))


@pytest.mark.parametrize("flip_test", [False, True])
def test_a_refined_lifter_lifts_and_then_refines(flip_test) -> None:
    torch.manual_seed(0)
    lifter = LifterModel(LifterSettings(hidden=8, blocks=1)).eval()
    refiner, both = randomised(), Refined(lifter, randomised())
    pixels, size = 500 + poses()[..., :2], torch.tensor([[1000.0, 1000.0]])
    wanted = refiner(lifter.lift(pixels, None, size))
    if flip_test:
        mirror, signs = list(H36M17.mirror), torch.tensor([-1.0, 1.0, 1.0])
        given = torch.stack([999 - pixels[..., 0], pixels[..., 1]], -1)[:, mirror]
        wanted = (wanted + refiner(lifter.lift(given, None, size))[:, mirror] * signs) / 2
    torch.testing.assert_close(both.lift(pixels, None, size, flip_test=flip_test), wanted)
    assert both.skeleton == H36M17
    assert both.settings == lifter.settings
    with pytest.raises(CheckpointError, match="trained on input normalised by 'screen'"):
        both.require_normalisation("box")


def test_a_refined_lifter_is_scored_as_a_lifter(tiny_store) -> None:
    torch.manual_seed(0)
    lifter = LifterModel(LifterSettings(hidden=8, blocks=1)).eval()
    tests = open_test_set(tiny_store, H36M17, poses=8)
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
    model, path = (
        randomised(RefinerSettings(skeleton=H36M16, hidden=6, layers=2, code=4, dropout=0.2)),
        tmp_path / "a.safetensors",
    )
    model.save(path)
    again = RefinerModel.load(path)
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
        (tensors, {"a": 1}, "RefinerSettings must have exactly code, dropout, hidden, layers, skeleton"),
        (
            tensors,
            settings | {"code": "x"},
            r"RefinerSettings: `code` must be a whole number of at least 1 and at most 16384, not 'x'",
        ),
        (
            tensors,
            settings | {"skeleton": 3},
            "RefinerSettings: `skeleton` must be a Skeleton, not 3",
        ),
        (
            tensors,
            settings | {"code": 0},
            "`code` must be a whole number of at least 1 and at most 16384, not 0",
        ),
    ):
        save_checkpoint(path, Checkpoint("refiner", given, values, {}), overwrite=True)
        with pytest.raises(CheckpointError, match=message):
            RefinerModel.load(path)
