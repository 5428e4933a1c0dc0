"""Keypoints as plain tables: CSV and NPZ.

A CSV has a header line and, in any order, one of two forms:

- wide, one person a row: `JOINT_x` and `JOINT_y`, or `x1` and `y1`, and if known a score of each joint
  (`evolift.posedata.keypoint_formats.table_header`);
- long, one joint a row: `joint`, `u` and `v` (or `x` and `y`), and if known `confidence`, as `evolift predict` writes.

Both may have `image`, `frame`, `person` and `time` (`evolift.posedata.keypoint_formats.table_columns`), and `image_width` and
`image_height`; without a person, rows of different frames are one person, and without frames they are those of a person in
their order. Lines that begin with `#` before the header are comments. An NPZ has `joints_2d` (or `keypoints`) of shape
(rows, joints, 2 or 3; the third is a score), and if known `confidence` (or `scores`), `visibility`, `image`, `frame`,
`person`, `time`, `box`, `image_size`, `skeleton` (a name) and `joint_names`.

Names of joints tell the skeleton, or are known (`evolift.posedata.keypoint_formats.joint_names`); without names the
number of joints does, unless several skeletons have it.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from evolift.posedata.errors import InputError, reason_of, within
from evolift.posedata.frame_numbers import whole_frames
from evolift.posedata.input_file import read_text
from evolift.posedata.keypoint_formats.joint_columns import joint_columns
from evolift.posedata.keypoint_formats.keypoints import Keypoints, hidden_below, keypoints_of
from evolift.posedata.keypoint_formats.name_mapping import NamedColumns
from evolift.posedata.keypoint_formats.reading import Reading
from evolift.posedata.keypoint_formats.table_columns import column_names, frames_of_rows, frames_of_times
from evolift.posedata.keypoint_formats.table_header import (
    FLAGS,
    SCORES,
    JointHeader,
    first_of,
    joint_headers,
    unread_columns,
)
from evolift.posedata.npz_file import read_npz
from evolift.posedata.settings import shown
from evolift.posedata.skeleton import skeleton_by_name

_MAX_COLUMNS = 2000


_OF_ROWS = {"image", "frame", "person", "time", "image_width", "image_height"}
_IN_SIGHT = 0.5
"""Joints that MediaPipe is less sure to see are hidden."""


def read_csv_keypoints(path: Path, reading: Reading) -> Keypoints:
    """People of a CSV file.

    Args:
        path: of the file; comma, semicolon or tab between columns.
        reading: of the file.

    Raises:
        InputError: it is not such a table, it cannot be told which joints these are, or nobody is in it.
    """
    table = _read_table(path)
    header = [str(name) for name in table]
    if {"joint"} <= set(table) and ({"u", "v"} <= set(table) or {"x", "y"} <= set(table)):
        table, read = _widened(path, table)
        reading.found("columns", header, read)
    joints = joint_headers([str(name) for name in table])
    if not joints:
        raise InputError(
            f"{path} has no columns JOINT_x and JOINT_y, nor joint, u and v: name its columns so"
        )
    if "joint" not in header:
        reading.found("columns", unread_columns(header, joints, _OF_ROWS), ())
    names = [joint.name for joint in joints]
    columns = joint_columns(reading, str(path), len(names), names=names)
    if not len(table):
        raise InputError(f"{path} holds nobody: it has no rows")
    points = [_numbers(path, table, column) for joint in joints for column in (joint.x, joint.y)]
    confidence, visibility = _scores(path, table, joints)
    frame = whole_frames(_numbers(path, table, "frame"), f"{path}: frame") if "frame" in table else None
    person = [str(name) for name in table["person"]] if "person" in table else None
    time, notes = None, []
    if "time" in table:
        time, frame, note = frames_of_times(
            _numbers(path, table, "time"), frame, f"{path}: its column of times"
        )
        notes.append(note)
    elif frame is None and "image" not in table:
        frame = frames_of_rows(person, len(table))
    return keypoints_of(
        columns,
        np.stack(points, 1).reshape(len(table), len(names), 2),
        format="csv",
        confidence=confidence,
        visibility=visibility,
        image=[str(name) for name in table["image"]] if "image" in table else None,
        frame=frame,
        person=person,
        image_size=_image_sizes(path, table),
        notes=notes,
        time=time,
        is_over_time=True,
    )


def _scores(
    path: Path, table: pd.DataFrame, joints: list[JointHeader]
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Confidence and visibility of all joints, None if there are no such columns.

    Visibility is COCO's flags (0, 1 and 2 alone, and a 2 among them), or as MediaPipe has it the probability to be in
    sight, which is also the confidence if there is no other.
    """
    scores = _of_joints(path, table, [joint.score for joint in joints])
    flags = _of_joints(path, table, [joint.flag for joint in joints])
    if flags is None:
        return scores, None
    if np.isin(flags, (0, 1, 2)).all() and (flags == 2).any():
        return scores, flags
    in_sight = hidden_below(flags, _IN_SIGHT)
    return (flags if scores is None else scores), in_sight


