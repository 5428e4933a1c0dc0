"""What the store of a run tells of the run: which rows were the originals, from whom everybody descends, and who may be parents.

With it candidates can be bred as the run bred them: from the rows that were there before a generation, at its place
in the random stream, they are the run's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float32, Int32, Int64

from evolift.evolution.criteria.ground import lowest_joint, supports
from evolift.evolution.job.breeding import OPERATORS, Parents
from evolift.evolution.job.coverage import posture_cells
from evolift.evolution.kinematics.gene_pool import GenePool
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.kinematics.local_bones import to_local
from evolift.evolution.limits.joint_limits import JointLimits
from evolift.evolution.operators.length_templates import length_templates
from evolift.posedata.errors import StoreError
from evolift.posedata.store import PoseStore

READ_ROWS = 65536


@dataclass(frozen=True, eq=False)
class BredStore:
    """Lineage and bodies of a store that `evolve` wrote.

    Args:
        originals: rows of the source, the first ones.
        parent_a: of each row, itself for originals.
        ancestor: row of the original that each body descends from.
        labels: operators of each row, joined by "+"; empty for originals.
        subject: of each original.
        templates: bone lengths of the subjects, mm.
        person: row of these of each original.
        support: height that each original stands on, mm.
        growth: per generation of the run the columns `generation`, `new poses` and `different postures` so far.
    """

    originals: int
    parent_a: Int64[np.ndarray, "rows"]
    ancestor: Int64[np.ndarray, "rows"]
    labels: pd.Categorical
    subject: pd.Categorical
    templates: Float32[np.ndarray, "subjects bones"]
    person: Int64[np.ndarray, "originals"]
    support: Float32[np.ndarray, "originals"]
    growth: pd.DataFrame

    @property
    def children(self) -> Int64[np.ndarray, "children"]:
        """Rows of the children."""
        return np.arange(self.originals, len(self.parent_a))

    def made_by(self, operator: str) -> Bool[np.ndarray, "rows"]:
        """Which rows an operator has changed; one of `OPERATORS`."""
        names = [str(label).split("+") for label in self.labels.categories]
        has = np.array([operator in label for label in names], bool)
        changed: Bool[np.ndarray, "rows"] = has[self.labels.codes]
        return changed

    def parents(self, store: PoseStore, rows: Int64[np.ndarray, "members"], limits: JointLimits) -> Parents:
        """Rows of the store as parents, with the bodies and grounds that the run knew them by.

        Args:
            store: the same one.
            rows: ascending; those of originals that break the limits are left out, as the run does.
        """
        joints = store.read(rows).joints_3d
        assert joints is not None  # `read_bred` has seen them
        measured = to_local(limits.tree, torch.from_numpy(joints))
        keeps = limits.check_measured(measured).all(-1).numpy() | (rows >= self.originals)
        pool = GenePool.in_memory(limits.tree, len(rows))
        pool.put(0, measured)
        ancestor = self.ancestor[rows]
        person: Int32[np.ndarray, "members"] = self.person[ancestor].astype(np.int32)
        return Parents(
            pool,
            np.flatnonzero(keeps),
            templates=self.templates,
            support=self.support[ancestor],
            person=person,
        )


def read_bred(store: PoseStore, tree: KinematicTree) -> BredStore:
    """Read it, in one pass.

    Raises:
        StoreError: it holds no children.
    """
    refusal = StoreError(f"{store.path}: it holds no children, so there is nothing to preview")
    report = store.provenance.parameters.get("report")
    originals = report.get("originals") if isinstance(report, dict) else None
    if not isinstance(originals, int) or not originals < len(store):
        raise refusal
    seen: set[int] = set()
    counts: dict[int, tuple[int, int]] = {}
    subjects, actions, lengths, lowest, mothers, labels = [], [], [], [], [], []
    start = 0
    for poses in store.batches(READ_ROWS):
        if poses.joints_3d is None or poses.lineage is None:
            raise refusal
        measured = to_local(tree, torch.from_numpy(poses.joints_3d))
        numbers = posture_cells(measured, tree).numpy()
        ours = max(0, min(len(poses), originals - start))
        born = poses.lineage.generation.copy()
        born[:ours] = 0  # of this run; they may have been bred by another one
        for generation in np.unique(born):
            members = born == generation
            seen |= set(np.unique(numbers[members]).tolist())
            before = counts.get(int(generation), (0, 0))[0]
            counts[int(generation)] = (before + int(members.sum()), len(seen))
        mothers.append(poses.lineage.parent_a)
        labels.append(poses.lineage.operator)
        if ours:
            subjects.append(poses.subject[:ours])
            actions.append(poses.action[:ours])
            lengths.append(measured.lengths[:ours].numpy())
            lowest.append(lowest_joint(poses.joints_3d[:ours]))
        start += len(poses)
    subject, action = (pd.api.types.union_categoricals(parts) for parts in (subjects, actions))
    parent = np.concatenate(mothers)
    parent[:originals] = np.arange(originals)
    templates, person = length_templates(np.concatenate(lengths), subject, tree)
    growth = pd.DataFrame(
        [(number, new, postures) for number, (_, (new, postures)) in enumerate(sorted(counts.items()))],
        columns=["generation", "new poses", "different postures"],
    )
    return BredStore(
        originals,
        parent,
        _ancestors(parent, originals),
        pd.api.types.union_categoricals(labels),
        subject,
        templates,
        person,
        supports(np.concatenate(lowest), subject, action),
        growth,
    )


def _ancestors(parent: Int64[np.ndarray, "rows"], originals: int) -> Int64[np.ndarray, "rows"]:
    # Parents come before their children, and originals are their own: each round doubles the way back.
    ancestor: np.ndarray = parent
    while (ancestor >= originals).any():
        ancestor = ancestor[ancestor]
    return ancestor


def operators_in_words(label: str) -> str:
    """`crossover+mutation+mirror` as "crossover, mutation and mirror"."""
    names = [name for name in label.split("+") if name in OPERATORS]
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]])) if names else "nothing"
