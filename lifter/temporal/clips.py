"""The clips of pose stores: what each sees of a person over time, at one rate, from frame to frame.

A clip is the rows of one subject, action and camera in the order of their frame numbers. Where more than `MAX_MISSING` frames
are missing it is cut; fewer are interpolated, and so are all frames where a store has another rate than is asked for:
joints move on straight lines between the rows before and after.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from evolift.lifter.data.pose_source import ROWS_IN_MEMORY, Bodies, PosePart
from evolift.lifter.protocol import frame_gap
from evolift.lifter.temporal.frame_rate import MAX_MISSING, places_between
from evolift.lifter.temporal.settings import TemporalSettings
from evolift.posedata.errors import InputError
from evolift.posedata.frame_rate import NUMBERED, rows_per_second, usual_step
from evolift.posedata.joint_mapping import UNLABELLED
from evolift.posedata.seeds import numpy_generator_at
from evolift.posedata.store import PoseStore

SLOWEST = 0.75
"""Part of a lifter's frame rate below which a store is refused: between so few frames nobody moves on straight lines."""
STEPS_PER_WINDOW = 1000
"""Training steps for which the same clips of a store are held that is too large for memory."""

_log = logging.getLogger(__name__)


class ClipFrames(NamedTuple):
    """Frames of clips, one clip after the other, each somewhere between two rows.

    Args:
        before, after: the rows around each frame, the same where it is at a row.
        share: of the row after, from 0 to 1.
        first, last: places of the first and the last frame of each frame's clip, in these arrays.
    """

    before: Int64[np.ndarray, "frames"]
    after: Int64[np.ndarray, "frames"]
    share: Float32[np.ndarray, "frames"]
    first: Int64[np.ndarray, "frames"]
    last: Int64[np.ndarray, "frames"]

    @property
    def starts(self) -> Int64[np.ndarray, "clips"]:
        """Place of the first frame of each clip."""
        return np.unique(self.first)

    def of_clips(self, starts: Int64[np.ndarray, "chosen"]) -> ClipFrames:
        """The frames of the clips that start at these places, one after the other."""
        lengths = self.last[starts] - starts + 1
        ends = np.cumsum(lengths)
        shift = np.repeat(starts - (ends - lengths), lengths)
        places = np.arange(len(shift)) + shift
        taken = ClipFrames(*(values[places] for values in self))
        return taken._replace(first=taken.first - shift, last=taken.last - shift)


def clip_frames(
    path: Path,
    table: pd.DataFrame,
    rows: Int64[np.ndarray, "rows"],
    rate: float,
    *,
    numbered: float | None = None,
    per_second: float | None = None,
) -> ClipFrames:
    """The clips that some rows of a store make.

    Args:
        path: of the store, for messages.
        table: of `PoseStore.table`.
        rows: of it, increasing.
        rate: frames a second that are wanted.
        numbered: frames a second that its frame numbers count, whichever of them it holds.
        per_second: rows of a clip in a second, from which the former follows.

    Raises:
        InputError: none of the two is known, a clip has two rows of one frame, or there are far fewer rows a second than are wanted.
    """
    chosen = table.iloc[rows]
    labels = [chosen[name].cat.codes.to_numpy() for name in ("subject", "action")]
    camera = chosen["camera"].to_numpy() if "camera" in chosen else np.zeros(len(rows), int)
    number = chosen["frame"].to_numpy()
    order = np.lexsort([number, camera, *labels[::-1]])
    rows, number = rows[order], number[order]
    same = np.logical_and.reduce([np.diff(key[order]) == 0 for key in (camera, *labels)])
    step = np.diff(number)
    twice = np.flatnonzero(same & (step == 0))
    if len(twice):
        row = table.iloc[rows[twice[0]]]
        raise InputError(
            f"{path}: frame {row['frame']} of {row['subject']}, {row['action']}, is there twice, so that its poses are no clip: give a store with one person and one camera in a clip"
        )
    if numbered is None and per_second is not None:
        numbered = per_second * (usual_step(step[same]) if same.any() else 1)
    if numbered is None:
        raise InputError(
            f"{path} does not tell how many frames a second its frame numbers count: give `store_fps`"
        )
    gap = frame_gap(chosen) or 1
    if numbered / gap < SLOWEST * rate:
        raise InputError(
            f"{path}: it has {numbered / gap:g} frames a second, and the lifter sees {rate:g}: import it again with more, or give fewer `frames_per_second`"
        )
    missing = np.round(step / gap) - 1
    edges = np.flatnonzero(~same | (missing > MAX_MISSING)) + 1
    parts: list[tuple[np.ndarray, ...]] = []
    length = 0
    for its_rows, its_numbers in zip(np.split(rows, edges), np.split(number, edges), strict=True):
        at, share = places_between((its_numbers - its_numbers[0]) / numbered, rate)
        count = len(at)
        bounds = (np.full(count, length), np.full(count, length + count - 1))
        parts.append(
            (its_rows[at], its_rows[np.minimum(at + (share > 0), len(its_rows) - 1)], share, *bounds)
        )
        length += count
    return ClipFrames(*(np.concatenate(column) for column in zip(*parts, strict=True)))


