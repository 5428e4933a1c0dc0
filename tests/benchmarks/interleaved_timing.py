"""Functions timed alternately within one run, so that a machine that slows down slows them all."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from pytest_benchmark.fixture import BenchmarkFixture

from evolift.training.memory_allocator import reuse_freed_memory

WARM_UP = 2


@contextmanager
def training_threads() -> Iterator[None]:
    """Two threads unless OMP_NUM_THREADS says otherwise, and memory kept as in training."""
    reuse_freed_memory()
    before = torch.get_num_threads()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    yield
    torch.set_num_threads(before)


def time_interleaved(
    benchmark: BenchmarkFixture,
    rounds: int,
    functions: dict[str, Callable[[], object]],
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Milliseconds of each function in each round after the warm-up; their medians go to the benchmark's extra info.

    `clock` may be `time.process_time`, the time of the processor, which other programs disturb less; for one thread.
    """
    times: dict[str, list[float]] = {name: [] for name in functions}

    def once() -> None:
        for name, function in functions.items():
            start = clock()
            function()
            times[name].append(1e3 * (clock() - start))

    benchmark.pedantic(once, rounds=rounds, iterations=1, warmup_rounds=WARM_UP)
    kept = {name: values[WARM_UP:] for name, values in times.items()}
    medians = {f"{name} ms": round(statistics.median(values), 3) for name, values in kept.items()}
    benchmark.extra_info.update(medians)
    return kept
