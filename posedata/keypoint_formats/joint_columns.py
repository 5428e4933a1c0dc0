"""Which joints the keypoints of a file are: by what the user says, else by the file's names, and only then by their number.

Joints without names are called by their number in the file, from 0, so that a mapping can name them:
`{"skeleton": "H36M17", "joints": {"0": "pelvis", "1": "right_hip", ...}}`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from evolift.posedata.errors import InputError
from evolift.posedata.keypoint_formats.name_mapping import (
    MAPPING_EXAMPLE,
    NamedColumns,
    NameMapping,
    mapping_of_names,
)
from evolift.posedata.keypoint_formats.reading import Reading, listed
from evolift.posedata.skeleton import SKELETONS, Skeleton

_SIZES = [len(skeleton) for skeleton in SKELETONS.values()]
ONLY_OF_THEIR_SIZE = {len(s): s for s in SKELETONS.values() if _SIZES.count(len(s)) == 1}
"""Skeletons that no other one has as many joints as."""
_NUMBER = re.compile(r"(?:key_?points?|kpts?|kp|joint|landmark|lm|point|j|p)?[_ ]?(\d{1,4})", re.IGNORECASE)


def joint_columns(
    reading: Reading,
    place: str,
    count: int,
    *,
    names: Sequence[str] | None = None,
    known: Mapping[int, Skeleton] = ONLY_OF_THEIR_SIZE,
) -> NamedColumns:
    """The keypoints of a file as joints of a skeleton; what was assumed goes into the notes of the reading.

    Args:
        reading: its mapping or skeleton is used.
        place: of the names or keypoints, for messages.
        count: number of keypoints of a person.
        names: what the file calls them; None, or names that are numbers, say nothing.
        known: skeletons by the number of joints, for files without names; a skeleton of fewer joints comes first in
            them.

    Raises:
        InputError: which joints they are cannot be told, or what was given does not fit them.
    """
    if names is not None and len(names) != count:
        # A whole body under the names of its body alone is known; what else the names mean, only the user can say.
        own = known.get(count)
        if (
            (own is None or tuple(names) != own.joints)
            and reading.skeleton is None
            and reading.mapping is None
        ):
            raise InputError(
                f"{place} name {len(names)} joints, but people have {count}: say which these are with `skeleton`, or what "
                f"each is with `mapping` FILE, {MAPPING_EXAMPLE}"
            )
        names = None
    ranks = None if names is None else _ranks(names)
    if names is None or ranks is not None:
        called = tuple(map(str, range(count))) if names is None else tuple(names)
        return _by_number(reading, place, called, ranks or list(range(count)), known)
    mapping = reading.mapping
    if mapping is None:
        mapping = mapping_of_names(names, place, reading.skeleton)
    else:
        _note_lacking(reading, mapping, names, place)
    reading.notes += mapping.notes(names)
    return NamedColumns(tuple(names), mapping)


def _ranks(names: Sequence[str]) -> list[int] | None:
    """The number of each name from 0, if names are whole numbers from 0 or 1 without gaps, behind at most a word for a joint."""
    matches = [_NUMBER.fullmatch(name) for name in names]
    numbers = [int(match[1]) for match in matches if match is not None]
    if not numbers or len(numbers) != len(names):
        return None
    first = min(numbers)
    is_counted = first in (0, 1) and sorted(numbers) == list(range(first, first + len(numbers)))
    return [number - first for number in numbers] if is_counted else None


def _by_number(
    reading: Reading, place: str, called: tuple[str, ...], ranks: list[int], known: Mapping[int, Skeleton]
) -> NamedColumns:
    count, own = len(called), known.get(len(called))
    mapping = reading.mapping
    if mapping is not None:
        # A skeleton that is known by its number may be meant by its names as well.
        options = (called, _names_of(own, called, ranks)) if own else (called,)
        names = max(options, key=lambda names: len(mapping.names.intersection(names)))
        _note_lacking(reading, mapping, names, place)
        reading.notes += mapping.notes(names)
        return NamedColumns(names, mapping)
    given = reading.skeleton
    if given is not None and len(given) != count and given != own:
        raise InputError(f"{place} has {count} joints, skeleton {given.name} has {len(given)}: give another")
    skeleton = given or own
    if skeleton is None:
        raise InputError(_not_told(place, count, known))
    if given is None:
        rest = f", which come first; the other {count - len(skeleton)} are left out"
        reading.notes.append(
            f"{count} joints without names are taken to be {skeleton.name}'s{rest if count > len(skeleton) else ''} (if they "
            "are others, say which with `skeleton`)"
        )
    own_names = {joint: joint for joint in skeleton.joints}
    return NamedColumns(_names_of(skeleton, called, ranks), NameMapping.one_to_one(skeleton, own_names))


def _names_of(skeleton: Skeleton, called: tuple[str, ...], ranks: list[int]) -> tuple[str, ...]:
    """Names of a skeleton for keypoints in their order; those beyond it keep theirs."""
    return tuple(
        skeleton.joints[rank] if rank < len(skeleton) else f"number {name}"
        for name, rank in zip(called, ranks, strict=True)
    )


def _not_told(place: str, count: int, known: Mapping[int, Skeleton]) -> str:
    fitting = [s.name for s in SKELETONS.values() if len(s) == count]
    say = f"or what each is with `mapping` FILE, {MAPPING_EXAMPLE}, where joints without names are numbers from 0"
    if fitting:
        return f"{place} has {count} joints without names, as {' and '.join(fitting)}: say which with `skeleton`, {say}"
    counts = ", ".join(f"{number} ({skeleton.name})" for number, skeleton in sorted(known.items()))
    return f"{place} has {count} joints without names; {counts} are known by their number: say what each is with `mapping` FILE, {MAPPING_EXAMPLE}, where joints without names are numbers from 0"


def _note_lacking(reading: Reading, mapping: NameMapping, names: Sequence[str], place: str) -> None:
    lacking = sorted(mapping.names.difference(names))
    if len(lacking) == len(mapping.names):
        raise InputError(
            f"{place}: the mapping names none of its joints ({listed(list(names))}): name some of them in `mapping`"
        )
    if lacking:
        reading.notes.append(f"{place} lack {listed(lacking)}, which `mapping` names")
