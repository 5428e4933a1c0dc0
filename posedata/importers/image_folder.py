"""Folders of images that pose stores refer to: made beside a store, whole or not at all, or left where they are."""

from __future__ import annotations

import os
from pathlib import Path, PureWindowsPath

from evolift.posedata.errors import InputError
from evolift.posedata.image_file import decode_image
from evolift.posedata.store_writer import PoseStoreWriter

_ENDINGS = {".jpg", ".jpeg", ".png"}


def new_image_folder(path: Path, writer: PoseStoreWriter, *, overwrite: bool = False) -> Path:
    """Make the folder of a store's images; it gets its name together with the store, when the writer is closed.

    Args:
        path: the folder to make.
        writer: of the store, which is open.
        overwrite: replace it if it exists and holds nothing but images.

    Returns:
        A temporary folder beside `path`, to be filled.

    Raises:
        OutputError: it exists and is not to be replaced, somebody else writes it, or the file system refuses.
    """
    return writer.new_folder(path, overwrite=overwrite, endings=_ENDINGS)


def image_inside(folder: Path, name: str, where: str) -> Path:
    """The path of an image that a data set names, which must lie in the folder of its images.

    Args:
        folder: of the images.
        name: as the data set has it.
        where: file and place of the name, for the message.

    Raises:
        InputError: the name, or a link on its way, leads out of the folder, or it is no name of a file.
    """
    # As Windows reads it both slashes separate, and drive letters are seen.
    parts = PureWindowsPath(name)
    path = folder / name
    if not name or "\0" in name or parts.anchor or ".." in parts.parts or not _is_inside(path, folder):
        raise InputError(
            f"{where} names the image {name[:200]!r}, which does not lie in {folder}: give the folder that holds all images by `images`"
        )
    return path


def _is_inside(path: Path, folder: Path) -> bool:
    try:
        path.is_file()  # refuses names that are too long
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):  # loops of links, names that the system does not take
        return False


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
