"""The settings of end-to-end training: those of a detector's, and what the lifter adds to them."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from evolift.detector2d.settings import BatchNorm, DetectorTrainingSettings, HeadLearningRate, WarmUp
from evolift.posedata.errors import InputError
from evolift.training.settings import GradientClip, Schedule, Steps, ValidateEvery


class ChainTrainingSettings(DetectorTrainingSettings, frozen=True, kw_only=True):
    """How the chain learns; the schedule is that of all learning rates."""

    steps: Steps = 2000
    validate_every: ValidateEvery = 200
    gradient_clip: GradientClip = 1.0
    learning_rate: HeadLearningRate = 1e-4
    lifter_learning_rate: Annotated[float, Meta(ge=0, description="Of the lifter, 0 to freeze it.")] = 1e-4
    schedule: Schedule = "cosine"
    warm_up: WarmUp = 0.05
    batch_norm: BatchNorm = "keep"
    weight_3d: Annotated[
        float, Meta(ge=0, description="Of the 3D loss: L1, metres, summed over joints and axes.")
    ] = 1.0
    weight_2d: Annotated[
        float,
        Meta(ge=0, description="Of the detector's own loss, on every sample with 2D labels."),
    ] = 1.0
    weight_bones_3d: Annotated[
        float, Meta(ge=0, description="Of the 3D bone loss: L1 of bone vectors, metres.")
    ] = 0.0

    def check(self) -> None:
        """Refuse a training in which nothing learns.

        Raises:
            InputError: naming the fields.
        """
        super().check()
        if not (self.weight_3d or self.weight_2d or self.weight_bones_3d):
            raise InputError(
                "there is nothing to learn: set `weight_3d`, `weight_2d` or `weight_bones_3d` above 0"
            )
        if self.freeze == "all" and not self.lifter_learning_rate:
            raise InputError(
                "detector and lifter are both frozen: set `lifter_learning_rate` above 0, or `freeze` less than all"
            )
