"""Detectors of joints in ONNX files of users: SimCC (RTMPose), heat maps (HRNet, ViTPose), MoveNet and YOLO-pose.

Which family it is is told by the shapes of input and outputs, after a first, empty image. Each family's file says how its
input is scaled and what its outputs mean. Inputs of free size get 640 x 640 pixels (YOLO-pose), 256 x 256 (MoveNet) or 192 x 256.

A network that finds people sees the whole image, scaled to fit; one that does not takes it for one person. With boxes each sees
the crop of 1.25 times each box, and of several people in it the one is taken whose joints overlap the box most.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evolift.detector2d.crop import apply_affine, crop_from_image, invert_affine, warp_crop
from evolift.posedata.errors import InputError
from evolift.posedata.keypoint_formats.coco_keypoints import SKELETON_OF_COUNT
from evolift.posedata.skeleton import COCO17, Skeleton
from evolift.prediction.detectors.heat_maps import heat_map_layout
from evolift.prediction.detectors.movenet import MoveNet, movenet_layout
from evolift.prediction.detectors.onnx_layout import InputForm, OnnxLayout
from evolift.prediction.detectors.people_detector import (
    BOX_PADDING,
    Box,
    DetectedPeople,
    Image,
    nearest_person,
)
from evolift.prediction.detectors.simcc import simcc_layout
from evolift.prediction.detectors.yolo_pose import yolo_layout
from evolift.prediction.onnx_session import OnnxSession
from evolift.prediction.reports import Report, report_nothing

_TYPES: dict[str, type[Any]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(int32)": np.int32,
    "tensor(uint8)": np.uint8,
}
_CHANNELS = 3
_LAYOUTS = (
    "simcc_x and simcc_y (1, joints, bins), heat maps (1, joints, height, width), MoveNet's (1, 1, 17, 3) or (1, 6, 56), "
    "or YOLO-pose's (1, 5 + 3 joints, N) or (1, N, 6 + 3 joints)"
)


class OnnxDetector:
    """Finds joints by a network in an ONNX file.

    Args:
        path: of the file.
        skeleton: of its joints; None for what their number suggests, which is said.
        min_score: people of a lower score are left out, where the network gives one.
        report: called with a sentence on what the file was recognised as.

    Raises:
        InputError: onnxruntime is not installed, or cannot read or run the file, its input or its outputs are of no family that is
            known, or its joints are of no skeleton that is known or given.
    """

    def __init__(
        self,
        path: Path,
        *,
        skeleton: Skeleton | None = None,
        min_score: float = 0.5,
        report: Report = report_nothing,
    ) -> None:
        self.path, self._session = path, OnnxSession(path)
        self.name = path.name
        self._type, self._form = self._checked_input()
        self._layout = self._recognised(min_score)
        self.finds_people = self._layout.finds_people
        self.skeleton = self._skeleton(skeleton, report)

    def __call__(self, image: Image, boxes: Sequence[Box] | None = None) -> DetectedPeople:
        """The people of an image, see `evolift.prediction.detectors.people_detector.PeopleDetector`.

        Raises:
            InputError: the file cannot be run, or gives what its layout does not allow.
        """
        if boxes is None:
            return self._in_crop(image, (-0.5, -0.5, image.shape[1], image.shape[0]), 1.0)
        found = DetectedPeople(
            np.zeros((len(boxes), len(self.skeleton), 2)), np.zeros((len(boxes), len(self.skeleton)))
        )
        for number, box in enumerate(boxes):
            people = self._in_crop(image, box, BOX_PADDING)
            best = nearest_person(people, box) if self.finds_people else 0
            if best is not None:
                found.joints_2d[number], found.confidence[number] = (values[best] for values in people)
        return found

    def _in_crop(self, image: Image, box: Box, padding: float) -> DetectedPeople:
        """The people that the network sees in what surrounds a box, in pixels of the image."""
        affine = crop_from_image(box, (self._form.width, self._form.height), padding=padding)
        crop = warp_crop(image, affine, (self._form.width, self._form.height), outside=self._layout.outside)
        people = self._layout.people(self._run(self._layout.scaled(crop)))
        count = len(self.skeleton)
        joints = apply_affine(invert_affine(affine), people.joints_2d[:, :count].astype(np.float64))
        confidence = people.confidence[:, :count]
        if not np.isfinite(confidence).all() or not np.isfinite(joints).all():
            raise InputError(f"{self.path} gives joints that are not finite: export it again")
        return DetectedPeople(joints, np.clip(confidence, 0, 1))

    def _run(self, scaled: np.ndarray) -> list[np.ndarray]:
        values = scaled if self._form.is_channels_last else scaled.transpose(2, 0, 1)
        values = np.ascontiguousarray(values[None].astype(self._type))
        return self._session.run(values, self._form.width, self._form.height)

    def _checked_input(self) -> tuple[type[Any], InputForm]:
        """Type and form of the input; sizes that are free are those of the family that the outputs suggest."""
        inputs = self._session.inputs
        shape = list(inputs[0].shape) if inputs else []
        is_one = len(shape) == 4 and (shape[0] == 1 or not isinstance(shape[0], int))
        is_last = is_one and shape[3] == _CHANNELS and shape[1] != _CHANNELS
        is_image = is_last or (is_one and shape[1] in (_CHANNELS, None))
        if len(inputs) != 1 or inputs[0].type not in _TYPES or not is_image:
            given = ", ".join(f"{one.name} {one.type} {one.shape}" for one in inputs) or "none"
            raise InputError(
                f"{self.path} has the inputs {given}: a detector of joints takes one image, (1, 3, height, width) or (1, height, width, 3)"
            )
        free = (192, 256)
        if is_last:
            free = (256, 256)
        elif len(self._session.outputs) == 1 and len(self._session.outputs[0].shape) == 3:
            free = (640, 640)
        height, width = shape[1:3] if is_last else shape[2:4]
        form = InputForm(
            width if isinstance(width, int) else free[0],
            height if isinstance(height, int) else free[1],
            is_last,
        )
        return _TYPES[inputs[0].type], form

    def _recognised(self, min_score: float) -> OnnxLayout:
        outputs = self._run(np.zeros((self._form.height, self._form.width, _CHANNELS), np.float32))
        names = [one.name for one in self._session.outputs]
        layout: OnnxLayout | None = (
            movenet_layout(self._form, outputs, min_score)
            or simcc_layout(self._form, names, outputs)
            or heat_map_layout(self._form, self.path, outputs)
            or yolo_layout(self._form, outputs, min_score)
        )
        if layout is None:
            raise InputError(
                f"{self.path} has the outputs {self._session.shapes(outputs)} for an image of {self._form.width} x {self._form.height} pixels, as no detector of joints that is known: they must be {_LAYOUTS}"
            )
        return layout

    def _skeleton(self, given: Skeleton | None, report: Report) -> Skeleton:
        """The skeleton of the joints; those of a whole body begin with COCO's or Halpe's."""
        count, family = self._layout.joints, self._layout.family
        if isinstance(self._layout, MoveNet):
            usual: Skeleton | None = COCO17
        else:
            usual = SKELETON_OF_COUNT.get(count)
        if given is not None and given != usual and len(given) != count:
            raise InputError(
                f"{self.path} finds {count} joints, and {given.name} has {len(given)}: give another `detector_skeleton`"
            )
        skeleton = given or usual
        if skeleton is None:
            raise InputError(
                f"{self.path} finds {count} joints, and their number does not tell which: give `detector_skeleton`"
            )
        taken = f"{count} joints, taken to be {skeleton.name}'s"
        if count > len(skeleton):
            taken = f"{count} joints, the first {len(skeleton)} taken to be {skeleton.name}'s"
        is_known = given is not None or isinstance(self._layout, MoveNet)
        told = (
            f"{count} joints of {skeleton.name}" if is_known else f"{taken} (else give `detector_skeleton`)"
        )
        report(f"{self.path}: {family}, {told}")
        return skeleton
