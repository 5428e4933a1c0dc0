"""Reading files that others wrote: what the file system or the encoding refuses becomes one sentence."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from evolift.posedata.errors import InputError
from evolift.posedata.file_limits import require_size

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)

_ADDRESS = re.compile(r"(https?|ftp|s3|gs):/+", re.IGNORECASE)

FilePath = str | Path
"""A path as users write it; what is for them takes both."""


def as_path(path: Any, name: str = "path") -> Path:
    """A path from whatever was given for it.

    Args:
        path: what was given.
        name: of the argument.

    Raises:
        InputError: it is no path, for example None.
    """
    if not isinstance(path, (str, os.PathLike)) or "\0" in str(path):
        raise InputError(f"`{name}` must be a path, not {path!r}")
    return Path(path)


def as_paths(paths: Any, name: str = "paths") -> list[Path]:
    """Paths of some files, or of one.

    Raises:
        InputError: they are none, for example None.
    """
    if isinstance(paths, (str, os.PathLike)):
        return [as_path(paths, name)]
    if not isinstance(paths, Iterable):
        raise InputError(f"`{name}` must be a path or several, not {paths!r}")
    return [as_path(path, name) for path in paths]


def require_no_address(path: Path | str) -> None:
    """Refuse an address on the web, which is no path though it can be taken for one.

    Raises:
        InputError: it is one.
    """
    if found := _ADDRESS.match(str(path)):
        address = f"{found[1]}://{str(path)[found.end() :]}"  # paths have lost a stroke
        raise InputError(f"{address} is an address on the web: download it first, and give the file")


def require_regular_file(path: Path) -> None:
    """Refuse what is there and is no file: a pipe would be waited for, and a device read without end.

    Raises:
        InputError: it is a folder, a pipe, a device or a socket, or cannot be looked at.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        require_no_address(path)
        return  # told by who opens it
    except (OSError, ValueError) as error:  # such as a name that is too long, or one with a zero byte
        raise InputError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if not stat.S_ISREG(mode):
        kind = next((name for is_kind, name in _KINDS if is_kind(mode)), "no file")
        raise InputError(f"{path} is {kind}: give a file")


@contextlib.contextmanager
def reading(path: Path, advice: str = "") -> Iterator[None]:
    """Read `path` in the block.

    Args:
        path: of the file, for the message.
        advice: what to do if it is no text, for example "give a CSV file".

    Raises:
        InputError: it cannot be read, or is not UTF-8.
    """
    try:
        yield
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not a text file in UTF-8" + (f": {advice}" if advice else "")) from None


def read_text(path: Path, advice: str = "", *, newline: str | None = None) -> str:
    r"""The text of a file in UTF-8, without the mark of byte order that some programs begin it with.

    Args:
        path: of the file.
        advice: as of `reading`.
        newline: as of `open`: None makes every line end \n, "" leaves them as they are.

    Raises:
        InputError: it cannot be read, is not UTF-8, or is larger than `max_text`.
    """
    with reading(path, advice):
        require_size(path.stat().st_size, "max_text", str(path))
    with reading(path, advice), path.open(encoding="utf-8-sig", newline=newline) as file:
        return file.read()
