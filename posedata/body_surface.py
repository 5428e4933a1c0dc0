"""The skin of a rendered person: a closed-looking surface of swept tubes around the joints of one pose.

Every part (trunk, legs, arms, hands, feet, neck, head, hair) is a grid of rings: a path of centres, each with an
elliptic cross-section. The grid of a part never changes its size, so the triangles of a person are the same for all
poses and only points, normals and colours are new in every picture. World frame, mm, z up, joints of H36M17.

The joints say nothing of where the face looks or the feet point; these are chosen as people hold them: the face
ahead of the chest (plus a turn), the feet along the knees' hinge plane and flat when they are near the floor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float, Int

from posedata.skeleton import H36M17

Point = Float[np.ndarray, "3"]
PELVIS, SPINE, THORAX, NECK, HEAD = (
    H36M17.index(name) for name in ("pelvis", "spine", "thorax", "neck", "head")
)


@dataclass(frozen=True)
class Build:
    """Thickness of a person's parts, relative to the mean; 1 everywhere is a slim adult.

    Args:
        limbs: girth of arms and legs.
        belly, chest, hips: girth of the trunk at three heights.
        shoulders: thickness of the shoulders.
        head: size of the head.
        face_turn, face_nod: turn of the face to the left and up, radians.
        hair_length: 0 none beyond the scalp, 1 down to the shoulder blades.
        sleeve, trouser: how far the cloth stands off the skin, mm.
    """

    limbs: float = 1.0
    belly: float = 1.0
    chest: float = 1.0
    hips: float = 1.0
    shoulders: float = 1.0
    head: float = 1.0
    face_turn: float = 0.0
    face_nod: float = 0.0
    hair_length: float = 0.0
    sleeve: float = 6.0
    trouser: float = 8.0


@dataclass(frozen=True, eq=False)
class Part:
    """One tube of a person.

    Args:
        points: mm, rings first.
        along: of each ring, place on the part from 0 to 1 (2 for limbs of two bones: 1 at the knee or elbow).
        around: of each point in a ring, angle in radians; 0 is the body's left, pi/2 its front.
        winds_inward: whether left, front and the way along the part are a left-handed system.
    """

    points: Float[np.ndarray, "rings sides 3"]
    along: Float[np.ndarray, "rings"]
    around: Float[np.ndarray, "sides"]
    winds_inward: bool = False


def _unit(vector: Point) -> Point:
    length = float(np.sqrt(vector @ vector))
    return vector / max(length, 1e-9)


def _square_to(vector: Point, axis: Point, otherwise: Point) -> Point:
    """Unit vector of the share of `vector` that is perpendicular to the unit `axis`."""
    rest = vector - (vector @ axis) * axis
    if rest @ rest < 1e-6 * max(float(vector @ vector), 1e-9):
        rest = otherwise - (otherwise @ axis) * axis
    return _unit(rest)


def _tube(
    centres: Float[np.ndarray, "rings 3"],
    lateral: Float[np.ndarray, "rings 3"],
    front: Float[np.ndarray, "rings 3"],
    widths: Float[np.ndarray, "rings"],
    depths: Float[np.ndarray, "rings"],
    along: Float[np.ndarray, "rings"],
    sides: int,
    *,
    winds_inward: bool = False,
) -> Part:
    around = np.linspace(0, 2 * np.pi, sides + 1)
    points = (
        centres[:, None]
        + (widths[:, None] * np.cos(around))[..., None] * lateral[:, None]
        + (depths[:, None] * np.sin(around))[..., None] * front[:, None]
    )
    return Part(points, along, around, winds_inward)


def _profile(
    places: Float[np.ndarray, "rings"], keys: Sequence[tuple[float | int, float | int]]
) -> Float[np.ndarray, "rings"]:
    at, values = np.array(keys).T
    interpolated: np.ndarray = np.interp(places, at, values)
    return interpolated


_LIMB_PLACES = np.concatenate(
    [[-0.13, -0.12, -0.09, -0.04], np.linspace(0.03, 0.9, 12), [0.95, 1.0, 1.05], np.linspace(1.1, 2.0, 14)]
)
_LEG_RADII = [
    (-0.13, 1),
    (-0.12, 38),
    (-0.09, 66),
    (-0.04, 80),
    (0.03, 87),
    (0.25, 82),
    (0.6, 66),
    (0.9, 54),
    (1.0, 52),
    (1.1, 51),
    (1.3, 55),
    (1.6, 44),
    (1.85, 35),
    (2.0, 36),
]
_ARM_RADII = [
    (-0.13, 1),
    (-0.12, 26),
    (-0.09, 42),
    (-0.04, 50),
    (0.03, 53),
    (0.25, 48),
    (0.6, 42),
    (0.9, 37),
    (1.0, 36),
    (1.15, 38),
    (1.4, 36),
    (1.8, 27),
    (2.0, 25),
]


def _limb(
    joints: Float[np.ndarray, "3 3"],
    hinge: Point,
    radii: Sequence[tuple[float | int, float | int]],
    girth: float,
    sides: int,
) -> Part:
    """Tube through three joints whose corner is rounded; `hinge` is the axis (to the left) it bends about."""
    a, b, c = joints
    upper, lower = _unit(b - a), _unit(c - b)
    places = _LIMB_PLACES
    on_upper = a + places[:, None] * (b - a)
    on_lower = b + (places[:, None] - 1) * (c - b)
    # Tangents turn over a tenth of each bone around the middle joint.
    turn = np.clip((places - 0.88) / 0.24, 0, 1)
    turn = (turn * turn * (3 - 2 * turn))[:, None]
    centres = np.where(places[:, None] < 1, on_upper, on_lower)
    tangents = (1 - turn) * upper + turn * lower
    tangents /= np.linalg.norm(tangents, axis=-1, keepdims=True) + 1e-9
    lateral = hinge - (tangents @ hinge)[:, None] * tangents
    lateral /= np.linalg.norm(lateral, axis=-1, keepdims=True) + 1e-9
    front = _cross(tangents, lateral)
    widths = _profile(places, radii) * girth
    return _tube(centres, lateral, front, widths, widths, places, sides)


def _hinge(upper: Point, lower: Point, left: Point, sign: float) -> Point:
    """Axis to the body's left about which knee (sign 1) or elbow (sign -1) bend."""
    bent = sign * _cross(_unit(upper), _unit(lower))
    axis = bent + 0.12 * _square_to(left, _unit(upper), np.array([0.0, 0.0, 1.0]))
    return _unit(axis)


