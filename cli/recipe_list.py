"""`evolift recipes`: the recipes that come with evolift."""

from __future__ import annotations

import rich_click as click

from evolift.cli.recipe_file import FOLDER, RecipeCommand, read_recipe, shipped_recipes


@click.command(cls=RecipeCommand)
@click.argument("names", nargs=-1)
def recipes(names: tuple[str, ...]) -> None:
    """List the recipes that come with evolift, or show what NAMES of them set.

    A command takes one by --recipe NAME. So it takes a TOML file of your own, and the settings.json of a run.

    Example: evolift recipes photos-small
    """
    for name in names or shipped_recipes():
        recipe = read_recipe(name)
        if names:
            click.echo((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
        else:
            click.echo(f"{name}\n    evolift {recipe['command']}: {recipe['purpose']}")
