"""Small images of single poses that face the viewer."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from scipy.spatial.transform import Rotation

from evolift.drawing.figures import figure_image, new_figure, plot_pose, pose_axes
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.kinematics.local_bones import to_local

BROKEN = "#000000"


def facing_the_viewer(
    joints: Float[np.ndarray, "n joints 3"], tree: KinematicTree
) -> Float[np.ndarray, "n joints 3"]:
    """Poses about their root, rotated about the vertical so that their front is towards -y, where the viewer is."""
    forward = to_local(tree, torch.from_numpy(joints)).lower[..., 1].numpy()
    angle = -np.pi / 2 - np.arctan2(forward[:, 1], forward[:, 0])
    centred = joints - joints[:, tree.skeleton.root, None]
    rotated: np.ndarray = centred @ Rotation.from_euler("z", angle[:, None]).as_matrix().transpose(0, 2, 1)
    return rotated.astype(np.float32)


def pose_image(
    joints: Float[np.ndarray, "joints 3"],
    tree: KinematicTree,
    marked: Bool[np.ndarray, "bones"] | None = None,
    *,
    radius: float | None = None,
    title: str = "",
    title_colour: str | None = None,
) -> UInt8[np.ndarray, "height width 3"]:
    """A stick figure, without axes.

    Args:
        joints: mm, world frame.
        marked: bones to draw thick and black.
        radius: half the side of the cube shown, mm; if None it just holds this pose.
        title: above; in `title_colour` and bold if that is given.
    """
    figure = new_figure(3.2, 3.2)
    figure.set_layout_engine("none")  # laying out would take longer than drawing
    axes = pose_axes(figure)
    plot_pose(axes, joints, tree.skeleton, frame="world", opacity=0.8, radius=radius)
    axes.set_position((0, 0, 1, 0.92 if title else 1))
    axes.set_box_aspect((1, 1, 1), zoom=1.4)
    axes.set_axis_off()
    if title:
        weight = "normal" if title_colour is None else "bold"
        figure.text(0.5, 0.93, title, ha="center", fontsize=15, color=title_colour, fontweight=weight)
    for bone in np.flatnonzero(marked) if marked is not None else ():
        joint = tree.joints_of_bones[bone]
        ends = joints[[tree.skeleton.parent_indices[joint], joint]]
        axes.plot(*ends.T, color=BROKEN, linewidth=5)
    return figure_image(figure)
