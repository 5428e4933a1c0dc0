"""Evolution of motion from store to store: clips instead of poses, by the same job.

The result holds the source's rows first, as they were, then the children, clip after clip: each has `clip_frames` rows with the subject
and the frame numbers of the clip that its body descends from, and an action of its own, ACTION_child_ROW with the row at which it
begins. So every reader of clips takes them for what they are. The lineage of a row is by frames: `parent_a` is the row of the first
parent that is shown there, `parent_b` that of the second one, aligned in tempo.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor

from evolift.evolution.clips.breeding import OPERATOR_LABELS
from evolift.evolution.clips.clip_job import ClipJob
from evolift.evolution.clips.feet import ankles_of
from evolift.evolution.clips.settings import ClipSettings, require_of_clips
from evolift.evolution.clips.speed_limits import SpeedLimits, peaks_of
from evolift.evolution.clips.windows import Windows, rate_of_store, windows_of
from evolift.evolution.job.algorithm import EvolutionReport, finished_report, require_world
from evolift.evolution.job.block_workers import Block, BlockWorkers, one_thread
from evolift.evolution.job.breeding import Tally
from evolift.evolution.job.work_folder import WorkFolder
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.kinematics.local_bones import to_local
from evolift.evolution.limits.joint_limits import JointLimits
from evolift.evolution.limits.limit_sources import files_of_limits, joint_limits
from evolift.evolution.operators.length_templates import length_templates
from evolift.evolution.settings import EvolutionSettings
from evolift.posedata.errors import InputError, StoreError
from evolift.posedata.exporters.sequences import child_action, sequences_of
from evolift.posedata.input_file import FilePath, as_path
from evolift.posedata.output_file import check_output, sha256_of
from evolift.posedata.poses import Lineage, Poses, labelled
from evolift.posedata.predictions.levelled_poses import RULE, is_predicted, levelled_or_none
from evolift.posedata.progress import Progress, no_progress
from evolift.posedata.settings import require_settings
from evolift.posedata.store import PoseStore, PoseStoreWriter, Provenance

BLOCK = 256
"""Children of a block, if nothing else is said."""
READ_ROWS = 65536
MEASURED = 512
"""Windows measured at a time."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class _Originals:
    """The source: its labels by row, its windows, which of them may be parents, and what is fitted to them."""

    subject: pd.Categorical
    action: pd.Categorical
    frame: Int64[np.ndarray, "rows"]
    joints: Float32[np.ndarray, "rows joints 3"]
    next_generation: int
    windows: Windows
    valid: Bool[np.ndarray, "windows"]
    speeds: SpeedLimits
    templates: Float32[np.ndarray, "subjects bones"]
    person: Int64[np.ndarray, "windows"]