@dataclass(frozen=True, eq=False)
class BodyFrame:
    """Directions of a pose that the parts share: left, up and front of hips and chest, unit vectors."""

    left_hips: Point
    up_hips: Point
    front_hips: Point
    left_chest: Point
    up_chest: Point
    front_chest: Point

    @classmethod
    def of(cls, joints: Float[np.ndarray, "17 3"]) -> BodyFrame:
        """The frame of one pose."""
        hips = _unit(joints[H36M17.index("left_hip")] - joints[H36M17.index("right_hip")])
        shoulders = _unit(joints[H36M17.index("left_shoulder")] - joints[H36M17.index("right_shoulder")])
        up_hips = _square_to(joints[SPINE] - joints[PELVIS], hips, np.array([0.0, 0.0, 1.0]))
        up_chest = _square_to(joints[THORAX] - joints[SPINE], shoulders, up_hips)
        return cls(hips, up_hips, _cross(hips, up_hips), shoulders, up_chest, _cross(shoulders, up_chest))


_TRUNK_PLACES = np.linspace(-0.32, 2.45, 26)
_TRUNK_WIDTH = [
    (-0.32, 40),
    (-0.2, 120),
    (0, 158),
    (0.35, 150),
    (0.75, 132),
    (1.0, 129),
    (1.35, 146),
    (1.65, 158),
    (1.85, 150),
    (2.0, 120),
    (2.1, 84),
    (2.2, 60),
    (2.45, 52),
]
_TRUNK_DEPTH = [
    (-0.32, 40),
    (-0.2, 92),
    (0, 112),
    (0.35, 106),
    (0.75, 96),
    (1.0, 97),
    (1.35, 108),
    (1.65, 112),
    (1.85, 98),
    (2.0, 76),
    (2.1, 64),
    (2.2, 56),
    (2.45, 54),
]


