"""Joint angles of a human body and the joints (H36M17) that they put where: forward kinematics.

Body frame: x forward, y to the left, z up. Every angle is 0 in the upright standing pose with hanging arms, and
has the sign of its name: flexion brings the segment forward (a knee: backward), abduction takes it away from the
body's middle, rotation is inward (medial). Left and right therefore share their signs; angles of the middle of the
body count to the left. Radians.

A thigh or upper arm is rotated, in this order, about its own axis (rotation), away from the middle (abduction) and
forward about the body's transverse axis (flexion): flexion 90 with an abduction sweeps the horizontal plane.

References:
    Ranges of motion: American Academy of Orthopaedic Surgeons (1965), Joint Motion; Boone & Azen (1979), J. Bone
    Joint Surg. 61-A. Clavicle share of arm elevation: Inman, Saunders & Abbott (1944).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from evolift.posedata.nose import nose_of_head
from evolift.posedata.skeleton import H36M17
from evolift.synthetic.acting.bodies import Body

Angles = Mapping[str, Float[np.ndarray, "frames"]]

_MIDDLE_RANGES: dict[str, tuple[int, int]] = {
    "pelvis_pitch": (-9999, 9999),
    "pelvis_roll": (-9999, 9999),
    "pelvis_yaw": (-9999, 9999),
    "spine_flexion": (-22, 65),
    "spine_bend": (-30, 30),
    "spine_twist": (-40, 40),
    "neck_flexion": (-45, 42),
    "neck_bend": (-35, 35),
    "neck_twist": (-65, 65),
    "head_nod": (-18, 18),
}
_SIDE_RANGES: dict[str, tuple[int, int]] = {
    "clavicle_elevation": (-6, 35),
    "clavicle_protraction": (-15, 22),
    "shoulder_flexion": (-50, 172),
    "shoulder_abduction": (-35, 172),
    "shoulder_rotation": (-88, 70),
    "elbow_flexion": (3, 145),
    "hip_flexion": (-22, 122),
    "hip_abduction": (-18, 45),
    "hip_rotation": (-42, 38),
    "knee_flexion": (2, 140),
}
SIDES = ("left", "right")

RANGES_OF_MOTION: dict[str, tuple[int, int]] = _MIDDLE_RANGES | {
    f"{side}_{name}": limits for side in SIDES for name, limits in _SIDE_RANGES.items()
}
"""Least and greatest degrees of each angle of the actors. Pelvis angles, of the body in the
world, may turn over and over."""

MIRRORED_SIGN = ("pelvis_roll", "pelvis_yaw", "spine_bend", "spine_twist", "neck_bend", "neck_twist")
"""Angles that change their sign in a mirror."""

# The standing rest pose, after the means of motion-captured adults: the hip joints lie ahead of the lumbar spine, which
# leans back above them, and the chest leans forward again; the shoulders lie a little behind and above their middle.
_LUMBAR_REST, _CHEST_REST, _NECK_REST, _SKULL_REST = (
    np.radians(degrees) for degrees in (-15.0, 7.0, 5.0, 3.0)
)
_SHOULDER_REST = {"left": (-0.10, 0.99, 0.05), "right": (-0.10, -0.99, 0.05)}
_LUMBAR_SHARE = 0.4


def mirror_angles(angles: Angles) -> dict[str, Float[np.ndarray, "frames"]]:
    """Joint angles of the mirror image of a pose: sides swapped, lateral angles negated."""
    swapped = {_other_side(name): value for name, value in angles.items()}
    return {name: -value if name in MIRRORED_SIGN else value for name, value in swapped.items()}


def _other_side(name: str) -> str:
    if name.startswith("left_"):
        return "right_" + name.removeprefix("left_")
    if name.startswith("right_"):
        return "left_" + name.removeprefix("right_")
    return name


def forward_kinematics(angles: Angles, body: Body) -> Float[np.ndarray, "frames 17 3"]:
    """Joints of a body whose pelvis stays at the origin, mm, z up.

    Args:
        angles: radians by name of `RANGES_OF_MOTION`; all of them, equally long. Limits are not applied.
        body: whose bones they move.
    """
    pelvis = _rotated(angles["pelvis_yaw"], angles["pelvis_pitch"], angles["pelvis_roll"])
    trunk = [angles[f"spine_{name}"] for name in ("twist", "flexion", "bend")]
    lumbar = pelvis @ _rotated(*(_LUMBAR_SHARE * angle for angle in trunk)) @ _leaning(_LUMBAR_REST)
    # Arms hang from an upright chest: only the bones of the trunk have the rest pose's leans.
    chest = pelvis @ _rotated(*trunk)
    neck = chest @ _rotated(angles["neck_twist"], angles["neck_flexion"], angles["neck_bend"])
    skull = neck @ rotated_about("Y", angles["head_nod"] + _SKULL_REST)

    joints = np.zeros((len(pelvis), len(H36M17), 3))
    _extend(joints, "spine", lumbar, (0, 0, body.length("spine")))
    _extend(joints, "thorax", chest @ _leaning(_CHEST_REST), (0, 0, body.length("thorax")))
    thorax = joints[:, H36M17.index("thorax")]
    base = thorax + (neck @ _leaning(_NECK_REST)) @ np.array((0, 0, body.neck))
    top = base + skull @ np.array((0, 0, body.skull))
    joints[:, H36M17.index("head")] = top
    joints[:, H36M17.index("nose")] = nose_of_head(thorax, base, top, skull[..., 1], skull[..., 2])
    for side in SIDES:
        _add_leg(joints, angles, body, pelvis, side)
        _add_arm(joints, angles, body, chest, side)
    return joints


def _rotated(
    to_left: Float[np.ndarray, "frames"],
    forward: Float[np.ndarray, "frames"],
    bend: Float[np.ndarray, "frames"],
) -> Float[np.ndarray, "frames 3 3"]:
    return rotated_about("ZYX", to_left, forward, -bend)


def rotated_about(axes: str, *angles: Float[np.ndarray, "frames"]) -> Float[np.ndarray, "frames 3 3"]:
    """Rotations of a part about its own axes ("Z", "YX", ...), one angle per axis, radians; the last axis is applied first."""
    matrices: np.ndarray = Rotation.from_euler(axes, np.stack(angles, -1)).as_matrix()
    return matrices


def _leaning(angle: float) -> Float[np.ndarray, "3 3"]:
    matrix: np.ndarray = Rotation.from_euler("Y", angle).as_matrix()
    return matrix


def _extend(
    joints: Float[np.ndarray, "frames 17 3"],
    joint: str,
    rotation: Float[np.ndarray, "frames 3 3"],
    offset: tuple[float | int, float | int, float | int],
) -> None:
    index = H36M17.index(joint)
    joints[:, index] = joints[:, H36M17.parent_indices[index]] + rotation @ np.array(offset)


def _ball(angles: Angles, joint: str, side: str) -> Float[np.ndarray, "frames 3 3"]:
    outward = 1 if side == "left" else -1
    flexion, abduction, rotation = (
        angles[f"{side}_{joint}_{name}"] for name in ("flexion", "abduction", "rotation")
    )
    return rotated_about("YXZ", -flexion, outward * abduction, -outward * rotation)


def _add_leg(
    joints: Float[np.ndarray, "frames 17 3"],
    angles: Angles,
    body: Body,
    pelvis: Float[np.ndarray, "frames 3 3"],
    side: str,
) -> None:
    outward = 1 if side == "left" else -1
    thigh = pelvis @ _ball(angles, "hip", side)
    shank = thigh @ rotated_about("Y", angles[f"{side}_knee_flexion"])
    _extend(joints, f"{side}_hip", pelvis, (0, outward * body.length("hip"), 0))
    _extend(joints, f"{side}_knee", thigh, (0, 0, -body.length("knee")))
    _extend(joints, f"{side}_ankle", shank, (0, 0, -body.length("ankle")))


def _add_arm(
    joints: Float[np.ndarray, "frames 17 3"],
    angles: Angles,
    body: Body,
    chest: Float[np.ndarray, "frames 3 3"],
    side: str,
) -> None:
    outward = 1 if side == "left" else -1
    clavicle = chest @ rotated_about(
        "ZX",
        -outward * angles[f"{side}_clavicle_protraction"],
        outward * angles[f"{side}_clavicle_elevation"],
    )
    rest = np.array(_SHOULDER_REST[side])
    x, y, z = (body.length("shoulder") * rest / np.linalg.norm(rest)).tolist()
    upper_arm = chest @ _ball(angles, "shoulder", side)
    forearm = upper_arm @ rotated_about("Y", -angles[f"{side}_elbow_flexion"])
    _extend(joints, f"{side}_shoulder", clavicle, (x, y, z))
    _extend(joints, f"{side}_elbow", upper_arm, (0, 0, -body.length("elbow")))
    _extend(joints, f"{side}_wrist", forearm, (0, 0, -body.length("wrist")))
