"""The process that worker processes are copies of: it imports torch and the operators once, for all of them.

Imports nothing slow itself, so that a command can have that process import while it does so too.
"""

from __future__ import annotations

import multiprocessing
from multiprocessing.context import BaseContext

_PRELOADED = "evolift.evolution.job.worker_imports"


def worker_processes() -> BaseContext:
    """How worker processes are started: as copies of one process, or each anew where the system has no such copies."""
    if "forkserver" not in multiprocessing.get_all_start_methods():  # Windows
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([_PRELOADED])
    return context


def start_worker_server() -> None:
    """Start that process now, else the first worker process will; once it runs this does nothing."""
    if worker_processes().get_start_method() == "forkserver":
        from multiprocessing import forkserver  # noqa: PLC0415  # Windows lacks what it needs

        forkserver.ensure_running()