def evolve_clips(
    source: FilePath,
    target: FilePath,
    settings: EvolutionSettings = EvolutionSettings(),
    clips: ClipSettings = ClipSettings(),
    *,
    overwrite: bool = False,
    resume: bool = False,
    workers: BlockWorkers | None = None,
    progress: Progress = no_progress,
    block: int = BLOCK,
    command: str = "evolift evolve --clips",
) -> EvolutionReport:
    """Grow a store by children of its clips.

    Args:
        source: store of clips in the world frame, or of predictions of videos.
        target: store to write.
        settings: what evolution of poses and of clips have in common; the size counts poses.
        clips: the rest.
        overwrite, resume, workers, progress: as of `evolift.evolution.job.algorithm.evolve`; `progress` counts clips.
        block: children of a block. Part of the random stream: another number gives other children.
        command: for provenance.

    Returns:
        What the run did, counted in clips.

    Raises:
        StoreError: the source is not sound, or its poses are not 3D in the world frame.
        InputError: its rate is not known, or not one; no clip is long enough, or keeps the limits; nearly all children are refused; or a setting is of single
            poses.
        OutputError: the target exists, or cannot be written.
    """
    require_settings("settings", settings, EvolutionSettings)
    require_settings("clips", clips, ClipSettings)
    require_of_clips(settings)
    source, target = as_path(source, "source"), as_path(target, "target")
    inputs = (source, *files_of_limits(settings.limits))
    check_output(target, overwrite=overwrite or resume, inputs=inputs)
    with PoseStore(source) as store:
        require_world(store)
        store.require_labelled("evolution")
        tree = KinematicTree(store.skeleton)
        limits = joint_limits(settings.limits, tree.skeleton)
        ankles_of(tree)
        clips = clips.replaced(frames_per_second=rate_of_store(store, clips.frames_per_second))
        children = number_of_children(settings, clips, len(store))
        originals = _originals(store, limits, clips)
        windows = len(originals.valid)
        folder_path = WorkFolder.beside(target)
        job = ClipJob(
            folder_path, len(store), windows, windows + children, tree, settings, clips, originals.speeds
        )
        hashes = {file.name: sha256_of(file) for file in inputs}
        parameters: dict[str, Any] = settings.to_dict() | clips.to_dict()
        parameters |= {"source_frame": RULE} if is_predicted(store) else {}
        parameters["speed_limits"] = asdict(originals.speeds)
        provenance = Provenance(command, parameters, settings.seed, hashes)
        folder, size = job.work_folder(), len(store) + children * clips.clip_frames
        with folder.lock(target):
            if target.exists() and not overwrite:  # resumed, or finished by another process a moment ago
                report = finished_report(target, provenance, windows, size) if resume else None
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
                    _write_originals(store, originals, writer, folder)
                    tallies = _grow(job, block, originals, writer, workers or BlockWorkers(), progress)
                    report = EvolutionReport(windows, int(originals.valid.sum()), children, tuple(tallies))
                    writer.provenance = replace(
                        provenance, parameters=parameters | {"report": report.to_dict()}
                    )
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


def number_of_children(settings: EvolutionSettings, clips: ClipSettings, rows: int) -> int:
    """How many clips bring a source of so many rows nearest to the size asked for, at least one.

    Raises:
        InputError: the target size is not larger than the source.
    """
    return max(round((settings.size_from(rows) - rows) / clips.clip_frames), 1)


def _identity(provenance: Provenance, job: ClipJob, block: int) -> dict[str, Any]:
    """All that the bytes of the result depend on, as plain values."""
    values = {
        **provenance.parameters,
        "source": provenance.inputs,
        "size": job.size,
        "block": block,
        "version": provenance.version,
    }
    same: dict[str, Any] = json.loads(json.dumps(values))
    return same


def _originals(store: PoseStore, limits: JointLimits, clips: ClipSettings) -> _Originals:
    windows = windows_of(store, sequences_of(store), clips.clip_frames)
    if windows.left_out:
        _log.warning(
            "%s: %d clips have fewer than %d frames in a row and are nobody's parents, first %s",
            store.path,
            len(windows.left_out),
            clips.clip_frames,
            windows.left_out[0],
        )
    levelled = levelled_or_none(store)
    subjects, actions, joints, last_generation = [], [], [], 0
    for poses in store.batches(READ_ROWS):
        assert poses.joints_3d is not None  # of a store in the world
        joints.append(poses.joints_3d if levelled is None else levelled.joints(poses))
        subjects.append(poses.subject)
        actions.append(poses.action)
        if poses.lineage is not None:
            last_generation = max(last_generation, int(poses.lineage.generation.max()))
    every = np.concatenate(joints)
    subject, action = (pd.api.types.union_categoricals(parts) for parts in (subjects, actions))
    valid, peaks, lengths = _measured(every, windows, limits, clips)
    if not valid.any():
        raise InputError(
            f"{store.path}: 0 of its {len(valid)} clips of {clips.clip_frames} frames keep the limits {limits.name!r} in every frame, and evolution needs a parent: see `evolift limits check`, lower `clip_frames`, or choose wider limits"
        )
    if valid.sum() == 1:
        _log.warning("%s: one clip has nobody to be crossed with", store.path)
    templates, person = length_templates(lengths, subject[windows.rows.ravel()], limits.tree)
    return _Originals(
        subject, action, store.table()["frame"].to_numpy(np.int64), every, last_generation + 1, windows, valid,
        SpeedLimits.fitted(limits.tree, peaks, clips.speed_quantile), templates, person.reshape(windows.rows.shape)[:, 0],
    )  # fmt: skip


