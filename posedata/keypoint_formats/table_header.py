"""What the columns of a table of keypoints are, told from its header.

A column of a joint is called `JOINT_x`, with any of `_`, `.`, `-` and a blank between, or `x12` where joints have
numbers. What follows the joint is `x`, `y`, or what the field calls its score: see `SCORES`; capitals mean nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

SCORES = ("confidence", "likelihood", "score", "conf", "probability", "prob", "c", "s", "p")
"""How likely a joint is where it is told to be; of several the first counts."""
FLAGS = ("visibility", "visible", "vis", "v")
"""COCO's flags, or MediaPipe's probability to be in sight."""
_PARTS = "|".join(("x", "y", "z", *SCORES, *FLAGS))
_WIDE = re.compile(rf"(?P<joint>.*\S)[_.\- ](?P<part>{_PARTS})", re.IGNORECASE)
_NUMBERED = re.compile(rf"(?P<part>{_PARTS})[_.\- ]?(?P<joint>\d{{1,4}})", re.IGNORECASE)


@dataclass(frozen=True)
class JointHeader:
    """Columns of one joint.

    Args:
        name: of the joint, in the file.
        x, y: their columns.
        score: that of its confidence, if there is one.
        flag: that of its visibility, if there is one.
    """

    name: str
    x: str
    y: str
    score: str | None
    flag: str | None

    @property
    def columns(self) -> list[str]:
        """All that there are."""
        return [column for column in (self.x, self.y, self.score, self.flag) if column is not None]


def joint_headers(header: Sequence[str]) -> list[JointHeader]:
    """The joints that have columns for x and y, in the order of their first column."""
    parts: dict[str, dict[str, str]] = {}
    for column in header:
        match = _NUMBERED.fullmatch(column) or _WIDE.fullmatch(column)
        if match is not None:
            parts.setdefault(match["joint"], {}).setdefault(match["part"].lower(), column)
    return [
        JointHeader(name, of["x"], of["y"], first_of(SCORES, of), first_of(FLAGS, of))
        for name, of in parts.items()
        if {"x", "y"} <= set(of)
    ]


def first_of(names: Sequence[str], columns: dict[str, str]) -> str | None:
    """The column of the first name that has one."""
    return next((columns[name] for name in names if name in columns), None)


def unread_columns(header: Sequence[str], joints: Sequence[JointHeader], read: set[str]) -> list[str]:
    """Columns that are not read; those of the same kind of all joints (a depth) as one, `JOINT_z`."""
    names, used = {joint.name for joint in joints}, {column for joint in joints for column in joint.columns}
    unread = []
    for column in header:
        if column in read or column in used:
            continue
        match = _NUMBERED.fullmatch(column) or _WIDE.fullmatch(column)
        unread.append(f"JOINT_{match['part'].lower()}" if match and match["joint"] in names else column)
    # pandas calls a column without a name so, as its own tables have one for the row's number.
    named = ("without a name" if name.startswith("Unnamed: ") else name for name in unread)
    return list(dict.fromkeys(named))
