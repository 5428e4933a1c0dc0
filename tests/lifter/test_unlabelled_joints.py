"""Lifters on stores that lack a joint in 3D: it is masked in training, left out of scores, and predicted all the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from evolift.lifter.architecture import FORMS, Architecture
from evolift.lifter.data.pairs import PairMaker
from evolift.lifter.evaluation import evaluate_lifters, open_test_set, predict
from evolift.lifter.model import LifterModel
from evolift.lifter.settings import LifterSettings, LifterTrainingSettings, PairSettings, Split
from evolift.lifter.training import LifterModule, open_data, train_lifter
from evolift.posedata.poses import Poses
from evolift.posedata.skeleton import H36M17
from evolift.posedata.store import PoseStoreWriter, Provenance
from evolift.training.checkpoint import load_checkpoint

NOSE = H36M17.index("nose")
OTHERS = [joint for joint in range(17) if joint != NOSE]
SMALL = LifterSettings(hidden=16, blocks=1, dropout=0.0)
QUICK = LifterTrainingSettings(
    steps=4,
    validate_every=2,
    seed=3,
    accelerator="cpu",
    devices="1",
    progress=False,
    split=Split(validation_subjects=("bob",)),
    pairs=PairSettings(batch_size=16, noise=1.0),
)


@pytest.fixture(scope="module")
def noseless_store(make_poses: Callable[..., Poses], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The poses of `tiny_store` without their noses."""
    poses = make_poses(64)
    assert poses.joints_3d is not None
    poses.joints_3d[:, NOSE] = np.nan
    path = tmp_path_factory.mktemp("noseless") / "noseless.h5"
    with PoseStoreWriter(path, H36M17, "world", Provenance("test"), unlabelled=("nose",)) as writer:
        writer.append(poses)
    return path


def plain_loss(
    prediction: np.ndarray, target: np.ndarray, loss: str, bone_weight: float
) -> tuple[float, np.ndarray]:
    """Joint by joint, in metres, with its gradient by the prediction in mm."""
    total, bones = 0.0, 0.0
    gradient = np.zeros_like(prediction)
    batch, joints, axes = prediction.shape
    for row in range(batch):
        for joint in range(joints):
            for axis in range(axes):
                difference = (prediction[row, joint, axis] - target[row, joint, axis]) / 1000
                if np.isnan(difference):
                    continue
                total += difference**2 if loss == "mse" else abs(difference)
                slope = 2 * difference if loss == "mse" else np.sign(difference)
                gradient[row, joint, axis] += slope / 1000 / prediction.size
        for parent, child in H36M17.bones:
            for axis in range(axes):
                one, other = (prediction[row, end, axis] - target[row, end, axis] for end in (parent, child))
                if np.isnan(one) or np.isnan(other):
                    continue
                bones += abs(one - other) / 1000
                for end, sign in ((parent, 1), (child, -1)):
                    gradient[row, end, axis] += bone_weight * sign * np.sign(one - other) / 1000 / batch
    return total / prediction.size + bone_weight * bones / batch, gradient


@pytest.mark.parametrize("bone_weight", [0.0, 0.5])
@pytest.mark.parametrize("loss", ["mse", "l1"])
def test_loss_and_gradient_are_those_of_a_loop_over_the_labelled_joints(
    loss: str, bone_weight: float
) -> None:
    generator = torch.Generator().manual_seed(0)
    prediction, target = (
        200 * torch.randn(4, 17, 3, generator=generator, dtype=torch.float64) for _ in range(2)
    )
    target[1:3, NOSE] = torch.nan
    target[2, 5] = torch.nan
    prediction.requires_grad_()
    module = LifterModule(LifterModel(SMALL), LifterTrainingSettings(loss=loss, bone_weight=bone_weight), {})
    found = module.loss(prediction, target)
    found.backward()
    expected, gradient = plain_loss(prediction.detach().numpy(), target.numpy(), loss, bone_weight)
    assert found.item() == pytest.approx(expected, rel=1e-9)
    assert prediction.grad is not None
    np.testing.assert_allclose(prediction.grad, gradient, atol=1e-12)
    assert (prediction.grad[1:3, NOSE] == 0).all()
    assert (prediction.grad[0, NOSE] != 0).all()


def test_the_loss_does_not_depend_on_the_answer_for_an_unlabelled_joint() -> None:
    generator = torch.Generator().manual_seed(1)
    prediction, target = (200 * torch.randn(4, 17, 3, generator=generator) for _ in range(2))
    target[:, NOSE] = torch.nan
    moved = prediction.clone()
    moved[:, NOSE] += 1e4
    module = LifterModule(LifterModel(SMALL), LifterTrainingSettings(bone_weight=0.5), {})
    assert torch.equal(module.loss(prediction, target), module.loss(moved, target))


