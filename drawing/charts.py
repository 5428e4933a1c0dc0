"""Charts of the reports: limb directions on a sphere, bars before and after, learning curves.

Each function draws into matplotlib axes that the caller made (`evolift.drawing.pose_figure.new_figure().add_subplot()`).
Colours are those of `evolift.drawing.colours`; series are also told apart by markers, dashes or labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection

from evolift.drawing.colours import INK_COLOUR, SERIES_COLOURS, hexadecimal
from evolift.drawing.pose_figure import figure_image, new_figure

_MARKERS = "osD^vP"
_DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)))
_DISC_CENTRE = 1.3


def plot_directions(
    axes: Axes,
    directions: Mapping[str, Float[np.ndarray, "_count 3"]],
    *,
    ends: tuple[str, str, str] = ("+x", "+y", "+z"),
    starts: tuple[str, str, str] = ("−x", "−y", "−z"),
) -> None:
    """Sphere of limb directions as two discs, so that nothing is hidden: the halves of +y and of -y.

    Each half is seen from outside with +z up, in Lambert's equal-area projection: equal areas of the sphere are
    equal areas of the figure, so densities may be compared. In a body frame with y forward the left disc is the
    view of someone who faces the person.

    Args:
        axes: ordinary axes.
        directions: name of a set -> vectors of any length in one right-handed frame; zero vectors are left out.
        ends, starts: names of the positive and negative ends of the axes, for example ("left", "front", "up").
    """
    for centre in (-_DISC_CENTRE, _DISC_CENTRE):
        for angle in (30.0, 60.0, 90.0):
            _ring(axes, centre, angle)
    for number, (name, vectors) in enumerate(directions.items()):
        u, v = disc_coordinates(vectors)
        axes.scatter(
            u,
            v,
            s=float(np.clip(2000 / max(len(u), 1), 2, 16)),
            color=_series_colour(number),
            marker=_MARKERS[number % len(_MARKERS)],
            alpha=0.6,
            linewidths=0,
            label=name,
        )
    _name_ends(axes, -_DISC_CENTRE, (ends[1], ends[0], starts[0]), (ends[2], starts[2]))
    _name_ends(axes, _DISC_CENTRE, (starts[1], starts[0], ends[0]), (ends[2], starts[2]))
    axes.set_xlim(-2 * _DISC_CENTRE, 2 * _DISC_CENTRE)
    axes.set_aspect("equal")
    axes.set_axis_off()
    if len(directions) > 1:
        legend = axes.legend(
            loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=3, fontsize=8, frameon=False
        )
        for handle in legend.legend_handles:
            if isinstance(handle, PathCollection):
                handle.set_sizes([20.0])


def disc_coordinates(
    directions: Float[np.ndarray, "_count 3"],
) -> tuple[Float[np.ndarray, "_kept"], Float[np.ndarray, "_kept"]]:
    r"""Where `plot_directions` puts vectors: the disc of y >= 0 left of the origin, that of y < 0 right of it.

    .. math:: (u, v) = (\mp x, z) / \sqrt{1 + |y|}

    for a unit vector (x, y, z), which maps a half sphere to a disc of radius 1 (Lambert 1772, equal areas); x is
    mirrored on the left disc because that half is seen from its own side.

    Raises:
        ValueError: the array is not (count, 3).
    """
    directions = np.asarray(directions, np.float64)
    if directions.ndim != 2 or directions.shape[1] != 3:
        raise ValueError(f"directions must have shape (count, 3) (got {directions.shape})")
    length = np.linalg.norm(directions, axis=1)
    kept = np.isfinite(length) & (length > 0)
    x, y, z = (directions[kept] / length[kept, None]).T
    front = y >= 0
    scale = 1 / np.sqrt(1 + np.abs(y))
    u = np.where(front, -x * scale - _DISC_CENTRE, x * scale + _DISC_CENTRE)
    return u, z * scale


def plot_bars(
    axes: Axes,
    table: pd.DataFrame,
    *,
    unit: str,
    title: str = "",
    decimals: int = 1,
    lower_is_better: bool = True,
    ranges: tuple[pd.DataFrame, pd.DataFrame] | None = None,
) -> None:
    """Grouped bars with their values: one group per row of a table, one bar per column (before, after, ...).

    Args:
        axes: ordinary axes.
        table: numbers; its index names the groups and its columns the bars. NaN is drawn as a gap.
        unit: of the numbers, on the axis.
        title: above the bars.
        decimals: of the written values.
        lower_is_better: said on the axis.
        ranges: lowest and highest values, tables like the first, drawn as whiskers.

    Raises:
        ValueError: the table is empty.
    """
    if table.empty:
        raise ValueError("a bar chart needs at least one number")
    places = np.arange(len(table))
    width = 0.8 / len(table.columns)
    for number, column in enumerate(table.columns):
        values = table[column].to_numpy(np.float64)
        at = places + (number - (len(table.columns) - 1) / 2) * width
        bars = axes.bar(at, values, width * 0.92, color=_series_colour(number), label=str(column))
        if ranges is not None:
            low, high = (part[column].to_numpy(np.float64) for part in ranges)
            spread = np.stack([values - low, high - values])
            axes.errorbar(at, values, spread, fmt="none", ecolor=hexadecimal(INK_COLOUR), capsize=4)
        labels = ["" if np.isnan(value) else f"{value:.{decimals}f}" for value in values]
        if ranges is None:
            axes.bar_label(bars, labels, padding=2, fontsize=8)
        else:  # away from the whiskers
            axes.bar_label(bars, labels, label_type="center", color="white", fontsize=9)
    axes.set_xlim(-0.5, len(table) - 0.5)
    axes.set_xticks(places, [str(name) for name in table.index])
    axes.set_ylabel(f"{unit} ({'lower' if lower_is_better else 'higher'} is better)")
    axes.margins(y=0.15)
    axes.spines[["top", "right"]].set_visible(False)
    if title:
        axes.set_title(title, fontsize=10)
    if len(table.columns) > 1:
        axes.legend(fontsize=8, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=4)


def plot_curves(
    axes: Axes,
    histories: Mapping[str, pd.DataFrame],
    columns: Sequence[str],
    *,
    unit: str,
    x: str = "step",
    title: str = "",
) -> None:
    """Learning curves from the `history.csv` tables that training writes.

    Args:
        axes: ordinary axes.
        histories: name of a run -> its table.
        columns: metrics to draw, each a dash pattern; runs are colours.
        unit: of the metrics.
        x: column of the horizontal axis.
        title: above the curves.

    Raises:
        ValueError: a table lacks a column.
    """
    for number, (name, history) in enumerate(histories.items()):
        missing = [column for column in (x, *columns) if column not in history]
        if missing:
            raise ValueError(
                f"history {name!r} has no column {missing[0]!r} (it has {', '.join(map(str, history))})"
            )
        for dash, column in enumerate(columns):
            known = history[[x, column]].dropna()
            label = name if len(columns) == 1 else f"{name}: {column}" if name else column
            axes.plot(
                known[x].to_numpy(),
                known[column].to_numpy(),
                color=_series_colour(number),
                linestyle=_DASHES[dash % len(_DASHES)],
                marker=_MARKERS[number % len(_MARKERS)],
                markersize=4,
                label=label,
            )
    axes.set_xlabel(x)
    axes.set_ylabel(unit)
    axes.grid(color="0.9", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    if title:
        axes.set_title(title, fontsize=10)
    if len(histories) * len(columns) > 1:
        axes.legend(fontsize=8, frameon=False)


def learning_curves(history: pd.DataFrame, monitor: str) -> UInt8[np.ndarray, "height width 3"]:
    """One image of a training: its losses on the left, the score that it is judged by on the right.

    Args:
        history: a `history.csv` table.
        monitor: the column of the score.
    """
    losses = [column for column in ("loss", "validation_loss") if column in history]
    parts = [(losses, "loss")] * bool(losses) + [([monitor], monitor)]
    figure = new_figure(4.5 * len(parts), 3.2)
    for number, (columns, unit) in enumerate(parts, start=1):
        axes = figure.add_subplot(1, len(parts), number)
        plot_curves(axes, {"": history}, columns, unit=unit)
    return figure_image(figure)


def _series_colour(number: int) -> str:
    return hexadecimal(SERIES_COLOURS[number % len(SERIES_COLOURS)])


def _ring(axes: Axes, centre: float, angle: float) -> None:
    """Circle of all directions `angle` degrees from the middle of a disc."""
    radius = np.sqrt(2) * np.sin(np.radians(angle) / 2)
    angles = np.linspace(0, 2 * np.pi, 181)
    axes.plot(
        centre + radius * np.cos(angles),
        radius * np.sin(angles),
        color="0.4" if angle == 90.0 else "0.85",
        linewidth=0.8,
        zorder=0,
    )


def _name_ends(axes: Axes, centre: float, across: tuple[str, str, str], upright: tuple[str, str]) -> None:
    """Names around one disc: (its half, its left end, its right end) and (up, down)."""
    places = ((0, 1.35, f"{across[0]} half"), (0, 1.1, upright[0]), (0, -1.12, upright[1]))
    for x, y, name in (*places, (-1.12, 0, across[1]), (1.12, 0, across[2])):
        bold = "bold" if y > 1.2 else "normal"
        axes.text(
            centre + x,
            y,
            name,
            fontsize=8,
            ha="center",
            va="center",
            rotation=90 if y == 0 else 0,
            color=hexadecimal(INK_COLOUR),
            fontweight=bold,
        )


def plot_reliability(axes: Axes, curve: pd.DataFrame) -> None:
    """How often something is right that is said with some confidence, against that confidence; on the diagonal they agree.

    Args:
        axes: ordinary axes.
        curve: columns `confidence` and `correct` (0 to 1) and `count`, a row per range of confidence; dots are as large as the
            counts.
    """
    axes.plot([0, 1], [0, 1], color=hexadecimal(INK_COLOUR), linewidth=0.8, linestyle=":")
    share = curve["count"] / curve["count"].sum()
    colour = _series_colour(0)
    axes.plot(curve["confidence"], curve["correct"], color=colour)
    axes.scatter(
        curve["confidence"], curve["correct"], s=20 + 400 * share, color=colour, alpha=0.7, linewidths=0
    )
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", ylabel="part that is right", aspect="equal")


def plot_error_reliability(axes: Axes, curves: Mapping[str, pd.DataFrame]) -> None:
    """How far joints are off, against how far off they are said to be; on the diagonal they agree, above it too much was promised.

    Args:
        axes: ordinary axes.
        curves: by name, columns `expected` and `error` (mm), a row per group of joints.
    """
    limit = 1.05 * max(float(curve[["expected", "error"]].to_numpy().max()) for curve in curves.values())
    axes.plot([0, limit], [0, limit], color=hexadecimal(INK_COLOUR), linewidth=0.8, linestyle=":")
    for number, (name, curve) in enumerate(curves.items()):
        axes.plot(
            curve["expected"],
            curve["error"],
            color=_series_colour(number),
            marker=_MARKERS[number],
            linestyle=_DASHES[number],
            label=name,
        )
    axes.set(xlim=(0, limit), ylim=(0, limit), aspect="equal")
    axes.set(xlabel="error that sigma says, mm (mean)", ylabel="error that there is, mm (mean)")
    axes.legend(fontsize=8, frameon=False)
