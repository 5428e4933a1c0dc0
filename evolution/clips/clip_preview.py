"""A page that shows what an evolution of motion bred: children beside their parents in motion, what was refused, feet and speeds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float32, Int64

from evolift.drawing.report_page import ReportPage
from evolift.drawing.turning_poses import TurningPose
from evolift.evolution.clips.feet import ankles_of, feet_of, slide_of
from evolift.evolution.clips.film_strip import film_strip
from evolift.evolution.clips.speed_limits import SpeedLimits
from evolift.evolution.clips.windows import rate_of_store, windows_of
from evolift.evolution.job.breeding import Tally, tally_table
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.posedata.errors import StoreError
from evolift.posedata.exporters.sequences import sequences_of
from evolift.posedata.output_file import check_output
from evolift.posedata.store import PoseStore

STRIP = 12
"""Frames of a family that are shown on paper."""
SHOWN = 4
SAMPLE = 512


def write_clip_preview(evolved: Path, page: Path, *, overwrite: bool = False) -> None:
    """Write the page of a store that `evolve_clips` made.

    Args:
        evolved: the store.
        page: HTML file to write.

    Raises:
        StoreError: the store holds no children that are clips.
        OutputError: the page exists, or cannot be written.
    """
    check_output(page, overwrite=overwrite)
    with PoseStore(evolved, validate=False) as store:
        told = store.provenance.parameters
        if "clip_frames" not in told:
            raise StoreError(
                f"{evolved}: it holds no children that are clips, so there is nothing to preview"
            )
        frames, rate = int(told["clip_frames"]), rate_of_store(store, None)
        tree = KinematicTree(store.skeleton)
        children = _children(store, frames)
        report = ReportPage(f"What motions {evolved.name} bred")
        report.paragraph(
            f"{len(children)} clips of {frames} frames at {rate:g} frames per second, bred under the limits {told['limits']!r}. Right limbs are orange, left ones blue."
        )
        report.heading("Children and their parents")
        report.paragraph(
            "Parents are shown with the frames that the child has from them, so at its tempo. Black dots are feet that stand."
        )
        for place in np.unique(np.linspace(0, len(children) - 1, SHOWN).round().astype(int)):
            _add_family(report, store, children[place], tree, rate)
        _add_tallies(report, told["report"]["generations"])
        report.heading("Feet")
        report.table(
            _slides(store, children, tree, frames, rate),
            "Most that a standing foot moves along the floor from a frame to the next, mm, over clips",
        )
        report.heading("Limits of speed")
        speeds = SpeedLimits(**{name: tuple(values) for name, values in told["speed_limits"].items()})
        report.table(
            _speed_table(speeds), "Degrees per second, of the root mm per second", index=False, decimals=0
        )
    report.write(page, overwrite=overwrite)


def _children(store: PoseStore, frames: int) -> Int64[np.ndarray, "children frames"]:
    """Rows of the children that the run bred."""
    number = sum(
        generation["candidates"] > 0 for generation in store.provenance.parameters["report"]["generations"]
    )
    generation = store.table()["generation"].to_numpy()
    rows: np.ndarray = np.flatnonzero(generation > generation.max() - number).reshape(-1, frames)
    return rows


def _joints(store: PoseStore, rows: Int64[np.ndarray, "rows"]) -> Float32[np.ndarray, "rows joints 3"]:
    joints = store.read(rows).joints_3d
    assert joints is not None  # of a store of evolved poses
    return joints


def _add_family(
    report: ReportPage, store: PoseStore, rows: Int64[np.ndarray, "frames"], tree: KinematicTree, rate: float
) -> None:
    child = store.read(rows)
    assert child.joints_3d is not None
    assert child.lineage is not None
    members = [("first parent", child.lineage.parent_a), ("second parent", child.lineage.parent_b)]
    shown = []
    for role, parents in members:
        if parents[0] >= 0:
            parent = store.read(parents)
            assert parent.joints_3d is not None
            shown.append((f"{role}: {parent.subject[0]} {parent.action[0]}", parent.joints_3d))
    shown.append((f"child: {child.lineage.operator[0]}", child.joints_3d))
    report.heading(f"{child.subject[0]} {child.action[0]}", 3)
    report.turning(
        [
            TurningPose(joints, caption, frame="world", frames_per_second=rate, skeleton=store.skeleton)
            for caption, joints in shown
        ]
    )
    strip = [(caption, joints, _standing(joints, tree, rate)) for caption, joints in shown]
    frames = np.linspace(0, len(rows) - 1, STRIP).round().astype(int).tolist()
    halves = (frames[: STRIP // 2], frames[STRIP // 2 :])  # beside each other where there is room
    report.images(
        [film_strip(strip, store.skeleton, half) for half in halves],
        [f"The same on paper, frames {half[0]} to {half[-1]}" for half in halves],
    )


def _standing(
    joints: Float32[np.ndarray, "frames joints 3"], tree: KinematicTree, rate: float
) -> Bool[np.ndarray, "frames joints"]:
    stands = feet_of(torch.from_numpy(joints)[None], tree, rate).stands[0].numpy()
    marked = np.zeros(joints.shape[:2], bool)
    for foot, joint in enumerate(ankles_of(tree)):
        marked[:-1, joint] |= stands[:, foot]
        marked[1:, joint] |= stands[:, foot]
    return marked


def _add_tallies(report: ReportPage, generations: list[dict]) -> None:  # type: ignore[type-arg]  # as JSON has it
    tallies = [Tally(**values) for values in generations]
    total = Tally()
    for tally in tallies:
        total.add(tally)
    report.heading("What selection refused")
    table = tally_table(tallies)
    table["refused_share"] = [f"{100 * share:.2f}%" for share in table["refused_share"]]
    report.table(
        table, "Candidates of each generation; refused are those that break a joint limit", index=False
    )
    by_limits = {f"limit of the bone to {bone}": times for bone, times in total.refused_by.items()}
    reasons = sorted({**by_limits, **total.reasons}.items(), key=lambda item: -item[1])
    if reasons:
        shares = pd.DataFrame(reasons, columns=["reason", "candidates"])
        shares["share"] = [f"{100 * times / total.candidates:.2f}%" for times in shares["candidates"]]
        report.table(shares, "Why (a candidate may have several reasons)", index=False)


def _slides(
    store: PoseStore,
    children: Int64[np.ndarray, "children frames"],
    tree: KinematicTree,
    frames: int,
    rate: float,
) -> pd.DataFrame:
    """Slides of windows of the originals and of children, evenly spread over both."""
    bred = np.zeros(len(store), bool)
    bred[children] = True
    originals = [one for one in sequences_of(store) if not bred[one.row].any()]
    rows = {"originals": windows_of(store, originals, frames).rows, "children": children}
    slides = {}
    for name, clips in rows.items():
        some = clips[np.unique(np.linspace(0, len(clips) - 1, SAMPLE).round().astype(int))]
        joints = torch.from_numpy(_joints(store, some.ravel())).reshape(*some.shape, -1, 3)
        slides[name] = slide_of(joints, tree, rate).numpy()
    quantiles = {"median": 0.5, "90 %": 0.9, "most": 1.0}
    return pd.DataFrame(
        {
            name: [float(np.quantile(slide, share)) for slide in slides.values()]
            for name, share in quantiles.items()
        },
        index=list(slides),
    )


def _speed_table(speeds: SpeedLimits) -> pd.DataFrame:
    in_degrees = np.degrees([speeds.velocity, speeds.acceleration])
    in_degrees[:, -1] = speeds.velocity[-1], speeds.acceleration[-1]  # the root's are lengths
    return pd.DataFrame({"part": speeds.parts, "velocity": in_degrees[0], "acceleration": in_degrees[1]})
