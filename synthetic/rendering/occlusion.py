"""Which joints of a rendered person can be seen, from the depth of what is drawn.

Visibility of a joint (0 never occurs here):

* 2, visible: it lies inside the image and the first surface on the ray through it is no nearer to the camera, in
  depth, than the joint by more than `SURFACE_SHARE` times the local limb radius (`LIMB_RADII`, times the person's
  girth) plus `SURFACE_SLACK` mm: what is seen there is the skin or cloth over the joint itself;
* 1, hidden: by another part of the body, by an object or by another person, or it lies outside the image (its
  coordinates are true all the same).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float32, UInt8

from evolift.posedata.joint_mapping import HIDDEN, VISIBLE
from evolift.posedata.skeleton import H36M17
from evolift.synthetic.rendering.body_build import Build
from evolift.synthetic.rendering.renderer import SUPERSAMPLING
from evolift.synthetic.rendering.scene import NEAREST

LIMB_RADII: dict[str, float] = {
    "pelvis": 135.0,
    "hip": 105.0,
    "knee": 58.0,
    "ankle": 55.0,
    "spine": 125.0,
    "thorax": 95.0,
    "nose": 105.0,
    "head": 90.0,
    "shoulder": 62.0,
    "elbow": 42.0,
    "wrist": 35.0,
}
"""Radius in mm of the body around each joint, for a build of 1."""
SURFACE_SHARE, SURFACE_SLACK = 1.25, 15.0


def limb_radii(build: Build) -> Float[np.ndarray, "17"]:
    """Radius of the body around each joint, mm."""
    girth = {
        "pelvis": build.hips,
        "spine": build.belly,
        "thorax": build.chest,
        "nose": build.head,
        "head": build.head,
    }
    names = [name.removeprefix("left_").removeprefix("right_") for name in H36M17.joints]
    return np.array([LIMB_RADII[name] * girth.get(name, build.limbs) for name in names])


def visibility_of(
    joints: Float[np.ndarray, "17 3"],
    pixels: Float[np.ndarray, "17 2"],
    depth: Float32[np.ndarray, "fine fine"],
    build: Build,
) -> UInt8[np.ndarray, "17"]:
    """Occlusion flags by the rule above.

    Args:
        joints: camera frame, mm.
        pixels: where they are in the image.
        depth: first surface behind each pixel, `SUPERSAMPLING` times finer than the image.
        build: of the person.
    """
    fine = np.rint(pixels * SUPERSAMPLING + (SUPERSAMPLING - 1) / 2).astype(int)
    limit = depth.shape[0] - 1
    inside = ((fine >= 0) & (fine <= limit)).all(-1) & (joints[:, 2] > NEAREST)
    column, row = np.clip(fine, 0, limit).T
    covered_by = joints[:, 2] - depth[row, column]
    seen = inside & (covered_by <= SURFACE_SHARE * limb_radii(build) + SURFACE_SLACK)
    return np.where(seen, VISIBLE, HIDDEN).astype(np.uint8)
