"""Poses to learn from: world joints drawn from pose stores, in memory or window by window when they are many.

A part is a set of rows of one store. Parts with weights make a mixture; a draw is a pure function of the
generator and the step, so batches do not depend on who makes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64, UInt8
from torch import Tensor

from evolift.posedata.camera import camera_to_world
from evolift.posedata.camera_rig import CameraBatch
from evolift.posedata.errors import InputError
from evolift.posedata.joint_mapping import VISIBLE, JointMapping, mapping_between
from evolift.posedata.poses import Poses
from evolift.posedata.predictions.levelled_poses import is_predicted, levelled_or_none
from evolift.posedata.seeds import numpy_generator_at
from evolift.posedata.skeleton import Skeleton
from evolift.posedata.store import CHUNK_ROWS, PoseStore

ROWS_IN_MEMORY = 1_000_000
"""A part with more rows is read window by window."""


class Windows(NamedTuple):
    """How a part that is too large for memory is read.

    Args:
        chunk_rows: rows that are read at a time; those of a chunk of the file cost least.
        chunks: a window is this many of them, drawn at random (262,144 rows).
        steps: that a window serves.
    """

    chunk_rows: int = CHUNK_ROWS
    chunks: int = 64
    steps: int = 1000


DEFAULT_WINDOWS = Windows()


@dataclass(frozen=True, eq=False)
class Bodies:
    """Poses in the world frame, in the lifter's skeleton.

    Args:
        joints: mm, z up; NaN where the store has no label.
        camera: index into the part's cameras, -1 for none.
        pixels, visibility: 2D joints that the store holds of that camera, if it does.
    """

    joints: Float[Tensor, "bodies joints 3"]
    camera: Int64[Tensor, "bodies"]
    pixels: Float[Tensor, "bodies joints 2"] | None = None
    visibility: UInt8[Tensor, "bodies joints"] | None = None

    def __len__(self) -> int:
        return len(self.joints)

    def __getitem__(self, rows: Int64[Tensor, "chosen"]) -> Bodies:
        """The bodies of the chosen rows; rows may repeat."""
        pixels, visibility = self.pixels, self.visibility
        return Bodies(
            self.joints[rows],
            self.camera[rows],
            None if pixels is None else pixels[rows],
            None if visibility is None else visibility[rows],
        )


class PosePart:
    """Some rows of one store, as bodies in the lifter's skeleton.

    Args:
        path: of the store.
        rows: increasing row numbers.
        skeleton: of the lifter; joints of another skeleton are converted if a mapping is declared.
        rows_in_memory: see `ROWS_IN_MEMORY`.
        windows: how more rows than that are read.

    Raises:
        InputError: the store has no 3D joints or none of the lifter's root, or has them in camera frames without saying
            which camera.
        StoreError: the store is not sound.
    """

    def __init__(
        self,
        path: Path,
        rows: Int64[np.ndarray, "rows"],
        skeleton: Skeleton,
        *,
        rows_in_memory: int = ROWS_IN_MEMORY,
        windows: Windows = DEFAULT_WINDOWS,
    ) -> None:
        self.windows = windows
        self.path, self.skeleton, self.row_count = path, skeleton, len(rows)
        self._store = PoseStore(path, validate=False)
        try:
            self._mapping = self._checked_mapping()
            self.lacking = self._lacking_joints()
            self._levelled = levelled_or_none(self._store)
            cameras = self._store.cameras if self._levelled is None else self._levelled.cameras
            self.cameras = CameraBatch.of(cameras) if cameras else None
            self.has_pixels = "joints_2d" in self._store.columns
            self._memory: Bodies | None = None
            self._rows = rows
            self._window: tuple[tuple[int, int], Bodies] | None = None
            if len(rows) <= rows_in_memory:
                self._memory = self._bodies(self._store.read(rows))
        finally:
            # Reopened on demand by each process: an open file must not be carried through a fork.
            self._store.close()

    def _checked_mapping(self) -> JointMapping:
        store = self._store
        if store.coordinate_frame == "none":
            raise InputError(f"{self.path} has no 3D joints: a lifter learns from 3D poses")
        is_camera = store.coordinate_frame == "camera" and not is_predicted(store)
        if is_camera and ("camera" not in store.columns or not store.cameras):
            raise InputError(
                f"{self.path}: its joints are in the frames of cameras that it does not have: import it anew by `evolift data import videopose3d --up -y`, which puts people into the world as before a camera held level"
            )
        return mapping_between(store.skeleton, self.skeleton)

    def _lacking_joints(self) -> list[int]:
        """Joints of the lifter that the store does not label in 3D: masked in training, not scored.

        Raises:
            InputError: the root is among them.
        """
        lacking = [self.skeleton.index(joint) for joint in self._mapping.lacking(self._store.unlabelled)]
        if self.skeleton.root in lacking:
            raise InputError(
                f"{self.path}: its 3D joints lack {self.skeleton.joints[self.skeleton.root]}, the root of {self.skeleton.name}"
            )
        return lacking

    def _bodies(self, poses: Poses) -> Bodies:
        assert poses.joints_3d is not None  # checked by coordinate_frame
        rows = len(poses)
        camera = torch.full((rows,), -1) if poses.camera is None else torch.from_numpy(poses.camera).long()
        known = np.isfinite(poses.joints_3d).all(-1).astype(np.uint8) * VISIBLE
        in_store = poses.joints_3d if self._levelled is None else self._levelled.joints(poses)
        joints = torch.from_numpy(self._mapping.convert(in_store, known)[0])
        joints[:, self.lacking] = torch.nan
        if self._levelled is not None and not self._levelled.cameras:
            camera = torch.full((rows,), -1)  # joints relative to the root are in no camera's frame
        elif self._store.coordinate_frame == "camera" and self._levelled is None:
            if self.cameras is None or bool((camera < 0).any()):
                raise InputError(f"{self.path}: a row in the camera frame has no camera")
            of_rows = self.cameras[camera]
            joints = camera_to_world(joints, of_rows.R, of_rows.t)
        if poses.joints_2d is None:
            return Bodies(joints, camera)
        pixels, visibility = self._mapping.convert(poses.joints_2d, poses.visibility)
        return Bodies(joints, camera, torch.from_numpy(pixels), torch.from_numpy(visibility))

    def __len__(self) -> int:
        return self.row_count

    def bodies_at(self, step: int, seed: int) -> Bodies:
        """The bodies that the draws of a step choose among: all, or the window of that step."""
        if self._memory is not None:
            return self._memory
        key = (step // self.windows.steps, seed)
        if self._window is None or self._window[0] != key:
            self._window = (key, self._read_window(*key))
        return self._window[1]

    def _read_window(self, number: int, seed: int) -> Bodies:
        size = self.windows.chunk_rows
        chunk_of_row = self._rows // size
        chunks = np.unique(chunk_of_row)
        count = min(self.windows.chunks, len(chunks))
        chosen = np.sort(numpy_generator_at(seed, number).choice(chunks, count, replace=False))
        parts = []
        for chunk in chosen:
            first, last = np.searchsorted(chunk_of_row, [chunk, chunk + 1])
            block = self._store.read(slice(int(chunk) * size, (int(chunk) + 1) * size))
            parts.append(block[self._rows[first:last] - int(chunk) * size])
        return self._bodies(Poses.concatenate(parts))

    def evenly(self, count: int) -> tuple[Bodies, Int64[np.ndarray, "bodies"]]:
        """Up to `count` bodies, evenly spread over the rows, and their row numbers in the store."""
        picked = self._rows[np.linspace(0, len(self) - 1, min(count, len(self))).round().astype(np.int64)]
        return self.bodies_of(picked), picked

    def bodies_of(self, rows: Int64[np.ndarray, "chosen"]) -> Bodies:
        """The bodies of rows of the store, whichever are this part's."""
        try:
            return self._bodies(self._store.read(rows))
        finally:
            self._store.close()


