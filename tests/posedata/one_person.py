"""One person in one pose, told in the joints of every source that evolift reads.

Millimetres, y up, the person faces +z (but for a head turned to the left), so that the left is +x: the axes of ASF and BVH
files. Standing with the left arm raised, the left knee bent, the right hand in front.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from evolift.posedata.skeleton import (
    AIC14,
    BODY25,
    COCO17,
    CROWDPOSE14,
    HALPE26,
    LSP14,
    MEDIAPIPE33,
    MPII16,
    OPENPOSE18,
    SMPL22,
    Skeleton,
)
from tests.posedata.acclaim_files import BONES, LENGTH_UNIT

YAW, PITCH = 25.0, 10.0
"""Of the head, degrees: to the left, and down."""
HEAD = Rotation.from_euler("YX", [YAW, PITCH], degrees=True)
BODY: dict[str, np.ndarray] = {
    name: np.array(place, float)
    for name, place in {
        "pelvis": (0, 900, 0),
        "left_hip": (87, 900, 0), "left_knee": (95, 520, 170), "left_ankle": (95, 130, 30), "left_toe": (100, 60, 190),
        "right_hip": (-87, 900, 0), "right_knee": (-95, 490, 10), "right_ankle": (-95, 75, -20), "right_toe": (-110, 15, 140),
        "spine": (0, 1115, -10), "chest": (0, 1360, -5), "neck": (0, 1440, 5), "thorax": (0, 1400, 0), "skull": (0, 1540, 20),
        "left_shoulder": (185, 1390, -5), "left_elbow": (430, 1500, 20), "left_wrist": (560, 1740, 60),
        "right_shoulder": (-185, 1390, -5), "right_elbow": (-230, 1110, -20), "right_wrist": (-210, 850, 110),
    }.items()
}  # fmt: skip
SKULL = 98.0
"""From the base of the skull to the top of the head."""
_FACE = {  # in the head's own axes, from its top
    "head_top": (0, 0, 0), "nose": (0, -125, 115), "mouth": (0, -165, 95),
    "left_eye": (32, -95, 88), "right_eye": (-32, -95, 88), "left_ear": (72, -115, 8), "right_ear": (-72, -115, 8),
}  # fmt: skip
TOP = BODY["skull"] + HEAD.apply([0, SKULL, 0])
BODY |= {name: TOP + HEAD.apply(place) for name, place in _FACE.items()}


def _middle(*names: str) -> np.ndarray:
    return np.mean([BODY[name] for name in names], 0)


_HIPS, _SHOULDERS = _middle("left_hip", "right_hip"), _middle("left_shoulder", "right_shoulder")
# What each source calls a joint where that is not the body's own name for the place.
_MEANINGS: dict[str, dict[str, np.ndarray]] = {
    "COCO17": {},
    "BODY25": {"neck": _SHOULDERS, "pelvis": _HIPS},
    "OPENPOSE18": {"neck": _SHOULDERS},
    "HALPE26": {"neck": _SHOULDERS, "pelvis": _HIPS},
    "MPII16": {"pelvis": _HIPS, "thorax": BODY["thorax"], "upper_neck": BODY["skull"]},
    **{name: {"neck": BODY["thorax"]} for name in ("LSP14", "CROWDPOSE14", "AIC14")},
    "MEDIAPIPE33": {},
    "SMPL22": {
        "pelvis": np.add(_HIPS, (0, 60, -20)), "spine1": BODY["spine"] - [0, 90, 0], "spine2": BODY["spine"],
        "spine3": BODY["chest"] - [0, 90, 0], "neck": BODY["thorax"], "head": BODY["skull"],
    },
}  # fmt: skip


def joints_of(skeleton: Skeleton) -> np.ndarray:
    """The person in the joints of a source, (joints, 3); joints that no mapping to H36M17 uses are anywhere."""
    meanings = _MEANINGS[skeleton.name]
    return np.array([meanings.get(joint, BODY.get(joint, np.full(3, 9e3))) for joint in skeleton.joints])


SKELETONS = (COCO17, BODY25, OPENPOSE18, HALPE26, MPII16, LSP14, CROWDPOSE14, AIC14, MEDIAPIPE33, SMPL22)

_ENDS: dict[str, np.ndarray] = {
    "lhipjoint": BODY["left_hip"], "lfemur": BODY["left_knee"], "ltibia": BODY["left_ankle"], "lfoot": BODY["left_toe"],
    "rhipjoint": BODY["right_hip"], "rfemur": BODY["right_knee"], "rtibia": BODY["right_ankle"], "rfoot": BODY["right_toe"],
    "lowerback": BODY["spine"], "upperback": (BODY["spine"] + BODY["chest"]) / 2, "thorax": BODY["chest"],
    "lowerneck": BODY["neck"], "upperneck": BODY["skull"], "head": BODY["skull"] + [0, SKULL, 0],
    "lclavicle": BODY["left_shoulder"], "lhumerus": BODY["left_elbow"],
    "lradius": (BODY["left_elbow"] + 2 * BODY["left_wrist"]) / 3, "lwrist": BODY["left_wrist"],
    "rclavicle": BODY["right_shoulder"], "rhumerus": BODY["right_elbow"],
    "rradius": (BODY["right_elbow"] + 2 * BODY["right_wrist"]) / 3, "rwrist": BODY["right_wrist"],
}  # fmt: skip


def acclaim_bones() -> dict[str, tuple[str, tuple[float, ...], float, tuple[float, float, float], str]]:
    """`acclaim_files.BONES` of a skeleton whose rest pose is this pose, but for the head, which looks ahead."""
    bones = {}
    for name, (parent, _, _, _, freedom) in BONES.items():
        start = BODY["pelvis"] if parent == "root" else _ENDS[parent]
        vector = _ENDS[name] - start
        length = float(np.linalg.norm(vector))
        bones[name] = (
            parent,
            tuple((vector / length).tolist()),
            length / (25.4 / LENGTH_UNIT),
            (0.0, 0.0, 0.0),
            freedom,
        )
    return bones


def acclaim_values() -> dict[str, np.ndarray]:
    """One frame for `acclaim_files.amc_text`: nothing rotates but the head (about its z, then y, then x axis reversed)."""
    values = {"root": np.array([[*(BODY["pelvis"] / (25.4 / LENGTH_UNIT)), 0, 0, 0]])}
    for name, (*_, freedom) in BONES.items():
        if freedom:
            values[name] = np.zeros((1, len(freedom.split())))
    # ASF's axis order XYZ rotates about the fixed x axis first, then y, then z.
    values["head"] = np.array([HEAD.as_euler("xyz", degrees=True)])
    return values


_RIG: dict[str, tuple[str | None, str]] = {
    "Hips": (None, "pelvis"),
    "Spine1": ("Hips", "spine"), "Neck": ("Spine1", "thorax"), "Head": ("Neck", "skull"),
    "LeftUpLeg": ("Hips", "left_hip"), "LeftLeg": ("LeftUpLeg", "left_knee"), "LeftFoot": ("LeftLeg", "left_ankle"),
    "RightUpLeg": ("Hips", "right_hip"), "RightLeg": ("RightUpLeg", "right_knee"), "RightFoot": ("RightLeg", "right_ankle"),
    "LeftArm": ("Neck", "left_shoulder"), "LeftForeArm": ("LeftArm", "left_elbow"), "LeftHand": ("LeftForeArm", "left_wrist"),
    "RightArm": ("Neck", "right_shoulder"), "RightForeArm": ("RightArm", "right_elbow"), "RightHand": ("RightForeArm", "right_wrist"),
}  # fmt: skip


def bvh_text() -> str:
    """A BVH file in Mixamo's names: every joint is put at its place by position channels, only the head rotates."""

    def joint(name: str, indent: str) -> list[str]:
        parent, place = _RIG[name]
        offset = BODY[place] - (BODY[_RIG[parent][1]] if parent else BODY[place])
        lines = [f"{indent}{'JOINT' if parent else 'ROOT'} mixamorig:{name}", indent + "{"]
        lines.append(f"{indent} OFFSET {' '.join(map(str, offset / 10))}")
        lines.append(f"{indent} CHANNELS 6 Xposition Yposition Zposition Yrotation Xrotation Zrotation")
        x, y, z = BODY[place] / 10 if parent is None else offset / 10
        numbers.extend([x, y, z, *((YAW, PITCH, 0.0) if name == "Head" else (0.0, 0.0, 0.0))])
        children = [child for child, (above, _) in _RIG.items() if above == name]
        for child in children:
            lines += joint(child, indent + " ")
        if not children:
            end = SKULL / 10 if name == "Head" else 5
            lines += [indent + " End Site", indent + " {", f"{indent}  OFFSET 0 {end} 0", indent + " }"]
        return [*lines, indent + "}"]

    numbers: list[float] = []
    hierarchy = joint("Hips", "")
    frame = " ".join(f"{number:.6f}" for number in numbers)
    return "\n".join(["HIERARCHY", *hierarchy, "MOTION", "Frames: 1", "Frame Time: 0.01", frame, ""])
