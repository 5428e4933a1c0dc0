"""Predictions as a pose store, so that whatever reads stores reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float32

from evolift.posedata.errors import OutputError
from evolift.posedata.joint_mapping import HIDDEN, UNLABELLED, VISIBLE, VISIBLE_CONFIDENCE
from evolift.posedata.poses import Poses, labelled
from evolift.posedata.predictions.levelled_poses import PARAMETER, PLACED, RELATIVE
from evolift.posedata.predictions.predictions import Predictions
from evolift.posedata.store import PoseStoreWriter, Provenance


def write_prediction_store(path: Path, predictions: Predictions, *, overwrite: bool = False) -> None:
    """Write a pose store: subjects are people, actions images or videos, joints in the frame of the camera.

    Where the root joint's place is known of every person, joints are in their cameras' frames; otherwise all are relative
    to the root joint, and the parameter `joints_3d` of the provenance says so. Evolution, checks of limits and training of
    lifters take such a store and stand its poses up (`evolift.posedata.predictions.levelled_poses`). Stores are of data: neither confidence
    nor sigma of the predictions is in them.

    Args:
        path: of the store.
        predictions: at least one, with all 3D joints known.
        overwrite: replace an existing file.

    Raises:
        OutputError: a 3D joint is not known, which stores do not allow; or the file exists, or cannot be written.
    """
    unknown = ~np.isfinite(predictions.joints_3d).all((1, 2))
    if unknown.any():
        row = int(unknown.argmax())
        raise OutputError(
            f"{path}: person {predictions.person[row]!r} of {predictions.image[row]} lacks 3D joints, which a pose store cannot hold: write another format"
        )
    is_placed = bool(np.isfinite(predictions.root_3d).all())
    joints: Float32[np.ndarray, "rows joints 3"] = predictions.joints_3d
    if is_placed:
        joints = joints + predictions.root_3d[:, None]
    is_known = np.isfinite(predictions.joints_2d).all(-1)
    visibility = np.where(predictions.confidence >= VISIBLE_CONFIDENCE, VISIBLE, HIDDEN)
    visibility = np.where(is_known, visibility, UNLABELLED).astype(np.uint8)
    provenance = Provenance(
        str(predictions.provenance.get("command", "evolift predict")),
        {
            PARAMETER: PLACED if is_placed else RELATIVE,
            "camera_assumption": predictions.camera_assumption,
            "predictions": dict(predictions.provenance),
        },
    )
    poses = Poses(
        _labels(predictions.person),
        _labels(predictions.image),
        predictions.frame,
        joints,
        np.where(is_known[..., None], predictions.joints_2d, 0).astype(np.float32),
        visibility,
        predictions.camera if predictions.cameras else None,
        box=predictions.box if np.isfinite(predictions.box).all() else None,
    )
    with PoseStoreWriter(
        path,
        predictions.skeleton,
        "camera",
        provenance,
        cameras=predictions.cameras,
        implausible="write",  # what was predicted; those who take it for data are told
        overwrite=overwrite,
    ) as writer:
        writer.append(poses)


def _labels(names: tuple[str, ...]) -> pd.Categorical:
    different = list(dict.fromkeys(names))
    place = {name: number for number, name in enumerate(different)}
    return labelled(np.array([place[name] for name in names], np.int32), different)
