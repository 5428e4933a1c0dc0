"""Which workers breed the blocks."""

from __future__ import annotations

from evolift.evolution.job.block_workers import BlockWorkers, ProcessWorkers


def block_workers(processes: int = 0, cluster: str | None = None) -> BlockWorkers:
    """The workers that the command line asks for.

    Args:
        processes: worker processes on this machine; 0 breeds in this process.
        cluster: address of a dask scheduler; wins over `processes`.

    Raises:
        InputError: there is no cluster at the address.
    """
    if cluster is not None:
        from evolift.evolution.job.cluster_workers import ClusterWorkers  # noqa: PLC0415  # distributed is slow to import

        return ClusterWorkers(cluster)
    return ProcessWorkers(processes) if processes else BlockWorkers()
