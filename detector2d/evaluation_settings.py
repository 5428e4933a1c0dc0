"""The settings of an evaluation of a detector; importing this loads no torch."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from evolift.posedata.settings import Settings
from evolift.training.settings import NumWorkers

Boxes = Annotated[
    Literal["joints", "store"],
    Meta(description="Crop around the bounds of the labelled joints, or around the boxes of the store."),
]
ChannelsLast = Annotated[
    bool,
    Meta(
        description="Memory layout in which networks of depthwise convolutions are up to six times faster on a CPU."
    ),
]


class DetectorEvaluationSettings(Settings, frozen=True, kw_only=True):
    """How a detector is run over the images of a store to be scored."""

    boxes: Boxes = "joints"
    batch_size: Annotated[int, Meta(ge=1, description="Crops at a time.")] = 32
    num_workers: NumWorkers = 0
    hard: Annotated[bool, Meta(description="Take the largest heatmap cell instead of the expectation.")] = (
        False
    )
    flip_test: Annotated[
        bool,
        Meta(description="Average with what is found in the mirrored crop: twice the time, a little better."),
    ] = False
    channels_last: ChannelsLast = True
    precision: Annotated[Literal["32-true", "bf16-mixed"], Meta(description="Arithmetic of the network.")] = (
        "32-true"
    )
