"""All drawing in one place: skeletons on images, stick figures, contact sheets, charts.

The parts are `overlay`, `image_sheet`, `pose_figure`, `charts` and `colours`; this module only gathers their names,
and importing it loads OpenCV and matplotlib.
"""

from __future__ import annotations

from evolift.drawing.charts import plot_bars, plot_curves, plot_directions
from evolift.drawing.colours import LEFT_COLOUR, RIGHT_COLOUR, TORSO_COLOUR, hexadecimal, joint_colours
from evolift.drawing.image_sheet import fit_image, image_sheet
from evolift.drawing.overlay import draw_box, draw_joints
from evolift.drawing.pose_figure import figure_image, new_figure, plot_pose, pose_axes

__all__ = [
    "LEFT_COLOUR",
    "RIGHT_COLOUR",
    "TORSO_COLOUR",
    "draw_box",
    "draw_joints",
    "figure_image",
    "fit_image",
    "hexadecimal",
    "image_sheet",
    "joint_colours",
    "new_figure",
    "plot_bars",
    "plot_curves",
    "plot_directions",
    "plot_pose",
    "pose_axes",
]
