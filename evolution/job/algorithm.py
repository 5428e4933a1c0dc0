r"""Algorithm 1 from store to store: a population grows by generations of valid children.

.. math:: D_{g+1} = D_g \cup \mathrm{NaturalSelection}(\mathrm{Mutation}(\mathrm{Crossover}(\mathrm{Sample}(D_g))))

The result holds the source's rows first, as they were, with generation 0 (or the generation they had), then the children
in the order of their generations, each with its parents' rows and the operators that made it. A child has the subject,
action and frame number of its first parent, whose body (root place, heading, bone lengths) it keeps unless an operator says
otherwise. Its limbs may be those of another subject: evolve training subjects only if you want to test on the others.

Reference: Li et al., Cascaded deep monocular 3D human pose estimation with evolutionary training data, CVPR 2020.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Int64

from evolift.evolution.criteria.criterion_sources import criteria_by_names
from evolift.evolution.criteria.ground import lowest_joint, supports
from evolift.evolution.job.block_workers import Block, BlockWorkers, Job, one_thread
from evolift.evolution.job.breeding import OPERATOR_LABELS, Tally, tally_table
from evolift.evolution.job.donor_stores import check_donors, write_donors
from evolift.evolution.job.originals_check import SAMPLE, complaint
from evolift.evolution.job.work_folder import WorkFolder
from evolift.evolution.kinematics.gene_pool import GenePool, pack
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.kinematics.local_bones import to_local
from evolift.evolution.limits.joint_limits import JointLimits
from evolift.evolution.limits.limit_sources import files_of_limits, joint_limits
from evolift.evolution.operators.length_templates import length_templates
from evolift.evolution.operators.parent_sampling import Score, novelty
from evolift.evolution.operators.parent_sampling import hardness as weigh_by_hardness
from evolift.evolution.settings import EvolutionSettings
from evolift.posedata.device import device_named
from evolift.posedata.errors import InputError, OutputError, StoreError
from evolift.posedata.input_file import FilePath, as_path, as_paths
from evolift.posedata.output_file import check_output, sha256_of
from evolift.posedata.poses import Lineage, Poses, labelled
from evolift.posedata.predictions.levelled_poses import RULE, is_predicted, levelled_or_none, tell_levelled
from evolift.posedata.progress import Progress, no_progress
from evolift.posedata.settings import require_settings
from evolift.posedata.store import PoseStore, PoseStoreWriter, Provenance
from evolift.posedata.store_layout import DONORS

BLOCK = 16384
"""Children of a block, if nothing else is said."""
READ_ROWS = 65536

_log = logging.getLogger(__name__)


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
        """The report as a dictionary of plain values, for provenance and JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> EvolutionReport:
        """The report that `to_dict` gave."""
        generations = tuple(Tally(**tally) for tally in values["generations"])
        return cls(**(values | {"generations": generations}))

    def reasons(self) -> dict[str, int]:
        """Why criteria refused candidates, in all generations, the most frequent first."""
        total = Tally()
        for tally in self.generations:
            total.add(tally)
        return dict(sorted(total.reasons.items(), key=lambda item: -item[1]))

    def table(self) -> pd.DataFrame:
        """One row per generation, see `breeding.tally_table`."""
        return tally_table(self.generations)


@dataclass(frozen=True, eq=False)
class _Originals:
    """Labels of the source's rows, and which of them keep the limits."""

    subject: pd.Categorical
    action: pd.Categorical
    frame: Int64[np.ndarray, "originals"]
    valid: Int64[np.ndarray, "members"]
    next_generation: int


