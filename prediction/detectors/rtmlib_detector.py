"""rtmlib's people: YOLOX finds them and RTMPose their joints, of COCO (body), Halpe (body with feet) or COCO-WholeBody.

https://github.com/Tau-J/rtmlib (Apache-2.0). It downloads its networks at first use, into ~/.cache/rtmlib. As its README shows, it takes
images as OpenCV reads them, BGR from 0 to 255. Its joints are pixels as `cv2.warpAffine` has them, (0, 0) the centre of the first, as here.

The two stages are called one after the other, because where its person detector finds nobody, rtmlib takes the whole image for a person.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from evolift.posedata.device import AUTO
from evolift.posedata.errors import InputError, reason_of
from evolift.posedata.extras import require_extra
from evolift.posedata.skeleton import COCO17, HALPE26, Skeleton
from evolift.prediction.detectors.people_detector import Box, DetectedPeople, Image
from evolift.prediction.onnx_session import OnnxSession
from evolift.prediction.reports import Report, report_nothing
from evolift.prediction.settings import RTMLIB


class _Part(NamedTuple):
    """What rtmlib calls it, and the skeleton of its first joints."""

    solution: str
    skeleton: Skeleton


PARTS = {
    "body": _Part("Body", COCO17),
    "feet": _Part("BodyWithFeet", HALPE26),
    "wholebody": _Part("Wholebody", COCO17),
}
"""Joints that rtmlib can be asked for; of the whole body's 133 the first 17 are used."""
_SIZES = {"person detector": (640, 640), "pose network": (192, 256)}
"""(width, height) of files whose inputs are of any size: rtmlib's own defaults."""


class RtmlibDetector:
    """Finds people and their joints by rtmlib.

    Args:
        part: one of `PARTS`.
        mode: "balanced", "performance" or "lightweight".
        weights: ONNX files of the person detector and of the pose network; none for those that rtmlib downloads.
        device: "cpu", "cuda", ..., or "auto" for CUDA where onnxruntime has it.
        report: called with a sentence before anything may be downloaded.

    Raises:
        InputError: rtmlib is not installed, there is no such part or mode, or the networks cannot be had.
    """

    finds_people = True

    def __init__(
        self,
        part: str = "body",
        *,
        mode: str = "balanced",
        weights: Sequence[str | Path] = (),
        device: str = "cpu",
        report: Report = report_nothing,
    ) -> None:
        if part not in PARTS:
            raise InputError(
                f"there is no {RTMLIB}:{part}: choose {', '.join(f'{RTMLIB}:{one}' for one in PARTS)}"
            )
        if len(weights) not in (0, 2):
            raise InputError(
                f"{RTMLIB} takes two files as `detector_weights`, the .onnx of its person detector and that of its pose network, in this order, not {len(weights)}"
            )
        require_extra("rtmlib", "rtmlib")
        import rtmlib  # noqa: PLC0415  # of the extra `rtmlib`

        solution = getattr(rtmlib, PARTS[part].solution)
        if mode not in solution.MODE:
            raise InputError(f"`detector_mode` must be one of {', '.join(solution.MODE)}, not {mode}")
        self.name, self.skeleton = f"rtmlib's {PARTS[part].solution}", PARTS[part].skeleton
        self._solution = _loaded(solution, mode, [Path(one) for one in weights], device, report)

    def __call__(self, image: Image, boxes: Sequence[Box] | None = None) -> DetectedPeople:
        """The people of an image, see `evolift.prediction.detectors.people_detector.PeopleDetector`."""
        bgr = np.ascontiguousarray(image[..., ::-1])
        if boxes is None:
            corners = np.asarray(self._solution.det_model(bgr), np.float64).reshape(-1, 4)
        else:
            given = np.array(boxes, np.float64).reshape(-1, 4)
            corners = np.concatenate([given[:, :2], given[:, :2] + given[:, 2:]], 1)
        count = len(self.skeleton)
        if not len(corners):
            return DetectedPeople(np.zeros((0, count, 2)), np.zeros((0, count)))
        joints, scores = self._solution.pose_model(bgr, bboxes=corners)
        return DetectedPeople(joints[:, :count], np.clip(scores[:, :count], 0, 1))


def _loaded(solution: Any, mode: str, weights: list[Path], device: str, report: Report) -> Any:
    """One of rtmlib's solutions, with files or with what it downloads.

    Raises:
        InputError: a file cannot be used, or a download failed.
    """
    if device == AUTO:
        import onnxruntime  # noqa: PLC0415  # rtmlib needs it

        has_cuda = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
        device = "cuda" if has_cuda else "cpu"
    arguments: dict[str, Any] = {"mode": mode, "backend": "onnxruntime", "device": device}
    how = "give other files with `detector_weights`"
    if weights:
        detector, pose = weights
        (width, height), pose_size = _size(detector, "person detector"), _size(pose, "pose network")
        arguments |= {"det": str(detector), "det_input_size": (height, width)}
        arguments |= {"pose": str(pose), "pose_input_size": pose_size}
        what = f"{detector} and {pose}"
    else:
        urls = " and ".join(solution.MODE[mode][stage] for stage in ("det", "pose"))
        report(f"weights: {urls}, which rtmlib downloads at first use")
        what = "its networks"
        how = f"download {urls} where there is a network, unpack them, and give the two .onnx files in them with `detector_weights`"
    try:
        with contextlib.redirect_stdout(sys.stderr):  # what rtmlib says while it loads is no result
            return solution(**arguments)
    except Exception as error:  # of the network, of the cache's disk, of onnxruntime: they share no base
        raise InputError(f"rtmlib could not load {what} ({reason_of(error)}): {how}") from None


def _size(path: Path, stage: str) -> tuple[int, int]:
    """(width, height) of the input of a file.

    Raises:
        InputError: there is no such file, or it is no network that takes images.
    """
    if not path.is_file():
        raise InputError(
            f"{path}: there is no such file: give the .onnx file of rtmlib's {stage} with `detector_weights`"
        )
    inputs = OnnxSession(path).inputs
    if len(inputs) != 1 or len(inputs[0].shape) != 4:
        raise InputError(
            f"{path} does not take one image (1, 3, height, width): give the .onnx file of rtmlib's {stage}"
        )
    sides = zip((inputs[0].shape[3], inputs[0].shape[2]), _SIZES[stage], strict=True)
    width, height = (side if isinstance(side, int) else usual for side, usual in sides)
    return width, height
