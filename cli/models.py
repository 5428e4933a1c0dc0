"""`evolift models`: the networks and poses that come with evolift, as their cards tell of them."""

from __future__ import annotations

import re

import rich_click as click

from evolift.cli.options import RecipeCommand

SECTIONS = ("Data", "Licence", "Scores")


@click.command(cls=RecipeCommand)
@click.argument("names", nargs=-1)
def models(names: tuple[str, ...]) -> None:
    """Tell what comes with evolift: size, place, data, licence and scores. With NAMES, show their whole cards.

    Example: evolift models photo_pose
    """
    from evolift.artifacts.shipped_files import shipped_cards
    from evolift.posedata.errors import InputError
    from evolift.posedata.similar_name import guess

    cards = shipped_cards()
    for name in names:
        if name not in cards:
            raise InputError(
                f"nothing called {name!r} comes with evolift{guess(name, cards)}, only {', '.join(cards)}"
            )
    for name in names or cards:
        file, card = cards[name]
        text = card.read_text(encoding="utf-8")
        click.echo(f"{name}  {file.stat().st_size / 1e6:.1f} MB  {file}\n")
        click.echo(text if names else summary(text))


def summary(card: str) -> str:
    """Of a card, what it is and the sections that say what to expect of it."""
    title, *parts = re.split(r"^## +", card, flags=re.MULTILINE)
    about = title.partition("\n")[2].strip()
    told = {part.partition("\n")[0].strip(): part.partition("\n")[2].strip() for part in parts}
    sections = [f"{name}\n{told[name]}" for name in SECTIONS if name in told]
    return "\n\n".join([about, *sections]) + "\n"
