from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from evolift.chain.model import ChainModel
from evolift.chain.onnx_graph import chain_graph
from evolift.lifter.architecture import FORMS
from evolift.lifter.onnx_graph import lifter_graph, pose_description
from evolift.lifter.straight_view import Lens
from evolift.posedata.errors import InputError
from evolift.training.onnx_file import write_onnx
from tests.same_answers import assert_same_answers
from tests.settled_networks import settled_detector, settled_lifter


@pytest.mark.parametrize(
    "settings",
    [
        *({"architecture": architecture, "normalisation": "box"} for architecture in FORMS),
        {"normalisation": "screen", "non_local": True, "grouping": "related"},
        {"architecture": "martinez", "normalisation": "screen"},
        {"architecture": "cascade", "normalisation": "box", "target": "z", "input_axes": 3},
        {"normalisation": "camera"},
    ],
    ids=[*FORMS, "semgcn non-local screen", "martinez screen", "cascade z", "semgcn camera"],
)
def test_the_file_lifts_as_the_lifter_does(tmp_path: Path, settings: dict[str, object]) -> None:
    model = settled_lifter(**settings)
    path = tmp_path / "lifter.onnx"
    differences = write_onnx(path, lifter_graph(model))
    name = "depth" if model.settings.target == "z" else "joints_3d"
    assert set(differences) == {name}
    session = onnxruntime.InferenceSession(str(path))
    generator = np.random.default_rng(0)
    for batch in (1, 2, 200):
        joints = generator.normal(400, 90, (batch, 17, model.settings.input_axes)).astype(np.float32)
        visibility = generator.choice(np.array([0, 1, 2], np.uint8), (batch, 17))
        visibility[:, 3] = 2
        joints[visibility == 0] = np.nan
        given = {"joints_2d": joints, "visibility": visibility}
        size = None
        if model.settings.normalisation == "screen":
            size = given["image_size"] = generator.uniform(500, 900, (batch, 2)).astype(np.float32)
        lens = None
        if model.settings.normalisation == "camera":
            K = np.array([[900.0, 0, 480], [0, 905, 520], [0, 0, 1]], np.float32)
            given["intrinsics"] = np.tile(K, (batch, 1, 1))
            lens = Lens(torch.from_numpy(given["intrinsics"]))
        with torch.no_grad():
            expected = model.lift(
                torch.from_numpy(joints),
                torch.from_numpy(visibility),
                None if size is None else torch.from_numpy(size),
                lens,
            )
        found = session.run([name], given)[0]
        assert found.shape == ((batch, 17) if name == "depth" else (batch, 17, 3))
        assert_same_answers(found.reshape(expected.shape), expected, extent=1000.0)
        assert np.ptp(found) > 10, "the network says something"


@pytest.mark.parametrize("target", ["xyz", "z"])
def test_the_file_says_how_sure_the_lifter_is(tmp_path: Path, target: str) -> None:
    model = settled_lifter(normalisation="box", architecture="martinez", target=target, uncertainty=True)
    path = tmp_path / "lifter.onnx"
    assert list(write_onnx(path, lifter_graph(model)))[1:] == ["sigma"]
    session = onnxruntime.InferenceSession(str(path))
    joints = np.random.default_rng(0).normal(400, 90, (5, 17, 2)).astype(np.float32)
    visibility = np.full((5, 17), 2, np.uint8)
    sigma = session.run(["sigma"], {"joints_2d": joints, "visibility": visibility})[0]
    expected = model.lift_with_sigma(torch.from_numpy(joints)).sigma
    assert expected is not None
    assert_same_answers(sigma, expected, extent=1000.0)
    header = json.loads(session.get_modelmeta().custom_metadata_map["evolift"])
    assert header["units"]["sigma"] == "mm"
    assert "0 of the pelvis" in header["outputs"]["sigma"]


def test_a_folded_lifter_is_refused() -> None:
    folded = settled_lifter(normalisation="box").folded()
    for graph in (lambda: lifter_graph(folded), lambda: chain_graph(ChainModel(settled_detector(), folded))):
        with pytest.raises(InputError, match="write the lifter that it was folded from"):
            graph()


def test_a_lifter_of_box_takes_no_size_and_the_file_says_what_it_takes(tmp_path: Path) -> None:
    metadata = {}
    for how in ("box", "screen"):
        path = tmp_path / f"{how}.onnx"
        write_onnx(path, lifter_graph(settled_lifter(architecture="martinez", normalisation=how)))
        session = onnxruntime.InferenceSession(str(path))
        metadata[how] = json.loads(session.get_modelmeta().custom_metadata_map["evolift"])
        assert [one.name for one in session.get_inputs()] == list(metadata[how]["inputs"])
        assert metadata[how]["normalisation"] == how
        assert metadata[how]["units"] == {"joints_2d": "px", "joints_3d": "mm"}
    assert "image_size" not in metadata["box"]["inputs"]
    assert "image_size" in metadata["screen"]["inputs"]
    assert "straight" in metadata["box"]["frame"]
    assert "straight" not in metadata["screen"]["frame"]
    for values in ({"target": "z"}, {"input_axes": 3}):
        assert "straight" not in pose_description(settled_lifter(normalisation="box", **values))["frame"]