def evolve(
    source: FilePath,
    target: FilePath,
    settings: EvolutionSettings = EvolutionSettings(),
    *,
    overwrite: bool = False,
    resume: bool = False,
    workers: BlockWorkers | None = None,
    hardness: Score | None = None,
    donors: FilePath | Sequence[FilePath] = (),
    further_inputs: Sequence[Path] = (),
    progress: Progress = no_progress,
    block: int = BLOCK,
    device: str = "cpu",
    command: str = "evolift evolve",
) -> EvolutionReport:
    """Grow a pose store.

    Args:
        source: store of 3D poses in the world frame, or of predictions, which are stood up in one
            (`evolift.posedata.predictions.levelled_poses`).
        target: store to write.
        settings: all that changes the result.
        overwrite: replace `target` if it exists, and start anew if an interrupted run left a work folder beside it.
        resume: go on with that work folder if there is one; the result is the same as of an undisturbed run. If this run
            has written `target` already, its report is given.
        workers: who breeds; this process if None. They never change the result.
        hardness: weights of poses for the sampling "hardness"; must give the same weights for the same poses.
        donors: stores whose poses give limbs to children (`EvolutionSettings.donor_rate`); their bodies are not used, and they are
            not in the result. A child of one has a `parent_b` below -1, see `evolift.posedata.store_layout.Provenance.donor_of`.
        further_inputs: files that `hardness` depends on, for provenance; a run is resumed with the same only.
        progress: counts children.
        block: children of a block, at least 1. Part of the random stream: another number gives other children.
        device: where children are bred, as `evolift.posedata.device.device_named` takes it. All chance is drawn on the CPU, so
            children are the same but for rounding, and now and then one that rounding puts on the other side of a limit:
            bytes are the same on the same device.
        command: for provenance.

    Raises:
        StoreError: the source is not sound, or its poses are not 3D in the world frame.
        InputError: its skeleton has no kinematic tree, there is no such device, no pose keeps the limits, nearly all children are
            refused, or the interrupted run had other settings.
        OutputError: the target exists, or cannot be written.
    """
    require_settings("settings", settings, EvolutionSettings)
    source, target = as_path(source, "source"), as_path(target, "target")
    place = str(device_named(device))
    donors = as_paths(donors, "donors")
    inputs = (source, *files_of_limits(settings.limits), *further_inputs, *donors)
    check_output(target, overwrite=overwrite or resume, inputs=inputs)
    if (hardness is None) == (settings.sampling == "hardness"):
        raise InputError('the sampling "hardness" and a function that scores poses must be given together')
    with PoseStore(source) as store:
        require_world(store)
        store.require_labelled("evolution")
        tree = KinematicTree(store.skeleton)
        limits = joint_limits(settings.limits, tree.skeleton)
        criteria_by_names(settings.criteria, tree)
        size = settings.size_from(len(store))
        hashes = {file.name: sha256_of(file) for file in inputs}
        parameters = settings.to_dict() | ({"source_frame": RULE} if is_predicted(store) else {})
        if given := check_donors(donors, store):
            parameters[DONORS] = msgspec.to_builtins(given)
        provenance = Provenance(command, parameters, settings.seed, hashes)
        job = Job(WorkFolder.beside(target), len(store), size, tree, settings, place)
        folder = job.work_folder()
        with folder.lock(target):
            if target.exists() and not overwrite:  # resumed, or finished by another process a moment ago
                report = finished_report(target, provenance, len(store), size) if resume else None
                if report is None and resume:
                    raise OutputError(
                        f"{target} was bred with other settings or of another source: choose another output or add `overwrite`"
                    )
                if report is None:
                    check_output(target, overwrite=False)
                else:
                    _log.warning("%s was finished already: nothing is bred.", target)
                    if folder.path.exists():
                        folder.remove()
                    return report
            folder.start(_identity(provenance, job, block), resume=resume, overwrite=overwrite)
            try:
                with PoseStoreWriter(
                    target,
                    store.skeleton,
                    "world",
                    provenance,
                    implausible=store.accepted,
                    overwrite=overwrite,
                ) as writer:
                    originals = _copy_originals(store, writer, limits, folder)
                    write_donors(donors, store, limits, folder)
                    blocks = _blocks(job, block)
                    tallies = _grow(
                        job, blocks, originals, writer, workers or BlockWorkers(), hardness, progress
                    )
                    report = EvolutionReport(
                        len(store), len(originals.valid), size - len(store), tuple(tallies)
                    )
                    parameters = provenance.parameters | {"report": report.to_dict()}
                    writer.provenance = replace(provenance, parameters=parameters)
            except (InputError, StoreError):
                folder.remove()  # going on would end the same way
                raise
            except (KeyboardInterrupt, SystemExit) as interruption:
                interruption.add_note(
                    f"{folder.path} holds what was bred: the same command with --resume goes on."
                )
                raise
            folder.remove()
    return report


