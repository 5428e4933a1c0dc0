"""Draws docs/flow.svg: the stages, what goes from one to the next, and which of them training moves.

PYTHONPATH=. python docs/flow_figure.py
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from evolift.drawing.pose_figure import new_figure

STAGE, DATA = "#cfe3f1", "#f3efe3"
BOXES = {  # (left, bottom, width, colour)
    "photograph\nor video": (0.0, 2.0, 1.5, DATA),
    "detector\nheatmaps, soft-argmax": (2.3, 2.0, 2.3, STAGE),
    "2D joints\npixels, confidence": (5.4, 2.0, 1.9, DATA),
    "lifter\nnormalisation, SemGCN": (8.1, 2.0, 2.3, STAGE),
    "3D pose\nmm, camera frame": (11.2, 2.0, 1.8, DATA),
    "motion capture\n3D, world frame": (0.0, 0.0, 1.9, DATA),
    "evolution\ncrossover, mutation, limits": (2.6, 0.0, 2.6, STAGE),
    "cameras, 2D noise\nor rendered people": (6.0, 0.0, 2.2, STAGE),
    "keypoints of\nanother detector": (5.4, 3.6, 1.9, DATA),
}
ARROWS = [
    ("photograph\nor video", "detector\nheatmaps, soft-argmax"),
    ("detector\nheatmaps, soft-argmax", "2D joints\npixels, confidence"),
    ("2D joints\npixels, confidence", "lifter\nnormalisation, SemGCN"),
    ("lifter\nnormalisation, SemGCN", "3D pose\nmm, camera frame"),
    ("motion capture\n3D, world frame", "evolution\ncrossover, mutation, limits"),
    ("evolution\ncrossover, mutation, limits", "cameras, 2D noise\nor rendered people"),
]
HEIGHT = 0.9


def main() -> None:
    """Write the figure."""
    matplotlib.rcParams["svg.hashsalt"] = "evolift"  # the same bytes at every run
    figure = new_figure(11, 4.4)
    axes = figure.add_subplot()
    for text, (left, bottom, width, colour) in BOXES.items():
        box = FancyBboxPatch(
            (left, bottom), width, HEIGHT, boxstyle="round,pad=0.05", facecolor=colour, edgecolor="#555555"
        )
        axes.add_patch(box)
        axes.text(left + width / 2, bottom + HEIGHT / 2, text, ha="center", va="center", fontsize=9)
    for start, end in ARROWS:
        left, bottom, width, _ = BOXES[start]
        _arrow(
            axes,
            (left + width + 0.06, bottom + HEIGHT / 2),
            (BOXES[end][0] - 0.06, BOXES[end][1] + HEIGHT / 2),
        )
    _arrow(axes, (6.35, 3.54), (6.35, 2.97))
    _arrow(axes, (7.4, 0.96), (9.0, 1.93), "pairs of 2D and 3D teach the lifter", (8.5, 1.3))
    _arrow(axes, (6.4, 0.96), (3.7, 1.93), "images teach the detector", (2.5, 1.3))
    axes.plot([12.1, 12.1, 3.4, 3.4], [3.0, 5.0, 5.0, 3.2], color="#555555", linestyle="--", linewidth=1)
    _arrow(axes, (3.4, 3.25), (3.4, 2.97))
    axes.text(
        9.7, 4.7, "fine-tuning: the 3D error reaches the detector", fontsize=8, style="italic", ha="center"
    )
    axes.set_xlim(-0.2, 13.3)
    axes.set_ylim(-0.2, 5.2)
    axes.set_aspect("equal")
    axes.set_axis_off()
    figure.savefig(Path(__file__).with_name("flow.svg"), metadata={"Date": None})


def _arrow(
    axes: Axes,
    start: tuple[float, float],
    end: tuple[float, float],
    text: str = "",
    at: tuple[float, float] = (0, 0),
) -> None:
    axes.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=11, color="#555555"))
    if text:
        axes.text(*at, text, fontsize=8, style="italic", ha="left")


if __name__ == "__main__":
    main()
