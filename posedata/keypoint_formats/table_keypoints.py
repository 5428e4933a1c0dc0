"""Keypoints as plain tables: CSV and NPZ.

A CSV has a header line and, in any order, one of two forms:

- wide, one person a row: `JOINT_x` and `JOINT_y` (pixels), and if known `JOINT_confidence`;
- long, one joint a row: `joint`, `u` and `v` (or `x` and `y`), and if known `confidence`, as `evolift predict` writes.

Both may have `image`, `frame` and `person`; lines that begin with `#` before the header are passed over. An NPZ has
`joints_2d` (or `keypoints`) of shape (people, joints, 2 or 3; the third is a score), and if known `confidence`,
`visibility`, `image`, `frame`, `person`, `box` and `skeleton` (a name).

A CSV's joint names tell the skeleton, or are known (`evolift.posedata.keypoint_formats.joint_names`); of an NPZ
the number of joints does, unless several skeletons have it.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from evolift.posedata.errors import InputError
from evolift.posedata.frame_numbers import whole_frames
from evolift.posedata.input_file import read_text
from evolift.posedata.keypoint_formats.keypoints import Keypoints, keypoints_of
from evolift.posedata.keypoint_formats.name_mapping import NameMapping, mapping_of_names
from evolift.posedata.npz_file import read_npz
from evolift.posedata.skeleton import SKELETONS, Skeleton, skeleton_by_name

_MAX_COLUMNS = 2000


def read_csv_keypoints(
    path: Path, *, skeleton: Skeleton | None = None, mapping: NameMapping | None = None
) -> Keypoints:
    """People of a CSV file.

    Args:
        path: of the file; comma, semicolon or tab between columns.
        skeleton: of its joint names, if they fit several.
        mapping: what its joint names mean, if they are no skeleton's.

    Raises:
        InputError: it is not such a table, its joints fit no skeleton, or nobody is in it.
    """
    table = _read_table(path)
    if {"joint"} <= set(table) and ({"u", "v"} <= set(table) or {"x", "y"} <= set(table)):
        table = _widened(path, table)
    names = [
        str(name).removesuffix("_x")
        for name in table
        if str(name).endswith("_x") and f"{str(name)[:-2]}_y" in table
    ]
    if not names:
        raise InputError(
            f"{path} has no columns JOINT_x and JOINT_y, nor joint, u and v: name its columns so"
        )
    mapping = mapping or mapping_of_names(names, str(path), skeleton)
    if not set(names) & mapping.names:
        raise InputError(f"{path}: the mapping names none of its joints ({', '.join(names)})")
    if not len(table):
        raise InputError(f"{path} holds nobody: it has no rows")
    columns = [_numbers(path, table, f"{name}_{part}") for name in names for part in ("x", "y", "confidence")]
    values = mapping.arranged(names, np.stack(columns, 1).reshape(len(table), len(names), 3))
    has_scores = any(f"{name}_confidence" in table for name in names)
    frame = whole_frames(_numbers(path, table, "frame"), f"{path}: frame") if "frame" in table else None
    return keypoints_of(
        mapping.skeleton,
        values[..., :2],
        format="csv",
        confidence=values[..., 2] if has_scores else None,
        image=[str(name) for name in table["image"]] if "image" in table else None,
        frame=frame,
        person=[str(name) for name in table["person"]] if "person" in table else None,
        notes=mapping.notes(names),
    )


def read_npz_keypoints(path: Path, *, skeleton: Skeleton | None = None) -> Keypoints:
    """People of an NPZ file.

    Args:
        path: of the file.
        skeleton: of its joints, if it does not name one.

    Raises:
        InputError: it is not such a file, its skeleton is not known, or nobody is in it.
    """
    arrays = read_npz(path)
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
    if skeleton is None:
        named = str(arrays["skeleton"]) if "skeleton" in arrays else None
        skeleton = skeleton_by_name(named) if named in SKELETONS else _skeleton_of_size(path, joints)
    if len(skeleton) != joints:
        raise InputError(f"{path}: {key} has {joints} joints, skeleton {skeleton.name} has {len(skeleton)}")
    shapes = {"confidence": (rows, joints), "visibility": (rows, joints), "frame": (rows,), "box": (rows, 4)}
    optional = {name: _array(path, arrays, name, shape) for name, shape in shapes.items() if name in arrays}
    if points.shape[2] == 3:
        optional.setdefault("confidence", points[..., 2])
    if "visibility" in optional and not np.isin(optional["visibility"], (0, 1, 2)).all():
        raise InputError(f"{path}: visibility must be 0 (unlabelled), 1 (hidden) or 2 (visible)")
    labels = {name: _labels(path, arrays[name], name, rows) for name in ("image", "person") if name in arrays}
    values: dict[str, Any] = optional | labels
    if "frame" in optional:
        values["frame"] = whole_frames(optional["frame"], f"{path}: frame")
    return keypoints_of(skeleton, points[..., :2], format="npz", **values)


def _read_table(path: Path) -> pd.DataFrame:
    text = read_text(path, "give a CSV file")
    while text.startswith("#"):
        text = text.partition("\n")[2]
    header = text.partition("\n")[0]
    separator = max(",;\t", key=header.count)
    if header.count(separator) >= _MAX_COLUMNS:
        raise InputError(f"{path} has more than {_MAX_COLUMNS} columns, so it is no table of keypoints")
    labels = {"image": str, "person": str, "joint": str}
    numbers = [name for name in header.strip().split(separator) if name not in labels]
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
        )
    except (ValueError, IndexError, csv.Error) as error:  # pandas' parser errors are ValueErrors
        raise InputError(f"{path} is not a table ({' '.join(str(error).split())}): write it again") from None


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


def _widened(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    """A long table as a wide one, people in the order they come in."""
    u, v = ("u", "v") if "u" in table else ("x", "y")
    # Here already: afterwards neither columns nor rows are those of the file, which messages name.
    numeric = {n: _numbers(path, table, n) for n in (u, v, "confidence", "frame") if n in table}
    if "frame" in numeric:
        whole_frames(numeric["frame"], f"{path}: frame")
    table = table.assign(**numeric)
    keys = [name for name in ("image", "frame", "person") if name in table] or None
    if keys is None:
        table, keys = table.assign(frame=table.groupby("joint").cumcount()), ["frame"]
    if table.duplicated([*keys, "joint"]).any():
        twice = table[table.duplicated([*keys, "joint"])].iloc[0]
        raise InputError(
            f"{path}: joint {twice['joint']!r} of one person is told twice: name image, frame and person"
        )
    values = {u: "x", v: "y"} | ({"confidence": "confidence"} if "confidence" in table else {})
    wide = table.pivot(index=keys, columns="joint", values=list(values))
    levels = (wide.columns.get_level_values(level) for level in (0, 1))
    wide.columns = pd.Index([f"{joint}_{values[str(value)]}" for value, joint in zip(*levels, strict=True)])
    order = (
        pd.MultiIndex.from_frame(table[keys].drop_duplicates())
        if len(keys) > 1
        else pd.Index(table[keys[0]].unique())
    )
    return wide.reindex(order).rename_axis(keys).reset_index()


def _numbers(path: Path, table: pd.DataFrame, column: str) -> np.ndarray:
    """A column of numbers, NaN where the table has no such column."""
    if column not in table:
        return np.full(len(table), np.nan)
    try:
        return table[column].to_numpy(np.float64)
    except (ValueError, TypeError):
        parsed = pd.to_numeric(table[column], errors="coerce").isna() & table[column].notna()
        row = int(parsed.to_numpy().argmax())
        raise InputError(
            f"{path}: column {column!r}, row {row + 1}: {table[column].iloc[row]!r} is not a number"
        ) from None


def _skeleton_of_size(path: Path, joints: int) -> Skeleton:
    fitting = [s for s in SKELETONS.values() if len(s) == joints]
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        sizes = ", ".join(f"{s.name} {len(s)}" for s in SKELETONS.values())
        raise InputError(f"{path} has {joints} joints, no skeleton has as many ({sizes})")
    raise InputError(
        f"{path}: {' and '.join(s.name for s in fitting)} have {joints} joints: say which with `skeleton`"
    )


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
    return [str(value) for value in values]
