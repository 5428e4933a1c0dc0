"""Which table of names the joints of a BVH file belong to.

Programs write the same names with other prefixes (`mixamorig1:Hips`, `Bip001_Pelvis`, `Actor:Hips`), capitals and blanks, none of
which tells joints apart.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator

from evolift.posedata.errors import InputError
from evolift.posedata.importers.bvh_file import BvhMotion
from evolift.posedata.importers.bvh_names import BVH_NAMES, BvhNames

_PREFIX_SHARE = 0.75
"""Share of the joints that a word must begin to be a prefix; the root often lacks it."""
_TABLE_EXAMPLE = {
    "pelvis": ["LeftUpLeg", "RightUpLeg"],
    "spine": {"Spine1": 0.5, "Spine2": 0.5},
    "left_hip": "LeftUpLeg",
    "skull": "Head",
    "head": "Head_End",
}


def with_names_of(motion: BvhMotion, table: BvhNames) -> BvhMotion:
    """The motion with its joints called as the table calls them; what is not in the table keeps its name.

    Raises:
        InputError: two joints would get the same name.
    """
    keys = _unique_keys(motion.joints)
    names: dict[str, str] = {}
    for wanted, key in zip(_names(table), _keys(_names(table)), strict=True):
        found = keys.get(key)
        if found is not None and wanted not in motion.joints:
            names[found] = wanted
    return motion.renamed(lambda name: names.get(name, name)) if names else motion


def matching_names(motion: BvhMotion) -> BvhNames:
    """The built-in table that the joints belong to: of tables that they all fit, the one that needs more of them.

    Raises:
        InputError: there is none, or several.
    """
    keys = set(_unique_keys(motion.joints))
    needed = {table.name: set(_keys(_names(table, without_top=True))) for table in BVH_NAMES.values()}
    fitting = [name for name, joints in needed.items() if joints <= keys]
    best = [name for name in fitting if not any(needed[name] < needed[other] for other in fitting)]
    if len(best) == 1:
        return BVH_NAMES[best[0]]
    told = (
        f"its joints may be those of {' or '.join(best)}: name the table by `names`"
        if best
        else f"its joints are of none of the built-in tables ({', '.join(BVH_NAMES)}): say by `names` what they are called, in a JSON file of all joints of H36M17 such as {json.dumps(_TABLE_EXAMPLE)}"
    )
    raise InputError(f"{motion.label}: {told}; it has {', '.join(motion.joints)}")


def _names(table: BvhNames, *, without_top: bool = False) -> list[str]:
    """Joints that a table needs; the top of the head may be absent (`bvh_head`)."""
    joints = [
        name
        for joint, weights in table.joints.items()
        for name in weights
        if not (without_top and joint == "head" and table.skull is not None)
    ]
    skull = () if table.skull is None else (table.skull,)
    return list(dict.fromkeys((*joints, *skull, *table.marks)))


def _unique_keys(names: Iterable[str]) -> dict[str, str]:
    """Key -> name, for those that no other name shares."""
    ordered = list(names)
    keys = list(_keys(ordered))
    counts = Counter(keys)
    return {key: name for key, name in zip(keys, ordered, strict=True) if key and counts[key] == 1}


def _keys(names: list[str]) -> Iterator[str]:
    """What tells the names of one file or table apart: their letters and digits after the prefix that they share."""
    prefix = _shared_prefix(names)
    for name in names:
        bare = re.sub(r"[\W_]", "", name.removeprefix(prefix).lower())
        yield re.sub(r"^mixamorig\d*", "", bare)


def _shared_prefix(names: list[str]) -> str:
    prefix = ""
    while True:
        words = Counter(
            match[0]
            for name in names
            if name.startswith(prefix) and (match := re.match(r"[^:_ ]*[:_ ]+(?=.)", name[len(prefix) :]))
        )
        word, count = words.most_common(1)[0] if words else ("", 0)
        if count < _PREFIX_SHARE * len(names):
            return prefix
        prefix += word
