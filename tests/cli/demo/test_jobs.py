"""Jobs side by side: the same answers in this process and in others, and their errors reach the caller."""

from __future__ import annotations

import operator

import pytest
import torch

from evolift.artifacts.shipped_files import shipped_weights
from evolift.cli.demo.jobs import Job, run_jobs
from evolift.posedata.errors import InputError

JOBS: dict[str, Job] = {
    "sum": (operator.add, (1, 2)),
    "product": (operator.mul, (3, 4)),
    "threads": (torch.get_num_threads, ()),
}


@pytest.mark.parametrize("num_workers", [0, 2])
def test_every_job_is_answered_on_one_thread(num_workers: int) -> None:
    assert dict(run_jobs(JOBS, num_workers)) == {"sum": 3, "product": 12, "threads": 1}


@pytest.mark.parametrize("num_workers", [0, 2])
def test_what_a_user_can_mend_reaches_the_user(num_workers: int) -> None:
    with pytest.raises(InputError, match="no weights called 'none' come with evolift"):
        list(run_jobs({"bad": (shipped_weights, ("none",))}, num_workers))


def test_the_number_of_threads_comes_back() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        list(run_jobs(JOBS, 0))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
