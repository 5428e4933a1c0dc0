"""Networks that give a heat map for each joint: HRNet, SimpleBaseline, ViTPose.

The input is RGB, scaled by ImageNet's mean and standard deviation (HRNet's `test.py`, MMPose's `PoseDataPreprocessor`, ViTPose's
`NormalizeTensor`), a crop of 1.25 times the box, black outside; the output is (1, joints, height / 4, width / 4).

Where a cell lies in the crop depends on the code that made the targets. HRNet, and MMPose's `MSRAHeatmap`: pixel = cell times
(width / cells). ViTPose is trained with unbiased data processing (Huang et al. 2020; `UDPHeatmap`): pixel = cell times (width - 1) /
(cells - 1). Half a heat map away that is 1.5 pixels of the crop, and shapes do not tell; a graph with attention in it is taken for a
ViTPose. Both take pixels as `cv2.warpAffine` has them, (0, 0) the centre of the first.

The peak is found to a part of a cell as in DARK (Zhang et al. 2020): that of a parabola through the logarithms of the highest
cell and its neighbours, which for a Gaussian is exact. The score is the highest value.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32

from evolift.posedata.extras import require_extra
from evolift.prediction.detectors.onnx_layout import Crop, InputForm, imagenet_scaled
from evolift.prediction.detectors.people_detector import DetectedPeople

_ATTENTION = {"Softmax", "Attention", "MultiHeadAttention"}
"""Operators of which a network of convolutions has none."""
_SMALLEST = 1e-6  # of a heat map, so that it has a logarithm


class HeatMaps(NamedTuple):
    """Heat maps of one person.

    Args:
        joints: how many.
        pixels_per_cell: of the crop, (u, v).
        family: for messages.
    """

    joints: int
    pixels_per_cell: tuple[float, float]
    family: str

    finds_people: bool = False
    outside: int = 0

    def scaled(self, crop: Crop) -> Float32[np.ndarray, "height width 3"]:
        """As HRNet and ViTPose have it."""
        return imagenet_scaled(crop)

    def people(self, outputs: list[np.ndarray]) -> DetectedPeople:
        """The one person of the crop."""
        cells, values = peaks(outputs[0])
        return DetectedPeople(cells * np.array(self.pixels_per_cell), values)


def heat_map_layout(form: InputForm, path: Path, outputs: list[np.ndarray]) -> HeatMaps | None:
    """The layout if the output is of that kind, else None.

    Args:
        form: of the input.
        path: of the file.
        outputs: of the network, for one crop.

    Raises:
        InputError: the package `onnx`, which reads the operators of the file, is not installed.
    """
    if form.is_channels_last or len(outputs) != 1 or outputs[0].ndim != 4 or outputs[0].shape[0] != 1:
        return None
    _, joints, height, width = outputs[0].shape
    if (
        not (1 < width <= form.width and 1 < height <= form.height)
        or width * form.height != height * form.width
    ):
        return None
    if _has_attention(path):
        scale = ((form.width - 1) / (width - 1), (form.height - 1) / (height - 1))
        return HeatMaps(joints, scale, "heat maps (ViTPose)")
    return HeatMaps(joints, (form.width / width, form.height / height), "heat maps (HRNet)")


def peaks(
    maps: Float[np.ndarray, "people joints height width"],
) -> tuple[Float[np.ndarray, "people joints 2"], Float[np.ndarray, "people joints"]]:
    """Place (u, v) of the highest value in each map, in cells from the centre of the first, and the value.

    At the border of a map it is the cell itself.
    """
    people, joints, height, width = maps.shape
    flat = maps.reshape(people, joints, -1)
    best = flat.argmax(-1)
    values = np.take_along_axis(flat, best[..., None], -1)[..., 0]
    row, column = best // width, best % width
    logs = np.log(np.maximum(maps.astype(np.float64), _SMALLEST))
    person, joint = np.indices((people, joints))

    def shift(steps: tuple[int, int], is_inside: np.ndarray) -> np.ndarray:
        """Of the top of the parabola from the highest cell, along rows or columns."""
        before, here, after = (
            logs[
                person,
                joint,
                np.clip(row + k * steps[0], 0, height - 1),
                np.clip(column + k * steps[1], 0, width - 1),
            ]
            for k in (-1, 0, 1)
        )
        curvature = 2 * here - before - after
        top = np.divide(after - before, 2 * curvature, out=np.zeros_like(here), where=curvature > 0)
        return np.where(is_inside, np.clip(top, -0.5, 0.5), 0.0)

    across = shift((0, 1), (column > 0) & (column < width - 1))
    down = shift((1, 0), (row > 0) & (row < height - 1))
    return np.stack([column + across, row + down], -1), values


def _has_attention(path: Path) -> bool:
    require_extra("onnx", "onnx")
    import onnx  # noqa: PLC0415  # of the extra `onnx`

    graph = onnx.load(str(path), load_external_data=False).graph
    return any(node.op_type in _ATTENTION for node in graph.node)
