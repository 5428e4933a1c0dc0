r"""Markers in pixels as .trc files, the format of OpenSim in which Sports2D writes NAME_px_person00.trc.

Cells between tabs, in five lines of header: `PathFileType`, the names and values of `DataRate`, `Units`, ..., then
`Frame#`, `Time` and each marker's name over three columns, and `X1`, `Y1`, `Z1`, ... A row follows for each frame. y points
upwards, with 0 at the top of the image: the file has the negative row. z is not read, nor are times. A file holds one person.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from evolift.posedata.errors import InputError
from evolift.posedata.frame_numbers import whole_frames
from evolift.posedata.input_file import read_text
from evolift.posedata.keypoint_formats.joint_columns import joint_columns
from evolift.posedata.keypoint_formats.keypoints import Keypoints, keypoints_of
from evolift.posedata.keypoint_formats.reading import Reading

MARK = "PathFileType"
_PIXELS = ("px", "pixel", "pixels")
_PERSON = re.compile(r"person_?(\d+)")


def read_trc(path: Path, reading: Reading) -> Keypoints:
    """One person in all frames of a file.

    Args:
        path: of the file.
        reading: of the file.

    Raises:
        InputError: it is no such file, is not in pixels with y upwards, its names mean nothing, or nobody is in it.
    """
    lines = [line.split("\t") for line in read_text(path, "give a TRC file").splitlines() if line.strip()]
    facts = _facts(path, lines)
    names = [name.strip() for name in lines[3][2:] if name.strip()]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"{path} has the marker {twice!r} twice: leave one of them out")
    rows = _numbers(path, lines[5:], 2 + 3 * len(names))
    joints = rows[:, 2:].reshape(len(rows), len(names), 3)
    there = np.isfinite(joints[..., :2]).all(-1).any(-1)
    if not there.any():
        raise InputError(f"{path} holds nobody: it has no markers in any frame")
    if np.nanmedian(joints[there, :, 1]) > 0:
        raise InputError(
            f"{path} has y above 0, and does not tell where y is 0: write the negative row of the image, as Sports2D does"
        )
    frames = whole_frames(rows[there, 0], f"{path}: column 'Frame#'")
    called = lines[0][3] if len(lines[0]) > 3 else path.name
    person = _PERSON.search(called) or _PERSON.search(path.stem)
    rate = facts.get("DataRate", "")
    return keypoints_of(
        joint_columns(reading, str(path), len(names), names=names),
        joints[there, :, :2] * (1, -1),
        format="trc",
        image=[Path(called).stem] * len(frames),
        frame=frames,
        person=[person[1] if person else "1"] * len(frames),
        notes=[f"it says {rate} frames per second: give them as `frames_per_second`"] if rate else [],
    )


def _facts(path: Path, lines: list[list[str]]) -> dict[str, str]:
    """DataRate, Units, ... of the header, which must be of markers in pixels."""
    if len(lines) < 5 or lines[0][0] != MARK or lines[3][0].strip() != "Frame#":
        raise InputError(f"{path} lacks the five lines of a TRC header ({MARK} ... Frame# ... X1)")
    facts = {key.strip(): value.strip() for key, value in zip(lines[1], lines[2], strict=False)}
    units = facts.get("Units", "")
    if units.lower() not in _PIXELS:
        raise InputError(
            f"{path} holds markers in {units or 'no unit'}: only pixels of one camera can be lifted (Units px; Sports2D's files NAME_px_person00.trc)"
        )
    return facts


def _numbers(path: Path, lines: list[list[str]], width: int) -> np.ndarray:
    """Cells as numbers, NaN where they are empty."""
    table = np.full((len(lines), width), np.nan)
    for row, cells in enumerate(lines):
        for column, cell in enumerate(cells[:width]):
            if not cell.strip():
                continue
            try:
                table[row, column] = float(cell)
            except ValueError:
                raise InputError(
                    f"{path}: row {row + 1}, column {column + 1} is {cell.strip()!r}, which is not a number"
                ) from None
        if any(cell.strip() for cell in cells[width:]):
            raise InputError(
                f"{path}: row {row + 1} has {len(cells)} cells, the header {width}: name each marker"
            )
    return table
