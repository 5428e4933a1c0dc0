"""Fourth and fifth part: the shipped detector fine-tuned on rendered people, then the chain end to end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from evolift.cli.demo.plan import IMAGE_SIZE, DemoPlan

if TYPE_CHECKING:
    from jaxtyping import Float32, UInt8

    from evolift.chain.evaluation import ChainPredictions

SPLITS = ("train", "validation", "test")
SHOWN = 3
_GENTLY: dict[str, Any] = {"freeze": "blocks.1", "batch_norm": "keep", "backbone_factor": 0.2}
"""The head learns five times as fast as the backbone, which is half fixed."""


@dataclass(frozen=True)
class Score:
    """Of a chain on the test images.

    Args:
        pck: share of joints that its detector finds within a fifth of the torso.
        mpjpe, p_mpjpe: of its poses, mm.
    """

    pck: float
    mpjpe: float
    p_mpjpe: float


@dataclass(frozen=True, eq=False)
class TuningResult:
    """Before and after.

    Args:
        shipped: the shipped chain as it is, with the detector before fine-tuning.
        before, after: the fine-tuned detector chained with the shipped lifter for keypoints, and that fine-tuned.
        images: of the poses shown, with the joints of the chain before fine-tuning and after.
        poses: truth, before, after of each.
    """

    shipped: Score
    before: Score
    after: Score
    images: tuple[UInt8[np.ndarray, "height width 3"], ...]
    poses: Float32[np.ndarray, "shown 3 joints 3"]


def render_people(plan: DemoPlan) -> None:
    """Images of the training people, of their held-out clips, and of the test person."""
    from evolift.synthetic.rendering.people import render_store
    from evolift.synthetic.settings import RenderSettings

    for number, (name, images) in enumerate(zip(SPLITS, plan.images, strict=True)):
        settings = RenderSettings(
            images=images, size=IMAGE_SIZE, seed=plan.seed + number, num_workers=plan.num_workers
        )
        render_store(plan.path(f"{name}.h5"), plan.path(f"renders_{name}.h5"), settings)


def tune(plan: DemoPlan) -> TuningResult:
    """Fine-tune detector and chain, and score them on the test images before and after."""
    from evolift.artifacts.shipped_files import KEYPOINT_LIFTER, PHOTO_POSE, shipped_weights
    from evolift.chain.evaluation import predict_chain
    from evolift.chain.model import ChainModel
    from evolift.chain.settings import ChainTrainingSettings
    from evolift.chain.training import finetune
    from evolift.detector2d.model import DetectorModel
    from evolift.detector2d.settings import DetectorTrainingSettings
    from evolift.detector2d.training import train_detector
    from evolift.lifter.model import LifterModel

    train, validation, test = (plan.path(f"renders_{name}.h5") for name in SPLITS)
    shipped = ChainModel.load(shipped_weights(PHOTO_POSE))
    as_shipped = predict_chain(shipped, test)
    train_detector(
        train,
        plan.path("detector"),
        validation=validation,
        detector=shipped.parts()[0],
        training=DetectorTrainingSettings(
            steps=plan.detector_steps,
            validate_every=plan.detector_steps,
            schedule="cosine",
            warm_up=0.05,
            gradient_clip=5.0,
            learning_rate=3e-4,
            **_GENTLY,
            seed=plan.seed,
            accelerator="cpu",
            progress=False,
        ),
    )
    chain = ChainModel(
        DetectorModel.load(plan.path("detector/last.safetensors")),
        LifterModel.load(shipped_weights(KEYPOINT_LIFTER)),
        flip_test=shipped.settings.flip_test,
    )
    before = predict_chain(chain, test)
    finetune(
        train,
        plan.path("chain"),
        chain=chain,
        validation=validation,
        training=ChainTrainingSettings(
            steps=plan.chain_steps,
            validate_every=plan.chain_steps,
            learning_rate=3e-4,
            lifter_learning_rate=3e-4,
            **_GENTLY,
            seed=plan.seed,
            accelerator="cpu",
            progress=False,
        ),
    )
    after = predict_chain(ChainModel.load(plan.path("chain/last.safetensors")), test)
    # Evenly spread over the test images, whatever their errors.
    chosen = np.linspace(0, len(after.truth) - 1, SHOWN + 2).round().astype(int)[1:-1]
    poses = [part.numpy()[chosen] for part in (after.truth, before.from_detections, after.from_detections)]
    return TuningResult(
        _score(as_shipped),
        _score(before),
        _score(after),
        _images_with_joints(plan, after, chosen),
        np.stack(poses, 1),
    )


def _score(found: ChainPredictions) -> Score:
    from evolift.posedata.metrics import mpjpe, p_mpjpe

    errors = [metric(found.from_detections, found.truth).mean() for metric in (mpjpe, p_mpjpe)]
    return Score(float(found.correct.nanmean()), float(errors[0]), float(errors[1]))


def _images_with_joints(
    plan: DemoPlan, found: ChainPredictions, chosen: np.ndarray
) -> tuple[UInt8[np.ndarray, "height width 3"], ...]:
    from evolift.drawing.overlay import draw_joints
    from evolift.posedata.image_file import read_image
    from evolift.posedata.skeleton import H36M17
    from evolift.posedata.store import PoseStore

    with PoseStore(plan.path("renders_test.h5"), validate=False) as store:
        names = store.read(found.row.numpy()[chosen]).image or []
        folder = store.image_folder
    return tuple(
        draw_joints(read_image(folder / name), joints, H36M17)
        for name, joints in zip(names, found.joints_2d.numpy()[chosen], strict=True)
    )