def _of_joints(path: Path, table: pd.DataFrame, columns: list[str | None]) -> np.ndarray | None:
    """(rows, joints) of a column for each joint, 1 for joints that have none; None if none has one."""
    if not any(columns):
        return None
    ones = np.ones(len(table))
    return np.stack([ones if column is None else _numbers(path, table, column) for column in columns], 1)


def _image_sizes(path: Path, table: pd.DataFrame) -> np.ndarray | None:
    """(rows, 2) width and height of each row's image, 0 where they make no sense; None without columns of them."""
    if not {"image_width", "image_height"} <= set(table):
        return None
    return _sizes(np.stack([_numbers(path, table, f"image_{side}") for side in ("width", "height")], 1))


def _sizes(values: np.ndarray) -> np.ndarray:
    return np.where((values > 0) & (values < 2**31), np.nan_to_num(values), 0)


def read_npz_keypoints(path: Path, reading: Reading) -> Keypoints:
    """People of an NPZ file.

    Args:
        path: of the file.
        reading: of the file.

    Raises:
        InputError: it is not such a file, it cannot be told which joints these are, or nobody is in it.
    """
    arrays = read_npz(path)
    known = column_names(arrays, path)
    arrays = {known.get(name, name): values for name, values in arrays.items()}
    key = next((key for key in ("joints_2d", "keypoints") if key in arrays), None)
    if key is None:
        raise InputError(f"{path} has no array joints_2d or keypoints (it has {', '.join(arrays) or 'none'})")
    points = _array(path, arrays, key)
    points = points[None] if points.ndim == 2 else points
    if points.ndim != 3 or points.shape[2] not in (2, 3):
        raise InputError(f"{path}: {key} must have shape (people, joints, 2 or 3), has {arrays[key].shape}")
    rows, joints = points.shape[:2]
    if not rows:
        raise InputError(f"{path} holds nobody: {key} has no rows")
    shapes = {
        "confidence": (rows, joints),
        "scores": (rows, joints),
        "visibility": (rows, joints),
        "frame": (rows,),
        "time": (rows,),
        "box": (rows, 4),
    }
    optional = {name: _array(path, arrays, name, shape) for name, shape in shapes.items() if name in arrays}
    reading.found(
        "arrays", arrays, {key, *shapes, "image", "person", "skeleton", "joint_names", "image_size"}
    )
    if "scores" in optional:
        scores = optional.pop("scores")
        optional.setdefault("confidence", scores)
    if points.shape[2] == 3:
        optional.setdefault("confidence", points[..., 2])
    if "visibility" in optional and not np.isin(optional["visibility"], (0, 1, 2)).all():
        raise InputError(f"{path}: visibility must be 0 (unlabelled), 1 (hidden) or 2 (visible)")
    labels = {name: _labels(path, arrays[name], name, rows) for name in ("image", "person") if name in arrays}
    values: dict[str, Any] = optional | labels
    if "frame" in optional:
        values["frame"] = whole_frames(optional["frame"], f"{path}: frame")
    if "time" in optional:
        told = frames_of_times(optional["time"], values.get("frame"), f"{path}: time")
        values["time"], values["frame"], note = told
        values["notes"] = [note]
    elif "frame" not in values and "image" not in values:
        values["frame"] = frames_of_rows(values.get("person"), rows)
    if "image_size" in arrays:
        size = _array(path, arrays, "image_size")
        if size.shape not in ((2,), (rows, 2)):
            raise InputError(f"{path}: image_size must have shape (2,) or {(rows, 2)}, has {size.shape}")
        values["image_size"] = _sizes(np.broadcast_to(size, (rows, 2)))
    columns = _npz_columns(path, reading, arrays, f"{path}: {key}", joints)
    return keypoints_of(columns, points[..., :2], format="npz", is_over_time=True, **values)


def _npz_columns(
    path: Path, reading: Reading, arrays: dict[str, np.ndarray], place: str, joints: int
) -> NamedColumns:
    """What the joints of an array are: by `joint_names`, by `skeleton`, or else by their number."""
    if "joint_names" in arrays:
        names = _labels(path, arrays["joint_names"], "joint_names", joints)
        return joint_columns(reading, f"{path}: joint_names", joints, names=names)
    if "skeleton" not in arrays:
        return joint_columns(reading, place, joints)
    with within(str(path)):
        told = skeleton_by_name(_labels(path, arrays["skeleton"].reshape(-1), "skeleton", 1)[0][:80])
    if len(told) != joints:
        raise InputError(f"{place} has {joints} joints, skeleton {told.name} has {len(told)}")
    reading.tells(told, f"{path}: skeleton")
    return joint_columns(reading, f"{path}: skeleton", joints, names=told.joints)


