"""Who writes an output: a lock that dies with its process, and the temporary names that belong to it.

Beside an output that is being written lies a file `.evolift-KEY.lock`, which holds the number of the process and which the
process holds locked; its temporary files are called `.evolift-KEY-XXXXXXXX.partial`. KEY depends on the output's name
and is short, so that names of all lengths work. What a killed process left is removed by the next one that writes the
same output, and nothing else ever is.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import sys
import weakref
from pathlib import Path
from types import TracebackType

from evolift.posedata.errors import OutputError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

PREFIX = ".evolift-"
"""Begins the names of our locks, temporary files and marks."""
_MAX_NAME = 255
_AFTER_PID = 64
"""Byte of a lock file that Windows locks, so that others can read what stands before it."""


class OutputLock:
    """The right to write an output, for as long as the process lives or until `release`.

    Args:
        path: of the file or folder to be written; its folder exists.
        label: what it is called in messages, if not by its path.

    Raises:
        OutputError: somebody else writes it, or its folder cannot be written to.
    """

    def __init__(self, path: Path, label: Path | None = None) -> None:
        self._is_held = False
        # A folder whose own folder is read-only, such as one mounted into a container, has its lock inside.
        inside = path.is_dir() and not os.access(path.parent, os.W_OK)
        self.folder = path if inside else path.parent
        self._key = f"{PREFIX}{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]}"
        self._place = self.folder / f"{self._key}.lock"
        self._process = os.getpid()
        try:
            self._file, is_safe = self._taken(label or path)
        except OSError as error:
            raise OutputError(f"{label or path} could not be written: {_said(error, self._place)}") from None
        self._is_held = True
        _locks.add(self)
        if is_safe and os.fstat(self._file).st_size:  # left by a killed process
            self._remove_leftovers()
        with contextlib.suppress(OSError):  # a full disk
            os.ftruncate(self._file, 0)
            os.write(self._file, str(self._process).encode())

    def _taken(self, label: Path) -> tuple[int, bool]:
        while True:
            file = os.open(self._place, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                is_held = _lock(file)
                # Whoever held it may have removed it between opening and locking.
                if _is_file_at(file, self._place):
                    return file, is_held
            except BlockingIOError:
                who = os.read(file, _AFTER_PID).decode(errors="replace")
                writer = "this process" if who == str(self._process) else f"process {who}".rstrip()
                os.close(file)
                raise OutputError(
                    f"{label} is being written by {writer}: wait for it, or choose another output"
                ) from None
            except BaseException:
                os.close(file)
                raise
            os.close(file)

    def _remove_leftovers(self) -> None:
        for entry in self.folder.glob(f"{self._key}-*.partial*"):
            remove(entry)

    def new_file(self, ending: str = "") -> Path:
        """Make an empty temporary file beside the output."""
        path = self._new_name(ending)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666))
        return path

    def new_folder(self) -> Path:
        """Make an empty temporary folder beside the output."""
        path = self._new_name("")
        path.mkdir()
        return path

    def _new_name(self, ending: str) -> Path:
        return self.folder / f"{self._key}-{secrets.token_hex(4)}.partial{ending}"

    @property
    def is_ours(self) -> bool:
        """Whether this process took the lock, and is no copy of the one that did."""
        return self._process == os.getpid()

    def release(self) -> None:
        """Let others write the output; may be called again."""
        if self._is_held and self.is_ours:
            self._is_held = False
            with contextlib.suppress(OSError):
                if _is_file_at(self._file, self._place):
                    self._place.unlink()
            os.close(self._file)

    def __del__(self) -> None:
        self.release()

    def __enter__(self) -> OutputLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


_locks: weakref.WeakSet[OutputLock] = weakref.WeakSet()
"""The locks of this process."""


def _leave_to_parent() -> None:
    """Close the copies in a forked process, which would hold the locks of a parent that was killed."""
    for lock in list(_locks):
        if lock._is_held:
            lock._is_held = False
            os.close(lock._file)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)


def _lock(file: int) -> bool:
    """Lock an open file; False if the file system has no locks.

    Raises:
        BlockingIOError: another process has it locked.
    """
    try:
        if sys.platform == "win32":
            os.lseek(file, _AFTER_PID, os.SEEK_SET)
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
            os.lseek(file, 0, os.SEEK_SET)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except PermissionError as error:  # of Windows
        os.lseek(file, 0, os.SEEK_SET)
        raise BlockingIOError from error
    except OSError:
        return False
    return True


def _is_file_at(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _said(error: OSError, place: Path) -> str:
    if isinstance(error, PermissionError) and place.exists():
        return f"another user's run left {place}: have it removed"
    return str(error.strerror or error)


def beside(path: Path, ending: str) -> Path:
    """NAME + ending in the same folder; of a name that is too long for that, its beginning and a hash."""
    name = os.fsencode(path.name)
    if len(name) + len(ending) > _MAX_NAME:
        unique = "~" + hashlib.sha256(name).hexdigest()[:8]
        # An incomplete character at the cut is left out.
        cut = name[: _MAX_NAME - len(ending) - len(unique)].decode(errors="ignore")
        return path.with_name(cut + unique + ending)
    return path.with_name(path.name + ending)


def remove(path: Path) -> None:
    """Remove a file or folder that is ours; what cannot be removed stays."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()
