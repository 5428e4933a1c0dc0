from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from evolift.posedata.errors import InputError, OutputError
from evolift.posedata.output_file import (
    check_output,
    output_folder,
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


def test_output_folders(tmp_path: Path) -> None:
    run = tmp_path / "run"
    for _ in range(2):  # an empty folder may be used
        with output_folder(run):
            pass
    (run / "notes.txt").write_text("mine")
    for resume, flags in ((None, "`overwrite`"), (False, "`overwrite` or `resume`")):
        with (
            pytest.raises(OutputError, match=f"is not empty: choose another output, or add {flags}$"),
            output_folder(run, resume=resume),
        ):
            pass
    with pytest.raises(OutputError, match="was not made by evolift"), output_folder(run, overwrite=True):
        pass
    with output_folder(run, resume=True):
        assert (run / "notes.txt").read_text() == "mine"
    (run / "settings.json").write_text("{}")
    with output_folder(run, overwrite=True):
        assert list(run.iterdir()) == []
        (run / "result").write_text("new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["run"]
    (tmp_path / "file").write_text("1")
    with (
        pytest.raises(OutputError, match="is a file: choose another output folder"),
        output_folder(tmp_path / "file"),
    ):
        pass


@pytest.mark.parametrize("written", [False, True])
def test_a_failed_run_leaves_no_folder_and_brings_the_old_one_back_unless_it_wrote(
    tmp_path: Path, written: bool
) -> None:
    run, old = tmp_path / "run", tmp_path / "old"
    old.mkdir()
    for name in ("settings.json", "best.safetensors"):
        (old / name).write_text("old")

    def fail(folder: Path) -> None:
        with output_folder(folder, overwrite=True):
            (folder / "settings.json").write_text("new")
            if written:
                (folder / "resume.ckpt").write_text("new")
            raise InputError("no")

    for folder in (run, old):
        with pytest.raises(InputError):
            fail(folder)
    assert run.exists() == written
    assert (old / "best.safetensors").exists() != written
    assert (old / "settings.json").read_text() == ("new" if written else "old")
    assert not list(tmp_path.glob("*.partial"))


def test_sha256(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc" * 100_000)
    assert sha256_of(tmp_path / "a") == hashlib.sha256(b"abc" * 100_000).hexdigest()
    with pytest.raises(InputError, match="nowhere cannot be read: No such file or directory"):
        sha256_of(tmp_path / "nowhere")
