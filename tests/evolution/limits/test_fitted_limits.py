"""Fitted limits against a slow search over all training poses, their file, and their report."""

from __future__ import annotations

import json
import math
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from evolift.cli.evolve import evolve
from evolift.cli.limits import limits as limits_command
from evolift.evolution.kinematics.direction_cells import cell_of, centres, within
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.kinematics.local_bones import to_joints, to_local
from evolift.evolution.limits.fitted_limits import PARENT_SIDE, SIDE, FittedLimits, fit_limits
from evolift.evolution.limits.limit_sources import joint_limits
from evolift.evolution.limits.limits_file import load_limits, save_limits
from evolift.evolution.settings import FitSettings
from evolift.posedata.errors import InputError, OutputError
from evolift.posedata.skeleton import H36M17, MPII16
from evolift.posedata.store import PoseStore, Provenance
from tests.evolution.kinematics.test_local_bones import random_bodies

TREE = KinematicTree(H36M17)


def bodies(n: int, seed: int, spread: float = 0.35) -> torch.Tensor:
    return random_bodies(H36M17, n, seed, spread)


@pytest.fixture(scope="module")
def fitted() -> FittedLimits:
    return fit_limits(
        [bodies(60, 1), bodies(40, 2)], TREE, FitSettings(smoothing=20.0, parent_smoothing=30.0)
    )


@given(st.tuples(*[st.floats(-1, 1, width=32)] * 3).filter(lambda v: math.hypot(*v) > 1e-3))
def test_a_direction_lies_in_a_cell_whose_centre_is_near(vector: tuple[float, float, float]) -> None:
    direction = torch.tensor(vector)[:, None]
    cell = cell_of(direction, SIDE)
    cosine = torch.nn.functional.normalize(direction[:, 0], dim=0) @ centres(SIDE)[cell[0]]
    assert (
        math.degrees(math.acos(min(1.0, float(cosine)))) < 1.5 * math.degrees(math.sqrt(4 * math.pi)) / SIDE
    )


def test_every_cell_holds_its_own_centre() -> None:
    for side in (PARENT_SIDE, SIDE):
        torch.testing.assert_close(cell_of(centres(side).T, side), torch.arange(side**2))


def test_nearness_is_an_angle() -> None:
    near = within(PARENT_SIDE, math.radians(30))
    cosine = centres(PARENT_SIDE).double() @ centres(PARENT_SIDE).double().T
    angle = torch.rad2deg(torch.arccos(cosine.clamp(-1, 1)))
    assert near[angle < 29.9].all()
    assert not near[angle > 30.1].any()


def test_the_verdict_is_that_of_a_search_over_all_poses(fitted: FittedLimits) -> None:
    """Slow and obvious: for each bone look for a training pose, or its mirror image, that allows it."""
    training = torch.cat([bodies(60, 1), bodies(40, 2)])
    mirrored = training[:, list(H36M17.mirror)] * torch.tensor([-1.0, 1.0, 1.0])
    seen = to_local(TREE, torch.cat([training, mirrored]))
    asked = to_local(TREE, bodies(30, 3, spread=0.6))
    verdict = fitted.check_local(asked)

    def centre(directions: torch.Tensor, side: int) -> torch.Tensor:
        return centres(side)[cell_of(directions.T, side)].double()

    def angle(one: torch.Tensor, many: torch.Tensor) -> torch.Tensor:
        return torch.rad2deg(torch.arccos((many @ one).clamp(-1, 1)))

    uncertain = 0
    for bone in TREE.movable:
        own = centre(seen.directions[:, bone], SIDE)
        for row in range(30):
            reach = angle(centre(asked.directions[row, bone][None], SIDE)[0], own)
            margin = reach - 20
            if TREE.carriers[bone]:
                parent = TREE.parents[bone]
                parents = centre(seen.directions[:, parent], PARENT_SIDE)
                here = centre(asked.directions[row, parent][None], PARENT_SIDE)[0]
                margin = torch.maximum(margin, angle(here, parents) - 30)
            if bone == TREE.trunk[-1]:
                line = centre(asked.upper[row, :, 0][None], SIDE)[0]
                margin = torch.maximum(
                    margin.min(), (angle(line, centre(seen.upper[:, :, 0], SIDE)) - 20).min()
                )
            if margin.min().abs() < 0.1:  # rounding decides there
                uncertain += 1
                continue
            assert bool(verdict[row, bone]) == bool(margin.min() < 0), (TREE.names[bone], row)
    assert uncertain < 20
    assert 0.1 < verdict[:, list(TREE.movable)].float().mean() < 0.9


