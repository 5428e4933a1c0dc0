"""Who breeds the blocks: this process, worker processes of this machine, or a dask cluster.

A task names its block and its work folder; it returns only what selection did, the children are in the folder. Results
come back in the order of the tasks whoever made them, and breeding uses one thread, so the bytes are the same.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch

from evolift.evolution.criteria.criterion import Criterion
from evolift.evolution.criteria.criterion_sources import criteria_by_names
from evolift.evolution.criteria.near_duplicates import duplicate_filter
from evolift.evolution.job.breeding import Parents, Tally, breed
from evolift.evolution.job.work_folder import WorkFolder
from evolift.evolution.job.worker_server import worker_processes
from evolift.evolution.kinematics.gene_pool import GenePool
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.limits.joint_limits import JointLimits
from evolift.evolution.limits.limit_sources import joint_limits
from evolift.evolution.operators.donation import Donors
from evolift.evolution.settings import EvolutionSettings
from evolift.posedata.errors import OutputError
from evolift.posedata.num_workers import require_workers


@dataclass(frozen=True)
class Job:
    """What all blocks of a run have in common.

    Args:
        folder: of the run.
        originals: poses of the source, the first rows.
        size: poses of the result.
        tree: of the poses.
        settings: of the run.
        device: where blocks are bred.
    """

    folder: Path
    originals: int
    size: int
    tree: KinematicTree
    settings: EvolutionSettings
    device: str = "cpu"

    def breed_block(self, block: Block) -> Tally:
        """Breed one block and store it in the work folder."""
        return breed_block(self, block)

    def work_folder(self) -> WorkFolder:
        """The work folder that holds the run's columns and its log of finished blocks."""
        joints = 3 * len(self.tree.skeleton)
        return WorkFolder(self.folder, self.size, {"genes": GenePool.width(self.tree), "joints": joints})


@dataclass(frozen=True)
class Block:
    """One block of children.

    Args:
        generation, number: its place, from 0.
        filled: rows that are there before its generation.
        start, quota: rows that it fills.
    """

    generation: int
    number: int
    filled: int
    start: int
    quota: int


@runtime_checkable
class BlockJob(Protocol):
    """What workers need of a job: of poses (`Job`), or of clips (`evolift.evolution.clips.clip_job`)."""

    @property
    def folder(self) -> Path:
        """Of the run."""

    def breed_block(self, block: Block) -> Tally:
        """Breed one block and store it in the work folder."""


class BlockWorkers:
    """Breeds blocks in this process; subclasses have others do it.

    A context manager.
    """

    def __enter__(self) -> BlockWorkers:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the opened work folders and parents that this process keeps between blocks."""
        _opened.cache_clear()
        _held.clear()

    def breed(self, job: BlockJob, blocks: Sequence[Block]) -> Iterator[Tally]:
        """Breed the blocks of one generation into the work folder; yields in their order as they are finished."""
        for block in blocks:
            yield job.breed_block(block)


class ProcessWorkers(BlockWorkers):
    """Worker processes of this machine.

    Args:
        num_workers: how many.

    Raises:
        InputError: this machine has no use for so many.
    """

    def __init__(self, num_workers: int) -> None:
        require_workers(num_workers)
        self._pool = ProcessPoolExecutor(num_workers, worker_processes(), _end_with_the_parent)

    def close(self) -> None:
        """End the worker processes; blocks that have not begun are cancelled."""
        self._pool.shutdown(cancel_futures=True)

    def breed(self, job: BlockJob, blocks: Sequence[Block]) -> Iterator[Tally]:
        """As `BlockWorkers.breed`.

        Raises:
            OutputError: a process died.
        """
        try:
            futures: list[Future[Tally]] = [self._pool.submit(job.breed_block, block) for block in blocks]
            for future in futures:
                yield future.result()
        except BrokenProcessPool:
            raise OutputError(
                f"{job.folder}: a worker process died, perhaps for lack of memory: use fewer `num_workers` and add `resume`"
            ) from None


def _end_with_the_parent() -> None:
    """Workers whose parent was killed end themselves; they would wait for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None  # a pool started this process

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def breed_block(job: Job, block: Block) -> Tally:
    """Breed one block and store it in the work folder."""
    # The folder of another run may have had the same name; its files are others.
    inode = (job.folder / "genes").stat().st_ino
    folder, limits, criteria = _opened(job, inode)
    parents = _parents_before(job, inode, block.filled)
    with one_thread():
        place = (block.generation, block.number)
        children = breed(parents, block.quota, limits, job.settings, place, criteria)
    folder.write_children(block.start, children)
    return children.tally


@functools.lru_cache(maxsize=1)
def _opened(job: Job, inode: int) -> tuple[WorkFolder, JointLimits, tuple[Criterion, ...]]:
    limits = joint_limits(job.settings.limits, job.tree.skeleton)
    return job.work_folder(), limits, criteria_by_names(job.settings.criteria, job.tree)


_held: dict[tuple[Job, int, int], Parents] = {}
"""The parents of the generation that is being bred."""


def _parents_before(job: Job, inode: int, filled: int) -> Parents:
    key = (job, inode, filled)
    parents = _held.get(key)
    if parents is None:
        # First let go of the last generation's: two search trees of millions of poses are too much at a time.
        _held.clear()
        parents = _held[key] = _parents(job, inode, filled)
    return parents


def _parents(job: Job, inode: int, filled: int) -> Parents:
    folder, *_ = _opened(job, inode)
    # Mapped anew for each generation: what the last one's held in memory is given back.
    pool = GenePool(job.tree, folder.column("genes")[:filled])
    rows, templates, duplicates = folder.parents(job.originals, filled), folder.templates(), None
    cumulative = None
    if job.settings.sampling != "uniform":
        cumulative = np.cumsum(folder.read("weight", 0, filled)[rows], dtype=np.float64)
    if job.settings.min_distance:
        with one_thread():
            duplicates = duplicate_filter(pool, filled, job.originals, templates, job.settings.min_distance)
    support = folder.column("support") if job.settings.criteria else None
    person = folder.column("person") if job.settings.body_rate else None
    lowest = folder.column("lowest") if job.settings.settle else None
    given = folder.donors()
    donors = None if given is None else Donors(GenePool(job.tree, given[0]), given[1])
    return Parents(pool, rows, cumulative, templates, duplicates, support, person, lowest, job.device, donors)


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch on one thread: batches are too small to share, and sums have one order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
