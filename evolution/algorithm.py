r"""Algorithm 1 from store to store: a population grows by generations of valid children.

.. math:: D_{g+1} = D_g \cup \mathrm{NaturalSelection}(\mathrm{Mutation}(\mathrm{Crossover}(\mathrm{Sample}(D_g))))

The result holds the source's rows first, as they were, with generation 0 (or the generation they had), then the children
in the order of their generations, each with its parents' rows and the operators that made it. A child has the subject,
action and frame number of its first parent, whose body (root place, heading, bone lengths) it keeps. Its limbs may
be those of another subject: evolve training subjects only if you want to test on the others.

Reference: Li et al., Cascaded deep monocular 3D human pose estimation with evolutionary training data, CVPR 2020.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int64

from evolution.breeding import OPERATOR_LABELS, Children, Tally, breed
from evolution.joint_limits import JointLimits
from evolution.kinematic_tree import KinematicTree
from evolution.limit_sources import limits_by_name, limits_file
from evolution.settings import EvolutionSettings
from posedata.errors import InputError, StoreError
from posedata.output_file import check_output, sha256_of
from posedata.poses import Lineage, Poses, labelled
from posedata.store import PoseStore, PoseStoreWriter, Provenance

BLOCK = 16384
"""Children of a block. Part of the random stream: changing it changes every result."""
READ_ROWS = 65536


@dataclass(frozen=True)
class EvolutionReport:
    """What a run did.

    Args:
        originals: poses of the source.
        originals_within_limits: those of them that keep the limits and so may be parents.
        children: poses bred.
        generations: what selection did, in order.
    """

    originals: int
    originals_within_limits: int
    children: int
    generations: tuple[Tally, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for provenance and JSON."""
        return asdict(self)

    def table(self) -> pd.DataFrame:
        """One row per generation: candidates, unchanged, refused, and share refused."""
        return pd.DataFrame(
            {
                "generation": number,
                "candidates": tally.candidates,
                "unchanged": tally.unchanged,
                "refused": tally.refused,
                "refused_share": tally.refused / max(tally.candidates, 1),
            }
            for number, tally in enumerate(self.generations, 1)
        )


@dataclass(frozen=True, eq=False)
class _Population:
    """All poses bred so far; arrays have room for the whole result."""

    joints: Float[np.ndarray, "rows joints 3"]
    subject: pd.Categorical
    action: pd.Categorical
    frame: Int64[np.ndarray, "originals"]
    ancestor: Int64[np.ndarray, "rows"]  # the original whose labels a row has
    valid_originals: Int64[np.ndarray, "members"]


def evolve(
    source: Path,
    target: Path,
    settings: EvolutionSettings,
    *,
    overwrite: bool = False,
    progress: Callable[[int], None] | None = None,
    command: str = "evolift evolve",
) -> EvolutionReport:
    """Grow a pose store.

    Args:
        source: store of 3D poses in the world frame.
        target: store to write.
        settings: all that changes the result.
        overwrite: replace `target` if it exists.
        progress: called with the number of children made since the last call.
        command: for provenance.

    Raises:
        StoreError: the source is not sound, or its poses are not 3D in the world frame.
        InputError: its skeleton has no kinematic tree, fewer than two poses keep the limits, or nearly all children are
            refused.
        OutputError: the target exists, or cannot be written.
    """
    check_output(target, overwrite=overwrite)
    with PoseStore(source) as store:
        _require_world(store)
        tree = KinematicTree(store.skeleton)
        limits = limits_by_name(settings.limits, tree)
        size = settings.size_from(len(store))
        inputs = _hashes(source, limits_file(settings.limits))
        provenance = Provenance(command, settings.to_dict(), settings.seed, inputs)
        with PoseStoreWriter(target, store.skeleton, "world", provenance, overwrite=overwrite) as writer:
            population, first_generation = _copy_originals(store, writer, limits, size)
            tallies = _grow(population, writer, limits, settings, first_generation, progress)
            report = EvolutionReport(
                len(store), len(population.valid_originals), size - len(store), tuple(tallies)
            )
            parameters = provenance.parameters | {"report": report.to_dict()}
            writer.provenance = replace(provenance, parameters=parameters)
    return report


