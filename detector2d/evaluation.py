"""Scores of a trained detector on stores with images."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from evolift.detector2d.back_projection import back_projected
from evolift.detector2d.crop import crop_to_image
from evolift.detector2d.evaluation_settings import DetectorEvaluationSettings
from evolift.detector2d.flip_test import detect_crops
from evolift.detector2d.image_source import read_source
from evolift.detector2d.model import DEPTH_RANGE, DetectorModel
from evolift.detector2d.samples import batches_in_order, crop_settings
from evolift.posedata.input_file import FilePath, as_path
from evolift.posedata.keypoint_metrics import correct_keypoints, keypoint_table, torso_diameter
from evolift.posedata.metrics import joint_errors
from evolift.posedata.object_keypoint_similarity import average_precisions
from evolift.posedata.progress import Progress, no_progress
from evolift.posedata.skeleton import Skeleton
from evolift.posedata.store import PoseStore
from evolift.training.trainer import Batch

_HEAD_ENDS = ("upper_neck", "head_top")
AUC_FRACTIONS = tuple(np.linspace(0.01, 0.5, 50).tolist())
"""Parts of the torso over which the area under the PCK curve is the mean."""


@dataclass(frozen=True, eq=False)
class Detections:
    """What a detector found in the rows of a store, beside the labels.

    Args:
        row: in the store.
        joints, truth: pixels of the images.
        confidence: of the detector.
        visibility: of the labels.
        depth: root-relative mm; None from a 2D detector.
        joints_3d: labels, root-relative mm in the camera frame.
        has_3d: which rows have them.
        pose: of a volumetric detector, root-relative mm in the camera frame, see `back_projection`.
        pose_of_size: as `pose`, with the root where the person has the size of an adult instead of where it is labelled.
        has_pose: which rows have both: those with a camera and 3D labels.
    """

    row: Tensor
    joints: Float[Tensor, "rows joints 2"]
    truth: Float[Tensor, "rows joints 2"]
    confidence: Float[Tensor, "rows joints"]
    visibility: UInt8[Tensor, "rows joints"]
    depth: Float[Tensor, "rows joints"] | None
    joints_3d: Float[Tensor, "rows joints 3"]
    has_3d: Tensor
    pose: Float[Tensor, "rows joints 3"] | None = None
    pose_of_size: Float[Tensor, "rows joints 3"] | None = None
    has_pose: Tensor | None = None


@torch.no_grad()
def detect_in_batches(
    model: DetectorModel,
    batches: Iterable[Batch],
    settings: DetectorEvaluationSettings = DetectorEvaluationSettings(),
    *,
    progress: Progress = no_progress,
) -> Detections:
    """Run a detector over batches of crops.

    Args:
        model: put into evaluation mode.
        batches: from `samples.batches_in_order`.
        settings: how it is run; what says how batches are made has no effect here.
        progress: counts rows.

    Raises:
        InputError: `hard` with a head that has no heatmaps.
    """
    layout = torch.channels_last if settings.channels_last else torch.contiguous_format
    model.eval().to(memory_format=layout)
    device = model.image_mean.device
    reduced = torch.autocast(device.type, torch.bfloat16, enabled=settings.precision == "bf16-mixed")
    parts: list[dict[str, Tensor]] = []
    for batch in batches:
        images = batch["image"].to(device).contiguous(memory_format=layout)
        with reduced:
            output = detect_crops(model, images, hard=settings.hard, flip_test=settings.flip_test)
        joints, confidence = output.joints, output.confidence
        part = {name: batch[name] for name in ("row", "visibility", "joints_3d", "has_3d")}
        part["truth"], part["confidence"] = batch["joints_2d"], confidence.cpu()
        part["joints"] = crop_to_image(joints.cpu(), batch["image_from_crop"], model.settings.size)
        if joints.shape[-1] == 3:
            part["depth"] = joints[..., 2].cpu() * DEPTH_RANGE
        parts.append(part)
        progress(len(joints))
    joined = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    return Detections(**{"depth": None, **joined})  # type: ignore[arg-type]  # names are those of the fields


def evaluate_detector(
    model: DetectorModel,
    store: FilePath,
    settings: DetectorEvaluationSettings = DetectorEvaluationSettings(),
    *,
    rows: Int64[np.ndarray, "rows"] | None = None,
    progress: Progress = no_progress,
) -> tuple[pd.DataFrame, Detections]:
    """Score a detector on all images of a store.

    Args:
        model: the detector.
        store: path.
        settings: how it is run.
        rows: only these rows with images, counted from 0 in the order of the store; all if None.
        progress: counts rows.

    Returns:
        `score_detections`' table, and the detections.

    Raises:
        InputError: the store has no images, one cannot be read, or `hard` with a head that has no heatmaps.
        StoreError: the store is damaged.
    """
    store = as_path(store, "store")
    source = read_source(store, model.settings.skeleton, settings.boxes)
    if rows is not None:
        source = source.take(rows)
    crops = crop_settings(model.settings, model.scaling)
    loader = batches_in_order([source], crops, settings.batch_size, settings.num_workers)
    found = detect_in_batches(model, loader, settings, progress=progress)
    return _scored(found, store, model.settings.skeleton)


def _scored(found: Detections, store: Path, skeleton: Skeleton) -> tuple[pd.DataFrame, Detections]:
    if found.depth is not None:
        places = (store, found.row, found.joints, found.depth, skeleton)
        pose, known = back_projected(*places)
        of_size, _ = back_projected(*places, root_from_labels=False)
        found = replace(found, pose=pose, pose_of_size=of_size, has_pose=known & found.has_3d)
    box = labelled_boxes(store, found.row)
    return score_detections(found, skeleton, head_size=_head_size(store, found), box=box), found


def score_detections(
    found: Detections,
    skeleton: Skeleton,
    *,
    head_size: Float[Tensor, "rows"] | None = None,
    box: Float[Tensor, "rows 4"] | None = None,
) -> pd.DataFrame:
    """PCK@0.2 of the torso, PCKh@0.5, AUC and mean distance, per joint and overall, and COCO's AP overall.

    Args:
        found: the detections.
        skeleton: of their joints.
        head_size: of each row in pixels, NaN where unknown; without it there is no PCKh.
        box: of each person (left, top, width, height), pixels; without it there is no AP.

    Returns:
        Columns of `evolift.posedata.keypoint_metrics.keypoint_table`, `auc` (mean PCK over 0.01 to 0.5 torso diameters),
        with boxes `oks_ap`, `oks_ap50` and `oks_ap75` of the row "overall" (`evolift.posedata.object_keypoint_similarity`; NaN
        in the others) and, for a volumetric detector, in mm: `depth_error` (rows with 3D labels); `mpjpe` (rows with cameras too;
        root-relative, with the true depth of the root) and `mpjpe_of_size` (the same with that of a mean adult of the
        found size, see `back_projection`).
    """
    table = keypoint_table(found.joints, found.truth, found.visibility, skeleton, head_size=head_size)
    torso = torso_diameter(found.truth, found.visibility, skeleton)
    curves = torch.stack(
        [correct_keypoints(found.joints, found.truth, found.visibility, torso, f) for f in AUC_FRACTIONS]
    ).mean(0)
    table["auc"] = _with_means(curves)
    if box is not None:
        precisions = average_precisions(
            found.joints, found.truth, found.visibility, found.confidence, box, skeleton
        )
        for name, value in precisions.items():
            table[name] = np.where(table["name"] == "overall", value, np.nan)
    if found.depth is not None:
        known = found.has_3d[:, None] & (found.visibility > 0)
        away = torch.where(known, (found.depth - found.joints_3d[..., 2]).abs(), torch.nan)
        table["depth_error"] = _with_means(away)
    if found.pose is not None and found.has_pose is not None and bool(found.has_pose.any()):
        for name, pose in (("mpjpe", found.pose), ("mpjpe_of_size", found.pose_of_size)):
            if pose is not None:
                errors = joint_errors(pose[found.has_pose], found.joints_3d[found.has_pose])
                table[name] = _with_means(errors)
    return table


def _with_means(values: Float[Tensor, "rows joints"]) -> list[float]:
    """Mean of each joint, of all values, and of the joints' means, as the rows of `keypoint_table`."""
    joints = values.double().nanmean(0)
    return [*joints.tolist(), float(values.double().nanmean()), float(joints.nanmean())]


