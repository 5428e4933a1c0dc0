"""Skeletons: named joints, the kinematic tree between them, and their mirror image.

A skeleton knows nothing of coordinates. Arrays of joints have the joint on their last axis but one, in
the order of `Skeleton.joints`. Conversions between skeletons are in `joint_mapping`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from evolift.posedata.errors import InputError
from evolift.posedata.similar_name import guess

ROOT = -1
MAX_JOINTS = 1000
"""What is done with skeletons grows with the square of their joints; whole bodies with hands and faces have 133 to 554."""


@dataclass(frozen=True)
class Skeleton:
    """Named joints, each with its parent in the kinematic tree.

    Args:
        name: what stores and checkpoints call it.
        joints: names in array order; sides are told by the prefixes `left_` and `right_`.
        parents: name of each joint's parent, None for a root. Detector formats without a pelvis are
            declared with one root too (a drawing tree), and say so in `is_kinematic`.
        is_kinematic: True when bones of the tree are rigid body segments that may be rotated.

    Raises:
        InputError: the joints make no tree of one root, are not mirrored, or a built-in skeleton has the name.
    """

    name: str
    joints: tuple[str, ...]
    parents: tuple[str | None, ...]
    is_kinematic: bool = True

    def __post_init__(self) -> None:
        texts = [self.name, *self.joints, *(parent for parent in self.parents if parent is not None)]
        if not all(isinstance(text, str) for text in texts):
            raise InputError("a skeleton's name, joints and parents must be texts")
        if len(self.joints) > MAX_JOINTS:
            raise InputError(f"skeleton {self.name[:80]}: it has more than {MAX_JOINTS} joints")
        if len(set(self.joints)) != len(self.joints):
            raise InputError(f"skeleton {self.name}: a joint name is repeated")
        if len(self.joints) != len(self.parents):
            raise InputError(
                f"skeleton {self.name}: {len(self.joints)} joints but {len(self.parents)} parents"
            )
        for joint, parent in zip(self.joints, self.parents, strict=True):
            if parent is not None and parent not in self.joints:
                names = f"parent {parent[:80]!r} of {joint[:80]!r}"
                raise InputError(f"skeleton {self.name[:80]}: {names} is not a joint")
        if self.parents.count(None) != 1:
            raise InputError(f"skeleton {self.name}: needs exactly one root, has {self.parents.count(None)}")
        if len(self.topological_order) != len(self.joints):
            raise InputError(f"skeleton {self.name}: its parents form a loop")
        for joint in self.joints:
            if _mirrored_name(joint) not in self.joints:
                raise InputError(f"skeleton {self.name}: {joint!r} has no {_mirrored_name(joint)!r}")
        built_in = globals().get("SKELETONS", {}).get(self.name)  # there when this module is loaded
        if built_in is not None and (self.joints, self.parents) != (built_in.joints, built_in.parents):
            raise InputError(
                f"its skeleton {self.name} is not the one of this evolift (joint 9 of H36M17 was `neck` once and is `nose` now)"
            )

    def __len__(self) -> int:
        return len(self.joints)

    def index(self, joint: str) -> int:
        """Position of a joint in arrays.

        Raises:
            InputError: this skeleton has no such joint.
        """
        if joint in self.joints:
            return self.joints.index(joint)
        raise InputError(
            f"skeleton {self.name} has no joint {joint!r}{guess(joint, self.joints)}: it has {', '.join(self.joints)}"
        )

    @cached_property
    def root(self) -> int:
        """Index of the root joint."""
        return self.parents.index(None)

    @cached_property
    def parent_indices(self) -> tuple[int, ...]:
        """Index of each joint's parent, `ROOT` (-1) for the root."""
        return tuple(ROOT if parent is None else self.joints.index(parent) for parent in self.parents)

    @cached_property
    def bones(self) -> tuple[tuple[int, int], ...]:
        """(parent, child) of every bone, in the order of the children."""
        return tuple((parent, child) for child, parent in enumerate(self.parent_indices) if parent != ROOT)

    @cached_property
    def topological_order(self) -> tuple[int, ...]:
        """Joint indices with every parent before its children."""
        order: list[int] = []
        frontier = [self.root]
        while frontier:
            joint = frontier.pop(0)
            order.append(joint)
            frontier.extend(
                child for child, parent in enumerate(self.parents) if parent == self.joints[joint]
            )
        return tuple(order)

    @cached_property
    def mirror(self) -> tuple[int, ...]:
        """The index of each joint's mirror image; `np.take(joints, mirror, -2)` exchanges left and right."""
        return tuple(self.joints.index(_mirrored_name(joint)) for joint in self.joints)

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON; `from_dict` is the inverse."""
        return {
            "name": self.name,
            "joints": list(self.joints),
            "parents": list(self.parents),
            "is_kinematic": self.is_kinematic,
        }

    @classmethod
    def from_dict(cls, values: dict[str, object]) -> Skeleton:
        """Skeleton from what `to_dict` gave.

        Raises:
            InputError: a key is missing or the values do not form a skeleton.
        """
        try:
            joints, parents = values["joints"], values["parents"]
            name, is_kinematic = values["name"], values["is_kinematic"]
        except KeyError as error:
            raise InputError(f"a skeleton's description lacks {error}") from None
        if not isinstance(joints, list) or not isinstance(parents, list):
            raise InputError("a skeleton's joints and parents must be lists")
        return cls(str(name), tuple(joints), tuple(parents), bool(is_kinematic))


def _mirrored_name(joint: str) -> str:
    if joint.startswith("left_"):
        return "right_" + joint.removeprefix("left_")
    if joint.startswith("right_"):
        return "left_" + joint.removeprefix("right_")
    return joint


def _skeleton(name: str, tree: dict[str, str | None], *, is_kinematic: bool = True) -> Skeleton:
    return Skeleton(name, tuple(tree), tuple(tree.values()), is_kinematic)


H36M17 = _skeleton(
    "H36M17",
    {
        "pelvis": None,
        "right_hip": "pelvis",
        "right_knee": "right_hip",
        "right_ankle": "right_knee",
        "left_hip": "pelvis",
        "left_knee": "left_hip",
        "left_ankle": "left_knee",
        "spine": "pelvis",
        "thorax": "spine",
        "nose": "thorax",
        "head": "nose",
        "left_shoulder": "thorax",
        "left_elbow": "left_shoulder",
        "left_wrist": "left_elbow",
        "right_shoulder": "thorax",
        "right_elbow": "right_shoulder",
        "right_wrist": "right_elbow",
    },
)
"""The canonical skeleton of this package: Human3.6M's 17 joints, where Human3.6M puts them. `nose` is its "Neck/Nose", in
front of the neck, and `head` the top of the head; docs/skeletons.md says where each source's joints lie."""

