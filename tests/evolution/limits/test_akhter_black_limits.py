"""The published limits, with made-up files of the same layout, against a plain reader of one pose at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch

from evolift.evolution.job.algorithm import evolve
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.limits.akhter_black_limits import AkhterBlackLimits
from evolift.evolution.limits.limit_sources import joint_limits
from evolift.evolution.settings import EvolutionSettings
from evolift.posedata.errors import InputError
from evolift.posedata.skeleton import H36M17, MPII16
from evolift.posedata.store import PoseStore
from tests.evolution.kinematics.test_local_bones import random_bodies

TREE = KinematicTree(H36M17)
PARENTS = np.array([2, 3, 5, 6, 2, 9, 10, 11, 13, 14, 15])
CHILDREN = np.array([3, 4, 6, 7, 8, 10, 11, 12, 14, 15, 16])
ON_TORSO = (0, 2, 4, 5, 8)
NAMES = {
    0: "right_elbow", 1: "right_wrist", 2: "left_elbow", 3: "left_wrist", 4: "head",
    5: "right_knee", 6: "right_ankle", 8: "left_knee", 9: "left_ankle",
}  # fmt: skip


def write_model(folder: Path, seed: int = 0) -> Path:
    """Files as the authors' are laid out, with random regions, planes and bounds."""
    rng = np.random.default_rng(seed)
    spread, planes, axes, bounds = (np.empty((1, 11), object) for _ in range(4))
    for cell in range(11):
        spread[0, cell] = (rng.random((121, 61)) < 0.6).astype(np.uint8)
        plane = rng.normal(size=(121, 61, 4)) * [1, 1, 1, 0.4] + [0, 0, 0, -0.6]
        plane[rng.random((121, 61)) < 0.1] = np.nan
        planes[0, cell] = plane
        axes[0, cell] = rng.normal(size=(121, 61, 3))
        low, high = -rng.uniform(0.3, 1, (121, 61, 2)), rng.uniform(0.3, 1, (121, 61, 2))
        bounds[0, cell] = np.stack([low[..., 0], high[..., 0], low[..., 1], high[..., 1]], -1)
    model = {"jmp": 3, "prnts": PARENTS, "chlds": CHILDREN, "angleSprd": spread}
    model |= {"sepPlane": planes, "E2": axes, "bounds": bounds}
    scipy.io.savemat(folder / "jointAngleModel_v2.mat", model)
    a = rng.normal(size=3)
    di = rng.normal(size=(3, 16))
    scipy.io.savemat(
        folder / "staticPose.mat",
        {"a": (a / np.linalg.norm(a))[:, None], "di": di / np.linalg.norm(di, axis=0)},
    )
    return folder / "jointAngleModel_v2.mat"


def gram_schmidt(*vectors: np.ndarray) -> np.ndarray:
    done: list[np.ndarray] = []
    for vector in vectors:
        left = vector - sum((other * (other @ vector) for other in done), np.zeros(3))
        done.append(left / np.linalg.norm(left))
    return np.stack(done, 1)


def plain_verdicts(path: Path, joints: np.ndarray) -> tuple[dict[str, bool], float]:
    """One pose after the description of the files; also how near the nearest bin border is, degrees."""
    model = scipy.io.loadmat(path)
    static = scipy.io.loadmat(path.parent / "staticPose.mat")
    points = {name: joints[H36M17.index(name)][[0, 2, 1]] for name in H36M17.joints}
    joint = [
        "pelvis", "thorax", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
        "head", "right_hip", "right_knee", "right_ankle", None, "left_hip", "left_knee", "left_ankle", None,
    ]  # fmt: skip
    edges = [(1, 2), (2, 3), (3, 4), (4, 5), (2, 6), (6, 7), (7, 8), (2, 9), (1, 10), (10, 11), (11, 12), (12, 13),
             (1, 14), (14, 15), (15, 16), (16, 17)]  # fmt: skip
    bones = {}
    for number, (parent, child) in enumerate(edges, 1):
        names = joint[parent - 1], joint[child - 1]
        if None not in names:
            bones[number] = points[names[0]] - points[names[1]]  # type: ignore[index]
    shoulders, hips = bones[5] - bones[2], bones[13] - bones[9]
    verdicts, bins, edge = {}, {}, 90.0
    for cell, name in NAMES.items():
        child, parent = int(CHILDREN[cell]), int(PARENTS[cell])
        across = shoulders if cell in (0, 1, 2, 3, 4) else hips
        across = across / np.linalg.norm(across)
        frame = gram_schmidt(across, bones[1], np.cross(across, bones[1]))
        if cell not in ON_TORSO:
            u = bones[parent] / np.linalg.norm(bones[parent])
            v = np.cross(frame @ static["a"][:, 0], u)
            frame = gram_schmidt(u, v, np.cross(u, v))
        b = frame.T @ bones[child]
        b /= np.linalg.norm(b)
        place = np.array([np.degrees(np.arctan2(b[1], b[0])) + 180, np.degrees(np.arcsin(b[2])) + 90])
        edge = min(edge, float(np.abs(place / 3 - np.round(place / 3)).min() * 3))
        bins[child] = tuple(np.floor(place / 3 + 1).astype(int) - 1)
        if cell in ON_TORSO:
            verdicts[name] = bool(model["angleSprd"][0, cell][bins[child]])
            continue
        v = model["sepPlane"][0, cell][bins[parent]]
        v = v / np.linalg.norm(v[:3])
        if np.isnan(v).any() or v @ [*b, 1] > 0:
            verdicts[name] = False
            continue
        second = model["E2"][0, cell][bins[parent]]
        t = gram_schmidt(v[:3], second, np.cross(v[:3], second))
        low_u, high_u, low_v, high_v = model["bounds"][0, cell][bins[parent]]
        verdicts[name] = bool(low_u <= t[:, 1] @ b <= high_u and low_v <= t[:, 2] @ b <= high_v)
    return verdicts, edge


