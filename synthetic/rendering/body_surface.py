"""The skin of a rendered person: the surfaces of all parts around the joints (H36M17) of one pose, world mm, z up."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from evolift.posedata.skeleton import H36M17
from evolift.synthetic.rendering.body_build import BodyFrame, Build
from evolift.synthetic.rendering.head_surface import hair, head
from evolift.synthetic.rendering.limb_surface import ARM_RADII, LEG_RADII, foot, hand, hinge_axis, limb
from evolift.synthetic.rendering.surface_grid import Part, unit
from evolift.synthetic.rendering.trunk_surface import shoulder_cap, skirt, trunk


def body_parts(joints: Float[np.ndarray, "17 3"], build: Build, floor: float) -> dict[str, Part]:
    """All parts of a person by name, always the same names in the same order with the same grids.

    Args:
        joints: world mm, z up.
        build: thickness of the parts.
        floor: height of the floor, mm.
    """
    joints = joints.astype(np.float64)
    frame = BodyFrame.of(joints)
    size = float(np.linalg.norm(joints[H36M17.index("left_knee")] - joints[H36M17.index("left_hip")])) / 412
    parts = {
        "trunk": trunk(joints, frame, build),
        "head": head(joints, frame, build),
        "hair": hair(joints, frame, build),
        "skirt": skirt(joints, frame, build),
    }
    for side in ("left", "right"):
        hip, knee, ankle, shoulder, elbow, wrist = (
            joints[H36M17.index(f"{side}_{name}")]
            for name in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")
        )
        knee_axis = hinge_axis(knee - hip, ankle - knee, frame.left_hips, 1.0)
        elbow_axis = hinge_axis(elbow - shoulder, wrist - elbow, frame.left_chest, -1.0)
        parts[f"{side}_leg"] = limb(
            np.stack([hip, knee, ankle]), knee_axis, LEG_RADII, build.limbs * size**0.5, 16
        )
        parts[f"{side}_arm"] = limb(
            np.stack([shoulder, elbow, wrist]), elbow_axis, ARM_RADII, build.limbs * size**0.5, 14
        )
        parts[f"{side}_shoulder"] = shoulder_cap(joints, frame, build, side)
        palm, thumb = hand(wrist, unit(wrist - elbow), elbow_axis, wrist[2] - floor, size)
        parts[f"{side}_hand"], parts[f"{side}_thumb"] = palm, thumb
        parts[f"{side}_foot"] = foot(ankle, unit(ankle - knee), knee_axis, ankle[2] - floor, size)
    return parts