H36M16 = _skeleton(
    "H36M16",
    {
        joint: ("thorax" if joint == "head" else parent)
        for joint, parent in zip(H36M17.joints, H36M17.parents, strict=True)
        if joint != "nose"
    },
)
"""The 16 joints of SemGCN (Zhao et al. 2019): H36M17 without `nose`."""

COCO17 = _skeleton(
    "COCO17",
    {
        "nose": None,
        "left_eye": "nose",
        "right_eye": "nose",
        "left_ear": "left_eye",
        "right_ear": "right_eye",
        "left_shoulder": "nose",
        "right_shoulder": "nose",
        "left_elbow": "left_shoulder",
        "right_elbow": "right_shoulder",
        "left_wrist": "left_elbow",
        "right_wrist": "right_elbow",
        "left_hip": "left_shoulder",
        "right_hip": "right_shoulder",
        "left_knee": "left_hip",
        "right_knee": "right_hip",
        "left_ankle": "left_knee",
        "right_ankle": "right_knee",
    },
    is_kinematic=False,
)
"""COCO keypoints. It has no pelvis, so its tree is only for drawing."""

COCO18_PELVIS = _skeleton(
    "COCO18_PELVIS",
    {
        "pelvis": None,
        "thorax": "pelvis",
        "nose": "thorax",
        "left_eye": "nose",
        "right_eye": "nose",
        "left_ear": "nose",
        "right_ear": "nose",
        "left_shoulder": "thorax",
        "right_shoulder": "thorax",
        "left_elbow": "left_shoulder",
        "right_elbow": "right_shoulder",
        "left_wrist": "left_elbow",
        "right_wrist": "right_elbow",
        "left_hip": "pelvis",
        "right_hip": "pelvis",
        "left_knee": "left_hip",
        "right_knee": "right_hip",
        "left_ankle": "left_knee",
        "right_ankle": "right_knee",
    },
)
"""COCO keypoints with pelvis (middle of the hips) and thorax (middle of the shoulders): a kinematic tree."""

