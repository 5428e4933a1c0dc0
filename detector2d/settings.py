"""The settings of a detector and of its training: what it is built like, how its crops vary, how it learns."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from evolift.detector2d.evaluation_settings import Boxes, ChannelsLast
from evolift.posedata.errors import InputError
from evolift.posedata.settings import Settings
from evolift.posedata.skeleton import H36M17, Skeleton
from evolift.training.settings import RunSettings, Schedule, Steps, ValidateEvery, require_weights

Decoding = Literal["expectation", "mode"]
HeadLearningRate = Annotated[
    float, Meta(gt=0, description="Of the detector's head, at the top of the schedule.")
]
WarmUp = Annotated[
    float, Meta(ge=0, lt=1, description="Part of the training in which learning rates rise from 0.")
]


def _share(description: str) -> Meta:
    return Meta(ge=0, le=1, description=description)


def _weight(description: str) -> Meta:
    return Meta(ge=0, description=description)


class DetectorSettings(Settings, frozen=True, kw_only=True):
    """All that rebuilds a detector's architecture."""

    panel: ClassVar[str | None] = "Network"
    later: ClassVar[frozenset[str]] = frozenset({"decoding"})

    backbone: Annotated[str, Meta(description="Any timm name, or alexnet.")] = "resnet50"
    skeleton: Annotated[Skeleton, Meta(description="Joints of the output.")] = H36M17
    padding: Annotated[
        float,
        Meta(gt=0, description="Crops show this many times the person's box, in training as in use."),
    ] = 1.25
    input_width: Annotated[
        int,
        Meta(ge=32, le=4096, description="Of a crop, pixels; a multiple of the backbone's coarsest stride."),
    ] = 256
    input_height: Annotated[
        int,
        Meta(ge=32, le=4096, description="Of a crop, pixels; a multiple of the backbone's coarsest stride."),
    ] = 256
    depth_bins: Annotated[
        int,
        Meta(
            ge=1,
            le=1024,
            description="1 finds joints in 2D; 64 or 72 in 3D. The regression head takes any number above 1 for 3D.",
        ),
    ] = 1
    head: Annotated[
        Literal["deconvolution", "light", "regression"],
        Meta(description="Published deconvolutions, a light feature pyramid, or no heatmaps."),
    ] = "deconvolution"
    head_widths: Annotated[
        tuple[Annotated[int, Meta(ge=1, le=16384)], ...],
        Meta(
            description="Channels of each deconvolution (repeat), or of the light head.",
            extra={"flag": "head-width"},
        ),
    ] = (256, 256, 256)
    decoding: Annotated[
        Decoding,
        Meta(
            description="Of a heatmap: its expectation, learnt by L1 (Sun et al.); or its mode, where most of it is close by, learnt by its divergence from a Gaussian: a joint that may be in two places is not put between them."
        ),
    ] = "expectation"
    feature_dropout: Annotated[
        float, Meta(ge=0, lt=1, description="Probability of dropping a feature, in training.")
    ] = 0.0
    heatmap_dropout: Annotated[
        float, Meta(ge=0, lt=1, description="Probability of dropping a cell of a heatmap, in training.")
    ] = 0.0

    def check(self) -> None:
        """Refuse a head without layers, and dropout of heatmaps that there are not.

        Raises:
            InputError: naming the field.
        """
        if not self.head_widths:
            raise InputError("`head_widths` must be one number or more")
        require_weights(16 * sum(a * b for a, b in pairwise(self.head_widths)), "head_widths")
        if self.head == "regression" and self.heatmap_dropout:
            raise InputError("the regression head has no heatmaps: leave `heatmap_dropout` at 0")
        if self.head == "regression" and self.decoding != "expectation":
            raise InputError("the regression head has no heatmaps: leave `decoding` at expectation")

    @property
    def dimensions(self) -> int:
        """2, or 3 for a volumetric detector."""
        return 2 if self.depth_bins == 1 else 3

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the crop."""
        return self.input_width, self.input_height


class AugmentationSettings(Settings, frozen=True, kw_only=True):
    """How much the crops of a person differ; rotations and scales as in Sun et al. 2018."""

    panel: ClassVar[str | None] = "Data"

    rotation: Annotated[
        float,
        Meta(ge=0, description="Standard deviation of a crop's angle before it is clipped, degrees."),
    ] = 30.0
    rotation_clip: Annotated[
        float,
        Meta(
            ge=0,
            description="Angles are rotation x a normal number clipped here: 1 keeps them within the rotation; 2 is Sun et al.'s.",
        ),
    ] = 1.0
    rotation_probability: Annotated[float, _share("That a crop is rotated at all.")] = 0.6
    flip_probability: Annotated[float, _share("That a crop is mirrored.")] = 0.5
    scale: Annotated[
        float,
        Meta(
            ge=0,
            lt=1,
            description="Crops show 1 + scale x a normal number clipped at 1 times the padded box.",
        ),
    ] = 0.25
    colour: Annotated[
        float,
        Meta(ge=0, lt=1, description="Each channel is multiplied by 1 - colour to 1 + colour, uniformly."),
    ] = 0.2
    photometric: Annotated[
        float,
        _share(
            "Of what other cameras do: at 1, half of the crops get another contrast and brightness, 4 of 10 less or more saturation or none, 2 of 10 are blurred, and 3 of 20 lose what JPEG loses."
        ),
    ] = 0.0
    stretch: Annotated[
        float,
        Meta(
            ge=0,
            le=0.5,
            description="Standard deviation of the logarithm by which a crop is drawn out along a random direction and pressed together across it, clipped at twice. People with 3D joints, which would no longer be theirs, are left as they are.",
        ),
    ] = 0.0


class OcclusionSettings(Settings, frozen=True, kw_only=True):
    """How things are pasted over people; numbers and scales as in Sarandi et al. 2018."""

    panel: ClassVar[str | None] = "Data"

    occlusion_probability: Annotated[float, _share("That things are pasted over the person.")] = 0.0
    min_occluders: Annotated[int, Meta(ge=1, description="Fewest things pasted over an occluded crop.")] = 1
    max_occluders: Annotated[
        int, Meta(ge=1, description="Largest number of things pasted over an occluded crop.")
    ] = 8
    min_occluder_scale: Annotated[
        float,
        Meta(gt=0, description="Smallest size of an occluder, over its own size in crops of 256 pixels."),
    ] = 0.2
    max_occluder_scale: Annotated[
        float,
        Meta(gt=0, description="Largest size of an occluder, over its own size in crops of 256 pixels."),
    ] = 1.0

    def check(self) -> None:
        """Refuse ranges that are upside down.

        Raises:
            InputError: naming the fields.
        """
        for what in ("occluders", "occluder_scale"):
            low, high = getattr(self, f"min_{what}"), getattr(self, f"max_{what}")
            if low > high:
                raise InputError(f"`min_{what}` {low} is above `max_{what}` {high}")


BatchNorm = Annotated[
    Literal["learn", "keep"],
    Meta(
        description="Statistics of BatchNorm in a network that was trained before: go on learning them, or keep them, which a few hundred steps should."
    ),
]


class DetectorTrainingSettings(RunSettings, frozen=True, kw_only=True):
    """How a detector learns."""

    panels: ClassVar[Mapping[str, str | None]] = {
        **RunSettings.panels,
        **dict.fromkeys(("ratios", "batch_size", "boxes", "augment", "check_images"), "Data"),
        "channels_last": "Hardware",
    }

    steps: Steps = 20_000
    validate_every: ValidateEvery = 500
    ratios: Annotated[
        tuple[Annotated[float, Meta(gt=0)], ...],
        Meta(
            description="Share of each store in a batch, in their order; equal shares if left out.",
            extra={"flag": "ratio"},
        ),
    ] = ()
    batch_size: Annotated[int, Meta(ge=1, description="Crops per step and process.")] = 16
    learning_rate: HeadLearningRate = 1e-3
    backbone_factor: Annotated[
        float, Meta(gt=0, description="The backbone's learning rate over that of the head.")
    ] = 1.0
    weight_decay: Annotated[float, _weight("Decoupled, of AdamW.")] = 0.0
    schedule: Schedule = "steps"
    milestones: Annotated[
        tuple[Annotated[float, Meta(gt=0, lt=1)], ...],
        Meta(
            description="Part of the training after which the rate falls to a tenth (schedule steps); repeatable.",
            extra={"flag": "milestone"},
        ),
    ] = (55 / 65, 60 / 65)
    warm_up: WarmUp = 0.0
    freeze: Annotated[
        str,
        Meta(
            description="Fixed part of the detector: none, stem, a block's name, all-but-last-block (row U), all-but-head, all."
        ),
    ] = "none"
    batch_norm: BatchNorm = "learn"
    drop_path: Annotated[
        float,
        Meta(
            ge=0,
            lt=1,
            description="Probability of passing over the last block of the backbone, if it is residual, in training; from 0 at the first block on it grows evenly.",
        ),
    ] = 0.0
    bone_weight: Annotated[float, _weight("Of the bone loss (row B).")] = 0.0
    spread_weight: Annotated[float, _weight("Of the heatmap regulariser; helps on small data.")] = 0.0
    boxes: Boxes = "joints"
    augment: Annotated[bool, Meta(description="Rotate, mirror, scale and colour the crops.")] = True
    augmentation: AugmentationSettings = AugmentationSettings()
    occlusion: OcclusionSettings = OcclusionSettings()
    channels_last: ChannelsLast = True
    check_images: Annotated[
        bool,
        Meta(
            description="Read every image first and leave out the unreadable ones; else one stops the training when it is met."
        ),
    ] = True


def require_fitting(detector: DetectorSettings, training: DetectorTrainingSettings) -> None:
    """Refuse a training that asks for what the detector does not have.

    Raises:
        InputError: naming the field.
    """
    if training.spread_weight and detector.head == "regression":
        raise InputError("the regression head has no heatmaps: leave `spread_weight` at 0")
