"""From 2D keypoints of any detector to 3D poses, many people at a time.

Joints come over into the lifter's skeleton by the declared mappings (`evolift.posedata.joint_mapping`). A joint that the source
lacks is lifted from the others: its 3D place is the lifter's guess, its 2D place is NaN and its confidence 0. One of little
confidence is lifted from the others too, so that it does not bend them; its 2D place stays. People of whom too little is known are
left out, each with a sentence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int32

from evolift.lifter.joint_uncertainty import LiftedJoints
from evolift.lifter.lifter import Lifter
from evolift.posedata.camera import Camera
from evolift.posedata.errors import InputError
from evolift.posedata.joint_mapping import UNLABELLED
from evolift.posedata.keypoint_formats.keypoints import Keypoints
from evolift.posedata.poses import NO_CAMERA
from evolift.posedata.predictions.predictions import Predictions
from evolift.posedata.progress import Progress, no_progress
from evolift.prediction.cameras.camera_lifting import lift_in_camera
from evolift.prediction.settings import KeypointSettings

MIN_JOINTS = 1 / 3
"""People with a smaller part of the lifter's joints are not lifted."""
MIN_SURE = 1 / 2
"""Of people with a smaller part of their joints above the smallest confidence all joints are used."""
ROWS_AT_ONCE = 4096


@dataclass(frozen=True, eq=False)
class LiftedKeypoints:
    """What `lift_keypoints` gives.

    Args:
        predictions: a row for each person who could be lifted, in the order of the keypoints.
        skipped: a sentence for each other person.
        out_of_sight: how many of these span more than their camera can see.
    """

    predictions: Predictions
    skipped: tuple[str, ...]
    out_of_sight: int = 0


def lift_keypoints(
    lifter: Lifter,
    keypoints: Keypoints,
    source: str,
    *,
    cameras: Sequence[Camera] = (),
    camera: Int32[np.ndarray, "rows"] | None = None,
    camera_assumption: str = "",
    provenance: Mapping[str, Any] | None = None,
    min_joint_confidence: float = KeypointSettings().min_joint_confidence,
    progress: Progress = no_progress,
) -> LiftedKeypoints:
    """Lift people.

    Args:
        lifter: of target `xyz` and two input axes; a folded copy of it is used.
        keypoints: in a skeleton that has a mapping to the lifter's.
        source: their file, for messages, and as image name of rows that have none.
        cameras: with intrinsics that can be trusted.
        camera: index of each row's camera, `NO_CAMERA` (-1) for none; None for none at all. Rows with a camera get
            their place in it, see `evolift.lifter.straight_view`.
        camera_assumption: one sentence on where the cameras come from.
        provenance: of the predictions.
        min_joint_confidence: joints of a lower one are lifted from the others.
        progress: counts people.

    Raises:
        InputError: the lifter takes or gives something else, no mapping is declared, or the lifter needs image sizes
            that are not known.
    """
    require_pose_lifter(lifter)
    if lifter.settings.input_axes != 2:
        raise InputError(
            "this lifter takes the depth of a volumetric detector, which keypoints lack: use another one"
        )
    people = keypoints.to_skeleton(lifter.skeleton)
    camera = np.full(len(people), NO_CAMERA, np.int32) if camera is None else camera
    _require_sizes(lifter, people, source)
    fit, skipped = _fit_rows(people, source)
    used = _without_unsure(people, min_joint_confidence)
    joints, root, sigma = _lifted(lifter.folded(), used, cameras, camera, fit, progress)
    unseen = fit & ~np.isfinite(joints).all((1, 2))
    skipped += [
        f"{_who(people, row, source)} spans more than a camera with these intrinsics can see: give others"
        for row in np.flatnonzero(unseen)
    ]
    rows = np.flatnonzero(fit & ~unseen)
    labelled = people.visibility[rows] != UNLABELLED
    predictions = Predictions(
        skeleton=lifter.skeleton,
        joints_2d=np.where(labelled[..., None], people.joints_2d[rows], np.float32(np.nan)),
        joints_3d=joints[rows],
        confidence=people.confidence[rows],
        image=tuple(people.image[row] or source for row in rows),
        frame=people.frame[rows],
        person=tuple(people.person[row] for row in rows),
        root_3d=root[rows],
        box=people.box[rows],
        camera=camera[rows],
        cameras=tuple(cameras),
        camera_assumption=camera_assumption,
        provenance=provenance or {},
        time=np.full(len(rows), np.nan) if people.time is None else people.time[rows],
        sigma_mm=None if sigma is None else sigma[rows],
    )
    return LiftedKeypoints(predictions, tuple(skipped), int(unseen.sum()))


