"""The C library's memory allocator, set to keep freed memory for the next step of a training."""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_NEVER = 1 << 30


def reuse_freed_memory() -> bool:
    """Ask the C library to reuse the memory of freed tensors instead of giving it back to the system.

    A training step frees and takes the same large blocks again and again. By default glibc returns them, so that the
    system must clear each page anew: of SemGCN's step that is a tenth to a fifth (`tests/benchmarks`). The process stays as large as its
    largest step. See mallopt(3), M_MMAP_THRESHOLD and M_TRIM_THRESHOLD.

    Returns:
        False where the C library has no such setting (macOS, Windows, musl); nothing is changed then.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(_MMAP_THRESHOLD, _NEVER)) and bool(mallopt(_TRIM_THRESHOLD, _NEVER))
