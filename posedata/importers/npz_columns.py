"""Large .npz files read some rows at a time: memory does not grow with them."""

from __future__ import annotations

import contextlib
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import numpy as np

from evolift.posedata.errors import InputError, reason_of
from evolift.posedata.npz_file import NPZ_DAMAGES, read_npy_header

BLOCK_ROWS = 4096


def stream_npz_columns(
    path: Path, shapes: dict[str, tuple[int | None, ...]], *, rows: int = BLOCK_ROWS
) -> Iterator[dict[str, np.ndarray]]:
    """Blocks of rows of arrays that have one row per sample.

    Args:
        path: a file of `numpy.savez` or `savez_compressed`.
        shapes: name of each wanted array -> its shape without the rows; None stands for any length.
        rows: of a block.

    Raises:
        InputError: the file is damaged, lacks an array, holds objects, or shapes or numbers of rows differ.
    """
    try:
        with zipfile.ZipFile(path) as archive, contextlib.ExitStack() as stack:
            columns = [_Column(archive, stack, path, name, shape) for name, shape in shapes.items()]
            _check_lengths(columns, path)
            for start in range(0, columns[0].rows, rows):
                count = min(rows, columns[0].rows - start)
                yield {column.name: column.take(count) for column in columns}
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    except NPZ_DAMAGES as error:
        raise InputError(f"{path} is not a sound .npz file ({reason_of(error)}): download it again") from None


class _Column:
    """One array, read from its start to its end."""

    def __init__(
        self,
        archive: zipfile.ZipFile,
        stack: contextlib.ExitStack,
        path: Path,
        name: str,
        shape: Sequence[int | None],
    ) -> None:
        self.name = name
        try:
            self._file: IO[bytes] = stack.enter_context(archive.open(f"{name}.npy"))
        except KeyError:
            raise InputError(
                f"{path} has no array {name!r}: it has {', '.join(entry.removesuffix('.npy') for entry in archive.namelist())}"
            ) from None
        size = archive.getinfo(f"{name}.npy").file_size
        full, is_fortran, self._dtype = read_npy_header(self._file, size)
        if self._dtype.hasobject:
            raise InputError(f"{path}: {name} holds pickled objects, which are refused: save plain arrays")
        fits = len(full) == 1 + len(shape) and all(
            length in (None, given) for length, given in zip(shape, full[1:], strict=True)
        )
        if not fits or is_fortran:
            wanted = ", ".join("any" if length is None else str(length) for length in ("rows", *shape))
            raise InputError(f"{path}: {name} must have the shape ({wanted}) in C order, it has {full}")
        self.rows, self._shape = full[0], full[1:]

    def take(self, count: int) -> np.ndarray:
        size = count * int(np.prod(self._shape, dtype=np.int64)) * self._dtype.itemsize
        data = self._file.read(size)
        if len(data) < size:
            raise EOFError(f"{self.name} ends early")
        return np.frombuffer(data, self._dtype).reshape(count, *self._shape)


def _check_lengths(columns: list[_Column], path: Path) -> None:
    lengths = {column.name: column.rows for column in columns}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} {rows}" for name, rows in lengths.items())
        raise InputError(f"{path}: its arrays differ in length ({listed}): make it again")
    if not columns[0].rows:
        raise InputError(f"{path} holds no rows: make it again")
