"""Stick figures in 3D, made with matplotlib's objects (no pyplot, no global state, no window).

`plot_pose` draws into axes that the caller made with `new_figure` and `pose_axes`; `figure_image` turns a figure
into pixels for a report.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d import Axes3D  # type: ignore[import-untyped]  # it has no stubs

from evolift.drawing.colours import hexadecimal, joint_colours
from evolift.posedata.skeleton import Skeleton


def new_figure(width: float = 6.0, height: float = 4.0) -> Figure:
    """An empty figure of the given size in inches, laid out so that labels do not overlap."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def pose_axes(figure: Figure, rows: int = 1, columns: int = 1, number: int = 1) -> Axes3D:
    """Axes for `plot_pose`: place `number` (from 1) of a grid of rows x columns."""
    axes: Axes3D = figure.add_subplot(rows, columns, number, projection="3d")
    return axes


def figure_image(figure: Figure, *, dpi: int = 100) -> UInt8[np.ndarray, "height width 3"]:
    """The pixels of a figure, RGB."""
    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]  # matplotlib leaves it untyped
    pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]  # as above
    return pixels[..., :3].copy()


def upright(
    joints_3d: Float[np.ndarray, "*batch 3"], frame: Literal["camera", "world"]
) -> Float[np.ndarray, "*batch 3"]:
    """Joints in axes with z up that have the same handedness: camera (x, y, z) becomes (x, z, -y)."""
    if frame == "world":
        return joints_3d
    return np.stack([joints_3d[..., 0], joints_3d[..., 2], -joints_3d[..., 1]], -1)


def plot_pose(
    axes: Axes3D,
    joints_3d: Float[np.ndarray, "joints 3"],
    skeleton: Skeleton,
    *,
    frame: Literal["camera", "world"] = "camera",
    radius: float | None = None,
    opacity: float = 1.0,
) -> None:
    """A stick figure, upright, with the same scale on all axes.

    In the camera frame the view is from the camera, a little from above and from its right: what is right in
    the photograph is right in the figure.

    Args:
        axes: from `pose_axes`; draw several poses into the same axes to compare them.
        joints_3d: millimetres; joints that are not finite are left out.
        skeleton: of the joints.
        frame: of `joints_3d`: camera (y down, z forward) or world (z up).
        radius: half the side of the cube shown, mm; if None the cube just holds this pose.
        opacity: 0 to 1.

    Raises:
        ValueError: the joints do not fit the skeleton, or none is finite.
    """
    if joints_3d.shape != (len(skeleton), 3):
        raise ValueError(f"joints must have shape ({len(skeleton)}, 3) (got {joints_3d.shape})")
    points = upright(joints_3d, frame)
    there = np.isfinite(points).all(-1)
    if not there.any():
        raise ValueError("a pose needs at least one finite joint")
    colours = [hexadecimal(colour) for colour in joint_colours(skeleton)]
    for a, b in skeleton.bones:
        if there[a] and there[b]:
            axes.plot(*points[[a, b]].T, color=colours[b], linewidth=2.5, alpha=opacity)
    axes.scatter(
        *points[there].T,
        c=[colours[joint] for joint in np.flatnonzero(there)],
        s=14,
        alpha=opacity,
        depthshade=False,
    )
    low, high = points[there].min(0), points[there].max(0)
    radius = radius or max(float((high - low).max()) / 2 * 1.05, 1.0)
    for centre, set_limits in zip(
        (low + high) / 2, (axes.set_xlim, axes.set_ylim, axes.set_zlim), strict=True
    ):
        set_limits(centre - radius, centre + radius)
    axes.set_box_aspect((1, 1, 1), zoom=0.85)  # leaves room for the labels
    names = ("x", "z", "−y") if frame == "camera" else ("x", "y", "z")
    axes.set_xlabel(f"{names[0]} (mm)", fontsize=7)
    axes.set_ylabel(f"{names[1]} (mm)", fontsize=7)
    axes.set_zlabel(f"{names[2]} (mm)", fontsize=7)
    axes.tick_params(labelsize=6)
    axes.locator_params(nbins=4)
    axes.view_init(elev=12, azim=-70)
