"""The report page of `evolift demo`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from evolift.chain.evaluation import ChainPredictions
from evolift.cli.demo_results import LIFTERS, DemoResults
from evolift.drawing.figures import (
    draw_joints,
    figure_image,
    image_sheet,
    new_figure,
    plot_bars,
    plot_curves,
    plot_pose,
    pose_axes,
)
from evolift.drawing.report_page import ReportPage
from evolift.posedata.image_file import read_image
from evolift.posedata.metrics import mpjpe
from evolift.posedata.skeleton import H36M17
from evolift.posedata.store import PoseStore

Image = np.ndarray


def write_report(results: DemoResults) -> None:
    """Write `report.html` from what the stages left."""
    summary = pd.DataFrame(results.lines)
    page = ReportPage("evolift demo")
    page.paragraph(
        "Every stage of the pipeline on built-in synthetic people. Test scores are of people and actions that no stage "
        "was trained or chosen on; learning curves are of one more person. They show that the stages work and what they "
        "add, not what they reach on real data."
    )
    page.table(summary, index=False)
    page.table(
        pd.DataFrame({"seconds": results.seconds}).rename_axis("stage"), "Time of each stage", decimals=0
    )
    page.heading("Evolution")
    page.paragraph(
        "Parents in the first two columns, their child in the third: a sub-tree of bones is exchanged, bones are rotated, "
        "and children that break a joint-angle limit are refused."
    )
    page.image(_families(results.path("evolved.h5")), "Parents and children")
    if results.evolution is not None:
        page.table(results.evolution, "Selection, generation by generation", index=False, decimals=2)
    page.heading("Lifters")
    if results.lifters is not None:
        page.image(
            _bars(results.lifters[["mpjpe", "p_mpjpe"]]),
            "Error on unseen people and actions, true 2D with noise",
        )
    lifters = {name: results.histories[name] for name in LIFTERS}
    page.image(
        _curves(lifters, "mpjpe", "mm", "validation MPJPE"), "Learning curves on the validation person"
    )
    page.heading("Detector")
    page.image(
        _curves({"detector": results.histories["detector"]}, "pck", "share", "validation PCK@0.2"),
        "Learning curve",
    )
    if results.before is not None and results.after is not None and results.chain is not None:
        page.heading("Chain of detector and lifter")
        page.table(results.chain.set_index(["chain", "input"]), "Stage by stage, on test images", decimals=3)
        page.image(
            _before_and_after(results.path("renders_test.h5"), results.before, results.after),
            "Test images: detection, truth, and the 3D pose before and after fine-tuning, from the best to the worst",
        )
    page.heading("Prediction")
    page.paragraph(
        "Poses of test images, found without their person boxes. The page lets you rotate them by mouse."
    )
    page.link(Path("predictions/page.html"), "Open the 3D poses")
    page.write(results.path("report.html"), overwrite=True)


def _bars(table: pd.DataFrame) -> Image:
    figure = new_figure(7, 3.2)
    plot_bars(figure.add_subplot(), table.rename(columns={"mpjpe": "MPJPE", "p_mpjpe": "P-MPJPE"}), unit="mm")
    return figure_image(figure)


def _curves(histories: dict[str, pd.DataFrame], column: str, unit: str, title: str) -> Image:
    figure = new_figure(7, 3.2)
    plot_curves(figure.add_subplot(), histories, [column], unit=unit, title=title)
    return figure_image(figure)


def _families(path: Path, rows: int = 3) -> Image:
    with PoseStore(path, validate=False) as store:
        table = store.table()
        children = np.flatnonzero(
            (table["generation"] > 0) & table["operator"].astype(str).str.contains("crossover")
        )
        chosen = children[np.linspace(0, len(children) - 1, rows).astype(int)]
        family = table.loc[chosen, ["parent_a", "parent_b"]].to_numpy()
        figure = new_figure(7, 2.4 * rows)
        for row, (child, (parent_a, parent_b)) in enumerate(zip(chosen, family, strict=True)):
            poses = store.read(np.array([parent_a, parent_b, child])).joints_3d
            if poses is None:
                raise ValueError("an evolved store has 3D joints")
            for column, joints in enumerate(poses):
                axes = pose_axes(figure, rows, 3, row * 3 + column + 1)
                plot_pose(axes, joints - joints[0], H36M17, frame="world", radius=950)
                axes.set_title(("parent", "parent", "child")[column], fontsize=8)
    return figure_image(figure)


def _before_and_after(store: Path, before: ChainPredictions, after: ChainPredictions, rows: int = 4) -> Image:
    errors = mpjpe(after.from_detections, after.truth).numpy()
    order = np.argsort(errors, kind="stable")
    chosen = order[np.linspace(0, len(order) - 1, rows).round().astype(int)]
    with PoseStore(store, validate=False) as opened:
        names = opened.read(after.row.numpy()[chosen]).image or []
        folder = opened.image_folder
    tiles, captions = [], []
    for index, name in zip(chosen, names, strict=True):
        image = read_image(folder / name)
        tiles.append(draw_joints(image, after.joints_2d[index].numpy(), H36M17))
        captions.append("detected, fine-tuned")
        for label, poses in (
            ("truth", after.truth),
            ("before", before.from_detections),
            ("after", after.from_detections),
        ):
            figure = new_figure(2.4, 2.4)
            plot_pose(pose_axes(figure), poses[index].numpy(), H36M17, radius=950)
            tiles.append(figure_image(figure))
            error = float(mpjpe(poses[index], after.truth[index]))
            captions.append(label if label == "truth" else f"{label}: {error:.0f} mm")
    return image_sheet(tiles, captions, columns=4)
