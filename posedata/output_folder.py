"""Folders of results: of a run, which writes into its folder as it goes, and of images, which appear whole.

A folder that is to be overwritten is moved aside to NAME.replaced, with a mark in it, until the new one is whole. If the new run
is killed or fails, the old folder stays there and the next run says so; it is removed when a run into NAME has ended well.
Only folders with the mark are ever removed.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from evolift.posedata.errors import OutputError
from evolift.posedata.output_file import SETTINGS, SKIPPED_IMAGES, make_folder, require_apart, sync
from evolift.posedata.output_lock import PREFIX, OutputLock, beside, remove

MARK = ".evolift-replaced"

_log = logging.getLogger(__name__)


@contextlib.contextmanager
def output_folder(
    path: Path, *, overwrite: bool = False, resume: bool | None = None, inputs: Iterable[Path] = ()
) -> Iterator[None]:
    """A folder for the outputs of one run, made for the block; what is written into it stays.

    If the block fails before it has written more than settings and the list of skipped images, the folder vanishes again, and one that was to
    be overwritten comes back; if it fails later, that one stays aside and the log tells where.

    Args:
        path: the folder.
        overwrite: replace it if it exists.
        resume: keep what is there; None if such a run cannot be resumed.
        inputs: files and folders that the run reads, none of which may lie in the folder.

    Raises:
        OutputError: it exists and is not empty, and neither flag is given; or it cannot be made; or it shall be
            overwritten and was not made by evolift; or an input lies in it; or another process writes it.
    """
    _require_folder(path)
    require_apart(path, inputs)
    make_folder(path.parent)
    with OutputLock(path):
        _bring_back(path)
        is_full = path.is_dir() and bool(_names(path))
        if is_full and not (overwrite or resume):
            flags = "`overwrite`" if resume is None else "`overwrite` or `resume`"
            raise OutputError(f"{path} is not empty: choose another output, or add {flags}")
        if is_full and not resume and not (path / SETTINGS).exists():
            raise OutputError(
                f"{path} was not made by evolift (no {SETTINGS} in it), so it is not overwritten"
            )
        if resume and not is_full:
            _log.warning("%s holds nothing to resume: the run begins anew.", path)
        replaced = set_aside(path) if is_full and not resume else None
        is_new = not path.exists()
        try:
            make_folder(path)
            yield
        except BaseException:
            if is_new and _holds_nothing(path):
                remove(path)
                if replaced is not None:
                    _rename_back(replaced, path)
            elif replaced is not None:
                _log.warning("%s holds what %s held before.", replaced, path)
            raise
        for old in set_aside_before(path):
            remove(old)


def _holds_nothing(path: Path) -> bool:
    return not path.exists() or _names(path) <= {SETTINGS, SKIPPED_IMAGES}


def _names(folder: Path) -> set[str]:
    """What lies in a folder, without our locks and marks."""
    return {entry.name for entry in folder.iterdir() if not entry.name.startswith(PREFIX)}


class NewFolder:
    """A folder that appears whole, together with a file that refers to it.

    Args:
        path: that it shall have.
        file: path of the file, which gets its name after the folder.
        overwrite: replace an existing folder, unless it holds something else than `endings`.
        endings: of the files in such folders, in lower case.

    Attributes:
        path: the temporary one, to be filled.

    Raises:
        OutputError: it exists and is not to be replaced, somebody else writes it, or the file system refuses.
    """

    def __init__(self, path: Path, file: Path, *, overwrite: bool, endings: Iterable[str]) -> None:
        self._final, self._file = path, file
        self._replaced: Path | None = None
        make_folder(path.parent)
        self._lock = OutputLock(path)
        try:
            _bring_back(path, file)
            _require_replaceable(path, overwrite=overwrite, endings=set(endings))
            self.path = self._lock.new_folder()
        except BaseException as error:
            self._lock.release()
            if isinstance(error, OSError):
                raise self.refused(error) from None
            raise

    def refused(self, error: OSError) -> OutputError:
        """What to raise for an error of the file system."""
        return OutputError(f"{self._final} could not be written: {error.strerror or error}")

    def finish(self) -> None:
        """Give the folder its name; an old one is set aside, with the old file in it, which belongs to it.

        Raises:
            OutputError: the file system refuses.
        """
        try:
            if hasattr(os, "sync"):
                os.sync()
            if self._final.exists():
                self._replaced = set_aside(self._final)
                if self._file.exists():
                    self._file.replace(self._replaced / self._file.name)
            self.path.rename(self._final)
            sync(self._final.parent)
        except OSError as error:
            raise self.refused(error) from error

    def close(self) -> None:
        """Remove what was set aside, now that the file has its name."""
        for old in set_aside_before(self._final):
            remove(old)
        self._lock.release()

    def abandon(self) -> None:
        """Throw the new folder away, and bring back what was set aside."""
        if not self._lock.is_ours:
            return
        remove(self.path)
        if self._replaced is not None:
            remove(self._final)
            _rename_back(self._replaced, self._final, self._file)
        self._lock.release()


def _require_replaceable(path: Path, *, overwrite: bool, endings: set[str]) -> None:
    if not path.exists():
        return
    if not overwrite:
        raise OutputError(f"{path} exists: choose another output or add `overwrite`")
    if not path.is_dir() or any(
        entry.is_file() and entry.suffix.lower() not in endings for entry in path.rglob("*")
    ):
        raise OutputError(f"{path} holds more than images, so it is not overwritten: choose another output")


def _require_folder(path: Path) -> None:
    try:
        if path.exists() and not path.is_dir():
            raise OutputError(f"{path} is a file: choose another output folder")
    except OSError as error:
        raise OutputError(f"{path} cannot be made: {error.strerror}") from None


def set_aside(path: Path) -> Path:
    """Move a folder of ours to a free name beside it, marked; gives the new path.

    Raises:
        OutputError: the file system refuses.
    """
    number, aside = 1, beside(path, ".replaced")
    while aside.exists():
        number += 1
        aside = beside(path, f".replaced-{number}")
    try:
        (path / MARK).touch()
        path.rename(aside)
    except OSError as error:
        raise OutputError(f"{path} cannot be replaced: {error.strerror}") from None
    return aside


def set_aside_before(path: Path) -> list[Path]:
    """The folders that were set aside for a path, the oldest first."""
    found, number = [], 1
    aside = beside(path, ".replaced")
    while aside.exists():
        if (aside / MARK).is_file():
            found.append(aside)
        number += 1
        aside = beside(path, f".replaced-{number}")
    return found


def _bring_back(path: Path, file: Path | None = None) -> None:
    """Undo a replacement that was killed before the new folder had its name; of one killed later tell where the old one is."""
    old = set_aside_before(path)
    if old and not path.exists():
        _rename_back(old.pop(), path, file)
    for one in old:
        _log.warning("%s holds what %s held before a run that was interrupted.", one, path)


def _rename_back(aside: Path, path: Path, file: Path | None = None) -> None:
    aside.rename(path)
    (path / MARK).unlink(missing_ok=True)
    if file is not None and (path / file.name).exists() and not file.exists():
        (path / file.name).replace(file)
