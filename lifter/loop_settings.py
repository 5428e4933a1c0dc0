"""The settings of evolution in a loop with a lifter (`evolift.lifter.evolution_loop`); importing this loads no torch."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from evolift.lifter.settings import EVOLVED_SHARE
from evolift.posedata.errors import InputError
from evolift.posedata.settings import Settings


class LoopSettings(Settings, frozen=True, kw_only=True):
    """How often poses are evolved where a lifter errs, how long it is trained each time, and when that ends."""

    panel: ClassVar[str | None] = "Loop"

    rounds: Annotated[
        int,
        Meta(
            ge=1,
            description="Rounds at most: evolve, train a lifter, score it, evolve anew what it got wrong.",
            extra={"flag": "loop"},
        ),
    ] = 5
    pressures: Annotated[
        tuple[Literal["hardness", "novelty"], ...],
        Meta(
            description="Parents from the second round on: more often those that the lifter of the round before gets wrong (hardness), or those far from others (novelty); repeatable, each is bred and scored.",
            extra={"flag": "pressure"},
        ),
    ] = ("hardness",)
    control: Annotated[
        bool,
        Meta(
            description="Breed and train as much with parents drawn alike in each of these rounds, and tell what a pressure gains over that; without, over the first round."
        ),
    ] = True
    use: Annotated[
        Literal["rig", "photos"],
        Meta(description="What the lifters are for, which says their settings: as lifter train takes it."),
    ] = "rig"
    steps_per_round: Annotated[
        int, Meta(ge=1, description="Optimiser steps of the lifter of each round, which is trained anew.")
    ] = 3000
    evolved_share: Annotated[
        float, Meta(gt=0, lt=1, description="Share of evolved poses among its draws.")
    ] = EVOLVED_SHARE
    min_gain: Annotated[
        float,
        Meta(
            ge=0,
            lt=100,
            description="By how many per cent an error must be below the least one so far to count as a gain.",
        ),
    ] = 1.0
    patience: Annotated[int, Meta(ge=1, description="Rounds without a gain before the loop ends early.")] = 2
    validation_poses: Annotated[
        int,
        Meta(ge=1, description="Poses at most of each store that the lifters are scored on, evenly spread."),
    ] = 1000

    def check(self) -> None:
        """Refuse rounds that nothing sets apart, and a pressure named twice.

        Raises:
            InputError: naming the field.
        """
        if not self.pressures or len(set(self.pressures)) < len(self.pressures):
            raise InputError(
                f"`pressures` must be one or more ways to draw parents, each once, not {list(self.pressures)}"
            )

    def samplings(self, number: int) -> tuple[Literal["uniform", "hardness", "novelty"], ...]:
        """How parents are drawn in a round, the control first; all alike in the first, which has no lifter yet.

        Args:
            number: of the round, from 1 on.
        """
        control: tuple[Literal["uniform"], ...] = ("uniform",) if self.control or number == 1 else ()
        return control if number == 1 else (*control, *self.pressures)
