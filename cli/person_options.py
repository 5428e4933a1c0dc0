"""The options of `evolift predict` that say which detector finds the people of pictures and videos."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from evolift.cli.options import ExistingFile, FiniteRange, Function
from evolift.posedata.errors import InputError

if TYPE_CHECKING:
    from evolift.prediction.tracking.person_following import PeopleFinder

_OPTIONS: list[Callable[[Any], Any]] = [
    click.option(
        "--persons",
        metavar="DETECTOR",
        help="Find everybody with a person detector: torchvision, torchvision:MODEL, or an .onnx file with boxes (N, 4) and scores, or as YOLOv8.",
    ),
    click.option(
        "--person-weights",
        type=ExistingFile,
        help="Weights (.pth) of the torchvision detector; without them torchvision downloads its own once.",
    ),
    click.option(
        "--person-score",
        type=FiniteRange(0, 1),
        help="Leave out people that --persons gives a lower score; 0.5 if not given.",
    ),
    click.option(
        "--most-people",
        type=click.IntRange(1),
        metavar="N",
        help="Keep the N people of each picture or frame that --persons gives the highest scores.",
    ),
]


def person_options(function: Function) -> Function:
    """`--persons` and what belongs to it; see `people_finder`."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def people_finder(options: Mapping[str, Any], *, has_pictures: bool) -> PeopleFinder | None:
    """What the detector of `--persons` finds, None if it was not given.

    Raises:
        InputError: the options do not fit each other or the inputs, or the detector cannot be had.
    """
    choice = options["persons"]
    if options["box"] is not None and not has_pictures:
        raise InputError(
            "--box says where people are in pictures and videos, and there are none: leave it out"
        )
    if choice is None:
        for name in ("person_weights", "person_score", "most_people"):
            if options[name] is not None:
                raise InputError(
                    f"--{name.replace('_', '-')} belongs to --persons: give that, too, or leave it out"
                )
        return None
    if not has_pictures:
        raise InputError("--persons finds people in pictures and videos, and there are none: leave it out")
    if options["box"] is not None:
        raise InputError("--persons and --box both say where people are: give one of the two")

    from evolift.prediction.persons.person_boxes import LEAST_SCORE, load_person_detector
    from evolift.prediction.tracking.person_following import PeopleFinder

    score, most = options["person_score"], options["most_people"]
    persons = load_person_detector(
        choice,
        weights=options["person_weights"],
        least_score=LEAST_SCORE if score is None else score,
        most=most,
        device=options["device"],
    )
    sure = f"a score of {persons.least_score:g} or more"
    at_most = f", at most {most} in each picture" if most else ""
    return PeopleFinder(
        lambda image: persons(image).boxes,
        f"People were found by {persons.name}, those with {sure}{at_most}.",
        f"{persons.name} finds nobody with {sure}: lower --person-score, or give --box",
    )


def person_files(options: Mapping[str, Any]) -> list[Path]:
    """The files that the detector of `--persons` was read from, for the record."""
    choice, weights = options["persons"], options["person_weights"]
    files = [] if weights is None else [weights]
    return files + ([Path(choice)] if choice is not None and choice.lower().endswith(".onnx") else [])
