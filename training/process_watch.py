"""Trainings on several devices whose processes die: the others end too, with one sentence.

A process that waits for another one in a collective call of torch cannot be interrupted, and lightning kills the first
process of a machine without a word when one that it has started is gone. So a thread looks after them, and is quicker.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator

import lightning

_PERIOD, _GRACE = 0.2, 1.0
_REFUSED = 2


@contextlib.contextmanager
def watched_processes(trainer: lightning.Trainer) -> Iterator[None]:
    """While the block trains on several devices, end this process when another one that it needs has died."""
    if trainer.world_size < 2:
        yield
        return
    is_over = threading.Event()
    parent = os.getppid()

    def watch() -> None:
        while not is_over.wait(_PERIOD):
            codes = [process.poll() for process in getattr(trainer.strategy.launcher, "procs", [])]
            failed = [code for code in codes if code]
            if failed and failed[0] < 0:
                _end(f"a process of the training was killed by signal {-failed[0]}: go on with --resume")
            elif failed:  # it has told why
                time.sleep(_GRACE)
                if not is_over.is_set():
                    _end(None)
            if trainer.global_rank and os.getppid() != parent:
                _end(None)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        is_over.set()


def _end(sentence: str | None) -> None:
    if sentence is not None:
        sys.stderr.write(f"\nError: {sentence}\n")
        sys.stderr.flush()
    os._exit(_REFUSED)
