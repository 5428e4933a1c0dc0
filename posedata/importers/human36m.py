"""Facts about Human3.6M (Ionescu et al., PAMI 2014) that its importers share: joints, cameras, names, sequences to leave out.

Which sequences are of no use is not in the data set; the field found it out. "S11 Directions" has a broken video and is
left out by all (VideoPose3D's and h36m-fetch's scripts, issue 24 of pytorch-pose-hg-3d). In three sequences of S9 the
motion-capture poses are shifted against the images (learnable-triangulation-pytorch leaves Greeting-2, SittingDown-2
and Waiting-1 out, which are these by the table in metadata.xml; issue 92 of MHFormer saw it in images). They are part
of the usual test set, so that a figure to be compared with published ones needs them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from evolift.posedata.errors import InputError

RATE = 50.0
"""Frames per second of poses and videos."""
CAMERA_SIZES: dict[str, tuple[int, int]] = {
    "54138969": (1000, 1002),
    "55011271": (1000, 1000),
    "58860488": (1000, 1000),
    "60457274": (1000, 1002),
}
"""Camera -> (width, height) of its images, in the order of metadata.xml and of VideoPose3D's lists."""
H36M17_OF_32 = (0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27)
"""The joints of H36M17 among the 32 of the files; the others repeat them or are hands and feet."""

CORRUPT = {("S11", "Directions")}
SHIFTED = {("S9", "Greeting"), ("S9", "SittingDown 1"), ("S9", "Waiting 1")}
_OTHER_NAMES = {"TakingPhoto": "Photo", "WalkingDog": "WalkDog", "WalkingTogether": "WalkTogether"}


@dataclass(frozen=True)
class Choice:
    """Which sequences are imported.

    Args:
        subjects: only these; all if None.
        with_shifted: also those of S9 whose poses are shifted against the images.
    """

    subjects: tuple[str, ...] | None = None
    with_shifted: bool = False

    def is_wanted(self, subject: str) -> bool:
        """Whether the sequences of a subject are imported."""
        return self.subjects is None or subject in self.subjects

    def problem(self, subject: str, action: str) -> str | None:
        """Why a sequence is left out, None if it is not.

        Args:
            subject: for example "S9".
            action: canonical name.
        """
        if (subject, action) in CORRUPT:
            return "its video is corrupt"
        if (subject, action) in SHIFTED and not self.with_shifted:
            return "its poses are shifted against the images"
        return None

    def parameters(self) -> dict[str, object]:
        """The choice as plain values, for the store's provenance."""
        return {
            "subjects": None if self.subjects is None else sorted(self.subjects),
            "with_shifted": self.with_shifted,
        }


EVERYTHING = Choice()
"""All subjects, without the sequences that are shifted."""


def canonical_action(name: str) -> str:
    """A sequence's name as VideoPose3D has it: "TakingPhoto_1" and "TakingPhoto 1" are "Photo 1"."""
    word, _, number = re.sub("_", " ", name.strip()).partition(" ")
    return f"{_OTHER_NAMES.get(word, word)} {number}".strip()


@dataclass(frozen=True)
class Human36mSummary:
    """What an importer of Human3.6M did.

    Args:
        sequences, poses: written.
        left_out: sequences that were not, and why: {"S11 Directions": "its video is corrupt"}.
        images: folder that the store's image paths are relative to, if it has images.
        notes: lines on what the files did not tell and how it was taken, for example where the cameras come from.
    """

    sequences: int
    poses: int
    left_out: dict[str, str]
    images: Path | None = None
    notes: tuple[str, ...] = ()

    def sentence(self) -> str:
        """What was imported and what was left out, as text for the command line."""
        problems = "".join(f"; {name} left out: {problem}" for name, problem in self.left_out.items())
        return f"{self.poses} poses of {self.sequences} sequences{problems}"


def chosen_subjects(known: Iterable[str], choice: Choice, source: Path) -> list[str]:
    """Those of a source that are wanted, S1 before S5 before S11.

    Raises:
        InputError: one that is asked for is not there.
    """
    ordered = sorted(known, key=lambda name: (len(name), name))
    for subject in choice.subjects or ():
        if subject not in ordered:
            raise InputError(f"{source} has no subject {subject!r}: it has {', '.join(ordered)}")
    return [subject for subject in ordered if choice.is_wanted(subject)]
