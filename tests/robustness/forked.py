"""Work in a forked process, which can be killed, and whose limits are its own."""

from __future__ import annotations

import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable

from evolift.posedata.errors import EvoliftError

REFUSED = 2
"""Exit code of a process whose work ended with one of our errors, as that of commands."""


def forked(work: Callable[[], object]) -> int:
    """Begin the work in a process of its own, which says nothing; its number."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads, from Python 3.12 on
        pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        work()
        code = 0
    except EvoliftError as error:
        os.write(2, f"{error}\n".encode())
        code = REFUSED
    except BaseException:
        traceback.print_exc(file=sys.stderr)
    finally:
        os._exit(code)


def ended(pid: int) -> int:
    """Wait for a process; its exit code, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def killed(pid: int) -> bool:
    """Kill a process; whether that hit it, and not after its end."""
    os.kill(pid, signal.SIGKILL)
    return ended(pid) == -signal.SIGKILL
