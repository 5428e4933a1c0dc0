"""Everybody in an image with their poses, and what is to be said of how they were found.

People are found by a person detector, and then predicted one box after the other; or by a detector of joints that finds people
itself, all at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import UInt8

from evolift.posedata.camera import Camera
from evolift.prediction.pose_prediction import NobodyError, OutOfSightError, PosePrediction

if TYPE_CHECKING:
    from evolift.prediction.persons.people_finder import PeopleFinder

Image = UInt8[np.ndarray, "_height _width 3"]
Box = Sequence[float]


class FoundPerson(NamedTuple):
    """Somebody in an image.

    Args:
        box: (left, top, width, height), pixels.
        pose: None if they could not be lifted.
        problem: why.
    """

    box: Box
    pose: PosePrediction | None
    problem: OutOfSightError | NobodyError | None = None


class Everybody(NamedTuple):
    """What finds everybody in an image, and what is to be said of it.

    Args:
        people: image (RGB) and its camera, None if it is unknown -> its people, from left to right.
        note: a sentence on how people are found.
        nobody: the rest of a sentence on an image in which there is nobody.
    """

    people: Callable[[Image, Camera | None], list[FoundPerson]]
    note: str
    nobody: str


def everybody_in_boxes(
    predict: Callable[[Image, Box, Camera | None], PosePrediction], finder: PeopleFinder
) -> Everybody:
    """Everybody whose box a person detector finds.

    Args:
        predict: image, box and camera -> pose, as `Pipeline.predict`.
        finder: of the boxes.
    """

    def people(image: Image, camera: Camera | None) -> list[FoundPerson]:
        found = []
        for box in finder.boxes(image).tolist():
            try:
                found.append(FoundPerson(box, predict(image, box, camera)))
            except (OutOfSightError, NobodyError) as error:
                found.append(FoundPerson(box, None, error))
        return found

    return Everybody(people, finder.note, finder.nobody)
