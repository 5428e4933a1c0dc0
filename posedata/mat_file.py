"""MATLAB files (version 5 to 7), read by a process of their own: damaged ones can end scipy's reader by a segmentation fault.

The process (`mat_child`) is a plain new interpreter and no fork of this one, so that it may be started from any thread and
from any script. What it answers is data alone; limits of its time and memory are those of `file_limits`.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np

from evolift.posedata.errors import InputError
from evolift.posedata.file_limits import GIGABYTE, file_limits, require_size
from evolift.posedata.input_file import reading

ARRAY, CELLS, STRUCT = range(3)
"""What stands first in the lists that `mat_child` writes."""
_CHILD = "evolift.posedata.mat_child"
_ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""Threads of libraries that are not used here would count against the memory."""


def read_mat(
    path: Path, names: tuple[str, ...] = (), *, squeeze: bool = False, advice: str = "download it again"
) -> dict[str, Any]:
    """Variables of a MATLAB file by name.

    Args:
        path: of the file.
        names: of the wanted variables; those that the file lacks are lacking here. All if there are none.
        squeeze: as of `parse_mat`.
        advice: what to do if it is damaged.

    Raises:
        InputError: it cannot be read, is no such file, or takes too long or too much memory.
    """
    with reading(path):
        data = path.read_bytes()
    return parse_mat(data, str(path), names, squeeze=squeeze, advice=advice)


def parse_mat(
    data: bytes,
    label: str,
    names: tuple[str, ...] = (),
    *,
    squeeze: bool = False,
    advice: str = "download it again",
) -> dict[str, Any]:
    """As `read_mat`, from the bytes of a file.

    Args:
        data: the bytes.
        label: what to call it in messages.
        names: as of `read_mat`.
        squeeze: leave out axes of length 1, and give what is alone in its array as it is.
        advice: as of `read_mat`.

    Returns:
        Arrays of numbers; cells and arrays of structs as arrays of objects; structs with their fields as attributes; texts
        (arrays of texts if they are not squeezed).

    Raises:
        InputError: it is no such file, or takes too long or too much memory.
    """
    limits = file_limits()
    require_size(len(data), "mat_memory", label)
    command = [sys.executable, "-P", "-m", _CHILD, str(round(limits.mat_memory * GIGABYTE)), *names]
    # The child must find what this process imports, wherever that was found.
    places = os.pathsep.join(place or str(Path.cwd()) for place in sys.path)
    try:
        done = subprocess.run(
            command,
            input=data,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=limits.mat_seconds,
            env={**os.environ, **_ONE_THREAD, "PYTHONPATH": places},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise InputError(
            f"{label} could not be read in {limits.mat_seconds:g} seconds: {advice}, or allow more by `mat_seconds`"
        ) from None
    except OSError as error:
        raise InputError(f"{label} cannot be read: no process for it ({error.strerror or error})") from None
    try:
        answer = msgspec.msgpack.decode(done.stdout, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        raise InputError(
            f"{label} is a damaged MATLAB file (its reader ended with code {done.returncode}): {advice}"
        ) from None
    if "values" not in answer:
        raise InputError(
            f"{label} is not a MATLAB file of version 5 to 7 that can be read ({answer.get('error')}): {advice}"
        )
    return {name: _made(value, squeeze) for name, value in answer["values"].items()}


def _made(value: Any, squeeze: bool) -> Any:
    """A value of `mat_child.plain` as numpy and Python have it."""
    if not isinstance(value, list):
        return value
    kind, *rest = value
    if kind == STRUCT:
        names, values = rest
        return SimpleNamespace(**{name: _made(one, squeeze) for name, one in zip(names, values, strict=True)})
    if kind == ARRAY:
        dtype, shape, data = rest
        array = np.frombuffer(data, dtype).reshape(shape)
        return _squeezed(array) if squeeze else array
    shape, values = rest
    made = np.empty(math.prod(shape), object)
    for place, one in enumerate(values):  # numpy would take apart a list of arrays
        made[place] = _made(one, squeeze)
    made = made.reshape(shape)
    return _squeezed(made) if squeeze else made


def _squeezed(array: np.ndarray) -> Any:
    array = array.squeeze()
    return array if array.ndim else array.item() if array.dtype == object else array[()]