def _trunk(joints: Float[np.ndarray, "17 3"], frame: BodyFrame, build: Build) -> Part:
    """From the crotch (-0.32) over pelvis (0), spine (1) and thorax (2) into the neck (2.45)."""
    places = _TRUNK_PLACES
    stops = np.stack(
        [
            joints[PELVIS] + (joints[PELVIS] - joints[SPINE]),
            joints[PELVIS],
            joints[SPINE],
            joints[THORAX],
            joints[NECK],
        ]
    )
    centres = np.stack([np.interp(places, [-1, 0, 1, 2, 3], stops[:, axis]) for axis in range(3)], -1)
    share = np.clip(places / 1.8, 0, 1)[:, None]
    lateral = (1 - share) * frame.left_hips + share * frame.left_chest
    lateral /= np.linalg.norm(lateral, axis=-1, keepdims=True) + 1e-9
    up = (1 - share) * frame.up_hips + share * frame.up_chest
    front = _cross(lateral, up)
    front /= np.linalg.norm(front, axis=-1, keepdims=True) + 1e-9
    size = np.linalg.norm(joints[THORAX] - joints[PELVIS]) / 500
    girth = _profile(
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
    wide = _profile(places, [(0, half_hips / 87), (0.7, 1), (1.7, half_shoulders / 185), (2.2, 1)])
    widths = _profile(places, _TRUNK_WIDTH) * girth * (0.5 + 0.5 * wide) * size**0.5
    depths = _profile(places, _TRUNK_DEPTH) * girth**1.25 * size**0.5
    # The chest lies ahead of the line through the joints, the seat behind it.
    centres = (
        centres + front * _profile(places, [(-0.3, -12), (0.2, -8), (1.0, 8), (1.6, 14), (2.1, 0)])[:, None]
    )
    return _tube(centres, lateral, front, widths, depths, places, 24, winds_inward=True)


def _shoulder_cap(joints: Float[np.ndarray, "17 3"], frame: BodyFrame, build: Build, side: str) -> Part:
    """The muscle from the neck to the top of the arm."""
    shoulder = joints[H36M17.index(f"{side}_shoulder")]
    start = joints[THORAX] + 0.25 * (joints[NECK] - joints[THORAX])
    below = joints[THORAX] - 45 * frame.up_chest
    places = np.linspace(0, 1, 9)
    inner = (1 - places)[:, None] ** 2 * start + (2 * places * (1 - places))[:, None] * (
        (below + shoulder) / 2
    )
    centres = inner + places[:, None] ** 2 * (shoulder - 4 * frame.up_chest)
    tangent = _unit(shoulder - start)
    front = _square_to(frame.front_chest, tangent, frame.up_chest)
    other = _cross(front, tangent)
    count = np.ones((9, 1))
    radii = _profile(places, [(0, 48), (0.5, 58), (0.85, 56), (1, 46)]) * build.shoulders
    return _tube(centres, other * count, front * count, radii, radii, places, 14)


def _hand(wrist: Point, forearm: Point, hinge: Point, size: float) -> tuple[Part, Part]:
    """Palm with fingers, and the thumb; the palm faces the way that the elbow's hinge plane tells."""
    along = _unit(forearm)
    flat = _square_to(hinge, along, np.array([0.0, 0.0, 1.0]))
    ahead = _cross(flat, along)
    places = np.array([-0.1, 0.0, 0.12, 0.3, 0.5, 0.7, 0.88, 0.97, 1.0])
    centres = wrist + (places * 175 * size)[:, None] * along
    count = np.ones((len(places), 1))
    thickness = np.array([20, 21, 20, 19, 17, 13, 10, 6, 1]) * size
    breadth = np.array([24, 25, 31, 40, 42, 38, 32, 18, 1]) * size
    palm = _tube(centres, flat * count, ahead * count, thickness, breadth, places, 12, winds_inward=True)
    knuckle = wrist + 35 * size * along + 28 * size * ahead
    way = _unit(along + 0.75 * ahead)
    thumb_places = np.linspace(0, 1, 5)
    side = _square_to(flat, way, along)
    thumb_radii = np.array([13, 14, 12, 10, 1]) * size
    thumb = _tube(
        knuckle + (thumb_places * 62 * size)[:, None] * way,
        side * np.ones((5, 1)),
        _cross(way, side) * np.ones((5, 1)),
        thumb_radii,
        thumb_radii,
        thumb_places,
        8,
    )
    return palm, thumb


def foot_direction(shank: Point, hinge: Point, height: float) -> Point:
    """Unit vector from ankle to toes.

    Args:
        shank: unit vector from knee to ankle.
        hinge: the knee's axis to the left.
        height: of the ankle above the floor, mm: near the floor the foot lies flat if the ankle can do so.
    """
    ahead = _cross(hinge, -shank)
    ahead = _square_to(ahead, shank, np.array([1.0, 0.0, 0.0]))
    flat = float(np.arctan2(ahead[2], max(-shank[2], 1e-6)))
    relaxed = np.radians(25.0)
    near = np.clip((190 - height) / 100, 0, 1)
    bend = np.clip(near * flat + (1 - near) * relaxed, np.radians(-38), np.radians(70))
    toes: np.ndarray = np.cos(bend) * ahead + np.sin(bend) * shank
    lowest = (30.0 - height) / 190
    if toes[2] < lowest:  # Toes would be in the floor: stretch the foot along the floor.
        toes = _unit(np.array([toes[0], toes[1], lowest if lowest > -1 else -0.9]))
    return toes


def _foot(ankle: Point, shank: Point, hinge: Point, height: float, size: float) -> Part:
    toes = foot_direction(shank, hinge, height)
    down = _square_to(shank, toes, np.array([0.0, 0.0, -1.0]))
    side = _cross(toes, down)
    places = np.array([0.0, 0.03, 0.1, 0.25, 0.4, 0.6, 0.78, 0.92, 0.98, 1.0])
    forward = (-68 + places * 268) * size
    top = np.array([40, 12, -8, -30, -16, 8, 26, 36, 42, 52]) * size
    sole = np.array([52, 70, 76, 76, 74, 76, 76, 74, 68, 54]) * size
    breadth = np.array([2, 22, 33, 36, 38, 45, 47, 38, 24, 2]) * size
    centres = ankle + forward[:, None] * toes + ((top + sole) / 2)[:, None] * down
    count = np.ones((len(places), 1))
    return _tube(
        centres, side * count, down * count, breadth, (sole - top) / 2, places, 14, winds_inward=True
    )


def _skull(
    joints: Float[np.ndarray, "17 3"], frame: BodyFrame, build: Build
) -> tuple[Point, Point, Point, Point]:
    """Centre, left, front and up of the head."""
    up = _unit(joints[HEAD] - joints[NECK])
    front = _square_to(frame.front_chest, up, frame.up_chest)
    left = _cross(up, front)
    c, s = np.cos(build.face_turn), np.sin(build.face_turn)
    front, left = c * front + s * left, c * left - s * front
    c, s = np.cos(0.5 * build.face_nod), np.sin(0.5 * build.face_nod)
    front, up = c * front + s * up, c * up - s * front
    centre = joints[HEAD] - 92 * build.head * up + 14 * front
    return centre, left, front, up


def _head(joints: Float[np.ndarray, "17 3"], frame: BodyFrame, build: Build) -> Part:
    """From the chin (0) to the top (1), with jaw, nose and brow on the front side."""
    centre, left, front, up = _skull(joints, frame, build)
    height, half_width, half_depth = (value * build.head for value in (116.0, 77.0, 97.0))
    latitude = np.linspace(-np.pi / 2, np.pi / 2, 25)
    places = (np.sin(latitude) + 1) / 2
    around = np.linspace(0, 2 * np.pi, 29)
    ring = np.cos(latitude)
    jaw = _profile(places, [(0, 0.75), (0.25, 0.86), (0.5, 1), (1, 1)])
    ahead = np.sin(around)[None] * (ring * half_depth)[:, None]
    # The lower back of the head is the neck: draw it in.
    ahead = np.where(
        ahead < 0, ahead * _profile(places, [(0, 0.2), (0.3, 0.72), (0.55, 1), (1, 1)])[:, None], ahead
    )
    ahead = ahead + _profile(places, [(0, 22), (0.3, 8), (0.6, 0), (1, -6)])[:, None] * build.head
    narrow = np.exp(-(((around - np.pi / 2) / 0.17) ** 2))[None]
    nose = _profile(places, [(0.3, 0), (0.36, 20), (0.42, 15), (0.55, 2), (0.6, 0)])[:, None]
    ahead = ahead + build.head * nose * narrow
    aside = np.cos(around)[None] * (ring * half_width * jaw)[:, None]
    points = (
        centre
        + aside[..., None] * left
        + ahead[..., None] * front
        + (height * np.sin(latitude))[:, None, None] * up
    )
    return Part(points, places, around, winds_inward=True)


def _hair(joints: Float[np.ndarray, "17 3"], frame: BodyFrame, build: Build) -> Part:
    """Hanging hair behind the head; it shrinks into the skull when `hair_length` is 0."""
    centre, left, front, up = _skull(joints, frame, build)
    places = np.linspace(0, 1, 9)
    length = (60 + 230 * build.hair_length) * build.head
    hang = _unit(-0.6 * up + np.array([0.0, 0.0, -0.6]) - 0.25 * front)
    fall = -up * (1 - places)[:, None] + hang * places[:, None]
    centres = centre + 35 * up - 42 * front + (places * length)[:, None] * fall
    shown = 1.0 if build.hair_length > 0.05 else 0.35
    widths = np.array([30, 62, 76, 80, 80, 76, 70, 55, 2]) * build.head * shown
    depths = np.array([25, 42, 46, 44, 40, 36, 32, 24, 2]) * build.head * shown
    count = np.ones((9, 1))
    return _tube(centres, left * count, front * count, widths, depths, places, 14)


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
        "trunk": _trunk(joints, frame, build),
        "head": _head(joints, frame, build),
        "hair": _hair(joints, frame, build),
    }
    for side in ("left", "right"):
        hip, knee, ankle, shoulder, elbow, wrist = (
            joints[H36M17.index(f"{side}_{name}")]
            for name in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")
        )
        knee_axis = _hinge(knee - hip, ankle - knee, frame.left_hips, 1.0)
        elbow_axis = _hinge(elbow - shoulder, wrist - elbow, frame.left_chest, -1.0)
        parts[f"{side}_leg"] = _limb(
            np.stack([hip, knee, ankle]), knee_axis, _LEG_RADII, build.limbs * size**0.5, 16
        )
        parts[f"{side}_arm"] = _limb(
            np.stack([shoulder, elbow, wrist]), elbow_axis, _ARM_RADII, build.limbs * size**0.5, 14
        )
        parts[f"{side}_shoulder"] = _shoulder_cap(joints, frame, build, side)
        palm, thumb = _hand(wrist, wrist - elbow, elbow_axis, size)
        parts[f"{side}_hand"], parts[f"{side}_thumb"] = palm, thumb
        parts[f"{side}_foot"] = _foot(ankle, _unit(ankle - knee), knee_axis, ankle[2] - floor, size)
    return parts


