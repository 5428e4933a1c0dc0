from __future__ import annotations

import pytest
import torch

from evolift.lifter.data.detection_errors import DetectionErrors, box_side
from evolift.lifter.data.pairs import Pairs, free_limbs, pairs_of_limbs
from evolift.lifter.settings import PairSettings
from evolift.lifter.temporal.noise import with_clip_noise
from evolift.posedata.camera_rig import CameraBatch
from evolift.posedata.skeleton import H36M17

CLIPS, FRAMES, RATE = 60, 50, 25.0


def still_clips() -> Pairs:
    rows = CLIPS * FRAMES
    joints = torch.rand(1, 17, 2, generator=torch.Generator().manual_seed(1)) * 500
    nobody = torch.zeros(rows, 3, 3)
    cameras = CameraBatch(nobody, nobody, torch.zeros(rows, 3), torch.full((rows, 2), 500.0))
    return Pairs(
        joints.expand(rows, -1, -1), torch.full((rows, 17), 2, dtype=torch.uint8), torch.zeros(rows, 17, 3), cameras
    )  # fmt: skip


def noisy(errors: DetectionErrors | None = None, seed: int = 0, **settings: float) -> Pairs:
    generator = torch.Generator().manual_seed(seed)
    pairs = PairSettings(**settings)  # type: ignore[arg-type]
    return with_clip_noise(still_clips(), FRAMES, RATE, pairs, errors, H36M17, generator)


def correlation(values: torch.Tensor, lag: int) -> float:
    """Of values of (clips, frames, ...) and those `lag` frames later; their mean is 0."""
    first, second = values[:, : FRAMES - lag].flatten(), values[:, lag:].flatten()
    return float((first * second).mean() / values.square().mean())


def test_without_noise_nothing_changes() -> None:
    given, found = still_clips(), noisy()
    assert torch.equal(given.pixels, found.pixels)
    assert torch.equal(given.visibility, found.visibility)


def test_half_of_gaussian_noise_stays_for_a_while() -> None:
    given, found = still_clips(), noisy(noise=2.0)
    side = box_side(given.pixels, given.visibility)[0]
    error = ((found.pixels - given.pixels) / side * 100).unflatten(0, (CLIPS, FRAMES))
    assert float(error.std()) == pytest.approx(2.0, rel=0.03)
    assert abs(float(error.mean())) < 0.05
    assert correlation(error, 1) == pytest.approx(0.5, abs=0.03)
    assert correlation(error, 49) == pytest.approx(0.0, abs=0.12)
    at = error[:, [0, 10, 24, 49]].flatten(2).transpose(0, 1).flatten(1)
    torch.testing.assert_close(at.std(1), torch.full((4,), 2.0), rtol=0.1, atol=0)


def test_errors_of_people_are_drawn_as_they_are_and_half_of_them_stay() -> None:
    people = torch.stack([torch.full((17, 2), value) for value in (-6.0, 6.0)])
    given, found = still_clips(), noisy(DetectionErrors(H36M17, people))
    side = box_side(given.pixels, given.visibility)[0]
    error = ((found.pixels - given.pixels) / side * 100)[..., 1].unflatten(0, (CLIPS, FRAMES))
    torch.testing.assert_close(error.abs(), torch.full_like(error, 6.0), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(error, error[..., :1].expand_as(error), rtol=0, atol=1e-2)
    # A frame is of the state's person with probability 1/2, and so are two of them with 1/4.
    assert correlation(error, 1) == pytest.approx(0.25, abs=0.06)


@pytest.mark.parametrize(
    ("setting", "marks"),
    [
        ("missing", [list(range(17))]),
        ("missing_limbs", [list(limb) for limb in free_limbs(H36M17)]),
    ],
)
def test_joints_are_missing_as_often_as_asked_for_and_in_runs(setting: str, marks: list[list[int]]) -> None:
    lost = (noisy(**{setting: 0.2}).visibility == 0).unflatten(0, (CLIPS, FRAMES))
    concerned = sorted({joint for limb in marks for joint in limb})
    assert not lost[..., [joint for joint in range(17) if joint not in concerned]].any()
    share = lost[..., concerned].float().mean()
    assert float(share) == pytest.approx(0.2, abs=0.02)
    again = (lost[:, 1:] & lost[:, :-1])[..., concerned].float().mean() / share
    assert 0.45 < float(again) < 0.75
    if setting == "missing_limbs":
        assert all((lost[..., limb[0]] == lost[..., limb[1]]).all() for limb in marks)


def test_sides_are_swapped_limbs_by_limbs() -> None:
    given, found = still_clips(), noisy(swapped=0.2)
    mirror = list(H36M17.mirror)
    for limbs in pairs_of_limbs(H36M17):
        changed = (found.pixels != given.pixels).any(-1)[:, limbs]
        assert (changed == changed[:, :1]).all()
        assert float(changed.float().mean()) == pytest.approx(0.2, abs=0.06)  # of about 180 states
        assert torch.equal(
            found.pixels[changed.any(1)][:, limbs], given.pixels[changed.any(1)][:, mirror][:, limbs]
        )
    assert torch.equal(found.pixels[:, 0], given.pixels[:, 0])


def test_the_same_generator_gives_the_same_noise() -> None:
    settings = {"noise": 1.0, "missing": 0.1, "missing_limbs": 0.1, "swapped": 0.1}
    one, same, other = noisy(**settings), noisy(**settings), noisy(seed=1, **settings)
    assert torch.equal(one.pixels, same.pixels)
    assert torch.equal(one.visibility, same.visibility)
    assert not torch.equal(one.pixels, other.pixels)
