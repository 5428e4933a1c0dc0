"""Where Human3.6M's "Neck/Nose", joint 9 of H36M17, lies in a head whose orientation is known.

Motion capture such as ASF/AMC and BVH has no such joint, but the frame of the head, which carries it. Measured on
Human3.6M's five training subjects: the bone from joint 9 to the top of the head has the same length in all poses, 115 mm,
while the line from thorax to head is 175 mm long in the mean and 181 by the medians of its two bones' angles; in the median
that bone is pitched back by 32 degrees from the trunk's axis (thorax minus spine) and that line forward by 6. The head's own
axis leans forward by 2 degrees more than that line in the CMU data base, so the bone is pitched back from it by 32 + 6 + 2 = 40
degrees. Lengths are taken in proportion to neck and head, because data sets put their thorax joint at different heights (CMU's
is 240 mm below the top of the head): the triangle of thorax, nose and head then has Human3.6M's angles.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from evolift.posedata.skeleton import H36M17

PITCH_BACK = 40.0
"""Degrees from the head's axis to the bone from joint 9 to the top of the head, backward."""
LENGTH = 115 / 178
"""Length of that bone, of the length of neck and head."""

MIN_BEND = 30.0
"""Degrees; see `is_nose`."""
SKULL_SHARE = 98 / 240
"""Base of the skull to the top, of neck and head (means of the CMU data base)."""


def nose_of_head(
    thorax: Float[np.ndarray, "*batch 3"],
    skull: Float[np.ndarray, "*batch 3"],
    top: Float[np.ndarray, "*batch 3"],
    left: Float[np.ndarray, "*batch 3"],
    up: Float[np.ndarray, "*batch 3"],
) -> Float[np.ndarray, "*batch 3"]:
    """Place of joint 9, in any unit and right-handed axes.

    Args:
        thorax: joint 8 of H36M17.
        skull: base of the skull, where the head's bone begins.
        top: of the head, joint 10.
        left, up: the head's axes to the person's left and to the top, unit vectors; in the anatomical position the face looks
            straight ahead along their cross product.
    """
    length = np.linalg.norm(skull - thorax, axis=-1) + np.linalg.norm(top - skull, axis=-1)
    angle = math.radians(PITCH_BACK)
    offset = math.sin(angle) * np.cross(left, up) - math.cos(angle) * up
    place: np.ndarray = top + LENGTH * length[..., None] * offset
    return place


def head_of_nose(
    thorax: Float[np.ndarray, "*batch 3"],
    nose: Float[np.ndarray, "*batch 3"],
    top: Float[np.ndarray, "*batch 3"],
) -> tuple[Float[np.ndarray, "*batch 3"], Float[np.ndarray, "*batch 3"], Float[np.ndarray, "*batch 3"]]:
    """Base of the skull, and the head's axes to the left and up: `nose_of_head` the other way round.

    The base is put `SKULL_SHARE` of neck and head below the top, along the head's axis.

    Args:
        thorax, nose, top: joints 8, 9 and 10 of H36M17, not on one line.
    """
    bone = top - nose
    length = np.linalg.norm(bone, axis=-1, keepdims=True)
    bone = bone / length
    left = np.cross(top - thorax, nose - thorax)
    left = left / np.linalg.norm(left, axis=-1, keepdims=True)
    angle = math.radians(PITCH_BACK)
    up = math.cos(angle) * bone + math.sin(angle) * np.cross(left, bone)
    return top - SKULL_SHARE / LENGTH * length * up, left, up


def is_nose(joints: Float[np.ndarray, "frames 17 3"]) -> bool:
    """Whether joint 9 of poses in Human3.6M's layout lies in front of the neck as Human3.6M's does, or on the neck.

    Told by the angle at joint 9 between the bones from the thorax and to the head: 76 degrees in Human3.6M's median, under
    20 where joint 9 is a neck or the base of the skull. Poses whose joint 9 lies on the thorax or the head tell of no nose.
    """
    thorax, nose, head = (joints[:, H36M17.index(name)] for name in ("thorax", "nose", "head"))
    with np.errstate(invalid="ignore"):
        bones = [bone / np.linalg.norm(bone, axis=-1, keepdims=True) for bone in (nose - thorax, head - nose)]
    bend = np.degrees(np.arccos(np.clip((bones[0] * bones[1]).sum(-1), -1, 1)))
    return bool(np.median(bend) > MIN_BEND)