@dataclass(frozen=True, eq=False, kw_only=True)
class Footage(Bodies):
    """Clips as bodies: of each frame that is asked for, the window of frames that a lifter sees for it.

    Args:
        joints, camera, pixels, visibility: of rows, see `Bodies`.
        frames: of clips, whose rows are places in these.
        window: what a window holds, as places relative to the frame that is asked for.
    """

    frames: ClipFrames
    window: Int64[np.ndarray, "seen"] | None

    def __len__(self) -> int:
        return len(self.frames.before)

    def __getitem__(self, rows: Int64[Tensor, "chosen"]) -> Bodies:
        """The bodies of the windows of these frames, window after window; frames before and behind a clip are its ends."""
        chosen = rows.numpy()
        if self.window is not None:
            places = chosen[:, None] + self.window
            low, high = self.frames.first[chosen, None], self.frames.last[chosen, None]
            chosen = np.clip(places, low, high).reshape(-1)
        before, after = (torch.from_numpy(values[chosen]) for values in self.frames[:2])
        share = torch.from_numpy(self.frames.share[chosen])
        bodies = Bodies(self.joints, self.camera, self.pixels, self.visibility)
        return _between(bodies[before], bodies[after], share)


def _between(before: Bodies, after: Bodies, share: Tensor) -> Bodies:
    part = share[:, None, None]
    pixels, visibility = before.pixels, before.visibility
    if (
        pixels is not None
        and after.pixels is not None
        and visibility is not None
        and after.visibility is not None
    ):
        pixels = torch.lerp(pixels, after.pixels, part)
        lost = (after.visibility == UNLABELLED) & (share > 0)[:, None]
        visibility = torch.minimum(visibility, after.visibility).masked_fill(lost, UNLABELLED)
    return Bodies(torch.lerp(before.joints, after.joints, part), before.camera, pixels, visibility)


class ClipPart(PosePart):
    """Some rows of one store as clips, in the lifter's skeleton.

    Args:
        path: of the store.
        rows: increasing row numbers.
        lifter: whose windows and rate are wanted.
        store_fps: frames a second that the store's frame numbers count; None if the store is to tell it.
        rows_in_memory: of more rows than that a draw of clips is held.

    Raises:
        InputError: nobody knows the store's rate, or it is far below the lifter's; or as of `PosePart`.
        StoreError: the store is not sound.
    """

    def __init__(
        self,
        path: Path,
        rows: Int64[np.ndarray, "rows"],
        lifter: TemporalSettings,
        store_fps: float | None = None,
        *,
        rows_in_memory: int = ROWS_IN_MEMORY,
    ) -> None:
        super().__init__(path, rows, lifter.skeleton, rows_in_memory=0)
        with PoseStore(path, validate=False) as store:
            table = store.table()
            numbered = NUMBERED.get(store.provenance.command) if store_fps is None else store_fps
            per_second = rows_per_second(store.provenance)
        self.frames = clip_frames(
            path, table, rows, lifter.frames_per_second, numbered=numbered, per_second=per_second
        )
        self.seen = np.arange(lifter.frames) - lifter.target_frame
        self._rows_held = rows_in_memory
        self._held: tuple[tuple[int, int], Footage] | None = None
        starts = self.frames.starts
        short = int((self.frames.last[starts] - starts + 1 < lifter.frames).sum())
        if short:
            _log.warning(
                "%s: %d of %d clips are shorter than %d frames: their first and last frames are repeated.",
                path, short, len(starts), lifter.frames,
            )  # fmt: skip

    def bodies_at(self, step: int, seed: int) -> Footage:
        """The clips that the draws of a step choose among: all, or those of that step."""
        key = (step // STEPS_PER_WINDOW, seed) if self.row_count > self._rows_held else (0, 0)
        if self._held is None or self._held[0] != key:
            self._held = (key, self._read(key))
        return self._held[1]

    def _read(self, key: tuple[int, int]) -> Footage:
        frames = self.frames
        if self.row_count > self._rows_held:
            number, seed = key
            order = numpy_generator_at(seed, number).permutation(frames.starts)
            held = np.cumsum(frames.last[order] - order + 1) <= self._rows_held // 4
            frames = frames.of_clips(np.sort(order[: max(1, int(held.sum()))]))
        return self._footage(frames, self.seen)

    def _footage(self, frames: ClipFrames, window: Int64[np.ndarray, "seen"] | None) -> Footage:
        rows = np.unique(np.concatenate([frames.before, frames.after]))
        bodies = self.bodies_of(rows)
        placed = frames._replace(
            before=np.searchsorted(rows, frames.before), after=np.searchsorted(rows, frames.after)
        )
        columns = (bodies.joints, bodies.camera, bodies.pixels, bodies.visibility)
        return Footage(*columns, frames=placed, window=window)

    def evenly(self, count: int) -> tuple[Bodies, Int64[np.ndarray, "bodies"]]:
        """The windows of up to `count` frames, evenly spread, window after window, and the row that each frame is at or behind."""
        frames = self.frames
        total = len(frames.before)
        places = np.linspace(0, total - 1, min(count, total)).round().astype(np.int64)
        seen = np.clip(places[:, None] + self.seen, frames.first[places, None], frames.last[places, None])
        flat = seen.reshape(-1)
        alone = ClipFrames(*(values[flat] for values in frames))
        return self._footage(alone, None)[torch.arange(len(flat))], frames.before[places]

    def clip(self, start: int, most: int) -> list[tuple[Bodies, int]]:
        """One clip in pieces of at most `most` frames, each with the row that its first frame is at.

        Args:
            start: of the clip, one of `frames.starts`.
            most: frames of a piece.
        """
        whole = self.frames.of_clips(np.array([start]))
        footage = self._footage(whole, None)
        return [
            (footage[torch.arange(at, min(at + most, len(footage)))], int(whole.before[at]))
            for at in range(0, len(footage), most)
        ]
