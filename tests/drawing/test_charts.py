from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

from evolift.drawing.charts import disc_coordinates, plot_bars, plot_curves, plot_directions
from evolift.drawing.pose_figure import figure_image, new_figure


@pytest.fixture
def axes() -> Axes:
    return new_figure().add_subplot()


def test_discs_have_equal_areas_everywhere() -> None:
    vectors = np.random.default_rng(0).normal(size=(200_000, 3))
    u, v = disc_coordinates(vectors)
    centre = np.where(u < 0, -1.3, 1.3)
    radius = np.hypot(u - centre, v)
    assert radius.max() <= 1 + 1e-9
    # Uniform directions are uniform on each disc: the squared radius is uniform on [0, 1].
    shares, _ = np.histogram(radius**2, bins=10, range=(0, 1))
    assert shares / len(u) == pytest.approx(np.full(10, 0.1), abs=0.004)


def test_disc_sides_seen_from_their_own_side() -> None:
    # +y, -y, up; then a little to +x on either half.
    u, v = disc_coordinates(np.array([[0, 5.0, 0], [0, -2, 0], [0, 1, 1], [0.1, 1, 0], [0.1, -1, 0]]))
    assert (u[:2], v[:2]) == (pytest.approx([-1.3, 1.3]), pytest.approx([0, 0]))
    assert v[2] > 0.5
    assert u[3] < -1.3  # seen from the front, +x (right of the body) is at the left
    assert u[4] > 1.3
    assert len(disc_coordinates(np.zeros((3, 3)))[0]) == 0


def test_bars_show_the_numbers_of_the_table(axes: Axes) -> None:
    table = pd.DataFrame({"before": [80.0, 60.0], "after": [70.0, np.nan]}, index=["lifter", "chain"])
    plot_bars(axes, table, unit="mm", title="Error")
    assert [round(bar.get_height()) for bar in axes.patches if np.isfinite(bar.get_height())] == [80, 60, 70]  # type: ignore[attr-defined]
    assert [text.get_text() for text in axes.texts] == ["80.0", "60.0", "70.0", ""]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["lifter", "chain"]
    assert axes.get_ylabel() == "mm (lower is better)"
    figure_image(axes.figure)  # type: ignore[arg-type]  # draws without a warning


def test_curves_show_a_history_and_skip_its_gaps(axes: Axes) -> None:
    history = pd.DataFrame({"step": [0, 10, 20], "loss": [3.0, np.nan, 1.0]})
    plot_curves(axes, {"plain": history, "evolved": history * 2}, ["loss"], unit="mm")
    first, second = axes.get_lines()
    assert (list(first.get_xdata()), list(first.get_ydata())) == ([0, 20], [3, 1])
    assert list(second.get_ydata()) == [6, 2]
    with pytest.raises(ValueError, match=r"history 'plain' has no column 'val' \(it has step, loss\)"):
        plot_curves(axes, {"plain": history}, ["val"], unit="mm")


def test_directions_are_drawn(axes: Axes) -> None:
    plot_directions(axes, {"a": np.eye(3), "none": np.zeros((0, 3))}, ends=("right", "front", "up"))
    offsets = np.asarray(axes.collections[0].get_offsets())
    assert offsets.shape == (3, 2)
    assert "front half" in [text.get_text() for text in axes.texts]
    figure_image(axes.figure)  # type: ignore[arg-type]


def test_an_empty_table_is_refused(axes: Axes) -> None:
    with pytest.raises(ValueError, match="at least one number"):
        plot_bars(axes, pd.DataFrame(), unit="mm")
