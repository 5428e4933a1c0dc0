"""What the names of keypoints mean: which joints of a built-in skeleton they are, or which joints are made of them.

Names that are known (`evolift.posedata.keypoint_formats.joint_names`) need no help. What others mean is said in a small
file of JSON::

    {"skeleton": "H36M17", "joints": {"hip_l": "left_hip", "hip_r": "right_hip", ...}}

Names that it does not mention are left out; joints that no name maps to are unlabelled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from evolift.posedata.checked_json import expect, read_json
from evolift.posedata.errors import InputError, within
from evolift.posedata.joint_mapping import mapping_between, weighted_joints, weights_of_points
from evolift.posedata.keypoint_formats.joint_names import NamedPoints, is_spelling, named_points
from evolift.posedata.skeleton import H36M17, SKELETONS, Skeleton, skeleton_by_name

MAPPING_EXAMPLE = '{"skeleton": "LSP14", "joints": {"hip_l": "left_hip", "hip_r": "right_hip"}}'
"""What a file of names looks like, for messages."""
_SHOWN = 8
"""Names that a sentence lists."""


@dataclass(frozen=True)
class NameMapping:
    """Names of a source -> joints of a skeleton.

    Args:
        skeleton: of the joints.
        weights: joint -> {name: weight}; weights of a joint sum to 1. Absent joints are unlabelled.

    Raises:
        InputError: a joint is not the skeleton's, or weights do not sum to 1.
    """

    skeleton: Skeleton
    weights: Mapping[str, Mapping[str, float]]

    def __post_init__(self) -> None:
        for joint, row in self.weights.items():
            self.skeleton.index(joint)
            if abs(sum(row.values()) - 1) > 1e-6:
                raise InputError(f"the weights of {joint!r} must sum to 1, not {sum(row.values())}")

    @classmethod
    def one_to_one(cls, skeleton: Skeleton, joints: Mapping[str, str]) -> NameMapping:
        """The mapping where each name is one joint.

        Args:
            skeleton: of the joints.
            joints: name -> joint.

        Raises:
            InputError: a joint is not the skeleton's, or two names map to one joint.
        """
        weights: dict[str, dict[str, float]] = {}
        for name, joint in joints.items():
            if joint in weights:
                raise InputError(f"two names are mapped to {joint!r}")
            weights[joint] = {name: 1.0}
        return cls(skeleton, weights)

    @property
    def names(self) -> frozenset[str]:
        """The names that joints are made of."""
        return frozenset(name for row in self.weights.values() for name in row)

    def matrix(self, names: Sequence[str]) -> Float[np.ndarray, "joints names"]:
        """Weights as a matrix, columns in the order of a file's names; of a name that comes twice the last counts."""
        matrix = np.zeros((len(self.skeleton), len(names)))
        columns = {name: column for column, name in enumerate(names)}
        for joint, row in self.weights.items():
            if set(row) <= set(columns):
                for name, weight in row.items():
                    matrix[self.skeleton.index(joint), columns[name]] = weight
        return matrix

    def arranged(
        self, names: Sequence[str], values: Float[np.ndarray, "rows names axes"]
    ) -> Float[np.ndarray, "rows joints axes"]:
        """Values in the order of the skeleton's joints, NaN where a name that a joint is made of is missing.

        Args:
            names: of the columns.
            values: x, y, and if there is a third, scores: a joint has the lowest of the names it is made of.
        """
        matrix = self.matrix(names)
        arranged = np.full((len(values), len(self.skeleton), values.shape[2]), np.nan)
        for joint in np.flatnonzero(matrix.any(1)):
            used = np.flatnonzero(matrix[joint])
            arranged[:, joint, :2] = np.einsum("n,rna->ra", matrix[joint, used], values[:, used, :2])
            arranged[:, joint, 2:] = values[:, used, 2:].min(1)
        return arranged

    def onto(self, target: Skeleton) -> NameMapping:
        """The mapping of the same names to another skeleton, by the declared mapping between the two.

        Raises:
            InputError: none is declared.
        """
        declared = mapping_between(self.skeleton, target).weights
        weights: dict[str, dict[str, float]] = {}
        for joint, row in declared.items():
            if set(row) <= set(self.weights):
                weights[joint] = {}
                for source, weight in row.items():
                    for name, share in self.weights[source].items():
                        weights[joint][name] = weights[joint].get(name, 0.0) + weight * share
        return NameMapping(target, weights)

    def summary(self) -> str:
        """A clause for people: what joints are made of where that is not their own name, and which stay unlabelled."""
        made: dict[str, list[str]] = {}
        for joint, row in self.weights.items():
            if len(row) > 1 or not is_spelling(next(iter(row)), joint):
                made.setdefault(_sum_of(row), []).append(joint)
        parts = [f"{' and '.join(joints)} from {names}" for names, joints in made.items()]
        if len(self.weights) > sum(map(len, made.values())):
            parts.append("the other joints by their own names" if parts else "all by their own names")
        if lacking := [joint for joint in self.skeleton.joints if joint not in self.weights]:
            parts.append(f"unlabelled: {', '.join(lacking)}")
        return "; ".join(parts)

    def notes(self, names: Sequence[str]) -> list[str]:
        """Sentences for people on a file's names: what joints are made of unless it is each name alone, and what is left out."""
        told = self.summary()
        said = [] if told == "all by their own names" else [f"joints by their names: {told}"]
        left_out = sorted(set(names) - self.names)
        more = f" and {len(left_out) - _SHOWN} more" if len(left_out) > _SHOWN else ""
        return said + (
            [f"left out, because no joint is made of them: {', '.join(left_out[:_SHOWN])}{more}"]
            if left_out
            else []
        )