def test_all_poses_it_was_fitted_on_pass(fitted: FittedLimits) -> None:
    joints = torch.cat([bodies(60, 1), bodies(40, 2)])
    assert fitted.poses == 100
    assert fitted.accepts(joints).all()
    flipped = joints[:, list(H36M17.mirror)] * torch.tensor([1.0, -1.0, 1.0])
    assert fitted.accepts(flipped).all()


def test_a_child_is_bound_to_its_parents_direction() -> None:
    """The same forearm is allowed with the arm it was seen with, and not with another arm that was also seen."""
    base = to_local(TREE, bodies(1, 5, spread=0.05))
    arm, hand = TREE.bone("right_elbow"), TREE.bone("right_wrist")

    def pose(upper_arm: tuple[float, ...], forearm: tuple[float, ...]) -> torch.Tensor:
        directions = base.directions.clone()
        for side, sign in (("right", 1.0), ("left", -1.0)):
            mirror = torch.tensor([sign, 1.0, 1.0])
            for joint, value in (("elbow", upper_arm), ("wrist", forearm)):
                unit = torch.nn.functional.normalize(torch.tensor(value), dim=0)
                directions[0, TREE.bone(f"{side}_{joint}")] = unit * mirror
        return to_joints(TREE, base.with_values(directions=directions))

    down, forward = (0.2, 0.1, -1.0), (0.1, 1.0, 0.1)
    straight, bent = (0.0, 0.1, -1.0), (0.0, 1.0, 0.1)
    limits = fit_limits([torch.cat([pose(down, straight), pose(forward, bent)])], TREE, FitSettings())
    assert limits.accepts(torch.cat([pose(down, straight), pose(forward, bent)])).all()
    crossed = limits.check(torch.cat([pose(down, bent), pose(forward, straight)]))
    assert crossed[:, arm].all()
    assert not crossed[:, hand].any()


def test_support_guards_against_single_poses() -> None:
    usual = bodies(1, 6, spread=0.1).repeat(50, 1, 1)
    glitch = bodies(1, 7, spread=1.5)
    wide = fit_limits([usual, glitch], TREE, FitSettings(support=1))
    tight = fit_limits([usual, glitch], TREE, FitSettings(support=5))
    assert wide.accepts(glitch).all()
    assert not tight.accepts(glitch).any()
    assert tight.accepts(usual).all()


def test_a_file_brings_them_back(fitted: FittedLimits, tmp_path: Path) -> None:
    provenance = Provenance("test")
    save_limits(tmp_path / "limits.h5", fitted, provenance)
    save_limits(tmp_path / "again.h5", fitted, provenance)
    assert (tmp_path / "limits.h5").read_bytes() == (tmp_path / "again.h5").read_bytes()
    loaded = joint_limits(f"fitted:{tmp_path / 'limits.h5'}", TREE.skeleton)
    assert isinstance(loaded, FittedLimits)
    assert loaded.settings == fitted.settings
    assert loaded.poses == 100
    joints = bodies(500, 8, spread=0.7)
    assert torch.equal(loaded.check(joints), fitted.check(joints))
    with pytest.raises(OutputError, match="exists"):
        save_limits(tmp_path / "limits.h5", fitted, provenance)