def finished_report(
    target: Path, provenance: Provenance, originals: int, size: int
) -> EvolutionReport | None:
    """The report of a store that this very run has written; None if it is another one."""
    try:
        with PoseStore(target) as store:
            written = store.provenance
            told = dict(written.parameters)
            report = EvolutionReport.from_dict(told.pop("report"))
            is_same = replace(written, parameters=told) == _plain(provenance)
            return report if is_same and len(store) == size and report.originals == originals else None
    except (StoreError, KeyError, TypeError):
        return None


def _plain(provenance: Provenance) -> Provenance:
    return Provenance(**json.loads(json.dumps(vars(provenance), default=str)))


def _identity(provenance: Provenance, job: Job, block: int) -> dict[str, Any]:
    """All that the bytes of the result depend on, as plain values."""
    values = {
        **provenance.parameters,
        "seed": provenance.seed,
        "source": provenance.inputs,
        "size": job.size,
        "block": block,
        "device": job.device,
        "version": provenance.version,
    }
    same: dict[str, Any] = json.loads(json.dumps(values))
    return same


def require_world(store: PoseStore) -> None:
    """Refuse a store whose poses evolution cannot take.

    Raises:
        StoreError: they are not 3D, or in the frames of cameras and no predictions.
    """
    if store.coordinate_frame == "none":
        raise StoreError(f"{store.path}: it has no 3D poses, so there is nothing to evolve")
    if store.coordinate_frame != "world" and not is_predicted(store):
        raise StoreError(
            f"{store.path}: its poses are in the camera frame, evolution needs the world frame with z up: import the store without cameras"
        )


