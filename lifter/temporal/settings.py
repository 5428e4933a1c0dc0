"""The settings of temporal lifters, and of their trainings.

Importing this loads no torch, so that commands can make their options of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from evolift.lifter.architecture import Architecture
from evolift.lifter.settings import LifterSettings, LifterTrainingSettings
from evolift.posedata.errors import InputError

FRAMES = (9, 27, 81)
"""Numbers of frames that can be seen together: each level of the network joins three of them."""
GRAPHS = ("modulated-gcn", "semgcn")
"""Architectures that can be given frames."""
_FIXED: dict[str, Any] = {
    "target": "xyz",
    "input_axes": 2,
    "non_local": False,
    "grouping": "none",
    "stages": 1,
    "joint_order": "declared",
}


class TemporalSettings(LifterSettings, frozen=True, kw_only=True):
    """What rebuilds a temporal lifter; stored with its weights. Of the settings of a lifter it takes some as they are by default."""

    architecture: Annotated[Architecture, Meta(description="The graph network: modulated-gcn or semgcn.")] = (
        "modulated-gcn"
    )
    frames: Annotated[
        int,
        Meta(
            ge=min(FRAMES),
            le=max(FRAMES),
            description="Train a temporal lifter, which sees so many frames of a clip together: 9, 27 or 81.",
        ),
    ] = 27
    causal: Annotated[
        bool,
        Meta(
            description="Let a temporal lifter answer for the last frame that it sees, not the middle one: without delay, and less exactly."
        ),
    ] = False
    frames_per_second: Annotated[
        float,
        Meta(
            gt=0,
            le=1000,
            description="Of the clips that a temporal lifter sees; others are resampled to it, in training and prediction.",
            extra={"flag": "fps"},
        ),
    ] = 30.0

    def check(self) -> None:
        """Settle what was left out, and refuse what a temporal lifter cannot be.

        Raises:
            InputError: naming what it cannot be.
        """
        super().check()
        if self.frames not in FRAMES:
            raise InputError(f"`frames` must be 9, 27 or 81, not {self.frames}")
        if self.architecture not in GRAPHS:
            raise InputError(
                f"`architecture` must be {' or '.join(GRAPHS)} for a lifter of several `frames`, not {self.architecture}"
            )
        for name, value in _FIXED.items():
            if getattr(self, name) != value:
                raise InputError(
                    f"`{name}` must be {value} for a lifter of several `frames`, not {getattr(self, name)}"
                )

    @property
    def target_frame(self) -> int:
        """Place among the frames of the one that is answered for."""
        return self.frames - 1 if self.causal else self.frames // 2


class TemporalTrainingSettings(LifterTrainingSettings, frozen=True, kw_only=True):
    """How a temporal lifter is trained."""

    panels: ClassVar[Mapping[str, str | None]] = {**LifterTrainingSettings.panels, "store_fps": "Data"}

    store_fps: Annotated[
        tuple[Annotated[float, Meta(ge=0, le=1000)], ...],
        Meta(
            description="How many frames a second the frame numbers of the stores count (CMU's 120, Human3.6M's 50, whichever of the frames they hold): one for all, or one per store, those of --validation last, 0 for a store that tells it. Known of imports of these two, and of stores that were made with a rate.",
            extra={"flag": "store-fps"},
        ),
    ] = ()
