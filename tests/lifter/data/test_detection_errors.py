from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from evolift.lifter.data.detection_errors import (
    DetectionErrors,
    box_side,
    load_detection_errors,
    save_detection_errors,
)
from evolift.posedata.errors import InputError, OutputError
from evolift.posedata.skeleton import H36M17

JOINTS = len(H36M17)
WRIST = H36M17.index("left_wrist")


def some_errors(people: int = 40, unlabelled: bool = True) -> DetectionErrors:
    generator = torch.Generator().manual_seed(3)
    percent = torch.randn(people, JOINTS, 2, generator=generator) * 4
    if unlabelled:
        percent[: people // 2, WRIST] = torch.nan
    return DetectionErrors(H36M17, percent)


def apart(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    return torch.cdist(one, other, compute_mode="donot_use_mm_for_euclid_dist")


def test_errors_are_in_per_cent_of_the_longer_side_of_the_labelled_joints() -> None:
    truth = torch.zeros(1, JOINTS, 2)
    truth[0, 1], truth[0, 2] = torch.tensor([30.0, 0.0]), torch.tensor([0.0, 50.0])
    truth[0, 3] = torch.tensor([900.0, 0.0])
    visibility = torch.full((1, JOINTS), 2, dtype=torch.uint8)
    visibility[0, 3] = 0
    assert box_side(truth, visibility).tolist() == [50.0]
    assert box_side(truth, torch.zeros_like(visibility)).tolist() == [0.0]
    # Someone else labels joint 3, and nobody without extent counts.
    others = torch.cat([truth, truth * 2, torch.zeros_like(truth)])
    seen = torch.cat([visibility, torch.full_like(visibility, 1), visibility])
    found = others + torch.tensor([5.0, -2.5])
    errors = DetectionErrors.between(found, others, seen, H36M17)
    assert errors.percent.shape == (2, JOINTS, 2)
    torch.testing.assert_close(errors.percent[0, 1], torch.tensor([10.0, -5.0]))
    assert bool(torch.isnan(errors.percent[0, 3]).all())
    torch.testing.assert_close(errors.percent[1, 3], torch.tensor([500.0, -250.0]) / 1800)


def test_drawn_people_are_those_measured_or_their_mirror_images() -> None:
    errors = some_errors(unlabelled=False)
    drawn = errors.draw(400, torch.Generator().manual_seed(0))
    mirrored = errors.percent[:, list(H36M17.mirror)] * torch.tensor([-1.0, 1.0])
    distance = [apart(drawn.flatten(1), known.flatten(1)) for known in (errors.percent, mirrored)]
    as_was, rotated = ((d.amin(1) < 1e-4).float() for d in distance)
    assert bool((as_was + rotated == 1).all())
    assert 0.4 < float(as_was.mean()) < 0.6
    assert len(set(distance[0].argmin(1)[as_was > 0].tolist())) > 30


def test_a_joint_that_was_not_labelled_gets_the_error_of_another_person() -> None:
    errors = some_errors()
    drawn = errors.draw(2000, torch.Generator().manual_seed(0))
    assert not torch.isnan(drawn).any()
    known = errors.percent[20:, WRIST]
    unmirrored = drawn[(apart(drawn[:, WRIST], known).amin(1) < 1e-5)][:, WRIST]
    # All those that have one, about equally often.
    counts = torch.bincount(apart(unmirrored, known).argmin(1), minlength=20)
    assert int(counts.min()) > 20
    again = errors.draw(2000, torch.Generator().manual_seed(0))
    assert torch.equal(drawn, again)


def test_a_joint_that_nobody_labelled_errs_as_its_neighbours_do() -> None:
    percent = some_errors(unlabelled=False).percent.clone()
    nose = H36M17.index("nose")
    percent[:, nose] = torch.nan
    errors = DetectionErrors(H36M17, percent)
    assert errors.unmeasured == [nose]
    drawn = errors.draw(50, torch.Generator().manual_seed(0))
    sides = drawn[:, [H36M17.index("thorax"), H36M17.index("head")]]
    torch.testing.assert_close(drawn[:, nose], sides.mean(1))


def test_a_file_comes_back_as_it_was(tmp_path: Path) -> None:
    errors = some_errors()
    save_detection_errors(tmp_path / "errors.csv", errors)
    back = load_detection_errors(tmp_path / "errors.csv", H36M17)
    np.testing.assert_allclose(back.percent, errors.percent, atol=1e-4)
    with pytest.raises(OutputError):
        save_detection_errors(tmp_path / "errors.csv", errors)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("person,joint,x\n", "has no column 'y'"),
        ("person,joint,x,y\n0,pelvis,1,2\n0,neck,1,2\n", "line 3: H36M17 has no joint 'neck'"),
        ("person,joint,x,y\n0,pelvis,1,far\n", "line 2: person, x and y must be finite numbers"),
        ("person,joint,x,y\n0,pelvis,inf,2\n", "line 2: person, x and y must be finite numbers"),
        ("person,joint,x,y\n0,pelvis,1,2\n0,head,1,-1e20\n", "line 3: an error of more than 10000 percent"),
        ("person,joint,x,y\n0,pelvis,1,2\n0,pelvis,1,2\n", "line 3: this person has two errors of pelvis"),
        ("person,joint,x,y\n0,pelvis,1,2\n", "there is no error of right_knee nor of a joint next to it"),
        ("", "cannot be read as a CSV table of detection errors"),
    ],
)
def test_an_invalid_file_gets_one_sentence(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "errors.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        load_detection_errors(path, H36M17)