MPII16 = _skeleton(
    "MPII16",
    {
        "right_ankle": "right_knee",
        "right_knee": "right_hip",
        "right_hip": "pelvis",
        "left_hip": "pelvis",
        "left_knee": "left_hip",
        "left_ankle": "left_knee",
        "pelvis": None,
        "thorax": "pelvis",
        "upper_neck": "thorax",
        "head_top": "upper_neck",
        "right_wrist": "right_elbow",
        "right_elbow": "right_shoulder",
        "right_shoulder": "thorax",
        "left_shoulder": "thorax",
        "left_elbow": "left_shoulder",
        "left_wrist": "left_elbow",
    },
)
"""MPII Human Pose. Its `thorax` lies between the shoulders and `upper_neck` at the base of the skull."""

LSP14 = _skeleton(
    "LSP14",
    {
        "right_ankle": "right_knee",
        "right_knee": "right_hip",
        "right_hip": "neck",
        "left_hip": "neck",
        "left_knee": "left_hip",
        "left_ankle": "left_knee",
        "right_wrist": "right_elbow",
        "right_elbow": "right_shoulder",
        "right_shoulder": "neck",
        "left_shoulder": "neck",
        "left_elbow": "left_shoulder",
        "left_wrist": "left_elbow",
        "neck": None,
        "head_top": "neck",
    },
    is_kinematic=False,
)
"""Leeds Sports Pose. Its `neck` is the bottom of the neck, between the shoulders."""


def _reordered(name: str, skeleton: Skeleton, joints: str) -> Skeleton:
    """The joints of a skeleton in another order."""
    parents = dict(zip(skeleton.joints, skeleton.parents, strict=True))
    return _skeleton(name, {joint: parents[joint] for joint in joints.split()}, is_kinematic=False)


CROWDPOSE14 = _reordered(
    "CROWDPOSE14",
    LSP14,
    "left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist left_hip right_hip left_knee right_knee "
    "left_ankle right_ankle head_top neck",
)
"""CrowdPose (Li et al. 2019), which calls the top of the head `head`."""

AIC14 = _reordered(
    "AIC14",
    LSP14,
    "right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist right_hip right_knee right_ankle left_hip "
    "left_knee left_ankle head_top neck",
)
"""AI Challenger (Wu et al. 2017)."""

BODY25 = _skeleton(
    "BODY25",
    {
        "nose": "neck",
        "neck": "pelvis",
        "right_shoulder": "neck",
        "right_elbow": "right_shoulder",
        "right_wrist": "right_elbow",
        "left_shoulder": "neck",
        "left_elbow": "left_shoulder",
        "left_wrist": "left_elbow",
        "pelvis": None,
        "right_hip": "pelvis",
        "right_knee": "right_hip",
        "right_ankle": "right_knee",
        "left_hip": "pelvis",
        "left_knee": "left_hip",
        "left_ankle": "left_knee",
        "right_eye": "nose",
        "left_eye": "nose",
        "right_ear": "right_eye",
        "left_ear": "left_eye",
        "left_big_toe": "left_ankle",
        "left_small_toe": "left_ankle",
        "left_heel": "left_ankle",
        "right_big_toe": "right_ankle",
        "right_small_toe": "right_ankle",
        "right_heel": "right_ankle",
    },
)
"""OpenPose BODY_25. Its `neck` is the middle of the shoulders."""

OPENPOSE18 = _skeleton(
    "OPENPOSE18",
    {
        "nose": "neck",
        "neck": None,
        "right_shoulder": "neck",
        "right_elbow": "right_shoulder",
        "right_wrist": "right_elbow",
        "left_shoulder": "neck",
        "left_elbow": "left_shoulder",
        "left_wrist": "left_elbow",
        "right_hip": "neck",
        "right_knee": "right_hip",
        "right_ankle": "right_knee",
        "left_hip": "neck",
        "left_knee": "left_hip",
        "left_ankle": "left_knee",
        "right_eye": "nose",
        "left_eye": "nose",
        "right_ear": "right_eye",
        "left_ear": "left_eye",
    },
    is_kinematic=False,
)
"""OpenPose's COCO model, which DWPose, ControlNet and lightweight OpenPose write. Its `neck` is the middle of the shoulders."""

