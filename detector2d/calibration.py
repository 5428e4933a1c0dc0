r"""Confidence that means something: the probability that a joint lies within 0.2 torso diameters of its label.

How sharp a heatmap is tells how sure a network is, not how often it is right. After training, a logistic regression (Platt 1999)
on labelled images makes the one of the other, for each joint,

.. math:: P(\text{correct}) = \sigma(a_j \, \text{logit}(c_j) + b_j + d_j \log s),

with s the diagonal of the person's joints in sides of the crop: a heatmap as sharp in a crop where the person is small says less.
The three numbers are kept with the weights. Joints that the images label too seldom get those of all joints together.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, UInt8
from scipy.optimize import minimize
from torch import Tensor

from evolift.detector2d.crop import crop_to_image
from evolift.detector2d.evaluation_settings import DetectorEvaluationSettings
from evolift.detector2d.image_source import read_source
from evolift.detector2d.model import DetectorModel, log_extent, logit_of_confidence
from evolift.detector2d.samples import batches_in_order, crop_settings
from evolift.drawing.charts import plot_reliability
from evolift.drawing.pose_figure import figure_image, new_figure
from evolift.posedata.errors import InputError
from evolift.posedata.input_file import FilePath, as_path
from evolift.posedata.keypoint_metrics import correct_keypoints, torso_diameter
from evolift.posedata.progress import Progress, no_progress
from evolift.training.trainer import Batch

MIN_LABELS = 100
"""Looks at labelled joints, of which some are found and some are not, below which a joint takes the regression of all."""
PADDINGS = (0.8, 1.0, 1.35, 1.8)
"""Crops that each person is looked at in, in those of the training."""
PRIOR = 1e-3
BINS = 10


@dataclass(frozen=True, eq=False)
class Calibration:
    """What `calibrate` found.

    Args:
        table: a row per joint and one for all: `name`, `labelled` (looks at labelled joints), `correct` (part of these), and the
            regression's `slope`, `offset` and `extent`.
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


def calibrate(
    model: DetectorModel,
    store: FilePath,
    settings: DetectorEvaluationSettings = DetectorEvaluationSettings(),
    *,
    progress: Progress = no_progress,
) -> Calibration:
    """Fit the confidence of a detector to labelled images, in place.

    Each person is looked at in crops of several sizes, as a search for people does.

    Args:
        model: put into evaluation mode; its confidence need not have been calibrated before.
        store: path; best of images that it did not learn from.
        settings: boxes, size of batches and workers.
        progress: counts crops.

    Raises:
        InputError: the head has no confidence, the store has no images or one cannot be read, or too few joints are labelled, or all
            or none of them are found.
        StoreError: the store is damaged.
    """
    if model.settings.head == "regression":
        raise InputError("the regression head has no confidence that could be calibrated")
    model.eval()
    model.confidence_slope.fill_(1.0)
    model.confidence_offset.zero_()
    model.confidence_extent.zero_()
    skeleton = model.settings.skeleton
    source = read_source(as_path(store, "store"), skeleton, settings.boxes)
    parts = []
    for share in PADDINGS:
        crops = replace(crop_settings(model.settings, model.scaling), padding=share * model.settings.padding)
        loader = batches_in_order([source], crops, settings.batch_size, settings.num_workers)
        for batch in loader:
            parts.append(_looked_at(model, batch))
            progress(len(parts[-1][0]))
    logits, extents, correct = (torch.cat(part) for part in zip(*parts, strict=True))
    return _calibration(model, logits, extents, correct)


@torch.no_grad()
def _looked_at(model: DetectorModel, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Logits of the confidence, logarithms of extents, and 1 for each joint that is found, of a batch; NaN where there is no label."""
    skeleton = model.settings.skeleton
    output = model(batch["image"].to(model.image_mean.device))
    pixels = crop_to_image(output.joints.cpu(), batch["image_from_crop"], model.settings.size)
    torso = torso_diameter(batch["joints_2d"], batch["visibility"], skeleton)
    correct = correct_keypoints(pixels, batch["joints_2d"], batch["visibility"], torso)
    extent = log_extent(output.joints)[:, None].expand(output.confidence.shape)
    return logit_of_confidence(output.confidence).double().cpu(), extent.double().cpu(), correct.double()


def _calibration(
    model: DetectorModel,
    logits: Float[Tensor, "crops joints"],
    extents: Float[Tensor, "crops joints"],
    correct: Float[Tensor, "crops joints"],
) -> Calibration:
    """The regressions, put into the model."""
    known = correct.isfinite()
    if int(known.sum()) < MIN_LABELS or not 0 < float(correct[known].mean()) < 1:
        raise InputError(
            f"confidence cannot be calibrated on {int(known.sum())} looks at labelled joints of which {float(correct.nansum()):.0f} are found: give a store with {MIN_LABELS} or more, some found and some not"
        )
    features = torch.stack([logits, torch.ones_like(logits), extents], -1).numpy()
    whole = _regression(features[known], correct[known].numpy(), np.array([1.0, 0.0, 0.0]))
    fits, rows = [], []
    for number, name in enumerate(model.settings.skeleton.joints):
        its = known[:, number]
        right = float(correct[its, number].mean()) if bool(its.any()) else float("nan")
        is_enough = int(its.sum()) >= MIN_LABELS and 0 < right < 1
        fit = _regression(features[its, number], correct[its, number].numpy(), whole) if is_enough else whole
        fits.append(fit)
        rows.append((name, int(its.sum()), right, *fit))
    rows.append(("overall", int(known.sum()), float(correct[known].mean()), *whole))
    table = pd.DataFrame(rows, columns=["name", "labelled", "correct", "slope", "offset", "extent"])
    for buffer, values in zip(
        (model.confidence_slope, model.confidence_offset, model.confidence_extent),
        np.array(fits).T,
        strict=True,
    ):
        buffer.copy_(torch.from_numpy(values))
    sure = 1 / (1 + np.exp(-(features * np.array(fits)).sum(-1)))
    return Calibration(table, sure[known], correct[known].numpy())


def _regression(
    features: Float[np.ndarray, "labelled 3"],
    correct: Float[np.ndarray, "labelled"],
    prior: Float[np.ndarray, "3"],
) -> Float[np.ndarray, "3"]:
    """Weights of the logistic regression; that of the confidence is at least 0.01, so that order is kept."""

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        z = features @ weights
        # A weak prior keeps joints that are found without a miss from infinite slopes.
        away = weights - prior
        gradient = ((1 / (1 + np.exp(-z)) - correct)[:, None] * features).mean(0) + 2 * PRIOR * away
        return float((np.logaddexp(0, z) - correct * z).mean() + PRIOR * away @ away), gradient

    fit = minimize(loss, prior, jac=True, method="L-BFGS-B", bounds=[(0.01, 100), (-100, 100), (-100, 100)])
    weights: np.ndarray = fit.x
    return weights


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
