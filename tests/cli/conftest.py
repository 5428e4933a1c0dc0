from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest

from cli.main import main


class Finished(NamedTuple):
    """What a command left: as of `subprocess.run`, but run in this process, which spares the start-up."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def evolift(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Finished]:
    """`evolift("predict", path, ...)` runs the command through the entry point of the console command."""

    def run(*arguments: object) -> Finished:
        monkeypatch.setattr(sys, "argv", ["evolift", *map(str, arguments)])
        out, err = io.StringIO(), io.StringIO()
        code = 0
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                main()
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 0
        return Finished(code, out.getvalue(), err.getvalue())

    return run
