"""The judge itself: what each verdict is given for, and that nothing which happens in the child reaches the parent."""

from __future__ import annotations

import itertools
import os
import signal
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rich_click as click

from evolift.posedata.errors import InputError
from evolift.posedata.output_file import write_json
from evolift.posedata.poses import Poses
from tests.robustness import verdicts
from tests.robustness.verdicts import (
    digest,
    judged,
    message_fault,
    nonsense_of,
    nonsense_of_poses,
    verdict_of,
)


def _raising(error: BaseException) -> Callable[[], Any]:
    def read() -> Any:
        raise error

    return read


def _warning() -> float:
    warnings.warn("overflow encountered", RuntimeWarning, stacklevel=1)
    return 1.0


def _endless() -> None:
    while True:
        time.sleep(0)


CASES: list[tuple[str, Callable[[], Any]]] = [
    ("right", lambda: 1.0),
    ("plausible", lambda: 2.0),
    ("refused", _raising(InputError("a.json is empty: write it again"))),
    ("refused", _raising(click.BadParameter("a.json is too long"))),
    ("message", _raising(InputError("it is empty: write it again"))),
    ("traceback", _raising(KeyError("x"))),
    ("traceback", _raising(SystemExit(3))),
    ("traceback", lambda: np.ones(2**40)),
    ("nonsense", lambda: np.array([1.0, np.inf])),
    ("warning", _warning),
    ("hang", _endless),
    ("hang", lambda: sum(itertools.repeat(0))),  # never comes back to Python
    ("crash", lambda: os.kill(os.getpid(), signal.SIGSEGV)),
    ("crash", lambda: os._exit(1)),
    ("right", lambda: 1.0),
]


def test_each_verdict_and_those_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdicts, "CPU_SECONDS", 0.3)
    sound = digest(1.0)
    found = judged(lambda index: verdict_of(CASES[index][1], ["a.json"], sound, nonsense_of), len(CASES))
    assert [one.name for one in found] == [name for name, _ in CASES]
    assert "KeyError: 'x'" in found[5].what


def test_the_place_is_the_innermost_of_the_package(tmp_path: Path) -> None:
    circle: list[object] = []
    circle.append(circle)
    verdict = verdict_of(lambda: write_json(tmp_path / "a.json", circle), ["a.json"], "", nonsense_of)
    assert (verdict.name, verdict.where) == ("traceback", "posedata/output_file.py:write_json")


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        ("a.json is empty: write it again", None),
        ("", "empty"),
        ("a.json is empty\nwrite it again", "several lines"),
        ("a.json holds \x1b[1m", "unprintable"),
        ("a.json " + "x" * 2000, "longer than a sentence"),
        ("a.json is damaged (KeyError: 'x')", "words of Python (KeyError)"),
        ("a.json: `hidden` is 3: Expected `int`", "words of Python (Expected `)"),
        ("it is empty", "does not name the file"),
    ],
)
def test_what_a_message_must_not_be(message: str, fault: str | None) -> None:
    assert message_fault(message, ["a.json"]) == fault


def test_poses_that_cannot_be(make_poses: Callable[..., Poses]) -> None:
    poses = make_poses(8)
    assert nonsense_of_poses(poses) is None
    assert poses.joints_3d is not None
    for edit, what in (
        (lambda joints: joints / 1000, "people reach"),
        (lambda joints: joints * 39.37, "people reach"),
        (lambda joints: joints + 1e6, "a joint is at"),
        (lambda joints: np.where(joints == joints.max(), np.inf, joints), "a joint is at"),
    ):
        bad = Poses(poses.subject, poses.action, poses.frame, edit(poses.joints_3d).astype(np.float32))
        assert (nonsense_of_poses(bad) or "").startswith(what)
    assert nonsense_of({"box": np.array([1e7, np.nan])}, 1e6) == ".box holds 1e+07"
