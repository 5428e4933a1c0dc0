"""The damages: the same seed gives the same bytes, and every kind of structure is damaged somewhere."""

from __future__ import annotations

import io
import json

import h5py
import numpy as np
import pytest

from tests.robustness.mutations import BYTES, FORMATS, KINDS, STRUCTURE, mutated

_TABLE = {"a": [1, 2.5, {"b": [[3.0, 4.0], [5.0, 6.0]]}], "name": "text"}


def _hdf5() -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["settings"] = json.dumps(_TABLE)
        file["poses/joints"] = np.arange(24.0).reshape(4, 3, 2)
    return buffer.getvalue()


SOUND = {"json": json.dumps(_TABLE).encode(), "words": b"x,y\n1,2.5\n3,-4\n", "hdf5": _hdf5()}


@pytest.mark.parametrize("format", SOUND)
@pytest.mark.parametrize("kind", KINDS)
def test_a_damage_is_a_function_of_its_seed(kind: str, format: str) -> None:
    made = [
        [mutated(kind, SOUND[format], format, np.random.default_rng([1, number])) for number in range(20)]
        for _ in range(2)
    ]
    assert made[0] == made[1]
    assert SOUND[format] not in made[0]
    if kind in BYTES and not (kind == "CRLF" and format == "json"):
        assert any(one is not None for one in made[0])


def test_structure_is_damaged_within_sound_files() -> None:
    for kind in set(STRUCTURE) - {"wrong dtype", "huge size", "nesting"}:
        texts = [mutated(kind, SOUND["json"], "json", np.random.default_rng(number)) for number in range(30)]
        changed = [text for text in texts if text is not None]
        assert len(changed) > 10, kind
        for text in changed:
            if b"9" * 5000 not in text:  # which Python refuses to read
                json.loads(text)
    for kind in STRUCTURE:
        for number in range(20):
            data = mutated(kind, SOUND["hdf5"], "hdf5", np.random.default_rng(number))
            if data is not None:
                with h5py.File(io.BytesIO(data)) as file:
                    assert file is not None


def test_unknown_formats_are_damaged_by_their_bytes_alone() -> None:
    assert "video" not in FORMATS
    for kind in STRUCTURE:
        assert mutated(kind, b"RIFF" * 40, "video", np.random.default_rng(0)) is None
