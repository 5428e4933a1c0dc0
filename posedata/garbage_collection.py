"""Python's garbage collection paused, for work that makes millions of lists and no cycles, and for imports."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def paused_garbage_collection() -> Iterator[None]:
    """Do not look for cycles in the block: reading and writing large JSON takes half as long.

    What is not in a cycle is still freed at once. Also usable as a decorator.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextlib.contextmanager
def lasting_imports() -> Iterator[None]:
    """Do not look for cycles among what is imported in the block, then or later: it lives as long as the process.

    Torch and its like are so many objects that looking through them, again and again while they are made and once more when
    the process ends, takes a third of the time of importing them. For commands; a program that imports us decides itself.
    """
    known = len(sys.modules)
    with paused_garbage_collection():
        yield
        if len(sys.modules) > known:
            gc.freeze()
