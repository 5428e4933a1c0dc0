"""The surface of the trunk of a rendered person and what hangs on it, world mm, z up."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from evolift.posedata.skeleton import H36M17
from evolift.synthetic.rendering.body_build import PELVIS, SPINE, THORAX, BodyFrame, Build
from evolift.synthetic.rendering.surface_grid import Part, cross, profile, square_to, tube, unit

_TRUNK_PLACES = np.linspace(-0.34, 2.45, 30)
# fmt: off
_TRUNK_WIDTH = (
    (-0.34, 30), (-0.27, 104), (-0.12, 150), (0, 162), (0.35, 152), (0.75, 133), (1.0, 130), (1.35, 147), (1.65, 160),
    (1.85, 157), (1.98, 138), (2.08, 102), (2.18, 64), (2.45, 53),
)
_TRUNK_DEPTH = (
    (-0.34, 30), (-0.27, 84), (-0.12, 112), (0, 117), (0.35, 108), (0.75, 97), (1.0, 98), (1.35, 109), (1.65, 113),
    (1.85, 101), (1.98, 86), (2.08, 70), (2.18, 59), (2.45, 55),
)
# fmt: on
_SKIRT_RINGS = 10


def trunk(joints: Float[np.ndarray, "17 3"], frame: BodyFrame, build: Build) -> Part:
    """From the crotch (-0.34) over pelvis (0), spine (1) and thorax (2) into the neck (2.45)."""
    places = _TRUNK_PLACES
    stops = np.stack(
        [
            joints[PELVIS] + (joints[PELVIS] - joints[SPINE]),
            joints[PELVIS],
            joints[SPINE],
            joints[THORAX],
            frame.skull,
        ]
    )
    centres = np.stack([np.interp(places, [-1, 0, 1, 2, 3], stops[:, axis]) for axis in range(3)], -1)
    share = np.clip(places / 1.8, 0, 1)[:, None]
    lateral = (1 - share) * frame.left_hips + share * frame.left_chest
    lateral /= np.linalg.norm(lateral, axis=-1, keepdims=True) + 1e-9
    up = (1 - share) * frame.up_hips + share * frame.up_chest
    front = cross(lateral, up)
    front /= np.linalg.norm(front, axis=-1, keepdims=True) + 1e-9
    size = np.linalg.norm(joints[THORAX] - joints[PELVIS]) / 500
    girth = profile(
        places,
        [(0, build.hips), (0.8, build.belly), (1.5, build.chest), (2.0, 0.5 + 0.5 * build.chest), (2.2, 1.0)],
    )
    half_hips = (
        float(np.linalg.norm(joints[H36M17.index("left_hip")] - joints[H36M17.index("right_hip")])) / 2
    )
    half_shoulders = (
        float(np.linalg.norm(joints[H36M17.index("left_shoulder")] - joints[H36M17.index("right_shoulder")]))
        / 2
    )
    wide = profile(places, [(0, half_hips / 87), (0.7, 1), (1.7, half_shoulders / 185), (2.2, 1)])
    widths = profile(places, _TRUNK_WIDTH) * girth * (0.5 + 0.5 * wide) * size**0.5
    depths = profile(places, _TRUNK_DEPTH) * girth**1.25 * size**0.5
    # The chest lies ahead of the line through the joints, the seat behind it.
    centres = (
        centres + front * profile(places, [(-0.3, -12), (0.2, -8), (1.0, 8), (1.6, 14), (2.1, 0)])[:, None]
    )
    return tube(centres, lateral, front, widths, depths, places, 24, winds_inward=True)


def shoulder_cap(joints: Float[np.ndarray, "17 3"], frame: BodyFrame, build: Build, side: str) -> Part:
    """The muscle from the neck to the top of the arm."""
    shoulder = joints[H36M17.index(f"{side}_shoulder")]
    start = joints[THORAX] + 0.25 * (frame.skull - joints[THORAX])
    below = joints[THORAX] - 45 * frame.up_chest
    places = np.linspace(0, 1, 9)
    inner = (1 - places)[:, None] ** 2 * start + (2 * places * (1 - places))[:, None] * (
        (below + shoulder) / 2
    )
    centres = inner + places[:, None] ** 2 * (shoulder - 4 * frame.up_chest)
    tangent = unit(shoulder - start)
    front = square_to(frame.front_chest, tangent, frame.up_chest)
    other = cross(front, tangent)
    count = np.ones((9, 1))
    radii = profile(places, [(0, 48), (0.5, 58), (0.85, 56), (1, 46)]) * build.shoulders
    return tube(centres, other * count, front * count, radii, radii, places, 14)


def skirt(joints: Float[np.ndarray, "17 3"], frame: BodyFrame, build: Build) -> Part:
    """From the hips (0) down around both legs to `build.skirt` (1 at the knees); hidden in the hips when that is 0."""
    worn = build.skirt > 0
    places = np.linspace(0, 1, _SKIRT_RINGS)
    down_to = build.skirt if worn else 0.1
    legs = np.stack([_on_leg(joints, side, places * down_to) for side in ("left", "right")])
    middle, apart = legs.mean(0), np.abs(legs[0] - legs[1]) if worn else np.zeros((_SKIRT_RINGS, 3))
    difference = legs[0] - legs[1] if worn else apart
    top = joints[PELVIS] + 60 * frame.up_hips
    tangents = np.gradient(middle, axis=0) if worn else np.tile(-frame.up_hips, (_SKIRT_RINGS, 1))
    tangents = tangents / (np.linalg.norm(tangents, axis=-1, keepdims=True) + 1e-9)
    lateral = frame.left_hips - (tangents @ frame.left_hips)[:, None] * tangents
    lateral /= np.linalg.norm(lateral, axis=-1, keepdims=True) + 1e-9
    front = cross(tangents, lateral)
    room = (
        profile(places, [(0, 0), (0.25, 74), (1, 74 + 60 * build.skirt_flare)]) * build.limbs + build.trouser
    )
    hips_width, hips_depth = 150 * build.hips, 116 * build.hips**1.25
    keep = np.clip(1 - 4 * places, 0, 1)
    shown = 1.0 if worn else 0.4
    widths = keep * hips_width + (1 - keep) * np.maximum(
        np.abs((difference * lateral).sum(-1)) / 2 + room, 60
    )
    depths = keep * hips_depth + (1 - keep) * (np.abs((difference * front).sum(-1)) / 2 + room)
    centres = (
        (1 - places[:, None]) ** 4 * (top - middle[0]) + middle
        if worn
        else top + 10.0 * tangents * places[:, None]
    )
    return tube(centres, lateral, front, widths * shown, depths * shown, places, 22)


def _on_leg(
    joints: Float[np.ndarray, "17 3"], side: str, places: Float[np.ndarray, "rings"]
) -> Float[np.ndarray, "rings 3"]:
    stops = joints[[H36M17.index(f"{side}_{name}") for name in ("hip", "knee", "ankle")]]
    return np.stack([np.interp(places, [0, 1, 2], stops[:, axis]) for axis in range(3)], -1)
