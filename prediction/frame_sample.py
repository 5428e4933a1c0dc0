"""A few frames of a stream of unknown length, evenly spread, for pages that cannot hold them all."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Kept = TypeVar("Kept")


class FrameSample(Generic[Key, Kept]):
    """Keeps every frame, then every second, every fourth, ... so that never more than `max_frames` are kept.

    Args:
        max_frames: largest number of kept frames; at least 2.

    Attributes:
        stride: offered frames from one kept to the next.

    Raises:
        ValueError: `max_frames` is below 2.
    """

    def __init__(self, max_frames: int = 300) -> None:
        if max_frames < 2:
            raise ValueError(f"a sample must keep at least 2 frames (got {max_frames})")
        self.max_frames = max_frames
        self.stride, self._count = 1, 0
        self._kept: list[tuple[int, Key, Kept]] = []

    def offer(self, key: Key, make: Callable[[], Kept]) -> None:
        """The next frame; `make` is called only if it is kept."""
        if self._count % self.stride == 0:
            self._kept.append((self._count, key, make()))
        self._count += 1
        if len(self._kept) > self.max_frames:
            self.stride *= 2
            self._kept = [entry for entry in self._kept if entry[0] % self.stride == 0]

    def kept(self) -> dict[Key, Kept]:
        """Key -> what was made of it, in the order of the frames."""
        return {key: made for _, key, made in self._kept}
