"""The process that reads a MATLAB file for `mat_file`: whatever a damaged file does to scipy's reader, it does it here.

    python -m evolift.posedata.mat_child MEMORY [NAME ...] < FILE

MEMORY is the largest number of bytes of memory, 0 for any. Written to the standard output is a MessagePack value:
`{"values": ...}` or `{"error": reason}`, with arrays of numbers as `[ARRAY, dtype, shape, bytes]`, cells and struct arrays as
`[CELLS, shape, list]`, structs as `[STRUCT, names, list]`, texts as they are, and anything else, complex numbers too, as None.
"""

from __future__ import annotations

import io
import sys
import warnings
from typing import Any

import msgspec
import numpy as np
import scipy.io
from scipy.io.matlab import mat_struct

from evolift.posedata.errors import reason_of
from evolift.posedata.mat_file import ARRAY, CELLS, STRUCT

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]  # Windows has no such module


def plain(value: Any) -> Any:
    """What scipy read, as MessagePack can hold it."""
    if isinstance(value, mat_struct):
        names = list(value._fieldnames)
        return [STRUCT, names, [plain(getattr(value, name)) for name in names]]
    if isinstance(value, (str, bool, int, float)):
        return value
    array = np.asarray(value)
    if array.dtype == object:
        if array.ndim == 0:
            return None
        return [CELLS, list(array.shape), [plain(item) for item in array.reshape(-1)]]
    if array.dtype.kind == "U":
        return (
            str(array) if array.ndim == 0 else [CELLS, list(array.shape), list(map(str, array.reshape(-1)))]
        )
    if array.dtype.kind not in "biuf":
        return None
    return [ARRAY, array.dtype.str, list(array.shape), np.ascontiguousarray(array).tobytes()]


def main(memory: int, names: list[str]) -> None:
    """Read the standard input, write the standard output."""
    if resource is not None and memory:
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        most = memory if hard == resource.RLIM_INFINITY else min(memory, hard)
        resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            held = scipy.io.loadmat(
                io.BytesIO(sys.stdin.buffer.read()),
                variable_names=names or None,
                struct_as_record=False,
            )
        values = {name: plain(value) for name, value in held.items() if not name.startswith("__")}
        answer = msgspec.msgpack.encode({"values": values})
    except MemoryError:
        answer = msgspec.msgpack.encode({"error": "it needs too much memory"})
    except Exception as error:  # scipy raises whatever its parser stumbles on
        answer = msgspec.msgpack.encode({"error": reason_of(error)})
    sys.stdout.buffer.write(answer)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
