"""The published pose-conditioned joint-angle limits, read from the authors' files when the user has them.

`jointAngleModel_v2.mat` holds tables over the direction of a bone in bins of `jmp` degrees of azimuth and elevation. Bones
on the torso are free in the bins marked in `angleSprd`. Another bone b depends on its parent's bin: it lies on the
allowed side of a plane (`sepPlane`: v.[b; 1] <= 0, NaN where the parent was never seen) and its coordinates in that
plane, whose axes come from `E2`, within `bounds`. `staticPose.mat`, in the same folder, holds the vectors `a` and `di`
from which the authors make the frames of forearms and shins.

Conventions of these files, which are used nowhere else: x, z, y of our axes; a bone is parent minus child; the torso
frames are (left to right, downward along the trunk, their cross product); the frame of a forearm or shin is
(its parent bone, the normal of parent and `a`, their cross product).

Reference: Akhter & Black, Pose-conditioned joint angle limits for 3D human pose reconstruction, CVPR 2015. The layout is
read off public readers of the files.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from evolift.evolution.kinematics.direction import apply_matrix, apply_transpose, cross, dot
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.kinematics.local_bones import LocalBones
from evolift.evolution.limits.joint_limits import JointLimits
from evolift.evolution.operators.parent_sampling import in_torso_frame
from evolift.posedata.errors import InputError
from evolift.posedata.mat_file import read_mat
from evolift.posedata.skeleton import H36M17

STATIC_FILE = "staticPose.mat"
AZIMUTHS, ELEVATIONS, STEP = 121, 61, 3.0
STATIC_BONES = 16
_MAX = 1e6
"""Of a number in the files, which tell directions and planes of unit vectors."""


@dataclass(frozen=True)
class _Bone:
    """One of the model's bones that H36M17 has.

    Args:
        cell: place in the model's cells.
        start, end: joints.
        on_shoulders: whether its torso frame is that of the shoulders.
        parent: bone of this list that it depends on, None on the torso.
        static: column of `di` of that parent.
    """

    cell: int
    start: str
    end: str
    on_shoulders: bool
    parent: int | None = None
    static: int = 0


_BONES = (
    _Bone(0, "right_shoulder", "right_elbow", True),
    _Bone(1, "right_elbow", "right_wrist", True, 0, 2),
    _Bone(2, "left_shoulder", "left_elbow", True),
    _Bone(3, "left_elbow", "left_wrist", True, 2, 5),
    _Bone(4, "thorax", "head", True),
    _Bone(5, "right_hip", "right_knee", False),
    _Bone(6, "right_knee", "right_ankle", False, 5, 9),
    _Bone(8, "left_hip", "left_knee", False),
    _Bone(9, "left_knee", "left_ankle", False, 7, 13),
)
"""Feet (cells 7 and 10) are left out: H36M17 has no toes."""


class AkhterBlackLimits(JointLimits):
    """Published limits of upper arms, forearms, head, thighs and shins of H36M17.

    Args:
        tree: of H36M17.
        spread: cell -> allowed bins of a bone on the torso.
        planes, second_axes, bounds: cell -> tables of the other bones over the parent's bins.
        a, di: of the static pose.

    Raises:
        InputError: the tree is of another skeleton.
    """

    name = "akhter-black"

    def __init__(
        self,
        tree: KinematicTree,
        spread: dict[int, Bool[np.ndarray, "azimuths elevations"]],
        planes: dict[int, Float[np.ndarray, "azimuths elevations 4"]],
        second_axes: dict[int, Float[np.ndarray, "azimuths elevations 3"]],
        bounds: dict[int, Float[np.ndarray, "azimuths elevations 4"]],
        a: Float[np.ndarray, "3"],
        di: Float[np.ndarray, "3 static"],
    ) -> None:
        super().__init__(tree)
        if tree.skeleton != H36M17:
            raise InputError(
                f"the limits akhter-black are for poses of H36M17, these have {tree.skeleton.name}: convert the store"
            )
        self._spread = {cell: torch.from_numpy(table.copy()).flatten() for cell, table in spread.items()}
        self._tables = {
            cell: tuple(
                torch.from_numpy(table[cell].astype(np.float32)).reshape(AZIMUTHS * ELEVATIONS, -1).T
                for table in (planes, second_axes, bounds)
            )
            for cell in planes
        }
        self._a = torch.from_numpy(a.astype(np.float32))[:, None]
        self._di = torch.from_numpy(di.astype(np.float32))

    @property
    def limited(self) -> tuple[bool, ...]:
        """For each bone whether it has limits: those of arms, legs and head have."""
        ends = {bone.end for bone in _BONES}
        return tuple(name in ends for name in self.tree.names)

    def check_local(self, local: LocalBones) -> Bool[Tensor, "*batch bones"]:
        """For each of the measured local bones whether it keeps its limit, (..., bones)."""
        batch = local.lengths.shape[:-1]
        joints = in_torso_frame(local, self.tree).reshape(-1, len(H36M17), 3)
        # Planes in the axes of the files.
        points = joints.permute(2, 1, 0)[[0, 2, 1]]
        verdict = torch.ones(len(self.tree.names), len(joints), dtype=torch.bool, device=joints.device)
        torsos = {upper: self._torso(points, upper) for upper in (False, True)}
        bins: list[Tensor] = []
        for bone in _BONES:
            vector = _bone(points, bone.start, bone.end)
            frame = torsos[bone.on_shoulders]
            if bone.parent is not None:
                parent = _BONES[bone.parent]
                frame = self._fore_frame(frame, _bone(points, parent.start, parent.end), bone.static)
            here = _unit(apply_transpose(frame, vector))
            bins.append(_bin(here))
            if bone.parent is None:
                allowed = self._spread[bone.cell].to(here.device)[bins[-1]]
            else:
                allowed = self._within_bounds(bone.cell, here, bins[bone.parent])
            verdict[self.tree.bone(bone.end)] = allowed
        return verdict.T.reshape(*batch, -1)

    def _torso(self, points: Float[Tensor, "3 joints n"], upper: bool) -> Float[Tensor, "3 3 n"]:
        side = "shoulder" if upper else "hip"
        across = points[:, H36M17.index(f"right_{side}")] - points[:, H36M17.index(f"left_{side}")]
        return _frame(_unit(across), _unit(_bone(points, "pelvis", "thorax")))

    def _fore_frame(
        self, torso: Float[Tensor, "3 3 n"], parent: Float[Tensor, "3 n"], static: int
    ) -> Float[Tensor, "3 3 n"]:
        along = _unit(parent)
        a = apply_matrix(torso, self._a.to(along).expand(3, along.shape[1]))
        rest = apply_matrix(torso, self._di[:, static, None].to(along).expand(3, along.shape[1]))
        parallel = torch.minimum(dot(along - a, along - a), dot(along + a, along + a)) < 1e-8
        return _frame(along, _unit(torch.where(parallel, cross(along, rest), cross(a, along))))

    def _within_bounds(
        self, cell: int, here: Float[Tensor, "3 n"], parent_bin: Int64[Tensor, "n"]
    ) -> Bool[Tensor, "n"]:
        plane, second, bounds = (table.to(here)[:, parent_bin] for table in self._tables[cell])
        length = torch.sqrt(dot(plane[:3], plane[:3]))
        normal = plane[:3] / length
        right_side = dot(normal, here) + plane[3] / length <= 0  # False for NaN: the parent was never seen
        frame = _frame(normal, second)
        u, v = dot(frame[:, 1], here), dot(frame[:, 2], here)
        inside: Tensor = (
            right_side & (u >= bounds[0]) & (u <= bounds[1]) & (v >= bounds[2]) & (v <= bounds[3])
        )
        return inside


def _bone(points: Float[Tensor, "3 joints n"], start: str, end: str) -> Float[Tensor, "3 n"]:
    return points[:, H36M17.index(start)] - points[:, H36M17.index(end)]


def _unit(vectors: Float[Tensor, "3 n"]) -> Float[Tensor, "3 n"]:
    return vectors / torch.sqrt(dot(vectors, vectors)).clamp_min(1e-12)


def _frame(first: Float[Tensor, "3 n"], second: Float[Tensor, "3 n"]) -> Float[Tensor, "3 3 n"]:
    """Columns: Gram-Schmidt of a unit vector, another vector, and their cross product."""
    second = _unit(second - first * dot(first, second))
    return torch.stack([first, second, cross(first, second)], 1)


def _bin(directions: Float[Tensor, "3 n"]) -> Int64[Tensor, "n"]:
    azimuth = torch.rad2deg(torch.atan2(directions[1], directions[0]))
    elevation = torch.rad2deg(torch.arcsin(directions[2].clamp(-1, 1)))
    row = ((azimuth + 180) / STEP).long().clamp(0, AZIMUTHS - 1)
    return row * ELEVATIONS + ((elevation + 90) / STEP).long().clamp(0, ELEVATIONS - 1)


def load_akhter_black(path: Path, tree: KinematicTree) -> AkhterBlackLimits:
    """Read `jointAngleModel_v2.mat`; `staticPose.mat` must lie in the same folder.

    Raises:
        InputError: a file is missing, no MATLAB file of version 5 to 7, or laid out otherwise; or the tree is not that of
            H36M17.
    """
    model, static = _read(path), _read(path.parent / STATIC_FILE)
    step = _numbers(path, model, "jmp")
    if not (step == STEP).all() or not step.size:
        width = step.flat[0] if step.size else "no"
        raise InputError(f"{path}: its bins are {width} degrees wide, this evolift reads files with {STEP}")
    shape = (AZIMUTHS, ELEVATIONS)
    spread, planes, second_axes, bounds = {}, {}, {}, {}
    for bone in _BONES:
        if bone.parent is None:
            spread[bone.cell] = _cell(path, model, "angleSprd", bone.cell, shape).astype(bool)
        else:
            planes[bone.cell] = _cell(path, model, "sepPlane", bone.cell, (*shape, 4))
            second_axes[bone.cell] = _cell(path, model, "E2", bone.cell, (*shape, 3))
            bounds[bone.cell] = _cell(path, model, "bounds", bone.cell, (*shape, 4))
    where = path.parent / STATIC_FILE
    a, di = (_numbers(where, static, name) for name in ("a", "di"))
    a = a.reshape(-1)
    if a.shape != (3,) or di.shape != (3, STATIC_BONES):
        raise InputError(
            f"{where}: a and di must have shapes (3,) and (3, {STATIC_BONES}), have {a.shape} and {di.shape}"
        )
    if not (a.any() and (np.abs(a) < _MAX).all() and (np.abs(di) < _MAX).all()):
        raise InputError(f"{where}: a and di must be directions of finite numbers: give the published file")
    return AkhterBlackLimits(tree, spread, planes, second_axes, bounds, a / math.sqrt(float(a @ a)), di)


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(
            f"{path} is not a file: the limits akhter-black need jointAngleModel_v2.mat and {STATIC_FILE} in one folder"
        )
    return read_mat(path, advice="save it again with -v7")


def _value(path: Path, values: dict[str, Any], name: str) -> Any:
    if name not in values:
        raise InputError(f"{path}: the variable {name} is missing: give the published file")
    return values[name]


def _numbers(path: Path, values: dict[str, Any], name: str) -> np.ndarray:
    numbers = np.asarray(_value(path, values, name))
    if numbers.dtype.kind not in "biuf":
        raise InputError(f"{path}: {name} must be numbers: give the published file")
    return numbers.astype(np.float64)


def _cell(path: Path, model: dict[str, Any], name: str, cell: int, shape: tuple[int, ...]) -> np.ndarray:
    cells = np.asarray(_value(path, model, name)).reshape(-1)
    if cells.dtype != object or len(cells) <= cell:
        raise InputError(f"{path}: {name} must be a cell array of at least {cell + 1} cells")
    table = np.asarray(cells[cell])
    if table.shape != shape or table.dtype.kind not in "biuf":
        raise InputError(
            f"{path}: {name}{{{cell + 1}}} must be numbers of shape {shape}, is {table.dtype} of {table.shape}"
        )
    if (np.abs(table) > _MAX).any():  # NaN is where nobody was seen
        raise InputError(f"{path}: {name}{{{cell + 1}}} holds infinite numbers: give the published file")
    return table
