"""SimCC networks: RTMPose, RTMW and DWPose, which classify the column and the row of each joint.

As MMPose documents and exports them (projects/rtmpose; mmdeploy's configuration `pose-detection_simcc_onnxruntime`, whose outputs
are `simcc_x` and `simcc_y`): the input is RGB, scaled by ImageNet's mean and standard deviation of 0 to 255 (`PoseDataPreprocessor`
with `bgr_to_rgb=True`), a crop of 1.25 times the box, black outside. `simcc_x` is (1, joints, width x ratio), `simcc_y` (1, joints,
height x ratio), the ratio being `simcc_split_ratio`, 2 for all published ones. `SimCCLabel` puts a joint at pixel x into bin x times
ratio, where pixels are those of `cv2.warpAffine`, (0, 0) the centre of the first: bin k is pixel k / ratio. The score of a
joint is the lower one of the two maxima (`get_simcc_maximum`); it can pass 1.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from evolift.prediction.detectors.onnx_layout import Crop, InputForm, imagenet_scaled
from evolift.prediction.detectors.people_detector import DetectedPeople


class SimCC(NamedTuple):
    """RTMPose and its kin.

    Args:
        joints: how many.
        ratio: bins to a pixel.
        x, y: which of the outputs is that of columns and of rows.
    """

    joints: int
    ratio: float
    x: int = 0
    y: int = 1

    family: str = "SimCC (RTMPose)"
    finds_people: bool = False
    outside: int = 0

    def scaled(self, crop: Crop) -> Float32[np.ndarray, "height width 3"]:
        """As MMPose has it."""
        return imagenet_scaled(crop)

    def people(self, outputs: list[np.ndarray]) -> DetectedPeople:
        """The one person of the crop."""
        columns, rows = outputs[self.x], outputs[self.y]
        joints = np.stack([columns.argmax(-1), rows.argmax(-1)], -1) / self.ratio
        return DetectedPeople(joints, np.minimum(columns.max(-1), rows.max(-1)))


def simcc_layout(form: InputForm, names: list[str], outputs: list[np.ndarray]) -> SimCC | None:
    """The layout if outputs are of that kind, else None.

    Args:
        form: of the input.
        names, outputs: of the network, for one crop.
    """
    if form.is_channels_last or len(outputs) != 2 or any(one.ndim != 3 for one in outputs):
        return None
    x, y = (names.index("simcc_x"), names.index("simcc_y")) if {*names} == {"simcc_x", "simcc_y"} else (0, 1)
    columns, rows = outputs[x].shape, outputs[y].shape
    ratio = columns[2] / form.width
    if columns[:2] != rows[:2] or columns[0] != 1 or ratio < 1 or rows[2] != ratio * form.height:
        return None
    return SimCC(columns[1], ratio, x, y)
