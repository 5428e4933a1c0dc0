"""Files of predictions: JSON, JSON lines, CSV and NPZ, each with the header of `evolift.posedata.predictions.prediction_header`.

- `.json`: the header with `people`, a list.
- `.jsonl`: the header on the first line, then a person a line; may be written and read as a stream.
- `.csv`: the header as JSON behind `# ` on the first line, then one row per person and joint with the columns image,
  frame, person, camera, joint, u, v (px), x, y, z (mm, relative to the root), confidence, sigma_mm (may be missing), and of the
  person root_x, root_y, root_z (mm), box_left, box_top, box_width, box_height (px), time (s; may be missing). Unknown numbers are
  empty.
- `.npz`: the header as text in `header`, and one array per column; exact.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from evolift.posedata.checked_json import expect, parse_json, read_json
from evolift.posedata.errors import InputError, OutputError, reason_of
from evolift.posedata.frame_numbers import whole_frames
from evolift.posedata.garbage_collection import paused_garbage_collection
from evolift.posedata.input_file import read_text
from evolift.posedata.npz_file import read_npz
from evolift.posedata.output_file import check_output, whole_file
from evolift.posedata.plausibility import MAX_PIXELS
from evolift.posedata.predictions.prediction_header import (
    DECIMALS,
    TIME_DECIMALS,
    header_of,
    people_json,
    read_header,
    read_people,
)
from evolift.posedata.predictions.predictions import OPTIONAL_FIELDS, ROW_FIELDS, Predictions

_JOINT_COLUMNS = {"joints_2d": ("u", "v"), "joints_3d": ("x", "y", "z")}
_LIMITS = {
    "joints_2d": MAX_PIXELS,
    "box": MAX_PIXELS,
    "joints_3d": 1e6,
    "root_3d": 1e8,  # mm, as far as the smallest people that are found
    "confidence": 1.001,
    "time": 1e9,
    "sigma_mm": 1e6,
}
"""Of the size of numbers; none of evolift's own are beyond."""
_NAMES = "backslashreplace"  # for file names that are not UTF-8; in JSON it is the escape that reads back
_PERSON_COLUMNS = {
    "root_3d": ("root_x", "root_y", "root_z"),
    "box": ("box_left", "box_top", "box_width", "box_height"),
}


def write_predictions(path: Path, predictions: Predictions, *, overwrite: bool = False) -> None:
    """Write predictions in the format that the path's ending names: .json, .jsonl, .csv or .npz.

    Raises:
        OutputError: the ending names no format, the file exists, or it cannot be written.
    """
    writer = _WRITERS.get(path.suffix.lower())
    if writer is None:
        raise OutputError(
            f"{path}: predictions are written as {', '.join(_WRITERS)}: give one of these endings"
        )
    check_output(path, overwrite=overwrite)
    with whole_file(path, overwrite=overwrite) as partial, paused_garbage_collection():
        writer(partial, predictions)


