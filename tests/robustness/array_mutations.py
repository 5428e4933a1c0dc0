"""Damages of what files of arrays say: NPZ and NPY, pickles, MATLAB files, HDF5, safetensors."""

from __future__ import annotations

import contextlib
import io
import json
import pickle
import warnings
import zipfile
from typing import Any

import h5py
import numpy as np
import scipy.io

from tests.robustness.text_mutations import choose, mutated_json, place_in

_HUGE = 10**12
"""Rows that a file declares and does not hold."""
_DEPTHS = (40, 200)
_DTYPES = (
    "int8",
    "uint64",
    "float16",
    "complex128",
    "bool",
    "<U5",
    "S3",
    ">f8",
    "float64",
    "datetime64[s]",
    "V4",
)


def _nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def changed_value(kind: str, value: Any, rng: np.random.Generator) -> Any:
    """A hostile value in place of an array or a plain one; None where the kind is not for it."""
    array = np.asarray(value)
    if kind in _NUMBERS:
        return _with_number(kind, array, rng)
    if kind == "type change":
        others: list[Any] = ["text", 1, [], True, b"\xff\xfe"]
        return choose(rng, [*map(np.array, others), np.array([{"a": 1}], object)])
    if kind == "nesting":
        if rng.random() < 0.3:
            return _boxed(_nested(choose(rng, _DEPTHS)))
        return array.reshape(array.shape[:1] + (1,) * 20 + array.shape[1:])
    if kind == "wrong dtype":
        with contextlib.suppress(ValueError, TypeError):
            return array.astype(choose(rng, _DTYPES))
    if kind == "wrong shape":
        shapes = [array[None], array[..., None], array.reshape(-1), array.T]
        shapes.append(np.zeros((0, *array.shape[1:]), array.dtype))
        if array.ndim and array.size:
            shapes += [array[:-1], np.concatenate([array, array[-1:]]), array[..., :1], array[0]]
        return choose(rng, shapes)
    return None


_NUMBERS: dict[str, tuple[float, ...]] = {
    "huge number": (1e30, -1e30, 1e38, 1e9),
    "NaN": (np.nan,),
    "infinity": (np.inf, -np.inf),
    "negative": (-1.0, -1e6),
}


