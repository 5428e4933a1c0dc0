"""Every data set that is imported: its command on a small file of its layout, and what `evolift data info` says of the result."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from evolift.cli.data_import import import_group
from evolift.posedata.importers.human36m_cameras import BUILT_IN, built_in_cameras
from tests.cli import test_data_import
from tests.cli.test_data_import import Run, error_line
from tests.posedata.human36m_files import walking, write_metadata, write_pose_baseline
from tests.posedata.importers.test_coco import write_coco
from tests.posedata.importers.test_human36m_cdf import write_cdf
from tests.posedata.importers.test_mmpose_npz import mmpose_arrays, write_cameras, write_mmpose
from tests.posedata.importers.test_mpi_inf_3dhp import people, write_sequence, write_test_set
from tests.posedata.importers.test_mpii import write_mat
from tests.posedata.importers.test_smpl_joints import write_amass
from tests.posedata.importers.test_videopose3d import (
    H36M_METADATA,
    SEQUENCES,
    seen_2d,
    true_joints,
    write_2d,
    write_3d,
)


def human36m(folder: Path, standing_pose: np.ndarray) -> list[object]:
    for subject, name in (("S1", "Eating"), ("S11", "Directions")):
        path = folder / "h36m" / subject / "MyPoseFeatures" / "D3_Positions" / f"{name}.cdf"
        write_cdf(path, walking(12, standing_pose).reshape(-1, 96))
    return [folder / "h36m", "--metadata", write_metadata(folder), "--fps", 10]


def videopose3d(folder: Path, standing_pose: np.ndarray) -> list[object]:
    positions = {
        subject: {action: walking(frames, standing_pose) / 1000 for action, frames in actions.items()}
        for subject, actions in SEQUENCES.items()
    }
    path_3d, path_2d = write_3d(folder, positions), write_2d(folder, metadata=H36M_METADATA)
    return [path_3d, path_2d, "--metadata", write_metadata(folder), "--subjects", "S1,S11"]


def pose_baseline(folder: Path, standing_pose: np.ndarray) -> list[object]:
    return [write_pose_baseline(folder, standing_pose), "--fps", 25]


def coco(folder: Path, _: np.ndarray) -> list[object]:
    return [write_coco(folder), "--images", folder / "val2017"]


def mpii(folder: Path, _: np.ndarray) -> list[object]:
    return [write_mat(folder), "--images", folder / "images", "--min-joints", 4]


def mmpose(folder: Path, standing_pose: np.ndarray) -> list[object]:
    path = write_mmpose(folder, mmpose_arrays(folder, standing_pose))
    return [path, "--cameras", write_cameras(folder), "--subjects", "S1,S11"]


def mpi_inf_3dhp(folder: Path, standing_pose: np.ndarray) -> list[object]:
    write_sequence(folder / "data" / "S1" / "Seq1", people(11, standing_pose))
    return [folder / "data", "--fps", 5, "--cameras", "0,8"]


def smpl_joints(folder: Path, standing_pose: np.ndarray) -> list[object]:
    write_amass(folder / "amass" / "CMU" / "01" / "walk_poses_12_frames_30_fps.npz", standing_pose, 12)
    return [folder / "amass", "--fps", 10]


evolift = test_data_import.evolift


# Command -> what makes its arguments, what it says, what `evolift data info` says.
DATA_SETS: dict[str, tuple[Callable[[Path, np.ndarray], list[object]], str, list[str]]] = {
    "3d-pose-baseline": (
        pose_baseline,
        "40 poses of 2 sequences; S11 Directions left out: its video is corrupt\ncameras: those of cameras.h5, ",
        [
            "frame: world",
            "cameras: 4 (S1/54138969, ",
            "input: cameras.h5",
            "input: S1/MyPoses/3D_positions/Photo.h5",
        ],
    ),
    "coco": (
        coco,
        "2 people in 2 images; 1 crowds and 1 people with too few labelled joints or no box left out\n"
        "joints by the file's names: pelvis from left_hip and right_hip; spine from ",
        ["frame: none", "images: relative to ", "input: person_keypoints_val2017.json"],
    ),
    "human36m": (
        human36m,
        "12 poses of 1 sequences; S11 Directions left out: its video is corrupt",
        ["frame: world", "cameras: 4 (S1/54138969, ", "input: metadata.xml"],
    ),
    "mmpose": (
        mmpose,
        "12 poses of 2 sequences; S11 Directions left out: its video is corrupt",
        ["frame: world", "cameras: 2 (S1/54138969, S1/60457274), 1000x1002 px", "input: cameras.pkl"],
    ),
    "mpi-inf-3dhp": (
        mpi_inf_3dhp,
        "6 poses of 1 sequences",
        [
            "frame: world",
            "cameras: 2 (S1/Seq1/0, S1/Seq1/8), 2048x2048 px",
            "input: S1/Seq1/camera.calibration",
        ],
    ),
    "mpii": (
        mpii,
        "2 people in 1 images; 1 people with too few labelled joints or no scale left out, and 1 images of the test set",
        ["frame: none", "images: relative to ", "input: mpii_human_pose_v1_u12_1.mat", "curling"],
    ),
    "smpl-joints": (
        smpl_joints,
        "4 poses of 1 files; unit 1000 mm, z up, not mirrored (unit, up, mirrored detected); the top of the head is extrapolated",
        ["frame: world", "input: CMU/01/walk_poses_12_frames_30_fps.npz", "extrapolated from the neck"],
    ),
    "videopose3d": (
        videopose3d,
        "100 poses of 3 sequences; S11 Directions left out: its video is corrupt",
        ["frame: world", "cameras: 8 (S1/54138969, "],
    ),
}


@pytest.mark.parametrize("name", DATA_SETS)
def test_import_and_info(evolift: Run, tmp_path: Path, standing_pose: np.ndarray, name: str) -> None:
    make, said, info_lines = DATA_SETS[name]
    target = tmp_path / "out.h5"
    code, out, err = evolift("data", "import", name, *make(tmp_path, standing_pose), "-o", target)
    assert code == 0, err
    assert f"{target}: {said}" in out
    assert (tmp_path / "out.h5.settings.json").is_file()
    code, out, err = evolift("data", "info", target)
    assert code == 0, err
    for line in [*info_lines, f"made by: evolift data import {name}"]:
        assert line in out


def test_without_files_of_cameras_the_built_in_ones_are_used_and_said(
    evolift: Run, tmp_path: Path, standing_pose: np.ndarray
) -> None:
    positions = {"S5": {"Eating": walking(10, standing_pose) / 1000}}
    write_cdf(
        tmp_path / "h36m/S5/MyPoseFeatures/D3_Positions/Eating.cdf",
        walking(10, standing_pose).reshape(-1, 96),
    )
    sources: dict[str, list[Path]] = {
        "human36m": [tmp_path / "h36m"],
        "mmpose": [write_mmpose(tmp_path, mmpose_arrays(tmp_path, standing_pose, built_in_cameras()))],
        "videopose3d": [
            write_3d(tmp_path, positions),
            write_2d(tmp_path, metadata=H36M_METADATA, table=seen_2d(positions, true_joints)),
        ],
    }
    for name, arguments in sources.items():
        target = tmp_path / f"{name}.h5"
        code, out, err = evolift("data", "import", name, *arguments, "-o", target)
        assert code == 0, err
        assert f"{target}: " in out
        assert BUILT_IN in out.splitlines()
        code, out, _ = evolift("data", "info", target)
        assert '"cameras": "built in"' in out
    code, out, _ = evolift(
        "data", "import", "human36m", tmp_path / "h36m", "--world", "-o", tmp_path / "w.h5"
    )
    assert code == 0
    assert "10 poses of 1 sequences" in out
    assert BUILT_IN not in out


@pytest.mark.parametrize("name", DATA_SETS)
def test_bad_input_is_one_sentence(
    evolift: Run, tmp_path: Path, standing_pose: np.ndarray, name: str
) -> None:
    make, _, _ = DATA_SETS[name]
    arguments = make(tmp_path, standing_pose)
    for path in (Path(str(arguments[0])), *Path(str(arguments[0])).rglob("*")):
        if path.is_file():
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    before = sorted(tmp_path.iterdir())
    code, _, err = evolift("data", "import", name, *arguments, "-o", tmp_path / "out.h5")
    assert code == 2
    assert error_line(err)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("name", import_group.commands)
def test_help_has_an_example_and_the_docs_a_section(evolift: Run, name: str) -> None:
    code, out, _ = evolift("data", "import", name, "--help")
    assert code == 0
    assert f"evolift data import {name}" in out
    assert "--overwrite" in out
    docs = (Path(__file__).parents[2] / "docs" / "data.md").read_text()
    assert f"    evolift data import {name} " in docs
    assert f"| `data import {name}` |" in docs


def test_the_test_set_of_mpi_inf_3dhp(evolift: Run, tmp_path: Path, standing_pose: np.ndarray) -> None:
    source = write_test_set(tmp_path / "test", people(5, standing_pose), images=False)
    code, out, err = evolift("data", "import", "mpi-inf-3dhp", source, "-o", tmp_path / "out.h5")
    assert code == 0, err
    assert "4 poses of 1 sequences; 1 frames left out that are not marked as valid" in out
    code, _, err = evolift("data", "import", "mpi-inf-3dhp", source, "-o", tmp_path / "b.h5", "--fps", 5)
    assert code == 2
    assert "--videos and --fps are for the training set" in err
