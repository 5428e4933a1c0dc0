from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evolift.posedata.errors import InputError
from evolift.posedata.importers.json_stream import stream_json_list

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**6), 10**6)
    | st.floats(allow_nan=False)
    | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(
    entries=st.lists(VALUES, max_size=8),
    others=st.dictionaries(st.text(max_size=5), VALUES, max_size=3),
    piece=st.integers(1, 9),
    indent=st.sampled_from([None, 1]),
    is_last=st.booleans(),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_as_the_whole_file_read_at_once(
    tmp_path: Path, entries: list[Any], others: dict[str, Any], piece: int, indent: int | None, is_last: bool
) -> None:
    path = tmp_path / "a.json"
    others.pop("wanted", None)
    held = {**others, "wanted": entries} if is_last else {"wanted": entries, **others}
    # Pieces so short that every value is cut somewhere.
    path.write_text(json.dumps(held, indent=indent), encoding="utf-8")
    assert list(stream_json_list(path, "wanted", piece=piece)) == entries
    path.write_text(json.dumps(entries, indent=indent, ensure_ascii=False), encoding="utf-8")
    assert list(stream_json_list(path, piece=piece)) == entries


@pytest.mark.parametrize("number", ["12.5", "-1.5e+17", "3E-2", "0", "-7", "NaN", "-Infinity"])
def test_numbers_cut_anywhere(tmp_path: Path, number: str) -> None:
    for piece in range(1, 12):
        (tmp_path / "a.json").write_text(f'{{"skipped": {number}, "a": [{number},{number}]}}')
        assert [repr(value) for value in stream_json_list(tmp_path / "a.json", "a", piece=piece)] == [
            repr(json.loads(number))
        ] * 2


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    entry = {"keypoints": list(range(200)), "segmentation": [[0.5] * 300]}
    with path.open("w") as file:
        file.write('{"images": [')
        file.write(",".join([json.dumps(entry)] * 2000))
        file.write('], "annotations": [1, 2]}')
    assert path.stat().st_size > 4e6
    tracemalloc.start()
    assert list(stream_json_list(path, "annotations")) == [1, 2]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3e6


BAD = {
    '{"a": [1, 2}': "',' should|'}' stands where ',' should",
    '{"a": [1, 2': "stands where ',' should",
    '{"a": [1 2]}': "'2' stands where ',' should",
    '{"a": [1, ]}': "a comma stands before",
    '{"a": [1, x]}': "Expecting value",
    '{"a": 3}': "it has no list 'a'",
    '{"b": [1]}': "it has no list 'a'",
    "[1, 2]": "'\\[' stands where '{' should",
    '{"a": [1]} {}': "there is more after its end",
    "": "'' stands where '{' should",
}


@pytest.mark.parametrize("text", BAD)
def test_damaged_files(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(
        InputError, match=rf"a\.json is not JSON as expected \(character \d+: .*({BAD[text]})"
    ):
        list(stream_json_list(tmp_path / "a.json", "a"))


@pytest.mark.parametrize("text", ["{}", '{"b": [1]}', '{"a": [1]}'])
def test_an_optional_list_may_be_missing(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    expected = json.loads(text).get("a", [])
    assert list(stream_json_list(tmp_path / "a.json", "a", is_optional=True)) == expected


def test_an_optional_list_is_a_list(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": 3, "b": [1]}')
    with pytest.raises(InputError, match="it has no list 'a'"):
        list(stream_json_list(tmp_path / "a.json", "a", is_optional=True))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'{"a": ["\xff"]}')
    with pytest.raises(InputError, match="is not a text file in UTF-8"):
        list(stream_json_list(tmp_path / "a.json", "a"))
    with pytest.raises(InputError, match="cannot be read: No such file"):
        list(stream_json_list(tmp_path / "b.json", "a"))
