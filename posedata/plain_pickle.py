"""Pickles that hold nothing but numbers: numpy arrays in dictionaries, lists and tuples.

Some data sets come as pickles, which can run any code when they are loaded. Here only the names that numpy writes for
arrays are known, and each of them stands for a small class of ours that records what the pickle says; arrays are
made of that afterwards from their bytes, so that no function of numpy or of another library is ever called with what
the file holds. Everything else is refused.
"""

from __future__ import annotations

import io
import pickle
import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from evolift.posedata.errors import InputError, reason_of
from evolift.posedata.file_limits import require_size
from evolift.posedata.input_file import reading
from evolift.posedata.npz_file import read_npy_header

_KINDS = re.compile(r"[<>|=]?(?:[biuf]\d{1,2}|[SUO]\d{0,6}|\?)")
_MAX_NESTED = 20


class _RefusedError(Exception):
    """What a pickle holds is not plain; the message says what it is."""


class _Dtype:
    """What a pickle says of a numpy.dtype."""

    def __init__(self, kind: object, *_: object) -> None:
        if not isinstance(kind, str) or _KINDS.fullmatch(kind) is None:
            raise _RefusedError(f"an array of type {kind!r}")
        self.kind = kind
        self.order = ""

    def __setstate__(self, state: object) -> None:
        # (version, byte order, subarray, names, fields, ...): no structured arrays here.
        if not isinstance(state, tuple) or len(state) < 5 or any(part is not None for part in state[2:5]):
            raise _RefusedError("a structured array")
        if state[1] in ("<", ">"):
            self.order = state[1]

    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.order + self.kind)


class _Array:
    """What a pickle says of a numpy.ndarray."""

    def __init__(self, *_: object) -> None:
        self.state: tuple[Any, ...] = ()

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            raise _RefusedError("an array that numpy did not write")
        self.state = state[1:]

    def array(self, made: _Making) -> np.ndarray:
        if not self.state:
            raise _RefusedError("an array without contents")
        shape, kind, is_fortran, data = self.state
        if not isinstance(kind, _Dtype) or not isinstance(shape, tuple):
            raise _RefusedError("an array that numpy did not write")
        values: np.ndarray
        if isinstance(data, list):
            values = np.empty(len(data), object)
            for place, value in enumerate(data):  # numpy would take apart a list of arrays
                values[place] = made(value)
        else:
            # Python 2 wrote bytes as text.
            values = np.frombuffer(data.encode("latin1") if isinstance(data, str) else data, kind.dtype())
        return values.reshape(shape, order="F") if is_fortran else values.reshape(shape)


class _Scalar:
    """What a pickle says of one number of numpy."""

    def __init__(self, kind: object, data: object) -> None:
        if not isinstance(kind, _Dtype) or not isinstance(data, (bytes, str)):
            raise _RefusedError("a number that numpy did not write")
        self.kind = kind
        self.data = data.encode("latin1") if isinstance(data, str) else data

    def value(self) -> Any:
        return np.frombuffer(self.data, self.kind.dtype())[0]


def _from_buffer(data: object, kind: object, shape: object, order: object) -> _Array:
    array = _Array()
    array.__setstate__((1, shape, kind, order == "F", data))
    return array


def _latin1(text: object, encoding: object) -> bytes:
    """How pickles of protocol 2 write bytes."""
    if not isinstance(text, str) or encoding != "latin1":
        raise _RefusedError(f"text in {encoding!r}")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    """How pickles of protocol 2 write empty bytes."""
    return b""


_NUMPY = ("numpy", "numpy.core.multiarray", "numpy._core.multiarray")
_NAMES: dict[tuple[str, str], Callable[..., object]] = {
    ("numpy", "dtype"): _Dtype,
    ("numpy", "ndarray"): _Array,
    ("_codecs", "encode"): _latin1,
    ("__builtin__", "bytes"): _no_bytes,
    **{(module, "_reconstruct"): _Array for module in _NUMPY},
    **{(module, "scalar"): _Scalar for module in _NUMPY},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _from_buffer for core in ("core", "_core")},
}


def _key(value: object) -> None:
    """Refuse what takes long to hash: a tuple of tuples that are all the same one takes for ever."""
    parts = value if isinstance(value, tuple) else (value,)
    if len(parts) > _MAX_NESTED or not all(
        part is None or isinstance(part, (str, bytes, int, float, _Scalar)) for part in parts
    ):
        raise _RefusedError("a key that is no text and no number")


