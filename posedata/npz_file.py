"""Arrays of an NPZ file from somewhere else, read so that whatever is wrong with it becomes one sentence."""

from __future__ import annotations

import lzma
import math
import struct
import tokenize
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from evolift.posedata.errors import InputError, reason_of
from evolift.posedata.file_limits import require_size
from evolift.posedata.input_file import reading

# What numpy and zipfile raise for files with damaged bytes.
NPZ_DAMAGES = (
    ValueError,
    EOFError,
    OSError,
    KeyError,
    AttributeError,
    TypeError,
    RuntimeError,  # NotImplementedError and encrypted archives too
    MemoryError,
    IndexError,
    OverflowError,
    SyntaxError,
    tokenize.TokenError,
    lzma.LZMAError,
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
)


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an NPZ file by name; pickled objects are refused.

    Raises:
        InputError: it cannot be read, is damaged, or holds pickled objects.
    """
    with reading(path):
        file = path.open("rb")
    with file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy warns of headers that Python 2 wrote
        try:
            _check_members(path)
            with np.load(file, allow_pickle=False) as archive:
                return {name: np.asarray(archive[name]) for name in archive.files}
        except NPZ_DAMAGES as error:
            if "pickle" in str(error) and zipfile.is_zipfile(path):
                raise InputError(
                    f"{path} holds pickled objects, which are refused: save plain arrays of numbers"
                ) from None
            raise InputError(
                f"{path} is not a sound .npz file ({reason_of(error)}): write it again"
            ) from None


def _check_members(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            require_size(entry.file_size, "max_unpacked", f"{path}: {entry.filename}")
            if entry.filename.endswith(".npy"):
                with archive.open(entry) as member:
                    read_npy_header(member, entry.file_size)


def read_npy_header(file: Any, size: int) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether it is in Fortran's order, and type of the array that begins here; its values come next.

    Args:
        file: open to read bytes, at the beginning of an array of numpy's format.
        size: bytes of the whole array with its header.

    Raises:
        ValueError: it is damaged, or declares more values than `size` can hold.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            version = np.lib.format.read_magic(file)
            read_header = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            shape, is_fortran, dtype = read_header(file)
        except NPZ_DAMAGES as error:
            raise ValueError(f"the header of an array is damaged: {reason_of(error)}") from None
    held = size - file.tell()
    if min(shape, default=0) < 0 or (
        not dtype.hasobject and math.prod(shape) * max(1, dtype.itemsize) > held
    ):
        raise ValueError(f"an array declares the shape {shape} of {dtype}, and {held} bytes are there")
    return shape, is_fortran, dtype
