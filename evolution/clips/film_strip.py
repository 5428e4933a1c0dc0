"""Motions on paper: some frames of clips side by side, one clip below the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, UInt8

from evolift.drawing.colours import hexadecimal, joint_colours
from evolift.drawing.figures import figure_image, new_figure
from evolift.posedata.skeleton import Skeleton

SPACING = 1000.0
"""mm from one body to the next."""
_VIEW = np.radians(40)


def film_strip(
    clips: Sequence[tuple[str, Float[np.ndarray, "frames joints 3"], Bool[np.ndarray, "frames joints"]]],
    skeleton: Skeleton,
    shown: Sequence[int],
) -> UInt8[np.ndarray, "height width 3"]:
    """Frames of clips at the same times, seen from beside their first heading; bodies go on the spot, heights are true.

    Args:
        clips: captions, joints in mm with z up, and which joints to mark in which frame (such as standing feet).
        skeleton: of the joints.
        shown: numbers of the frames.
    """
    figure = new_figure(0.92 * len(shown), 2.1 * len(clips))
    colours = [hexadecimal(colour) for colour in joint_colours(skeleton)]
    low = min(float(np.quantile(joints[..., 2].min(1), 0.05)) for _, joints, _ in clips)
    high = max(float(joints[..., 2].max()) for _, joints, _ in clips)
    for number, (caption, joints, marked) in enumerate(clips):
        axes = figure.add_subplot(len(clips), 1, number + 1)
        across = _across(joints, skeleton)
        for place, frame in enumerate(shown):
            body = joints[frame]
            x = (body - body[skeleton.root]) @ across + place * SPACING
            for a, b in skeleton.bones:
                axes.plot(x[[a, b]], body[[a, b], 2], color=colours[b], linewidth=1.8, solid_capstyle="round")
            down = marked[frame]
            axes.plot(x[down], body[down, 2], "o", color="black", markersize=4)
            axes.text(place * SPACING, low - 60, str(frame), ha="center", va="top", fontsize=7)
        axes.axhline(low, color="0.75", linewidth=0.8, zorder=0)
        axes.set(
            xlim=(-0.6 * SPACING, (len(shown) - 0.4) * SPACING), ylim=(low - 250, high + 100), aspect="equal"
        )
        axes.set_axis_off()
        axes.set_title(caption, fontsize=9, loc="left")
    return figure_image(figure)


def _across(joints: Float[np.ndarray, "frames joints 3"], skeleton: Skeleton) -> Float[np.ndarray, "3"]:
    """The direction of the paper to the right: the first frame's hip line, seen a little from the side."""
    hips = joints[0, skeleton.index("left_hip")] - joints[0, skeleton.index("right_hip")]
    angle = np.arctan2(hips[1], hips[0]) + _VIEW
    return np.array([np.cos(angle), np.sin(angle), 0.0])
