from __future__ import annotations

import io

import pytest
from rich.console import Console

from evolift.training.progress_display import ProgressDisplay, duration, rate


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def console(*, terminal: bool) -> Console:
    return Console(
        file=io.StringIO(), force_terminal=terminal, width=120, color_system=None, _environ={"TERM": "xterm"}
    )


def shown(on: Console) -> str:
    assert isinstance(on.file, io.StringIO)
    return on.file.getvalue()


def test_without_a_terminal_there_is_a_line_each_half_minute_and_one_at_the_end() -> None:
    clock, log = Clock(), console(terminal=False)
    display = ProgressDisplay("rendering", console=log, clock=clock)
    clock.now += 500  # of checks before the work begins
    display(0, 2000)
    for _ in range(80):
        clock.now += 1
        display(20)
    display.note = "one left out"
    display(0)
    clock.now += 20
    display(400)
    display.stop()
    assert shown(log).splitlines() == [
        "rendering: 600 of 2,000 (30 %), 20/s, 1 min left",
        "rendering: 1,200 of 2,000 (60 %), 20/s, 40 s left",
        "rendering: 2,000 of 2,000 (100 %), one left out, 20/s, 2 min",
    ]


def test_short_work_leaves_no_line_in_a_log() -> None:
    clock, log = Clock(), console(terminal=False)
    display = ProgressDisplay("counting", 3, console=log, clock=clock)
    for _ in range(3):
        clock.now += 9
        display(1)
    display.stop()
    assert shown(log) == ""


def test_what_was_done_before_a_resumed_run_is_no_part_of_its_rate() -> None:
    clock, log = Clock(), console(terminal=False)
    display = ProgressDisplay("training", 1000, done=900, console=log, clock=clock)
    display(0)
    clock.now += 40
    display(20)
    assert shown(log) == "training: 920 of 1,000 (92 %), 30/min, 3 min left\n"


def test_on_a_terminal_there_is_a_bar_from_the_first_word_on() -> None:
    clock, screen = Clock(), console(terminal=True)
    display = ProgressDisplay("training", 8, console=screen, clock=clock)
    display.stop()
    assert shown(screen) == ""
    display(0)
    clock.now += 120
    display.note = "loss 0.5"
    display(2)
    display.say("a word")
    display.stop()
    assert "a word\n" in shown(screen)
    assert "2/8 loss 0.5, 1.0/min, 6 min left" in shown(screen)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3540, "59 min"),
        (3600, "1 h 0 min"),
        (12_000, "3 h 20 min"),
        (111_600, "31 hours"),
        (345_600, "4 days"),
    ],
)
def test_durations_are_told_as_exactly_as_estimates_deserve(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("per_second", "words"),
    [
        (1234.0, "1,234/s"),
        (9.5, "9.5/s"),
        (1.0, "1.0/s"),
        (0.5, "30/min"),
        (0.05, "3.0/min"),
        (0.01, "36.0/h"),
    ],
)
def test_rates_are_told_in_the_unit_that_suits_them(per_second: float, words: str) -> None:
    assert rate(per_second) == words
