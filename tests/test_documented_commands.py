"""Every command that README, docs, cards and changes show exists, and has the flags that they give it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import rich_click as click

from evolift.cli.main import command_named

ROOT = Path(__file__).parents[1]
PAGES = [
    *ROOT.glob("*.md"),
    *ROOT.glob("docs/**/*.md"),
    *ROOT.glob("artifacts/*.md"),
    *ROOT.glob("changes/*.md"),
]


def commands_of(text: str) -> list[tuple[str, click.Command, list[str]]]:
    """What is shown of each command: the words, the command that they name, and its flags."""
    text = re.sub(r"^```.*$", "", text, flags=re.M)  # a fence is no pair of backquotes
    text = re.sub(r"\\\n\s*", " ", text)
    text = re.sub(r"`([^`]*)`", lambda match: "`" + " ".join(match[1].split()) + "`", text)
    found = []
    for shown in re.finditer(r"\bevolift ((?:[a-z][a-z0-9-]* ?)+)([^`\n|]*)", text):
        words = shown[1].split()
        for count in range(len(words), 0, -1):
            try:
                command = command_named(" ".join(words[:count]))
            except KeyError:
                continue
            found.append((shown[0], command, re.findall(r"(?<![\w-])--[a-z][\w-]*", shown[2])))
            break
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_shown_flags_are_options_of_their_commands(page: Path) -> None:
    for shown, command, flags in commands_of(page.read_text(encoding="utf-8")):
        if isinstance(command, click.Group):
            continue
        known = {flag for option in command.params for flag in (*option.opts, *option.secondary_opts)}
        assert set(flags) <= known | {"--help"}, f"{page.name}: `{shown}`: no {set(flags) - known}"


def test_the_pattern_finds_commands_and_their_flags() -> None:
    ((_, command, flags),) = commands_of("`evolift lifter train a.h5\n--steps 3 \\\n --no-such`")
    assert (command.name, flags) == ("train", ["--steps", "--no-such"])
    assert [
        words[2] for words in commands_of("```sh\nevolift app --port 1\nevolift predict a --box\n```")
    ] == [
        ["--port"],
        ["--box"],
    ]
    assert len(commands_of(" ".join(page.read_text(encoding="utf-8") for page in PAGES))) > 40
