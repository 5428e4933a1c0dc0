"""The settings of the judge of evolution (`evolift.lifter.evolution_judge`); importing this loads no torch."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from evolift.lifter.architecture import Architecture
from evolift.lifter.settings import EVOLVED_SHARE, LifterSettings
from evolift.posedata.settings import Settings
from evolift.posedata.skeleton import H36M17, Skeleton
from evolift.training.settings import Precision


class JudgeSettings(Settings, frozen=True, kw_only=True):
    """On what, how long and how often lifters are trained to judge evolution."""

    train_on: Annotated[
        Literal["others", "each"],
        Meta(
            description="Sources that a lifter learns from: all others than the one that it is tested on, or each alone, tested on every other."
        ),
    ] = "others"
    use: Annotated[
        Literal["rig", "photos"],
        Meta(description="What the lifters are for, which says their settings: as lifter train takes it."),
    ] = "rig"
    architecture: Annotated[Architecture, Meta(description="Of the lifters: as lifter train takes it.")] = (
        LifterSettings().architecture
    )
    skeleton: Annotated[
        Skeleton,
        Meta(
            description="Joints that the lifters see and are scored on: H36M16 if a store has no nose, which lifters for a rig have never seen missing."
        ),
    ] = H36M17
    steps: Annotated[int, Meta(ge=1, description="Optimiser steps of each training.")] = 3000
    seeds: Annotated[int, Meta(ge=1, description="Trainings of each arm: seeds from 0 on.")] = 1
    precision: Precision = "32-true"
    evolved_share: Annotated[
        float, Meta(gt=0, lt=1, description="Share of evolved poses among the draws.")
    ] = EVOLVED_SHARE
    test_poses: Annotated[int, Meta(ge=1, description="Poses at most of each test store, evenly spread.")] = (
        1000
    )
