"""Keypoints of the tracking programs DeepLabCut and SLEAP, as their CSV files.

- DeepLabCut: three header lines `scorer`, `bodyparts`, `coords` (four with `individuals`), then a row per frame that
  begins with its number, or in labelled data with the path of its image, in one cell or in three (`labeled-data`, video,
  image), whose `img0012.png` is frame 12; coords are x, y and likelihood. The individual `single` has the body parts that
  are there once in each frame (a door, a table) and is nobody, unless joints are made of them.
- SLEAP (analysis CSV): a row per frame and track with `track`, `frame_idx`, `instance.score` and `NODE.x`, `NODE.y`,
  `NODE.score`.

Their keypoints have names of the user's choice: see `evolift.posedata.keypoint_formats.name_mapping`.
"""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from evolift.posedata.errors import InputError, reason_of
from evolift.posedata.frame_numbers import numbered_by_names, whole_frames
from evolift.posedata.input_file import read_text
from evolift.posedata.keypoint_formats.joint_columns import joint_columns
from evolift.posedata.keypoint_formats.keypoints import Keypoints, keypoints_of
from evolift.posedata.keypoint_formats.name_mapping import NameMapping
from evolift.posedata.keypoint_formats.reading import Reading

_AXES = ("x", "y", "likelihood")
_OF_SLEAP = {"track", "frame_idx", "instance.score"}

_UNIQUE = "single"
_EXTRACTED = re.compile(r"(?:(?P<video>.*)/)?img(?P<number>\d{1,18})\.\w+")


def read_deeplabcut(path: Path, reading: Reading) -> Keypoints:
    """People of a DeepLabCut CSV; a person that is nowhere in a frame is left out of it.

    Args:
        path: of the file.
        reading: of the file.

    Raises:
        InputError: it is not such a table, its names mean nothing, or nobody is in it.
    """
    head, body, rows = _deeplabcut_parts(path)
    numbers = pd.to_numeric(pd.Series(rows, dtype=str), errors="coerce")
    is_numbered = bool(rows) and bool(numbers.notna().all())
    of_rows = (
        whole_frames(numbers.to_numpy(np.float64), f"{path}: its first column")
        if is_numbered
        else _frames_of_images(rows)
    )
    nobodies = _nobodies(head, reading.mapping)
    columns = zip(head["individuals"], head["bodyparts"], strict=True)
    names = list(dict.fromkeys(part for whose, part in columns if whose not in nobodies))
    reading.found("coords of columns", head["coords"], _AXES)
    reading.notes += [
        f"individual {whose} is nobody: no joint is made of its body parts ({', '.join(parts)})"
        for whose, parts in nobodies.items()
    ]
    tables, frames, images, ids = [np.zeros((0, len(names), 3))], [], [], []
    for person in dict.fromkeys(whose for whose in head["individuals"] if whose not in nobodies):
        table = _deeplabcut_person(path, head, body, person, names)
        there = np.flatnonzero(_is_somewhere(table))
        tables.append(table[there])
        frames += [of_rows[row] for row in there]
        images += ["" if is_numbered else rows[row] for row in there]
        ids += [person] * len(there)
    return _keypoints(
        path,
        names,
        np.concatenate(tables),
        {"frame": frames, "image": images, "person": ids if any(head["individuals"]) else None},
        format="deeplabcut",
        reading=reading,
        has_scores="likelihood" in head["coords"],
    )


def _deeplabcut_parts(path: Path) -> tuple[dict[str, list[str]], pd.DataFrame, list[str]]:
    """Header lines by name and the cells below them, both without what rows begin with, and that of each row."""
    rows = _cells(path)
    lines = {str(line.iloc[0]): [str(cell) for cell in line.iloc[1:]] for _, line in rows.head(4).iterrows()}
    if not {"scorer", "bodyparts", "coords"} <= set(lines):
        raise InputError(f"{path} lacks one of DeepLabCut's header lines scorer, bodyparts and coords")
    body = rows.iloc[4 if "individuals" in lines else 3 :]
    # Rows of labelled data may begin with three cells, over which the header lines have empty ones.
    further = next((number for number, axis in enumerate(lines["coords"]) if axis), len(lines["coords"]))
    begins = ["/".join(map(str, cells)) for cells in body.iloc[:, : 1 + further].to_numpy()]
    head = {"individuals": [""] * len(lines["coords"])} | lines
    return {name: cells[further:] for name, cells in head.items()}, body.iloc[:, 1 + further :], begins


def _frames_of_images(images: list[str]) -> list[int]:
    """The numbers in `VIDEO/img0012.png` if all images are such of one video, else those that other names tell."""
    matches = [_EXTRACTED.fullmatch(image) for image in images]
    numbers = [int(match["number"]) for match in matches if match]
    is_video = len({match["video"] for match in matches if match}) == 1
    return numbers if is_video and len(numbers) == len(images) else numbered_by_names(images)


