"""Where results are written: never over existing ones unasked, never over what they are made from, and never half.

A file is written under a temporary name beside its final one, which only its writer uses (`output_lock`), and renamed
when it is whole and on the disk. So a killed process leaves the old file or none, and a hidden temporary file that the
next writer of the same output removes. Folders: `output_folder`.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from evolift.posedata.errors import OutputError
from evolift.posedata.input_file import reading
from evolift.posedata.output_lock import OutputLock, beside, remove

_LONGEST_STEM = 180
SETTINGS = "settings.json"
"""Name of the resolved settings in every run folder; its presence tells that a folder is ours."""
SKIPPED_IMAGES = "skipped_images.csv"
"""List of the images that a training leaves out."""


def check_output(path: Path, *, overwrite: bool, inputs: Iterable[Path | None] = ()) -> None:
    """Refuse an output file that exists (unless `overwrite`), that is an input, or whose folder cannot be made.

    Args:
        path: of the output.
        overwrite: it may exist, as a file.
        inputs: what it is made from: files, or folders with files; links to them count as they do. None is no input.

    Raises:
        OutputError: with the mend.
    """
    try:
        found = path.stat() if path.exists() else None
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}") from None
    require_apart(path, inputs)
    if found is not None:
        if not overwrite:
            raise OutputError(f"{path} exists: choose another output or add `overwrite`")
        if not stat.S_ISREG(found.st_mode):
            what = "a folder" if stat.S_ISDIR(found.st_mode) else "no plain file"
            raise OutputError(f"{path} is {what}: choose another output")
    make_folder(path.parent)
    if not os.access(path.parent, os.W_OK):
        raise OutputError(f"{path.parent} cannot be written to: choose another output")


def make_folder(path: Path) -> None:
    """Make a folder, and those that it lies in, if it is not there.

    Raises:
        OutputError: the file system refuses.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path} cannot be made: {error.strerror}") from None


def same_file(one: Path, other: Path) -> bool:
    """Whether two paths lead to one file or folder, by whatever links."""
    try:
        return one.samefile(other)
    except OSError:
        return False


def require_apart(output: Path, inputs: Iterable[Path | None]) -> None:
    """Refuse an output that would replace what it is made from.

    Args:
        output: a file; if there is a folder of that name, a folder.
        inputs: files and folders; links to them count as they do. None is no input.

    Raises:
        OutputError: it is one of them, or a folder in which one lies, or a file in a folder that is one and no output of an earlier run
            into it.
    """
    for one in inputs:
        if one is None:
            continue
        if same_file(output, one):
            raise OutputError(f"{output} is read to make it: choose another output")
        if output.is_dir() and output.resolve() in one.resolve().parents:
            raise OutputError(f"{one} is read and lies in the output {output}: choose another output")
        is_made = not output.is_file() or beside(output, f".{SETTINGS}").exists()
        if one.is_dir() and not is_made and one.resolve() in output.resolve().parents:
            raise OutputError(f"{output} lies in {one}, which is read to make it: choose another output")


class PartialFile:
    """A new file under a temporary name; it appears under its own when it is whole.

    Args:
        path: that it shall have.
        overwrite: replace an existing file.
        ending: of the temporary name, for libraries that tell the format by it.

    Attributes:
        path: the temporary one, of an empty file.

    Raises:
        OutputError: `path` exists, somebody else writes it, or its folder cannot be written to.
    """

    def __init__(self, path: Path, *, overwrite: bool = False, ending: str = "") -> None:
        check_output(path, overwrite=overwrite)
        self._final, self._overwrite = path, overwrite
        self._lock = OutputLock(path)
        try:
            check_output(path, overwrite=overwrite)  # another process may just have finished it
            self.path = self._lock.new_file(ending)
        except BaseException as error:
            self._lock.release()
            if isinstance(error, OSError):
                raise self.refused(error) from None
            raise

    def refused(self, error: OSError) -> OutputError:
        """What to raise for an error of the file system."""
        return OutputError(f"{self._final} could not be written: {error.strerror or error}")

    def finish(self) -> None:
        """Give the file its name, once it is on the disk.

        Raises:
            OutputError: the file system refuses, or the name has been taken meanwhile; then no new file stays.
        """
        try:
            check_output(self._final, overwrite=self._overwrite)
            sync(self.path)
            self.path.replace(self._final)
            sync(self._final.parent)
        except OSError as error:
            raise self.refused(error) from error
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Throw the new file away if it has not got its name; what was under that before stays."""
        if self._lock.is_ours:
            remove(self.path)
            self._lock.release()


@contextlib.contextmanager
def whole_file(path: Path, *, overwrite: bool = False, ending: str = "") -> Iterator[Path]:
    """Give the temporary path of a `PartialFile`; rename it to `path` when the block ends without an error.

    Raises:
        OutputError: `path` exists and `overwrite` is False, somebody else writes it, or the file system refuses.
    """
    partial = PartialFile(path, overwrite=overwrite, ending=ending)
    try:
        yield partial.path
    except OSError as error:
        partial.abandon()
        raise partial.refused(error) from error
    except BaseException:
        partial.abandon()
        raise
    partial.finish()


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk.

    Raises:
        OSError: the disk is full or broken.
    """
    is_folder = path.is_dir()
    if is_folder and os.name == "nt":
        return
    opened = os.open(path, os.O_RDONLY if is_folder else os.O_RDWR)
    try:
        os.fsync(opened)
    except OSError as error:
        if not is_folder and error.errno != errno.EINVAL:  # some file systems cannot
            raise
    finally:
        os.close(opened)


def shortened(name: str) -> str:
    """A name that leaves room for an ending and a mark: file systems take 255 bytes of UTF-8, and here it has 180 at most."""
    data = os.fsencode(name)
    return name if len(data) <= _LONGEST_STEM else data[:_LONGEST_STEM].decode(errors="ignore")


def free_path(folder: Path, name: str, ending: str) -> Path:
    """NAME + ending in a folder, without characters that file systems refuse, and numbered if it is taken."""
    clean = re.sub(r"[^\w.-]+", "_", name).strip("._") or "track"
    clean = shortened(clean)
    number, path = 1, folder / f"{clean}{ending}"
    while path.exists():
        number += 1
        path = folder / f"{clean}_{number}{ending}"
    return path


def escaped(text: str) -> str:
    r"""Text with what of a file name is no UTF-8 as `\udcNN`, which JSON reads back, so that it can be written."""
    return text.encode(errors="backslashreplace").decode()


def write_text(path: Path, text: str, *, overwrite: bool = True) -> None:
    """Write a whole text file (UTF-8), `escaped`."""
    with whole_file(path, overwrite=overwrite) as partial:
        partial.write_text(escaped(text), encoding="utf-8")


def write_json(path: Path, values: object, *, overwrite: bool = True) -> None:
    """Write a whole JSON file, keys in the order given."""
    write_text(
        path, json.dumps(values, indent=2, ensure_ascii=False, default=str) + "\n", overwrite=overwrite
    )


def hashes_of(paths: Iterable[Path]) -> dict[str, str]:
    """Path as given -> SHA-256 of the file, for the records of checkpoints.

    Raises:
        InputError: a file cannot be read.
    """
    return {str(path): sha256_of(path) for path in paths}


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes.

    Raises:
        InputError: the file cannot be read.
    """
    with reading(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
