"""Acclaim skeleton files (.asf): bones with their rest directions, axes and degrees of freedom.

Each bone rotates about its own axes, which are given in the root's frame at rest. A bone named `root` is the root.
No torch here, so that worker processes start fast.

Reference: M. Schafer, "ASF Skeleton File Format" (Acclaim); the files of mocap.cs.cmu.edu.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from evolift.posedata.errors import InputError, reason_of
from evolift.posedata.importers.euler_angles import rotation_from_euler

ROOT_BONE = "root"
_INCH = 25.4
_ROTATIONS = {"rx": "x", "ry": "y", "rz": "z"}


@dataclass(frozen=True, eq=False)
class Bone:
    """A bone of an ASF file.

    Args:
        name, parent: of the hierarchy; the root has the parent None.
        offset: from its parent's end to its own at rest, mm.
        axis: rotation into the bone's own axes.
        channels: what an AMC file lists for it, in order: "tx", ..., "rz".
        rotation_order: axes in the order in which its rotations are applied.
    """

    name: str
    parent: str | None
    offset: Float[np.ndarray, "3"]
    axis: Float[np.ndarray, "3 3"]
    channels: tuple[str, ...]
    rotation_order: str


@dataclass(frozen=True, eq=False)
class AsfSkeleton:
    """An ASF file.

    Args:
        label: the file, for messages.
        bones: by name, parents before children, first the root.
        millimetres: length of the file's unit.
    """

    label: str
    bones: dict[str, Bone]
    millimetres: float


def parse_asf(data: bytes, label: str) -> AsfSkeleton:
    """Read an ASF file.

    Args:
        data: its bytes.
        label: what to call it in messages.

    Raises:
        InputError: it is not a whole and consistent ASF file.
    """
    try:
        sections = _sections(data.decode("ascii"))
        return _skeleton(sections, label)
    except InputError as error:
        raise InputError(f"{label} is not a sound ASF file: {error}") from None
    except KeyError as error:
        raise InputError(f"{label} is not a sound ASF file: it lacks {error}: download it again") from None
    except (ValueError, IndexError, UnicodeDecodeError) as error:
        raise InputError(f"{label} is not a sound ASF file ({reason_of(error)}): download it again") from None


def _sections(text: str) -> dict[str, list[list[str]]]:
    """Words of each line under each `:keyword`; words on the keyword's own line come first."""
    sections: dict[str, list[list[str]]] = {}
    current: list[list[str]] = []
    for line in text.splitlines():
        words = line.split("#")[0].split()
        if not words:
            continue
        if words[0].startswith(":"):
            current = sections.setdefault(words[0][1:].lower(), [])
            words = words[1:]
        if words:
            current.append(words)
    for name in ("units", "root", "bonedata", "hierarchy"):
        if name not in sections:
            raise InputError(f"it has no section :{name}")
    return sections


def _skeleton(sections: dict[str, list[list[str]]], label: str) -> AsfSkeleton:
    units = {words[0]: words[1] for words in sections["units"]}
    millimetres = _INCH / float(units["length"])
    if not (np.isfinite(millimetres) and millimetres > 0):
        raise InputError(f"its unit of length is {units['length']}")
    if units["angle"].lower() != "deg":
        raise InputError(f"its angles are in {units['angle']!r}, only 'deg' is known")
    described = _bone_descriptions(sections["bonedata"])
    bones = {ROOT_BONE: _root(sections["root"], millimetres)}
    for parent, children in _hierarchy(sections["hierarchy"]):
        if parent not in bones:
            raise InputError(f"the hierarchy gives children to {parent!r} before {parent!r} has a parent")
        for child in children:
            if child not in described:
                raise InputError(f"the hierarchy names {child!r}, which has no bone data")
            if child in bones:
                raise InputError(f"the hierarchy names {child!r} twice")
            bones[child] = _bone(child, parent, described[child], millimetres)
    if set(described) - set(bones):
        raise InputError(f"bone {min(set(described) - set(bones))!r} is not in the hierarchy")
    return AsfSkeleton(label, bones, millimetres)


def _root(lines: list[list[str]], millimetres: float) -> Bone:
    values = {words[0]: words[1:] for words in lines}
    axis = _rotation_order(values["axis"][0])
    channels = tuple(word.lower() for word in values["order"])
    if sorted(channels) != ["rx", "ry", "rz", "tx", "ty", "tz"]:
        raise InputError(f"the root's order is {' '.join(channels)!r}: TX TY TZ RX RY RZ are needed")
    orientation = np.radians(_numbers(values["orientation"], 3))
    position = millimetres * _numbers(values["position"], 3)
    return Bone(ROOT_BONE, None, position, rotation_from_euler(orientation, axis), channels, axis)


def _bone(name: str, parent: str, lines: dict[str, list[str]], millimetres: float) -> Bone:
    direction = _numbers(lines["direction"], 3)
    length = float(_numbers(lines["length"], 1)[0])
    rotation_order = _rotation_order(lines["axis"][3])
    axis = rotation_from_euler(np.radians(_numbers(lines["axis"][:3], 3)), rotation_order)
    channels = tuple(word.lower() for word in lines.get("dof", []))
    if not set(channels) <= set(_ROTATIONS):
        raise InputError(
            f"bone {name!r} has the degrees of freedom {' '.join(channels)!r}: only rotations are known"
        )
    return Bone(name, parent, millimetres * length * direction, axis, channels, rotation_order)


def _bone_descriptions(lines: list[list[str]]) -> dict[str, dict[str, list[str]]]:
    bones: dict[str, dict[str, list[str]]] = {}
    current: dict[str, list[str]] = {}
    for words in lines:
        if words[0] == "begin":
            current = {}
        elif words[0] == "end":
            name = current["name"][0]
            if name in bones or name == ROOT_BONE:
                raise InputError(f"two bones are called {name!r}")
            bones[name] = current
        else:
            current[words[0]] = words[1:]
    return bones


def _hierarchy(lines: list[list[str]]) -> list[tuple[str, list[str]]]:
    return [(words[0], words[1:]) for words in lines if words[0] not in ("begin", "end")]


def _rotation_order(word: str) -> str:
    if sorted(word.lower()) != ["x", "y", "z"]:
        raise InputError(f"an axis order is {word!r}: a permutation of XYZ is needed")
    return word.lower()


def _numbers(words: list[str], count: int) -> Float[np.ndarray, "numbers"]:
    numbers = np.array([float(word) for word in words])
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise InputError(f"{' '.join(words)!r} should be {count} finite numbers")
    return numbers