def read_predictions(path: Path) -> Predictions:
    """Predictions from a file that `write_predictions` wrote.

    Raises:
        InputError: it is not such a file, or damaged.
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"{path}: predictions are read from {', '.join(_READERS)} files")
    predictions = reader(path)
    for name, limit in _LIMITS.items():
        values = getattr(predictions, name)
        if values is None:
            continue
        beyond = (np.abs(values) > limit).any(tuple(range(1, values.ndim)))
        if beyond.any():
            row = int(beyond.argmax())
            raise InputError(
                f"{path}: {name} of person {row} of {len(predictions)} holds {np.nanmax(np.abs(values[row])):.3g}, at most {limit:g} makes sense: predict again"
            )
    sigma = predictions.sigma_mm
    if sigma is not None and (sigma < 0).any():
        row = int((sigma < 0).any(1).argmax())
        raise InputError(
            f"{path}: sigma_mm of person {row} of {len(predictions)} holds {np.nanmin(sigma[row]):.3g}, and a standard deviation is never below 0: predict again"
        )
    return predictions


def prediction_lines(predictions: Predictions, *, header: bool = True) -> Iterator[str]:
    """Lines of a `.jsonl` file, each with its line end, for streams.

    Args:
        predictions: a part of the stream.
        header: begin with the header; False for later parts.
    """
    if header:
        yield _compact(header_of(predictions))
    for person in people_json(predictions):
        yield person.decode() + "\n"


def _compact(values: object) -> str:
    return json.dumps(values, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=str) + "\n"


def _write_json(path: Path, predictions: Predictions) -> None:
    head = json.dumps(header_of(predictions), indent=1, ensure_ascii=False, allow_nan=False, default=str)
    with path.open("wb") as file:
        file.write((head[: head.rindex("\n}")] + ',\n "people": [').encode("utf-8", _NAMES))
        for number, person in enumerate(people_json(predictions)):
            file.write((b",\n  " if number else b"\n  ") + person)
        file.write(b"\n ]\n}\n")


def _read_json(path: Path) -> Predictions:
    values = read_json(path)
    header = read_header(values, str(path))
    people = expect(values.get("people"), list, f"{path}: people")
    return read_people(people, [f"{path}: people[{number}]" for number in range(len(people))], header)


def _write_lines(path: Path, predictions: Predictions) -> None:
    with path.open("w", encoding="utf-8", errors=_NAMES, newline="\n") as file:
        file.writelines(prediction_lines(predictions))


def _read_lines(path: Path) -> Predictions:
    lines = read_text(path, newline="").split("\n")
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not numbered:
        raise InputError(f"{path} is empty: write it again")
    header = read_header(parse_json(numbered[0][1], f"{path} line 1"), f"{path} line 1")
    places = [f"{path} line {number}" for number, _ in numbered[1:]]
    people = [parse_json(line, at) for (_, line), at in zip(numbered[1:], places, strict=True)]
    return read_people(people, places, header)


def prediction_table(predictions: Predictions) -> pd.DataFrame:
    """One row per person and joint, with the columns of the `.csv` file."""
    rows, joints = len(predictions), len(predictions.skeleton)

    def per_person(values: Any) -> np.ndarray:
        return np.repeat(np.asarray(values), joints, axis=0)

    table: dict[str, Any] = {
        "image": per_person(np.array(predictions.image, object)),
        "frame": per_person(predictions.frame),
        "person": per_person(np.array(predictions.person, object)),
        "camera": per_person(predictions.camera),
        "joint": np.tile(np.array(predictions.skeleton.joints, object), rows),
    }
    for name, columns in _JOINT_COLUMNS.items():
        values = getattr(predictions, name).reshape(rows * joints, len(columns))
        table |= {column: values[:, axis] for axis, column in enumerate(columns)}
    table["confidence"] = predictions.confidence.reshape(-1)
    if predictions.sigma_mm is not None:
        table["sigma_mm"] = predictions.sigma_mm.reshape(-1)
    for name, columns in _PERSON_COLUMNS.items():
        values = per_person(getattr(predictions, name))
        table |= {column: values[:, axis] for axis, column in enumerate(columns)}
    table["time"] = per_person(np.round(predictions.time, TIME_DECIMALS))
    return pd.DataFrame(table)


def _write_csv(path: Path, predictions: Predictions) -> None:
    with path.open("w", encoding="utf-8", errors=_NAMES, newline="") as file:
        file.write("# " + _compact(header_of(predictions)))
        table = prediction_table(predictions)
        floats = table.select_dtypes("float32").columns
        table[floats] = table[floats].astype(np.float64).round(DECIMALS)
        table.to_csv(file, index=False, lineterminator="\n")


def _read_csv(path: Path) -> Predictions:
    # Line ends inside quoted names stay as they are.
    first, _, rest = read_text(path, newline="").partition("\n")
    if not first.startswith("# "):
        raise InputError(f"{path} must begin with '# ' and the header of evolift predictions")
    header = read_header(parse_json(first[2:], f"{path} line 1"), f"{path} line 1")
    texts = {"image": str, "person": str, "joint": str}
    try:
        table = pd.read_csv(
            io.StringIO(rest),
            dtype=texts,
            keep_default_na=False,
            na_values={_: [""] for _ in (*_NUMBERS, *_MAY_BE_MISSING)},
        )
    except ValueError as error:  # pandas' parser errors are ValueErrors
        raise InputError(f"{path} is not a table of predictions ({reason_of(error)})") from None
    missing = [name for name in (*texts, *_NUMBERS) if name not in table]
    if missing:
        raise InputError(f"{path} lacks the column {missing[0]!r}")
    wrong = [
        name
        for name in (*_NUMBERS, *(one for one in _MAY_BE_MISSING if one in table))
        if not pd.api.types.is_numeric_dtype(table[name])
    ]
    if wrong and len(table):
        raise InputError(f"{path}: column {wrong[0]!r} holds something else than numbers")
    joints = header["skeleton"].joints
    rows, rest_rows = divmod(len(table), len(joints))
    if rest_rows or list(table["joint"]) != list(joints) * rows:
        raise InputError(f"{path}: its rows do not go through the joints of its skeleton, person by person")
    return _from_columns(path, header, _columns_of(table, rows, len(joints)))


_MAY_BE_MISSING = ("time", "sigma_mm")
_NUMBERS = (
    "frame",
    "camera",
    "confidence",
    *(name for names in (_JOINT_COLUMNS | _PERSON_COLUMNS).values() for name in names),
)


def _columns_of(table: pd.DataFrame, rows: int, joints: int) -> dict[str, Any]:
    columns: dict[str, Any] = {
        name: table[list(names)].to_numpy(np.float32).reshape(rows, joints, len(names))
        for name, names in _JOINT_COLUMNS.items()
    }
    for name in {"confidence", "sigma_mm"}.intersection(table):
        columns[name] = table[name].to_numpy(np.float32).reshape(rows, joints)
    person = table.iloc[::joints]
    columns |= {
        name: person[list(names)].to_numpy(np.float32).reshape(rows, len(names))
        for name, names in _PERSON_COLUMNS.items()
    }
    columns |= {"image": tuple(person["image"]), "person": tuple(person["person"])}
    if "time" in person:
        columns["time"] = person["time"].to_numpy(np.float64)
    columns |= {"frame": person["frame"].to_numpy(), "camera": person["camera"].to_numpy()}
    return columns


def _write_npz(path: Path, predictions: Predictions) -> None:
    columns = {name: getattr(predictions, name) for name in predictions.row_fields}
    for name in ("image", "person"):
        columns[name] = np.array(columns[name], np.str_)
    columns["header"] = np.array(json.dumps(header_of(predictions), ensure_ascii=False, default=str))
    with path.open("wb") as file:
        np.savez_compressed(file, **columns)


def _read_npz(path: Path) -> Predictions:
    arrays: dict[str, Any] = dict(read_npz(path))
    missing = [name for name in (*ROW_FIELDS, "header") if name not in arrays.keys() | OPTIONAL_FIELDS]
    if missing:
        raise InputError(f"{path} is not a file of predictions: it lacks the array {missing[0]!r}")
    arrays = {name: arrays[name] for name in (*ROW_FIELDS, "header") if name in arrays}
    header = read_header(parse_json(str(arrays.pop("header")), f"{path}: header"), f"{path}: header")
    for name in ("image", "person"):
        arrays[name] = tuple(str(label) for label in arrays[name].reshape(-1))
    return _from_columns(path, header, arrays)


def _from_columns(path: Path, header: dict[str, Any], columns: dict[str, Any]) -> Predictions:
    try:
        for name, kind in (("frame", np.int64), ("camera", np.int32)):
            values = np.asarray(columns[name])
            if values.dtype.kind == "c":
                raise ValueError(f"{name} holds something else than numbers")
            if not np.can_cast(values.dtype, np.int64):
                whole_frames(values.astype(np.float64), f"{path}: {name}")
            columns[name] = values.astype(kind)
        for name in _LIMITS.keys() & columns.keys():
            if np.asarray(columns[name]).dtype.kind not in "fiu":
                raise ValueError(f"{name} holds something else than numbers")
        return Predictions(**columns, **header)
    except (ValueError, TypeError) as error:
        raise InputError(f"{path} does not hold together: {reason_of(error)}") from None


_WRITERS: dict[str, Callable[[Path, Predictions], None]] = {
    ".json": _write_json,
    ".jsonl": _write_lines,
    ".csv": _write_csv,
    ".npz": _write_npz,
}
_READERS: dict[str, Callable[[Path], Predictions]] = {
    ".json": _read_json,
    ".jsonl": _read_lines,
    ".csv": _read_csv,
    ".npz": _read_npz,
}
