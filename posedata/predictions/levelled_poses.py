r"""Predicted poses stood up in a world, so that what needs one (evolution, training, the ground) can use them.

A photograph does not tell how its camera was held or how high it was, so a prediction has no world of its own. The rule:

* the camera is level: its y axis (down in the image) points straight down, so
  :math:`(x, y, z)_{world} = (x, z, -y)_{camera}`, z up, y away from the camera;
* where the places of people are known, the floor of each camera is the height that the lowest joint is under in
  `FLOOR_SHARE` of its poses, so that people may jump; where they are not, each pose stands on the floor (z = 0) with its
  lowest joint, its root over the origin.

A camera that looks down by 10 degrees so leans its people by 10 degrees.
"""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pandas as pd
from jaxtyping import Float, Float32

from evolift.posedata.camera import Camera
from evolift.posedata.poses import NO_CAMERA, Poses
from evolift.posedata.store import PoseStore

_log = logging.getLogger(__name__)

PLACED = "in the frame of the camera"
RELATIVE = "relative to the root joint"
PARAMETER = "joints_3d"
"""Of the provenance of a store of predictions: one of the two above."""
RULE = "predicted poses in a camera's frame are stood up: the camera is taken to be level, and people to stand on the floor"
FLOOR_SHARE = 0.05
READ_ROWS = 65536
_TO_CAMERA = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])


def is_predicted(store: PoseStore) -> bool:
    """Whether a store holds predictions in the frames of cameras whose place in the world nobody knows."""
    told = store.provenance.parameters.get(PARAMETER)
    return store.coordinate_frame == "camera" and told in (PLACED, RELATIVE)


class LevelledPoses:
    """The world of a store of predictions.

    Args:
        store: that `is_predicted`.

    Attributes:
        cameras: the store's, placed in that world (`x_camera = R @ x_world + t`); none where places are not known.
    """

    def __init__(self, store: PoseStore) -> None:
        self._is_placed = store.provenance.parameters[PARAMETER] == PLACED
        self._floors = _floors(store) if self._is_placed else {}
        self.cameras: list[Camera] = []
        if self._is_placed:
            for number, camera in enumerate(store.cameras):
                up = np.array([0.0, 0.0, self._floors.get(number, 0.0)])
                self.cameras.append(replace(camera, R=_TO_CAMERA, t=_TO_CAMERA @ up))

    def joints(self, poses: Poses) -> Float32[np.ndarray, "rows joints 3"]:
        """World joints of some of the store's poses, mm, z up."""
        upright = _upright(poses)
        if self._is_placed:
            floor = np.array([self._floors[camera] for camera in _cameras_of(poses).tolist()])
        else:
            floor = np.nanmin(upright[..., 2], axis=1)
        upright[..., 2] -= floor[:, None]
        return upright.astype(np.float32)


def levelled_or_none(store: PoseStore) -> LevelledPoses | None:
    """The levelled frame of a store of predictions, None for other stores."""
    return LevelledPoses(store) if is_predicted(store) else None


def tell_levelled(store: PoseStore) -> None:
    """Log the rule if a store's poses are levelled: for whoever opens it, once."""
    if is_predicted(store):
        _log.warning("%s: %s", store.path, RULE)


def _upright(poses: Poses) -> Float[np.ndarray, "rows joints 3"]:
    assert poses.joints_3d is not None  # of a store in camera frames
    upright: np.ndarray = poses.joints_3d.astype(np.float64) @ _TO_CAMERA  # rows: R^-1 x = x R
    return upright


def _cameras_of(poses: Poses) -> np.ndarray:
    return np.full(len(poses), NO_CAMERA) if poses.camera is None else poses.camera


def _floors(store: PoseStore) -> dict[int, float]:
    """Height of the floor under each camera, mm above the camera."""
    parts = [
        pd.DataFrame({"camera": _cameras_of(poses), "lowest": np.nanmin(_upright(poses)[..., 2], axis=1)})
        for poses in store.batches(READ_ROWS)
    ]
    floors = pd.concat(parts).groupby("camera")["lowest"].quantile(FLOOR_SHARE)
    return dict(zip(floors.index.tolist(), floors.tolist(), strict=True))
