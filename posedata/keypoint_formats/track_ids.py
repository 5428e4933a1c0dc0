"""Who is who over the frames of a file of keypoints: ids as trackers write them, and what they are worth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Int64

_UNTRACKED = -1


def track_ids(values: Sequence[Any]) -> tuple[list[str] | None, list[str]]:
    """Ids of tracked people as texts, and notes.

    Args:
        values: of each person: a number or text, in a list or not; None, an empty list and -1 stand for none. The first
            number of a list counts.

    Returns:
        The ids, None unless everybody has one; and a sentence if only some have.
    """
    ids = [_track_id(value) for value in values]
    told = [identity for identity in ids if identity is not None]
    if len(told) == len(ids):
        return told, []
    if not told:
        return None, []
    return None, [f"{len(ids) - len(told)} of {len(ids)} poses have no id, so that ids are no tracks"]


def _track_id(value: Any) -> str | None:
    while isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, str):
        return value or None
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not value > _UNTRACKED:
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # 1.0 of one program is 1 of another
    return str(value) if isinstance(value, int) or np.isfinite(value) else None


def who_is_who(
    frames: Int64[np.ndarray, "rows"], ids: Sequence[str] | None, *, is_over_time: bool
) -> tuple[tuple[str, ...], bool, list[str]]:
    """Ids of people, whether they hold over frames, and notes.

    Args:
        frames: number of each person's frame.
        ids: as the source tells them, None if it does not.
        is_over_time: that rows without ids are frames of one person, if no frame has two.
    """
    if ids is not None:
        seen: set[tuple[int, str]] = set()
        for pair in zip(frames.tolist(), ids, strict=True):
            if pair in seen:
                return (
                    _ordinals(frames),
                    False,
                    [
                        f"two people of frame {pair[0]} have the id {pair[1]!r}, so that ids are no tracks: people are numbered in each frame"
                    ],
                )
            seen.add(pair)
        return tuple(ids), True, []
    if is_over_time and 1 < len(frames) == len(np.unique(frames)):
        note = f"nothing tells who is who: its {len(frames)} rows are taken to be frames of one person"
        return ("1",) * len(frames), True, [note]
    return _ordinals(frames), False, []


def _ordinals(frames: Int64[np.ndarray, "rows"]) -> tuple[str, ...]:
    """People numbered from 1 in each frame."""
    seen: dict[int, int] = {}
    ordinals = []
    for frame in frames.tolist():
        seen[frame] = seen.get(frame, 0) + 1
        ordinals.append(str(seen[frame]))
    return tuple(ordinals)