def triangles_of(parts: dict[str, Part]) -> Int[np.ndarray, "triangles 3"]:
    """Point indices of all triangles, the parts' points one after the other; outside is counter-clockwise."""
    return _triangles(tuple((*part.points.shape[:2], part.winds_inward) for part in parts.values()))


@cache
def _triangles(grids: tuple[tuple[int, int, bool], ...]) -> Int[np.ndarray, "triangles 3"]:
    found = []
    start = 0
    for rings, sides, winds_inward in grids:
        index = start + np.arange(rings * sides).reshape(rings, sides)
        if winds_inward:
            index = index[:, ::-1]
        a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
        found += [np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)]
        start += rings * sides
    triangles = np.concatenate(found)
    triangles.setflags(write=False)  # the cache gives the same array to all
    return triangles


def normals_of(part: Part) -> Float[np.ndarray, "rings sides 3"]:
    """Outward unit normals of the points of a part."""
    points = part.points
    along = np.empty_like(points)
    along[1:-1] = points[2:] - points[:-2]
    along[0], along[-1] = points[1] - points[0], points[-1] - points[-2]
    around = np.empty_like(points)
    around[:, 1:-1] = points[:, 2:] - points[:, :-2]
    around[:, 0] = around[:, -1] = points[:, 1] - points[:, -2]
    normals = _cross(along, around) if part.winds_inward else _cross(around, along)
    normals /= np.sqrt(np.einsum("rsa,rsa->rs", normals, normals))[..., None] + 1e-9
    return normals


def _cross(
    a: Float[np.ndarray, "*batch 3"], b: Float[np.ndarray, "*batch 3"]
) -> Float[np.ndarray, "*batch 3"]:
    """The cross product; several times as fast as numpy's, which is for any axes and lengths."""
    product = np.empty_like(a)
    product[..., 0] = a[..., 1] * b[..., 2] - a[..., 2] * b[..., 1]
    product[..., 1] = a[..., 2] * b[..., 0] - a[..., 0] * b[..., 2]
    product[..., 2] = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    return product
