"""The population as rows of genes: local bones packed for fast random access, in memory or mapped from a file.

A row holds what a child may take from a mate (directions of all bones, upper torso) and what it keeps from its own body
(lower torso, lengths, root). Measuring a pose costs several times as much as fetching its row, and selection has
measured every child already, so each pose is measured once in its life.
"""

from __future__ import annotations

import mmap
import os

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.kinematics.local_bones import LocalBones

MAX_MAPPED = 5 * 2**26
"""Bytes of a file of genes that random rows are fetched from through its mapping."""
KEPT_FIXED = 9 + 3  # lower torso and root


class GenePool:
    """Genes of poses, one row each.

    Args:
        tree: of the poses.
        rows: (poses, `GenePool.width(tree)`) float32; may be mapped from a file.
        mapped_at_most: bytes of a file that rows are fetched from through its mapping; those of larger ones are read.
    """

    def __init__(
        self,
        tree: KinematicTree,
        rows: Float32[np.ndarray, "poses genes"],
        *,
        mapped_at_most: int = MAX_MAPPED,
    ) -> None:
        self.tree, self.mapped_at_most = tree, mapped_at_most
        self.rows: np.ndarray = np.asarray(rows)
        self._mapping = getattr(rows, "_mmap", None)
        self._file: str | None = getattr(rows, "filename", None)
        self._bones = len(tree.names)

    @staticmethod
    def width(tree: KinematicTree) -> int:
        """How many numbers the gene pool stores for each pose of a kinematic tree."""
        return 3 * len(tree.names) + 9 + len(tree.names) + KEPT_FIXED

    @classmethod
    def in_memory(cls, tree: KinematicTree, poses: int) -> GenePool:
        """An empty pool with room for so many poses."""
        return cls(tree, np.empty((poses, cls.width(tree)), np.float32))

    def put(self, start: int, local: LocalBones) -> None:
        """Store poses from row `start` on.

        Args:
            local: measured by `local_bones.to_local`, one batch axis, float32.
        """
        self.rows[start : start + len(local)] = pack(local).cpu().numpy()

    def take(self, members: Int64[Tensor, "n"], device: torch.device | str = "cpu") -> LocalBones:
        """The poses of the given rows as local bones on a device, in the order of the rows."""
        rows = members.numpy()
        # A large file is read, not mapped: it would count as memory of the process, and given back after each batch its
        # mapping costs four times as much as reading the rows.
        is_read = self._is_large and self._file is not None and hasattr(os, "preadv")
        genes = self._read(rows) if is_read else self.rows.take(rows, 0)
        return unpack(torch.from_numpy(genes).to(device), self._bones)

    @property
    def _is_large(self) -> bool:
        return self.rows.nbytes > self.mapped_at_most

    def _read(self, rows: Int64[np.ndarray, "n"]) -> Float32[np.ndarray, "n genes"]:
        genes = np.empty((len(rows), self.rows.shape[1]), np.float32)
        size, places = genes.itemsize * genes.shape[1], genes.data.cast("B")
        file = os.open(self._file, os.O_RDONLY)  # type: ignore[arg-type]  # the caller knows that there is one
        try:
            for place, row in enumerate(rows.tolist()):
                if os.preadv(file, [places[place * size : (place + 1) * size]], row * size) != size:
                    raise IndexError(f"{self._file} has no row {row}")
        finally:
            os.close(file)
        return genes

    def forget(self) -> None:
        """Give back the memory of pages read so far, if the rows are mapped from a large file; the file keeps them."""
        if self._is_large and isinstance(self._mapping, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            self._mapping.madvise(mmap.MADV_DONTNEED)


def pack(local: LocalBones) -> Float32[Tensor, "n genes"]:
    """Rows of genes; `unpack` is the inverse."""
    planes = torch.cat(
        [
            local.directions.permute(2, 1, 0).flatten(0, 1),
            local.upper.permute(1, 2, 0).flatten(0, 1),
            local.lower.permute(1, 2, 0).flatten(0, 1),
            local.lengths.T,
            local.root.T,
        ]
    )
    return planes.T.contiguous()


def unpack(genes: Float32[Tensor, "n genes"], bones: int) -> LocalBones:
    """Local bones of rows of genes, laid out as planes (see `evolift.evolution.kinematics.direction`)."""
    n = len(genes)
    planes = genes.T.contiguous()
    directions, upper, lower, lengths, root = torch.split(planes, [3 * bones, 9, 9, bones, 3])
    return LocalBones(
        root.T,
        lower.reshape(3, 3, n).permute(2, 0, 1),
        upper.reshape(3, 3, n).permute(2, 0, 1),
        directions.reshape(3, bones, n).permute(2, 1, 0),
        lengths.T,
    )
