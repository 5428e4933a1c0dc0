"""Other people's detectors by name or file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from evolift.posedata.errors import InputError
from evolift.posedata.skeleton import Skeleton
from evolift.prediction.detectors.mediapipe_detector import MediapipeDetector
from evolift.prediction.detectors.onnx_detector import OnnxDetector
from evolift.prediction.detectors.people_detector import PeopleDetector
from evolift.prediction.detectors.rtmlib_detector import PARTS, RtmlibDetector
from evolift.prediction.reports import Report, report_nothing
from evolift.prediction.settings import (
    MEDIAPIPE,
    ONNX,
    RTMLIB,
    ModelSettings,
    PersonSettings,
    kind_of_detector,
)


def load_people_detector(
    choice: str,
    *,
    detector_weights: Sequence[str | Path] = (),
    detector_mode: str = ModelSettings().detector_mode,
    detector_skeleton: Skeleton | None = None,
    min_score: float = PersonSettings().person_score,
    max_people: int | None = None,
    device: str = "cpu",
    report: Report = report_nothing,
) -> PeopleDetector:
    """A detector of joints by choice.

    Args:
        choice: "rtmlib", "rtmlib:feet", "rtmlib:wholebody", "mediapipe", or the path of an .onnx file.
        detector_weights: files of rtmlib or mediapipe, see `RtmlibDetector` and `MediapipeDetector`.
        detector_mode: of rtmlib.
        detector_skeleton: of an .onnx file's joints, where their number does not tell it.
        min_score: people of a lower score are left out, by mediapipe and .onnx files that give one.
        max_people: that mediapipe looks for.
        device: of rtmlib; the others run on the CPU.
        report: called with sentences on what is downloaded, and what a file was recognised as.

    Raises:
        InputError: there is no such detector, its package is not installed, or it cannot be loaded.
    """
    kind, _, part = choice.partition(":")
    if kind == RTMLIB:
        return RtmlibDetector(
            part or next(iter(PARTS)),
            mode=detector_mode,
            weights=detector_weights,
            device=device,
            report=report,
        )
    if choice == MEDIAPIPE:
        return MediapipeDetector(detector_weights, min_score=min_score, max_people=max_people)
    if kind_of_detector(choice) == ONNX and Path(choice).is_file():
        return OnnxDetector(Path(choice), skeleton=detector_skeleton, min_score=min_score, report=report)
    raise InputError(
        f"{choice} is none of other people's detectors: give {RTMLIB}, {RTMLIB}:feet, {RTMLIB}:wholebody, {MEDIAPIPE}, or an .onnx file that is there"
    )
