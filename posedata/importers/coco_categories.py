"""Which people of a file in COCO's layout are read, and what their keypoints mean.

`categories[i].keypoints` names the joints in the order of the annotations' numbers, and names beat numbers: 17 joints
may be COCO's, Human3.6M's or PoseTrack's. Only where a file has no names, their number decides, and this is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from evolift.posedata.checked_json import expect
from evolift.posedata.errors import InputError
from evolift.posedata.importers.json_stream import stream_json_list
from evolift.posedata.keypoint_formats.coco_keypoints import (
    SKELETON_OF_COUNT,
    names_of_category,
    person_category,
)
from evolift.posedata.keypoint_formats.name_mapping import NamedColumns, NameMapping, mapping_onto
from evolift.posedata.skeleton import Skeleton


@dataclass(frozen=True)
class CocoLayout:
    """How a file's people are read.

    Args:
        category: id of the annotations that are read; None takes all, in a file without categories.
        columns: what their keypoints are.
        summary: a clause on what the joints are made of, and by what this was told.
    """

    category: int | None
    columns: NamedColumns
    summary: str


def coco_layout(source: Path, skeleton: Skeleton, mapping: NameMapping | None = None) -> CocoLayout:
    """How the people of a file are read into a skeleton.

    Args:
        source: file of COCO's layout.
        skeleton: the wanted joints.
        mapping: what the names in the file mean, if they are not known.

    Raises:
        InputError: no category or several may be meant, the names are not known, the mapping has names that the file
            has not, or a file without names has as many joints as no known layout.
    """
    entries = list(stream_json_list(source, "categories", is_optional=True))
    number = person_category(entries, str(source))
    category = None if number is None else entries[number]
    place = f"{source}: categories[{number}].keypoints"
    names = [] if category is None else names_of_category(category, place)
    identity = (
        None
        if category is None
        else int(expect(category.get("id"), int, f"{source}: categories[{number}].id"))
    )
    if not names:
        return _layout_of_count(source, identity, skeleton, mapping)
    if mapping is None:
        used = mapping_onto(names, place, skeleton)
        told = "by the file's names"
    else:
        used, told = _mapped(names, place, skeleton, mapping), "by the mapping"
    left_out = [name for name in names if name not in used.names]
    rest = f"; left out: {_listed(left_out)}" if left_out else ""
    return CocoLayout(identity, NamedColumns(tuple(names), used), f"joints {told}: {used.summary()}{rest}")


def _mapped(names: list[str], place: str, skeleton: Skeleton, mapping: NameMapping) -> NameMapping:
    lacking = sorted(mapping.names - set(names))
    if lacking:
        raise InputError(
            f"{place} lack {', '.join(lacking)}, which `mapping` names: leave that out there, or name one of "
            f"{', '.join(names)}"
        )
    return mapping.onto(skeleton)


def _listed(names: list[str], shown: int = 8) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def _layout_of_count(
    source: Path, category: int | None, skeleton: Skeleton, mapping: NameMapping | None
) -> CocoLayout:
    """The layout of a file without names, from the number of joints of its first person."""
    if mapping is not None:
        raise InputError(
            f"{source} has no names of joints for `mapping`: name them in categories[0].keypoints"
        )
    joints = _first_count(source, category)
    own = SKELETON_OF_COUNT.get(joints)
    if own is None:
        known = ", ".join(f"{count} ({s.name})" for count, s in SKELETON_OF_COUNT.items())
        raise InputError(
            f"{source} does not name its {joints} joints, and only {known} are known by their number: name them in "
            "categories[0].keypoints"
        )
    names = (*own.joints, *(f"joint {number}" for number in range(len(own), joints)))
    used = mapping_onto(own.joints, str(source), skeleton)
    told = f"{joints} joints without names are taken to be {own.name}'s"
    return CocoLayout(category, NamedColumns(names, used), f"{told}: {used.summary()}")


def _first_count(source: Path, category: int | None) -> int:
    for number, entry in enumerate(stream_json_list(source, "annotations")):
        expect(entry, dict, f"{source}: annotations[{number}]")
        if entry.get("keypoints") and category in (None, entry.get("category_id")):
            return len(expect(entry["keypoints"], list, f"{source}: annotations[{number}].keypoints")) // 3
    raise InputError(f"{source} has nobody with keypoints: give COCO's person_keypoints_*.json")
