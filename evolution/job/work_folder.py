"""The folder beside the output in which a run keeps what it has bred until the store is written.

Each column of the result is a plain file with room for all poses, so that worker processes (of one machine, or of many
that share the file system) read the population from it and write their blocks into it, each in its own place. A log
names the blocks that are finished. A run that is killed at any moment goes on from there, and since a block
depends on nothing but its place, it ends with the same bytes as an undisturbed one.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from jaxtyping import Float32, Int64

from evolift.evolution.job.breeding import Children, Tally
from evolift.posedata.errors import InputError, OutputError
from evolift.posedata.output_file import sync, write_json
from evolift.posedata.output_lock import PREFIX, OutputLock, beside

MARKER = "run.json"
LOG = "finished.jsonl"
PARENTS = "parents.npy"
TEMPLATES = "templates.npy"
DONORS = "donors"
DONOR_PARENTS = "donor_parents"
COLUMNS: dict[str, type[np.generic]] = {
    "genes": np.float32,
    "joints": np.float32,
    "parent_a": np.int64,
    "parent_b": np.int64,
    "operator": np.uint8,
    "weight": np.float64,
    "support": np.float32,
    "person": np.int32,
    "lowest": np.float32,
}
CLIP_COLUMNS: dict[str, type[np.generic]] = {
    "joints": np.float32,
    "rows": np.int64,
    "parent_a": np.int64,
    "parent_b": np.int64,
    "mother": np.int64,
    "operator": np.uint8,
    "person": np.int32,
}
"""Columns of a run whose rows are clips."""


_log = logging.getLogger(__name__)


class _Logged(msgspec.Struct, forbid_unknown_fields=True):
    """A line of the log."""

    generation: int
    block: int
    tally: Tally


class WorkFolder:
    """Columns and log of one run.

    Args:
        path: of the folder.
        rows: poses of the result.
        widths: numbers per pose of the columns that have more than one.
        columns: with the type of their numbers.
    """

    def __init__(
        self,
        path: Path,
        rows: int,
        widths: dict[str, int],
        columns: dict[str, type[np.generic]] = COLUMNS,
    ) -> None:
        self.path = path
        self.rows = rows
        self.columns = columns
        self.widths = dict.fromkeys(columns, 1) | widths

    @staticmethod
    def beside(target: Path) -> Path:
        """Where the folder of a run with this output lies."""
        return beside(target, ".work")

    def lock(self, target: Path) -> OutputLock:
        """Keep other processes out while this one works in it, for the output `target`."""
        return OutputLock(self.path, target)

    def start(self, run: dict[str, Any], *, resume: bool, overwrite: bool) -> None:
        """Make the folder, or take up an interrupted run's; a damaged one is made anew, which is said.

        Args:
            run: all that the result depends on; an interrupted run must have the same.
            resume: go on with what is there.
            overwrite: start anew even if an interrupted run left something.

        Raises:
            InputError: the interrupted run was another one.
            OutputError: something is there and neither flag is given, or the disk is full.
        """
        if not self.path.exists():
            if resume:
                _log.warning("%s: there is no interrupted run to resume: it begins anew.", self.path)
        else:
            if resume and self._is_sound(run):
                return
            if resume:
                _log.warning("%s: what the interrupted run left is damaged: it begins anew.", self.path)
            elif not overwrite:
                raise OutputError(
                    f"{self.path} was left by an interrupted run: add `resume` to go on with it, or `overwrite` to start anew"
                )
            self.remove()
        try:
            self.path.mkdir(parents=True)
            for name in self.columns:
                with (self.path / name).open("wb") as file:
                    _reserve(file.fileno(), self.rows * self._row_bytes(name))
            (self.path / LOG).touch()
            # Last: a folder without the marker was killed while it was made and holds nothing.
            sync(self.path)
            write_json(self.path / MARKER, run)
        except (OSError, OutputError) as error:
            shutil.rmtree(self.path, ignore_errors=True)
            why = error.strerror if isinstance(error, OSError) else error
            need = sum(self.rows * self._row_bytes(name) for name in self.columns) / 1e9
            raise OutputError(
                f"{self.path}: the run needs {need:.1f} GB of disk there until the store is written: {why}"
            ) from None

    def _is_sound(self, run: dict[str, Any]) -> bool:
        """Whether its record can be read, and its columns have their sizes."""
        try:
            before = json.loads((self.path / MARKER).read_text(encoding="utf-8"))
            if not isinstance(before, dict):
                return False
            self._require(before, run)
            return (self.path / LOG).is_file() and all(
                (self.path / name).stat().st_size == self.rows * self._row_bytes(name)
                for name in self.columns
            )
        except (OSError, ValueError, RecursionError):
            return False

    def _require(self, before: dict[str, Any], run: dict[str, Any]) -> None:
        changed = sorted(key for key in before.keys() | run.keys() if before.get(key) != run.get(key))
        if changed:
            raise InputError(
                f"{self.path}: the interrupted run had another {changed[0]} ({before.get(changed[0])}, now {run.get(changed[0])}): resume with the same settings, or add `overwrite` to start anew"
            )

    def remove(self) -> None:
        """Delete the folder, if a run made it.

        Raises:
            OutputError: it is something else.
        """
        names = {MARKER, LOG, PARENTS, TEMPLATES, DONORS, DONOR_PARENTS, *COLUMNS, *CLIP_COLUMNS}
        if not self.path.is_dir():
            raise OutputError(f"{self.path} is no folder that a run made: move it away")
        strange = [
            entry.name
            for entry in self.path.iterdir()
            if entry.name not in names and not entry.name.startswith(PREFIX)
        ]
        if strange:
            raise OutputError(f"{self.path} holds files that no run made ({strange[0]}): move it away")
        shutil.rmtree(self.path)

    def _row_bytes(self, name: str) -> int:
        return self.widths[name] * np.dtype(self.columns[name]).itemsize

    def column(self, name: str) -> np.ndarray:
        """A column mapped for reading, (rows, width), or (rows,) if it is one number wide."""
        width = self.widths[name]
        shape = (self.rows,) if width == 1 else (self.rows, width)
        return np.memmap(self.path / name, self.columns[name], "r", shape=shape)

    def read(self, name: str, start: int, end: int) -> np.ndarray:
        """Rows of a column, copied into memory."""
        with (self.path / name).open("rb") as file:
            file.seek(start * self._row_bytes(name))
            values = np.fromfile(file, self.columns[name], (end - start) * self.widths[name])
        return values if self.widths[name] == 1 else values.reshape(end - start, -1)

    def write(self, name: str, start: int, values: np.ndarray) -> None:
        """Store rows of a column.

        Raises:
            OutputError: the file system refuses.
        """
        try:
            with (self.path / name).open("r+b") as file:
                file.seek(start * self._row_bytes(name))
                file.write(np.ascontiguousarray(values, self.columns[name]).data)
        except OSError as error:
            raise OutputError(_refused(self.path / name, error)) from None

    def write_children(self, start: int, children: Children) -> None:
        """Write the columns of a block of children, from row `start` on."""
        for name in ("genes", "joints", "parent_a", "parent_b", "operator", "lowest"):
            self.write(name, start, getattr(children, name))
        for name in ("support", "person"):
            if getattr(children, name) is not None:
                self.write(name, start, getattr(children, name))

    def write_parents(
        self, rows: Int64[np.ndarray, "members"], templates: Float32[np.ndarray, "subjects bones"]
    ) -> None:
        """Store which originals may become parents, and the bone lengths of the subjects."""
        for name, values in ((PARENTS, rows), (TEMPLATES, templates)):
            try:
                np.save(self.path / name, values)
            except OSError as error:
                raise OutputError(_refused(self.path / name, error)) from None

    def parents(self, originals: int, filled: int) -> Int64[np.ndarray, "parents"]:
        """Rows that may become parents: the originals that keep the limits, and all children in the first rows."""
        valid = np.load(self.path / PARENTS, allow_pickle=False)
        return np.concatenate([valid, np.arange(originals, filled)])

    def templates(self) -> Float32[np.ndarray, "subjects bones"]:
        """Bone lengths of each subject, mm, as they were written at the start of the run."""
        lengths: np.ndarray = np.load(self.path / TEMPLATES, allow_pickle=False)
        return lengths

    def write_donors(
        self, parts: Iterable[tuple[Float32[np.ndarray, "_n genes"], Int64[np.ndarray, "_n"]]]
    ) -> None:
        """Store the genes of donors, and what `parent_b` is for each."""
        try:
            with (self.path / DONORS).open("wb") as genes, (self.path / DONOR_PARENTS).open("wb") as parents:
                for rows, numbers in parts:
                    genes.write(np.ascontiguousarray(rows, np.float32).data)
                    parents.write(np.ascontiguousarray(numbers, np.int64).data)
        except OSError as error:
            raise OutputError(_refused(self.path / DONORS, error)) from None

    def donors(self) -> tuple[Float32[np.ndarray, "donors genes"], Int64[np.ndarray, "donors"]] | None:
        """Genes of the donors, mapped for reading, and what `parent_b` is for each; None if there are none."""
        if not (self.path / DONORS).exists():
            return None
        parents = np.fromfile(self.path / DONOR_PARENTS, np.int64)
        shape = (len(parents), self.widths["genes"])
        return np.memmap(self.path / DONORS, np.float32, "r", shape=shape), parents

    def finished(self) -> dict[tuple[int, int], Tally]:
        """(generation, block) of all finished blocks, with what selection did in them."""
        blocks = {}
        for line in (self.path / LOG).read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                logged = msgspec.json.decode(line, type=_Logged)
            except (msgspec.DecodeError, ValueError, RecursionError):
                continue  # killed while this line was written: the block counts as not finished
            blocks[logged.generation, logged.block] = logged.tally
        return blocks

    def log(self, generation: int, block: int, tally: Tally) -> None:
        """Append a line to the log that says that a block is stored, with its counts."""
        line = msgspec.json.encode(_Logged(generation, block, tally)).decode()
        try:
            with (self.path / LOG).open("a", encoding="utf-8") as file:
                # A line of its own even if the last one was cut off by a kill.
                file.write(f"\n{line}\n")
        except OSError as error:
            raise OutputError(_refused(self.path / LOG, error)) from None


def _refused(path: Path, error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return f"{path}: the disk is full: make room and add `resume`"
    return f"{path} could not be written: {error.strerror}"


def _reserve(file: int, size: int) -> None:
    """Give a file its size, with its disk space where the system can reserve it, so that a full disk is told at once."""
    if hasattr(os, "posix_fallocate"):  # not on macOS
        os.posix_fallocate(file, 0, size)
    else:
        os.ftruncate(file, size)
