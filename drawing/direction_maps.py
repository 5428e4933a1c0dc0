"""Values over all directions as maps: the sphere as two discs, coloured, with outlines.

The discs are those of `evolift.drawing.charts.plot_directions`: the halves of +y and of -y, each seen from outside with +z up, in
Lambert's equal-area projection, so that equal areas of the sphere are equal areas of the map.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, Normalize
from matplotlib.image import AxesImage
from matplotlib.patches import Circle

from evolift.drawing.colours import INK_COLOUR, hexadecimal

CELLS = 44
"""Cells along the edge of the square around a disc."""
NOTHING_COLOUR = "#e4e6ea"
"""Of directions without a value."""
_CENTRE = 1.2


@cache
def disc_grid(cells: int = CELLS) -> Float[np.ndarray, "2 cells cells 3"]:
    r"""Unit directions at the middles of the cells of the two discs, first that of +y; rows from -z to +z.

    .. math:: |y| = 1 - r^2, \qquad (x, z) = (\mp u, v) \sqrt{2 - r^2}, \qquad r^2 = u^2 + v^2

    Cells outside a disc have the direction of its rim, the nearest one, so that a map has values up to its border.
    """
    steps = (np.arange(cells) + 0.5) * (2 / cells) - 1
    v, u = np.meshgrid(steps, steps, indexing="ij")
    inward = np.maximum(np.hypot(u, v), 1.0)
    u, v = u / inward, v / inward
    square = np.minimum(u * u + v * v, 1.0)
    x, y, z = u * np.sqrt(2 - square), 1 - square, v * np.sqrt(2 - square)
    return np.stack([np.stack([-x, y, z], -1), np.stack([x, -y, z], -1)])


@cache
def in_disc(cells: int = CELLS) -> Bool[np.ndarray, "cells cells"]:
    """Which cells of the square have their middle in the disc: all of these stand for the same area of the sphere."""
    steps = (np.arange(cells) + 0.5) * (2 / cells) - 1
    inside: np.ndarray = np.hypot(*np.meshgrid(steps, steps)) <= 1
    return inside


def plot_direction_map(
    axes: Axes,
    values: Float[np.ndarray, "2 cells cells"],
    *,
    colours: Colormap,
    scale: Normalize,
    outline: Bool[np.ndarray, "2 cells cells"] | None = None,
    ends: tuple[str, str, str] = ("+x", "+y", "+z"),
    starts: tuple[str, str, str] = ("−x", "−y", "−z"),
    title: str = "",
) -> AxesImage:
    """Colour the two discs.

    Args:
        axes: ordinary axes.
        values: at the directions of `disc_grid`; grey where NaN.
        colours, scale: of the values.
        outline: border of these cells is drawn.
        ends, starts: names of the positive and negative ends of the axes.
        title: above.

    Returns:
        What a colour bar is made of.
    """
    ink = hexadecimal(INK_COLOUR)
    for half, centre in enumerate((-_CENTRE, _CENTRE)):
        disc = Circle((centre, 0), 1, facecolor=NOTHING_COLOUR, edgecolor="none", zorder=0)
        axes.add_patch(disc)
        extent = (centre - 1, centre + 1, -1, 1)
        image = axes.imshow(
            values[half], colours, scale, extent=extent, origin="lower", interpolation="nearest"
        )
        image.set_clip_path(disc)
        if outline is not None and 0 < outline[half].sum() < outline[half].size:
            lines = axes.contour(
                outline[half], [0.5], extent=extent, colors=ink, linewidths=1.1, linestyles="--"
            )
            lines.set_clip_path(disc)
        axes.add_patch(Circle((centre, 0), 1, facecolor="none", edgecolor="0.4", linewidth=0.8))
        # Seen from outside, +x lies left on the half of +y.
        left, right = (ends[0], starts[0]) if half == 0 else (starts[0], ends[0])
        names = [
            (0.0, 1.13, ends[2]),
            (0.0, -1.14, starts[2]),
            (-0.72, 0.95, (ends, starts)[half][1]),
        ]
        for x, y, name in (*names, (-1.1, 0, left), (1.1, 0, right)):
            axes.text(
                centre + x,
                y,
                name,
                fontsize=6.5,
                ha="center" if x > -0.7 or y == 0 else "right",
                va="center",
                color=ink,
                rotation=90 if y == 0 else 0,
                fontweight="bold" if y == 0.95 else "normal",
            )
    axes.set(xlim=(-_CENTRE - 1.2, _CENTRE + 1.2), ylim=(-1.25, 1.25), aspect="equal")
    axes.set_axis_off()
    if title:
        axes.set_title(title, fontsize=8, color=ink)
    return image
