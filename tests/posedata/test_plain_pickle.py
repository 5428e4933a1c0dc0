from __future__ import annotations

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evolift.posedata.errors import InputError
from evolift.posedata.plain_pickle import plain_objects, read_object_npz, read_pickle

HELD: dict[str, Any] = {
    "floats": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "big endian": np.arange(5).astype(">f8"),
    "fortran": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "texts": np.array(["a", "Directions 1"]),
    "booleans": np.array([True, False]),
    "empty": np.zeros((0, 3)),
    "scalar": np.float64(2.5),
    "objects": np.array([{"a": np.ones(2)}, None], object),
    ("S1", "54138969"): {"R": np.eye(3), "w": 1000, "name": "camera1", "list": [1, 2.5, (3, True)]},
}


def same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray):
        if a.dtype.hasobject:
            return a.shape == b.shape and all(same(x, y) for x, y in zip(a.flat, b.flat, strict=True))
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and np.array_equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_and_containers_come_back_from_every_protocol(protocol: int) -> None:
    held = {key: value for key, value in HELD.items() if protocol > 0 or key != "booleans"}
    assert same(held, plain_objects(pickle.dumps(held, protocol), "a.pkl"))


def test_pickles_of_python_2_and_of_older_numpy() -> None:
    # What Python 2.7 and numpy 1.x write for {'x': np.arange(3, dtype='<i2')}, protocol 2: bytes are a str there.
    data = (
        b"\x80\x02}q\x00U\x01xq\x01cnumpy.core.multiarray\n_reconstruct\nq\x02cnumpy\nndarray\nq\x03K\x00\x85U\x01b\x87R"
        b"(K\x01K\x03\x85cnumpy\ndtype\nU\x02i2K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"\x89U\x06\x00\x00\x01\x00\x02\x00tbs."
    )
    read = plain_objects(data, "a.pkl")
    assert read["x"].dtype == np.dtype("<i2")
    assert read["x"].tolist() == [0, 1, 2]


class Runs:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_nothing_of_the_file_is_run(tmp_path: Path) -> None:
    mark = tmp_path / "run"
    data = pickle.dumps({"S1": np.zeros(2), "bad": Runs(mark)})
    pickle.loads(data)
    assert mark.exists()
    mark.unlink()
    with pytest.raises(
        InputError, match=r"a\.pkl holds more than plain arrays and containers \(.*\), which is refused"
    ):
        plain_objects(data, "a.pkl")
    assert not mark.exists()
    np.savez(tmp_path / "a.npz", positions_3d=np.array({"x": Runs(mark)}, object))
    with pytest.raises(InputError, match=r"a\.npz: positions_3d holds more than plain"):
        read_object_npz(tmp_path / "a.npz", "positions_3d")
    assert not mark.exists()


@pytest.mark.parametrize(
    "value",
    [
        OrderedDict(a=1),
        {1, 2},
        np.zeros(2, [("x", float)]),
        np.dtype("f4"),
        np.array(["2020"], "M8[D]"),
        1j,
        print,
    ],
)
def test_other_things_are_refused(value: object) -> None:
    with pytest.raises(InputError, match="which is refused because loading such a file can run its code"):
        plain_objects(pickle.dumps({"a": value}), "a.pkl")


def test_codecs_are_only_latin1() -> None:
    data = b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x05\x00\x00\x00rot13\x86R."
    with pytest.raises(InputError, match="text in 'rot13'"):
        plain_objects(data, "a.pkl")


def test_loops_and_repeats_do_not_hang() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(InputError, match="nested without end"):
        plain_objects(pickle.dumps(loop), "a.pkl")
    many: list[Any] = []
    for _ in range(15):
        many = [many] * 10  # 10 ** 15 lists, if each were made by itself
    assert plain_objects(pickle.dumps(many), "a.pkl")


def test_damaged_files(tmp_path: Path) -> None:
    data = pickle.dumps(HELD)
    for end in range(0, len(data), 7):
        with pytest.raises(InputError):
            plain_objects(data[:end], "a.pkl")
    (tmp_path / "a.npz").write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(InputError, match=r"a\.npz is not a sound \.npz file"):
        read_object_npz(tmp_path / "a.npz", "positions_3d")
    with pytest.raises(InputError, match="cannot be read"):
        read_pickle(tmp_path / "nowhere.pkl")


def test_npz_members(tmp_path: Path) -> None:
    np.savez_compressed(
        tmp_path / "a.npz", positions_3d={"S1": {"Eating": np.ones((2, 17, 3))}}, plain=np.ones(3)
    )
    read = read_object_npz(tmp_path / "a.npz", "positions_3d")
    assert read["S1"]["Eating"].shape == (2, 17, 3)
    assert read_object_npz(tmp_path / "a.npz", "positions_2d") is None
    with pytest.raises(InputError, match="plain is a plain array of numbers"):
        read_object_npz(tmp_path / "a.npz", "plain")


def nested_key() -> tuple[Any, ...]:
    """A tuple that takes 2**60 steps to hash and 60 to write down."""
    key: tuple[Any, ...] = ()
    for _ in range(60):
        key = (key, key)
    return key


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_keys_that_hash_for_ever_are_refused(protocol: int) -> None:
    # A list cannot be a key, so that pickling does not hash it; its letter is then exchanged for a tuple's.
    pickler_data = pickle.dumps(nested_key(), protocol)
    body = pickler_data[:-1] if protocol < 4 else pickler_data[11:-1]
    head = pickle.dumps(None, protocol)[: 2 if protocol >= 2 else 0]
    data = head + b"(" + (body[2:] if 2 <= protocol < 4 else body) + b"I1\nd."
    with pytest.raises(InputError, match="a key that is no text and no number"):
        plain_objects(data, "a.pkl")


def test_sets_are_refused() -> None:
    for value in ({1, 2}, frozenset({1})):
        with pytest.raises(InputError, match=r"a\.pkl holds more than plain"):
            plain_objects(pickle.dumps(value), "a.pkl")


def test_objects_of_equal_arrays_come_back() -> None:
    held = np.empty(2, object)
    held[0], held[1] = np.zeros((5, 2)), np.ones((5, 2))
    read = plain_objects(pickle.dumps(held), "a.pkl")
    assert [one.shape for one in read] == [(5, 2), (5, 2)]
