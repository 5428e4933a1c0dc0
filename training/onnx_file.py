"""Trained networks as ONNX files that run without torch: written, described inside, and checked against torch.

The graph is captured by `torch.export`, which keeps the batch size as a symbol and refuses what depends on values. The
older exporter, which records one run, would keep such a branch as it happened to go, and torch has announced its end.

A file carries one JSON object under the metadata key `evolift`: stage, skeleton, units, frame, and what else its graph
needs; inputs and outputs have their meaning as documentation strings. It holds no path of the machine that wrote it.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from evolift.posedata.errors import InputError, OutputError
from evolift.posedata.extras import require_extra
from evolift.posedata.output_file import check_output, whole_file
from evolift.posedata.version import __version__

FORMAT = "evolift-onnx"
FORMAT_VERSION = 1
METADATA_KEY = "evolift"
OPSET = 18
"""Fixed, so that the file does not depend on the version of torch; onnxruntime reads it since 1.14."""
TOLERANCE = 1e-4
"""Largest allowed difference from torch: of a metre, of a heatmap's width, or of a confidence of 1."""
CHECKED_BATCHES = (1, 3)
CAMERA_FRAME = "camera: x to the right of the image, y down, z away from the camera"
PIXELS = "pixels of the image; the centre of its top-left pixel is (0, 0)"

Example = Callable[[np.random.Generator, int], np.ndarray]
"""Makes an input for a batch of the given size."""


class GraphInput(NamedTuple):
    """An input of a graph; its first axis is the batch.

    Args:
        name: in the file.
        meaning: shape, unit and convention, in a sentence.
        example: makes inputs to capture and check the graph with.
    """

    name: str
    meaning: str
    example: Example


class GraphOutput(NamedTuple):
    """An output of a graph; its first axis is the batch.

    Args:
        name: in the file.
        meaning: shape, unit and convention, in a sentence.
        tolerance: largest difference from torch with the examples, in the output's own unit; a hundred-thousandth of the
            largest value is allowed as well, because float32 has seven digits and processors add in their own order.
    """

    name: str
    meaning: str
    tolerance: float


_RELATIVE = 1e-5


@dataclass(frozen=True, eq=False)
class OnnxGraph:
    """A network ready to be written.

    Args:
        stage: "detector", "lifter" or "chain".
        module: in evaluation mode, on the CPU; takes the inputs and gives a tuple of the outputs, in order.
        inputs, outputs: of the graph.
        description: plain JSON values that a user of the file needs, such as the skeleton.
    """

    stage: str
    module: nn.Module
    inputs: tuple[GraphInput, ...]
    outputs: tuple[GraphOutput, ...]
    description: Mapping[str, Any]


def write_onnx(
    path: Path, graph: OnnxGraph, *, origin: Mapping[str, str] | None = None, overwrite: bool = False
) -> dict[str, float]:
    """Write a graph as one ONNX file, after onnxruntime has given the same as torch with batches of 1 and 3.

    Args:
        path: of the file.
        graph: what to write.
        origin: of the weights, for the metadata, such as the checkpoint's name and SHA-256.
        overwrite: replace an existing file.

    Returns:
        Largest difference from torch of each output, in its own unit.

    Raises:
        InputError: the optional packages are missing, or the network cannot be expressed in ONNX.
        OutputError: the file exists, cannot be written, or does not give what torch gives; then none is left.
    """
    require_onnx()
    check_output(path, overwrite=overwrite)
    model = _described(_captured(graph), graph, origin or {})
    with whole_file(path, overwrite=overwrite) as partial:
        partial.write_bytes(model.SerializeToString())
        differences, sizes = _onnx_differences(partial, path.name, graph)
        for output in graph.outputs:
            # A NaN is no agreement either.
            allowed = max(output.tolerance, _RELATIVE * sizes[output.name])
            if not differences[output.name] <= allowed:
                raise OutputError(
                    f"{path} was not written: its {output.name} differ from torch's by {differences[output.name]:.3g}, and {allowed:.3g} is allowed: train it further, or update torch, onnxscript and onnxruntime"
                )
    return differences


def require_onnx() -> None:
    """Refuse to go on without the packages that write and run ONNX files.

    Raises:
        InputError: one is missing.
    """
    require_extra("onnx", "onnx", "onnxruntime", "onnxscript")


