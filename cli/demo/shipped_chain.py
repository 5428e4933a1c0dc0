"""First part: a photograph and a short film through the chain that comes with the package."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from evolift.cli.demo.plan import DemoPlan

if TYPE_CHECKING:
    from jaxtyping import Float32, UInt8

    from evolift.posedata.predictions.predictions import Predictions
    from evolift.prediction.pose_prediction import PosePrediction
    from evolift.synthetic.rendering.clip import RenderedClip

FILMED, FILM_START, FILM_SEED = "02_05", 40, 3
PHOTOGRAPHED, PHOTO_FRAME, PHOTO_SEED = "02_08", 40, 6
"""Motion, first frame and seed of the scene; chosen for what one sees, before anything was predicted."""
FILM_RATE = 10.0
SIZE = 320


@dataclass(frozen=True, eq=False)
class ShippedChainResult:
    """What the shipped chain says.

    Args:
        film, photo: rendered, with the truth.
        film_poses, photo_pose: predicted.
        own: the user's photographs, with their poses.
        film_error, photo_error: MPJPE and P-MPJPE, mm.
    """

    film: RenderedClip
    photo: RenderedClip
    film_poses: Predictions
    photo_pose: PosePrediction
    own: tuple[tuple[UInt8[np.ndarray, "_height _width 3"], PosePrediction], ...]
    film_error: tuple[float, float]
    photo_error: tuple[float, float]


def predict_with_shipped_chain(plan: DemoPlan) -> ShippedChainResult:
    """Predict the user's photographs, a rendered one and a film of the test person.

    Raises:
        InputError: a photograph cannot be read, or there is no OpenGL to render with.
    """
    from evolift.posedata.image_file import read_image
    from evolift.posedata.store import PoseStore
    from evolift.posedata.video_file import VideoWriter
    from evolift.prediction.file_prediction import predict_files
    from evolift.prediction.pipeline import Pipeline
    from evolift.synthetic.rendering.clip import render_clip

    pipeline = Pipeline.from_pretrained()
    images = [read_image(path) for path in plan.photos]
    own = tuple(zip(images, pipeline.predict(images), strict=True))
    with PoseStore(plan.path("test.h5"), validate=False) as store:
        action = store.table()["action"].to_numpy()
        joints = store.read().joints_3d
    assert joints is not None  # the sample is of 3D poses
    start = int(np.flatnonzero(action == FILMED)[FILM_START])
    film = render_clip(joints[start : start + plan.clip_frames], SIZE, seed=FILM_SEED)
    still = int(np.flatnonzero(action == PHOTOGRAPHED)[PHOTO_FRAME])
    photo = render_clip(joints[still : still + 1], SIZE, seed=PHOTO_SEED)
    with VideoWriter(plan.path("film.mp4"), (SIZE, SIZE), FILM_RATE) as video:
        for image in film.images:
            video.write(image)
    photo_pose = pipeline.predict(photo.images[0])
    film_poses = predict_files(plan.path("film.mp4"), plan.path("film")).joined()
    return ShippedChainResult(
        film,
        photo,
        film_poses,
        photo_pose,
        own,
        _error(film_poses.joints_3d, film.joints_3d[film_poses.frame]),
        _error(photo_pose.joints_3d[None], photo.joints_3d),
    )


def _error(
    found: Float32[np.ndarray, "frames joints 3"], truth: Float32[np.ndarray, "frames joints 3"]
) -> tuple[float, float]:
    import torch

    from evolift.posedata.metrics import mpjpe, p_mpjpe, root_relative

    pair = torch.from_numpy(found), root_relative(torch.from_numpy(truth))
    return float(mpjpe(*pair).mean()), float(p_mpjpe(*pair).mean())