@pytest.mark.parametrize("lifter", [SMALL, SMALL.replaced(input_axes=3), SMALL.replaced(target="z")])
def test_batches_mask_the_joint_where_its_store_lacks_it(
    tiny_store: Path, noseless_store: Path, lifter: LifterSettings
) -> None:
    settings = QUICK.replaced(split=Split(validation_share=0.0))
    mixture = open_data([tiny_store, noseless_store], H36M17, settings).mixture
    batch = PairMaker(mixture, settings.pairs.replaced(batch_size=64), lifter, seed=0)(0, 0, 1)
    lacking = batch["target"][:, NOSE].isnan().all(-1)
    assert 10 < int(lacking.sum()) < 54
    assert batch["inputs"].isfinite().all()
    assert batch["target"][:, OTHERS].isfinite().all()
    assert batch["target"][~lacking].isfinite().all()
    assert (batch["inputs"][lacking, NOSE, :2] == 0).all()  # as every unlabelled joint's
    assert (batch["inputs"][~lacking, NOSE, :2] != 0).any(-1).all()


@pytest.mark.parametrize(
    ("architecture", "bone_weight"), [("semgcn", 0.0), *((architecture, 0.1) for architecture in FORMS)]
)
def test_a_lifter_trained_on_a_mixture_is_finite_scored_without_it_and_predicts_it(
    tiny_store: Path, noseless_store: Path, tmp_path: Path, architecture: Architecture, bone_weight: float
) -> None:
    history = train_lifter(
        [tiny_store, noseless_store],
        tmp_path / "run",
        lifter=LifterSettings(hidden=16, blocks=1, dropout=0.0, architecture=architecture),
        training=QUICK.replaced(bone_weight=bone_weight),
    )
    assert np.isfinite(history[["loss", "mpjpe"]].to_numpy()).all()
    path = tmp_path / "run" / "last.safetensors"
    assert all(value.isfinite().all() for value in load_checkpoint(path, "lifter").tensors.values())
    model = LifterModel.load(path)
    tests = {store: open_test_set(store, H36M17) for store in (tiny_store, noseless_store)}
    tables = {}
    for store, test_set in tests.items():
        prediction = predict(model, test_set)
        assert prediction.shape == (len(test_set.pairs), 17, 3)
        assert prediction.isfinite().all()
        tables[store] = evaluate_lifters({"lifter": model}, test_set)
    # Both show the same people by the same cameras, so scores are those of the other joints.
    with_nose, without = (tables[store].set_index("name") for store in (tiny_store, noseless_store))
    assert np.isfinite(with_nose.loc["nose", "mpjpe"])
    assert np.isnan(without.loc["nose", "mpjpe"])
    np.testing.assert_allclose(
        without.loc[[H36M17.joints[joint] for joint in OTHERS], "mpjpe"],
        with_nose.loc[[H36M17.joints[joint] for joint in OTHERS], "mpjpe"],
        rtol=0.5,
    )
    assert set(without["joints_scored"]) == {16}
    assert set(with_nose["joints_scored"]) == {17}
    noseless = tests[noseless_store]
    errors = (predict(model, noseless) - noseless.truth)[:, OTHERS].norm(dim=-1)
    assert without.loc["overall", "mpjpe"] == pytest.approx(float(errors.mean()), rel=1e-5)


@pytest.mark.parametrize("changes", [{"target": "z"}, {"input_axes": 3}])
def test_lifters_of_depth_and_from_depth_are_scored_without_it(
    noseless_store: Path, changes: dict[str, object]
) -> None:
    torch.manual_seed(0)
    model = LifterModel(SMALL.replaced(**changes)).eval()
    tests = open_test_set(noseless_store, H36M17, poses=8)
    prediction = predict(model, tests)
    assert prediction[:, OTHERS].isfinite().all()
    assert prediction[:, NOSE, 2].isfinite().all()
    table = evaluate_lifters({"lifter": model}, tests).set_index("name")
    errors = (prediction - tests.truth)[:, OTHERS].norm(dim=-1)
    assert table.loc["overall", "mpjpe"] == pytest.approx(float(errors.mean()), rel=1e-5)


def test_a_depth_lifter_trains_and_validates_without_it(
    tiny_store: Path, noseless_store: Path, tmp_path: Path
) -> None:
    lifter = SMALL.replaced(target="z")
    history = train_lifter(
        [tiny_store, noseless_store], tmp_path / "run", lifter=lifter, training=QUICK.replaced(steps=2)
    )
    assert np.isfinite(history[["loss", "mpjpe"]].to_numpy()).all()


def test_a_lifter_that_says_how_sure_it_is_learns_from_poses_without_some_joints(
    tiny_store: Path, noseless_store: Path, tmp_path: Path
) -> None:
    history = train_lifter(
        [tiny_store, noseless_store], tmp_path / "run", lifter=SMALL, training=QUICK.replaced(loss="nll")
    )
    assert np.isfinite(history[["loss", "mpjpe"]].to_numpy()).all()
