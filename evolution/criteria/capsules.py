"""No limb through the trunk, the head or another limb: bones as capsules with radii from the body's proportions.

A capsule is all that is nearer to a bone than a radius. Flesh gives way, hands rest on thighs, arms are folded, and
markers are off by centimetres, so radii are those of the core that nothing enters, chosen so that real poses pass: 99.9% of
CMU subjects 01 and 03, 98.2% of subject 02 (who rubs its forearms: that radius was chosen with these poses in sight, so
theirs is no held-out rate), all of the CMU walks as BVH. With random limbs 37% do. Bones that share a joint, and thighs
and trunk, are not compared: joint-angle limits speak about those.
"""

from __future__ import annotations

from itertools import combinations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from evolift.evolution.criteria.criterion import Criterion
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.kinematics.segment_distance import segment_distance
from evolift.posedata.errors import InputError

RADII = {
    "trunk": 0.15,
    "flank": 0.06,
    "head": 0.10,
    "upper_arm": 0.06,
    "forearm": 0.04,
    "thigh": 0.09,
    "shin": 0.06,
}
"""Radius of each kind of capsule over the length of the trunk, which is about half a metre."""
_LIMBS = {
    "upper_arm": ("shoulder", "elbow"),
    "forearm": ("elbow", "wrist"),
    "thigh": ("hip", "knee"),
    "shin": ("knee", "ankle"),
}
_PARTS = {
    "upper_arm": "arm",
    "forearm": "arm",
    "thigh": "leg",
    "shin": "leg",
    "flank": "trunk",
    "trunk": "trunk",
    "head": "head",
}
_BODY = ("trunk", "flank", "head")


class Capsules(Criterion):
    """Refuses poses in which two capsules overlap; the reasons are pairs of parts, for example "arm in trunk".

    Args:
        tree: of the poses.

    Raises:
        InputError: the skeleton lacks a joint of the limbs.
    """

    name = "capsules"

    def __init__(self, tree: KinematicTree) -> None:
        skeleton = tree.skeleton
        sides = ("left", "right")
        names = [f"{side}_{joint}" for side in sides for ends in _LIMBS.values() for joint in ends]
        lacking = sorted(set(names) - set(skeleton.joints))
        if lacking:
            raise InputError(
                f"the criterion 'capsules' needs the joints of arms and legs, the skeleton {skeleton.name} lacks {', '.join(lacking)}"
            )
        self._root, self._chest = skeleton.root, tree.branch(tree.shoulders)
        # Each end is the middle of two joints, mostly of one with itself.
        ends: dict[str, tuple[tuple[int, int], tuple[int, int]]] = {
            "trunk": (_one(self._root), _one(self._chest))
        }
        for side in sides:
            for kind, joints in _LIMBS.items():
                start, end = (skeleton.index(f"{side}_{joint}") for joint in joints)
                ends[f"{side} {kind}"] = (_one(start), _one(end))
            hip, shoulder = (skeleton.index(f"{side}_{joint}") for joint in ("hip", "shoulder"))
            ends[f"{side} flank"] = (_one(hip), (self._chest, shoulder))
        if "head" in skeleton.joints:
            # From about the base of the skull: half-way up from the chest, or a joint of its own.
            top = skeleton.index("head")
            base = _one(skeleton.index("neck")) if "neck" in skeleton.joints else (self._chest, top)
            ends["head"] = (base, _one(top))
        pairs = [pair for pair in combinations(ends, 2) if _compared(*pair, ends)]
        self.pairs = tuple(pairs)
        self._ends = torch.tensor([[[*ends[one]], [*ends[other]]] for one, other in pairs])
        self._radii = torch.tensor([RADII[_kind(one)] + RADII[_kind(other)] for one, other in pairs])
        reasons = [_reason(*pair) for pair in pairs]
        self.reasons = tuple(dict.fromkeys(reasons))
        self._of_reason = torch.tensor([self.reasons.index(reason) for reason in reasons])

    def check(
        self, joints: Float[Tensor, "n joints 3"], support: Float[Tensor, "n"] | None = None
    ) -> Bool[Tensor, "n reasons"]:
        """As `Criterion.check`; what a body stands on does not matter."""
        planes = joints.permute(2, 1, 0).contiguous()
        trunk = (planes[:, self._chest] - planes[:, self._root]).norm(dim=0)
        joints_of_ends = self._ends.to(planes.device)
        # (pairs, which of the two, which end, which joint of its middle)
        a, b, c, d = (
            (planes[:, joints_of_ends[:, which, end, 0]] + planes[:, joints_of_ends[:, which, end, 1]]) / 2
            for which in range(2)
            for end in range(2)
        )
        overlap = segment_distance(a, b, c, d) < self._radii.to(planes.device)[:, None] * trunk
        verdicts = torch.ones(len(self.reasons), len(joints), dtype=torch.bool, device=planes.device)
        for pair, reason in enumerate(self._of_reason.tolist()):
            verdicts[reason] &= ~overlap[pair]
        return verdicts.T


def _one(joint: int) -> tuple[int, int]:
    return joint, joint


def _kind(name: str) -> str:
    return name.rpartition(" ")[2]


def _compared(one: str, other: str, ends: dict[str, tuple[tuple[int, int], tuple[int, int]]]) -> bool:
    kinds = {_kind(one), _kind(other)}
    if kinds <= set(_BODY) or ("thigh" in kinds and kinds & {"trunk", "flank"}):
        return False
    same_side = one.partition(" ")[0] == other.partition(" ")[0]
    if kinds == {"upper_arm", "flank"} and same_side:
        return False
    touching = {joint for end in ends[one] for joint in end} & {joint for end in ends[other] for joint in end}
    return not touching


def _reason(one: str, other: str) -> str:
    """Which part of the body is inside which, limbs first."""
    order = ["arm", "leg", "trunk", "head"]
    first, second = sorted((_PARTS[_kind(one)], _PARTS[_kind(other)]), key=order.index)
    return f"{first} in {second}"