def _with_number(kind: str, array: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
    """One number of an array, or all, become a hostile one."""
    if array.dtype.kind not in "fiu" or not array.size:
        return None
    values: tuple[float, ...] = _NUMBERS[kind]
    if array.dtype.kind != "f":
        limits = np.iinfo(array.dtype)
        whole = {"huge number": (limits.max,), "negative": (limits.min, max(limits.min, -1))}
        if kind not in whole:
            return None
        values = whole[kind]
    changed = array.copy()
    with np.errstate(over="ignore"):
        changed.flat[int(rng.integers(array.size))] = choose(rng, values)
        if rng.random() < 0.2:
            changed[...] = choose(rng, values)
    return changed


def _is_leaf(value: Any) -> bool:
    return not isinstance(value, (dict, list))


def mutate_tree(kind: str, tree: Any, rng: np.random.Generator) -> bool:
    """Damage nested dicts and lists of arrays in place; False if this kind is not for them."""
    if kind == "extra key":
        at = place_in(tree, rng, lambda value: isinstance(value, (dict, list)))
        container = tree if at is None or rng.random() < 0.3 else at[0][at[1]]
        if isinstance(container, dict):
            container[choose(rng, ["unknown", "x" * 500, "S99"])] = choose(rng, [np.zeros(3), 1, "text"])
        else:
            container.append(choose(rng, [np.zeros(3), 1, "text"]))
        return True
    wanted = (lambda value: True) if kind in ("missing key", "type change", "nesting") else _is_leaf
    if (at := place_in(tree, rng, wanted)) is None:
        return False
    if kind == "missing key":
        del at[0][at[1]]
        return True
    value = at[0][at[1]]
    if kind == "nesting" and not _is_leaf(value):
        changed: Any = _nested(choose(rng, _DEPTHS))
    elif kind == "type change" and rng.random() < 0.5:
        changed = choose(rng, ["text", 1, 1.5, {}, [], True, "S1"])
    elif not _is_leaf(value):
        changed = choose(rng, [[], {}, "text", 1])
    else:
        changed = changed_value(kind, value, rng)
    if changed is None:
        return False
    at[0][at[1]] = changed
    return True


def _boxed(value: Any) -> np.ndarray:
    """One object of Python as numpy pickles it."""
    box = np.empty((), object)
    box[()] = value
    return box


def _npy(array: np.ndarray, shape: tuple[int, ...] | None = None) -> bytes:
    """An .npy file whose header may declare another shape than its data have."""
    file = io.BytesIO()
    if shape is None:
        np.save(file, array, allow_pickle=True)
        return file.getvalue()
    header = {"descr": np.lib.format.dtype_to_descr(array.dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + array.tobytes()


def _loaded(archive: Any, name: str) -> Any:
    """Pickled containers as they are, arrays as arrays."""
    array = archive[name]
    return array.item() if array.dtype == object and array.shape == () else array


def mutated_npz(kind: str, data: bytes, rng: np.random.Generator) -> bytes | None:
    with np.load(io.BytesIO(data), allow_pickle=True) as archive:
        tree = {name: _loaded(archive, name) for name in archive.files}
    shape: dict[str, tuple[int, ...]] = {}
    if kind == "huge size":
        arrays = [
            name for name, value in tree.items() if isinstance(value, np.ndarray) and value.dtype != object
        ]
        if not arrays:
            return None
        name = choose(rng, arrays)
        shape[name] = (_HUGE, *tree[name].shape[1:])
    elif not mutate_tree(kind, tree, rng):
        return None
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in tree.items():
            is_plain = isinstance(value, np.ndarray) or np.isscalar(value)
            array = np.asarray(value) if is_plain else _boxed(value)
            archive.writestr(f"{name}.npy", _npy(array, shape.get(name)))
    return file.getvalue()


def mutated_npy(kind: str, data: bytes, rng: np.random.Generator) -> bytes | None:
    array = np.load(io.BytesIO(data))
    if kind == "huge size":
        return _npy(array, (_HUGE, *array.shape[1:]))
    changed = changed_value(kind, array, rng)
    return None if changed is None else _npy(changed)


def mutated_pickle(kind: str, data: bytes, rng: np.random.Generator) -> bytes | None:
    tree = pickle.loads(data)
    if kind == "huge size":
        return None
    return pickle.dumps(tree) if mutate_tree(kind, tree, rng) else None


def _structs(value: Any) -> list[np.ndarray]:
    """Struct and cell arrays of a MATLAB file, those inside others too."""
    found = []
    if isinstance(value, np.ndarray) and value.dtype.kind in "OV" and value.size:
        found.append(value)
        for entry in value.flat:
            for inner in entry if value.dtype.names else [entry]:
                found += _structs(inner)
    return found


def mutated_mat(kind: str, data: bytes, rng: np.random.Generator) -> bytes | None:
    values = {
        name: value for name, value in scipy.io.loadmat(io.BytesIO(data)).items() if not name.startswith("__")
    }
    nested = [array for value in values.values() for array in _structs(value)]
    if nested and kind not in ("missing key", "extra key") and rng.random() < 0.8:
        holder = choose(rng, nested)
        place = np.unravel_index(int(rng.integers(holder.size)), holder.shape)
        entry = holder[place] if holder.dtype.names else holder
        key = choose(rng, holder.dtype.names) if holder.dtype.names else place
        changed = changed_value(kind, entry[key], rng)
        if changed is None:
            return None
        entry[key] = changed
    elif not mutate_tree(kind, values, rng):
        return None
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            scipy.io.savemat(file, values)
        except (TypeError, ValueError, NotImplementedError, RecursionError, KeyError):
            return None  # MATLAB has no such value
    return file.getvalue()


def mutated_hdf5(kind: str, data: bytes, rng: np.random.Generator) -> bytes | None:
    buffer = io.BytesIO(data)
    with h5py.File(buffer, "r+") as file:
        names: list[str] = []
        file.visit(names.append)
        attributes = [(name, key) for name in ("/", *names) for key in file[name].attrs]
        if attributes and rng.random() < 0.3:
            name, key = choose(rng, attributes)
            is_done = _mutate_attribute(kind, file[name].attrs, key, rng)
        elif kind == "missing key":
            del file[choose(rng, names)]
            is_done = True
        elif kind == "extra key":
            groups = ["/", *(name for name in names if isinstance(file[name], h5py.Group))]
            file[choose(rng, groups)]["unknown"] = np.zeros(3)
            is_done = True
        elif kind == "nesting":
            name = choose(rng, names)
            del file[name]
            file[name] = choose(
                rng, [h5py.SoftLink("/" + name), h5py.ExternalLink("other.h5", "/x"), h5py.SoftLink("/")]
            )
            is_done = True
        else:
            is_done = _mutate_dataset(kind, file, choose(rng, names), rng)
    return buffer.getvalue() if is_done else None


def _mutate_attribute(kind: str, attributes: Any, key: str, rng: np.random.Generator) -> bool:
    value = attributes[key]
    if kind == "missing key":
        del attributes[key]
        return True
    if isinstance(value, str) and value.startswith(("{", "[")):
        changed = mutated_json(kind, value.encode(), rng)
        if changed is not None and len(changed) < 60_000:  # HDF5's limit
            attributes[key] = changed.decode()
            return True
    if kind in ("type change", "wrong dtype", "wrong shape"):
        attributes[key] = choose(rng, [1, 1.5, np.zeros(3), b"\xff\xfe", "text", "", True])
        return True
    return False


def _mutate_dataset(kind: str, file: h5py.File, name: str, rng: np.random.Generator) -> bool:
    dataset = file[name]
    if not isinstance(dataset, h5py.Dataset):
        return False
    is_text = h5py.check_string_dtype(dataset.dtype) is not None
    if kind == "huge size":
        shape = (_HUGE, *dataset.shape[1:])
        chunks = tuple(min(side, 64) or 1 for side in shape)
        kind_of = dataset.dtype
        del file[name]
        file.create_dataset(name, shape, kind_of, chunks=chunks, maxshape=shape)
        return True
    if is_text:
        if kind not in ("type change", "wrong dtype", "wrong shape"):
            return False
        rows = max(1, dataset.size)
        changed: Any = choose(
            rng, [np.zeros(rows), np.array([b"\xff\xfe"] * rows), ["a"] * (rows - 1 or 2), [["a"]], "text"]
        )
    else:
        changed = changed_value(kind, dataset[()], rng)
        if changed is None or changed.dtype.kind in "UOMV":
            changed = None if changed is None else ["text"] * max(1, dataset.size)
    if changed is None:
        return False
    del file[name]
    file[name] = changed
    return True


def mutated_safetensors(kind: str, data: bytes, rng: np.random.Generator) -> bytes | None:
    length = int.from_bytes(data[:8], "little")
    header, tensors = data[8 : 8 + length], data[8 + length :]
    values = json.loads(header)
    metadata = values.get("__metadata__", {})
    if kind == "huge size":
        if rng.random() < 0.3:
            return (
                choose(
                    rng, [b"\xff" * 8, (2**62).to_bytes(8, "little"), (length + 10**9).to_bytes(8, "little")]
                )
                + data[8:]
            )
        numbers = (
            "hidden",
            "blocks",
            "depth",
            "code",
            "layers",
            "input_width",
            "depth_bins",
            "stages",
            "heads",
        )
        inner = json.loads(metadata.get("evolift", "{}"))
        sizes = [key for key in inner.get("settings", {}) if key in numbers]
        if not sizes:
            return None
        inner["settings"][choose(rng, sizes)] = choose(rng, [10**9, 16384, 10**5, 255])
        metadata["evolift"] = json.dumps(inner)
        changed: bytes | None = json.dumps(values).encode()
    elif metadata and rng.random() < 0.7:
        inside = mutated_json(kind, metadata["evolift"].encode(), rng)
        if inside is None:
            return None
        metadata["evolift"] = inside.decode()
        changed = json.dumps(values).encode()
    else:
        changed = mutated_json(kind, header, rng)
    return None if changed is None else len(changed).to_bytes(8, "little") + changed + tensors
