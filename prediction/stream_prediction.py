"""3D poses of a stream of 2D keypoints, as they come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from evolift.posedata.errors import InputError
from evolift.posedata.keypoint_formats.line_stream import KeypointStream, arriving_lines
from evolift.posedata.keypoint_formats.name_mapping import read_name_mapping
from evolift.posedata.predictions.predictions import Predictions
from evolift.prediction.cameras.camera_choice import CameraRule
from evolift.prediction.keypoint_lifting import lift_keypoints
from evolift.prediction.model_loading import keypoint_lifter
from evolift.prediction.reports import Held, Report, report_nothing
from evolift.prediction.settings import CameraSettings, KeypointSettings, ModelSettings
from evolift.training.run_folder import run_record


class StreamAnswer(NamedTuple):
    """What became of some lines.

    Args:
        predictions: of the people in them, None if none could be read.
        failed: a sentence for each line that could not be read and each person who could not be lifted.
    """

    predictions: Predictions | None
    failed: tuple[str, ...]


def predict_stream(
    lines: Iterable[str],
    models: ModelSettings = ModelSettings(),
    camera: CameraSettings = CameraSettings(),
    keypoints: KeypointSettings = KeypointSettings(),
    *,
    where: str = "standard input",
    report: Report = report_nothing,
) -> Iterator[StreamAnswer]:
    """Lift lines of keypoints as they come.

    Args:
        lines: JSON with joints_2d, and if known confidence, image, frame, person and skeleton; reading the next may
            take as long as it likes.
        models: the lifter; the first answer waits for it.
        camera: that images are of.
        keypoints: skeleton or mapping of the joints, and size of the images, if the lines do not tell them.
        where: what messages call the stream.
        report: called with sentences on the weights that are used, and once on each thing that was assumed or not read.

    Yields:
        Answers, in the order of the lines.

    Raises:
        InputError: nobody came, or settings do not fit.
        CheckpointError: a checkpoint is damaged or of another stage.
    """
    keypoints.require_stream()
    if models.temporal is not None:
        raise InputError(
            "a stream is lifted as it comes, without its neighbours in time: leave out `temporal`"
        )
    weights = Held(report)
    lifter = keypoint_lifter(models, weights.hold)
    rule = CameraRule.of_settings(camera, lifter.settings.normalisation)
    size = keypoints.image_size
    if size is None and rule.intrinsics is not None:
        size = rule.intrinsics.size
    record = run_record("evolift predict", models, camera, keypoints, inputs=["-"])
    mapping = None if keypoints.mapping is None else read_name_mapping(Path(keypoints.mapping))
    weights.release()
    stream, is_empty = KeypointStream(where, keypoints.skeleton, mapping, size), True
    for batch in arriving_lines(lines):
        failed: list[str] = []
        arrived = stream.read(batch)
        for note in stream.notes():
            report(f"{where}: {note}")
        for people in arrived:
            chosen = rule.of_keypoints(people.image_size, where)
            lifted = lift_keypoints(
                lifter,
                people,
                where,
                cameras=chosen.cameras,
                camera=chosen.camera,
                camera_assumption=chosen.sentence,
                provenance=record,
                min_joint_confidence=keypoints.min_joint_confidence,
            )
            failed += lifted.skipped
            is_empty = False
            yield StreamAnswer(lifted.predictions, ())
        if failed := [*stream.failed, *failed]:
            stream.failed.clear()
            is_empty = False
            yield StreamAnswer(None, tuple(failed))
    if is_empty:
        raise InputError(f"{where} held nobody: give a JSON object with joints_2d on each line")
