from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from evolift.posedata.errors import InputError, OutputError
from evolift.posedata.extras import install_command
from evolift.training import onnx_file
from evolift.training.onnx_file import GraphInput, GraphOutput, OnnxGraph, made_up_images, write_onnx


class Twice(nn.Module):
    def forward(self, numbers: Tensor) -> tuple[Tensor]:
        return (numbers * 2,)


class Branching(nn.Module):
    def forward(self, numbers: Tensor) -> tuple[Tensor]:
        return (numbers * 2 if numbers.sum().item() > 0 else numbers,)


class Fixed(nn.Module):
    """Takes only batches of the size it was captured with."""

    def forward(self, numbers: Tensor) -> tuple[Tensor]:
        return (numbers + torch.zeros(len(numbers), 1),)


class Forgetful(nn.Module):
    """Captured, it is another function than when it runs."""

    def forward(self, numbers: Tensor) -> tuple[Tensor]:
        return (numbers + (1.0 if torch.compiler.is_compiling() else 1.5),)


class Half(nn.Module):
    """Computes in bfloat16, which onnxruntime has no kernels for on a CPU."""

    def forward(self, numbers: Tensor) -> tuple[Tensor]:
        return (numbers.bfloat16().erf().float(),)


def graph_of(module: nn.Module, tolerance: float = 1e-6) -> OnnxGraph:
    def example(generator: np.random.Generator, batch: int) -> np.ndarray:
        return generator.normal(size=(batch, 4)).astype(np.float32)

    return OnnxGraph(
        "lifter",
        module.eval(),
        (GraphInput("numbers", "float32 (batch, 4): any", example),),
        (GraphOutput("twice", "float32 (batch, 4): double", tolerance),),
        {"units": {"twice": "mm"}},
    )


def test_a_file_runs_with_any_batch_and_tells_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "twice.onnx"
    assert write_onnx(path, graph_of(Twice()), origin={"name": "best"}) == {"twice": 0.0}
    session = onnxruntime.InferenceSession(str(path))
    for batch in (1, 2, 5, 300):
        numbers = np.random.default_rng(0).normal(size=(batch, 4)).astype(np.float32)
        np.testing.assert_array_equal(session.run(None, {"numbers": numbers})[0], numbers * 2)
    metadata = json.loads(session.get_modelmeta().custom_metadata_map["evolift"])
    assert metadata["stage"] == "lifter"
    assert metadata["checkpoint"] == {"name": "best"}
    assert metadata["inputs"] == {"numbers": "float32 (batch, 4): any"}
    assert metadata["units"] == {"twice": "mm"}
    model = onnx.load(path)
    onnx.checker.check_model(model)
    assert model.graph.output[0].doc_string == "float32 (batch, 4): double"
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    assert [entry.name for entry in tmp_path.iterdir()] == ["twice.onnx"], "weights are inside the file"


def test_a_file_tells_no_path_of_this_machine(tmp_path: Path) -> None:
    path = tmp_path / "twice.onnx"
    write_onnx(path, graph_of(Twice()))
    content = path.read_bytes()
    for place in (str(Path(__file__).parent), str(tmp_path), str(Path(torch.__file__).parent), "File "):
        assert place.encode() not in content


def test_a_network_of_one_batch_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be written as ONNX \(Constraints violated \(batch\)!"):
        write_onnx(tmp_path / "fixed.onnx", graph_of(Fixed()))
    assert not list(tmp_path.iterdir())


def test_a_graph_that_onnxruntime_cannot_run_is_not_left(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"^x.onnx: onnxruntime .* cannot run the graph"):
        write_onnx(tmp_path / "x.onnx", graph_of(Half()))
    assert not list(tmp_path.iterdir())


def test_the_difference_is_told_and_an_older_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "old.onnx"
    path.write_text("older")
    with pytest.raises(OutputError, match=r"old.onnx exists: choose another output or add `overwrite`"):
        write_onnx(path, graph_of(Twice()))
    with pytest.raises(
        OutputError, match=r"its twice differ from torch's by 0\.5, and \S+e-0[56] is allowed"
    ):
        write_onnx(path, graph_of(Forgetful()), overwrite=True)
    assert path.read_text() == "older"


def test_not_a_number_is_a_difference(tmp_path: Path) -> None:
    class Nothing(nn.Module):
        def forward(self, numbers: Tensor) -> tuple[Tensor]:
            return (numbers * float("nan"),)

    with pytest.raises(OutputError, match="differ from torch's by nan"):
        write_onnx(tmp_path / "nan.onnx", graph_of(Nothing()))


def test_a_network_that_depends_on_values_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="this lifter cannot be written as ONNX"):
        write_onnx(tmp_path / "branch.onnx", graph_of(Branching()))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("package", ["onnx", "onnxruntime", "onnxscript"])
def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=f"{package} is missing.*{re.escape(install_command('onnx'))}"):
        write_onnx(tmp_path / "x.onnx", graph_of(Twice()))


def test_examples_are_images_and_depend_on_nothing_but_the_batch() -> None:
    make = made_up_images(30, 20)
    image = make(np.random.default_rng(1), 3)
    assert image.shape == (3, 20, 30, 3)
    assert image.dtype == np.uint8
    assert image.std() > 20
    np.testing.assert_array_equal(image, make(np.random.default_rng(1), 3))
    first, second = (onnx_file.examples(graph_of(Twice()), 3)["numbers"] for _ in range(2))
    np.testing.assert_array_equal(first, second)
