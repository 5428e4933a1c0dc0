"""The page of `evolift reproduce`: its tables, and the report's Figure 2 for each row.

Figure 2 shows photographs with the detected joints on them, the true 3D pose and the predicted one.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from evolift.cli.reproducing.plan import Plan
from evolift.cli.reproducing.row_results import NOTES, RowResult, caption, ordering_table, score_table
from evolift.drawing.figures import (
    draw_joints,
    figure_image,
    image_sheet,
    new_figure,
    plot_pose,
    pose_axes,
)
from evolift.drawing.report_page import PageLink, ReportPage
from evolift.posedata.image_file import read_image
from evolift.posedata.metrics import mpjpe
from evolift.posedata.skeleton import Skeleton

if TYPE_CHECKING:
    from torch import Tensor

IMAGES = 2
"""Images of each row in the figure."""


def write_page(path: Path, plan: Plan, results: list[RowResult], root: Path) -> None:
    """Write the page, self-contained, over an older one."""
    table = score_table(plan, results, root)
    table["run"] = pd.Series([PageLink(Path(run), "run") for run in table["run"]], dtype=object)
    table = table.drop(columns=[name for name in table if str(name).startswith("ours on ")])
    if not table["problem"].any():
        table = table.drop(columns="problem")
    page = ReportPage("evolift reproduce")
    page.paragraph(caption(plan))
    page.table(table, "The report's rows", index=False)
    page.paragraph(NOTES)
    page.table(ordering_table(results), "Which of the report's orderings hold", index=False)
    page.heading("Figure 2: detected joints, true pose, predicted pose")
    for result in results:
        if result.problem is None:
            row = result.run.row
            title = f"Row {row.number}: {row.backbone} {', '.join(row.extensions)}".rstrip()
            page.heading(title + (f", seed {result.run.seed}" if result.run.seed else ""), 3)
            page.image(figure_of(result, root), f"{title}, images of the {row.split} split", lossless=False)
    page.write(path, overwrite=True)


def figure_of(result: RowResult, root: Path, count: int = IMAGES) -> np.ndarray:
    """Some images of the row's split: overlay, truth and prediction, side by side."""
    from evolift.chain.evaluation import predict_chain
    from evolift.chain.model import ChainModel
    from evolift.detector2d.evaluation import evaluate_detector
    from evolift.detector2d.image_source import read_source
    from evolift.detector2d.model import DetectorModel

    run = result.run
    store, model = run.images[run.row.split].located(root), run.model.located(root)
    skeleton = (
        ChainModel.load(model).skeleton if run.is_chain else DetectorModel.load(model).settings.skeleton
    )
    source = read_source(store, skeleton)
    rows = _evenly(np.flatnonzero(source.known_3d.all(1)), count)
    images = [source.paths[row] for row in rows]
    if run.is_chain:
        chain = predict_chain(ChainModel.load(model), store, rows=rows)
        return _sheet(images, chain.joints_2d, chain.truth, chain.from_detections, skeleton)
    found = evaluate_detector(DetectorModel.load(model), store, rows=rows)[1]
    assert found.pose is not None  # rows with 3D joints have one
    return _sheet(images, found.joints, found.joints_3d, found.pose, skeleton)


def _evenly(rows: np.ndarray, count: int) -> np.ndarray:
    chosen: np.ndarray = rows[np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int)]
    return chosen


def _sheet(
    images: list[Path], pixels: Tensor, truth: Tensor, poses: Tensor, skeleton: Skeleton
) -> np.ndarray:
    tiles, captions = [], []
    for number, path in enumerate(images):
        tiles.append(draw_joints(read_image(path), pixels[number].numpy(), skeleton))
        for pose in (truth[number], poses[number]):
            figure = new_figure(2.56, 2.56)
            plot_pose(pose_axes(figure), pose.numpy(), skeleton, radius=950)
            tiles.append(figure_image(figure))
        error = float(mpjpe(poses[number], truth[number]))
        captions += ["detected", "truth", f"predicted: {error:.0f} mm off"]
    return image_sheet(tiles, captions, columns=3)
