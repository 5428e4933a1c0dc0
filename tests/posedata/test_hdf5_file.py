"""Damaged HDF5 files are one sentence, and small ones that declare terabytes are refused before they are read."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from evolift.posedata.errors import InputError, StoreError
from evolift.posedata.hdf5_file import (
    attribute_of,
    reading_hdf5,
    require_sound_file,
    require_sound_heaps,
    require_stored,
)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (KeyError("no object"), "no object"),
        (OSError("two\nlines"), "two lines"),
        (
            UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
            "'utf-8' codec can't decode byte 0xff in position 0: bad",
        ),
        (RuntimeError(), "its bytes make no sense"),
        (OverflowError("large"), "large"),
    ],
)
def test_what_h5py_raises_is_one_sentence(damage: Exception, reason: str) -> None:
    with pytest.raises(StoreError) as caught, reading_hdf5("a.h5: /poses", "make it again", StoreError):
        raise damage
    assert str(caught.value) == f"a.h5: /poses is damaged ({reason}): make it again"


def test_our_own_errors_pass() -> None:
    with pytest.raises(InputError, match=r"^ours$"), reading_hdf5("a.h5"):
        raise InputError("ours")


def test_declared_rows_that_no_byte_stands_for_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("rows", (10**12, 17, 3), "f4", chunks=(4096, 17, 3), compression="gzip")
        file.create_dataset("piece", (2**28,), "f4", chunks=(2**28,), compression="gzip")[:10] = 1
        file.create_dataset("zeros", data=np.zeros(10**7), chunks=(10**5,), compression="gzip")
    size = path.stat().st_size
    with h5py.File(path) as file:
        require_stored(path, file["zeros"], size, InputError)  # honest, and as small as zlib makes it
        for name in ("rows", "piece"):
            with pytest.raises(InputError, match=rf"a\.h5: dataset /{name} (declares|is cut into pieces of)"):
                require_stored(path, file[name], size, InputError)


def test_attributes_are_texts(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs["text"], file.attrs["numbers"] = "a", np.arange(3)
        assert (attribute_of(file, "text"), attribute_of(file, "none", "b")) == ("a", "b")
        with pytest.raises(TypeError, match="attribute numbers is no text"):
            attribute_of(file, "numbers")
        with pytest.raises(KeyError):
            attribute_of(file, "none")


def heap_file(path: Path) -> bytearray:
    with h5py.File(path, "w", libver=("v110", "v110")) as file:
        file.create_dataset("texts", data=["abc", "defg"], dtype=h5py.string_dtype())
        file.attrs["text"] = "a longer text"
    return bytearray(path.read_bytes())


def test_texts_that_hdf5_would_read_for_ever_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    data = heap_file(path)
    require_sound_file(path, InputError)
    start = data.find(b"GCOL")
    data[start + 16 : start + 32] = bytes(16)  # the first object is free space of 0 bytes
    path.write_bytes(data)
    with pytest.raises(InputError) as caught:
        require_sound_file(path, InputError)
    assert (
        str(caught.value)
        == f"{path} is a damaged HDF5 file (its texts at byte {start}): make or download it again"
    )


def test_heaps_that_go_beyond_the_file_are_refused(tmp_path: Path) -> None:
    data = heap_file(tmp_path / "a.h5")
    start = data.find(b"GCOL")
    data[start + 8 : start + 16] = (2**40).to_bytes(8, "little")
    with pytest.raises(InputError, match="is a damaged HDF5 file"):
        require_sound_heaps("a.h5", bytes(data), InputError)
