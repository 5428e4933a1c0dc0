"""How densely upper arms, forearms, thighs and shins point where, before and after a run, and how much of what limits allow that is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from matplotlib import colormaps
from matplotlib.colors import BoundaryNorm
from torch import Tensor

from evolift.drawing.direction_maps import disc_grid, in_disc, plot_direction_map
from evolift.drawing.figures import figure_image, new_figure
from evolift.evolution.kinematics.limb_directions import end_names, folded, limb_bones, nearness
from evolift.evolution.kinematics.local_bones import LocalBones
from evolift.evolution.limits.joint_limits import JointLimits

STEPS = (1 / 16, 1 / 4, 1, 4, 16, 64)
"""Borders of the shades of density; 1 is the density of directions that are all alike."""
BODIES = 16
"""Poses whose limbs above say what limits allow a forearm or a shin."""


@dataclass(frozen=True, eq=False)
class LimbSphere:
    """A limb's directions before and after.

    Args:
        limb: see `limb_directions`.
        image: the four discs.
        before, after: share of the directions that the limits allow and that are taken: with a density above `STEPS[0]`.
    """

    limb: str
    image: UInt8[np.ndarray, "height width 3"]
    before: float
    after: float


def limb_spheres(before: LocalBones, after: LocalBones, limits: JointLimits) -> list[LimbSphere]:
    """The limbs that the skeleton has.

    Args:
        before, after: equally many poses of each, one batch axis.
        limits: whose outline is drawn.
    """
    spheres = []
    places = torch.from_numpy(disc_grid()).float()
    for limb, pair in limb_bones(limits.tree).items():
        allowed = _allowed(limits, pair[1], after[:BODIES], places.flatten(0, 2)).reshape(places.shape[:-1])
        densities, shares = {}, {}
        for name, bones in (("originals", before), ("children", after)):
            density = nearness(places.flatten(0, 2), folded(bones, pair)).mean(1)
            densities[name] = density.reshape(places.shape[:-1]).numpy()
            inside = allowed.numpy() & in_disc()
            shares[name] = float((densities[name][inside] > STEPS[0]).mean()) if inside.any() else 0.0
        image = _image(limb, densities, shares, allowed.numpy())
        spheres.append(LimbSphere(limb, image, shares["originals"], shares["children"]))
    return spheres


def _allowed(
    limits: JointLimits, bone: int, bodies: LocalBones, places: Float[Tensor, "places 3"]
) -> Bool[Tensor, "places"]:
    """Where a bone may point in at least one of some bodies: the place of the limb above decides on forearms and shins."""
    allowed = torch.zeros(len(places), dtype=torch.bool)
    for number in range(len(bodies)):
        alike = bodies[torch.full((len(places),), number)]
        directions = alike.directions.clone()
        directions[:, bone] = places.to(directions)
        allowed |= limits.check_measured(alike.with_values(directions=directions))[:, bone]
    return allowed


def _image(
    limb: str,
    densities: dict[str, Float[np.ndarray, "2 cells cells"]],
    shares: dict[str, float],
    allowed: Bool[np.ndarray, "2 cells cells"],
) -> UInt8[np.ndarray, "height width 3"]:
    figure = new_figure(2.7, 3.45)
    colours = colormaps["viridis_r"].with_extremes(under="#ffffff")
    scale = BoundaryNorm(STEPS, colours.N, extend="max")
    ends, starts = end_names(limb)
    axes = [figure.add_subplot(2, 1, number) for number in (1, 2)]
    for one, (name, density) in zip(axes, densities.items(), strict=True):
        title = f"{name}: {100 * shares[name]:.0f} % of what limits allow"
        shown = plot_direction_map(
            one, density, colours=colours, scale=scale, outline=allowed, ends=ends, starts=starts, title=title
        )
    bar = figure.colorbar(shown, ax=axes, location="bottom", fraction=0.04, pad=0.02, aspect=30)
    bar.set_ticks(STEPS, labels=["1/16", "1/4", "1", "4", "16", "64"])
    bar.ax.tick_params(labelsize=6.5, length=2)
    bar.set_label("density, 1 if all directions were alike", fontsize=6.5)
    return figure_image(figure, dpi=200)
