"""How large images may be."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from evolift.posedata.settings import Settings


class ImageSettings(Settings, frozen=True, kw_only=True):
    """What images, and frames of videos, are decoded at all."""

    max_megapixels: Annotated[
        float,
        Meta(
            gt=0,
            description="Refuse images and videos of more pixels than so many millions, before they are decoded.",
        ),
    ] = 200.0