def _hashes(*files: Path | None) -> dict[str, str]:
    return {file.name: sha256_of(file) for file in files if file is not None}


def _require_world(store: PoseStore) -> None:
    if store.coordinate_frame == "none":
        raise StoreError(f"{store.path}: it has no 3D poses, so there is nothing to evolve")
    if store.coordinate_frame != "world":
        raise StoreError(
            f"{store.path}: its poses are in the camera frame, evolution needs the world frame with z up: import the store without cameras"
        )


def _copy_originals(
    store: PoseStore, writer: PoseStoreWriter, limits: JointLimits, size: int
) -> tuple[_Population, int]:
    """Write the source's rows and set the population up; also the number of the first new generation."""
    joints = np.empty((size, len(store.skeleton), 3), np.float32)
    parts, valid, last_generation, start = [], [], 0, 0
    for poses in store.batches(READ_ROWS):
        if poses.joints_3d is None:
            raise StoreError(f"{store.path}: the dataset /poses/joints_3d is missing")
        lineage = poses.lineage or Lineage.unbred(len(poses))
        kept = Poses(poses.subject, poses.action, poses.frame, poses.joints_3d, lineage=lineage)
        writer.append(kept)
        joints[start : start + len(poses)] = poses.joints_3d
        valid.append(limits.accepts(torch.from_numpy(poses.joints_3d)).numpy())
        last_generation = max(last_generation, int(lineage.generation.max()))
        parts.append((poses.subject, poses.action, poses.frame))
        start += len(poses)
    subjects, actions, frames = zip(*parts, strict=True)
    population = _Population(
        joints,
        pd.api.types.union_categoricals(subjects),
        pd.api.types.union_categoricals(actions),
        np.concatenate(frames),
        np.concatenate([np.arange(start), np.empty(size - start, np.int64)]),
        _parents(np.concatenate(valid), store.path, limits),
    )
    return population, last_generation + 1


def _parents(
    valid: Bool[np.ndarray, "rows"], path: Path, limits: JointLimits
) -> Int64[np.ndarray, "members"]:
    rows: np.ndarray = np.flatnonzero(valid)
    if len(rows) < 2:
        raise InputError(
            f"{path}: {len(rows)} of its {len(valid)} poses keep the limits {limits.name!r}, evolution needs at least two parents: see `evolift limits check`"
        )
    return rows


def _grow(
    population: _Population,
    writer: PoseStoreWriter,
    limits: JointLimits,
    settings: EvolutionSettings,
    first_generation: int,
    progress: Callable[[int], None] | None,
) -> list[Tally]:
    originals, size = len(population.frame), len(population.joints)
    tallies, filled = [], originals
    parents = population.valid_originals
    for number in range(settings.generations):
        end = originals + (size - originals) * (number + 1) // settings.generations
        tally, start = Tally(), filled
        for block, block_start in enumerate(range(start, end, BLOCK)):
            quota = min(BLOCK, end - block_start)
            children = breed(population.joints, parents, quota, limits, settings, (number, block))
            _keep(population, writer, children, block_start, first_generation + number)
            tally.add(children.tally)
            if progress is not None:
                progress(quota)
        tallies.append(tally)
        filled = end
        parents = np.concatenate([parents, np.arange(start, end)])
    return tallies


def _keep(
    population: _Population, writer: PoseStoreWriter, children: Children, start: int, generation: int
) -> None:
    """Write a block of children and let them take their place in the population."""
    end = start + len(children.joints)
    population.joints[start:end] = children.joints
    ancestor = population.ancestor[children.parent_a]
    population.ancestor[start:end] = ancestor
    lineage = Lineage(
        np.full(end - start, generation, np.int32),
        children.parent_a,
        children.parent_b,
        labelled(children.operator.astype(np.int32), OPERATOR_LABELS),
    )
    writer.append(
        Poses(
            population.subject[ancestor],
            population.action[ancestor],
            population.frame[ancestor],
            children.joints,
            lineage=lineage,
        )
    )
