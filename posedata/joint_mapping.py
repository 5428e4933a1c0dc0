"""Conversion of joints from one skeleton to another by declared weights.

Each target joint is a weighted mean of source joints. A target joint that no source joint tells of honestly
is left out of the declaration: it comes back marked unlabelled (visibility 0) with coordinates 0, never
invented. Visibility follows COCO: 0 unlabelled, 1 labelled but hidden, 2 visible.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8

from evolift.posedata.errors import InputError
from evolift.posedata.skeleton import (
    AIC14,
    BODY25,
    COCO17,
    COCO18_PELVIS,
    CROWDPOSE14,
    H36M16,
    H36M17,
    HALPE26,
    LSP14,
    MEDIAPIPE33,
    MPII16,
    OPENPOSE18,
    SMPL22,
    Skeleton,
)

UNLABELLED, HIDDEN, VISIBLE = 0, 1, 2
VISIBLE_CONFIDENCE = 0.3
"""Detected joints of less confidence count as hidden."""


@dataclass(frozen=True)
class JointMapping:
    """Declared weights from `source` joints to `target` joints.

    Args:
        source, target: the skeletons.
        weights: target joint -> {source joint: weight}; weights of a joint sum to 1 (they may be negative:
            an extrapolation along the body, used for the top of the head). Absent target joints are unlabelled.

    Raises:
        InputError: a name is unknown or weights do not sum to 1.
    """

    source: Skeleton
    target: Skeleton
    weights: Mapping[str, Mapping[str, float]]

    def __post_init__(self) -> None:
        for target_joint, row in self.weights.items():
            self.target.index(target_joint)
            for source_joint in row:
                self.source.index(source_joint)
            if abs(sum(row.values()) - 1) > 1e-6:
                raise InputError(
                    f"weights of {target_joint!r} from {self.source.name} must sum to 1, not {sum(row.values())}"
                )

    @cached_property
    def matrix(self) -> Float[np.ndarray, "target source"]:
        """Weights as a matrix; rows of absent joints are zero."""
        matrix = np.zeros((len(self.target), len(self.source)))
        for target_joint, row in self.weights.items():
            for source_joint, weight in row.items():
                matrix[self.target.index(target_joint), self.source.index(source_joint)] = weight
        return matrix

    def lacking(self, unlabelled: Collection[str] = ()) -> tuple[str, ...]:
        """Target joints that no source joint tells of, or one that is not labelled.

        Args:
            unlabelled: joints of the source that are not.
        """
        return tuple(
            joint
            for joint in self.target.joints
            if not self.weights.get(joint) or set(self.weights[joint]) & set(unlabelled)
        )

    def convert(
        self,
        joints: Float[np.ndarray, "*batch source axes"],
        visibility: UInt8[np.ndarray, "*batch source"] | None = None,
    ) -> tuple[Float[np.ndarray, "*batch target axes"], UInt8[np.ndarray, "*batch target"]]:
        """Joints and visibility in the target skeleton.

        A target joint is as visible as the least visible of the source joints it is made of.

        Args:
            joints: coordinates of the source skeleton, any unit, 2D or 3D.
            visibility: 0, 1 or 2 per joint; all visible if None.
        """
        if visibility is None:
            visibility = np.full(joints.shape[:-1], VISIBLE, np.uint8)
        return weighted_joints(self.matrix, joints, visibility)


@runtime_checkable
class Conversion(Protocol):
    """What converts joints and visibility as `JointMapping.convert` does."""

    def convert(
        self, joints: Float[np.ndarray, "*batch source axes"], visibility: UInt8[np.ndarray, "*batch source"]
    ) -> tuple[Float[np.ndarray, "*batch target axes"], UInt8[np.ndarray, "*batch target"]]:
        """Joints and visibility in the wanted skeleton."""
        ...


def weighted_joints(
    matrix: Float[np.ndarray, "target source"],
    joints: Float[np.ndarray, "*batch source axes"],
    visibility: UInt8[np.ndarray, "*batch source"],
) -> tuple[Float[np.ndarray, "*batch target axes"], UInt8[np.ndarray, "*batch target"]]:
    """Weighted means of joints, each as visible as the least visible joint it is made of.

    Args:
        matrix: weights; a row of zeros is a target joint that comes back unlabelled.
        joints: coordinates, any unit, 2D or 3D.
        visibility: 0, 1 or 2 per joint.
    """
    # Unlabelled joints may hold anything, even NaN, which a weight of 0 would not stop.
    labelled = np.where(visibility[..., None] == UNLABELLED, 0, joints)
    converted = np.einsum("ts,...sa->...ta", matrix, labelled).astype(joints.dtype)
    used = matrix != 0
    lowest = np.where(used, visibility[..., None, :], VISIBLE).min(-1)
    converted_visibility = np.where(used.any(-1), lowest, UNLABELLED).astype(np.uint8)
    converted[converted_visibility == UNLABELLED] = 0
    return converted, converted_visibility


def _middle(*joints: str) -> dict[str, float]:
    return {joint: 1 / len(joints) for joint in joints}


def _same(*joints: str) -> dict[str, dict[str, float]]:
    return {joint: {joint: 1.0} for joint in joints}


_LIMBS = [
    f"{side}_{joint}"
    for side in ("right", "left")
    for joint in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")
]
_PELVIS = _middle("left_hip", "right_hip")
_THORAX = _middle("left_shoulder", "right_shoulder")
_SPINE = _middle("left_hip", "right_hip", "left_shoulder", "right_shoulder")
# As in VideoPose3D and mmpose: the face stands in for the top of the head, the middle of eyes and ears.
_FACE: dict[str, dict[str, float]] = {
    "nose": {"nose": 1.0},
    "head": _middle("left_eye", "right_eye", "left_ear", "right_ear"),
}

# Of skeletons without a pelvis whose neck is the bottom of the neck.
_NECK = {
    "pelvis": _PELVIS,
    "spine": {"left_hip": 0.25, "right_hip": 0.25, "neck": 0.5},
    "thorax": {"neck": 1.0},
}

MAPPINGS: tuple[JointMapping, ...] = (
    JointMapping(
        COCO17,
        H36M17,
        _same(*_LIMBS) | {"pelvis": _PELVIS, "spine": _SPINE, "thorax": _THORAX} | _FACE,
    ),
    JointMapping(
        COCO17,
        COCO18_PELVIS,
        _same(*COCO17.joints) | {"pelvis": _PELVIS, "thorax": _THORAX},
    ),
    JointMapping(COCO18_PELVIS, COCO17, _same(*COCO17.joints)),
    JointMapping(
        MPII16,
        H36M17,
        _same(*_LIMBS, "pelvis", "thorax")
        | {"spine": _middle("pelvis", "thorax"), "head": {"head_top": 1.0}},
    ),
    JointMapping(
        H36M17,
        MPII16,
        _same(*_LIMBS, "pelvis", "thorax") | {"head_top": {"head": 1.0}},
    ),
    *(
        JointMapping(source, H36M17, _same(*_LIMBS) | _NECK | {"head": {"head_top": 1.0}})
        for source in (LSP14, CROWDPOSE14, AIC14)
    ),
    JointMapping(OPENPOSE18, H36M17, _same(*_LIMBS) | _NECK | _FACE),
    JointMapping(H36M17, LSP14, _same(*_LIMBS) | {"neck": {"thorax": 1.0}, "head_top": {"head": 1.0}}),
    JointMapping(H36M17, H36M16, _same(*H36M16.joints)),
    JointMapping(H36M17, COCO17, _same(*_LIMBS, "nose")),
    JointMapping(
        BODY25,
        H36M17,
        _same(*_LIMBS, "pelvis") | {"spine": _middle("pelvis", "neck"), "thorax": {"neck": 1.0}} | _FACE,
    ),
    JointMapping(
        HALPE26,
        H36M17,
        _same(*_LIMBS, "pelvis")
        | {"spine": _middle("pelvis", "neck"), "thorax": {"neck": 1.0}}
        | {"nose": {"nose": 1.0}, "head": {"head_top": 1.0}},
    ),
    JointMapping(
        MEDIAPIPE33,
        H36M17,
        _same(*_LIMBS) | {"pelvis": _PELVIS, "spine": _SPINE, "thorax": _THORAX} | _FACE,
    ),
    JointMapping(
        SMPL22,
        H36M17,
        _same(*_LIMBS)
        | {
            "pelvis": _PELVIS,
            "spine": {"spine2": 1.0},
            "thorax": {"neck": 1.0},
            "head": {"head": 2.0, "neck": -1.0},
        },
    ),
)


def _without_nose(mapping: JointMapping) -> JointMapping:
    """A mapping to H36M17 as one to H36M16, whose joints are among those of H36M17."""
    kept = {joint: row for joint, row in mapping.weights.items() if joint in H36M16.joints}
    return JointMapping(mapping.source, H36M16, kept)


MAPPINGS += tuple(
    _without_nose(mapping) for mapping in MAPPINGS if mapping.target == H36M17 and mapping.source != H36M16
)


def mapping_between(source: Skeleton, target: Skeleton) -> JointMapping:
    """The declared mapping from one built-in skeleton to another.

    Raises:
        InputError: none is declared; build a `JointMapping` yourself.
    """
    if source == target:
        return JointMapping(source, target, _same(*source.joints))
    for mapping in MAPPINGS:
        if mapping.source == source and mapping.target == target:
            return mapping
    known = ", ".join(f"{m.source.name} to {m.target.name}" for m in MAPPINGS)
    raise InputError(f"no mapping from {source.name} to {target.name} is declared (there are: {known})")


_LAYOUTS = (HALPE26, MPII16, LSP14, COCO17)
"""Skeletons in whose names all points of a body can be told, the one that tells the middle of the body best first."""


def weights_of_points(points: Collection[str], target: Skeleton) -> dict[str, Mapping[str, float]]:
    """What the joints of a skeleton are made of when some points of the body are known, whatever data set has just these.

    A joint is the point of its own name, else what the first declared mapping of HALPE26, MPII16, LSP14 or COCO17 makes
    it of that needs no other points; a joint that none of them makes is left out.

    Args:
        points: names as in those skeletons, and spine: `neck` is the bottom of the neck.
        target: of the wanted joints.
    """
    tables = [
        mapping.weights
        for layout in _LAYOUTS
        for mapping in MAPPINGS
        if mapping.source == layout and mapping.target == target
    ]
    weights: dict[str, Mapping[str, float]] = {}
    for joint in target.joints:
        # Other skeletons call another point the neck.
        own = [{joint: 1.0}] if joint in points and joint != "neck" else []
        rows = own + [table[joint] for table in tables if joint in table and set(table[joint]) <= set(points)]
        if rows:
            weights[joint] = rows[0]
    return weights