def _sum_of(row: Mapping[str, float]) -> str:
    """The names a joint is made of, with their weights where these are not equal."""
    if len(set(row.values())) == 1:
        return " and ".join(row)
    return " and ".join(f"{weight:g} {name}" for name, weight in row.items())


@dataclass(frozen=True)
class NamedColumns:
    """The keypoints of a file, in its order, as joints of a skeleton.

    Args:
        names: of the file's keypoints.
        mapping: what they mean.
    """

    names: tuple[str, ...]
    mapping: NameMapping

    def convert(
        self, joints: Float[np.ndarray, "*batch names axes"], visibility: UInt8[np.ndarray, "*batch names"]
    ) -> tuple[Float[np.ndarray, "*batch joints axes"], UInt8[np.ndarray, "*batch joints"]]:
        """Joints of the skeleton, each as visible as the least visible keypoint it is made of."""
        return weighted_joints(self.mapping.matrix(self.names), joints, visibility)


def read_name_mapping(path: Path) -> NameMapping:
    """The mapping of a file.

    Raises:
        InputError: it is damaged, or maps to joints that are not there.
    """
    values = expect(read_json(path), dict, str(path))
    with within(str(path)):
        skeleton = skeleton_by_name(expect(values.get("skeleton"), str, "skeleton"))
    joints = expect(values.get("joints"), dict, f"{path}: joints")
    for name, joint in joints.items():
        expect(joint, str, f"{path}: joints.{name}")
    with within(str(path)):
        return NameMapping.one_to_one(skeleton, joints)


def mapping_of_names(names: Sequence[str], where: str, skeleton: Skeleton | None = None) -> NameMapping:
    """The mapping of names that are a skeleton's own, or else known: these become H36M17.

    Args:
        names: of the source.
        where: the file, for messages.
        skeleton: the wanted one; else the one that has just these names.

    Raises:
        InputError: the names are not known; the message asks for `mapping`.
    """
    if skeleton is not None:
        is_own = set(names) <= set(skeleton.joints)
        return _own(skeleton, names) if is_own else mapping_onto(names, where, skeleton)
    same = next((known for known in SKELETONS.values() if set(known.joints) == set(names)), None)
    return mapping_onto(names, where, H36M17) if same is None else _own(same, names)


def mapping_onto(names: Sequence[str], where: str, target: Skeleton) -> NameMapping:
    """The mapping of known names to a skeleton, or of names that only one other skeleton has.

    Args:
        names: of the source.
        where: the file and place, for messages.
        target: the wanted skeleton.

    Raises:
        InputError: names are not known, two mean one joint, none is a joint of the target, or there is no way from
            the skeleton that has them to the target; the message lists them and asks for `mapping`.
    """
    found = named_points(names)
    if not (found.unknown or found.twice):
        weights = weights_of_points(found.points, target)
        rows = {joint: {found.points[p]: w for p, w in row.items()} for joint, row in weights.items()}
        if rows:
            return NameMapping(target, rows)
    owners = [s for s in SKELETONS.values() if set(names) <= set(s.joints)]
    if len(owners) == 1:
        return _own(owners[0], names).onto(target)
    raise InputError(
        f"{where}: {_not_known(found, target)}: say what they mean with `mapping` FILE, {MAPPING_EXAMPLE}"
    )


def _own(skeleton: Skeleton, names: Sequence[str]) -> NameMapping:
    return NameMapping.one_to_one(skeleton, {name: name for name in names})


def _not_known(found: NamedPoints, target: Skeleton) -> str:
    if found.unknown:
        return f"no skeleton has the joints {', '.join(found.unknown)}"
    if found.twice:
        return ", ".join(f"{one!r} and {other!r} both mean {point}" for point, one, other in found.twice)
    return f"none of the joints {', '.join(found.beyond)} makes one of {target.name}"
