"""Worker processes are copies of one process, and none outlives the command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import os, sys, time
from pathlib import Path

class Job:
    folder = Path()

    def breed_block(self, block):
        print(os.getppid(), flush=True)
        time.sleep(600)

if __name__ == "__main__":
    from evolift.evolution.job.worker_server import start_worker_server
    start_worker_server()
    assert "torch" not in sys.modules
    from evolift.evolution.job.block_workers import Block, ProcessWorkers
    with ProcessWorkers(2) as workers:
        next(workers.breed(Job(), [Block(0, number, 0, 0, 1) for number in range(2)]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has no such copies")
def test_workers_whose_command_is_killed_end_with_their_server(tmp_path: Path) -> None:
    script = tmp_path / "sleeping.py"
    script.write_text(SCRIPT)
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        servers = {int(process.stdout.readline()) for _ in range(2)}
        process.kill()
        # All of them hold the other end: it closes when the last is gone.
        rest, _ = process.communicate(timeout=60)
    assert len(servers) == 1
    assert process.pid not in servers
    assert rest == ""
