"""The settings of imports."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from evolift.posedata.settings import Settings


class ImportSettings(Settings, frozen=True, kw_only=True):
    """What imports of sequences have."""

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


class PoseBaselineSettings(ImportSettings, frozen=True, kw_only=True):
    """How the archive of 3d-pose-baseline is imported."""

    joints_2d: Annotated[
        Literal["hourglass", "hourglass-finetuned", "projected"],
        Meta(
            description="2D joints: detections of stacked hourglass, of that fine-tuned on Human3.6M, or the 3D joints seen through the cameras."
        ),
    ] = "hourglass"