def require_pose_lifter(lifter: Lifter) -> None:
    """Refuse a lifter whose answer is no 3D pose by itself.

    Raises:
        InputError: it gives depth alone, which needs a calibrated camera to become a pose.
    """
    if lifter.settings.target != "xyz":
        raise InputError("this lifter gives depth alone (target z): predict with a lifter of target xyz")


def _require_sizes(lifter: Lifter, people: Keypoints, source: str) -> None:
    if lifter.settings.normalisation == "screen" and not (people.image_size > 0).all():
        raise InputError(
            f"{source} does not tell the size of its images, which this lifter (normalisation 'screen') needs: give `image_size` WIDTH HEIGHT"
        )


def _fit_rows(people: Keypoints, source: str) -> tuple[Bool[np.ndarray, "rows"], list[str]]:
    """Which rows can be lifted, and a sentence for each of the others."""
    labelled = people.visibility != UNLABELLED
    min_joints = int(np.ceil(MIN_JOINTS * len(people.skeleton)))
    enough = labelled.sum(1) >= min_joints
    low = np.where(labelled[..., None], people.joints_2d, np.inf).min(1)
    high = np.where(labelled[..., None], people.joints_2d, -np.inf).max(1)
    has_extent = (high > low).any(1)
    problems = (
        (
            ~enough,
            f"has fewer than {min_joints} of the {len(people.skeleton)} joints of {people.skeleton.name}",
        ),
        (enough & ~has_extent, "has all joints in one place"),
    )
    skipped = [
        f"{_who(people, row, source)} {problem}, so it is left out"
        for has_problem, problem in problems
        for row in np.flatnonzero(has_problem)
    ]
    return enough & has_extent, skipped


def _without_unsure(people: Keypoints, min_confidence: float) -> Keypoints:
    """People without joints of little confidence, but those of whom too few would be left."""
    labelled = people.visibility != UNLABELLED
    sure = labelled & (people.confidence >= min_confidence)
    is_enough = sure.sum(1, keepdims=True) >= MIN_SURE * labelled.sum(1, keepdims=True)
    visibility = np.where(labelled & ~sure & is_enough, np.uint8(UNLABELLED), people.visibility)
    return replace(people, visibility=visibility)


def _who(people: Keypoints, row: np.intp, source: str) -> str:
    image = f" ({people.image[row]})" if people.image[row] and people.image[row] != source else ""
    return f"{source}: person {people.person[row]} of frame {people.frame[row]}{image}"


def _lifted(
    lifter: Lifter,
    people: Keypoints,
    cameras: Sequence[Camera],
    camera: Int32[np.ndarray, "rows"],
    fit: Bool[np.ndarray, "rows"],
    progress: Progress,
) -> tuple[
    Float32[np.ndarray, "rows joints 3"],
    Float32[np.ndarray, "rows 3"],
    Float32[np.ndarray, "rows joints"] | None,
]:
    """Joints, root and, if the lifter tells it, how sure it is of each joint; NaN of rows that are not fit."""
    joints = np.full((*people.joints_2d.shape[:2], 3), np.nan, np.float32)
    sigma = np.full(joints.shape[:2], np.nan, np.float32)
    root = np.full((len(people), 3), np.nan, np.float32)
    device = next(lifter.parameters()).device
    K = np.array([one.K for one in cameras], np.float64).reshape(-1, 3, 3)
    distortion = np.array([one.distortion for one in cameras], np.float64).reshape(-1, 5)
    for has_camera in (False, True):
        chosen = np.flatnonzero(fit & ((camera != NO_CAMERA) == has_camera))
        for start in range(0, len(chosen), ROWS_AT_ONCE):
            rows = chosen[start : start + ROWS_AT_ONCE]
            pixels = torch.from_numpy(people.joints_2d[rows]).to(device)
            visibility = torch.from_numpy(people.visibility[rows]).to(device)
            size = torch.from_numpy(people.image_size[rows]).to(device, torch.float32)
            with torch.no_grad():
                if has_camera:
                    calibration = [
                        torch.from_numpy(values[camera[rows]]).to(device) for values in (K, distortion)
                    ]
                    placed = lift_in_camera(lifter, pixels, visibility, calibration[0], calibration[1], size)
                    root[rows] = placed.root_3d.float().cpu().numpy()
                    lifted = LiftedJoints(placed.joints_3d, placed.sigma)
                else:
                    lifted = lifter.lift_with_sigma(pixels, visibility, size)
            joints[rows] = lifted.joints.float().cpu().numpy()
            if lifted.sigma is not None:
                sigma[rows] = lifted.sigma.float().cpu().numpy()
            progress(len(rows))
    return joints, root, sigma if lifter.settings.uncertainty else None
