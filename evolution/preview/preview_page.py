"""A page that shows what a run bred: families, immigrants, bodies, what selection refused, and what was gained.

Figures are drawn from a sample of rows, so that a store of millions takes no longer than one of thousands, but for
one pass over it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int64, UInt8

from evolift.drawing.figures import figure_image, image_sheet, new_figure, plot_curves
from evolift.drawing.report_page import ReportPage
from evolift.evolution.criteria.criterion_sources import criteria_by_names
from evolift.evolution.job.breeding import Tally, tally_table
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.kinematics.local_bones import LocalBones, to_local
from evolift.evolution.limits.joint_limits import JointLimits
from evolift.evolution.limits.limit_sources import joint_limits
from evolift.evolution.pose_images import facing_the_viewer, pose_image
from evolift.evolution.preview.bodies import (
    proportions,
    proportions_image,
    ranges,
    standing_image,
    surveyed,
)
from evolift.evolution.preview.bred_store import BredStore, operators_in_words, read_bred
from evolift.evolution.preview.limb_spheres import LimbSphere, limb_spheres
from evolift.evolution.preview.trial import try_out
from evolift.evolution.settings import EvolutionSettings
from evolift.posedata.output_file import check_output
from evolift.posedata.seeds import generator_at, numpy_generator_at
from evolift.posedata.store import PoseStore

SHOWN = 6
SAMPLE = 1500
BATCHES = 8
BODIES = 4
"""Subjects, and children, that stand side by side."""
IMMIGRANT = "#b4267a"
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
        bred = read_bred(store, tree)
        alike = min(SAMPLE, bred.originals, len(bred.children))
        before, after = (
            to_local(tree, torch.from_numpy(_joints(store, _some(rows, alike))))
            for rows in (np.arange(bred.originals), bred.children)
        )
        spheres = limb_spheres(before, after, limits)
        report = ReportPage(f"What {evolved.name} bred")
        report.paragraph(
            f"{len(store):,} poses, {len(bred.children):,} of them children, bred under the limits {settings.limits!r}. "
            "Right limbs are orange, left ones blue; everybody is rotated to face you."
        )
        _add_gains(report, bred, spheres)
        _add_families(report, store, bred, tree)
        _add_bodies(report, bred, before, after, tree)
        report.heading("Where limbs point")
        report.paragraph(
            f"Directions of {alike:,} originals and as many children, left limbs mirrored onto right ones: each limb's sphere as its "
            "front and back half. The dashed line is the border of what the joint limits allow, for forearms and shins in at least one of "
            f"{min(alike, 16)} places of the limb above; white is emptier than 1/16 of an even spread."
        )
        report.images([one.image for one in spheres], [one.limb.replace("_", " ") for one in spheres])
        _add_tallies(report, store)
        _add_refused(report, store, bred, limits, settings)
        report.heading("Coverage")
        report.image(_growth_figure(bred.growth))
        report.table(bred.growth, "Different postures after each generation", index=False)
    report.write(page, overwrite=overwrite)


def _some(rows: Int64[np.ndarray, "n"], count: int) -> Int64[np.ndarray, "chosen"]:
    rng = numpy_generator_at(_SEED, *_PLACE)
    chosen: np.ndarray = np.sort(rng.choice(rows, min(count, len(rows)), replace=False))
    return chosen


def _joints(store: PoseStore, rows: Int64[np.ndarray, "n"]) -> Float[np.ndarray, "n joints 3"]:
    joints = store.read(rows).joints_3d
    assert joints is not None  # `read_bred` has seen them
    return joints


def _add_gains(report: ReportPage, bred: BredStore, spheres: list[LimbSphere]) -> None:
    """What the run is for, in a few numbers."""
    postures = bred.growth["different postures"]
    rows = [
        ("poses", f"{bred.originals:,}", f"{len(bred.parent_a):,}"),
        ("different postures", f"{postures.iloc[0]:,}", f"{postures.iloc[-1]:,}"),
    ]
    rows += [
        (
            f"{one.limb.replace('_', ' ')}: directions taken",
            f"{100 * one.before:.0f} %",
            f"{100 * one.after:.0f} %",
        )
        for one in spheres
    ]
    table = pd.DataFrame(rows, columns=["", "originals", "originals and children"])
    report.table(table, "What was gained (directions of those that the limits allow)", index=False)


def _add_families(report: ReportPage, store: PoseStore, bred: BredStore, tree: KinematicTree) -> None:
    immigrated = bred.made_by("immigration")[bred.originals :]
    report.heading("Children and their parents")
    _add_each(report, store, bred, _some(bred.children[~immigrated], SHOWN), tree)
    if immigrated.any():
        report.heading("Immigrants")
        share = 100 * float(immigrated.mean())
        report.paragraph(
            f"{share:.1f} % of the children are immigrants: whole arms or legs of theirs point where chance said, anywhere within the joint "
            "limits. Their children are not counted."
        )
        _add_each(report, store, bred, _some(bred.children[immigrated], SHOWN), tree, immigrants=True)


def _add_each(
    report: ReportPage,
    store: PoseStore,
    bred: BredStore,
    rows: Int64[np.ndarray, "n"],
    tree: KinematicTree,
    *,
    immigrants: bool = False,
) -> None:
    images, captions = [], []
    for row in rows.tolist():
        lineage = store.read(slice(row, row + 1)).lineage
        assert lineage is not None  # `read_bred` has seen it
        parents = [int(one) for one in (lineage.parent_a[0], lineage.parent_b[0]) if one >= 0]
        family = facing_the_viewer(
            np.concatenate([_joints(store, np.array([one])) for one in [*parents, row]]), tree
        )
        radius = float(max(np.ptp(one, axis=0).max() for one in family)) * 0.46
        role = "immigrant" if immigrants else "child"
        names = ["first parent", "second parent", role] if len(parents) == 2 else ["first parent", role]
        drawn = [
            pose_image(
                pose, tree, radius=radius, title=name, title_colour=IMMIGRANT if name == "immigrant" else None
            )
            for pose, name in zip(family, names, strict=True)
        ]
        if len(parents) == 1:
            drawn.insert(1, np.full_like(drawn[0], 255))
        images.append(image_sheet(drawn, columns=3, tile=(230, 280)))
        whose = " and ".join(str(one) for one in parents)
        donor = store.provenance.donor_of(int(lineage.parent_b[0]))
        limb = "" if donor is None else f" and a limb of {donor[0]}, row {donor[1]}"
        captions.append(
            f"Row {row}, of row{'s' if len(parents) > 1 else ''} {whose}{limb}, by {operators_in_words(str(lineage.operator[0]))}"
        )
    for start in range(0, len(images), 2):  # two side by side where there is room
        report.images(images[start : start + 2], captions[start : start + 2])


def _add_bodies(
    report: ReportPage, bred: BredStore, before: LocalBones, after: LocalBones, tree: KinematicTree
) -> None:
    """Statures and proportions of parents and children, and those of people."""
    lengths = after.lengths.numpy()
    posture = before.directions.mean(0)
    subjects, children, *spread = (
        proportions(one, tree, posture)
        for one in (bred.templates, lengths, *(surveyed(template, tree) for template in bred.templates))
    )
    report.heading("Bodies")
    report.paragraph(
        "A body is its bone lengths. Below, bodies stand on one floor, to one scale: subjects of the originals, and children from short to "
        "tall. The grey ellipses are people: bodies measured as a subject is, with the proportions of the men and women "
        "of a survey, 95 of 100 inside. Height is from the lowest joint to the highest."
    )
    named = bred.subject.categories[np.unique(np.asarray(bred.subject.codes))]
    order = np.argsort(subjects["height, m"].to_numpy(), kind="stable")
    chosen = order[np.unique(np.linspace(0, len(order) - 1, BODIES).round().astype(int))]
    parents = {f"subject {named[row]}": bred.templates[row] for row in chosen.tolist()}
    order = np.argsort(children["height, m"].to_numpy(), kind="stable")
    places = [round(share * (len(order) - 1)) for share in np.linspace(0.025, 0.975, BODIES)]
    grown = {f"child {number}": lengths[order[place]] for number, place in enumerate(places, 1)}
    report.images(
        [standing_image(bodies, tree, posture) for bodies in (parents, grown)],
        ["Subjects of the originals", "Children: of 1,000 by height, the 25th to the 975th"],
    )
    report.images(
        [proportions_image(children, subjects, spread, other) for other in ("legs, %", "arms, %")],
        ["Legs over height", "Arms over height"],
    )
    sets = {"subjects": subjects, "children": children, "people": pd.concat(spread)}
    report.table(ranges(sets), "The middle 95 % of each")


def _add_tallies(report: ReportPage, store: PoseStore) -> None:
    """What selection refused in the run itself, as its provenance tells."""
    tallies = [Tally(**values) for values in store.provenance.parameters["report"]["generations"]]
    total = Tally()
    for tally in tallies:
        total.add(tally)
    report.heading("What selection refused")
    table = tally_table(tallies)
    table["refused_share"] = [f"{100 * share:.2f} %" for share in table["refused_share"]]
    report.table(table, "Candidates of each generation", index=False)
    by_limits = {f"limit of the bone to {bone}": times for bone, times in total.refused_by.items()}
    reasons = sorted({**by_limits, **total.reasons}.items(), key=lambda item: -item[1])
    if reasons:
        table = pd.DataFrame(reasons, columns=["reason", "candidates"])
        table["share"] = [f"{100 * times / total.candidates:.2f} %" for times in table["candidates"]]
        report.table(
            table, "Why limits and criteria refused (a candidate may have several reasons)", index=False
        )


def _add_refused(
    report: ReportPage, store: PoseStore, bred: BredStore, limits: JointLimits, settings: EvolutionSettings
) -> None:
    """Candidates like those that the run refused, as if it went on; the run itself keeps none of them."""
    parents = bred.parents(store, _some(np.arange(len(store)), SAMPLE), limits)
    report.heading("What each operator costs")
    criteria = criteria_by_names(settings.criteria, limits.tree)
    generator = generator_at(settings.seed, *_PLACE)
    trial = try_out(parents, limits, settings, criteria, generator, batches=BATCHES, shown=SHOWN)
    tally = trial.tally
    share, more = (100 * count / tally.candidates for count in (tally.refused, tally.implausible))
    last = Tally(**store.provenance.parameters["report"]["generations"][-1])
    report.paragraph(
        f"Of {tally.candidates:,} candidates bred for this page, as of one generation more, the limits refused {share:.1f} %"
        + (f" and the criteria {', '.join(settings.criteria)} another {more:.1f} %" if criteria else "")
        + f"; in the last generation of the run the limits refused {100 * last.refused / max(last.candidates, 1):.1f} %."
    )
    report.table(trial.by_operator(), index=False)
    if trial.broken:
        report.heading("Refused candidates")
        _add_broken(report, np.stack(trial.broken), limits)
    if trial.implausible:
        poses, captions = zip(*trial.implausible, strict=True)
        images = [pose_image(pose, limits.tree) for pose in facing_the_viewer(np.stack(poses), limits.tree)]
        sheet = image_sheet(images, captions, columns=3, tile=(300, 300))
        report.image(sheet, "Within the limits, but refused by the criteria")


def _add_broken(report: ReportPage, refused: Float[np.ndarray, "n joints 3"], limits: JointLimits) -> None:
    broken = ~limits.check(torch.from_numpy(refused)).numpy()
    facing = facing_the_viewer(refused, limits.tree)
    images = [pose_image(facing[k], limits.tree, broken[k]) for k in range(len(refused))]
    names = np.array(limits.bones)
    captions = [", ".join(names[broken[k]]) for k in range(len(refused))]
    sheet = image_sheet(images, captions, columns=3, tile=(300, 300))
    report.image(sheet, "Bones that break their limit are thick and black")


def _growth_figure(growth: pd.DataFrame) -> UInt8[np.ndarray, "height width 3"]:
    figure = new_figure(6.0, 3.0)
    plot_curves(
        figure.add_subplot(), {"this store": growth}, ["different postures"], unit="postures", x="generation"
    )
    return figure_image(figure)
