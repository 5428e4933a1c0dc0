"""ONNX detectors of joints for tests, in each layout that is known: they find the brightest place of each colour.

Each undoes the scaling of its input as the documentation of its family has it; so the confidence that comes out is the brightness
from 0 to 1 of the place, and no other where an adapter scales otherwise. Joints 0 to 5 are where red is brightest, 6 to 11 green, the
others blue (`COLOUR_OF_JOINT`); networks that find people have one person for red and one for blue, `SHAPE` around the place.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

MEAN, STD = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])
COLOUR_OF_JOINT = np.array([0] * 6 + [1] * 6 + [2] * 5)
SHAPE = np.random.default_rng(0).integers(-8, 9, (17, 2)).astype(np.float32)
"""Joints (u, v) of a person about their place, pixels of the network's input."""


class Graph:
    """A graph that grows by calls: `graph.Add(a, b)` is the name of a new value; arrays become constants."""

    def __init__(self) -> None:
        self.onnx = pytest.importorskip("onnx")
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, value: Any) -> str:
        self.constants.append(self.onnx.numpy_helper.from_array(np.asarray(value), f"c{len(self.constants)}"))
        return str(self.constants[-1].name)

    def part(self, value: str, start: int, end: int) -> str:
        """Some of the last axis."""
        return str(self.Slice(value, np.array([start]), np.array([end]), np.array([-1])))

    def __getattr__(self, operator: str) -> Any:
        def add(*inputs: Any, **attributes: Any) -> str:
            names = [one if isinstance(one, str) else self.constant(one) for one in inputs]
            self.nodes.append(
                self.onnx.helper.make_node(operator, names, [f"v{len(self.nodes)}"], **attributes)
            )
            return f"v{len(self.nodes) - 1}"

        return add

    def write(
        self, path: Path, shape: Sequence[Any], outputs: dict[str, tuple[str, int]], kind: str = "FLOAT"
    ) -> Path:
        """Write it, with one input called `image`; outputs are name -> (value, rank)."""
        helper, types = self.onnx.helper, self.onnx.TensorProto
        for name, (value, _) in outputs.items():
            self.nodes.append(helper.make_node("Identity", [value], [name]))
        free = [[f"{name}{axis}" for axis in range(rank)] for name, (_, rank) in outputs.items()]
        told = [
            helper.make_tensor_value_info(name, types.FLOAT, axes)
            for name, axes in zip(outputs, free, strict=True)
        ]
        image = helper.make_tensor_value_info("image", getattr(types, kind), list(shape))
        graph = helper.make_graph(self.nodes, "detector", [image], told, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        self.onnx.save(model, str(path))
        return path


def _brightness(graph: Graph, mean: np.ndarray, std: np.ndarray, joints: Sequence[int]) -> str:
    """(1, joints, height, width) from 0 to 1."""
    image = graph.Add(graph.Mul("image", _channels(std)), _channels(mean))
    return str(graph.Gather(graph.Div(image, np.float32(255)), np.array(joints, np.int64), axis=1))


def _channels(values: np.ndarray) -> np.ndarray:
    return np.asarray(values, np.float32).reshape(1, 3, 1, 1)


def write_simcc(
    path: Path,
    size: tuple[int, int] = (48, 64),
    *,
    joints: Sequence[int] = tuple(COLOUR_OF_JOINT),
    is_reversed: bool = False,
) -> Path:
    """RTMPose's layout, two bins to a pixel; `joints` is the colour of each, `size` (width, height)."""
    graph = Graph()
    bright = _brightness(graph, MEAN, STD, joints)
    outputs = {}
    for name, axis, length in (("simcc_x", 2, size[0]), ("simcc_y", 3, size[1])):
        line = graph.ReduceMax(bright, axes=[axis], keepdims=0)
        pairs = graph.Unsqueeze(line, np.array([3]))
        low = graph.Pad(pairs, np.array([0, 0, 0, 0, 0, 0, 0, 1]), np.float32(-9))
        outputs[name] = (graph.Reshape(low, np.array([1, len(joints), 2 * length])), 3)
    if is_reversed:
        outputs = dict(reversed(outputs.items()))
    return graph.write(path, ("batch", 3, size[1], size[0]), outputs)


def write_heat_maps(
    path: Path, size: tuple[int, int] = (48, 64), *, joints: Sequence[int] = tuple(COLOUR_OF_JOINT), attention: bool = False
) -> Path:  # fmt: skip
    """HRNet's layout, of every fourth pixel a cell; with `attention` there is an operator as ViTPose has it."""
    graph = Graph()
    maps = graph.MaxPool(_brightness(graph, MEAN, STD, joints), kernel_shape=[1, 1], strides=[4, 4])
    if attention:
        graph.Softmax(maps)
    return graph.write(path, ("batch", 3, size[1], size[0]), {"heatmaps": (maps, 4)})


def _places(graph: Graph, bright: str, size: tuple[int, int]) -> tuple[str, str]:
    """u and v (people, 1, 2), and brightness (people, 1, 1), of the brightest pixel of each of the first maps."""
    width, height = size
    flat = graph.Reshape(bright, np.array([-1, width * height]))
    index = graph.ArgMax(flat, axis=1, keepdims=1)
    u = graph.Mod(index, np.array([width]))
    place = graph.Cast(graph.Concat(u, graph.Div(index, np.array([width])), axis=1), to=1)
    score = graph.ReduceMax(flat, axes=[1], keepdims=1)
    return graph.Unsqueeze(place, np.array([1])), graph.Unsqueeze(score, np.array([1]))


def _people(graph: Graph, bright: str, size: tuple[int, int]) -> tuple[str, str, str]:
    """Joints (people, 17, 2), the same with scores (people, 17, 3), and place and score (people, 3)."""
    place, score = _places(graph, bright, size)
    joints = graph.Add(place, SHAPE[None])
    scores = graph.Expand(score, np.array([1, 17, 1]))
    whole = graph.Reshape(graph.Concat(place, score, axis=2), np.array([-1, 3]))
    return joints, graph.Concat(joints, scores, axis=2), whole


def write_yolo(
    path: Path, size: tuple[int, int] = (96, 64), *, is_thinned: bool = False, repeats: int = 1, **kind: Any
) -> Path:
    """YOLO-pose's layouts; people are repeated, as a network says them before they are thinned out."""
    graph = Graph()
    width, height = size
    # The grey around the image is brighter than nothing: 114 counts as none.
    bright = _brightness(graph, np.zeros(3), np.full(3, 255), [0, 2])
    _, joints, whole = _people(graph, bright, size)
    place, score = graph.part(whole, 0, 2), graph.part(whole, 2, 3)
    sides = graph.Add(graph.Mul(place, np.float32(0)), np.float32(20))
    body = graph.Reshape(joints, np.array([-1, 51]))
    if is_thinned:
        half = graph.Mul(sides, np.float32(0.5))
        zero = graph.Mul(score, np.float32(0))
        rows = graph.Concat(graph.Sub(place, half), graph.Add(place, half), score, zero, body, axis=1)
        rows = graph.Pad(rows, np.array([0, 0, 70, 0]))
        return graph.write(
            path, (1, 3, height, width), {"output0": (graph.Unsqueeze(rows, np.array([0])), 3)}
        )
    rows = graph.Concat(*[graph.Concat(place, sides, score, body, axis=1)] * repeats, axis=0)
    rows = graph.Transpose(graph.Pad(rows, np.array([0, 0, 70, 0])), perm=[1, 0])
    return graph.write(path, (1, 3, height, width), {"output0": (graph.Unsqueeze(rows, np.array([0])), 3)})


def write_rtmlib_people(path: Path, size: tuple[int, int] = (64, 64)) -> Path:
    """A person detector as rtmlib takes it: boxes of 30 pixels about the brightest places of the first and the last colour."""
    graph = Graph()
    bright = _brightness(graph, np.zeros(3), np.ones(3), [0, 2])
    place, score = _places(graph, bright, size)
    rows = graph.Concat(graph.Sub(place, np.float32(15)), graph.Add(place, np.float32(15)), score, axis=2)
    return graph.write(path, (1, 3, size[1], size[0]), {"dets": (graph.Transpose(rows, perm=[1, 0, 2]), 3)})


def write_movenet(
    path: Path, size: tuple[int, int] = (96, 64), *, is_multi: bool = False, kind: str = "INT32"
) -> Path:
    """MoveNet's layouts, channels last and of whole numbers; single pose finds red, multipose red and blue."""
    graph = Graph()
    width, height = size
    image = graph.Transpose(graph.Cast("image", to=1), perm=[0, 3, 1, 2])
    bright = graph.Gather(graph.Div(image, np.float32(255)), np.array([0, 2] if is_multi else [0]), axis=1)
    joints, table, whole = _people(graph, bright, size)
    scores = graph.part(table, 2, 3)
    parts = graph.Div(graph.Add(joints, np.float32(0.5)), np.array([width, height], np.float32))
    table = graph.Concat(graph.Gather(parts, np.array([1, 0]), axis=2), scores, axis=2)
    if not is_multi:
        return graph.write(
            path, (1, height, width, 3), {"output_0": (graph.Unsqueeze(table, np.array([0])), 4)}, kind
        )
    place, score = graph.part(whole, 0, 2), graph.part(whole, 2, 3)
    box = graph.Concat(place, place, axis=1)
    rows = graph.Concat(graph.Reshape(table, np.array([-1, 51])), box, score, axis=1)
    rows = graph.Pad(rows, np.array([0, 0, 4, 0]))
    return graph.write(
        path, (1, height, width, 3), {"output_0": (graph.Unsqueeze(rows, np.array([0])), 3)}, kind
    )


def image_with_dots(
    size: tuple[int, int], *dots: tuple[int, int] | None, blur: float = 0, level: int = 204
) -> np.ndarray:
    """A black image with a dot of red, of green and of blue at pixels (u, v); blurred ones are Gaussians of that sigma."""
    width, height = size
    v, u = np.indices((height, width))
    image = np.zeros((height, width, 3), np.uint8)
    for colour, dot in enumerate(dots):
        if dot is None:
            continue
        squared = (u - dot[0]) ** 2 + (v - dot[1]) ** 2
        image[..., colour] = np.rint(level * (np.exp(-squared / (2 * blur**2)) if blur else squared == 0))
    return image