def _nobodies(head: dict[str, list[str]], mapping: NameMapping | None) -> dict[str, list[str]]:
    """Individuals beside others that have none of the body parts that joints are made of, with their body parts.

    Without a mapping these are the parts that people have, and DeepLabCut calls `single` who has others.
    """
    parts: dict[str, list[str]] = {}
    for whose, part in zip(head["individuals"], head["bodyparts"], strict=True):
        if part not in parts.setdefault(whose, []):
            parts[whose].append(part)
    if mapping is not None:
        used = set(mapping.names)
    else:
        used = {part for whose, own in parts.items() if whose != _UNIQUE for part in own} or set(
            head["bodyparts"]
        )
    nobodies = {whose: own for whose, own in parts.items() if used.isdisjoint(own)}
    return nobodies if len(nobodies) < len(parts) else {}


def _deeplabcut_person(
    path: Path, head: dict[str, list[str]], body: pd.DataFrame, person: str, names: list[str]
) -> Float[np.ndarray, "rows names 3"]:
    """x, y and likelihood of one person in all frames, NaN where there is none."""
    table = np.full((len(body), len(names), 3), np.nan)
    columns = list(zip(head["individuals"], head["bodyparts"], head["coords"], strict=True))
    if twice := next((column for column in columns if columns.count(column) > 1), None):
        raise InputError(
            f"{path} has the column {' '.join(filter(None, twice))!r} twice: leave one of them out"
        )
    for number, (whose, part, axis) in enumerate(columns):
        if whose == person and axis in _AXES:
            values = _numeric(path, body.iloc[:, number], f"{part} {axis}")
            table[:, names.index(part), _AXES.index(axis)] = values
    return table


def read_sleap(path: Path, reading: Reading) -> Keypoints:
    """People of a SLEAP analysis CSV; arguments and errors are those of `read_deeplabcut`."""
    rows = _cells(path)
    header = [str(cell) for cell in rows.iloc[0]]
    body = rows.iloc[1:].set_axis(header, axis=1)
    if twice := next((name for name in header if name and header.count(name) > 1), None):
        raise InputError(f"{path} has the column {twice!r} twice: leave one of them out")
    if "frame_idx" not in header:
        raise InputError(f"{path} lacks SLEAP's column 'frame_idx'")
    names = [name.removesuffix(".x") for name in header if name.endswith(".x") and name[:-2] + ".y" in header]
    columns = [
        _numeric(path, body[column], column) if column in header else np.full(len(body), np.nan)
        for name in names
        for column in (f"{name}.x", f"{name}.y", f"{name}.score")
    ]
    table = np.stack(columns, 1).reshape(len(body), len(names), 3) if names else np.zeros((len(body), 0, 3))
    reading.found(
        "columns", header, _OF_SLEAP | {f"{n}.{part}" for n in names for part in ("x", "y", "score")}
    )
    there = _is_somewhere(table)
    frames = whole_frames(
        _numeric(path, body["frame_idx"], "frame_idx")[there], f"{path}: column 'frame_idx'"
    )
    tracks = [str(track) for track in body["track"].to_numpy()[there]] if "track" in header else []
    return _keypoints(
        path,
        names,
        table[there],
        {"frame": frames, "person": tracks if tracks and all(tracks) else None},
        format="sleap",
        reading=reading,
        has_scores=any(name.endswith(".score") and name != "instance.score" for name in header),
    )


def _is_somewhere(table: Float[np.ndarray, "rows names 3"]) -> Bool[np.ndarray, "rows"]:
    """For each row whether it has the coordinates of at least one joint."""
    is_known = np.isfinite(table[..., 0]) & np.isfinite(table[..., 1])
    somewhere: np.ndarray = np.any(is_known, axis=1)
    return somewhere


def _keypoints(
    path: Path,
    names: list[str],
    table: np.ndarray,
    rows: dict[str, Any],
    *,
    format: str,
    reading: Reading,
    has_scores: bool,
) -> Keypoints:
    if not len(table):
        raise InputError(f"{path} holds nobody")
    return keypoints_of(
        joint_columns(reading, str(path), len(names), names=names),
        table[..., :2],
        format=format,
        confidence=table[..., 2] if has_scores else None,
        is_over_time=True,
        **rows,
    )


def _cells(path: Path) -> pd.DataFrame:
    text = read_text(path)
    try:
        return pd.read_csv(io.StringIO(text), header=None, dtype=str, keep_default_na=False)
    except ValueError as error:  # pandas' parser errors are ValueErrors
        raise InputError(f"{path} is not a table ({reason_of(error)}): write it again") from None


def _numeric(path: Path, column: pd.Series, name: str) -> np.ndarray:
    """Numbers of a column of text, NaN where it is empty or says NaN."""
    text = column.astype(str).str.strip()
    numbers = pd.to_numeric(text, errors="coerce")
    odd = numbers.isna() & ~text.str.lower().isin(["", "nan", "none", "null"])
    if odd.any():
        raise InputError(f"{path}: {name} is {text[odd].iloc[0]!r} in one row, which is not a number")
    return numbers.to_numpy(np.float64)
