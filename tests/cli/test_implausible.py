"""Every command that reads a store, and imports: what cannot be people in millimetres with z up is refused, or insisted on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from evolift.posedata.poses import Poses
from evolift.posedata.skeleton import H36M17
from evolift.posedata.store import PoseStore, PoseStoreWriter, Provenance
from tests.cli.test_data_import import error_line
from tests.conftest import Finished
from tests.posedata.importers.test_coco import write_coco
from tests.posedata.importers.test_smpl_joints import smpl_joints

Make = Callable[..., Poses]
Run = Callable[..., Finished]

WRONG: dict[str, tuple[Callable[[np.ndarray], np.ndarray], str]] = {
    "m": (lambda p: p / 1000, "looks like metres"),
    "y up": (lambda p: np.stack([p[..., 0], p[..., 2], -p[..., 1]], -1), "looks as if y was up"),
}
COMMANDS = [
    "data info STORE",
    "data view STORE -o OUT.png",
    "data select STORE -o OUT.h5",
    "data render STORE -o OUT.h5 --images 1",
    "evolve STORE -o OUT.h5 --target-size 50",
    "limits fit STORE -o OUT.h5",
    "limits check STORE",
    "lifter train STORE -o OUT --steps 1",
    "lifter train-refiner STORE -o OUT --steps 1",
]


def wrong_store(path: Path, poses: Poses, wrong: str) -> Path:
    """As a user has it who scaled or rotated the joints of a store by a script."""
    with PoseStoreWriter(path, H36M17, "world", Provenance("test")) as writer:
        writer.append(poses)
    with h5py.File(path, "r+") as file:
        joints = file["poses/joints_3d"]
        joints[:] = WRONG[wrong][0](joints[:])
    return path


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("wrong", list(WRONG))
def test_commands_refuse_a_store(
    evolift: Run, make_poses: Make, tmp_path: Path, command: str, wrong: str
) -> None:
    store = wrong_store(tmp_path / "a.h5", make_poses(30), wrong)
    places = {"STORE": str(store), "OUT": str(tmp_path / "out"), **{f"OUT.{e}": str(tmp_path / f"out.{e}") for e in ("h5", "png")}}  # fmt: skip
    result = evolift(*(places.get(word, word) for word in command.split()))
    assert result.returncode == 2
    assert f"{store}: {WRONG[wrong][1]}" in error_line(result.stderr)
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]


def test_who_insists_by_select_is_believed_by_all(evolift: Run, make_poses: Make, tmp_path: Path) -> None:
    store = wrong_store(tmp_path / "a.h5", make_poses(30), "m")
    mine = tmp_path / "mine.h5"
    assert evolift("data", "select", store, "-o", mine, "--implausible").returncode == 0
    assert evolift("data", "info", mine).returncode == 0
    assert evolift("limits", "check", mine).returncode == 0


def test_an_import_with_the_wrong_unit_is_refused_unless_insisted_on(
    evolift: Run, standing_pose: np.ndarray, tmp_path: Path
) -> None:
    np.save(tmp_path / "a.npy", smpl_joints(6, standing_pose))
    command = ["data", "import", "smpl-joints", tmp_path / "a.npy", "-o", tmp_path / "a.h5", "--unit", "mm"]
    result = evolift(*command)
    assert result.returncode == 2
    assert f"{tmp_path / 'a.npy'}: looks like metres" in error_line(result.stderr)
    assert "insist by --implausible" in error_line(result.stderr)
    assert not (tmp_path / "a.h5").exists()
    assert evolift(*command, "--implausible").returncode == 0
    with PoseStore(tmp_path / "a.h5") as store:
        assert store.implausible


def test_an_absurd_frame_is_left_out_of_an_import_and_tells_no_axes(
    evolift: Run, standing_pose: np.ndarray, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    joints = smpl_joints(6, standing_pose)
    np.save(tmp_path / "a.npy", joints)
    told = evolift("data", "import", "smpl-joints", tmp_path / "a.npy", "-o", tmp_path / "a.h5").stdout
    joints[3, 21, 0] = 1e8
    np.save(tmp_path / "a.npy", joints)
    result = evolift("data", "import", "smpl-joints", tmp_path / "a.npy", "-o", tmp_path / "b.h5")
    assert result.returncode == 0
    assert caplog.messages == [
        f"{tmp_path / 'a.npy'}: 1 of 6 rows left out that make no sense, first subject unknown, action a, frame 4: right_wrist lies 1e+08 m from the origin"
    ]
    assert result.stdout == told.replace("a.h5: 6 poses", "b.h5: 5 poses")


def test_absurd_pixels_are_left_out_of_an_import(
    evolift: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = write_coco(tmp_path)
    values = json.loads(source.read_text())
    people = [entry for entry in values["annotations"] if sum(entry.get("keypoints", [])[2::3]) > 12]
    people[0]["keypoints"][:3] = [1e30, 50, 2]
    source.write_text(json.dumps(values))
    command = ["data", "import", "coco", source, "--images", tmp_path / "val2017", "-o", tmp_path / "a.h5"]
    result = evolift(*command)
    assert result.returncode == 0, result.stderr
    assert f"{source}: 1 of 2 rows left out that make no sense" in caplog.messages[0]
    assert "nose lies at 1e+30 px" in caplog.messages[0]
