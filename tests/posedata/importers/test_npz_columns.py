from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evolift.posedata.errors import InputError
from evolift.posedata.importers.npz_columns import stream_npz_columns


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("rows", [1, 5, 12, 100])
def test_blocks_are_the_arrays_cut(tmp_path: Path, save, rows: int) -> None:
    arrays = {"joints": np.arange(72.0).reshape(12, 3, 2), "name": np.array([f"n{i}" for i in range(12)])}
    save(tmp_path / "a.npz", **arrays, other=np.zeros(3))
    shapes: dict[str, tuple[int | None, ...]] = {"joints": (None, 2), "name": ()}
    blocks = list(stream_npz_columns(tmp_path / "a.npz", shapes, rows=rows))
    assert [len(block["name"]) for block in blocks] == [min(rows, 12 - at) for at in range(0, 12, rows)]
    for name, array in arrays.items():
        np.testing.assert_array_equal(np.concatenate([block[name] for block in blocks]), array)


def test_arrays_of_different_lengths_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", one=np.zeros(3), two=np.zeros(4))
    with pytest.raises(InputError, match=r"a\.npz"):
        list(stream_npz_columns(tmp_path / "a.npz", {"one": (), "two": ()}))
