"""A part of a pose store as a store of its own, for splits that no later step can mix up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from evolift.posedata.errors import InputError
from evolift.posedata.frame_rate import rows_per_second
from evolift.posedata.joint_mapping import VISIBLE, JointMapping, mapping_between
from evolift.posedata.output_file import check_output, sha256_of
from evolift.posedata.poses import Poses
from evolift.posedata.predictions.levelled_poses import PARAMETER, is_predicted
from evolift.posedata.progress import Progress, no_progress
from evolift.posedata.skeleton import Skeleton
from evolift.posedata.store import PoseStore, PoseStoreWriter, Provenance

READ_ROWS = 65536


def select_rows(
    source: Path,
    target: Path,
    *,
    subjects: Sequence[str] = (),
    actions: Sequence[str] = (),
    without_subjects: Sequence[str] = (),
    without_actions: Sequence[str] = (),
    share: float = 1.0,
    seed: int = 0,
    complement: bool = False,
    skeleton: Skeleton | None = None,
    implausible: bool = False,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> int:
    """Copy the rows of some subjects and actions.

    Cameras stay; images stay where they are. Evolved stores are refused: children carry limbs of poses that the choice
    may leave out, so rows are chosen first and evolved then.

    Args:
        source, target: the stores.
        subjects, actions: keep only these; all if empty.
        without_subjects, without_actions: leave these out.
        share: of the rows that are left, keep this share, chosen at random and at least one, in their order.
        seed: of that choice.
        complement: keep the rows that the same share and seed leave out, for a split into two stores.
        skeleton: convert the joints to this one; None keeps the store's.
        implausible: accept poses that do not look like people's in millimetres with z up, and mark the target so that it is accepted
            everywhere.
        overwrite: replace an existing target.
        progress: counts rows read.

    Returns:
        How many rows were kept.

    Raises:
        InputError: a name is not in the store, no row is left, some rows were bred, or no mapping to the skeleton is declared.
        StoreError, OutputError: a file is not sound, or cannot be written.
    """
    parameters: dict[str, object] = {
        "subjects": list(subjects),
        "actions": list(actions),
        "without_subjects": list(without_subjects),
        "without_actions": list(without_actions),
        "share": share,
        "seed": seed,
        "complement": complement,
        "skeleton": None if skeleton is None else skeleton.name,
    }
    check_output(target, overwrite=overwrite, inputs=[source])
    with PoseStore(source, implausible=implausible) as store:
        table = store.table()
        if "generation" in table and (table["generation"] > 0).any():
            raise InputError(
                f"{source}: it has evolved poses, which mix subjects and actions: select from the store they were bred from, and evolve the selection"
            )
        keep = np.ones(len(table), bool)
        for column, wanted, unwanted in (
            ("subject", subjects, without_subjects),
            ("action", actions, without_actions),
        ):
            _check_names(source, table, column, [*wanted, *unwanted])
            if wanted:
                keep &= table[column].isin(wanted).to_numpy()
            keep &= ~table[column].isin(unwanted).to_numpy()
        if not keep.any():
            raise InputError(f"{source}: no row is of the chosen subjects and actions: choose others")
        rows = np.flatnonzero(keep)
        shuffled, chosen = np.random.default_rng(seed).permutation(rows), max(1, round(share * len(rows)))
        keep[shuffled[:chosen] if complement else shuffled[chosen:]] = False
        if not keep.any():
            raise InputError(f"{source}: the `share` is all of it, so its `complement` has no row: take less")
        if is_predicted(store):
            parameters[PARAMETER] = store.provenance.parameters[PARAMETER]
        if share == 1 and (rate := rows_per_second(store.provenance)) is not None:
            parameters["frames_per_second"] = rate  # what is chosen at random has none
        provenance = Provenance("evolift data select", parameters, None, {source.name: sha256_of(source)})
        image_root = str(store.image_folder.resolve()) if "image" in store.columns else ""
        mapping = mapping_between(store.skeleton, skeleton or store.skeleton)
        with PoseStoreWriter(
            target,
            mapping.target,
            store.coordinate_frame,
            provenance,
            cameras=store.cameras,
            image_root=image_root,
            unlabelled=mapping.lacking(store.unlabelled) if "joints_3d" in store.columns else (),
            implausible=store.accepted,
            overwrite=overwrite,
        ) as writer:
            start = 0
            for poses in store.batches(READ_ROWS):
                writer.append(_converted(_without_lineage(poses)[keep[start : start + len(poses)]], mapping))
                start += len(poses)
                progress(len(poses))
    return int(keep.sum())


def _without_lineage(poses: Poses) -> Poses:
    # Rows that were not bred have none to lose.
    return Poses(**{name: value for name, value in vars(poses).items() if name != "lineage"})


def _converted(poses: Poses, mapping: JointMapping) -> Poses:
    if mapping.source == mapping.target or not len(poses):
        return poses
    joints = poses.joints_3d
    if joints is not None:
        given = np.isfinite(joints).all(-1).astype(np.uint8) * VISIBLE
        joints, _ = mapping.convert(joints, given)
    if poses.joints_2d is None or poses.visibility is None:
        return replace(poses, joints_3d=joints)
    pixels, visibility = mapping.convert(poses.joints_2d, poses.visibility)
    return replace(poses, joints_3d=joints, joints_2d=pixels, visibility=visibility)


def _check_names(source: Path, table: pd.DataFrame, column: str, names: Sequence[str]) -> None:
    known = {str(name) for name in table[column].cat.categories}
    unknown = sorted(set(names) - known)
    if unknown:
        raise InputError(f"{source}: there is no {column} {unknown[0]!r}: it has {', '.join(sorted(known))}")