def _measured(
    joints: Float32[np.ndarray, "rows joints 3"], windows: Windows, limits: JointLimits, clips: ClipSettings
) -> tuple[Bool[np.ndarray, "windows"], list[tuple[Tensor, Tensor]], Float32[np.ndarray, "frames bones"]]:
    """Which windows keep the limits in every frame, the peaks of those, and the bone lengths of all their frames."""
    assert clips.frames_per_second is not None  # the run gives it
    valid, peaks, lengths = [], [], []
    with one_thread():
        for start in range(0, len(windows.rows), MEASURED):
            rows = windows.rows[start : start + MEASURED]
            bones = to_local(limits.tree, torch.from_numpy(joints[rows.ravel()]))
            kept = limits.check_measured(bones).all(-1).reshape(rows.shape).all(1)
            fastest = peaks_of(bones, clips.clip_frames, clips.frames_per_second)
            peaks.append((fastest[0][kept], fastest[1][kept]))
            valid.append(kept.numpy())
            lengths.append(bones.lengths.numpy())
    return np.concatenate(valid), peaks, np.concatenate(lengths)


def _write_originals(
    store: PoseStore, originals: _Originals, writer: PoseStoreWriter, folder: WorkFolder
) -> None:
    """Write the source's rows, and its windows into the work folder."""
    start = 0
    for poses in store.batches(READ_ROWS):
        rows = slice(start, start + len(poses))
        lineage = poses.lineage or Lineage.unbred(len(poses))
        writer.append(
            Poses(poses.subject, poses.action, poses.frame, originals.joints[rows], lineage=lineage)
        )
        start += len(poses)
    for window, rows_of in enumerate(originals.windows.rows):
        folder.write("joints", window, originals.joints[rows_of])
    folder.write("rows", 0, originals.windows.rows)
    folder.write("person", 0, originals.person)
    folder.write_parents(np.flatnonzero(originals.valid), originals.templates)


def _blocks(job: ClipJob, size: int) -> Iterator[list[Block]]:
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
    job: ClipJob,
    block_size: int,
    originals: _Originals,
    writer: PoseStoreWriter,
    workers: BlockWorkers,
    progress: Progress,
) -> list[Tally]:
    """Breed all generations, and write each block as soon as it and those before it are there."""
    folder = job.work_folder()
    done = folder.finished()
    ancestor = np.arange(job.size)
    tallies = []
    progress(0)
    for generation, blocks in enumerate(_blocks(job, block_size)):
        total = Tally()
        bred = workers.breed(job, [block for block in blocks if (generation, block.number) not in done])
        for block in blocks:
            tally = done.get((generation, block.number))
            if tally is None:
                tally = next(bred)
                folder.log(generation, block.number, tally)
            _write_block(job, folder, block, writer, originals, ancestor)
            total.add(tally)
            progress(block.quota)
        tallies.append(total)
    return tallies


def _write_block(
    job: ClipJob,
    folder: WorkFolder,
    block: Block,
    writer: PoseStoreWriter,
    originals: _Originals,
    ancestor: Int64[np.ndarray, "clips"],
) -> None:
    """Write a block of children with the labels of the windows that their bodies come from."""
    start, end, frames = block.start, block.start + block.quota, job.clips.clip_frames
    mother, operator, joints, parent_a, parent_b = (
        folder.read(name, start, end) for name in ("mother", "operator", "joints", "parent_a", "parent_b")
    )
    ancestor[start:end] = ancestor[mother]
    rows = originals.windows.rows[ancestor[start:end]]
    named = originals.action[rows[:, 0]]
    labels = [child_action(str(name), job.first_row(start + place)) for place, name in enumerate(named)]
    lineage = Lineage(
        np.full(rows.size, originals.next_generation + block.generation, np.int32),
        parent_a.ravel(),
        parent_b.ravel(),
        labelled(operator.astype(np.int32).repeat(frames), OPERATOR_LABELS),
    )
    writer.append(
        Poses(
            originals.subject[rows.ravel()],
            labelled(np.arange(block.quota, dtype=np.int32).repeat(frames), labels),
            originals.frame[rows.ravel()],
            joints.reshape(rows.size, -1, 3),
            lineage=lineage,
        )
    )
