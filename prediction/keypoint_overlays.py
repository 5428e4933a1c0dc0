"""Poses that were lifted from keypoints, drawn on the images or the video that the keypoints are of."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import numpy as np

from evolift.drawing.overlay import draw_joints, sigma_in_pixels
from evolift.drawing.pose_page import embedded_image
from evolift.posedata.errors import InputError
from evolift.posedata.image_file import read_image, write_image
from evolift.posedata.image_settings import ImageSettings
from evolift.posedata.output_file import shortened
from evolift.posedata.predictions.predictions import Predictions
from evolift.posedata.video_file import VideoReader, VideoWriter
from evolift.prediction.input_kinds import OVERLAY
from evolift.prediction.prediction_results import PredictionResults


def draw_keypoints(
    predictions: Predictions,
    label: str,
    images: Path,
    overlay: Path,
    results: PredictionResults,
    settings: ImageSettings = ImageSettings(),
) -> None:
    """Write overlays of the 2D joints of a file of keypoints, and offer the images to the page.

    Args:
        predictions: of the file.
        label: of the file, for messages.
        images: folder with the images that the file names, in it or below it; or the video whose frames it numbers.
        overlay: video to write; of images, NAME_overlay.png beside it.
        results: get the images, and what could not be drawn.
        settings: how large images and frames may be.

    Raises:
        InputError: there is no such folder or video, or the file does not name its images.
        OutputError: an overlay cannot be written.
    """
    rows: dict[tuple[str, int], list[int]] = {}
    for row, key in enumerate(zip(predictions.image, predictions.frame.tolist(), strict=True)):
        rows.setdefault(key, []).append(row)
    if images.is_dir():
        _on_images(predictions, rows, label, images, overlay.parent, results, settings)
    else:
        _on_video(predictions, rows, label, images, overlay, results, settings)


def _drawn(predictions: Predictions, image: np.ndarray, rows: list[int]) -> np.ndarray:
    chosen = np.array(rows)
    return draw_joints(
        image,
        predictions.joints_2d[chosen],
        predictions.skeleton,
        confidence=predictions.confidence[chosen],
        sigma_px=None
        if predictions.sigma_mm is None
        else sigma_in_pixels(
            predictions.joints_2d[chosen], predictions.joints_3d[chosen], predictions.sigma_mm[chosen]
        ),
    )


def _on_images(
    predictions: Predictions,
    rows: dict[tuple[str, int], list[int]],
    label: str,
    folder: Path,
    output: Path,
    results: PredictionResults,
    settings: ImageSettings,
) -> None:
    places: dict[str, list[Path]] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        places.setdefault(path.name, []).append(path)
    if not any(Path(name).name in places for name, _ in rows):
        raise InputError(
            f"{folder} has none of the images that {label} names (such as {next(iter(rows))[0]!r}): give the folder of its images, or its video"
        )
    for (name, frame), people in rows.items():
        place = _place(folder, name, places.get(Path(name).name, []))
        if isinstance(place, str):
            results.note_all(f"not drawn, as {folder} has {place} of that name", name)
            continue
        image = read_image(place, settings)
        stem = shortened(place.stem)
        number, target = 1, output / f"{stem}{OVERLAY}.png"
        while target.exists():
            number += 1
            target = output / f"{stem}_{number}{OVERLAY}.png"
        write_image(target, _drawn(predictions, image, people))
        results.images.offer((name, frame), lambda image=image: embedded_image(image))  # type: ignore[misc]  # bound now


def _place(folder: Path, name: str, found: list[Path]) -> Path | str:
    """The image of a name: at that place in the folder, or the only one of that name below it; or how many there are."""
    exact = folder / name
    if exact in found or len(found) == 1:
        return exact if exact in found else found[0]
    return "several images" if found else "no image"


def _on_video(
    predictions: Predictions,
    rows: dict[tuple[str, int], list[int]],
    label: str,
    source: Path,
    overlay: Path,
    results: PredictionResults,
    settings: ImageSettings,
) -> None:
    by_frame: dict[int, list[int]] = {}
    for (_, frame), people in rows.items():
        by_frame.setdefault(frame, []).extend(people)
    with (
        VideoReader(source, settings) as video,
        VideoWriter(overlay, video.size, video.frames_per_second) as written,
    ):
        # Only files that count from 1 have a frame of the number of frames that there are.
        first = int(min(by_frame) >= 1 and max(by_frame) == video.count > 0)
        if first:
            results.note(
                f"{label}: its frames are taken to count from 1, as {source.name} has {video.count}."
            )
        for number, image in zip(count(first), video):
            people = by_frame.pop(number, [])
            written.write(_drawn(predictions, image, people) if people else image)
            if people:
                key = (predictions.image[people[0]], number)
                results.images.offer(key, lambda image=image: embedded_image(image))  # type: ignore[misc]  # bound now
        if by_frame:
            results.failed.append(
                f"{label}: {len(by_frame)} of its frames, such as {min(by_frame)}, are not among the {video.read} of {source}: give the video that it is of"
            )