def _onnx_differences(path: Path, name: str, graph: OnnxGraph) -> tuple[dict[str, float], dict[str, float]]:
    """Largest difference of each output of an ONNX file from its graph's in torch over the examples, and its largest size.

    Args:
        path: of the file.
        name: that it shall have, for the message.
        graph: that it was written from.

    Raises:
        OutputError: onnxruntime cannot run the file.
    """
    import onnxruntime  # noqa: PLC0415

    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4  # its errors are told by ours
    names = [output.name for output in graph.outputs]
    largest, sizes = dict.fromkeys(names, 0.0), dict.fromkeys(names, 0.0)
    for batch in CHECKED_BATCHES:
        given = examples(graph, batch)
        with torch.no_grad():
            expected = graph.module(*map(torch.from_numpy, given.values()))
        try:
            session = onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
            found = session.run(names, given)
        except Exception as error:
            # Its exceptions have no common class of their own.
            raise OutputError(
                f"{name}: onnxruntime {onnxruntime.__version__} cannot run the graph ({_first_line(error)}): update onnxruntime"
            ) from error
        for output, ours, theirs in zip(names, expected, found, strict=True):
            difference = float(np.abs(ours.numpy() - theirs).max())
            largest[output] = difference if np.isnan(difference) else max(largest[output], difference)
            sizes[output] = max(sizes[output], float(ours.abs().max()))
    return largest, sizes


def examples(graph: OnnxGraph, batch: int) -> dict[str, np.ndarray]:
    """Made-up inputs by name; the same for the same batch size."""
    generator = np.random.default_rng(batch)
    return {one.name: one.example(generator, batch) for one in graph.inputs}


def made_up_images(width: int, height: int) -> Example:
    """Example of uint8 images with soft blotches of colour, (batch, height, width, 3)."""

    def example(generator: np.random.Generator, batch: int) -> np.ndarray:
        coarse = torch.from_numpy(generator.uniform(0, 255, (batch, 3, 9, 9)))
        fine = nn.functional.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 255)
        return fine.permute(0, 2, 3, 1).to(torch.uint8).contiguous().numpy()

    return example


def _captured(graph: OnnxGraph) -> Any:
    """The network exported as onnx's ModelProto."""
    given = tuple(map(torch.from_numpy, examples(graph, 2).values()))
    batch = torch.export.Dim("batch")
    with _quiet():
        try:
            # Captured here and not by torch.onnx, which would rather fix the size of the batch than fail.
            captured = torch.export.export(
                graph.module, given, dynamic_shapes=tuple({0: batch} for _ in given), strict=False
            )
            program = torch.onnx.export(
                captured,
                dynamo=True,
                input_names=[one.name for one in graph.inputs],
                output_names=[one.name for one in graph.outputs],
                opset_version=OPSET,
                external_data=False,
                verbose=False,
            )
        except RuntimeError as error:  # what torch's own errors here have in common
            raise InputError(
                f"this {graph.stage} cannot be written as ONNX ({_first_line(error)}): use another backbone, or a newer torch and onnxscript"
            ) from error
    assert program is not None
    return program.model_proto


def _described(model: Any, graph: OnnxGraph, origin: Mapping[str, str]) -> Any:
    """The model with our metadata, and without the exporter's, which tells paths of this machine."""
    held = model.graph
    for part in (*held.node, *held.initializer, *held.value_info, *held.input, *held.output, held, model):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    for function in model.functions:
        for part in (function, *function.node):
            part.ClearField("metadata_props")
            part.ClearField("doc_string")
    meanings = [one.meaning for one in graph.inputs] + [one.meaning for one in graph.outputs]
    for value, meaning in zip((*held.input, *held.output), meanings, strict=True):
        value.doc_string = meaning
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    header = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "evolift": __version__,
        "stage": graph.stage,
        "checkpoint": dict(origin),
        "inputs": {one.name: one.meaning for one in graph.inputs},
        "outputs": {one.name: one.meaning for one in graph.outputs},
        **graph.description,
    }
    model.metadata_props.add(key=METADATA_KEY, value=json.dumps(header, ensure_ascii=False))
    return model


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's own notes, which are about its workings."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