def _copy_originals(
    store: PoseStore, writer: PoseStoreWriter, limits: JointLimits, folder: WorkFolder
) -> _Originals:
    """Write the source's rows and put their genes into the work folder."""
    parts, kept, lengths, lowest, some = [], [], [], [], []
    last_generation, start = 0, 0
    every = -(-len(store) // SAMPLE)
    levelled = levelled_or_none(store)
    for stored in store.batches(READ_ROWS):
        poses = stored if levelled is None else replace(stored, joints_3d=levelled.joints(stored))
        if poses.joints_3d is None:
            raise StoreError(f"{store.path}: the dataset /poses/joints_3d is missing")
        lineage = poses.lineage or Lineage.unbred(len(poses))
        writer.append(Poses(poses.subject, poses.action, poses.frame, poses.joints_3d, lineage=lineage))
        with one_thread():
            measured = to_local(limits.tree, torch.from_numpy(poses.joints_3d))
            kept.append(limits.check_measured(measured).numpy())
        some.append(poses.joints_3d[::every])
        lengths.append(measured.lengths.numpy())
        folder.write("genes", start, pack(measured).numpy())
        lowest.append(lowest_joint(poses.joints_3d))
        last_generation = max(last_generation, int(lineage.generation.max()))
        parts.append((poses.subject, poses.action, poses.frame))
        start += len(poses)
    subjects, actions, frames = zip(*parts, strict=True)
    valid: np.ndarray = np.concatenate([part.all(1) for part in kept])
    said = complaint(np.concatenate(some), np.concatenate(kept), limits)
    if said is not None:
        _log.warning("%s: %s", store.path, said)
    tell_levelled(store)
    members = _parents(valid, store.path, limits)
    if len(members) == 1:
        _log.warning(
            "%s: one pose has nobody to be crossed with: the first generation is bred by the other operators alone",
            store.path,
        )
    subject = pd.api.types.union_categoricals(subjects)
    action = pd.api.types.union_categoricals(actions)
    templates, person = length_templates(np.concatenate(lengths), subject, limits.tree)
    folder.write_parents(members, templates)
    folder.write("person", 0, person)
    folder.write("lowest", 0, np.concatenate(lowest))
    folder.write("support", 0, supports(np.concatenate(lowest), subject, action))
    return _Originals(
        subject,
        action,
        np.concatenate(frames),
        members,
        last_generation + 1,
    )


def _parents(
    valid: Bool[np.ndarray, "rows"], path: Path, limits: JointLimits
) -> Int64[np.ndarray, "members"]:
    rows: np.ndarray = np.flatnonzero(valid)
    if not len(rows):
        raise InputError(
            f"{path}: 0 of its {len(valid)} poses keep the limits {limits.name!r}, and evolution needs a parent: see `evolift limits check`, or choose wider limits"
        )
    return rows


def _blocks(job: Job, size: int) -> Iterator[list[Block]]:
    """The blocks of each generation, of so many children but the last."""
    generations, children = job.settings.generations, job.size - job.originals
    filled = job.originals
    for generation in range(generations):
        end = job.originals + children * (generation + 1) // generations
        yield [
            Block(generation, number, filled, start, min(size, end - start))
            for number, start in enumerate(range(filled, end, size))
        ]
        filled = end


def _grow(
    job: Job,
    generations: Iterable[list[Block]],
    originals: _Originals,
    writer: PoseStoreWriter,
    workers: BlockWorkers,
    hardness: Score | None,
    progress: Progress,
) -> list[Tally]:
    """Breed all generations, and write each block as soon as it and those before it are there."""
    folder = job.work_folder()
    done = folder.finished()
    ancestor = np.arange(job.size)
    tallies = []
    late: Block | None = None
    progress(0)
    for generation, blocks in enumerate(generations):
        total = Tally()
        if any((generation, block.number) not in done for block in blocks):
            _weigh(job, blocks[0].filled, generation, hardness)
        bred = workers.breed(job, [block for block in blocks if (generation, block.number) not in done])
        for block in blocks:
            tally = done.get((generation, block.number))
            if tally is None:
                tally = next(bred)
                folder.log(generation, block.number, tally)
            total.add(tally)
            # One block behind: when a generation's last is bred, the workers have the next before it is written.
            if late is not None:
                _write_block(folder, late, writer, originals, ancestor)
                progress(late.quota)
            late = block
        tallies.append(total)
    if late is not None:
        _write_block(folder, late, writer, originals, ancestor)
        progress(late.quota)
    return tallies


def _weigh(job: Job, filled: int, generation: int, hardness: Score | None) -> None:
    """Store the weights of the parents of a generation, if they are not all the same."""
    if job.settings.sampling == "uniform":
        return
    folder = job.work_folder()
    pool = GenePool(job.tree, folder.column("genes"))
    rows = folder.parents(job.originals, filled)
    with one_thread():
        if hardness is not None:
            scores = weigh_by_hardness(pool, rows, hardness)
        else:
            scores = novelty(pool, rows, job.settings.seed, generation)
    weights = np.zeros(filled)
    weights[rows] = scores
    folder.write("weight", 0, weights)


def _write_block(
    folder: WorkFolder,
    block: Block,
    writer: PoseStoreWriter,
    originals: _Originals,
    ancestor: Int64[np.ndarray, "rows"],
) -> None:
    """Write a block of children with the labels of the originals that their bodies come from."""
    start, end = block.start, block.start + block.quota
    # Read, not mapped: pages of a mapping would pile up in memory.
    parent_a, parent_b = (folder.read(name, start, end) for name in ("parent_a", "parent_b"))
    ancestor[start:end] = ancestor[parent_a]
    label = ancestor[start:end]
    lineage = Lineage(
        np.full(block.quota, originals.next_generation + block.generation, np.int32),
        parent_a,
        parent_b,
        labelled(folder.read("operator", start, end).astype(np.int32), OPERATOR_LABELS),
    )
    joints = folder.read("joints", start, end).reshape(block.quota, -1, 3)
    writer.append(
        Poses(
            originals.subject[label], originals.action[label], originals.frame[label], joints, lineage=lineage
        )
    )
