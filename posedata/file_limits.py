"""How much a file from somewhere else may make this program read, whatever it declares.

A small file may declare terabytes. What the file's own size proves wrong is refused without a setting (`store_layout`,
`npz_file`, `training.checkpoint`); what may be honest on a large machine has a limit here. There is one set of limits for the whole program::

    with limited(FileLimits(max_unpacked=64)):
        import_videopose3d(...)
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from evolift.posedata.errors import InputError
from evolift.posedata.settings import Settings

GIGABYTE = 10**9


class FileLimits(Settings, frozen=True, kw_only=True):
    """How large the files of others may be, and how long reading them may take."""

    max_unpacked: Annotated[
        float, Meta(gt=0, description="Largest file inside a zip or .npz, unpacked, GB.")
    ] = 16.0
    max_text: Annotated[
        float, Meta(gt=0, description="Largest text file (JSON, CSV, ...) read whole, GB.")
    ] = 4.0
    mat_seconds: Annotated[
        float, Meta(gt=0, le=10**6, description="Longest time that reading a MATLAB file may take, seconds.")
    ] = 600.0
    mat_memory: Annotated[
        float,
        Meta(
            ge=0.5,
            description="Largest memory that reading a MATLAB file may take, GB (no limit on Windows).",
        ),
    ] = 8.0


_limits = FileLimits()


def file_limits() -> FileLimits:
    """The limits that hold now."""
    return _limits


@contextlib.contextmanager
def limited(limits: FileLimits) -> Iterator[None]:
    """Let other limits hold in the block, for all threads of this process."""
    global _limits  # noqa: PLW0603 - readers deep inside libraries' callbacks and threads ask for it
    before, _limits = _limits, limits
    try:
        yield
    finally:
        _limits = before


def require_size(size: int, limit: str, what: str) -> None:
    """Refuse something that is too large.

    Args:
        size: bytes.
        limit: name of the field of `FileLimits`, in GB.
        what: file and place, for the message.

    Raises:
        InputError: it is larger than the limit.
    """
    most = getattr(_limits, limit)
    if size > most * GIGABYTE:
        raise InputError(
            f"{what} has {size / GIGABYTE:.3g} GB, more than the {most:g} GB that are read: give another file, or allow more by `{limit}`"
        )
