"""3D poses of one's own 2D joints, from array to array.

poses = evolift.lift(joints_2d, skeleton="COCO17")
poses.joints_3d  # (frames, 17, 3), mm
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from evolift.artifacts.shipped_files import KEYPOINT_LIFTER, weights_file
from evolift.lifter.lifter import Lifter
from evolift.lifter.model import LifterModel
from evolift.posedata.camera import Camera
from evolift.posedata.errors import InputError
from evolift.posedata.keypoint_formats.keypoints import keypoints_of
from evolift.posedata.named_skeleton import as_skeleton
from evolift.posedata.poses import NO_CAMERA
from evolift.posedata.predictions.predictions import Predictions
from evolift.posedata.skeleton import Skeleton
from evolift.prediction.cameras.camera_choice import unknown_camera
from evolift.prediction.keypoint_lifting import lift_keypoints
from evolift.prediction.prediction_table import PredictionTable

_GIVEN = "The camera was given."


def lift(
    keypoints: npt.ArrayLike,
    skeleton: Skeleton | str,
    *,
    image_size: tuple[int, int] | None = None,
    camera: Camera | None = None,
    lifter: Lifter | str | Path = KEYPOINT_LIFTER,
) -> PredictionTable:
    """Lift 2D joints of one person over frames, or of one in each image.

    Args:
        keypoints: (frames, joints, 2) pixels, or (frames, joints, 3) with a confidence from 0 to 1; one frame may come without
            the first axis. (0, 0), (-1, -1), NaN and a confidence of 0 are joints that were not seen.
        skeleton: of the keypoints, or its name, for example "COCO17"; 17 joints alone do not tell COCO's from Human3.6M's.
        image_size: (width, height) of the images, pixels; only a lifter of normalisation `screen` needs it.
        camera: that took them; then poses are in its frame, with the place of the person.
        lifter: a lifter, or the file or shipped name of one.

    Returns:
        A row for each frame: joints_3d in mm relative to the root joint, in the frame of the camera. A frame with too few joints has NaN.

    Raises:
        InputError: the array has another shape, or parts of an image instead of pixels; the skeleton is not known, or the lifter needs something that is not given.
        CheckpointError: the lifter's file is damaged or of another stage.
    """
    skeleton = as_skeleton(skeleton)
    model = lifter if isinstance(lifter, Lifter) else LifterModel.load(weights_file(lifter))
    values = _checked(keypoints, skeleton)
    frames = len(values)
    size = image_size or ((0, 0) if camera is None else (camera.width, camera.height))
    people = keypoints_of(
        skeleton,
        values[..., :2],
        format="array",
        confidence=values[..., 2] if values.shape[-1] == 3 else None,
        frame=range(frames),
        image_size=np.tile(np.array(size, np.int32), (frames, 1)),
        is_over_time=True,
    )
    lifted = lift_keypoints(
        model,
        people,
        "keypoints",
        cameras=() if camera is None else (camera,),
        camera=None if camera is None else np.zeros(frames, np.int32),
        camera_assumption=unknown_camera(model.settings.normalisation) if camera is None else _GIVEN,
    ).predictions
    if not len(lifted):
        raise InputError("`keypoints` has no frame with enough joints to be lifted")
    return _with_every_frame(lifted, frames)


def _checked(keypoints: npt.ArrayLike, skeleton: Skeleton) -> np.ndarray:
    try:
        values = np.asarray(keypoints, np.float64)
    except (TypeError, ValueError):
        values = np.zeros(0)
    values = values[None] if values.ndim == 2 else values
    if (
        values.ndim != 3
        or values.shape[1] != len(skeleton)
        or values.shape[2] not in (2, 3)
        or not len(values)
    ):
        raise InputError(
            f"`keypoints` must be (frames, {len(skeleton)}, 2 or 3) numbers for the skeleton {skeleton.name}, not {np.shape(keypoints)}"
        )
    size = np.abs(values[..., :2])
    if np.isfinite(size).any() and 0 < np.nanmax(size) <= 1 and (values[..., :2] != -1).any():
        raise InputError(
            "`keypoints` lie between 0 and 1, so they are parts of an image: multiply them by its width and height"
        )
    return values


def _with_every_frame(lifted: Predictions, frames: int) -> PredictionTable:
    """With rows of NaN for frames that were left out."""
    places = lifted.frame

    def spread(values: np.ndarray, fill: float) -> np.ndarray:
        result = np.full((frames, *values.shape[1:]), fill, values.dtype)
        result[places] = values
        return result

    return PredictionTable(
        skeleton=lifted.skeleton,
        joints_2d=spread(lifted.joints_2d, np.nan),
        joints_3d=spread(lifted.joints_3d, np.nan),
        confidence=spread(lifted.confidence, 0),
        image=("",) * frames,
        frame=np.arange(frames),
        person=("person 1",) * frames,
        root_3d=spread(lifted.root_3d, np.nan),
        box=spread(lifted.box, np.nan),
        camera=spread(lifted.camera, NO_CAMERA),
        cameras=lifted.cameras,
        camera_assumption=lifted.camera_assumption,
        sigma_mm=None if lifted.sigma_mm is None else spread(lifted.sigma_mm, np.nan),
    )
