"""Joint-angle limits learnt from poses.

A bone that hangs on the torso may point wherever it was seen to point, widened by a smoothing angle: a region of
occupied cells on its sphere. A bone further out (forearm, shin, head, ...) may point wherever it was seen to point while
its parent pointed about where it points now: one region for each cell of the parent's direction, made from the poses
whose parent lay within a second, wider angle of that cell. The rotation of the shoulder line against the trunk is one
more region; it counts for the last trunk bone. Left and right share their regions, mirrored.

After Akhter & Black, Pose-conditioned joint angle limits for 3D human pose reconstruction, CVPR 2015; theirs fits a
plane and a box where this keeps the occupied cells themselves.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from evolift.evolution.kinematics.direction_cells import cell_of, centres, within
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.kinematics.local_bones import LocalBones, numbers, picked, to_local
from evolift.evolution.limits.joint_limits import JointLimits
from evolift.evolution.settings import FitSettings
from evolift.posedata.errors import InputError

SIDE = 48
"""Cells along the edge of a bone's sphere: 4.2 degrees each on average."""
PARENT_SIDE = 24
"""Cells along the edge of the parent's sphere: 8.5 degrees."""
SUPPORTED_BY = 5000
"""Poses that `FitSettings.support` is counted by: where there are many, single ones are glitches."""


class FittedLimits(JointLimits):
    """Limits as tables of allowed cells.

    Args:
        tree: of the poses they were learnt from.
        free: bone -> allowed cells, for bones on the torso.
        bound: bone -> parent's cells by allowed cells, for the others.
        shoulder_line: allowed cells of the upper torso's x axis in the frame carried up the trunk.
        settings: they were fitted with.
        poses: how many they were fitted on.
    """

    name = "fitted"

    def __init__(
        self,
        tree: KinematicTree,
        free: dict[int, Bool[Tensor, "cells"]],
        bound: dict[int, Bool[Tensor, "parents cells"]],
        shoulder_line: Bool[Tensor, "cells"],
        settings: FitSettings,
        poses: int,
    ) -> None:
        super().__init__(tree)
        self.free, self.bound, self.shoulder_line = free, bound, shoulder_line
        self.settings, self.poses = settings, poses
        self._free_bones, self._bound_bones = tuple(free), tuple(bound)
        self._carriers = tuple(tree.parents[bone] for bone in bound)
        # One flat table for all: the verdict on a bone is then a single look-up.
        parts = [*free.values(), *bound.values(), shoulder_line]
        self._table = torch.cat([part.flatten() for part in parts])
        sizes = torch.tensor([0, *(part.numel() for part in parts)])
        starts = sizes.cumsum(0)[:-1, None]
        self._free_starts = starts[: len(free)]
        self._bound_starts = starts[len(free) : -1]
        self._line_start = int(starts[-1])

    @property
    def limited(self) -> tuple[bool, ...]:
        """All bones but those of the pelvis."""
        return tuple(bone in self.free or bone in self.bound for bone in range(len(self.tree.names)))

    def check_local(self, local: LocalBones) -> Bool[Tensor, "*batch bones"]:
        """For each of the measured local bones whether it keeps its limit, (..., bones)."""
        batch = local.lengths.shape[:-1]
        planes = local.directions.reshape(-1, *local.directions.shape[-2:]).permute(2, 1, 0)
        line = local.upper.reshape(-1, 3, 3)[:, :, 0].T
        table = self._table.to(planes.device)
        cells = cell_of(planes, SIDE)
        verdict = torch.ones(planes.shape[1:], dtype=torch.bool, device=planes.device)
        free, bound = (numbers(bones, planes.device) for bones in (self._free_bones, self._bound_bones))
        places = cells.index_select(0, free) + self._free_starts.to(planes.device)
        verdict.index_copy_(0, free, table[places])
        parents = cell_of(picked(planes, self._carriers), PARENT_SIDE) * SIDE**2
        places = cells.index_select(0, bound) + parents + self._bound_starts.to(planes.device)
        verdict.index_copy_(0, bound, table[places])
        verdict[self.tree.trunk[-1]] &= table[cell_of(line, SIDE) + self._line_start]
        return verdict.T.reshape(*batch, -1)

    def coverage(self) -> dict[str, float]:
        """Share of the sphere that each bone may point to (on average over its parent's seen directions)."""
        weight = _cell_areas(SIDE)
        shares = {bone: float(allowed.float() @ weight) for bone, allowed in self.free.items()}
        for bone, allowed in self.bound.items():
            seen = allowed[allowed.any(-1)]
            shares[bone] = float((seen.float() @ weight).mean())
        return {self.tree.names[bone]: shares[bone] for bone in sorted(shares)}


