"""How many processes may work beside this one."""

from __future__ import annotations

import os

from evolift.posedata.errors import InputError

PER_CORE = 4


def require_workers(num_workers: int) -> None:
    """Refuse more processes than a machine has any use for, before the first is started.

    Settings do not refuse them: a record that a larger machine wrote must stay readable.

    Raises:
        InputError: there are more than four for each core.
    """
    cores = os.cpu_count() or 1
    if num_workers > PER_CORE * cores:
        raise InputError(
            f"`num_workers` {num_workers}: at most {PER_CORE * cores}, {PER_CORE} for each of the {cores} cores of this machine"
        )
