"""The documentation builds without a warning, and knows every command and every name of the front door."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import rich_click as click

import evolift
from evolift.cli.main import COMMANDS, command_named

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def words_of(name: str) -> list[str]:
    """The words of all commands under one."""
    command = command_named(name)
    if not isinstance(command, click.Group):
        return [name]
    return [
        words
        for inner in command.list_commands(click.Context(command))
        for words in words_of(f"{name} {inner}")
    ]


def test_the_site_builds_and_has_every_command_example_and_equation(tmp_path: Path) -> None:
    """One test, because a build also writes pages into `docs/`; the gallery is not run."""
    pytest.importorskip("sphinx")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-D", "plot_gallery=0"]
    site = tmp_path / "html"
    result = subprocess.run(
        [*command, "-d", tmp_path / "doctrees", DOCS, site],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr

    commands = (site / "commands.html").read_text(encoding="utf-8")
    every = [words for name in COMMANDS for words in words_of(name)]
    assert "data import cmu" in every
    assert [words for words in every if f'id="evolift-{words.replace(" ", "-")}"' not in commands] == []

    gallery = (site / "auto_gallery" / "index.html").read_text(encoding="utf-8")
    assert [path.stem for path in DOCS.glob("gallery/*.py") if f"{path.stem}.html" not in gallery] == []
    for stage in ("detector", "lifter", "evolution", "chain"):
        assert 'class="math' in (site / "how" / f"{stage}.html").read_text(encoding="utf-8")


def test_every_name_of_the_front_door_is_in_the_api() -> None:
    words = set((DOCS / "api.md").read_text(encoding="utf-8").replace("`", " ").replace(",", " ").split())
    rooms = {path.name for path in ROOT.iterdir()}
    assert set(evolift.__all__) - rooms - {"__version__"} <= words


def test_readme_can_be_read_at_one_sitting() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120
