"""What the rounds of evolution in a loop (`evolift.lifter.evolution_loop`) gained: their table, its summary and their page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import UInt8

from evolift.drawing.figures import figure_image, new_figure, plot_bars, plot_curves
from evolift.drawing.report_page import ReportPage
from evolift.posedata.output_file import write_text

ROUNDS, PAGE = "rounds.csv", "report.html"
ERRORS = ["mpjpe", "p_mpjpe"]
TOLD = ["round", "sampling", "children", "hardness", "hardest tenth", *ERRORS, "gain, %", "kept"]
"""Columns of the table of rounds; those of the joints follow."""
UNIFORM = "uniform"


def table_of_rounds(rows: Sequence[Mapping[str, Any]], folder: Path) -> pd.DataFrame:
    """The table of the rounds so far, which is written too.

    Args:
        rows: all its columns but `kept`, which is made.
        folder: of the loop.
    """
    table = pd.DataFrame(rows)
    table["kept"] = np.arange(len(table)) == table["mpjpe"].to_numpy().argmin()
    table = table[[*TOLD, *table.columns.difference(TOLD, sort=False)]]
    write_text(folder / ROUNDS, table.to_csv(index=False))
    return table


def kept_row(table: pd.DataFrame) -> pd.Series:
    """The row of what erred least.

    Args:
        table: of `evolve_in_loop`.
    """
    return table[table["kept"]].iloc[0]


def pressure_gains(table: pd.DataFrame) -> pd.DataFrame:
    """What drawing parents by each pressure gained, a row per pressure.

    Args:
        table: of `evolve_in_loop`.

    Returns:
        `sampling`; `rounds` that it was tried in; mean of their `gain, %`, and its range, `from` and `to`.
    """
    tried = table[(table["round"] > 1) & (table["sampling"] != UNIFORM)]
    gains = tried.groupby("sampling", sort=False)["gain, %"].agg(["size", "mean", "min", "max"])
    gains.columns = pd.Index(["rounds", "gain, %", "from", "to"])
    return gains.reset_index()


def write_loop_page(table: pd.DataFrame, folder: Path, source: Path, scored: Sequence[Path]) -> None:
    """Write the page of a loop that is over.

    Args:
        table: of `evolve_in_loop`.
        folder: of the loop.
        source: store that was evolved.
        scored: stores that the lifters were scored on.
    """
    kept = kept_row(table)
    page = ReportPage(f"Where {source.name} was evolved, and what that gained")
    page.paragraph(
        f"In every round {source.name} was evolved anew, from the second on with parents drawn by a pressure, and a lifter was trained anew for as many steps. "
        f"Errors in mm: hardness on the originals, the others on {', '.join(path.name for path in scored)}. Gains are over parents drawn alike (uniform), in the same round "
        f"if it has such a control. Round {kept['round']}, {kept['sampling']}, erred least and is kept: being the best of {len(table)}, it owes some of its gain to luck."
    )
    page.table(table[TOLD], index=False)
    gains = pressure_gains(table)
    if len(gains):
        page.heading("What the pressure gained")
        page.table(gains, index=False)
    page.image(_error_figure(table), "Errors of the lifters of each round")
    page.heading("Which joints")
    page.image(_joint_figure(table), "MPJPE of each joint by what is kept, and by what its gain is over")
    page.write(folder / PAGE, overwrite=True)


def _error_figure(table: pd.DataFrame) -> UInt8[np.ndarray, "height width 3"]:
    begun = table[table["round"] == 1]
    curves = {
        str(name): part if name == UNIFORM else pd.concat([begun, part])
        for name, part in table.groupby("sampling", sort=False)
    }
    figure = new_figure(6.0, 3.2)
    plot_curves(figure.add_subplot(), curves, ERRORS, unit="mm", x="round")
    return figure_image(figure)


def _joint_figure(table: pd.DataFrame) -> UInt8[np.ndarray, "height width 3"]:
    kept = kept_row(table)
    uniform = table[(table["sampling"] == UNIFORM) & (table["round"] <= kept["round"])].iloc[-1]
    joints = table.columns.difference(TOLD, sort=False)
    shown = {f"round {row['round']}, {row['sampling']}": row[joints].astype(float) for row in (uniform, kept)}
    figure = new_figure(max(6.0, 0.6 * len(joints) * len(shown)), 3.6)
    plot_bars(figure.add_subplot(), pd.DataFrame(shown), unit="mm")
    return figure_image(figure)
