"""How work that takes a while is shown: a bar on a terminal, else a line each half minute, as in the log of a batch job."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich import progress as bars
from rich.console import Console

SECONDS_PER_LINE = 30.0
_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0


class ProgressDisplay:
    """An `evolift.posedata.progress.Progress` that shows itself on standard error, from when it is first told.

    So nothing is shown of work that is refused before it begins, and what a command prints can be piped.

    Args:
        description: what is done.
        total: how many items there are, None if that is told later or never.
        done: how many were done before, by a run that is resumed.
        console: where to show it; standard error if left out.
        clock: gives seconds.

    Attributes:
        description: may be changed while it is shown.
        note: further words, for example the loss of a training.
    """

    def __init__(
        self,
        description: str,
        total: int | None = None,
        *,
        done: int = 0,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.description, self.note = description, ""
        self._total, self._done, self._before = total, done, done
        self._console = console or Console(stderr=True)
        self._clock = clock
        self._began = self._last_line = clock()
        self._is_told = self._has_lines = False
        columns = (
            bars.TextColumn("{task.description}"),
            bars.BarColumn(),
            bars.MofNCompleteColumn(),
            bars.TextColumn("{task.fields[rest]}"),
        )
        self._bar = bars.Progress(*columns, console=self._console)
        self._task = self._bar.add_task(description, total=total, completed=done, rest="")

    def __call__(self, done: int, total: int | None = None) -> None:
        """Take note of `done` more items, and of the total once it is known."""
        now = self._clock()
        if not self._is_told and done == 0:
            self._began = self._last_line = now
        self._is_told = True
        self._done += done
        self._total = self._total if total is None else total
        if self._has_bar():
            rest = ", ".join(self._rest(now))
            self._bar.update(
                self._task,
                description=self.description,
                total=self._total,
                completed=self._done,
                rest=rest,
            )
            self._bar.start()  # if it has not begun yet
        elif now - self._last_line >= SECONDS_PER_LINE:
            self._print_line(now)

    def say(self, sentence: str) -> None:
        """Print a sentence, above the bar if there is one."""
        self._console.print(sentence, highlight=False, markup=False, soft_wrap=True)

    def stop(self) -> None:
        """Leave the last state on the screen; of work too short for a line, nothing is left in a log."""
        if self._bar.live.is_started:
            self._bar.stop()
        elif self._has_lines and self._clock() > self._last_line:
            self._print_line(self._clock())

    def _has_bar(self) -> bool:
        console = self._console
        return console.is_jupyter or (console.is_terminal and not console.is_dumb_terminal)

    def _print_line(self, now: float) -> None:
        count = f"{self._done:,}"
        if self._total:
            count += f" of {self._total:,} ({100 * self._done / self._total:.0f} %)"
        self.say(", ".join([f"{self.description}: {count}", *self._rest(now)]))
        self._last_line, self._has_lines = now, True

    def _rest(self, now: float) -> list[str]:
        """What is told beside the count: notes, rate, time left, or time taken when all is done."""
        words = [self.note] if self.note else []
        seconds, done = now - self._began, self._done - self._before
        if seconds <= 0 or done <= 0:
            return words
        words.append(rate(done / seconds))
        if self._total is None or self._done >= self._total:
            return [*words, duration(seconds)]
        return [*words, f"{duration((self._total - self._done) * seconds / done)} left"]


def rate(per_second: float) -> str:
    """So many items per second or, of slow ones, per minute or hour."""
    for seconds, name in ((1.0, "s"), (_MINUTE, "min")):
        if per_second * seconds >= 1:
            number = per_second * seconds
            return f"{number:,.0f}/{name}" if number >= 10 else f"{number:.1f}/{name}"
    return f"{per_second * _HOUR:.1f}/h"


def duration(seconds: float) -> str:
    """A time in words, as exactly as an estimate deserves: "40 s", "12 min", "3 h 20 min", "31 hours", "4 days"."""
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    minutes = round(seconds / _MINUTE)
    if minutes < 60:
        return f"{minutes} min"
    if seconds < 10 * _HOUR:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{seconds / _HOUR:.0f} hours" if seconds < 3 * _DAY else f"{seconds / _DAY:.0f} days"
