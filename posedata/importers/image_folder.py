"""Folders of images that pose stores refer to: made beside a store, whole or not at all, or left where they are."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from evolift.posedata.errors import OutputError
from evolift.posedata.image_file import decode_image

_ENDINGS = {".jpg", ".jpeg", ".png"}


@contextlib.contextmanager
def new_image_folder(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Give a temporary folder beside `path`; it gets that name when the block ends without an error.

    Args:
        path: the folder to make.
        overwrite: replace it if it exists and holds nothing but images.

    Raises:
        OutputError: it exists and is not to be replaced, or the file system refuses.
    """
    if path.exists():
        if not overwrite:
            raise OutputError(f"{path} exists: choose another output or add `overwrite`")
        if not path.is_dir() or any(
            entry.is_file() and entry.suffix.lower() not in _ENDINGS for entry in path.rglob("*")
        ):
            raise OutputError(
                f"{path} holds more than images, so it is not overwritten: choose another output"
            )
    partial, old = path.with_name(path.name + ".partial"), path.with_name(path.name + ".old.partial")
    try:
        for leftover in (partial, old):
            if leftover.exists():
                shutil.rmtree(leftover)
        partial.mkdir(parents=True)
        yield partial
        if path.exists():
            path.rename(old)
        partial.rename(path)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise OutputError(f"{path} could not be written: {error.strerror or error}") from error
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def check_image(data: bytes, label: str) -> tuple[int, int]:
    """Width and height of an encoded image, which is decoded whole.

    Raises:
        InputError: it is no readable image, or it is cut off.
    """
    height, width = decode_image(data, label).shape[:2]
    return width, height


def relative_folder(folder: Path, start: Path) -> str:
    """Path of a folder as seen from another, with slashes; absolute if they are on different drives."""
    try:
        return Path(os.path.relpath(folder, start)).as_posix()
    except ValueError:
        return folder.resolve().as_posix()
