"""Where results are written: never over existing ones unasked, and never half.

A file is written under a temporary name beside its final one and renamed when it is whole, so a killed
process leaves the old file or none, and at most a `.partial` file that the next run removes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from evolift.posedata.errors import OutputError
from evolift.posedata.input_file import reading

_LONGEST_STEM = 180
SETTINGS = "settings.json"
"""Name of the resolved settings in every run folder; its presence tells that a folder is ours."""
SKIPPED_IMAGES = "skipped_images.csv"
"""List of the images that a training leaves out."""


def check_output(path: Path, *, overwrite: bool) -> None:
    """Refuse an output that exists (unless `overwrite`) or whose folder cannot be made.

    Raises:
        OutputError: with the mend.
    """
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists: choose another output or add `overwrite`")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path.parent} cannot be made: {error.strerror}") from None
    if not os.access(path.parent, os.W_OK):
        raise OutputError(f"{path.parent} cannot be written to: choose another output")


@contextlib.contextmanager
def whole_file(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Give a temporary path beside `path`; rename it to `path` when the block ends without an error.

    Raises:
        OutputError: `path` exists and `overwrite` is False, or the file system refuses.
    """
    check_output(path, overwrite=overwrite)
    partial = path.with_name(path.name + ".partial")
    try:
        yield partial
        with partial.open("rb+") as written:
            os.fsync(written.fileno())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise OutputError(f"{path} could not be written: {error.strerror or error}") from error
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def output_folder(path: Path, *, overwrite: bool = False, resume: bool | None = None) -> Iterator[None]:
    """A folder for the outputs of one run, made for the block; what is written into it stays.

    If the block fails before it has written more than settings and the list of skipped images, the folder vanishes again, and one that was to
    be overwritten comes back.

    Args:
        path: the folder.
        overwrite: replace it if it exists.
        resume: keep what is there; None if such a run cannot be resumed.

    Raises:
        OutputError: it exists and is not empty, and neither flag is given; or it cannot be made; or it shall be
            overwritten and was not made by evolift.
    """
    if path.is_file():
        raise OutputError(f"{path} is a file: choose another output folder")
    replaced: Path | None = None
    if path.is_dir() and any(path.iterdir()) and not resume:
        if not overwrite:
            flags = "`overwrite`" if resume is None else "`overwrite` or `resume`"
            raise OutputError(f"{path} is not empty: choose another output, or add {flags}")
        if not (path / SETTINGS).exists():
            raise OutputError(
                f"{path} was not made by evolift (no {SETTINGS} in it), so it is not overwritten"
            )
        replaced = path.with_name(path.name + ".partial")
        shutil.rmtree(replaced, ignore_errors=True)
        path.rename(replaced)
    is_new = not path.exists()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path} cannot be made: {error.strerror}") from None
    try:
        yield
    except BaseException:
        if is_new and {entry.name for entry in path.iterdir()} <= {SETTINGS, SKIPPED_IMAGES}:
            shutil.rmtree(path)
            if replaced is not None:
                replaced.rename(path)
        raise
    finally:
        if replaced is not None:
            shutil.rmtree(replaced, ignore_errors=True)


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
