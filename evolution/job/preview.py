"""A page that shows what a run bred: children beside their parents, refused candidates, and what became of coverage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from evolift.drawing.figures import figure_image, image_sheet, new_figure, plot_curves, plot_directions
from evolift.drawing.report_page import ReportPage
from evolift.evolution.criteria.criterion import Criterion
from evolift.evolution.criteria.criterion_sources import criteria_by_names
from evolift.evolution.criteria.ground import lowest_joint
from evolift.evolution.job.breeding import (
    Candidates,
    Parents,
    Tally,
    judge,
    make_candidates,
    select,
    tally_table,
)
from evolift.evolution.job.coverage import posture_cells
from evolift.evolution.kinematics.gene_pool import GenePool
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.kinematics.local_bones import to_local
from evolift.evolution.limits.joint_limits import JointLimits
from evolift.evolution.limits.limit_sources import joint_limits
from evolift.evolution.pose_images import facing_the_viewer, pose_image
from evolift.evolution.settings import EvolutionSettings
from evolift.posedata.errors import StoreError
from evolift.posedata.output_file import check_output
from evolift.posedata.seeds import generator_at, numpy_generator_at
from evolift.posedata.store import PoseStore

SHOWN = 6
SAMPLE = 1500
BATCHES = 8
READ_ROWS = 65536
_PLACE = (2**31, 1)
_SEED = 0


def write_preview(evolved: Path, settings: EvolutionSettings, page: Path, *, overwrite: bool = False) -> None:
    """Write the page of an evolved store.

    Args:
        evolved: store that `evolve` made.
        settings: it was made with.
        page: HTML file to write.

    Raises:
        StoreError: the store holds no children.
        OutputError: the page exists, or cannot be written.
    """
    check_output(page, overwrite=overwrite)
    with PoseStore(evolved, validate=False) as store:
        tree = KinematicTree(store.skeleton)
        limits = joint_limits(settings.limits, tree.skeleton)
        growth, children = _growth(store, tree)
        if not len(children):
            raise StoreError(f"{evolved}: it holds no children, so there is nothing to preview")
        report = ReportPage(f"What {evolved.name} bred")
        report.paragraph(
            f"{len(store)} poses, {len(children)} of them children, bred under the limits {settings.limits!r}. Right limbs are "
            "orange, left ones blue; everybody is rotated to face you."
        )
        report.heading("Children and their parents")
        report.image(_families(store, children, tree), "First parent, second parent if there is one, child")
        _add_tallies(report, store)
        _add_refused(report, store, limits, settings)
        report.heading("Where limbs point")
        report.image(_spheres(store, children, tree), "Upper arms and thighs of the right side, torso frames")
        report.heading("Coverage")
        report.image(_growth_figure(growth))
        report.table(growth, "Different postures after each generation", index=False)
    report.write(page, overwrite=overwrite)


def _growth(store: PoseStore, tree: KinematicTree) -> tuple[pd.DataFrame, Int64[np.ndarray, "children"]]:
    """Number of different postures after each generation, and the rows that are children."""
    seen: set[int] = set()
    counts: dict[int, tuple[int, int]] = {}
    children, start = [], 0
    for poses in store.batches(READ_ROWS):
        if poses.joints_3d is None or poses.lineage is None:
            raise StoreError(f"{store.path}: it holds no children, so there is nothing to preview")
        numbers = posture_cells(to_local(tree, torch.from_numpy(poses.joints_3d)), tree).numpy()
        generations = poses.lineage.generation
        for generation in np.unique(generations):
            members = generations == generation
            seen |= set(np.unique(numbers[members]).tolist())
            poses_before = counts.get(int(generation), (0, 0))[0]
            counts[int(generation)] = (poses_before + int(members.sum()), len(seen))
        children.append(start + np.flatnonzero(poses.lineage.parent_a >= 0))
        start += len(poses)
    table = pd.DataFrame(
        [(generation, new, postures) for generation, (new, postures) in sorted(counts.items())],
        columns=["generation", "new poses", "different postures"],
    )
    return table, np.concatenate(children)


def _families(
    store: PoseStore, children: Int64[np.ndarray, "children"], tree: KinematicTree
) -> UInt8[np.ndarray, "height width 3"]:
    rng = numpy_generator_at(_SEED, *_PLACE)
    images, captions = [], []
    for row in np.sort(rng.choice(children, min(SHOWN, len(children)), replace=False)):
        child = store.read(slice(int(row), int(row) + 1))
        assert child.lineage is not None
        family = [int(child.lineage.parent_a[0]), int(child.lineage.parent_b[0]), int(row)]
        for member, role in zip(
            family, ("first parent", "second parent", child.lineage.operator[0]), strict=True
        ):
            if member < 0:
                images.append(np.full((320, 320, 3), 255, np.uint8))
                captions.append("no second parent")
                continue
            joints = store.read(slice(member, member + 1)).joints_3d
            assert joints is not None
            images.append(pose_image(facing_the_viewer(joints, tree)[0], tree))
            captions.append(f"{role}, row {member}")
    return image_sheet(images, captions, columns=3, tile=(300, 300))


def _add_tallies(report: ReportPage, store: PoseStore) -> None:
    """What selection refused in the run itself, as its provenance tells."""
    tallies = [Tally(**values) for values in store.provenance.parameters["report"]["generations"]]
    total = Tally()
    for tally in tallies:
        total.add(tally)
    report.heading("What selection refused")
    table = tally_table(tallies)
    table["refused_share"] = [f"{100 * share:.2f}%" for share in table["refused_share"]]
    report.table(table, "Candidates of each generation", index=False)
    by_limits = {f"limit of the bone to {bone}": times for bone, times in total.refused_by.items()}
    reasons = sorted({**by_limits, **total.reasons}.items(), key=lambda item: -item[1])
    if reasons:
        table = pd.DataFrame(reasons, columns=["reason", "candidates"])
        table["share"] = [f"{100 * times / total.candidates:.3f}%" for times in table["candidates"]]
        report.table(
            table, "Why limits and criteria refused (a candidate may have several reasons)", index=False
        )


def _add_refused(
    report: ReportPage, store: PoseStore, limits: JointLimits, settings: EvolutionSettings
) -> None:
    """Candidates like those that the run refused; the run itself keeps none of them."""
    joints = _sampled(store, np.arange(len(store)))
    measured = to_local(limits.tree, torch.from_numpy(joints))
    valid = np.flatnonzero(limits.check_measured(measured).all(-1).numpy())
    report.heading("Refused candidates")
    if len(valid) < 2:
        return
    pool = GenePool.in_memory(limits.tree, len(joints))
    pool.put(0, measured)
    lengths = measured.lengths.numpy()
    own = ((lengths + lengths[:, list(limits.tree.mirror)]) / 2).astype(np.float32)  # each pose for a person
    parents = Parents(
        pool, valid, templates=own, support=lowest_joint(joints), person=np.arange(len(own), dtype=np.int32)
    )
    criteria = criteria_by_names(settings.criteria, limits.tree)
    generator, tally = generator_at(settings.seed, *_PLACE), Tally()
    broken, implausible, captions = [], [], []
    for _ in range(BATCHES):
        candidates = make_candidates(parents, 4096, limits, settings, generator)
        _, kept = select(candidates, limits, tally)
        broken += list(candidates.joints[~limits.check(candidates.joints).all(-1)].numpy())
        if criteria:
            for row, reasons in _implausible(candidates, kept, criteria, parents, tally):
                implausible.append(candidates.joints[row].numpy())
                captions.append(reasons)
        if len(broken) >= SHOWN and (not criteria or len(implausible) >= SHOWN):
            break
    share, more = (100 * count / max(tally.candidates, 1) for count in (tally.refused, tally.implausible))
    report.paragraph(
        f"Of {tally.candidates} candidates bred for this page the limits refused {share:.2f}%"
        + (f" and the criteria {settings.criteria} another {more:.2f}%." if criteria else ".")
    )
    if broken:
        _add_broken(report, np.stack(broken[:SHOWN]), limits)
    if implausible:
        facing = facing_the_viewer(np.stack(implausible[:SHOWN]), limits.tree)
        images = [pose_image(pose, limits.tree) for pose in facing]
        sheet = image_sheet(images, captions[:SHOWN], columns=3, tile=(300, 300))
        report.image(sheet, "Within the limits, but refused by the criteria")


def _implausible(
    candidates: Candidates,
    kept: Int64[Tensor, "n"],
    criteria: Sequence[Criterion],
    parents: Parents,
    tally: Tally,
) -> Iterator[tuple[int, str]]:
    """Rows of candidates that criteria refuse, and why."""
    assert parents.support is not None
    refused = kept[~judge(candidates, kept, criteria, parents, tally).all(-1)][:SHOWN]
    support = torch.from_numpy(parents.support[candidates.parent_a[refused].numpy()])
    verdicts = torch.cat([criterion.check(candidates.joints[refused], support) for criterion in criteria], -1)
    names = [reason for criterion in criteria for reason in criterion.reasons]
    for row, verdict in zip(refused.tolist(), verdicts.tolist(), strict=True):
        yield row, ", ".join(name for name, valid in zip(names, verdict, strict=True) if not valid)


def _add_broken(report: ReportPage, refused: Float[np.ndarray, "n joints 3"], limits: JointLimits) -> None:
    broken = ~limits.check(torch.from_numpy(refused)).numpy()
    facing = facing_the_viewer(refused, limits.tree)
    images = [pose_image(facing[k], limits.tree, broken[k]) for k in range(len(refused))]
    names = np.array(limits.bones)
    captions = [", ".join(names[broken[k]]) for k in range(len(refused))]
    sheet = image_sheet(images, captions, columns=3, tile=(300, 300))
    report.image(sheet, "Bones that break their limit are thick and black")


def _sampled(store: PoseStore, rows: Int64[np.ndarray, "n"]) -> Float[np.ndarray, "sampled joints 3"]:
    rng = numpy_generator_at(_SEED, *_PLACE)
    chosen = np.sort(rng.choice(rows, min(SAMPLE, len(rows)), replace=False))
    joints = store.read(chosen).joints_3d
    assert joints is not None
    return joints


def _spheres(
    store: PoseStore, children: Int64[np.ndarray, "children"], tree: KinematicTree
) -> UInt8[np.ndarray, "height width 3"]:
    originals = np.setdiff1d(np.arange(len(store)), children)
    figure = new_figure(7.0, 6.5)
    limbs = [
        bone
        for bone, parent in enumerate(tree.parents)
        if parent >= 0 and tree.names[parent] in (tree.shoulders[1], tree.hips[1])
    ]
    before, after = (
        to_local(tree, torch.from_numpy(_sampled(store, rows))).directions.numpy()
        for rows in (originals, children)
    )
    for number, bone in enumerate(limbs):
        axes = figure.add_subplot(len(limbs), 1, number + 1)
        sets = {"children": after[:, bone], "originals": before[:, bone]}
        plot_directions(axes, sets, ends=("right", "front", "up"), starts=("left", "back", "down"))
        axes.set_title(f"bone to {tree.names[bone]}", pad=24)
    return figure_image(figure)


def _growth_figure(growth: pd.DataFrame) -> UInt8[np.ndarray, "height width 3"]:
    figure = new_figure(6.0, 3.0)
    plot_curves(
        figure.add_subplot(), {"this store": growth}, ["different postures"], unit="postures", x="generation"
    )
    return figure_image(figure)
