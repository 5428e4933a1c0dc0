r"""Sigma that means something: joints are off by what a lifter says, and not by what it said of the poses that it learnt from.

A network is surer of what it has seen than of what is new. After training, one factor per joint, the one of greatest likelihood on
labelled poses,

.. math:: c_j = \overline{d / (k b_j)},

with the distance d from the label and the names of `evolift.lifter.joint_uncertainty`, multiplies sigma. It is kept with the weights;
the joints stay what they are. Joints that the store labels too seldom get the factor of all joints together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, UInt8

from evolift.drawing.charts import plot_error_reliability
from evolift.drawing.pose_figure import figure_image, new_figure
from evolift.lifter.evaluation import TestSet, expected_and_error
from evolift.lifter.model import LifterModel
from evolift.lifter.reliability import calibration_error, reliability
from evolift.posedata.errors import InputError

MIN_LABELS = 100
"""Labels below which a joint takes the factor of all."""


@dataclass(frozen=True, eq=False)
class SigmaCalibration:
    """What `calibrate` found.

    Args:
        table: a row per joint and one for all: `name`, `labelled`, and in mm the mean `error`, what sigma said of it before
            (`expected_before`) and says now (`expected`); and the `factor` between.
        error: of labelled joints, mm; the root is none of them.
        before, after: what sigma said and says of these.
    """

    table: pd.DataFrame
    error: Float[np.ndarray, "labelled"]
    before: Float[np.ndarray, "labelled"]
    after: Float[np.ndarray, "labelled"]

    @property
    def errors(self) -> tuple[float, float]:
        """Expected calibration error before and after, mm; see `evolift.lifter.reliability`."""
        before, after = (
            calibration_error(reliability(said, self.error)) for said in (self.before, self.after)
        )
        return before, after


def calibrate(model: LifterModel, tests: TestSet) -> SigmaCalibration:
    """Fit the sigma of a lifter to labelled poses, in place.

    Args:
        model: its sigma need not have been calibrated before.
        tests: best of people that it did not learn from, with 2D joints that err as they will.

    Raises:
        InputError: the lifter tells no sigma, is of another skeleton, or too few joints are labelled.
    """
    if not model.settings.uncertainty:
        raise InputError(
            "this lifter does not say how sure it is of a joint: train one with `loss` nll, and calibrate that"
        )
    model.sigma_factor.fill_(1.0)
    model.sigma_factor[model.skeleton.root] = 0.0
    said, error = (values.double() for values in expected_and_error(model, tests))
    known = error.isfinite()
    if int(known.sum()) < MIN_LABELS:
        raise InputError(
            f"sigma cannot be calibrated on {int(known.sum())} labelled joints: give a store with {MIN_LABELS} or more"
        )
    ratio = error / said
    whole = ratio[known].mean()
    is_enough = known.sum(0) >= MIN_LABELS
    factor = torch.where(is_enough, ratio.nanmean(0), whole)
    factor[model.skeleton.root] = 0.0
    model.sigma_factor.copy_(factor)
    now = said * factor
    rows = [
        (
            name,
            int(its.sum()),
            *(float(values[its, joint].mean()) for values in (error, said, now)),
            float(factor[joint]),
        )
        for joint, name in enumerate(model.skeleton.joints)
        if bool((its := known[:, joint]).any())
    ]
    rows.append(
        (
            "all",
            int(known.sum()),
            *(float(values[known].mean()) for values in (error, said, now)),
            float(whole),
        )
    )
    columns = ["name", "labelled", "error", "expected_before", "expected", "factor"]
    table = pd.DataFrame(rows, columns=columns)
    return SigmaCalibration(table, *(values[known].numpy() for values in (error, said, now)))


def reliability_figure(calibration: SigmaCalibration) -> UInt8[np.ndarray, "height width 3"]:
    """The reliability curve before and after: how far joints are off, from those that the lifter is surest of on."""
    figure = new_figure(5, 4.5)
    curves = {
        "before": reliability(calibration.before, calibration.error),
        "calibrated": reliability(calibration.after, calibration.error),
    }
    plot_error_reliability(figure.add_subplot(), curves)
    return figure_image(figure)
