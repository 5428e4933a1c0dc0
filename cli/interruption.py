"""Ends of a command from outside: SIGTERM, and a closed terminal, clean up as Ctrl-C does."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

_AGAIN = 0.1


class Interrupted(SystemExit):
    """A signal ends the command. Not `KeyboardInterrupt`, which some code takes for the end of its work."""


class Interruption:
    """Raises `Interrupted` in the main thread when a signal asks to end, once; later signals wait for the cleaning up.

    Attributes:
        number: of the signal that came; 0 if none did.
    """

    def __init__(self) -> None:
        self.number = 0
        self._process = os.getpid()

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Listen, in the block, to the signals that are not ignored."""
        numbers = [getattr(signal, name, None) for name in ("SIGTERM", "SIGHUP")]  # Windows has no SIGHUP
        taken = [number for number in numbers if number and signal.getsignal(number) == signal.SIG_DFL]
        for number in taken:
            signal.signal(number, self._end)
        try:
            yield
        finally:
            for number in taken:
                signal.signal(number, signal.SIG_DFL)

    def _end(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # a forked worker, which has nothing to clean up
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        elif _is_in_finaliser(frame):
            again = threading.Timer(_AGAIN, os.kill, (self._process, number))
            again.daemon = True
            again.start()
        elif not self.number:
            self.number = number
            raise Interrupted(128 + number)


def _is_in_finaliser(frame: FrameType | None) -> bool:
    """Whether Python is in a `__del__`, where exceptions are lost."""
    while frame is not None:
        if frame.f_code.co_name == "__del__":
            return True
        frame = frame.f_back
    return False
