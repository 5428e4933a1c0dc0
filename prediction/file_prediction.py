"""3D poses of the people in images, videos and files of 2D keypoints, with files, overlays and a page of them.

    results = predict_files(["photo.jpg"], Path("poses"))
    results.clips[0].predictions.joints_3d

is what `evolift predict` does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from evolift.posedata.errors import EvoliftError, InputError, OutputError
from evolift.posedata.input_file import FilePath, as_paths
from evolift.posedata.output_file import hashes_of
from evolift.posedata.progress import Progress, no_progress
from evolift.posedata.settings import require_settings
from evolift.prediction.cameras.camera_choice import CameraRule
from evolift.prediction.image_prediction import ImagePrediction
from evolift.prediction.input_kinds import PAGE, overlay_names, prediction_inputs
from evolift.prediction.keypoint_file_prediction import predict_keypoint_file
from evolift.prediction.model_loading import image_pipeline, keypoint_lifter, temporal_lifting
from evolift.prediction.persons.people_finder import people_finder
from evolift.prediction.prediction_results import PredictionResults
from evolift.prediction.reports import Held, Report, report_nothing
from evolift.prediction.result_page import write_result_page
from evolift.prediction.settings import OUTPUT, PredictSettings
from evolift.training.run_folder import run_folder, run_record

Predictor = Callable[[Any, str, Path], object]
"""(path or number of a webcam, label, overlay to write) -> predicts it into the results."""


def predict_files(
    inputs: FilePath | Sequence[FilePath],
    output: str | Path = OUTPUT,
    settings: PredictSettings = PredictSettings(),
    *,
    webcam: int | None = None,
    overwrite: bool = False,
    progress: Progress = no_progress,
    report: Report = report_nothing,
) -> PredictionResults:
    """Predict images, videos and keypoints into a folder.

    What cannot be read, lifted or written is named among the `failed` of the results (`raise_failures` raises it), and
    the rest is done.

    Args:
        inputs: files, folders of images and videos or of OpenPose files, and patterns such as `*.jpg`.
        output: folder to make, `runs/predict` if nothing else is said; it gets files of poses, an overlay of each image and video, and page.html.
        settings: what predicts, and how.
        webcam: number of a webcam to predict after the inputs, until Ctrl-C.
        overwrite: replace the folder if it is one of ours.
        progress: counts inputs, and the frames of videos.
        report: called with sentences as they come up: which weights are used, what a file was recognised as, and the
            notes of the results.

    Raises:
        InputError: there is nothing to predict, settings do not fit the inputs, or nothing could be predicted.
        CheckpointError: a checkpoint is damaged or of another stage.
        OutputError: the folder exists and is not empty, or cannot be made.
    """
    require_settings("settings", settings, PredictSettings)
    paths, output = as_paths(inputs), Path(output)
    spelt = prediction_inputs(paths, are_keypoints=settings.keypoints.format is not None)
    if not spelt.inputs and webcam is None:
        raise InputError("give images, videos or files of keypoints, or `webcam` NUMBER")
    record = run_record("evolift predict", settings, inputs=paths, webcam=webcam, output=output)
    results = PredictionResults(
        is_smooth=settings.smooth,
        temporal=temporal_lifting(settings.models),
        notes=spelt.notes,
        failed=spelt.problems,
    )
    kinds = {"video"} if webcam is not None else set()
    kinds.update(one.kind for one in spelt.inputs)
    if kinds <= {"keypoints"}:
        settings.people.require_images()
    elif "keypoints" not in kinds:
        settings.keypoints.require_files()
    count = _Count(progress, len(spelt.inputs) + (webcam is not None))
    record["checkpoints"] = hashes_of(settings.files)
    names = overlay_names(spelt.inputs)
    jobs: list[tuple[str, Path | int, str, str]] = [
        (one.kind, one.path, one.label, name) for one, name in zip(spelt.inputs, names, strict=True)
    ]
    if webcam is not None:
        jobs.append(("video", webcam, f"webcam {webcam}", "webcam_overlay.mp4"))
    read = [one.path for one in spelt.inputs]
    with run_folder(output, record, overwrite=overwrite, inputs=read):
        predictors = _predictors(kinds, settings, results, record, count, report)
        count.begin()
        for kind, source, label, name in jobs:
            try:
                predictors[kind](source, label, output / name)
            except EvoliftError as error:
                results.failed.append(str(error))
            count.one_is_done()
        results.note_labelled()
        results.note_incomplete()
        if settings.strict and results.incomplete:
            results.failed.append(f"{len(results.incomplete)} of the images are incomplete (`strict`)")
        _write(output, results, settings.formats, report)
        if not results.written:  # inside the block, so that no folder of nothing stays
            results.raise_failures()
    return results


def _predictors(
    kinds: Collection[str],
    settings: PredictSettings,
    results: PredictionResults,
    record: dict[str, Any],
    count: _Count,
    report: Report,
) -> dict[str, Predictor]:
    """What predicts inputs of each kind into the results; which weights these are of is told when they are first used."""
    weights = Held(report)
    if set(kinds) <= {"keypoints"}:
        people, pipeline = None, None
        lifter = keypoint_lifter(settings.models, weights.hold)
    else:
        finder = people_finder(settings.people, device=settings.models.device)
        pipeline = image_pipeline(settings.models, settings.people, weights.hold)
        people = pipeline.everybody(finder, settings.people.box)
        lifter = pipeline.lifter
    cameras = CameraRule.of_settings(settings.camera, lifter.settings.normalisation)

    def keypoints(path: Path, label: str, overlay: Path) -> None:
        predict_keypoint_file(
            path,
            label,
            lifter,
            settings.keypoints,
            cameras,
            results,
            provenance=record,
            overlay=overlay,
            images=settings.images,
            formats=settings.formats,
            before_lifting=weights.release,
            report=report,
        )

    if pipeline is None:
        return {"keypoints": keypoints}
    images = ImagePrediction(
        pipeline,
        cameras,
        results,
        record,
        people,
        settings.people.box,
        settings.people.max_people,
        images=settings.images,
        min_confidence=settings.people.min_confidence,
        before_prediction=weights.release,
    )

    def video(source: Path | int, label: str, overlay: Path) -> None:
        images.video(source, label, overlay, frames=settings.frames, progress=count.of_frames())

    return {"keypoints": keypoints, "image": images.image, "video": video}


def _write(output: Path, results: PredictionResults, formats: Sequence[str], report: Report) -> None:
    """Write files of poses and the page, if there are any results, and tell the notes."""
    for note in results.notes:
        report(note)
    if not results.clips:
        return
    told = len(results.notes)
    results.write_files(output, formats)
    try:
        write_result_page(output / PAGE, results, "3D poses")
        results.written.append(output / PAGE)
    except OutputError as error:
        results.failed.append(str(error))
    for note in results.notes[told:]:  # what the formats had to say
        report(note)


class _Count:
    """Tells progress of inputs together with that of the frames of videos among them."""

    def __init__(self, progress: Progress, inputs: int) -> None:
        self._progress, self._total = progress, inputs

    def begin(self) -> None:
        """All inputs are still to be done."""
        self._progress(0, self._total)

    def one_is_done(self) -> None:
        """One more input is done."""
        self._progress(1)

    def of_frames(self) -> Progress:
        """Progress for the frames of one more video."""
        frames = 0

        def progress(done: int, total: int | None = None) -> None:
            nonlocal frames
            if total is not None:
                self._total += total - frames
                frames = total
            self._progress(done, self._total)

        return progress