HALPE26 = _skeleton(
    "HALPE26",
    {
        "nose": "head_top",
        "left_eye": "nose",
        "right_eye": "nose",
        "left_ear": "left_eye",
        "right_ear": "right_eye",
        "left_shoulder": "neck",
        "right_shoulder": "neck",
        "left_elbow": "left_shoulder",
        "right_elbow": "right_shoulder",
        "left_wrist": "left_elbow",
        "right_wrist": "right_elbow",
        "left_hip": "pelvis",
        "right_hip": "pelvis",
        "left_knee": "left_hip",
        "right_knee": "right_hip",
        "left_ankle": "left_knee",
        "right_ankle": "right_knee",
        "head_top": "neck",
        "neck": "pelvis",
        "pelvis": None,
        "left_big_toe": "left_ankle",
        "right_big_toe": "right_ankle",
        "left_small_toe": "left_ankle",
        "right_small_toe": "right_ankle",
        "left_heel": "left_ankle",
        "right_heel": "right_ankle",
    },
)
"""Halpe full body without face and hands, of AlphaPose and RTMPose. Its `neck` is the middle of the shoulders."""

MEDIAPIPE33 = _skeleton(
    "MEDIAPIPE33",
    {
        "nose": None,
        "left_eye_inner": "nose",
        "left_eye": "left_eye_inner",
        "left_eye_outer": "left_eye",
        "right_eye_inner": "nose",
        "right_eye": "right_eye_inner",
        "right_eye_outer": "right_eye",
        "left_ear": "left_eye_outer",
        "right_ear": "right_eye_outer",
        "left_mouth": "nose",
        "right_mouth": "nose",
        "left_shoulder": "nose",
        "right_shoulder": "nose",
        "left_elbow": "left_shoulder",
        "right_elbow": "right_shoulder",
        "left_wrist": "left_elbow",
        "right_wrist": "right_elbow",
        "left_pinky": "left_wrist",
        "right_pinky": "right_wrist",
        "left_index": "left_wrist",
        "right_index": "right_wrist",
        "left_thumb": "left_wrist",
        "right_thumb": "right_wrist",
        "left_hip": "left_shoulder",
        "right_hip": "right_shoulder",
        "left_knee": "left_hip",
        "right_knee": "right_hip",
        "left_ankle": "left_knee",
        "right_ankle": "right_knee",
        "left_heel": "left_ankle",
        "right_heel": "right_ankle",
        "left_foot_index": "left_heel",
        "right_foot_index": "right_heel",
    },
    is_kinematic=False,
)
"""MediaPipe Pose landmarks."""

SMPL22 = _skeleton(
    "SMPL22",
    {
        "pelvis": None,
        "left_hip": "pelvis",
        "right_hip": "pelvis",
        "spine1": "pelvis",
        "left_knee": "left_hip",
        "right_knee": "right_hip",
        "spine2": "spine1",
        "left_ankle": "left_knee",
        "right_ankle": "right_knee",
        "spine3": "spine2",
        "left_foot": "left_ankle",
        "right_foot": "right_ankle",
        "neck": "spine3",
        "left_collar": "spine3",
        "right_collar": "spine3",
        "head": "neck",
        "left_shoulder": "left_collar",
        "right_shoulder": "right_collar",
        "left_elbow": "left_shoulder",
        "right_elbow": "right_shoulder",
        "left_wrist": "left_elbow",
        "right_wrist": "right_elbow",
    },
)
"""The body joints that SMPL, SMPL-H and SMPL-X share. Its `neck` is the bottom of the neck, its `head` the base of the
skull, and its `pelvis` lies above the middle of the hips."""

SKELETONS: dict[str, Skeleton] = {
    skeleton.name: skeleton
    for skeleton in (
        H36M17,
        H36M16,
        COCO17,
        COCO18_PELVIS,
        MPII16,
        LSP14,
        CROWDPOSE14,
        AIC14,
        BODY25,
        OPENPOSE18,
        HALPE26,
        MEDIAPIPE33,
        SMPL22,
    )
}


def skeleton_by_name(name: str) -> Skeleton:
    """One of the built-in skeletons.

    Raises:
        InputError: there is none of that name.
    """
    if name not in SKELETONS:
        meant = guess(name, SKELETONS)
        raise InputError(f"there is no skeleton {name!r}{meant}: choose one of {', '.join(SKELETONS)}")
    return SKELETONS[name]