_LOAD: Mapping[int, Callable[[Any], None]] = pickle._Unpickler.dispatch


class _PlainUnpickler(pickle._Unpickler):
    """The unpickler in Python, since that in C makes keys of dictionaries without asking."""

    stack: list[Any]
    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = dict(_LOAD)

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _NAMES[module, name]
        except KeyError:
            raise _RefusedError(f"{module}.{name}") from None

    def _setitem(self) -> None:
        _key(self.stack[-2])
        _LOAD[pickle.SETITEM[0]](self)

    def _setitems(self) -> None:
        for key in self.stack[::2]:
            _key(key)
        _LOAD[pickle.SETITEMS[0]](self)

    def _dict(self) -> None:
        for key in self.stack[::2]:
            _key(key)
        _LOAD[pickle.DICT[0]](self)

    def _set(self) -> None:
        raise _RefusedError("a set")

    dispatch |= {
        pickle.SETITEM[0]: _setitem,
        pickle.SETITEMS[0]: _setitems,
        pickle.DICT[0]: _dict,
        pickle.EMPTY_SET[0]: _set,
        pickle.FROZENSET[0]: _set,
    }


def plain_objects(data: bytes, label: str) -> Any:
    """What a pickle holds.

    Args:
        data: its bytes.
        label: what to call it in messages.

    Returns:
        Dictionaries, lists, tuples, texts, numbers and numpy arrays. Arrays may be read-only.

    Raises:
        InputError: it holds anything else, or is damaged.
    """
    try:
        loaded = _PlainUnpickler(io.BytesIO(data), encoding="latin1").load()
        return _Making()(loaded)
    except _RefusedError as error:
        raise InputError(
            f"{label} holds more than plain arrays and containers ({error}), which is refused because loading such a file can run its code"
        ) from None
    except Exception as error:  # a damaged pickle stops with whatever its bytes happen to say
        raise InputError(f"{label} is damaged ({reason_of(error)}): download it again") from None


def read_pickle(path: Path) -> Any:
    """What a pickle file holds, as `plain_objects` gives it.

    Raises:
        InputError: it cannot be read, is damaged, or holds anything but arrays and containers.
    """
    with reading(path):
        data = path.read_bytes()
    return plain_objects(data, str(path))


def read_object_npz(path: Path, name: str) -> Any:
    """One object that `numpy.savez` pickled into an .npz file, as `plain_objects` gives it; None if there is none so called.

    Raises:
        InputError: the file cannot be read, is damaged, or holds anything but arrays and containers.
    """
    member = f"{name}.npy"
    try:
        with zipfile.ZipFile(path) as archive:
            if member not in archive.namelist():
                return None
            with archive.open(member) as file:
                require_size(archive.getinfo(member).file_size, "max_unpacked", f"{path}: {name}")
                _, _, dtype = read_npy_header(file, archive.getinfo(member).file_size)
                data = file.read()
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    except Exception as error:  # zipfile, zlib and numpy raise many kinds for damaged bytes
        raise InputError(f"{path} is not a sound .npz file ({reason_of(error)}): download it again") from None
    label = f"{path}: {name}"
    if not dtype.hasobject:
        raise InputError(f"{label} is a plain array of numbers, not the nested table that is expected there")
    held = plain_objects(data, label)
    return held.item() if isinstance(held, np.ndarray) and held.ndim == 0 else held


def names_of_npz(path: Path) -> list[str]:
    """Names of the arrays of a sound .npz file."""
    with zipfile.ZipFile(path) as archive:
        return [member.removesuffix(".npy") for member in archive.namelist()]


class _Making:
    """Makes what a pickle says into what it stands for; what it says once is made once, however often it is used."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[object, Any]] = {}
        self._depth = 0

    def __call__(self, value: Any) -> Any:
        if value is None or isinstance(value, (str, bytes, int, float)):
            return value
        if id(value) in self._known:
            return self._known[id(value)][1]
        self._depth += 1
        if self._depth > _MAX_NESTED:
            raise _RefusedError("containers nested without end")
        result = self._make(value)
        self._depth -= 1
        self._known[id(value)] = value, result  # the value is kept, so that its id stays its own
        return result

    def _make(self, value: Any) -> Any:
        if isinstance(value, _Array):
            return value.array(self)
        if isinstance(value, _Scalar):
            return value.value()
        if isinstance(value, dict):
            return {self(key): self(entry) for key, entry in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(self(entry) for entry in value)
        raise _RefusedError(type(value).__name__)
