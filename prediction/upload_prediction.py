"""What is predicted of one upload to the local page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from evolift.posedata.image_settings import ImageSettings
from evolift.posedata.progress import Progress, no_progress
from evolift.prediction.cameras.camera_choice import CameraRule
from evolift.prediction.everybody import Everybody
from evolift.prediction.frame_choice import FrameChoice
from evolift.prediction.image_prediction import ImagePrediction
from evolift.prediction.input_kinds import prediction_inputs
from evolift.prediction.pipeline import ImagePipeline
from evolift.prediction.prediction_results import PredictionResults
from evolift.prediction.result_page import write_result_page
from evolift.prediction.temporal_lifting import TemporalLifting
from evolift.prediction.upload_server import Answer

FORMATS = ("json", "csv")
"""Files to download, and of videos BVH."""


def predict_upload(
    pipeline: ImagePipeline,
    cameras: CameraRule,
    path: Path,
    name: str,
    frames: int,
    *,
    is_smooth: bool | None = None,
    temporal: TemporalLifting | None = None,
    images: ImageSettings = ImageSettings(),
    people: Everybody | None = None,
    box: Sequence[float] | None = None,
    max_people: int | None = None,
    min_confidence: float = 0.0,
    progress: Progress = no_progress,
) -> Answer:
    """Predict an image or video as `evolift predict` does; other files go beside it.

    Args:
        pipeline: of detector and lifter.
        cameras: which camera it is taken to be of.
        path: of the upload.
        name: that the user knows it by.
        frames: maximum number of frames of a video.
        is_smooth: whether the poses of videos are smoothed over time; None for yes.
        temporal: lifts the tracks of videos over time.
        images: how large images and frames may be.
        people: finds everybody; None for the pose detector's own search.
        box: (left, top, width, height) of the one person, pixels; None to search.
        max_people, min_confidence: of the own search, see `ImagePrediction`.
        progress: counts frames; what it raises ends the prediction.

    Raises:
        InputError: it cannot be read, or nobody was found in it.
    """
    is_video = prediction_inputs([path]).inputs[0].kind == "video"
    output = path.with_name("output")
    results = PredictionResults(is_smooth=is_smooth, temporal=temporal)
    prediction = ImagePrediction(
        pipeline,
        cameras,
        results,
        people=people,
        box=box,
        max_people=max_people,
        images=images,
        min_confidence=min_confidence,
    )
    if is_video:
        prediction.video(
            path, name, output / "overlay.mp4", frames=FrameChoice(max_frames=frames), progress=progress
        )
    else:
        prediction.image(path, name, output / "overlay.png")
    results.note_labelled()
    results.note_incomplete()
    write_result_page(output / "page.html", results, name)
    results.write_files(output, (*FORMATS, "bvh") if is_video else FORMATS)
    stem = Path(name).stem
    files = {_download_name(stem, written.name): written.read_bytes() for written in results.written}
    return Answer((output / "page.html").read_text(encoding="utf-8"), tuple(results.failed), files)


def _download_name(stem: str, written: str) -> str:
    """HOLIDAY.json for predictions.json; files of tracks are called after the upload already."""
    return f"{stem}{Path(written).suffix}" if written.startswith("predictions.") else written
