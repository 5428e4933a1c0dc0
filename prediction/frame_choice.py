"""Which frames of a video are looked at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Annotated, TypeVar

from msgspec import Meta

from evolift.posedata.settings import Settings

Frame = TypeVar("Frame")


class FrameChoice(Settings, frozen=True, kw_only=True):
    """Which frames of videos are looked at."""

    start: Annotated[int, Meta(ge=0, description="First frame of videos that is looked at, from 0.")] = 0
    stride: Annotated[int, Meta(ge=1, description="Look at every nth frame of videos.")] = 1
    max_frames: (
        Annotated[
            int,
            Meta(
                ge=1,
                description="Stop videos and webcam after so many frames.",
                extra={"flag": "frames"},
            ),
        ]
        | None
    ) = None

    def of(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """The chosen of some frames."""
        return islice(frames, self.start, self._stop, self.stride)

    def count(self, frames: int) -> int:
        """How many are chosen of so many frames."""
        return len(range(frames)[self.start : self._stop : self.stride])

    @property
    def _stop(self) -> int | None:
        return None if self.max_frames is None else self.start + self.stride * (self.max_frames - 1) + 1
