"""The detector as an ONNX graph: what it takes and gives when it runs without torch.

It takes crops as OpenCV cuts them, 8-bit RGB, and scales their colours itself; and it gives pixels of the image, so
that a user of the file needs neither the backbone's scaling nor the convention of heatmap cells.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from evolift.detector2d.crop import crop_to_image
from evolift.detector2d.model import DEPTH_RANGE, DetectorModel
from evolift.training.onnx_file import (
    CAMERA_FRAME,
    PIXELS,
    TOLERANCE,
    GraphInput,
    GraphOutput,
    OnnxGraph,
    made_up_images,
)

_ZOOM = 2.0  # pixels of the image per pixel of the crop, in examples


class DetectorGraph(nn.Module):
    """Crops to joints in pixels.

    Args:
        detector: in evaluation mode.
    """

    def __init__(self, detector: DetectorModel) -> None:
        super().__init__()
        self.detector = detector

    def forward(
        self, crop: UInt8[Tensor, "batch height width 3"], image_from_crop: Float[Tensor, "batch 2 3"]
    ) -> tuple[Tensor, ...]:
        """Joints in pixels of the image, confidence, and depth in mm if the detector is volumetric."""
        found = self.detector(self.detector.scale_images(crop))
        pixels = crop_to_image(found.joints, image_from_crop, self.detector.settings.size)
        if self.detector.settings.dimensions == 2:
            return pixels, found.confidence
        return pixels, found.confidence, found.joints[..., 2] * DEPTH_RANGE


def detector_graph(detector: DetectorModel) -> OnnxGraph:
    """A detector ready to be written as ONNX; it is put into evaluation mode."""
    outputs = detection_outputs(detector)
    if detector.settings.dimensions == 3:
        root = detector.settings.skeleton.joints[detector.settings.skeleton.root]
        meaning = f"float32 (batch, joints): mm behind the {root}, away from the camera"
        outputs = (*outputs, GraphOutput("depth", meaning, TOLERANCE * 1000))
    description = crop_description(detector)
    return OnnxGraph("detector", DetectorGraph(detector.eval()), crop_inputs(detector), outputs, description)


def crop_inputs(detector: DetectorModel) -> tuple[GraphInput, GraphInput]:
    """What any graph that begins with a detector takes."""
    width, height = detector.settings.size
    crop = f"uint8 (batch, {height}, {width}, 3): upright RGB crops of one person each, as `image_from_crop` tells; black outside the image"
    affine = "float32 (batch, 2, 3): affine map from pixels of the crop to pixels of the image, without rotation and mirroring"

    def example(generator: np.random.Generator, batch: int) -> np.ndarray:
        shift = generator.uniform(0, 300, (batch, 2, 1))
        return np.concatenate([np.tile(np.eye(2) * _ZOOM, (batch, 1, 1)), shift], 2).astype(np.float32)

    return (
        GraphInput("crop", crop, made_up_images(width, height)),
        GraphInput("image_from_crop", affine, example),
    )


def detection_outputs(detector: DetectorModel) -> tuple[GraphOutput, ...]:
    """What any graph that begins with a detector gives."""
    extent = detector.settings.input_width * _ZOOM
    return (
        GraphOutput("joints_2d", f"float32 (batch, joints, 2): {PIXELS}", TOLERANCE * extent),
        GraphOutput("confidence", "float32 (batch, joints): 0 to 1", TOLERANCE),
    )


def crop_description(detector: DetectorModel) -> dict[str, Any]:
    """What a user of such a graph has to know to cut crops and to read the answer."""
    settings = detector.settings
    return {
        "skeleton": settings.skeleton.to_dict(),
        "units": {"joints_2d": "px", "confidence": "0 to 1"}
        | ({"depth": "mm"} if settings.dimensions == 3 else {}),
        "frame": CAMERA_FRAME,
        "input_size": list(settings.size),
        "padding": settings.padding,
        "image_scaling": {
            "mean": detector.image_mean.tolist(),
            "std": detector.image_std.tolist(),
            "is_inside_the_graph": True,
        },
    }
