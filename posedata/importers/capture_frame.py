"""Unit of length, upward axis and handedness of a motion capture, told from the poses themselves.

Files such as BVH state none of the three. Each is found only where the evidence is clear; otherwise the answer is
None and the user has to say it.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Float

from evolift.posedata.skeleton import H36M17

Axis = Literal["x", "y", "z", "-x", "-y", "-z"]
AXES: tuple[Axis, ...] = ("x", "y", "z", "-x", "-y", "-z")

MILLIMETRES: dict[str, float] = {"m": 1000.0, "cm": 10.0, "mm": 1.0, "inch": 25.4, "cmu": 25.4 / 0.45}
"""Units that files come in; "cmu" is that of the CMU data base, 1/0.45 inch."""

# From a child of ten to a tall adult. Less than the ratio of any two units, so that at most one unit fits.
_LEG_LENGTHS = (600.0, 1050.0)
_CLEARLY_UP = 0.8
_CLEARLY_BENT = 0.01
_ABSURD = 10.0


def detect_unit(joints: Float[np.ndarray, "frames 17 3"]) -> str | None:
    """The unit in which legs (hip to knee to ankle) are as long as a person's, None if there is none.

    Args:
        joints: H36M17 in the file's unit.
    """
    length = _leg_length(joints)
    fitting = [
        name
        for name, millimetres in MILLIMETRES.items()
        if _LEG_LENGTHS[0] <= length * millimetres <= _LEG_LENGTHS[1]
    ]
    return fitting[0] if len(fitting) == 1 else None


def detect_up(joints: Float[np.ndarray, "frames 17 3"]) -> Axis | None:
    """The axis along which people mostly stand, "-y" for y down as in a camera's frame; None if they do not stand.

    People who stand on their hands are not taken for axes that point down: their hands are beyond their shoulders.

    Args:
        joints: H36M17 in the file's axes.
    """
    ankles = (_joint(joints, "left_ankle") + _joint(joints, "right_ankle")) / 2
    thorax = _joint(joints, "thorax")
    direction = _unit(thorax - ankles).mean(0)
    axis = int(np.abs(direction).argmax())
    if abs(direction[axis]) <= _CLEARLY_UP:
        return None
    if direction[axis] > 0:
        return AXES[axis]
    hands = (_joint(joints, "left_wrist") + _joint(joints, "right_wrist")) / 2
    are_hands_low = (hands - thorax)[:, axis].mean() > 0
    return AXES[axis + 3] if are_hands_low else None


def detect_mirrored(joints: Float[np.ndarray, "frames 17 3"]) -> bool | None:
    """Whether left and right are swapped: knees bend forward and elbows backward only if they are not.

    Args:
        joints: H36M17, any unit, right-handed axes.

    Returns:
        None if limbs are too straight to tell.
    """
    across = _joint(joints, "left_hip") - _joint(joints, "right_hip")
    forward = _unit(np.cross(across, _joint(joints, "thorax") - _joint(joints, "pelvis")))
    bend = np.zeros(len(joints))
    for side in ("left", "right"):
        knee = _bend(joints, f"{side}_hip", f"{side}_knee", f"{side}_ankle")
        elbow = _bend(joints, f"{side}_shoulder", f"{side}_elbow", f"{side}_wrist")
        bend += ((knee - elbow) * forward).sum(-1)
    length = _leg_length(joints)
    if not length > 0:
        return None
    evidence = float(bend.mean()) / length
    return None if abs(evidence) < _CLEARLY_BENT else evidence < 0


def sensible(joints: Float[np.ndarray, "frames 17 3"]) -> Float[np.ndarray, "kept 17 3"]:
    """The frames without those in which a body is of another size than in most: absurd numbers must not tell axes and sides.

    Args:
        joints: H36M17, any unit; the nose may be NaN.
    """
    known = joints[:, [joint for joint in range(len(H36M17)) if joint != H36M17.index("nose")]]
    size = (known.max(1) - known.min(1)).max(-1)
    kept: np.ndarray = joints[size <= _ABSURD * np.median(size)]
    return kept


def to_world(
    joints: Float[np.ndarray, "*batch 3"], millimetres: float, up: Axis, mirrored: bool
) -> Float[np.ndarray, "*batch 3"]:
    """Points of a file in millimetres, z up, with left and right as they are in people.

    y up becomes (x, -z, y), x up (y, z, x), y down (x, z, -y); a mirrored file has its first axis reversed.
    """
    x, y, z = (joints[..., axis] for axis in range(3))
    rotated = {
        "z": (x, y, z), "y": (x, -z, y), "x": (y, z, x), "-z": (x, -y, -z), "-y": (x, z, -y), "-x": (-y, z, -x),
    }[up]  # fmt: skip
    sign = -1.0 if mirrored else 1.0
    return millimetres * np.stack([sign * rotated[0], rotated[1], rotated[2]], -1)


def _joint(joints: np.ndarray, name: str) -> np.ndarray:
    taken: np.ndarray = joints[:, H36M17.index(name)]
    return taken


def _bend(joints: np.ndarray, first: str, middle: str, last: str) -> np.ndarray:
    bend: np.ndarray = _joint(joints, middle) - (_joint(joints, first) + _joint(joints, last)) / 2
    return bend


def _unit(vectors: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    unit: np.ndarray = vectors / np.where(length == 0, 1.0, length)
    return unit


def _leg_length(joints: np.ndarray) -> float:
    lengths = [
        np.linalg.norm(_joint(joints, a) - _joint(joints, b), axis=-1)
        for side in ("left", "right")
        for a, b in ((f"{side}_hip", f"{side}_knee"), (f"{side}_knee", f"{side}_ankle"))
    ]
    return float(np.median(sum(lengths))) / 2