def _read_table(path: Path) -> pd.DataFrame:
    text = read_text(path, "give a CSV file")
    while text.startswith("#"):
        text = text.partition("\n")[2]
    header = text.partition("\n")[0]
    separator = max(",;\t", key=header.count)
    if header.count(separator) >= _MAX_COLUMNS:
        raise InputError(f"{path} has more than {_MAX_COLUMNS} columns, so it is no table of keypoints")
    columns = [name.strip('" ') for name in header.strip().split(separator)]
    known = column_names(columns, path)
    labels = {column: str for column in columns if known.get(column, column) in ("image", "person", "joint")}
    numbers = [name for name in columns if name not in labels]
    try:
        width = _checked_width(path, text, separator)
        return pd.read_csv(
            io.StringIO(text),
            sep=separator,
            dtype=labels,
            # Without both, pandas takes the first column for an index where rows have a cell more than the header.
            index_col=False,
            usecols=range(width),
            keep_default_na=False,
            na_values={n: ["", "nan", "NaN", "NA", "null"] for n in numbers},
        ).rename(columns=known)
    except (ValueError, IndexError, csv.Error) as error:  # pandas' parser errors are ValueErrors
        raise InputError(f"{path} is not a table ({reason_of(error)}): write it again") from None


def _checked_width(path: Path, text: str, separator: str) -> int:
    """Number of columns; rows may end in one separator too many, as some programs write them."""
    rows = (cells for cells in csv.reader(io.StringIO(text), delimiter=separator) if cells)
    width = len(next(rows, []))
    for number, cells in enumerate(rows, 1):
        if len(cells) > width + 1 or (len(cells) > width and cells[-1].strip()):
            raise InputError(
                f"{path}: row {number} has {len(cells)} cells, the header {width}: give each column a name"
            )
    return width


def _widened(path: Path, table: pd.DataFrame) -> tuple[pd.DataFrame, set[str]]:
    """A long table as a wide one, people in the order they come in, and the columns that are read."""
    u, v = ("u", "v") if "u" in table else ("x", "y")
    score, flag = (
        first_of(names, {str(n): str(n) for n in table if n not in (u, v)}) for names in (SCORES, FLAGS)
    )
    parts = {u: "x", v: "y"}
    parts |= {column: part for column, part in ((score, "confidence"), (flag, "visibility")) if column}
    sides = [name for name in ("image_width", "image_height") if name in table]
    # Here already: afterwards neither columns nor rows are those of the file, which messages name.
    numeric = {n: _numbers(path, table, n) for n in (*parts, "frame", "time", *sides) if n in table}
    if "frame" in numeric:
        whole_frames(numeric["frame"], f"{path}: frame")
    table = table.assign(**numeric)
    keys = [name for name in ("image", "frame", "time", "person", *sides) if name in table]
    read = {"joint", *parts, *keys}
    if not set(keys) - set(sides):
        table, keys = table.assign(frame=table.groupby("joint").cumcount()), ["frame", *sides]
    if table.duplicated([*keys, "joint"]).any():
        twice = table[table.duplicated([*keys, "joint"])].iloc[0]
        raise InputError(
            f"{path}: joint {twice['joint']!r} of one person is told twice: name image, frame and person"
        )
    wide = table.pivot(index=keys, columns="joint", values=list(parts))
    levels = (wide.columns.get_level_values(level) for level in (0, 1))
    wide.columns = pd.Index([f"{joint}_{parts[str(part)]}" for part, joint in zip(*levels, strict=True)])
    order = (
        pd.MultiIndex.from_frame(table[keys].drop_duplicates())
        if len(keys) > 1
        else pd.Index(table[keys[0]].unique())
    )
    return wide.reindex(order).rename_axis(keys).reset_index(), read


def _numbers(path: Path, table: pd.DataFrame, column: str) -> np.ndarray:
    """A column of numbers."""
    try:
        return table[column].to_numpy(np.float64)
    except OverflowError:
        raise InputError(f"{path}: column {column!r} has too large a number") from None
    except (ValueError, TypeError):
        parsed = pd.to_numeric(table[column], errors="coerce").isna() & table[column].notna()
        row = int(parsed.to_numpy().argmax())
        raise InputError(
            f"{path}: column {column!r}, row {row + 1}: {shown(table[column].iloc[row])} is not a number"
        ) from None


def _array(
    path: Path, arrays: dict[str, np.ndarray], name: str, shape: tuple[int, ...] | None = None
) -> np.ndarray:
    values = arrays[name]
    if values.dtype.kind not in "fiub":
        raise InputError(f"{path}: {name} must hold numbers, holds {values.dtype}")
    if shape is not None and values.shape != shape:
        raise InputError(f"{path}: {name} must have shape {shape}, has {values.shape}")
    return values.astype(np.float64)


def _labels(path: Path, values: np.ndarray, name: str, rows: int) -> list[str]:
    if values.shape != (rows,):
        raise InputError(f"{path}: {name} must have shape {(rows,)}, has {values.shape}")
    return [value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for value in values]
