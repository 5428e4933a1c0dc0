"""How good the chain of detector and lifter is on images with 3D joints, and which stage its error comes from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from evolift.chain.model import ChainModel, lens_of
from evolift.detector2d.evaluation import labelled_boxes
from evolift.detector2d.image_source import read_source
from evolift.detector2d.samples import batches_in_order, crop_settings
from evolift.posedata.errors import InputError
from evolift.posedata.input_file import FilePath, as_path
from evolift.posedata.keypoint_metrics import correct_keypoints, torso_diameter
from evolift.posedata.metrics import COLUMNS, score_table
from evolift.posedata.object_keypoint_similarity import average_precisions
from evolift.posedata.progress import Progress, no_progress
from evolift.posedata.store import PoseStore


@dataclass(frozen=True, eq=False)
class ChainPredictions:
    """What a chain says of the rows of a store with images and 3D joints.

    3D joints are root-relative mm in the camera frame; where the lifter gives only depth, x and y are the truth's.

    Args:
        row: of the store.
        truth: labels.
        from_labels: lifted from the labelled 2D joints.
        from_detections: lifted from the detected 2D joints.
        joints_2d, truth_2d: detected and labelled, pixels.
        correct: PCK@0.2 of the torso per joint: 1, 0, or NaN where unlabelled.
        confidence: of the detector.
        visibility: of the labels.
    """

    row: Tensor
    truth: Float[Tensor, "rows joints 3"]
    from_labels: Float[Tensor, "rows joints 3"]
    from_detections: Float[Tensor, "rows joints 3"]
    joints_2d: Float[Tensor, "rows joints 2"]
    truth_2d: Float[Tensor, "rows joints 2"]
    correct: Float[Tensor, "rows joints"]
    confidence: Float[Tensor, "rows joints"]
    visibility: UInt8[Tensor, "rows joints"]


@torch.no_grad()
def predict_chain(
    model: ChainModel,
    store: Path,
    *,
    batch_size: int = 32,
    num_workers: int = 0,
    rows: Int64[np.ndarray, "rows"] | None = None,
    progress: Progress = no_progress,
) -> ChainPredictions:
    """Run a chain over the images of a store.

    Args:
        model: the chain; put into evaluation mode.
        store: with images, 2D and 3D joints.
        batch_size, num_workers: how it is run.
        rows: only these rows with images, counted from 0 in the order of the store; those without 3D joints are left out.
        progress: counts rows.

    Raises:
        InputError: the store has no image with 3D joints.
        StoreError: the store is damaged.
    """
    model.eval()
    source = read_source(store, model.skeleton)
    complete = np.flatnonzero(source.known_3d.any(1))
    if rows is not None:
        complete = complete[np.isin(complete, rows)]
    if not len(complete):
        raise InputError(f"{store}: no image has 3D joints, which the chain is scored on")
    crops = crop_settings(model.detector.settings, model.detector.scaling)
    device = next(model.parameters()).device
    parts: list[list[Tensor]] = []
    for batch in batches_in_order([source.take(complete)], crops, batch_size, num_workers):
        there = {name: values.to(device) for name, values in batch.items()}
        back, size, lens = there["image_from_crop"], there["image_size"], lens_of(there)
        found = model(there["image"], back, size, lens)
        depth = there["joints_3d"][..., 2:].nan_to_num(0.0)
        labelled = model.lift_labels(there["joints_2d"], there["visibility"], back, size, depth, lens)
        truth, truth_2d, visibility = batch["joints_3d"], batch["joints_2d"], batch["visibility"]
        pixels = found.joints_2d.cpu()
        torso = torso_diameter(truth_2d, visibility, model.skeleton)
        correct = correct_keypoints(pixels, truth_2d, visibility, torso)
        lifted = [_with_true_plane(joints.cpu(), truth) for joints in (labelled, found.joints_3d)]
        confidence = found.confidence.cpu()
        parts.append([batch["row"], truth, *lifted, pixels, truth_2d, correct, confidence, visibility])
        progress(len(truth))
    return ChainPredictions(*(torch.cat(column) for column in zip(*parts, strict=True)))


def evaluate_chain(
    model: ChainModel, store: FilePath, *, num_workers: int = 0, progress: Progress = no_progress
) -> pd.DataFrame:
    """Score a chain on the images of a store with 3D joints, stage by stage: what `evolift chain evaluate` prints.

    Args:
        model: put into evaluation mode.
        store: with images, 2D and 3D joints.
        num_workers: processes that make crops; never changes the result.
        progress: counts rows.

    Returns:
        The rows of `chain_table`.

    Raises:
        InputError: the store has no image with 3D joints.
        StoreError: the store is damaged.
    """
    store = as_path(store, "store")
    # As in training: in this layout depthwise convolutions take half the time on a CPU.
    model.detector.to(memory_format=torch.channels_last)
    return chain_table(predict_chain(model, store, num_workers=num_workers, progress=progress), store, model)


def _with_true_plane(prediction: Tensor, truth: Tensor) -> Tensor:
    return torch.cat([truth[..., :2], prediction], -1) if prediction.shape[-1] == 1 else prediction


def chain_table(predictions: ChainPredictions, store: Path, model: ChainModel) -> pd.DataFrame:
    """Scores of the chain, stage by stage, overall.

    Returns:
        Rows "lifter on labelled 2D" and "lifter on detected 2D" with MPJPE, P-MPJPE, N-MPJPE (mm), PCK@150 and AUC,
        the detector's PCK@0.2 of the torso (and, of stores with boxes, COCO's AP, see
        `evolift.posedata.object_keypoint_similarity`; of labels both are 1), and the share of the squared error that is there already with
        labelled 2D: the lifter's own. (Errors of the two stages are taken to be independent, so squares add.) Then what
        the errors are of: `joints_scored`, `root` ("counted": its error of 0 is in the mean), `mean_over` ("poses") and the
        `normalisation` of the lifter's 2D joints.
    """
    with PoseStore(store, validate=False) as opened:
        table = opened.table().iloc[predictions.row.numpy()]
    rows = []
    for name, joints in (
        ("lifter on labelled 2D", predictions.from_labels),
        ("lifter on detected 2D", predictions.from_detections),
    ):
        subject, action = table["subject"].array, table["action"].array
        scores = score_table(joints, predictions.truth, subject, action, model.skeleton)
        overall = scores[scores["name"] == "overall"].iloc[0]
        rows.append({"input": name, "poses": len(table), **{column: overall[column] for column in COLUMNS}})
    result = pd.DataFrame(rows)
    result["pck_2d"] = [1.0, float(predictions.correct.nanmean())]
    box = labelled_boxes(store, predictions.row)
    if box is not None:
        precisions = average_precisions(
            predictions.joints_2d,
            predictions.truth_2d,
            predictions.visibility,
            predictions.confidence,
            box,
            model.skeleton,
        )
        for name, value in precisions.items():
            result[name] = [1.0, value]
    own = float(result["mpjpe"].iloc[0]) ** 2
    whole = float(result["mpjpe"].iloc[1]) ** 2
    result["lifter_share"] = [1.0, min(1.0, own / whole) if whole > 0 else 1.0]
    return result.assign(
        # As `score_table`: a joint that is NaN anywhere is not scored.
        joints_scored=int(predictions.truth.isfinite().all(-1).all(0).sum()),
        root="counted",
        mean_over="poses",
        normalisation=model.lifter.settings.normalisation,
    )
