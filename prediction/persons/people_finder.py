"""What finds everybody in an image, and what is to be said of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from evolift.prediction.settings import PersonSettings


class PeopleFinder(NamedTuple):
    """What finds everybody in an image, and what is to be said of it.

    Args:
        boxes: image (RGB) -> (left, top, width, height) of its people, pixels.
        note: a sentence on how people are found.
        nobody: the rest of a sentence on an image in which there is nobody.
    """

    boxes: Callable[[UInt8[np.ndarray, "height width 3"]], Float[np.ndarray, "people 4"]]
    note: str
    nobody: str


def people_finder(settings: PersonSettings, *, device: str = "cpu") -> PeopleFinder | None:
    """The finder by the person detector that is asked for, None if none is.

    Args:
        settings: which detector, and whom of those that it finds.
        device: of a torchvision model.

    Raises:
        InputError: the detector cannot be had.
    """
    if settings.persons is None:
        return None
    # Here, because torchvision is slow to import, and one person is found without it.
    from evolift.prediction.persons.person_boxes import load_person_detector  # noqa: PLC0415

    persons = load_person_detector(
        settings.persons,
        weights=None if settings.person_weights is None else Path(settings.person_weights),
        min_score=settings.person_score,
        max_people=settings.max_people,
        device=device,
    )
    score = f"a score of {settings.person_score:g} or more"
    and_limit = f", at most {settings.max_people} in each image" if settings.max_people else ""
    return PeopleFinder(
        lambda image: persons(image).boxes,
        f"People were found by {persons.name}, those with {score}{and_limit}.",
        f"{persons.name} finds nobody with {score}: lower `person_score`, or give `box`",
    )
