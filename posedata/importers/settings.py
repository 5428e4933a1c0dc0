"""The settings of imports of motion capture."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from evolift.posedata.settings import Settings


class ImportSettings(Settings, frozen=True, kw_only=True):
    """What all imports of motion capture have."""

    fps: Annotated[float, Meta(gt=0, description="Frames per second to keep; all if not given.")] | None = (
        None
    )


class CmuSettings(ImportSettings, frozen=True, kw_only=True):
    """How the CMU data base is imported."""

    num_workers: Annotated[
        int,
        Meta(
            ge=0,
            description="Processes that read clips, 0 or 1 for this one alone; never changes the result.",
        ),
    ] = 0
