"""The settings of the built-in actors and of rendered people: all that changes what is written, and the processes.

Importing this loads nothing slow, so that commands can make their options of it.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from evolift.posedata.settings import Settings

Seed = Annotated[
    int, Meta(ge=0, lt=2**32, description="Seed of everything random; the same seed gives the same bytes.")
]


class ActorSettings(Settings, frozen=True, kw_only=True):
    """How much the actors do; the same bodies and motions whatever it is."""

    clips_per_action: Annotated[
        int,
        Meta(
            ge=1,
            description="Clips of each subject and action, each in its own style.",
            extra={"flag": "clips"},
        ),
    ] = 4
    frames: Annotated[int, Meta(ge=2, description="Frames of a clip.")] = 60
    fps: Annotated[float, Meta(gt=0, description="Frames per second.")] = 10.0
    seed: Seed = 0


class RenderSettings(Settings, frozen=True, kw_only=True):
    """How many images of people are rendered, and how large."""

    images: Annotated[int, Meta(ge=1, description="How many images.")] = 1000
    size: Annotated[int, Meta(ge=32, description="Their width and height, pixels.")] = 256
    seed: Seed = 0
    num_workers: Annotated[
        int,
        Meta(
            ge=0,
            description="Processes that render, 0 or 1 for this one alone; never changes the result.",
        ),
    ] = 0
