"""Blocks bred on many machines through dask.distributed.

The cluster's machines must share the file system of the output, because the population lies in the work folder there, and
must have this package installed. A worker that dies loses only the block it was at; the scheduler gives it to
another one, and it comes out the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError

from distributed import Client, KilledWorker
from distributed.client import FutureCancelledError
from distributed.comm.core import CommClosedError

from evolift.evolution.job.block_workers import Block, BlockJob, BlockWorkers
from evolift.evolution.job.breeding import Tally
from evolift.posedata.errors import InputError, OutputError


class ClusterWorkers(BlockWorkers):
    """Workers of a dask cluster.

    Args:
        address: of its scheduler, for example tcp://10.0.0.1:8786.
        timeout: seconds to wait for it.

    Raises:
        InputError: there is no scheduler, or it has no workers.
    """

    def __init__(self, address: str, *, timeout: float = 10.0) -> None:
        self.address = address
        try:
            self._client = Client(address, timeout=timeout, set_as_default=False)  # type: ignore[no-untyped-call]  # distributed leaves it untyped
        except (OSError, ValueError, TimeoutError) as error:
            raise InputError(
                f"there is no dask scheduler at {address} ({error}): start one with `dask scheduler`"
            ) from None
        if not self._client.scheduler_info(n_workers=-1)["workers"]:
            self._client.close()  # type: ignore[no-untyped-call]  # distributed leaves it untyped
            raise InputError(f"the dask cluster at {address} has no workers: start some with `dask worker`")

    def close(self) -> None:
        """Leave the cluster; it goes on for others."""
        super().close()
        self._client.close(timeout=2)  # type: ignore[no-untyped-call]  # as above

    def breed(self, job: BlockJob, blocks: Sequence[Block]) -> Iterator[Tally]:
        """As `BlockWorkers.breed`.

        Raises:
            OutputError: the cluster is gone, or a block killed several workers.
        """
        try:
            futures = [self._client.submit(job.breed_block, block, pure=False) for block in blocks]
            for future in futures:
                tally: Tally = future.result()
                yield tally
        except KilledWorker:
            raise OutputError(
                f"several workers of the dask cluster at {self.address} died, perhaps for lack of memory: give them more and add `resume`"
            ) from None
        except FileNotFoundError as error:
            raise InputError(
                f"a worker of the dask cluster at {self.address} does not see {error.filename}: the output must be on a file system that all machines share"
            ) from None
        except (CommClosedError, CancelledError, FutureCancelledError, TimeoutError, OSError) as error:
            raise OutputError(
                f"the dask cluster at {self.address} is gone ({type(error).__name__}): start it again and add `resume`"
            ) from None
