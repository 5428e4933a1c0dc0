"""The page of `evolift demo`, and its few lines on the console."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from evolift.cli.demo.breeding import BreedingResult
from evolift.cli.demo.lifting import MARTINEZ, NETWORKS, SEMGCN, WITH, WITHOUT, LiftingResult
from evolift.cli.demo.plan import DemoPlan
from evolift.cli.demo.results import DemoResults
from evolift.cli.demo.shipped_chain import FILM_RATE, ShippedChainResult
from evolift.cli.demo.tuning import TuningResult
from evolift.drawing.figures import draw_joints, figure_image, fit_image, new_figure, plot_bars
from evolift.drawing.report_page import ReportPage
from evolift.drawing.turning_poses import Film, TurningPose
from evolift.evolution.job.families import Family
from evolift.posedata.metrics import mpjpe
from evolift.posedata.skeleton import H36M17

FEW = {WITHOUT: "recorded poses alone", WITH: "with evolved poses"}
HOLD, MOVE = 8, 10
"""Frames that an animated family rests, and moves."""
PHOTO_SIDE = 720


def summary(results: DemoResults) -> list[str]:
    """What the command prints."""
    lifted, tuned, bred = results.lifted, results.tuned, results.bred
    without, gained = (_mean(lifted, SEMGCN, poses, "mpjpe") for poses in (WITHOUT, WITH))
    return [
        "Tested on a person whom nothing here was trained on (mean error of the joints in space):",
        f"  film through the shipped chain: {results.shipped.film_error[0]:.0f} mm",
        f"  lifter from {bred.originals} recorded poses: {without:.1f} mm; with {bred.children:,} evolved ones: {gained:.1f} mm"
        + ("" if results.plan.seeds == 1 else f" (mean of {results.plan.seeds} seeds)"),
        f"  joints that the detector finds: {tuned.shipped.pck:.1%}; fine-tuned on rendered people: {tuned.before.pck:.1%}",
        f"  detector and lifter chained: {tuned.before.mpjpe:.1f} mm; fine-tuned end to end: {tuned.after.mpjpe:.1f} mm",
        f"{_minutes(results.seconds)}. Page: {results.plan.path('report.html')}",
    ]


def write_report(results: DemoResults) -> None:
    """Write `report.html`."""
    lifted, tuned = results.lifted, results.tuned
    page = ReportPage("evolift: 3D people from one camera")
    without, gained = (_mean(lifted, SEMGCN, poses, "mpjpe") for poses in (WITHOUT, WITH))
    page.turning(
        [
            _filmed_pose(
                results.shipped, "A person in a film, found in space by the weights that come with evolift"
            )
        ],
        [
            (f"{without:.0f} → {gained:.0f} mm", "error of the lifter without and with evolved poses"),
            (
                f"{tuned.shipped.pck:.0%}",
                "joints that the shipped detector finds on rendered images of this person",
            ),
            (_minutes(results.seconds), "for everything on this page, on this computer"),
        ],
    )
    page.paragraph(
        "The people are real: motion capture of three persons (CMU, subjects 01, 02 and 03). Lifters learn from 01 and 03, all numbers are "
        "of 02, with other motions, whom nothing here was trained on. Errors are the mean distance of a joint from "
        "where it was recorded, relative to the pelvis. "
        f"{_seeds(results.plan)}; the same command gives the same numbers on the same machine."
    )
    _own_photos(page, results.shipped)
    _film_and_photo(page, results.shipped)
    _lifters(page, results)
    _evolution(page, results.bred)
    _detector_and_chain(page, results.plan, tuned)
    page.paragraph(
        "The data used in this project was obtained from mocap.cs.cmu.edu. The database was created with funding from NSF EIA-0196217."
    )
    page.write(results.plan.path("report.html"), overwrite=True)


def _mean(lifted: LiftingResult, network: str, poses: str, metric: str) -> float:
    scores = lifted.scores
    chosen = scores[(scores["network"] == NETWORKS[network].name) & (scores["poses"] == poses)]
    return float(chosen[metric].mean())


def _seeds(plan: DemoPlan) -> str:
    if plan.seeds == 1:
        return f"Seed {plan.seed}"
    return f"Seed {plan.seed}, of the lifters {plan.seed} to {plan.seed + plan.seeds - 1}"


def _minutes(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _filmed_pose(shipped: ShippedChainResult, caption: str) -> TurningPose:
    return TurningPose(shipped.film_poses.joints_3d, caption, frames_per_second=FILM_RATE)


def _off(error: tuple[float, float]) -> str:
    return f"{error[0]:.0f} mm off; {error[1]:.0f} mm once size and direction are aligned"


def _film_and_photo(page: ReportPage, shipped: ShippedChainResult) -> None:
    page.heading("A film and a photograph, as you would use it")
    page.paragraph(
        "No photograph of a whole person comes with the package, so film and photograph are rendered from motions of subject "
        "02; evolift demo --photo FILE shows yours first. The person is found without being told where, and the poses of "
        "the film are smoothed over time."
    )
    found = shipped.film_poses
    truth = shipped.film.joints_3d[found.frame]
    drawn = [
        draw_joints(shipped.film.images[frame], joints, H36M17)
        for frame, joints in zip(found.frame, found.joints_2d, strict=True)
    ]
    page.turning(
        [
            Film(drawn, "The film with the joints found", FILM_RATE),
            _filmed_pose(
                shipped,
                f"Its poses in space, {_off(shipped.film_error)}",
            ),
            TurningPose(truth - truth[:, :1], "What was recorded", frames_per_second=FILM_RATE),
        ]
    )
    _photo(page, shipped)


def _own_photos(page: ReportPage, shipped: ShippedChainResult) -> None:
    if not shipped.own:
        return
    page.heading("Your photographs")
    for image, pose in shipped.own:
        drawn = fit_image(draw_joints(image, pose.joints_2d, H36M17), PHOTO_SIDE, PHOTO_SIDE)
        page.turning(
            [
                Film([drawn], "Your photograph with the joints found"),
                TurningPose(pose.joints_3d[None], "Its pose in space"),
            ]
        )


def _photo(page: ReportPage, shipped: ShippedChainResult) -> None:
    found = shipped.photo_pose
    truth = shipped.photo.joints_3d[0]
    page.turning(
        [
            Film(
                [draw_joints(shipped.photo.images[0], found.joints_2d, H36M17)],
                "The photograph with the joints found",
            ),
            TurningPose(found.joints_3d[None], f"Its pose in space, {_off(shipped.photo_error)}"),
            TurningPose((truth - truth[0])[None], "What was recorded"),
        ]
    )


def _lifters(page: ReportPage, results: DemoResults) -> None:
    lifted, bred, plan = results.lifted, results.bred, results.plan
    page.heading("What evolved poses add to a lifter")
    page.paragraph(
        f"A lifter turns 2D joints into 3D ones. These learnt from {bred.originals} recorded poses, 1 % of subjects 01 and 03, without or "
        f"with {bred.children:,} that evolution bred from them; {plan.lifter_steps:,} steps of SemGCN, half of the draws bred ones in the end, else the default settings. "
        f"Tested on all {lifted.test_poses:,} poses of subject 02, each as one of four cameras in the corners of a room sees it."
    )
    charts = [_bars(lifted, metric) for metric in ("mpjpe", "p_mpjpe")]
    seeds = "One seed" if plan.seeds == 1 else f"The mean of {plan.seeds} seeds, with their range"
    page.images(
        charts,
        [
            f"Error. {seeds}. Martinez MLP is an older network without a graph, {_own_settings()}.",
            "Error once size, place and direction are aligned: of the posture alone.",
        ],
    )
    page.paragraph(_verdict(lifted))
    for number, (truth, without, gained) in enumerate(lifted.shown, 1):
        page.turning(
            [
                TurningPose(truth[None], f"Test pose {number}: recorded"),
                TurningPose(without[None], f"Recorded poses alone: {_apart(without, truth):.0f} mm off"),
                TurningPose(gained[None], f"With evolved poses: {_apart(gained, truth):.0f} mm off"),
            ]
        )
    page.paragraph("The three are evenly spread over the test poses, not chosen by their errors.")


def _own_settings() -> str:
    hidden, _, dropout = NETWORKS[MARTINEZ].settings.sizes
    return f"with the settings that suited it best on held-out clips ({hidden} units, dropout {dropout:g})"


def _apart(one: np.ndarray, other: np.ndarray) -> float:
    import torch

    return float(mpjpe(torch.from_numpy(one), torch.from_numpy(other)))


def _bars(lifted: LiftingResult, metric: str) -> np.ndarray:
    grouped = lifted.scores.groupby(["network", "poses"], sort=False)[metric]
    order = list(FEW)
    names = [network.name for network in NETWORKS.values()]
    mean, low, high = (
        part.unstack("poses").loc[names, order].rename(columns=FEW)
        for part in (grouped.mean(), grouped.min(), grouped.max())
    )
    figure = new_figure(4.4, 3.6)
    ranges = (low, high) if lifted.scores["seed"].nunique() > 1 else None
    plot_bars(figure.add_subplot(), mean, unit="mm", ranges=ranges)
    return figure_image(figure)


def _verdict(lifted: LiftingResult) -> str:
    semgcn = lifted.scores[lifted.scores["network"] == NETWORKS[SEMGCN].name].pivot_table(
        index="seed", columns="poses", values="mpjpe"
    )
    gains = 1 - semgcn[WITH] / semgcn[WITHOUT]
    told = ", ".join(
        f"{abs(gain):.1%} {'less' if gain > 0 else 'more'} with seed {seed}" for seed, gain in gains.items()
    )
    sentence = f"With evolved poses the error of SemGCN is {told} than without."
    if (gains <= 0).any():
        sentence += " Evolution did not gain with every seed here."
    return sentence


def _evolution(page: ReportPage, bred: BreedingResult) -> None:
    page.heading("How evolution breeds")
    page.paragraph(
        "A child takes a limb or more from the second parent, then its bones are rotated a little; it keeps the body of the "
        "first, or gets that of another person. What a human joint cannot do is refused."
    )
    for number, family in enumerate(bred.families, 1):
        page.turning(
            [
                TurningPose(family.parents[:1], f"Family {number}: first parent", "world"),
                TurningPose(family.parents[1:], "Second parent", "world"),
                TurningPose(_growing(family), "From the first parent to the child", "world"),
            ]
        )
    page.table(
        pd.DataFrame(
            [
                ("Recorded poses", f"{bred.originals}"),
                ("Children bred from them", f"{bred.children:,}"),
                ("Candidates refused by the limits of human joints", f"{bred.refused:.1%}"),
                ("Poses within these limits", f"{bred.within:.1%}"),
                ("The same bodies with limbs at random within them", f"{bred.random_within:.1%}"),
                (
                    "Largest change of a bone's length from parent to child, half of whom get other bodies",
                    f"{bred.length_change:.1f} mm",
                ),
                ("From a test pose to the nearest recorded one", f"{bred.coverage.before:.0f} mm"),
                ("From a test pose to the nearest recorded or bred one", f"{bred.coverage.after:.0f} mm"),
            ],
            columns=["Limits, bodies and coverage", "Measured"],
        ),
        index=False,
    )


def _growing(family: Family) -> np.ndarray:
    """Frames from the first parent to the child, resting at both."""
    steps = np.concatenate([np.zeros(HOLD), np.linspace(0, 1, MOVE), np.ones(2 * HOLD)])
    eased = (steps * steps * (3 - 2 * steps))[:, None, None]
    grown: np.ndarray = family.parents[0] * (1 - eased) + family.child * eased
    return grown


def _detector_and_chain(page: ReportPage, plan: DemoPlan, tuned: TuningResult) -> None:
    train, _, test = plan.images
    page.heading("The detector, fine-tuned on rendered people")
    page.paragraph(
        f"The shipped detector learnt {plan.detector_steps} steps more from {train} rendered images of subjects 01 and 03. Joints "
        f"found within a fifth of the torso in {test} images of subject 02: {tuned.shipped.pck:.1%} before, {tuned.before.pck:.1%} after. "
        "It had learnt from many more images of this kind before, so little is left to gain."
    )
    page.heading("Detector and lifter as one network")
    page.paragraph(
        f"That detector and the shipped lifter for keypoints, which never met, err by {tuned.before.mpjpe:.1f} mm from image to 3D "
        f"(posture alone {tuned.before.p_mpjpe:.1f} mm); after {plan.chain_steps} steps of training as one network by {tuned.after.mpjpe:.1f} mm "
        f"({tuned.after.p_mpjpe:.1f} mm). The shipped chain, trained for longer and on photographs too, makes {tuned.shipped.mpjpe:.1f} mm "
        f"({tuned.shipped.p_mpjpe:.1f} mm) on these images."
    )
    found = pd.DataFrame(
        {"before": [100 * tuned.shipped.pck], "after": [100 * tuned.before.pck]}, ["detector"]
    )
    errors = pd.DataFrame(
        {
            "before": [tuned.before.mpjpe, tuned.before.p_mpjpe],
            "after": [tuned.after.mpjpe, tuned.after.p_mpjpe],
        },
        ["error", "of posture alone"],
    )
    charts = []
    for table, unit, lower in ((found, "joints found, %", False), (errors, "mm", True)):
        figure = new_figure(4.4, 3.2)
        plot_bars(figure.add_subplot(), table, unit=unit, lower_is_better=lower)
        charts.append(figure_image(figure))
    page.images(charts, ["Detector, before and after fine-tuning", "Chain, before and after fine-tuning"])
    for image, (truth, before, after) in zip(tuned.images, tuned.poses, strict=True):
        page.turning(
            [
                Film([image], "Test image with the joints found after fine-tuning"),
                TurningPose(truth[None], "Recorded"),
                TurningPose(before[None], f"Before: {_apart(before, truth):.0f} mm off"),
                TurningPose(after[None], f"After: {_apart(after, truth):.0f} mm off"),
            ]
        )
    page.paragraph("The three are evenly spread over the test images, not chosen by their errors.")
    page.link(Path("film/page.html"), "The film and its poses, frame by frame")
