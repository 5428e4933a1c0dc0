"""The joints of a BVH file, read as the programs that write such files spell them.

Keywords in any case, names with blanks, brackets on the line of a name, comments (`#`, `//`, `;`), a byte order mark and a trailing
0x1A are all about in public files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from evolift.posedata.errors import InputError

_CHANNELS = {f"{axis}{kind}" for axis in "XYZ" for kind in ("position", "rotation")}
_COMMENT_LINE = re.compile(rb"^[ \t]*(?:#|//|;).*$", re.MULTILINE)
# After a name only what stands apart is a comment: joints may be called `Bone #1`.
_COMMENT = re.compile(
    rb"^(?![ \t]*(?:ROOT|JOINT)\b)([^\r\n]*?)[ \t](?:#|//|;).*$", re.MULTILINE | re.IGNORECASE
)
_COMMENT_OF_NAME = re.compile(rb"[ \t](?:#|//|;)[ \t].*$", re.MULTILINE)
_BYTE_ORDER_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


@dataclass(frozen=True, eq=False)
class BvhJoint:
    """A joint of the hierarchy.

    Args:
        name: unique in the file.
        parent: name, None for the root.
        offset: from the parent, in the parent's axes and the file's unit; that of an end site may be NaN.
        channels: for example ("Zrotation", "Yrotation", "Xrotation").
        first_channel: column of its first channel.
        is_end: an end site.
    """

    name: str
    parent: str | None
    offset: Float[np.ndarray, "3"]
    channels: tuple[str, ...]
    first_channel: int
    is_end: bool = False


def plain_bytes(data: bytes) -> bytes:
    """A file without byte order mark, comments and what follows its end; UTF-16 becomes UTF-8.

    Raises:
        UnicodeDecodeError: it is cut off within a character of UTF-16.
    """
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if data.startswith(mark):
            data = data.decode(encoding).encode()
    data = data.rstrip(b"\x1a\x00 \t\r\n")
    for pattern, kept in ((_COMMENT_LINE, b""), (_COMMENT, rb"\1"), (_COMMENT_OF_NAME, b"")):
        if any(mark in data for mark in (b"#", b"//", b";")):
            data = pattern.sub(kept, data)
    return data


def hierarchy_joints(text: str) -> Iterator[BvhJoint]:
    """Joints in the order of the file; a small stack machine, so that deep files need no deep recursion.

    Args:
        text: of the file up to MOTION, without comments.

    Raises:
        InputError: saying what is wrong, without the file's name.
        StopIteration, ValueError: it ends too early, or a number is none.
    """
    words = iter(text.replace("{", " { ").replace("}", " } ").split())
    _expect(words, "HIERARCHY")
    stack: list[str] = []
    for word in words:
        if word == "}":
            if not stack:
                raise InputError("it closes a bracket that was not opened")
            stack.pop()
            continue
        kind = "END" if word.upper() == "ENDSITE" else word.upper()
        if kind not in ("ROOT", "JOINT", "END"):
            raise InputError(f"{word!r} stands where a joint should")
        if (kind == "ROOT") != (not stack):
            raise InputError(f"{word!r} stands at the wrong depth")
        name = _name(words)
        if kind == "END":
            name = f"{stack[-1]}_End"
        yield _joint(words, name, stack[-1] if stack else None, kind == "END")
        stack.append(name)
    if stack:
        raise InputError(f"the bracket of {stack[-1]!r} is not closed")


def _name(words: Iterator[str]) -> str:
    """The words up to the bracket, which is taken too."""
    name: list[str] = []
    for word in words:
        if word == "{":
            return " ".join(name)
        if word.upper() in ("OFFSET", "CHANNELS", "}"):
            raise InputError(f"{word!r} stands where '{{' should")
        name.append(word)
    raise InputError("it ends within a name")


def _joint(words: Iterator[str], name: str, parent: str | None, is_end: bool) -> BvhJoint:
    if not name:
        raise InputError("a joint has no name")
    _expect(words, "OFFSET")
    offset = np.array([_number(next(words), is_end) for _ in range(3)])
    if not (is_end or np.isfinite(offset).all()):
        raise InputError(f"the offset of {name!r} is not finite")
    channels: tuple[str, ...] = ()
    if not is_end:
        _expect(words, "CHANNELS")
        # "XPOSITION" and "xposition" are the same.
        channels = tuple(next(words).capitalize() for _ in range(int(next(words))))
        if not set(channels) <= _CHANNELS or len(set(channels)) != len(channels):
            raise InputError(f"the channels of {name!r} are {' '.join(channels)!r}")
    return BvhJoint(name, parent, offset, channels, 0, is_end)


def _number(word: str, may_be_nan: bool) -> float:
    """A number; `-nan(ind)` and `-1.#IND` are how Windows programs write nan."""
    if may_be_nan and re.fullmatch(r"-?(nan\(\w+\)|1\.#\w+)", word, re.IGNORECASE):
        return np.nan
    return float(word)


def _expect(words: Iterator[str], wanted: str) -> None:
    word = next(words)
    if word.upper() != wanted:
        raise InputError(f"{word!r} stands where {wanted!r} should")
