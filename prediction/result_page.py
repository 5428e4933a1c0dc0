"""The page of predictions with joint angles, which `evolift predict` and `evolift app` give."""

from __future__ import annotations

from pathlib import Path

from evolift.drawing.prediction_page import write_prediction_page
from evolift.prediction.joint_angles import NOTE, joint_readings
from evolift.prediction.prediction_results import PredictionResults


def write_result_page(path: Path, results: PredictionResults, title: str) -> None:
    """Write a page of results, of which there must be some.

    Raises:
        OutputError: the file exists, or cannot be written.
    """
    predictions = results.joined()
    readings = joint_readings(predictions.skeleton)
    kept = results.images.kept()
    # What is said of an image is shown with it, unless the page has not got it.
    is_shown = results.image_notes.keys() <= kept.keys()
    elsewhere = [note for note in results.notes if not (is_shown and note in results.said_with_images)]
    write_prediction_page(
        path,
        predictions,
        title=title,
        images=kept,
        readings=readings,
        notes=[predictions.camera_assumption, *([NOTE] if readings else []), *elsewhere],
        image_notes=results.image_notes,
        frames_per_second=results.frames_per_second / results.images.stride,
    )
