"""Heatmaps of a folded detector by onnxruntime, which takes half the time of torch on a CPU.

Of EfficientNet-Lite with the light head, layer by layer and in memory: to write any network by `torch.onnx` takes seconds, more
than a photograph is worth. Heatmaps are decoded by torch, so that all else about a detector is as it was.
"""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from evolift.detector2d.deconvolution_head import LightHead
from evolift.detector2d.efficientnet_lite import EfficientNetLite, ResidualBlock, SameConv2d
from evolift.detector2d.model import DetectorModel
from evolift.posedata.extras import require_extra
from evolift.training.onnx_file import OPSET

IR_VERSION = 9
"""Of the graph; onnxruntime reads it since 1.16."""


def use_onnxruntime(detector: DetectorModel) -> DetectorModel:
    """Let onnxruntime compute the heatmaps of a folded detector, if it is installed, and the detector of a kind that this module knows.

    Args:
        detector: of `folded_detector.folded`, on the CPU; changed in place. It stays on the CPU then, and gives no gradients.

    Returns:
        The detector.

    Raises:
        InputError: onnxruntime is installed, but cannot be imported.
    """
    body, head = detector.backbone.body, detector.head
    is_installed = all(importlib.util.find_spec(package) for package in ("onnx", "onnxruntime"))
    if not is_installed or detector.image_mean.device.type != "cpu":
        return detector
    if isinstance(body, EfficientNetLite) and isinstance(head, LightHead) and head.depth_bins == 1:
        detector.add_module("head", OnnxHeatmaps(body, head))
        detector.add_module("backbone", _Images())
    return detector


class _Images(nn.Module):
    """In the place of a backbone: gives the images themselves."""

    def forward(self, images: Tensor) -> list[Tensor]:
        return [images]


class OnnxHeatmaps(nn.Module):
    """From images to heatmaps, without gradients.

    Args:
        body, head: whose batch norms are folded.

    Raises:
        InputError: a package is missing.
    """

    def __init__(self, body: EfficientNetLite, head: LightHead) -> None:
        super().__init__()
        require_extra("onnx", "onnx", "onnxruntime")
        self.graph = _Graph().written(body, head)
        self._session: Any = None

    def forward(
        self, features: list[Float[Tensor, "batch 3 height width"]]
    ) -> Float[Tensor, "batch joints rows columns"]:
        """Logits, as of the head.

        Args:
            features: the images, in the detector's scaling.
        """
        (images,) = features
        if self._session is None:
            self._session = _session(self.graph)
        (maps,) = self._session.run(None, {"images": np.ascontiguousarray(images.detach().numpy())})
        return torch.from_numpy(maps)

    def __getstate__(self) -> dict[str, Any]:
        """Without the session, which cannot be copied: each copy begins its own."""
        return {**self.__dict__, "_session": None}


def _session(graph: bytes) -> Any:
    import onnxruntime  # noqa: PLC0415  # of the extra `onnx`

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    # Threads that wait by spinning would take the cores from torch between two runs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # what goes wrong is raised, too
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


class _Graph:
    """Nodes and weights of an ONNX graph, as they come."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.weights: list[Any] = []

    def written(self, body: EfficientNetLite, head: LightHead) -> bytes:
        """The graph of a detector's network, images to heatmaps, as a file."""
        from onnx import TensorProto, helper  # noqa: PLC0415  # of the extra `onnx`

        features = self._features(body, "images")
        maps = self._heatmaps(head, features)
        ends = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", channels, None, None])
            for name, channels in (("images", 3), (maps, head.last.out_channels))
        ]
        graph = helper.make_graph(self.nodes, "heatmaps", ends[:1], ends[1:], self.weights)
        opset = helper.make_opsetid("", OPSET)
        written: bytes = helper.make_model(
            graph, opset_imports=[opset], ir_version=IR_VERSION
        ).SerializeToString()
        return written

    def _features(self, body: EfficientNetLite, x: str) -> list[str]:
        x = self._layers(x, body.conv_stem, body.bn1, body.act1)
        features = []
        for number, stage in enumerate(body.blocks):
            x = self._layer(stage, x)
            if number in body.last:
                features.append(x)
        return features

    def _heatmaps(self, head: LightHead, features: list[str]) -> str:
        x = ""
        for stride, smoothing in zip(head.wanted, head.smoothings, strict=True):
            if x:
                scales = self._weight(torch.tensor([1.0, 1.0, 2.0, 2.0]))
                how = {
                    "mode": "nearest",
                    "nearest_mode": "floor",
                    "coordinate_transformation_mode": "asymmetric",
                }
                x = self._node("Resize", x, "", scales, **how)
            if stride in head.sources:
                lateral = self._layer(head.laterals[str(stride)], features[head.sources[stride]])
                x = self._node("Add", x, lateral) if x else lateral
            x = self._layer(smoothing, x)
        return self._layer(head.last, x)

    def _layers(self, x: str, *layers: nn.Module) -> str:
        for layer in layers:
            x = self._layer(layer, x)
        return x

    def _layer(self, layer: nn.Module, x: str) -> str:
        if isinstance(layer, ResidualBlock):
            result = self._layers(x, *layer)
            return self._node("Add", result, x) if layer.is_residual else result
        if isinstance(layer, nn.Sequential):
            return self._layers(x, *layer)
        if isinstance(layer, nn.Conv2d):
            return self._convolution(layer, x)
        if isinstance(layer, nn.ReLU6):
            return self._node("Clip", x, self._weight(torch.tensor(0.0)), self._weight(torch.tensor(6.0)))
        if isinstance(layer, nn.ReLU):
            return self._node("Relu", x)
        raise TypeError(f"{type(layer).__name__} is no layer of a folded EfficientNet-Lite with a light head")

    def _convolution(self, layer: nn.Conv2d, x: str) -> str:
        weights = [self._weight(weight) for weight in (layer.weight, layer.bias) if weight is not None]
        around: dict[str, Any] = {"pads": [*layer.padding, *layer.padding]}
        if isinstance(layer, SameConv2d):
            around = {"auto_pad": "SAME_UPPER"}
        return self._node("Conv", x, *weights, strides=layer.stride, group=layer.groups, **around)

    def _weight(self, values: Tensor) -> str:
        from onnx import numpy_helper  # noqa: PLC0415  # of the extra `onnx`

        name = f"weight{len(self.weights)}"
        array = np.ascontiguousarray(values.detach().numpy())
        self.weights.append(numpy_helper.from_array(array.reshape(values.shape), name))
        return name

    def _node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        from onnx import helper  # noqa: PLC0415  # of the extra `onnx`

        name = f"map{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name