def labelled_boxes(store: Path, rows: Int64[Tensor, "rows"]) -> Float[Tensor, "rows 4"] | None:
    """Person boxes (left, top, width, height) of rows of a store, pixels; None if it has none."""
    with PoseStore(store, validate=False) as opened:
        if "box" not in opened.columns:
            return None
        box = opened.read(rows.numpy()).box
    return None if box is None else torch.from_numpy(box)


def _head_size(store: Path, found: Detections) -> Float[Tensor, "rows"] | None:
    """Labelled distance from the base of the skull to the top of the head, in stores that have both (MPII's).

    Pose stores keep no head boxes, of whose diagonal MPII takes 0.6, so PCKh compares with others of this kind only.
    """
    with PoseStore(store, validate=False) as opened:
        if not set(_HEAD_ENDS) <= set(opened.skeleton.joints):
            return None
        base, top = (opened.skeleton.index(joint) for joint in _HEAD_ENDS)
        poses = opened.read(found.row.numpy())
    if poses.joints_2d is None or poses.visibility is None:
        return None
    size = np.linalg.norm(poses.joints_2d[:, base] - poses.joints_2d[:, top], axis=-1)
    known = (poses.visibility[:, [base, top]] > 0).all(1)
    return torch.from_numpy(np.where(known, size, np.nan))
