"""The page of a set of predictions: chosen frames with their people, images where there are any, and read-outs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from evolift.drawing.pose_page import EmbeddedImage, PosePageItem, Reading, write_pose_page
from evolift.posedata.predictions.predictions import Predictions

MAX_FRAMES = 300
"""A page shows at most so many frames, spread evenly, so that browsers can open it."""
MAX_PEOPLE = 1000
"""And so many people: a crowd makes for fewer frames."""

FrameKey = tuple[str, int]
"""Name of the image or video, and number of the frame."""
Readings = Callable[[Float32[np.ndarray, "rows joints 3"]], Sequence[Sequence[Reading]]]
"""Root-relative poses in the camera's frame, mm -> the numbers to show beside each."""


def write_prediction_page(
    path: Path,
    predictions: Predictions,
    *,
    title: str,
    images: Mapping[FrameKey, EmbeddedImage] | None = None,
    readings: Readings | None = None,
    notes: Sequence[str] = (),
    image_notes: Mapping[FrameKey, Sequence[str]] | None = None,
    frames_per_second: float = 10.0,
) -> None:
    """Write a page that can be opened without a network (see `evolift.drawing.pose_page`).

    Args:
        path: of the HTML file.
        predictions: at least one.
        title: of the page.
        images: of frames; if there are any, only these frames are shown.
        readings: numbers to show beside each pose.
        notes: sentences below the poses.
        image_notes: sentences on single images, shown with these.
        frames_per_second: of the play button.

    Raises:
        OutputError: the file exists, or cannot be written.
    """
    by_frame: dict[FrameKey, list[int]] = {}
    for row, key in enumerate(zip(predictions.image, predictions.frame.tolist(), strict=True)):
        by_frame.setdefault(key, []).append(row)
    keys = [key for key in by_frame if not images or key in images]
    max_shown = max(1, min(MAX_FRAMES, MAX_PEOPLE * len(keys) // sum(len(by_frame[key]) for key in keys)))
    shown = [
        keys[place]
        for place in np.unique(np.linspace(0, len(keys) - 1, min(max_shown, len(keys))).round().astype(int))
    ]
    rows = [row for key in shown for row in by_frame[key][:MAX_PEOPLE]]
    numbers = dict(
        zip(rows, readings(predictions.joints_3d[rows]) if readings else [()] * len(rows), strict=True)
    )
    items = []
    for number, key in enumerate(shown):
        names = _distinct([predictions.person[row] for row in by_frame[key][:MAX_PEOPLE]])
        told = (image_notes or {}).get(key, ())
        for place, (name, row) in enumerate(zip(names, by_frame[key], strict=False)):
            item = _item(predictions, row, number, name, (images or {}).get(key), numbers[row])
            items.append(item if place else replace(item, notes=told))
    if len(shown) < len(by_frame):
        notes = [
            *notes,
            f"{len(shown)} of {len(by_frame)} frames are shown; the files beside this page have all.",
        ]
    write_pose_page(path, items, title=title, notes=notes, frames_per_second=frames_per_second)


def _item(
    predictions: Predictions,
    row: int,
    number: int,
    person: str,
    image: EmbeddedImage | None,
    readings: Sequence[Reading],
) -> PosePageItem:
    is_of_many = len(predictions) > 1 and bool((predictions.frame != 0).any())
    caption = predictions.image[row] + (f", frame {predictions.frame[row]}" if is_of_many else "")
    return PosePageItem(
        image,
        predictions.joints_2d[row],
        predictions.joints_3d[row],
        predictions.confidence[row],
        predictions.skeleton,
        caption,
        number,
        person,
        readings,
        predictions.root_3d[row],
        sigma_mm=None if predictions.sigma_mm is None else predictions.sigma_mm[row],
    )


def _distinct(names: Sequence[str]) -> list[str]:
    """Names of one frame, repeated ones numbered."""
    seen: dict[str, int] = {}
    distinct = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        distinct.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return distinct
