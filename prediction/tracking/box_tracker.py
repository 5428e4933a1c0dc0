"""Which person box of one video frame is which of the frames before: matching by overlap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from evolift.prediction.persons.box_geometry import box_overlaps


@dataclass
class _Track:
    name: str
    box: np.ndarray
    age: int = 0


class BoxTracker:
    """Gives boxes the ids of the tracks that they overlap most, all at once (Hungarian assignment).

    Args:
        min_overlap: smallest intersection over union of one person in two frames.
        patience: frames that a person may be missing without losing its id.

    Raises:
        ValueError: a setting is out of its range.
    """

    def __init__(self, *, min_overlap: float = 0.3, patience: int = 15) -> None:
        if not 0 < min_overlap <= 1 or patience < 0:
            raise ValueError(
                f"overlap must be in (0, 1], patience at least 0 (got {min_overlap}, {patience})"
            )
        self.min_overlap, self.patience = min_overlap, patience
        self._tracks: list[_Track] = []
        self._named = 0

    def update(self, boxes: Float[np.ndarray, "people 4"]) -> tuple[str, ...]:
        """Ids of the boxes (left, top, width, height) of the next frame, counted from "1"."""
        from scipy.optimize import linear_sum_assignment  # noqa: PLC0415  # slow, and images need no tracks

        overlaps = box_overlaps(boxes, np.array([track.box for track in self._tracks]).reshape(-1, 4))
        overlaps = np.where(overlaps < self.min_overlap, 0.0, overlaps)
        rows, columns = linear_sum_assignment(overlaps, maximize=True)
        matched = {int(r): self._tracks[c] for r, c in zip(rows, columns, strict=True) if overlaps[r, c] > 0}
        for track in self._tracks:
            track.age += 1
        names = []
        for row, box in enumerate(boxes):
            track = matched.get(row) or self._new_track()
            track.box, track.age = box, 0
            names.append(track.name)
        self._tracks = [track for track in self._tracks if track.age <= self.patience]
        return tuple(names)

    def _new_track(self) -> _Track:
        self._named += 1
        self._tracks.append(_Track(str(self._named), np.zeros(4)))
        return self._tracks[-1]