@dataclass(frozen=True, eq=False)
class Mixture:
    """Parts with the shares of draws that each gets.

    Args:
        parts: at least one.
        weights: one per part, positive; normalised here.
        first: how many of the parts are drawn from the start; the share of the later ones grows over the warm-up. None for all.
        warm_up: steps of it.

    Raises:
        InputError: a weight is not positive or their number is another one.
    """

    parts: Sequence[PosePart]
    weights: Sequence[float]
    first: int | None = None
    warm_up: int = 0

    def __post_init__(self) -> None:
        if not self.parts or len(self.parts) != len(self.weights):
            raise InputError(f"{len(self.parts)} sets of poses cannot have {len(self.weights)} weights")
        if not all(weight > 0 for weight in self.weights):
            raise InputError("weights of pose stores must be positive")

    def shares(self, step: int) -> Float64[Tensor, "parts"]:
        """Share of the draws that each part gets at a step."""
        weights = torch.tensor(self.weights, dtype=torch.float64)
        weights = weights / weights.sum()
        late = weights[self.first :] if self.first is not None else weights[:0]
        if step < self.warm_up and len(late):
            share = late.sum()
            grown = share * step / self.warm_up
            early = weights[: self.first] * ((1 - grown) / (1 - share))
            weights = torch.cat([early, late * (step / self.warm_up)])
        return weights

    def draw(
        self, count: int, step: int, seed: int, generator: torch.Generator
    ) -> list[tuple[PosePart, Bodies]]:
        """`count` bodies in all, each from a part chosen by weight and a row chosen uniformly.

        Returns:
            The bodies of each part that got any, in the order of the parts.
        """
        place = torch.rand(2, count, generator=generator, dtype=torch.float64)
        share = self.shares(step).cumsum(0)
        chosen = torch.searchsorted(share / share[-1], place[0]).clamp(max=len(self.parts) - 1)
        drawn = []
        for number, part in enumerate(self.parts):
            mine = place[1] if len(self.parts) == 1 else place[1][chosen == number]
            if len(mine):
                bodies = part.bodies_at(step, seed)
                drawn.append((part, bodies[(mine * len(bodies)).long()]))
        return drawn
