"""Trainings side by side, each in a process of its own on one core."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any

Job = tuple[Callable[..., Any], tuple[Any, ...]]


def run_jobs(jobs: dict[str, Job], num_workers: int) -> Iterator[tuple[str, Any]]:
    """Name and answer of each job as it ends; begun in the order given.

    Every job computes with one thread, so that the number of processes and of cores changes no result.

    Args:
        jobs: functions at the top of a module and their arguments.
        num_workers: processes; 0 or 1 for this one alone.
    """
    if num_workers <= 1:
        import torch

        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            for name, (function, arguments) in jobs.items():
                yield name, function(*arguments)
        finally:
            torch.set_num_threads(threads)
        return
    # Not fork: threads of torch and of the OpenGL driver must not be copied.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(num_workers, mp_context=context, initializer=_use_one_thread) as pool:
        try:
            running = {pool.submit(function, *values): name for name, (function, values) in jobs.items()}
            for done in as_completed(running):
                yield running[done], done.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _use_one_thread() -> None:
    import cv2
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
