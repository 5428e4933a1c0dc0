"""Which workers breed the blocks."""

from __future__ import annotations

from evolift.evolution.job.block_workers import BlockWorkers, ProcessWorkers
from evolift.posedata.extras import require_extra


def block_workers(num_workers: int = 0, cluster: str | None = None) -> BlockWorkers:
    """The workers that the command line asks for.

    Args:
        num_workers: worker processes on this machine; 0 breeds in this process.
        cluster: address of a dask scheduler; wins over `num_workers`.

    Raises:
        InputError: there is no cluster at the address, this machine has no use for so many workers, or the extra `cluster` is not installed.
    """
    if cluster is not None:
        require_extra("cluster", "distributed")
        from evolift.evolution.job.cluster_workers import ClusterWorkers  # noqa: PLC0415  # distributed is slow to import

        return ClusterWorkers(cluster)
    return ProcessWorkers(num_workers) if num_workers else BlockWorkers()
