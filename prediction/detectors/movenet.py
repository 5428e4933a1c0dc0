"""MoveNet: single pose (Lightning, Thunder) and multipose (Lightning), as TensorFlow Hub documents them.

The input is RGB from 0 to 255, (1, height, width, 3), or channels first if it was converted so; the image is scaled to fit and padded
with black. Single pose gives (1, 1, 17, 3): v, u and score of COCO's 17 joints. Multipose gives (1, 6, 56) for up to six people: these
51 numbers, the box (top, left, bottom, right) and the person's score. Places are parts of the input's height and width, 0 and 1
its edges: pixel = part times width - 1/2.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from evolift.posedata.skeleton import COCO17
from evolift.prediction.detectors.onnx_layout import Crop, InputForm
from evolift.prediction.detectors.people_detector import DetectedPeople

_BODY = 3 * len(COCO17)
_PEOPLE, _NUMBERS = 6, _BODY + 5


class MoveNet(NamedTuple):
    """MoveNet of one person or of several.

    Args:
        form: of the input.
        finds_people: multipose.
        min_score: people of a lower score are left out.
    """

    form: InputForm
    finds_people: bool
    min_score: float

    joints: int = len(COCO17)
    outside: int = 0

    @property
    def family(self) -> str:
        """For messages."""
        return f"MoveNet {'multipose' if self.finds_people else 'single pose'}"

    def scaled(self, crop: Crop) -> Float32[np.ndarray, "height width 3"]:
        """From 0 to 255, as it is."""
        return crop.astype(np.float32)

    def people(self, outputs: list[np.ndarray]) -> DetectedPeople:
        """The people of the crop; of a single pose one."""
        rows = outputs[0].reshape(-1, _NUMBERS if self.finds_people else _BODY)
        if self.finds_people:
            rows = rows[rows[:, -1] >= self.min_score]
        table = rows[:, :_BODY].reshape(len(rows), self.joints, 3).astype(np.float64)
        extent = np.array([self.form.width, self.form.height])
        return DetectedPeople(table[..., 1::-1] * extent - 0.5, table[..., 2])


def movenet_layout(form: InputForm, outputs: list[np.ndarray], min_score: float) -> MoveNet | None:
    """The layout if the output is of that kind, else None.

    Args:
        form: of the input.
        outputs: of the network, for one image.
        min_score: people of a lower score are left out.
    """
    shapes = [one.shape for one in outputs]
    if shapes == [(1, 1, len(COCO17), 3)]:
        return MoveNet(form, False, min_score)
    return MoveNet(form, True, min_score) if shapes == [(1, _PEOPLE, _NUMBERS)] else None
