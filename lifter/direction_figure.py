"""Maps of which limb directions gain; importing it loads matplotlib."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, UInt8
from matplotlib import colormaps
from matplotlib.colors import Normalize

from evolift.drawing.direction_maps import disc_grid, plot_direction_map
from evolift.drawing.figures import figure_image, new_figure
from evolift.evolution.kinematics.limb_directions import end_names, nearness
from evolift.lifter.direction_errors import AXES

SPREAD = 15.0
"""Of the kernel that gains of cells are smoothed with, degrees."""
SEEN = 1 / 16
"""Density of test poses, 1 if they pointed everywhere alike, below which nothing is told."""
_NAME = 34
_JOINTS = {"upper_arm": "elbow", "forearm": "wrist", "thigh": "knee", "shin": "ankle"}


def direction_images(gains: pd.DataFrame) -> dict[str, UInt8[np.ndarray, "_height _width 3"]]:
    """For each limb the gains of all arms, a pair of discs each, on one scale for all limbs.

    Args:
        gains: of `evolift.lifter.direction_errors.direction_gains`.
    """
    maps = {
        (str(limb), str(arm)): (_smoothed(part), float(np.average(part["gain"], weights=part["poses"])))
        for (limb, arm), part in gains.groupby(["name", "arm"], sort=False)
    }
    every = np.concatenate([values[np.isfinite(values)] for values, _ in maps.values()])
    reach = max(1.0, float(np.percentile(np.abs(every), 98)))
    return {limb: _image(limb, maps, reach) for limb in dict.fromkeys(gains["name"])}


def _smoothed(part: pd.DataFrame) -> Float[np.ndarray, "2 cells cells"]:
    places = torch.from_numpy(disc_grid()).float()
    near = nearness(places.flatten(0, 2), torch.tensor(part[list(AXES)].to_numpy(np.float32)), spread=SPREAD)
    poses, gain = (torch.tensor(part[name].to_numpy(np.float32)) for name in ("poses", "gain"))
    weight = near @ poses
    mean = (near @ (poses * gain)) / weight
    mean[weight / poses.sum() < SEEN] = torch.nan
    values: np.ndarray = mean.reshape(places.shape[:-1]).numpy()
    return values


def _image(
    limb: str, maps: dict[tuple[str, str], tuple[Float[np.ndarray, "2 cells cells"], float]], reach: float
) -> UInt8[np.ndarray, "height width 3"]:
    rows = [(arm, *shown) for (name, arm), shown in maps.items() if name == limb]
    figure = new_figure(2.7, 0.6 + 1.45 * len(rows))
    ends, starts = end_names(limb)
    axes = [figure.add_subplot(len(rows), 1, number) for number in range(1, len(rows) + 1)]
    for one, (arm, values, mean) in zip(axes, rows, strict=True):
        name = arm if len(arm) <= _NAME else f"{arm[: _NAME - 1]}…"
        shown = plot_direction_map(
            one,
            values,
            colours=colormaps["RdBu"],
            scale=Normalize(-reach, reach),
            ends=ends,
            starts=starts,
            title=f"{name}: {mean:+.1f} mm".replace("-", "−"),
        )
    bar = figure.colorbar(
        shown, ax=axes, location="bottom", fraction=0.06, pad=0.02, aspect=30, extend="both"
    )
    bar.ax.tick_params(labelsize=6.5, length=2)
    bar.set_label(f"gain of the {_JOINTS[limb]}, mm (blue is better)", fontsize=6.5)
    return figure_image(figure, dpi=200)
