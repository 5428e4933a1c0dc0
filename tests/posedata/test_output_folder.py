from __future__ import annotations

from pathlib import Path

import pytest

from evolift.posedata.errors import InputError, OutputError
from evolift.posedata.output_folder import output_folder


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
