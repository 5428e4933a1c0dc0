from __future__ import annotations

import pytest
import torch

from evolift.lifter.lifter import FoldedLifter
from evolift.lifter.model import LifterModel, parameter_count
from evolift.lifter.temporal import model as model_file
from evolift.lifter.temporal.model import TemporalLifter
from evolift.lifter.temporal.settings import GRAPHS, TemporalSettings
from evolift.posedata.errors import CheckpointError, InputError
from evolift.posedata.skeleton import COCO17, H36M16, LSP14
from tests.same_answers import assert_same_answers
from tests.settled_networks import settled_lifter, settled_temporal_lifter

BOTH = pytest.mark.parametrize("causal", [False, True])


def windows_of(clip: torch.Tensor, settings: TemporalSettings) -> torch.Tensor:
    """The window of each frame, by the definition: frames beyond the ends are the ends."""
    windows = []
    for frame in range(len(clip)):
        places = [frame - settings.target_frame + at for at in range(settings.frames)]
        windows.append(torch.stack([clip[min(max(place, 0), len(clip) - 1)] for place in places]))
    return torch.stack(windows)


@BOTH
@pytest.mark.parametrize("frames", [9, 27])
@pytest.mark.parametrize("architecture", GRAPHS)
def test_a_clip_is_lifted_as_its_windows_are(architecture: str, frames: int, causal: bool) -> None:
    model = settled_temporal_lifter(architecture=architecture, frames=frames, causal=causal)
    clip = torch.randn(31, 17, 2)
    with torch.no_grad():
        expected = model.windows(windows_of(clip, model.settings))
        assert_same_answers(model(clip), expected)
        assert_same_answers(model.folded()(clip), expected)
        assert_same_answers(model(clip[:1]), model.windows(clip[:1].expand(1, frames, -1, -1)))
    assert (expected[:, 0] == 0).all()
    assert model(clip[:0]).shape == (0, 17, 3)


def test_memory_does_not_grow_with_the_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    model = settled_temporal_lifter()
    clip = torch.randn(50, 17, 2)
    whole, seen, over = model(clip), [], model.network.over
    monkeypatch.setattr(model_file, "FRAMES_AT_ONCE", 16)
    monkeypatch.setattr(model.network, "over", lambda frames: seen.append(len(frames)) or over(frames))
    assert_same_answers(model(clip), whole)
    assert seen == [24, 24, 24, 10]


@pytest.mark.parametrize(("causal", "seen"), [(False, range(16, 25)), (True, range(12, 21))])
def test_an_answer_depends_on_its_window_alone(causal: bool, seen: range) -> None:
    model = settled_temporal_lifter(causal=causal)
    clip = torch.randn(41, 17, 2)
    with torch.no_grad():
        answer = model(clip)[20]
        for frame in range(41):
            other = clip.clone()
            other[frame] += 1.0
            assert bool((model(other)[20] != answer).any()) == (frame in seen), frame


@pytest.mark.parametrize("skeleton", [H36M16, LSP14, COCO17])
def test_other_skeletons_take_the_same_number_of_weights_but_for_edges(skeleton) -> None:
    model = settled_temporal_lifter(skeleton=skeleton, architecture="semgcn")
    with torch.no_grad():
        assert model(torch.randn(5, len(skeleton), 2)).shape == (5, len(skeleton), 3)
    edges = [name for name, _ in model.named_parameters() if name.endswith("edge_logits")]
    count = sum(model.get_parameter(name).numel() for name in edges)
    other = settled_temporal_lifter(architecture="semgcn")
    assert parameter_count(model) - count == parameter_count(other) - sum(
        other.get_parameter(name).numel() for name in edges
    )


def test_the_sizes() -> None:
    assert parameter_count(TemporalLifter(TemporalSettings())) == 544_867
    assert parameter_count(TemporalLifter(TemporalSettings(architecture="semgcn"))) == 515_584


def test_a_mirrored_clip_has_the_mirrored_answer_in_a_flip_test() -> None:
    model = settled_temporal_lifter()
    clip = torch.rand(12, 17, 2) * 500
    mirror = list(model.skeleton.mirror)
    other = torch.stack([639 - clip[..., 0], clip[..., 1]], -1)[:, mirror]
    size = torch.tensor([[640.0, 480.0]])
    with torch.no_grad():
        first, second = (model.lift(given, None, size, flip_test=True) for given in (clip, other))
    assert_same_answers(second[:, mirror] * torch.tensor([-1.0, 1.0, 1.0]), first)


def test_checkpoints_come_back_and_are_told_from_those_of_one_frame(tmp_path) -> None:
    model, path = settled_temporal_lifter(causal=True, frames_per_second=25), tmp_path / "m.safetensors"
    model.save(path)
    again = TemporalLifter.load(path)
    assert again.settings == model.settings
    clip = torch.randn(4, 17, 2)
    assert torch.equal(again(clip), model(clip))
    with pytest.raises(CheckpointError, match="of the stage 'temporal-lifter', not 'lifter'"):
        LifterModel.load(path)
    settled_lifter().save(tmp_path / "one.safetensors")
    with pytest.raises(CheckpointError, match="of the stage 'lifter', not 'temporal-lifter'"):
        TemporalLifter.load(tmp_path / "one.safetensors")


def test_a_folded_one_is_for_inference_alone() -> None:
    model = settled_temporal_lifter()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    folded = model.folded()
    assert isinstance(folded, FoldedLifter)
    assert not any(parameter.requires_grad for parameter in folded.parameters())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"frames": 10}, "`frames` must be 9, 27 or 81, not 10"),
        ({"frames": 243}, "`frames` must be a whole number of at least 9 and at most 81, not 243"),
        ({"frames_per_second": 0}, "`frames_per_second` must be a number above 0 and at most 1000, not 0"),
        ({"target": "z"}, "`target` must be xyz for a lifter of several `frames`, not z"),
        ({"architecture": "martinez"}, "`architecture` must be modulated-gcn or semgcn for a lifter of several `frames`, not martinez"),
        ({"non_local": True}, "`non_local` must be False for a lifter of several `frames`, not True"),
    ],
)  # fmt: skip
def test_what_cannot_be_built_is_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as refused:
        TemporalSettings(**settings)  # type: ignore[arg-type]
    assert str(refused.value) == message


def test_input_of_another_shape_is_refused() -> None:
    model = settled_temporal_lifter()
    with pytest.raises(InputError, match=r"takes 17 joints of H36M17 with 2 axes, got \(16, 2\)"):
        model(torch.randn(3, 16, 2))
    with pytest.raises(InputError, match="sees 9 frames together, got 8"):
        model.windows(torch.randn(3, 8, 17, 2))
