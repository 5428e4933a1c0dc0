"""HDF5 files, read so that whatever is wrong with them becomes one sentence.

What h5py raises for damaged bytes has no common base. And a small file may declare terabytes: pieces that are
not in it read as zeros. zlib makes nothing smaller than by `MAX_RATIO`, so that the bytes that are there prove it.
"""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Iterator
from pathlib import Path

import h5py

from evolift.posedata.errors import EvoliftError, InputError, reason_of

MAX_RATIO = 1100
"""zlib's best is 1032."""
MIN_STRING = 16
"""Bytes that a text of its own takes in the file at least, beside its letters."""
_HEAP = b"GCOL\x01\0\0\0"
_SMALL = 2**20
_MAX_CHUNK = 2**28
_DAMAGES = (
    OSError,
    KeyError,
    IndexError,
    ValueError,  # UnicodeError too
    RuntimeError,  # NotImplementedError too
    TypeError,
    OverflowError,
    MemoryError,
    SystemError,
)


@contextlib.contextmanager
def reading_hdf5(
    where: str, advice: str = "download it again", error: type[EvoliftError] = InputError
) -> Iterator[None]:
    """Read a part of an HDF5 file in the block.

    Args:
        where: file and place, for the message.
        advice: how to mend it.
        error: what to raise.

    Raises:
        EvoliftError: of the class `error`: h5py cannot read it.
    """
    try:
        yield
    except _DAMAGES as damage:
        raise error(f"{where} is damaged ({reason_of(damage)}): {advice}") from None


def require_stored(path: Path | str, dataset: h5py.Dataset, size: int, error: type[EvoliftError]) -> None:
    """Refuse a dataset that declares more than its bytes can hold.

    Args:
        path: of the file, for the message.
        dataset: of the file.
        size: bytes of the file.
        error: what to raise.

    Raises:
        EvoliftError: of the class `error`.
    """
    declared = int(dataset.size or 0) * dataset.dtype.itemsize
    stored = min(dataset.id.get_storage_size(), size)
    if declared > max(_SMALL, MAX_RATIO * stored):
        raise error(
            f"{path}: dataset {dataset.name} declares {declared:.3g} bytes, more than the {stored} bytes that it takes in the file can hold: make the file again"
        )
    chunk = dataset.dtype.itemsize
    for length in dataset.chunks or ():
        chunk *= length
    if chunk > _MAX_CHUNK:
        raise error(
            f"{path}: dataset {dataset.name} is cut into pieces of {chunk:.3g} bytes, {_MAX_CHUNK} are read at most: make the file again"
        )


def attribute_of(file: h5py.File, name: str, default: str | None = None) -> str:
    """An attribute that is a text.

    Raises:
        KeyError: there is none, and no default.
        TypeError: it is something else.
    """
    value = file.attrs[name] if default is None or name in file.attrs else default
    if not isinstance(value, str):
        raise TypeError(f"attribute {name} is no text")
    return value


def require_sound_heaps(path: Path | str, data: bytes | mmap.mmap, error: type[EvoliftError]) -> None:
    """Refuse a file whose heaps of texts HDF5 would read for ever: one object of 0 bytes in them is enough.

    The layout is that of "III.E. Disk Format: Level 1E - Global Heap" of the HDF5 file format specification.

    Args:
        path: of the file, for the message.
        data: all its bytes.
        error: what to raise.

    Raises:
        EvoliftError: of the class `error`.
    """
    start = data.find(_HEAP)
    while start >= 0:
        if not _is_sound_heap(data, start):
            raise error(
                f"{path} is a damaged HDF5 file (its texts at byte {start}): make or download it again"
            )
        start = data.find(_HEAP, start + len(_HEAP))


def _is_sound_heap(data: bytes | mmap.mmap, start: int) -> bool:
    end = start + int.from_bytes(data[start + 8 : start + 16], "little")
    place = start + 16
    while place + 16 <= min(end, len(data)):
        number = int.from_bytes(data[place : place + 2], "little")
        size = int.from_bytes(data[place + 8 : place + 16], "little")
        step = (16 if number else 0) + (size + 7) // 8 * 8
        if not step or place + step > end:
            return False
        place += step
    return end <= len(data)


def require_sound_file(path: Path, error: type[EvoliftError]) -> None:
    """As `require_sound_heaps`, of a file.

    Raises:
        EvoliftError: of the class `error`.
        OSError: it cannot be read.
    """
    if path.stat().st_size:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            require_sound_heaps(path, data, error)
