"""What BVH files of different makers call the joints of H36M17, and what is known to be wrong in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from evolift.posedata.checked_json import expect, number, read_json
from evolift.posedata.errors import InputError
from evolift.posedata.importers.bvh_file import BvhMotion
from evolift.posedata.importers.bvh_hierarchy import BvhJoint
from evolift.posedata.settings import shown
from evolift.posedata.similar_name import guess
from evolift.posedata.skeleton import H36M17

Weights = Mapping[str, float]
WRIST_REPAIR = 1.5
HEAD_PER_LEG = 0.125
"""Base of the skull to its top, of hip to ankle: 0.129 in Human3.6M, 0.118 in the CMU data base."""
CMU_MILLIMETRES = 25.4 / 0.45


@dataclass(frozen=True)
class BvhNames:
    """A table of names.

    Args:
        name: of the table.
        joints: joint of H36M17 -> {joint of the file: weight}; weights sum to 1. The nose may be absent.
        skull: the joint at the base of the skull, whose rotation is the head's: where the nose is absent, it is placed in this
            frame, or unlabelled if this is None too.
        millimetres: length of the file's unit where all files of this kind have the same, else None.
        repair: mends what the conversion lost.
        subject_from_name: the file name is SUBJECT_NUMBER.
        marks: further joints by which files of this kind are known from others that have the same names.

    Raises:
        InputError: a joint of H36M17 is missing or unknown, or weights do not sum to 1.
    """

    name: str
    joints: Mapping[str, Weights]
    skull: str | None = None
    millimetres: float | None = None
    repair: Callable[[BvhMotion], BvhMotion] | None = None
    subject_from_name: bool = False
    marks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        missing = [joint for joint in H36M17.joints if joint not in self.joints and joint != "nose"]
        unknown = [joint for joint in self.joints if joint not in H36M17.joints]
        if missing or unknown:
            raise InputError(
                f"names {self.name!r}: {(missing or unknown)[0]!r} is {'missing' if missing else 'not a joint of H36M17'}"
            )
        for joint, weights in self.joints.items():
            if not weights or abs(sum(weights.values()) - 1) > 1e-6:
                raise InputError(f"names {self.name!r}: the weights of {joint!r} do not sum to 1")


def _table(
    middle: dict[str, str | tuple[str, ...]], left: Mapping[str, str], right: Mapping[str, str]
) -> dict[str, Weights]:
    table: dict[str, Weights] = {}
    for joint, names in middle.items():
        parts = (names,) if isinstance(names, str) else names
        table[joint] = {part: 1 / len(parts) for part in parts}
    for side, names_of_side in (("left", left), ("right", right)):
        table |= {f"{side}_{joint}": {name: 1.0} for joint, name in names_of_side.items()}
    return table


def _sided(pattern: str, left: str, right: str, **names: str) -> tuple[dict[str, str], dict[str, str]]:
    both = [
        {joint: pattern.format(side=side, name=name) for joint, name in names.items()}
        for side in (left, right)
    ]
    return both[0], both[1]


_CGSPEED = _sided(
    "{side}{name}", "Left", "Right",
    hip="Hip", knee="Knee", ankle="Ankle", shoulder="Shoulder", elbow="Elbow", wrist="Wrist",
)  # fmt: skip
_MIXAMO = _sided(
    "mixamorig:{side}{name}", "Left", "Right",
    hip="UpLeg", knee="Leg", ankle="Foot", shoulder="Arm", elbow="ForeArm", wrist="Hand",
)  # fmt: skip
_BANDAI_NAMCO = _sided(
    "{name}_{side}", "L", "R",
    hip="UpperLeg", knee="LowerLeg", ankle="Foot", shoulder="UpperArm", elbow="LowerArm", wrist="Hand",
)  # fmt: skip
_ICLONE = _sided(
    "CC_Base_{side}_{name}", "L", "R",
    hip="Thigh", knee="Calf", ankle="Foot", shoulder="Upperarm", elbow="Forearm", wrist="Hand",
)  # fmt: skip

_BARE = _sided(
    "{side}{name}", "Left", "Right",
    hip="UpLeg", knee="Leg", ankle="Foot", shoulder="Arm", elbow="ForeArm", wrist="Hand",
)  # fmt: skip
_ROKOKO = _sided(
    "{side}{name}", "Left", "Right",
    hip="Thigh", knee="Shin", ankle="Foot", shoulder="Arm", elbow="ForeArm", wrist="Hand",
)  # fmt: skip
_BIPED = _sided(
    "Bip01 {side} {name}", "L", "R",
    hip="Thigh", knee="Calf", ankle="Foot", shoulder="UpperArm", elbow="Forearm", wrist="Hand",
)  # fmt: skip


def repair_cgspeed(motion: BvhMotion) -> BvhMotion:
    """Put back the two segments that the cgspeed conversion of the CMU data base lost.

    The `thorax` bone goes along Chest2's y axis with the length of Chest to Chest2, and shifts all above it; the
    forearm gets its last third back (the `wrist` bone).

    Raises:
        InputError: joints are missing, or the segment is not lost in this file.
    """
    for name in ("Chest2", "lowerneck", "LeftCollar", "RightCollar", "LeftWrist", "RightWrist"):
        if name not in motion.joints:
            raise InputError(
                f"{motion.label} has no joint {name!r}: it is not of the cgspeed conversion, choose other names"
            )
    thorax = np.array([0.0, float(np.linalg.norm(motion.joints["Chest2"].offset)), 0.0])
    offsets = {}
    for name in ("lowerneck", "LeftCollar", "RightCollar"):
        if (
            np.abs(motion.joints[name].offset).max() > 1e-6 * thorax[1]
            or motion.joints[name].parent != "Chest2"
        ):
            raise InputError(
                f"{motion.label}: {name!r} does not start at Chest2, so this file does not need the repair of the cgspeed names"
            )
        offsets[name] = thorax
    for name in ("LeftWrist", "RightWrist"):
        offsets[name] = WRIST_REPAIR * motion.joints[name].offset
    return motion.with_offsets(offsets)


def repair_bandai_namco(motion: BvhMotion) -> BvhMotion:
    """Give the head of the Bandai-Namco files its top: their end site lies on the joint Head itself.

    All bones of their trunk go along the x axis of the joint they start from, and so does the head; how long it is, is not in the
    files: `HEAD_PER_LEG` of the leg.

    Raises:
        InputError: joints are missing.
    """
    for name in ("Head", "Head_End", "LowerLeg_L", "Foot_L"):
        if name not in motion.joints:
            raise InputError(
                f"{motion.label} has no joint {name!r}: it is not of the Bandai-Namco names, choose others"
            )
    if np.abs(motion.joints["Head_End"].offset).max() > 0:
        return motion
    leg = sum(float(np.linalg.norm(motion.joints[name].offset)) for name in ("LowerLeg_L", "Foot_L"))
    return motion.with_offsets({"Head_End": np.array([HEAD_PER_LEG * leg, 0.0, 0.0])})


def repair_iclone(motion: BvhMotion) -> BvhMotion:
    """Give the head of iClone's bodies (joints CC_Base_*) a top, which no joint of theirs marks.

    It is put up the head's own y axis, `HEAD_PER_LEG` of the leg away.

    Raises:
        InputError: joints are missing.
    """
    for name in ("CC_Base_Head", "CC_Base_L_Calf", "CC_Base_L_Foot"):
        if name not in motion.joints:
            raise InputError(
                f"{motion.label} has no joint {name!r}: it is not of iClone's names, choose others"
            )
    leg = sum(
        float(np.linalg.norm(motion.joints[name].offset)) for name in ("CC_Base_L_Calf", "CC_Base_L_Foot")
    )
    offset = np.array([0.0, HEAD_PER_LEG * leg, 0.0])
    top = BvhJoint("CC_Base_Head_Top", "CC_Base_Head", offset, (), 0, is_end=True)
    return replace(motion, joints={**motion.joints, top.name: top})


BVH_NAMES: dict[str, BvhNames] = {
    table.name: table
    for table in (
        BvhNames(
            "cmu-cgspeed",
            _table(
                {
                    "pelvis": ("LeftHip", "RightHip"),
                    "spine": "Chest",
                    "thorax": ("lowerneck", "Neck"),
                    "head": "Head_End",
                },
                *_CGSPEED,
            ),
            skull="Head",
            millimetres=CMU_MILLIMETRES,
            repair=repair_cgspeed,
            subject_from_name=True,
        ),
        BvhNames(
            "mixamo",
            _table(
                {
                    "pelvis": ("mixamorig:LeftUpLeg", "mixamorig:RightUpLeg"),
                    "spine": "mixamorig:Spine1",
                    "thorax": "mixamorig:Neck",
                    "head": "mixamorig:HeadTop_End",
                },
                *_MIXAMO,
            ),
            skull="mixamorig:Head",
        ),
        # Joints as in fairmotion, assimp's test files and deep-motion-editing: Neck lies on Spine1, and Neck1 is the base of the neck.
        BvhNames(
            "cmu-motionbuilder",
            _table(
                {
                    "pelvis": ("LeftUpLeg", "RightUpLeg"),
                    "spine": "Spine",
                    "thorax": "Neck1",
                    "head": "Head_End",
                },
                *_BARE,
            ),
            skull="Head",
            subject_from_name=True,
            marks=("LHipJoint", "RHipJoint", "LowerBack", "Spine1", "Neck"),
        ),
        # github.com/ubisoft/ubisoft-laforge-animation-dataset (the order of the columns is in lafan_breakdown.m of
        # github.com/stevenhaener/dynamo_scripts). The trunk's middle lies between Spine1 and Spine2.
        BvhNames(
            "lafan1",
            _table(
                {
                    "pelvis": ("LeftUpLeg", "RightUpLeg"),
                    "spine": ("Spine1", "Spine2"),
                    "thorax": "Neck",
                    "head": "Head_End",
                },
                *_BARE,
            ),
            skull="Head",
            marks=("LeftToe", "RightToe"),
        ),
        # Axis Neuron and Axis Studio, which name a joint in the palm before each finger.
        BvhNames(
            "perception-neuron",
            _table(
                {
                    "pelvis": ("LeftUpLeg", "RightUpLeg"),
                    "spine": "Spine1",
                    "thorax": "Neck",
                    "head": "Head_End",
                },
                *_BARE,
            ),
            skull="Head",
            marks=("LeftInHandIndex", "RightInHandIndex"),
        ),
        # MVN's export: Chest to Chest4 stand for L5, L3, T12 and T8 of its model, Neck for its first joint of the neck.
        BvhNames(
            "xsens",
            _table(
                {
                    "pelvis": ("LeftHip", "RightHip"),
                    "spine": ("Chest2", "Chest3"),
                    "thorax": "Neck",
                    "head": "Head_End",
                },
                *_CGSPEED,
            ),
            skull="Head",
            marks=("Chest4", "LeftCollar", "RightCollar"),
        ),
        # Rokoko Studio's own skeleton ("Newton"); its exports for Mixamo and HumanIK have the names of these.
        BvhNames(
            "rokoko",
            _table(
                {
                    "pelvis": ("LeftThigh", "RightThigh"),
                    "spine": "Spine2",
                    "thorax": "Neck",
                    "head": "Head_End",
                },
                *_ROKOKO,
            ),
            skull="Head",
        ),
        # 3ds Max; the number differs, and blanks are often written as underscores.
        BvhNames(
            "biped",
            _table(
                {
                    "pelvis": ("Bip01 L Thigh", "Bip01 R Thigh"),
                    "spine": "Bip01 Spine1",
                    "thorax": "Bip01 Neck",
                    "head": "Bip01 HeadNub",
                },
                *_BIPED,
            ),
            skull="Bip01 Head",
        ),
        BvhNames(
            "bandai-namco",
            _table(
                {
                    "pelvis": ("UpperLeg_L", "UpperLeg_R"),
                    "spine": "Chest",
                    "thorax": "Neck",
                    "head": "Head_End",
                },
                *_BANDAI_NAMCO,
            ),
            skull="Head",
            repair=repair_bandai_namco,
        ),
        BvhNames(
            "iclone",
            _table(
                {
                    "pelvis": ("CC_Base_L_Thigh", "CC_Base_R_Thigh"),
                    "spine": "CC_Base_Spine02",
                    "thorax": "CC_Base_NeckTwist01",
                    "head": "CC_Base_Head_Top",
                },
                *_ICLONE,
            ),
            skull="CC_Base_Head",
            repair=repair_iclone,
        ),
        BvhNames("evolift", {joint: {joint: 1.0} for joint in H36M17.joints}, millimetres=10.0),
    )
}
"""The built-in tables of names."""


def bvh_names(name: str | Path) -> BvhNames:
    """A built-in table by its name, or one of the user's from a JSON file.

    The file maps every joint of H36M17 to a joint of the BVH file, to a list of joints (their middle), or to an
    object {joint: weight}. An end site is called by its joint and `_End`. In place of `nose` it may name the joint at the base
    of the skull, `skull` (or `neck`, as animators call it), in whose frame the nose is then placed.

    Raises:
        InputError: there is none of that name, or the file is not such a table.
    """
    if str(name) in BVH_NAMES:
        return BVH_NAMES[str(name)]
    path = Path(name)
    if path.suffix.lower() != ".json":
        raise InputError(
            f"there are no BVH names {str(name)!r}{guess(str(name), BVH_NAMES)}: choose one of {', '.join(BVH_NAMES)}, or give a .json file"
        )
    try:
        values = expect(read_json(path), dict, str(path))
        skulls = {key: values.pop(key) for key in ("skull", "neck") if key in values}
        joints = {joint: _weights(value, f"{path}: {joint}") for joint, value in values.items()}
        for key, skull in skulls.items():
            if not isinstance(skull, str):
                raise TypeError(f"{key!r} must be one joint, not {shown(skull)}")
    except TypeError as error:
        raise InputError(f"{path} is not a JSON table of joint names: {error}") from None
    try:
        return BvhNames(path.name, joints, skulls.get("skull", skulls.get("neck")))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _weights(value: object, where: str) -> Weights:
    if isinstance(value, str):
        return {value: 1.0}
    if isinstance(value, list) and value and all(isinstance(name, str) for name in value):
        return {name: value.count(name) / len(value) for name in value}
    if isinstance(value, dict):
        return {str(name): number(weight, where) for name, weight in value.items()}
    raise TypeError(f"{shown(value)} is not a joint name, a list of names or an object of weights")
