from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
import safetensors.torch
import torch

from evolift.posedata.errors import CheckpointError, OutputError
from evolift.posedata.settings import Settings
from evolift.posedata.version import __version__
from evolift.training.checkpoint import (
    Checkpoint,
    CheckpointedModel,
    load_checkpoint,
    save_checkpoint,
    stage_of,
)


def example(stage: str = "lifter") -> Checkpoint:
    generator = torch.Generator().manual_seed(0)
    tensors = {
        "layer.weight": torch.randn(3, 4, generator=generator).T,  # not contiguous
        "layer.bias": torch.randn(4, generator=generator, dtype=torch.float64),
        "count": torch.tensor(7),
    }
    return Checkpoint(stage, tensors, {"width": 128, "joints": ["a", "b"]}, {"seed": 1, "name": "ü"})


@pytest.mark.parametrize("stage", ["detector", "lifter"])
def test_round_trip(tmp_path: Path, stage: str) -> None:
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, example(stage))
    loaded = load_checkpoint(path, stage)
    assert stage_of(path) == loaded.stage == stage
    assert loaded.settings == example().settings
    assert loaded.record | example().record == loaded.record
    assert set(loaded.tensors) == set(example().tensors)
    for name, tensor in example().tensors.items():
        assert torch.equal(loaded.tensors[name], tensor)
        assert loaded.tensors[name].dtype == tensor.dtype
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.safetensors"]


def test_same_checkpoint_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_checkpoint(tmp_path / name, example())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_shared_tensors_are_written(tmp_path: Path) -> None:
    weight = torch.ones(2, 2)
    save_checkpoint(tmp_path / "a", Checkpoint("lifter", {"a": weight, "b": weight}, {}, {}))
    assert torch.equal(load_checkpoint(tmp_path / "a", "lifter").tensors["b"], weight)


def test_another_stage_is_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "a", example("detector"))
    with pytest.raises(
        CheckpointError, match="a checkpoint of the stage 'detector', not 'lifter': give a lifter checkpoint"
    ):
        load_checkpoint(tmp_path / "a", "lifter")


def test_existing_files_are_kept_unless_overwritten(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "a", example())
    with pytest.raises(OutputError, match="exists"):
        save_checkpoint(tmp_path / "a", example("detector"))
    assert stage_of(tmp_path / "a") == "lifter"
    save_checkpoint(tmp_path / "a", example("detector"), overwrite=True)
    assert stage_of(tmp_path / "a") == "detector"


def rewritten(path: Path, **changes: object) -> Path:
    with safetensors.safe_open(str(path), "pt") as file:
        header = json.loads(file.metadata()["evolift"]) | changes
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    safetensors.torch.save_file(tensors, path, {"evolift": json.dumps(header)})
    return path


def test_damaged_files_are_one_sentence(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "good", example())
    data = (tmp_path / "good").read_bytes()
    (tmp_path / "cut").write_bytes(data[: len(data) - 10])
    (tmp_path / "text").write_text("weights")
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "pickle").write_bytes(pickle.dumps({"a": 1}))
    safetensors.torch.save_file({"a": torch.zeros(1)}, tmp_path / "foreign")
    save_checkpoint(tmp_path / "newer", example())
    rewritten(tmp_path / "newer", version=99)
    save_checkpoint(tmp_path / "other", example())
    rewritten(tmp_path / "other", format="other")
    save_checkpoint(tmp_path / "list", example())
    rewritten(tmp_path / "list", settings=[1])
    cases = {
        "cut": "is not a readable safetensors file",
        "text": "is not a readable safetensors file",
        "empty": "is not a readable safetensors file",
        "pickle": "is not a readable safetensors file",
        "foreign": "is a safetensors file but not a checkpoint of evolift",
        "newer": "has checkpoint version 99, this evolift reads 1: update evolift",
        "other": "is a safetensors file but not a checkpoint of evolift",
        "list": "its settings or record are damaged",
        "nowhere": "is not a file: give the path of a lifter checkpoint",
    }
    for name, message in cases.items():
        with pytest.raises(CheckpointError, match=message) as caught:
            load_checkpoint(tmp_path / name, "lifter")
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)
        if name not in ("list", "nowhere"):
            with pytest.raises(CheckpointError, match=message):
                stage_of(tmp_path / name)


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "a", Checkpoint("lifter", {"w": torch.tensor([1.0, torch.nan])}, {}, {}))
    with pytest.raises(CheckpointError, match="tensor 'w' has values that are not finite: train it again"):
        load_checkpoint(tmp_path / "a", "lifter")


def test_the_header_says_who_made_it(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "a", example())
    with safetensors.safe_open(str(tmp_path / "a"), "pt") as file:
        assert json.loads(file.metadata()["evolift"])["evolift"] == __version__


class Width(Settings, frozen=True, kw_only=True):
    width: int = 3


class Tiny(CheckpointedModel):
    stage = "lifter"
    settings_class = Width
    settings: Width

    def __init__(self, settings: Width) -> None:
        super().__init__()
        self.settings = settings
        self.layer = torch.nn.Linear(settings.width, settings.width)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"width": 20000},
            "its settings are of a network of more than 400,000,000 weights, and it holds 12",
        ),
        ({"width": "3"}, r"Width: `width` must be a whole number, not '3'$"),
        ({"width": 10**400}, r"Width: `width` must be a whole number.*, not a number beyond 64 bits$"),
        ({"width": "9" * 5000}, r"Width: `width` must be a whole number, not '9{79}\.\.\.$"),
        ({"height": 3}, "Width must have exactly width"),
        ({"width": 4}, "tensor 'layer.bias' is missing, unknown or of another shape or type"),
    ],
)
def test_settings_that_do_not_belong_to_the_tensors_are_one_sentence(
    tmp_path: Path, settings: dict[str, object], message: str
) -> None:
    Tiny(Width()).save(tmp_path / "a")
    assert Tiny.load(tmp_path / "a").settings == Width()
    rewritten(tmp_path / "a", settings=settings)
    with pytest.raises(CheckpointError, match=message) as caught:
        Tiny.load(tmp_path / "a")
    assert str(caught.value).startswith(f"{tmp_path / 'a'}: ")


def test_tensors_of_another_type_are_refused(tmp_path: Path) -> None:
    tensors = {name: tensor.to(torch.complex64) for name, tensor in Tiny(Width()).state_dict().items()}
    save_checkpoint(tmp_path / "a", Checkpoint("lifter", tensors, Width().to_dict(), {}))
    with pytest.raises(CheckpointError, match="of another shape or type"):
        Tiny.load(tmp_path / "a")
