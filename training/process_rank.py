"""Whether this process is the first of a training on several: the one that makes folders and prints results.

Trainings on several devices start further copies of the same command, with their rank in the environment.
"""

from __future__ import annotations

import os

_RANK_NAMES = ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")


def is_first_process() -> bool:
    """True in a run's first process, and in every process that is not part of a distributed run."""
    return all(os.environ.get(name, "0") == "0" for name in _RANK_NAMES)
