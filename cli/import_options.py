"""Options that several importers share."""

from __future__ import annotations

import rich_click as click

from evolift.cli.settings_options import settings_options
from evolift.posedata.importers.settings import ImportSettings

fps_option = settings_options(ImportSettings, only=("fps",))
subjects_option = click.option(
    "--subjects", default=None, help="Only these, with commas: S1,S5. All if not given."
)
with_shifted_option = click.option(
    "--with-shifted",
    is_flag=True,
    help="Keep the three sequences of S9 whose poses are shifted against the images; published figures mostly include them.",
)

up_option = click.option(
    "--up",
    type=click.Choice(["x", "y", "z", "-x", "-y", "-z"]),
    default=None,
    help="Upward axis, -y where y points down as in a camera's frame; detected if clear.",
)

implausible_option = click.option(
    "--implausible",
    is_flag=True,
    help="Accept poses that do not look like people's in millimetres with z up; all commands then accept the store.",
)


def names(text: str | None) -> list[str] | None:
    """Names from a text with commas between; None stays None."""
    return None if text is None else [name.strip() for name in text.split(",")]