def test_limits_of_another_skeleton_are_refused(fitted: FittedLimits, tmp_path: Path) -> None:
    save_limits(tmp_path / "limits.h5", fitted, Provenance("test"))
    with pytest.raises(
        InputError,
        match=r"limits\.h5: these limits were fitted on the skeleton H36M17, the poses have MPII16",
    ):
        joint_limits(f"fitted:{tmp_path / 'limits.h5'}", MPII16)


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:3000])


def _drop(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["bound/left_wrist"]


def _resize(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["free/left_elbow"]
        file["free/left_elbow"] = np.zeros(7, np.uint8)


def _link(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["shoulder_line"]
        file["shoulder_line"] = h5py.ExternalLink("other.h5", "/poses")


def _future(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file.attrs["version"] = 99


def _break_skeleton(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        values = json.loads(file.attrs["skeleton"])
        del values["parents"]
        file.attrs["skeleton"] = json.dumps(values)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_truncate, "it is no sound file of joint limits"),
        (_drop, "the dataset /bound/left_wrist is missing or a link"),
        (_resize, "dataset /free/left_elbow must be uint8 of shape"),
        (_link, "the dataset /shoulder_line is missing or a link"),
        (_future, "joint limits of version 99, this evolift reads 1"),
        (_break_skeleton, "it is no sound file of joint limits"),
        (lambda path: path.unlink(), "is not a file"),
        (lambda path: path.write_text("text"), "it is no sound file of joint limits"),
    ],
)
def test_damaged_files_are_refused(fitted: FittedLimits, tmp_path: Path, damage, message: str) -> None:
    path = tmp_path / "limits.h5"
    save_limits(path, fitted, Provenance("test"))
    damage(path)
    with pytest.raises(InputError, match=rf"limits\.h5.* {message}|limits\.h5.*{message}"):
        load_limits(path)


def test_a_pose_store_is_no_file_of_limits(tiny_store: Path) -> None:
    with pytest.raises(InputError, match="holds no joint limits"):
        load_limits(tiny_store)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"smoothing": 2.0}, "`smoothing` must be a number of at least 5 and at most 180, not 2.0"),
        ({"parent_smoothing": 2.0}, "`parent_smoothing` must be a number of at least 10"),
        ({"support": 0}, "`support` must be a whole number of at least 1, not 0"),
    ],
)
def test_settings_that_cannot_be(values: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match="^" + message):
        FitSettings(**values)  # type: ignore[arg-type]


def test_from_the_command_line(tiny_store: Path, tmp_path: Path) -> None:
    run = CliRunner().invoke
    file = tmp_path / "limits.h5"
    arguments = ["fit", str(tiny_store), "-o", str(file), "--held-out", str(tiny_store), "--smoothing", "15"]
    result = run(limits_command, arguments)
    assert result.exit_code == 0, result.output
    assert "limits fitted on 64 poses" in result.output
    assert "100.00% of 64 poses" in result.output
    evolved = tmp_path / "evolved.h5"
    result = run(evolve, [str(tiny_store), "-o", str(evolved), "--limits", f"fitted:{file}", "--sigma", "30"])
    assert result.exit_code == 0, result.output
    with PoseStore(evolved) as store:
        assert set(store.provenance.inputs) == {"tiny.h5", "limits.h5"}
        joints = store.read().joints_3d
    assert joints is not None
    assert load_limits(file).accepts(torch.from_numpy(joints)).all()


@pytest.mark.slow
def test_images_of_the_worst(tiny_store: Path, tmp_path: Path) -> None:
    from cv2 import imread

    path = tmp_path / "worst.png"
    arguments = ["check", str(tiny_store), "--limits", "anatomical", "--figure", str(path)]
    result = CliRunner().invoke(limits_command, arguments)
    assert result.exit_code == 0, result.output
    image = imread(str(path))
    # Broken bones are drawn in thick black, which nothing else in a tile of stick figures is.
    assert (image.max(-1) < 8).sum() > 500
    again = CliRunner().invoke(limits_command, arguments)
    assert isinstance(again.exception, OutputError)
