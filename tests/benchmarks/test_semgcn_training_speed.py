"""SemGCN's training step against the straightforward layer, and against itself with one trick taken out, and against other architectures.

Method: a process for each variant (`training_step_worker`), one thread, taking turns within one run; milliseconds are of
the processor, not of the wall, which other programs disturb less. After two rounds of warm-up the median of each
variant stands in the benchmark's extra info, with what it takes relative to ours. Times are never asserted.

    pytest tests/benchmarks/test_semgcn_training_speed.py -m benchmark --benchmark-enable -s
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.benchmarks.interleaved_timing import WARM_UP
from tests.benchmarks.training_step_worker import OURS, VARIANTS

pytestmark = pytest.mark.benchmark

Worker = subprocess.Popen[str]


@pytest.fixture(scope="module")
def num_workers() -> Iterator[dict[str, Worker]]:
    """A waiting process for each variant."""
    with ExitStack() as stack:
        started: dict[str, Worker] = {}
        for variant in VARIANTS:
            command = [sys.executable, "-m", "tests.benchmarks.training_step_worker", variant]
            worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            started[variant] = stack.enter_context(worker)
        for worker in started.values():
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
        yield started


def step_ms(worker: Worker, batch: int) -> float:
    """Processor time of one step, ms."""
    assert worker.stdin is not None
    assert worker.stdout is not None
    print(batch, file=worker.stdin, flush=True)
    return float(worker.stdout.readline())


@pytest.mark.parametrize(("batch", "rounds"), [(64, 60), (256, 20), (1024, 10)])
def test_training_step(benchmark, num_workers, batch: int, rounds: int) -> None:
    times: dict[str, list[float]] = {variant: [] for variant in num_workers}

    def once() -> None:
        for variant, worker in num_workers.items():
            times[variant].append(step_ms(worker, batch))

    benchmark.pedantic(once, rounds=rounds, iterations=1, warmup_rounds=WARM_UP)
    medians = {variant: statistics.median(values[WARM_UP:]) for variant, values in times.items()}
    for variant, median in medians.items():
        benchmark.extra_info[variant] = f"{median:.1f} ms, {median / medians[OURS] - 1:+.1%}"
    print(f"\n{benchmark.name}: {benchmark.extra_info}")
