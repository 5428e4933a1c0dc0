from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from evolift.posedata.errors import InputError, OutputError
from evolift.posedata.output_file import (
    check_output,
    sha256_of,
    whole_file,
    write_json,
    write_text,
)


def test_a_file_appears_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "a.txt"
    with whole_file(path) as partial:
        partial.write_text("one")
        assert partial.parent == path.parent
        assert not path.exists()
    assert path.read_text() == "one"
    assert [entry.name for entry in path.parent.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, OSError])
def test_a_failed_block_leaves_the_old_file(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail() -> None:
        with whole_file(path, overwrite=True) as partial:
            partial.write_text("new")
            raise error

    with pytest.raises(OutputError if error is OSError else error):
        fail()
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]


def test_existing_files_are_refused_or_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(OutputError, match=r"a\.txt exists: choose another output or add `overwrite`"):
        write_text(path, "new", overwrite=False)
    with pytest.raises(OutputError, match="exists"):
        check_output(path, overwrite=False)
    assert path.read_text() == "old"
    write_text(path, "neu: ä")
    assert path.read_text(encoding="utf-8") == "neu: ä"


def test_a_folder_in_the_place_of_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").mkdir()
    (tmp_path / "a.txt" / "mine").write_text("1")
    with pytest.raises(OutputError):
        write_text(tmp_path / "a.txt", "new")
    assert (tmp_path / "a.txt" / "mine").exists()
    (tmp_path / "file").write_text("1")
    with pytest.raises(OutputError, match="file cannot be made"):
        write_text(tmp_path / "file" / "b.txt", "new")


def test_json(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": 1, "a": [Path("x"), "ü"]})
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert json.loads(text) == {"b": 1, "a": ["x", "ü"]}
    assert text.index('"b"') < text.index('"a"')
    assert text.endswith("}\n")


def test_sha256(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc" * 100_000)
    assert sha256_of(tmp_path / "a") == hashlib.sha256(b"abc" * 100_000).hexdigest()
    with pytest.raises(InputError, match="nowhere cannot be read: No such file or directory"):
        sha256_of(tmp_path / "nowhere")