def fit_limits(
    batches: Iterable[Float[Tensor, "_n joints 3"]], tree: KinematicTree, settings: FitSettings
) -> FittedLimits:
    """Learn limits from poses.

    Args:
        batches: joints, mm; read once, one batch in memory at a time.

    Raises:
        InputError: there are no poses, or none whose bones have a length.
    """
    owners = {bone: min(bone, tree.mirror[bone]) for bone in tree.movable}
    counts: dict[int, Tensor] = {}
    for bone in sorted(set(owners.values())):
        rows = PARENT_SIDE**2 if tree.carriers[bone] else 1
        counts[bone] = torch.zeros(rows * SIDE**2)
    line = torch.zeros(SIDE**2)
    poses = 0
    for joints in batches:
        local = to_local(tree, joints)
        whole = (local.lengths > 0).all(-1)
        planes = local.directions[whole].permute(2, 1, 0)
        poses += int(whole.sum())
        for bone, owner in owners.items():
            cells = _owner_cells(planes, bone, owner, tree)
            counts[owner] += torch.bincount(cells, minlength=len(counts[owner]))
        across = local.upper[whole][:, :, 0].T
        for mirrored in (across, across * torch.tensor([[1.0], [-1.0], [-1.0]])):
            line += torch.bincount(cell_of(mirrored, SIDE), minlength=SIDE**2)
    if poses == 0:
        raise InputError("there are no poses with whole bodies to fit limits on")
    return _limits(counts, line, owners, tree, settings, poses)


def _owner_cells(
    planes: Float[Tensor, "3 bones n"], bone: int, owner: int, tree: KinematicTree
) -> Int64[Tensor, "k"]:
    """Cells of a bone in its owner's table: mirrored onto the owner's side; a bone in the middle counts both ways."""
    flip = torch.tensor([[-1.0], [1.0], [1.0]])
    if bone != owner:
        ways = [flip]
    elif tree.mirror[bone] == bone:
        ways = [torch.ones(3, 1), flip]
    else:
        ways = [torch.ones(3, 1)]
    cells = []
    for way in ways:
        cell = cell_of(planes[:, bone] * way, SIDE)
        if tree.carriers[bone]:
            cell = cell + cell_of(planes[:, tree.parents[bone]] * way, PARENT_SIDE) * SIDE**2
        cells.append(cell)
    return torch.cat(cells)


def _limits(
    counts: dict[int, Tensor],
    line: Float[Tensor, "cells"],
    owners: dict[int, int],
    tree: KinematicTree,
    settings: FitSettings,
    poses: int,
) -> FittedLimits:
    near = within(SIDE, math.radians(settings.smoothing)).float()
    near_parents = within(PARENT_SIDE, math.radians(settings.parent_smoothing)).float()
    enough = settings.support * max(1.0, poses / SUPPORTED_BY) - 0.5
    allowed: dict[int, Tensor] = {}
    for owner, seen in counts.items():
        if tree.carriers[owner]:
            gathered = near_parents @ seen.reshape(PARENT_SIDE**2, SIDE**2)
            allowed[owner] = gathered @ near > enough
        else:
            allowed[owner] = near @ seen > enough
    free: dict[int, Tensor] = {}
    bound: dict[int, Tensor] = {}
    for bone, owner in owners.items():
        table = allowed[owner] if bone == owner else mirrored_table(allowed[owner])
        (bound if tree.carriers[bone] else free)[bone] = table
    return FittedLimits(tree, free, bound, near @ line > enough, settings, poses)


def mirrored_table(allowed: Bool[Tensor, "*parents cells"]) -> Bool[Tensor, "*parents cells"]:
    """Allowed cells of the other side: x changes its sign."""
    columns = _mirrored_cells(SIDE)
    if allowed.ndim == 1:
        return allowed[columns]
    return allowed[_mirrored_cells(PARENT_SIDE)][:, columns]


def _mirrored_cells(side: int) -> Int64[Tensor, "cells"]:
    """The cell across the sagittal plane: the column counted from the other end."""
    cells = torch.arange(side**2).reshape(side, side)
    return cells.flip(1).flatten()


def _cell_areas(side: int) -> Float[Tensor, "cells"]:
    """Each cell's share of the sphere: the octahedral map's area element at its centre, made to sum to 1."""
    # On the octahedron a cell of the square covers |n|_1^3 / |n|^3 less solid angle than in the middle of a face.
    spread = centres(side).abs().sum(-1) ** 3
    return spread / spread.sum()
