from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from evolift.lifter.calibration import calibrate, reliability_figure
from evolift.lifter.evaluation import TestSet, evaluate_lifters, expected_and_error, open_test_set
from evolift.lifter.reliability import calibration_error, reliability
from evolift.posedata.errors import InputError
from evolift.posedata.skeleton import H36M17
from tests.settled_networks import settled_lifter

ROOT, NOSE, KNEE = H36M17.root, H36M17.index("nose"), H36M17.index("left_knee")


def test_the_factor_is_the_mean_ratio_of_each_joint(
    monkeypatch: pytest.MonkeyPatch, tiny_store: Path
) -> None:
    generator = torch.Generator().manual_seed(0)
    said = 20 + 50 * torch.rand(1000, 17, generator=generator)
    ratio = -torch.rand(1000, 17, 3, generator=generator).log().sum(-1) / 3
    ratio = ratio / ratio.mean(0)
    factor = torch.linspace(0.5, 3, 17)
    error = said * ratio * factor
    error[:, ROOT], error[50:, NOSE] = torch.nan, torch.nan
    monkeypatch.setattr("evolift.lifter.calibration.expected_and_error", lambda *_: (said, error))
    model = settled_lifter(normalisation="box", uncertainty=True)
    model.sigma_factor.fill_(7.0)  # of a calibration before
    result = calibrate(model, open_test_set(tiny_store, H36M17))
    known = [joint for joint in range(17) if joint not in (ROOT, NOSE)]
    torch.testing.assert_close(model.sigma_factor[known], factor[known])
    assert model.sigma_factor[ROOT] == 0
    table = result.table.set_index("name")
    assert "pelvis" not in table.index
    assert table.loc["nose", "factor"] == table.loc["all", "factor"]  # labelled too seldom
    assert table.loc["nose", "labelled"] == 50
    assert table.loc["all", "labelled"] == 15 * 1000 + 50
    assert table.loc["left_knee", "expected"] == pytest.approx(
        table.loc["left_knee", "expected_before"] * factor[KNEE].item()
    )
    assert table.loc["left_knee", "error"] == pytest.approx(table.loc["left_knee", "expected"], rel=0.1)
    before, after = result.errors
    assert after < 5 < before
    assert reliability_figure(result).shape[2] == 3


def test_a_calibrated_lifter_is_off_by_what_it_says_and_its_joints_stay(tiny_store: Path) -> None:
    model, tests = settled_lifter(uncertainty=True), open_test_set(tiny_store, H36M17)
    joints = model.lift(tests.pairs.pixels, None, tests.pairs.cameras.size)
    calibrate(model, tests)
    once = model.sigma_factor.clone()
    assert torch.equal(model.lift(tests.pairs.pixels, None, tests.pairs.cameras.size), joints)
    said, error = expected_and_error(model, tests)
    assert said[:, ROOT].isnan().all()
    assert error[:, ROOT].isnan().all()
    others = [joint for joint in range(17) if joint != ROOT]
    torch.testing.assert_close((error / said)[:, others].mean(0), torch.ones(16), rtol=1e-4, atol=1e-4)
    calibrate(model, tests)
    torch.testing.assert_close(model.sigma_factor, once)


def test_scores_tell_how_good_sigma_is_of_lifters_that_have_one(
    tiny_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tests = open_test_set(tiny_store, H36M17)
    model = settled_lifter(uncertainty=True)
    scores = evaluate_lifters({"sure": model, "silent": settled_lifter()}, tests)
    said, error = (values[values.isfinite()].double().numpy() for values in expected_and_error(model, tests))
    overall = scores[scores["name"] == "overall"].set_index("checkpoint")
    assert overall.loc["sure", "error_over_expected"] == pytest.approx(error.mean() / said.mean())
    assert overall.loc["sure", "calibration_error"] == pytest.approx(
        calibration_error(reliability(said, error))
    )
    assert np.isnan(overall.loc["silent", "calibration_error"])
    assert "calibration_error" not in evaluate_lifters({"silent": settled_lifter()}, tests)


def test_depth_alone_is_scored_by_its_own_error(tiny_store: Path) -> None:
    tests = open_test_set(tiny_store, H36M17)
    model = settled_lifter(target="z", input_axes=3, uncertainty=True)
    given = torch.cat([tests.pairs.pixels, tests.truth[..., 2:]], -1)
    lifted = model.lift_with_sigma(given, None, tests.pairs.cameras.size)
    assert isinstance(lifted.sigma, Tensor)
    said, error = expected_and_error(model, tests)
    torch.testing.assert_close(
        error[:, KNEE], (lifted.joints[:, KNEE, 0] - tests.truth[:, KNEE, 2]).abs(), rtol=1e-4, atol=0.02
    )
    torch.testing.assert_close(said[:, KNEE], lifted.sigma[:, KNEE] / 2**0.5, rtol=1e-4, atol=0.02)


def test_the_curve_is_of_equally_large_groups() -> None:
    expected = np.arange(100.0)[::-1]
    curve = reliability(expected, 2 * expected)
    assert curve["count"].tolist() == [10] * 10
    assert curve["expected"].tolist() == [4.5 + 10 * group for group in range(10)]
    assert curve["error"].tolist() == [9.0 + 20 * group for group in range(10)]
    assert calibration_error(curve) == 49.5
    assert len(reliability(np.ones(3), np.ones(3))) == 3


def test_what_cannot_be_calibrated_is_refused(tiny_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tests: TestSet = open_test_set(tiny_store, H36M17)
    with pytest.raises(InputError) as silent:
        calibrate(settled_lifter(), tests)
    assert str(silent.value) == (
        "this lifter does not say how sure it is of a joint: train one with `loss` nll, and calibrate that"
    )
    monkeypatch.setattr("evolift.lifter.calibration.MIN_LABELS", 10_000)
    with pytest.raises(InputError) as few:
        calibrate(settled_lifter(uncertainty=True), tests)
    assert str(few.value) == (
        "sigma cannot be calibrated on 4096 labelled joints: give a store with 10000 or more"
    )
