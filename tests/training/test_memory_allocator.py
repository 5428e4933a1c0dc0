from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

from evolift.training.memory_allocator import reuse_freed_memory

COUNT = """
import resource, sys, torch
from evolift.training.memory_allocator import reuse_freed_memory
if sys.argv[1] == "keep":
    assert reuse_freed_memory()
def step():
    torch.ones(10_000_000)  # above the largest size that glibc keeps by itself
for _ in range(10):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="this C library has no mallopt")
def test_a_step_takes_no_new_pages() -> None:
    def faults(how: str) -> int:
        command = [sys.executable, "-c", COUNT, how]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert faults("keep") < 0.1 * faults("plain")


def test_without_mallopt_nothing_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    assert not reuse_freed_memory()
