"""What data sets and people call the joints of a body: names as a file has them -> the points of the body that they mean.

Points are called as in the skeletons HALPE26, MPII16, LSP14 and COCO17, whose names agree with each other: `neck` is the
bottom of the neck, `upper_neck` the base of the skull, `head_top` the top of the head. Human3.6M's "Neck/Nose" is the
point `nose`, as in the declared mappings of COCO. Capitals, blanks and signs between words mean nothing; a side
may be written out or as a letter, before or after its joint.

Sources of names and of what they mean: the COCO, CrowdPose (Li et al. 2019), AI Challenger (Wu et al. 2017) and PoseTrack
2018 annotation files, Halpe-FullBody's README, the dataset files of MMPose (`root`, `neck_base`, `top_head`), Human3.6M's
own names (`RFoot`, `Neck/Nose`), and those of its conversions for multiview nets (`belly`, `rsho`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

_SIDED = {
    "hip": ("hip",),
    "knee": ("knee", "kne"),
    "ankle": ("ankle", "ank"),
    "shoulder": ("shoulder", "sho"),
    "elbow": ("elbow", "elb"),
    "wrist": ("wrist", "wri"),
    "eye": ("eye",),
    "ear": ("ear",),
    "foot": ("foot",),
}
_SIDES = {"left": ("left", "l"), "right": ("right", "r")}
_MIDDLE = {
    "pelvis": (
        "pelvis",
        "root",
        "rootpelvis",
        "hip",
        "hips",
        "midhip",
        "midhips",
        "hipcenter",
        "centerhip",
        "chip",
        "bodycenter",
    ),
    "spine": ("spine", "belly"),
    "thorax": ("thorax",),
    "neck": ("neck", "neckbase", "midshoulder", "midshoulders"),
    "upper_neck": ("upperneck", "headbottom"),
    "neck_or_nose": ("neckornose", "necknose"),
    "nose": ("nose",),
    "head": ("head",),
    "head_top": ("headtop", "tophead", "topofhead"),
}


def _spellings() -> dict[str, str]:
    table = {spelling: point for point, spellings in _MIDDLE.items() for spelling in spellings}
    for joint, parts in _SIDED.items():
        for side, words in _SIDES.items():
            pairs = [(part, word) for part in parts for word in words]
            table |= {word + part: f"{side}_{joint}" for part, word in pairs}
            table |= {part + word: f"{side}_{joint}" for part, word in pairs}
    return table


_SPELLINGS = _spellings()
_BEYOND = re.compile(
    "face|mouth|lips|jaw|chin|brow|pupil|eyelid|(inner|outer)eye|eye(inner|outer)|finger|thumb|pinky|index|palm|toe|heel"
    r"|(middle|ring|little)\d|hand(root|\d)"
)
"""Parts of face, hands and feet that no joint of the body's skeletons is made of."""


@dataclass(frozen=True)
class NamedPoints:
    """What the names of a file mean.

    Args:
        points: point of the body -> the file's name of it.
        beyond: names of parts of face, hands and feet, and of joints that another name tells better.
        unknown: names that may be anything.
        twice: points that two names mean, with both.
    """

    points: dict[str, str]
    beyond: tuple[str, ...]
    unknown: tuple[str, ...]
    twice: tuple[tuple[str, str, str], ...] = ()


def named_points(names: Sequence[str]) -> NamedPoints:
    """The points of the body that names mean, as far as they are known.

    Some names mean another thing in other company: `neck` beside spine and thorax is Human3.6M's "Neck/Nose", beside a
    thorax alone the base of the skull, and else the bottom of the neck; `foot` is the ankle in Human3.6M; `head` is the
    top of the head (CrowdPose, Halpe, Human3.6M) unless that has a name of its own.
    """
    words = [_squashed(name) for name in names]
    spelt = [_SPELLINGS.get(word) for word in words]
    points: dict[str, str] = {}
    beyond: list[str] = []
    unknown: list[str] = []
    twice: list[tuple[str, str, str]] = []
    for name, word, first in zip(names, words, spelt, strict=True):
        point = first and _in_company(first, [other for other in spelt if other is not None])
        if point is None:
            (beyond if first is not None or _BEYOND.search(word) else unknown).append(name)
        elif point == "foot":
            unknown.append(name)
        elif point in points:
            twice.append((point, points[point], name))
        else:
            points[point] = name
    return NamedPoints(points, tuple(beyond), tuple(unknown), tuple(twice))


def is_spelling(name: str, joint: str) -> bool:
    """Whether a name is a skeleton's own for a joint, but for capitals, blanks, signs and a shortened side or part."""
    squashed = _squashed(name)
    return squashed == _squashed(joint) or (
        joint.startswith(("left_", "right_")) and _SPELLINGS.get(squashed) == joint
    )


def _squashed(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _in_company(point: str, others: Collection[str]) -> str | None:
    """The point that is meant beside the file's others; None if another one tells it better, "foot" if it is not told."""
    is_human36m = "spine" in others and "thorax" in others
    if point == "neck_or_nose" or (point == "neck" and is_human36m):
        return "neck" if "nose" in others else "nose"
    if point == "neck" and "thorax" in others:
        return None if "upper_neck" in others else "upper_neck"
    if point == "head":
        return None if "head_top" in others else "head_top"
    if point.endswith("_foot"):
        ankle = point.replace("foot", "ankle")
        return None if ankle in others else (ankle if is_human36m else "foot")
    return point
