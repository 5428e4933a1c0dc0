"""The individuals of an evolution of motion: windows of so many frames that are cut from the clips of a store.

A clip is what a subject does in an action, in the order of its frame numbers. It is cut where frames are missing (a step of over
`GAP` times the usual one), and what is left is cut into windows that overlap by half, from end to end.

A store does not tell the time between its frames. Frame numbers do not either: kept at 10 of 60 or of 120 frames per second they
go in steps of 6 or of 12. So the rate is that which the store was imported with, or it must be given.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from evolift.posedata.errors import InputError
from evolift.posedata.exporters.sequences import Sequence
from evolift.posedata.frame_rate import GAP, rows_per_second, usual_step
from evolift.posedata.store import PoseStore

SAME_RATE = 1.1
"""Usual steps of clips that differ by a larger factor are those of different rates, unless the store was imported at one rate."""


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows of a store.

    Args:
        rows: of the store, one for each frame.
        left_out: clips of which no part is as long as a window, as "subject action".
    """

    rows: Int64[np.ndarray, "windows frames"]
    left_out: tuple[str, ...]


def rate_of_store(store: PoseStore, frames_per_second: float | None) -> float:
    """Frames per second of a store's clips: as given, or else as it was imported.

    Raises:
        InputError: neither is known.
    """
    known = frames_per_second or rows_per_second(store.provenance)
    if known is None:
        raise InputError(
            f"{store.path}: a store does not tell the time between its frames, which motion needs: give `frames_per_second`"
        )
    return known


def windows_of(store: PoseStore, sequences: list[Sequence], frames: int) -> Windows:
    """Cut the clips of a store.

    Args:
        sequences: of the store.
        frames: of a window.

    Raises:
        InputError: a frame has two poses, the clips are of different rates, or none is as long as a window.
    """
    steps = [_usual_step(store, one) for one in sequences]
    _require_one_rate(store, sequences, steps)
    rows: list[np.ndarray] = []
    left_out, longest = [], 0
    for one, step in zip(sequences, steps, strict=True):
        before = len(rows)
        for run in np.split(one.row, np.flatnonzero(np.diff(one.frame) > GAP * step) + 1):
            longest = max(longest, len(run))
            rows += [run[start : start + frames] for start in window_starts(len(run), frames)]
        if len(rows) == before:
            left_out.append(f"{one.subject} {one.action}")
    if not rows:
        raise InputError(
            f"{store.path}: no clip has {frames} frames in a row, the longest has {longest}: lower `clip_frames`"
        )
    return Windows(np.stack(rows), tuple(left_out))


def window_starts(length: int, frames: int) -> list[int]:
    """Where windows start in so many frames: evenly from end to end, so that they overlap by half or somewhat more."""
    if length < frames:
        return []
    steps = -(-(length - frames) // max(frames // 2, 1))
    return [round(place) for place in np.linspace(0, length - frames, steps + 1)]


def _usual_step(store: PoseStore, one: Sequence) -> float:
    steps = np.diff(one.frame)
    if (steps == 0).any():
        raise InputError(
            f"{store.path}: frame {one.frame[int((steps == 0).argmax())]} of {one.subject} {one.action} has two poses, so that it is no clip over time: evolve a store of clips, such as the one that its poses were bred from"
        )
    return usual_step(steps) if len(steps) else np.nan


def _require_one_rate(store: PoseStore, sequences: list[Sequence], steps: list[float]) -> None:
    if rows_per_second(store.provenance) is not None or np.isnan(steps).all():
        return
    slow, fast = np.nanargmax(steps), np.nanargmin(steps)
    if steps[slow] > SAME_RATE * steps[fast]:
        names = [f"{sequences[place].subject} {sequences[place].action}" for place in (slow, fast)]
        raise InputError(
            f"{store.path}: frames of {names[0]} go in steps of {steps[slow]:.3g}, those of {names[1]} in steps of {steps[fast]:.3g}, so their rates may differ: import them with one `fps`, or evolve each alone (`evolift data select`)"
        )
