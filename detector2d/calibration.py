r"""Confidence that means something: the probability that a joint lies within 0.2 torso diameters of its label.

How sharp a heatmap is tells how sure a network is, not how often it is right. After training, a logistic regression (Platt 1999)
on labelled images makes the one of the other, for each joint,

.. math:: P(\text{correct}) = \sigma(a_j \, \text{logit}(c_j) + b_j),

and its slope and offset are kept with the weights. Joints that the images label too seldom get those of all joints together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, UInt8
from scipy.optimize import minimize
from torch import Tensor

from evolift.detector2d.evaluation import Detections
from evolift.detector2d.model import DetectorModel, logit_of_confidence
from evolift.drawing.charts import plot_reliability
from evolift.drawing.pose_figure import figure_image, new_figure
from evolift.posedata.errors import InputError
from evolift.posedata.keypoint_metrics import correct_keypoints, torso_diameter

MIN_LABELS = 100
"""Labelled joints, of which some are found and some are not, below which a joint takes the regression of all."""
BINS = 10


@dataclass(frozen=True, eq=False)
class Calibration:
    """What `calibrate` found.

    Args:
        table: a row per joint and one for all: `name`, `labelled`, `correct` (part of the labelled), `slope`, `offset`.
        confidence: of labelled joints after calibration.
        correct: 1 where one lies within 0.2 torso diameters of its label, else 0.
    """

    table: pd.DataFrame
    confidence: Float[np.ndarray, "labelled"]
    correct: Float[np.ndarray, "labelled"]

    @property
    def error(self) -> float:
        """Expected calibration error: mean distance of confidence from the part that is correct, over ten equal ranges of it."""
        curve = reliability(self.confidence, self.correct)
        return float(
            (curve["count"] * (curve["confidence"] - curve["correct"]).abs()).sum() / curve["count"].sum()
        )


def calibrate(model: DetectorModel, found: Detections) -> Calibration:
    """Fit the confidence of a detector to labelled images, in place.

    Args:
        model: that made the detections; its confidence need not have been calibrated before.
        found: from `evaluation.evaluate_detector`, best of images that it did not learn from.

    Raises:
        InputError: the head has no confidence, or too few joints are labelled, or all or none of them are found.
    """
    if model.settings.head == "regression":
        raise InputError("the regression head has no confidence that could be calibrated")
    skeleton = model.settings.skeleton
    torso = torso_diameter(found.truth, found.visibility, skeleton)
    correct = correct_keypoints(found.joints, found.truth, found.visibility, torso).double()
    # Of the heatmap alone: what an earlier calibration made of it is taken back.
    raw = (logit_of_confidence(found.confidence.double()) - model.confidence_offset.double().cpu()) / (
        model.confidence_slope.double().cpu()
    )
    known = correct.isfinite()
    if int(known.sum()) < MIN_LABELS or not 0 < float(correct[known].mean()) < 1:
        raise InputError(
            f"confidence cannot be calibrated on {int(known.sum())} labelled joints of which {float(correct.nansum()):.0f} are found: give a store with {MIN_LABELS} or more, some found and some not"
        )
    everywhere = _regression(raw[known], correct[known])
    slopes, offsets, rows = [], [], []
    for number, name in enumerate(skeleton.joints):
        its = known[:, number]
        right = float(correct[its, number].mean()) if bool(its.any()) else float("nan")
        is_enough = int(its.sum()) >= MIN_LABELS and 0 < right < 1
        slope, offset = _regression(raw[its, number], correct[its, number]) if is_enough else everywhere
        slopes.append(slope)
        offsets.append(offset)
        rows.append((name, int(its.sum()), right, slope, offset))
    model.confidence_slope.copy_(torch.tensor(slopes))
    model.confidence_offset.copy_(torch.tensor(offsets))
    rows.append(("overall", int(known.sum()), float(correct[known].mean()), *everywhere))
    table = pd.DataFrame(rows, columns=["name", "labelled", "correct", "slope", "offset"])
    sure = (raw * torch.tensor(slopes) + torch.tensor(offsets)).sigmoid()
    return Calibration(table, sure[known].numpy(), correct[known].numpy())


def _regression(logits: Float[Tensor, "labelled"], correct: Float[Tensor, "labelled"]) -> tuple[float, float]:
    """Slope and offset of the logistic regression; the slope is at least 0.01, so that order is kept."""
    x, y = logits.numpy(), correct.numpy()

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        z = values[0] * x + values[1]
        # A weak prior keeps joints that are found without a miss from infinite slopes.
        prior = 1e-3 * (values[0] - 1) ** 2
        away = 1 / (1 + np.exp(-z)) - y
        gradient = np.array([(away * x).mean() + 2e-3 * (values[0] - 1), away.mean()])
        return float((np.logaddexp(0, z) - y * z).mean() + prior), gradient

    fit = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(0.01, 100), (-100, 100)])
    return float(fit.x[0]), float(fit.x[1])


def reliability(
    confidence: Float[np.ndarray, "labelled"], correct: Float[np.ndarray, "labelled"]
) -> pd.DataFrame:
    """Mean confidence and part that is correct in each of ten equal ranges of confidence that hold any joints.

    Returns:
        Columns `confidence`, `correct`, `count`.
    """
    bins = np.clip((confidence * BINS).astype(int), 0, BINS - 1)
    values = pd.DataFrame({"confidence": confidence, "correct": correct, "bin": bins})
    groups = values.groupby("bin")
    return groups.mean().assign(count=groups.size()).reset_index(drop=True)


def reliability_figure(calibration: Calibration) -> UInt8[np.ndarray, "height width 3"]:
    """The reliability curve: how often joints of each confidence are right, beside how many there are."""
    figure = new_figure(5, 4.5)
    curve = reliability(calibration.confidence, calibration.correct)
    plot_reliability(figure.add_subplot(), curve)
    return figure_image(figure)
