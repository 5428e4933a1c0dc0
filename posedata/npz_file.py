"""Arrays of an NPZ file from somewhere else, read so that whatever is wrong with it becomes one sentence."""

from __future__ import annotations

import struct
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np

from evolift.posedata.errors import InputError
from evolift.posedata.input_file import reading

# What numpy and zipfile raise for files with damaged bytes.
_DAMAGES = (
    ValueError,
    EOFError,
    OSError,
    KeyError,
    AttributeError,
    TypeError,
    RuntimeError,  # NotImplementedError and encrypted archives too
    MemoryError,
    SyntaxError,
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
            with np.load(file, allow_pickle=False) as archive:
                return {name: np.asarray(archive[name]) for name in archive.files}
        except _DAMAGES as error:
            if "pickle" in str(error) and zipfile.is_zipfile(path):
                raise InputError(
                    f"{path} holds pickled objects, which are refused: save plain arrays of numbers"
                ) from None
            reason = " ".join(str(error).split()) or type(error).__name__
            raise InputError(f"{path} is not a sound .npz file ({reason}): write it again") from None
