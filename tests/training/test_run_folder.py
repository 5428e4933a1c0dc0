"""The folder of a run: its record, and what becomes of a run that shall go on without one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evolift.posedata.errors import InputError
from evolift.training.run_folder import run_folder

RECORD = {"evolift": "0", "command": "evolift lifter train", "settings": {"seed": 0}}


@pytest.mark.parametrize("damaged", [b"", b"{", b"[]", b'{"settings": 3}', b"\xff"])
def test_a_damaged_record_costs_no_state(
    tmp_path: Path, damaged: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "settings.json").write_bytes(damaged)
    (folder / "resume.ckpt").write_bytes(b"hours of work")
    with (
        pytest.raises(InputError, match=r"settings\.json is damaged, so that nobody knows"),
        run_folder(folder, RECORD, resume=True),
    ):
        pass
    assert (folder / "resume.ckpt").read_bytes() == b"hours of work"
    assert (folder / "settings.json").read_bytes() == damaged
    (folder / "resume.ckpt").unlink()
    with run_folder(folder, RECORD, resume=True):
        pass
    assert "the run begins anew" in caplog.text
    assert json.loads((folder / "settings.json").read_text()) == RECORD


def test_another_setting_is_refused(tmp_path: Path) -> None:
    with run_folder(tmp_path / "run", RECORD):
        pass
    other = {**RECORD, "settings": {"seed": 1}}
    with (
        pytest.raises(InputError, match="was begun with `seed` 0, not 1: resume with the same settings"),
        run_folder(tmp_path / "run", other, resume=True),
    ):
        pass
