"""HEIC images (High Efficiency Image File Format, ISO/IEC 23008-12, with HEVC inside), as telephones take them.

They are read by pillow-heif, the extra `heic`, through Pillow. Telephones and chat programs give such files the ending .jpg
too, so they are told by their first bytes: a box `ftyp` with the brands of the file.
"""

from __future__ import annotations

import importlib
from pathlib import Path

from evolift.posedata.errors import InputError
from evolift.posedata.extras import install_command

ENDINGS = (".heic", ".heif")
HEAD = 64
"""Number of bytes from which such a file is told."""
_HEVC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_ANY = {b"mif1", b"msf1", b"mif2"}


def is_heic(head: bytes) -> bool:
    """Whether a file is of this format by its first bytes: its brand, or that of a general file and a compatible one, is of HEVC."""
    if head[4:8] != b"ftyp":
        return False
    brand, length = head[8:12], int.from_bytes(head[:4], "big")
    compatible = {head[start : start + 4] for start in range(16, min(length, len(head)) - 3, 4)}
    return brand in _HEVC or (brand in _ANY and not _HEVC.isdisjoint(compatible))


def require_heic_reader(path: Path) -> None:
    """Make Pillow able to open HEIC files.

    Args:
        path: of the file, for the message.

    Raises:
        InputError: pillow-heif is not installed.
    """
    try:
        importlib.import_module("pillow_heif").register_heif_opener()
    except ImportError:
        name = "" if path.suffix.lower() in ENDINGS else ", in spite of its name"
        raise InputError(
            f"{path} is a HEIC image{name}: convert it to JPEG, or read it after {install_command('heic')}"
        ) from None
