"""The bodies of originals and children: some of them standing side by side, and their proportions beside those of people."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor

from evolift.drawing.colours import SERIES_COLOURS, hexadecimal, joint_colours
from evolift.drawing.figures import figure_image, new_figure
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.kinematics.limb_directions import limb_bones
from evolift.evolution.kinematics.local_bones import LocalBones, to_joints
from evolift.evolution.operators.anthropometry import draw_factors, segments_of_bones
from evolift.posedata.seeds import generator_at

SURVEY = 4000
"""People drawn to tell the spread of people."""
SHARE = 95
"""Percent of them, or of poses, that a range holds."""
_SPACE = 850.0
_ARMS, _LEGS, _STRAIGHT = (0.3, 0.0, -1.0), (0.06, 0.0, -1.0), (0.0, 0.0, -1.0)


def proportions(
    lengths: Float32[np.ndarray, "n bones"], tree: KinematicTree, posture: Float[Tensor, "bones 3"]
) -> pd.DataFrame:
    """Height and proportions of bodies that stand; left and right are averaged.

    Args:
        lengths: of bones, mm.
        tree: of the bodies.
        posture: local directions of the bones of trunk, head, hands and feet; arms and legs hang.

    Returns:
        `height, m` from the lowest joint to the highest, and `legs, %` (hip to ankle) and `arms, %` (shoulder to wrist) of it.
    """
    pairs = limb_bones(tree)
    legs, arms = (
        sum(
            (lengths[:, list(pairs[name])].mean(1) for name in names if name in pairs), np.zeros(len(lengths))
        )
        for names in (("thigh", "shin"), ("upper_arm", "forearm"))
    )
    up = _standing(lengths, tree, posture)[..., 2]
    height = up.max(1) - up.min(1)
    return pd.DataFrame(
        {"height, m": height / 1000, "legs, %": 100 * legs / height, "arms, %": 100 * arms / height}
    )


def surveyed(template: Float32[np.ndarray, "bones"], tree: KinematicTree) -> Float32[np.ndarray, "n bones"]:
    """Bone lengths of people of the survey who are measured as a subject is, mm."""
    factors = draw_factors(SURVEY, generator_at(0, len(template)))[:, list(segments_of_bones(tree))]
    people: np.ndarray = template * factors.numpy()
    return people


def ranges(bodies: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The middle `SHARE` percent of some proportions, as text, a row per set."""
    tail = (100 - SHARE) / 2
    rows = {}
    for name, table in bodies.items():
        decimals = {column: 2 if str(column).endswith("m") else 1 for column in table}
        rows[name] = {
            column: " to ".join(
                f"{np.percentile(table[column], q):.{decimals[column]}f}" for q in (tail, 100 - tail)
            )
            for column in table
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def standing_image(
    bodies: Mapping[str, Float32[np.ndarray, "bones"]], tree: KinematicTree, posture: Float[Tensor, "bones 3"]
) -> UInt8[np.ndarray, "height width 3"]:
    """Bodies side by side on one floor and to one scale, seen from the front.

    Args:
        bodies: what is written below -> bone lengths, mm.
        tree: of the bodies.
        posture: as of `proportions`.
    """
    n = len(bodies)
    joints = _standing(np.stack(list(bodies.values())), tree, posture)
    figure = new_figure(4.8, 3.2)
    axes = figure.add_subplot()
    colours = [hexadecimal(colour) for colour in joint_colours(tree.skeleton)]
    for place, body in enumerate(joints):
        across = _SPACE * place - body[:, 0]  # from the front the right side is on the left
        up = body[:, 2] - body[:, 2].min()
        for a, b in tree.skeleton.bones:
            axes.plot(across[[a, b]], up[[a, b]], color=colours[b], linewidth=2, solid_capstyle="round")
        axes.text(_SPACE * place, up.max() + 40, f"{up.max() / 1000:.2f} m", fontsize=8, ha="center")
    axes.set_xticks([_SPACE * place for place in range(n)], list(bodies), fontsize=8)
    axes.set_yticks([0, 500, 1000, 1500], ["0", "0.5", "1", "1.5 m"], fontsize=8)
    axes.grid(axis="y", color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set(xlim=(-_SPACE * 0.6, _SPACE * (max(n, 4) - 0.4)), ylim=(-20, 2000), aspect="equal")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(length=0)
    return figure_image(figure, dpi=150)


def proportions_image(
    children: pd.DataFrame, subjects: pd.DataFrame, people: list[pd.DataFrame], other: str
) -> UInt8[np.ndarray, "height width 3"]:
    """A proportion of children over their height, with the subjects and the spread of people about each.

    Args:
        children: of `proportions`.
        subjects: of the originals, a row each.
        people: of the survey, measured as each subject is.
        other: column across from the height.
    """
    figure = new_figure(4.8, 3.2)
    axes = figure.add_subplot()
    blue, orange = (hexadecimal(colour) for colour in SERIES_COLOURS[:2])
    for number, table in enumerate(people):
        points = table[["height, m", other]].to_numpy()
        around = np.linspace(0, 2 * np.pi, 91)
        # 95 % of a normal distribution in two dimensions.
        root = np.linalg.cholesky(np.cov(points.T)) * np.sqrt(-2 * np.log(1 - SHARE / 100))
        edge = points.mean(0)[:, None] + root @ np.stack([np.cos(around), np.sin(around)])
        label = f"{SHARE} % of people" if number == 0 else None
        axes.fill(*edge, facecolor="0.5", alpha=0.15, edgecolor="none")
        axes.plot(*edge, color="0.45", linewidth=0.9, label=label)
    axes.scatter(
        children["height, m"], children[other], s=5, color=blue, alpha=0.4, label="children", linewidths=0, zorder=2,
    )  # fmt: skip
    axes.scatter(
        subjects["height, m"], subjects[other], s=45, color=orange, marker="D", edgecolors="white",
        label="subjects of the originals", zorder=3,
    )  # fmt: skip
    axes.set_xlabel("height, m", fontsize=8)
    axes.set_ylabel(f"{other.removesuffix(', %')}, % of the height", fontsize=8)
    axes.tick_params(labelsize=8)
    axes.grid(color="0.92", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=7.5, frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
    return figure_image(figure, dpi=150)


def _standing(
    lengths: Float32[np.ndarray, "n bones"], tree: KinematicTree, posture: Float[Tensor, "bones 3"]
) -> Float32[np.ndarray, "n joints 3"]:
    """Joints of upright bodies about their root, facing +y, mm."""
    directions = posture.float().clone()
    for limb, (left, right) in limb_bones(tree).items():
        directions[right] = torch.tensor({"upper_arm": _ARMS, "thigh": _LEGS}.get(limb, _STRAIGHT))
        directions[left] = directions[right] * torch.tensor([-1.0, 1.0, 1.0])
    directions = torch.nn.functional.normalize(directions, dim=-1)
    n, upright = len(lengths), torch.eye(3)
    bones = LocalBones(
        torch.zeros(n, 3),
        upright.expand(n, 3, 3),
        upright.expand(n, 3, 3),
        directions.expand(n, -1, 3),
        torch.from_numpy(lengths),
    )
    joints: np.ndarray = to_joints(tree, bones).numpy()
    return joints
