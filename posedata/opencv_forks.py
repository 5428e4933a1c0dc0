"""Forked processes in which OpenCV works: those that load batches, and any that a user forks.

A fork copies OpenCV's locks as they are, without its threads. If one of them held a lock, whoever needs that in the copy
waits for ever. So importing this ends OpenCV's pool before each fork of the process, unless another thread is at work in it; in
the fork OpenCV keeps to one thread, as torch's workers do.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import cv2

_threads: list[int] = []
"""What the process that forks had set."""
_LONGEST_END = 5.0  # seconds; the number of a thread may be another's by then


def _end_pool() -> None:
    _threads.append(cv2.getNumThreads())
    cv2.setNumThreads(1)  # which waits for the pool's threads to end; the next parallel work makes new ones


def _set_back() -> None:
    cv2.setNumThreads(_threads.pop())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_end_pool, after_in_parent=_set_back, after_in_child=_threads.clear)


def join_with_opencv(thread: threading.Thread) -> None:
    """Wait for the end of a thread that used OpenCV, and for what OpenCV does at that end, which holds a lock.

    Python before 3.13 joins a thread that has left Python, but lives. Where a system does not tell of its threads, as only
    Linux does, this is a plain join.
    """
    thread.join()
    until = time.monotonic() + _LONGEST_END
    while Path(f"/proc/self/task/{thread.native_id}").exists() and time.monotonic() < until:
        time.sleep(0)
