"""What Ctrl-C leaves behind is said, and how to go on."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
import rich_click as click
import torch

from evolift.cli.main import _told
from evolift.cli.options import RecipeCommand, output_option
from evolift.training.run_folder import run_folder, run_record


def told(error: BaseException, capsys: pytest.CaptureFixture[str]) -> str:
    assert _told(error, 0) == 128 + signal.SIGINT
    return capsys.readouterr().err


def interrupt(folder: Path, *, step: int | None, resume: bool | None = False) -> BaseException:
    """Ctrl-C in a training, as lightning passes it on."""
    try:
        with run_folder(folder, run_record("evolift lifter train", output=folder), resume=resume):
            if step is not None:
                torch.save({"global_step": step}, folder / "resume.ckpt")
            try:
                raise KeyboardInterrupt
            except KeyboardInterrupt:
                raise SystemExit(1)  # noqa: B904 - lightning calls sys.exit there
    except SystemExit as error:
        return error


def test_a_training_says_how_to_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "my run"
    assert told(interrupt(folder, step=4000), capsys) == (
        f"Interrupted. {folder} holds the run as it was at step 4,000: "
        f"`evolift lifter train --resume -o '{folder}'` goes on.\n"
    )


def test_a_training_says_that_nothing_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    assert told(interrupt(folder, step=None), capsys) == (
        f"Interrupted. Nothing is kept in {folder}: no validation was reached, which is where a run is saved.\n"
    )
    assert not folder.exists()
    assert told(interrupt(folder, step=None, resume=None), capsys) == "Interrupted.\n"


@click.command(cls=RecipeCommand)
@output_option("File")
def write(output: Path) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(("before", "said"), [(None, "was not written"), ("old", "is as it was before")])
def test_other_commands_say_what_became_of_their_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], before: str | None, said: str
) -> None:
    path = tmp_path / "a.h5"
    if before is not None:
        path.write_text(before)
    with pytest.raises(click.Abort) as caught:
        write.main(["-o", str(path)], standalone_mode=False)
    capsys.readouterr()
    assert told(caught.value, capsys) == f"Interrupted. {path} {said}.\n"
