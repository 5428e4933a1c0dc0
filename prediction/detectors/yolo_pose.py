"""YOLO-pose: YOLOv8, YOLO11 and YOLO26, as Ultralytics documents and exports them.

The input is RGB from 0 to 1, (1, 3, height, width), the image scaled to fit and padded with grey (114). Two layouts:

1. (1, 5 + 3 joints, N), N the larger: box (centre u, centre v, width, height), score, and u, v and score of each joint; overlapping people are
   thinned out here, as Ultralytics does (`ops.nms`), with an overlap of 0.7.
2. (1, N, 6 + 3 joints), N the larger, of networks without that step (YOLO26) and of exports with `nms=True`: box (left, top, right, bottom), score, class, joints.

All are pixels of the input. Joints are learnt from COCO's labels, whose pixels have (0, 0) at the centre of the first, as here:
nothing is added.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from evolift.prediction.detectors.onnx_layout import Crop, InputForm, without_overlaps
from evolift.prediction.detectors.people_detector import DetectedPeople

_BEFORE, _BEFORE_LAST = 5, 6
"""Numbers before the joints in the first and the second layout."""
_MAX_OVERLAP = 0.7


class YoloPose(NamedTuple):
    """YOLO's people with joints.

    Args:
        joints: how many.
        is_thinned: whether the network leaves overlapping people out itself (the second layout).
        min_score: people of a lower score are left out.
    """

    joints: int
    is_thinned: bool
    min_score: float

    family: str = "YOLO-pose"
    finds_people: bool = True
    outside: int = 114

    def scaled(self, crop: Crop) -> Float32[np.ndarray, "height width 3"]:
        """From 0 to 1."""
        return crop.astype(np.float32) / np.float32(255)

    def people(self, outputs: list[np.ndarray]) -> DetectedPeople:
        """The people of the crop."""
        rows = (outputs[0][0] if self.is_thinned else outputs[0][0].T).astype(np.float64)
        rows = rows[rows[:, 4] >= self.min_score]
        table = rows[:, _BEFORE_LAST if self.is_thinned else _BEFORE :].reshape(len(rows), self.joints, 3)
        people = DetectedPeople(table[..., :2], table[..., 2])
        if self.is_thinned:
            return people
        boxes = np.concatenate([rows[:, :2] - rows[:, 2:4] / 2, rows[:, 2:4]], 1)
        return without_overlaps(people, boxes, rows[:, 4], _MAX_OVERLAP)


def yolo_layout(form: InputForm, outputs: list[np.ndarray], min_score: float) -> YoloPose | None:
    """The layout if the output is of that kind, else None.

    Args:
        form: of the input.
        outputs: of the network, for one image.
        min_score: people of a lower score are left out.
    """
    if form.is_channels_last or len(outputs) != 1 or outputs[0].ndim != 3 or outputs[0].shape[0] != 1:
        return None
    _, first, last = outputs[0].shape
    if first < last and first > _BEFORE and (first - _BEFORE) % 3 == 0:
        return YoloPose((first - _BEFORE) // 3, False, min_score)
    if first > last > _BEFORE_LAST and (last - _BEFORE_LAST) % 3 == 0:
        return YoloPose((last - _BEFORE_LAST) // 3, True, min_score)
    return None