def test_verdicts_are_those_of_the_plain_reader(tmp_path: Path) -> None:
    path = write_model(tmp_path)
    limits = joint_limits(f"akhter-black:{path}", TREE.skeleton)
    joints = random_bodies(H36M17, 300, 1, spread=0.5)
    verdict = limits.check(joints)
    checked = {name: set() for name in NAMES.values()}  # type: dict[str, set[bool]]
    for row in range(300):
        expected, edge = plain_verdicts(path, joints[row].numpy().astype(float))
        if edge < 1e-3:
            continue  # rounding decides the bin
        for name, valid in expected.items():
            assert bool(verdict[row, TREE.bone(name)]) == valid, (row, name)
            checked[name].add(valid)
    assert all(seen == {True, False} for seen in checked.values())


def test_bones_that_the_files_do_not_know_always_pass(tmp_path: Path) -> None:
    limits = joint_limits(f"akhter-black:{write_model(tmp_path)}", TREE.skeleton)
    assert isinstance(limits, AkhterBlackLimits)
    free = [bone for bone, has in enumerate(limits.limited) if not has]
    assert {TREE.names[bone] for bone in free} == set(TREE.names) - set(NAMES.values())
    assert limits.check(random_bodies(H36M17, 50, 2))[:, free].all()


def test_a_parent_that_was_never_seen_refuses_the_child(tmp_path: Path) -> None:
    path = write_model(tmp_path)
    model = scipy.io.loadmat(path)
    for cell in (1, 3, 6, 9):
        model["sepPlane"][0, cell][:] = np.nan
    scipy.io.savemat(path, {key: value for key, value in model.items() if not key.startswith("__")})
    verdict = joint_limits(f"akhter-black:{path}", TREE.skeleton).check(random_bodies(H36M17, 50, 3))
    for name in ("right_wrist", "left_wrist", "right_ankle", "left_ankle"):
        assert not verdict[:, TREE.bone(name)].any()


def test_a_store_evolves_under_them(tiny_store: Path, tmp_path: Path) -> None:
    path = write_model(tmp_path)
    model = scipy.io.loadmat(path)
    for cell in range(11):  # only the torso's tables stay tight
        model["sepPlane"][0, cell][:] = [1.0, 0, 0, -2]
        model["bounds"][0, cell][:] = [-1, 1, -1, 1]
        model["angleSprd"][0, cell][:] = 1
        model["E2"][0, cell][:] = [0, 1, 0]
    model["angleSprd"][0, 0][:, :12] = 0
    scipy.io.savemat(path, {key: value for key, value in model.items() if not key.startswith("__")})
    settings = EvolutionSettings(ratio=2.0, limits=f"akhter-black:{path}")
    evolve(tiny_store, tmp_path / "out.h5", settings)
    with PoseStore(tmp_path / "out.h5") as store:
        joints = store.read(slice(64, None)).joints_3d
        assert set(store.provenance.inputs) == {"tiny.h5", "jointAngleModel_v2.mat", "staticPose.mat"}
    assert joints is not None
    assert joint_limits(settings.limits, TREE.skeleton).accepts(torch.from_numpy(joints)).all()


def _without_static(path: Path) -> None:
    (path.parent / "staticPose.mat").unlink()


def _text(path: Path) -> None:
    path.write_text("no MATLAB file")


def _change(path: Path, **values: object) -> None:
    model = {key: value for key, value in scipy.io.loadmat(path).items() if not key.startswith("__")}
    model |= values
    scipy.io.savemat(path, {key: value for key, value in model.items() if value is not None})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_without_static, r"staticPose\.mat is not a file: the limits akhter-black need"),
        (_text, r"jointAngleModel_v2\.mat is not a MATLAB file"),
        (lambda path: _change(path, E2=None), r"the variable E2 is missing"),
        (lambda path: _change(path, jmp=5), r"its bins are 5\.0 degrees wide"),
        (lambda path: _change(path, bounds=np.zeros((3, 3))), r"bounds must be a cell array"),
        (lambda path: _change(path, jmp="x"), r"jmp must be numbers"),
        (lambda path: _change(path.parent / "staticPose.mat", di=np.zeros((3, 4))), r"di must have shapes"),
        (lambda path: _change(path.parent / "staticPose.mat", a=np.zeros(3)), r"a and di must be directions"),
        (
            lambda path: _change(path.parent / "staticPose.mat", a=[1, 0, np.inf]),
            r"a and di must be directions",
        ),
        (lambda path: _change(path.parent / "staticPose.mat", a=[1, 0, 1j]), r"a must be numbers"),
    ],
)
def test_files_laid_out_otherwise_are_refused(tmp_path: Path, damage, message: str) -> None:
    path = write_model(tmp_path)
    damage(path)
    with pytest.raises(InputError, match=message):
        joint_limits(f"akhter-black:{path}", TREE.skeleton)


def test_another_skeleton_is_refused(tmp_path: Path) -> None:
    path = write_model(tmp_path)
    with pytest.raises(InputError, match="akhter-black are for poses of H36M17, these have MPII16"):
        joint_limits(f"akhter-black:{path}", MPII16)
