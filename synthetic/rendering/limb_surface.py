"""The surface of arms, legs, hands and feet of a rendered person, world mm, z up.

The joints of H36M17 say nothing of hands and feet: fingers go on along the forearm, and feet lie in the plane that the
knee bends in, flat when they are near the floor.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from evolift.synthetic.rendering.surface_grid import Part, Point, cross, profile, square_to, tube, unit

_LIMB_PLACES = np.concatenate(
    [[-0.13, -0.12, -0.09, -0.04], np.linspace(0.03, 0.9, 12), [0.95, 1.0, 1.05], np.linspace(1.1, 2.0, 14)]
)
LEG_RADII = [
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
ARM_RADII = [
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


def limb(
    joints: Float[np.ndarray, "3 3"],
    hinge: Point,
    radii: Sequence[tuple[float | int, float | int]],
    girth: float,
    sides: int,
) -> Part:
    """Tube through three joints whose corner is rounded; `hinge` is the axis (to the left) it bends about."""
    a, b, c = joints
    upper, lower = unit(b - a), unit(c - b)
    places = _LIMB_PLACES
    on_upper = a + places[:, None] * (b - a)
    on_lower = b + (places[:, None] - 1) * (c - b)
    # Tangents turn over a tenth of each bone around the middle joint.
    blend = np.clip((places - 0.88) / 0.24, 0, 1)
    blend = (blend * blend * (3 - 2 * blend))[:, None]
    centres = np.where(places[:, None] < 1, on_upper, on_lower)
    tangents = (1 - blend) * upper + blend * lower
    tangents /= np.linalg.norm(tangents, axis=-1, keepdims=True) + 1e-9
    lateral = hinge - (tangents @ hinge)[:, None] * tangents
    lateral /= np.linalg.norm(lateral, axis=-1, keepdims=True) + 1e-9
    front = cross(tangents, lateral)
    widths = profile(places, radii) * girth
    return tube(centres, lateral, front, widths, widths, places, sides)


def hinge_axis(upper: Point, lower: Point, left: Point, sign: float) -> Point:
    """Axis to the body's left about which knee (sign 1) or elbow (sign -1) bend."""
    bent = sign * cross(unit(upper), unit(lower))
    axis = bent + 0.12 * square_to(left, unit(upper), np.array([0.0, 0.0, 1.0]))
    return unit(axis)


HAND_LENGTH = 175.0


def hand_direction(forearm: Point, hinge: Point, height: float, size: float) -> tuple[Point, Point]:
    """Unit vectors from the wrist to the fingertips and to the side of the thumb.

    Args:
        forearm: unit vector from elbow to wrist; the hand goes on along it unless the floor is in the way.
        hinge: the elbow's axis to the body's left.
        height: of the wrist above the floor, mm: a hand that would reach into the floor lies flat on it.
        size: of the hand, relative to the mean.
    """
    flat = square_to(hinge, forearm, np.array([0.0, 0.0, 1.0]))
    ahead = cross(forearm, flat)
    lowest = (18.0 - height) / (HAND_LENGTH * size)
    if forearm[2] >= lowest or lowest < -1:
        return forearm, ahead
    over_floor = forearm + 0.8 * ahead
    over_floor[2] = 0.0
    lowest = min(lowest, 0.5)
    along = float(np.sqrt(1 - lowest**2)) * unit(over_floor) + lowest * np.array([0.0, 0.0, 1.0])
    return along, cross(along, square_to(hinge, along, forearm))


def hand(wrist: Point, forearm: Point, hinge: Point, height: float, size: float) -> tuple[Part, Part]:
    """Palm with fingers, and the thumb.

    Args:
        wrist: mm.
        forearm: unit vector from elbow to wrist.
        hinge: the elbow's axis to the body's left; palms face the body when the arms hang.
        height: of the wrist above the floor, mm.
        size: relative to the mean.
    """
    along, ahead = hand_direction(forearm, hinge, height, size)
    flat = cross(ahead, along)
    places = np.array([-0.1, 0.0, 0.12, 0.3, 0.5, 0.7, 0.88, 0.97, 1.0])
    centres = wrist + (places * HAND_LENGTH * size)[:, None] * along
    count = np.ones((len(places), 1))
    thickness = np.array([20, 21, 20, 19, 17, 13, 10, 6, 1]) * size
    breadth = np.array([24, 25, 31, 40, 42, 38, 32, 18, 1]) * size
    palm = tube(centres, flat * count, ahead * count, thickness, breadth, places, 12)
    knuckle = wrist + 35 * size * along + 28 * size * ahead
    way = unit(along + 0.75 * ahead)
    thumb_places = np.linspace(0, 1, 5)
    side = square_to(flat, way, along)
    thumb_radii = np.array([13, 14, 12, 10, 1]) * size
    thumb = tube(
        knuckle + (thumb_places * 62 * size)[:, None] * way,
        side * np.ones((5, 1)),
        cross(way, side) * np.ones((5, 1)),
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
    ahead = cross(hinge, -shank)
    ahead = square_to(ahead, shank, np.array([1.0, 0.0, 0.0]))
    flat = float(np.arctan2(ahead[2], max(-shank[2], 1e-6)))
    relaxed = np.radians(25.0)
    near = np.clip((190 - height) / 100, 0, 1)
    bend = np.clip(near * flat + (1 - near) * relaxed, np.radians(-38), np.radians(70))
    toes: np.ndarray = np.cos(bend) * ahead + np.sin(bend) * shank
    lowest = (30.0 - height) / 190
    if toes[2] < lowest:  # Toes would be in the floor: stretch the foot along the floor.
        toes = unit(np.array([toes[0], toes[1], lowest if lowest > -1 else -0.9]))
    return toes


def foot(ankle: Point, shank: Point, hinge: Point, height: float, size: float) -> Part:
    """A shod foot; `height` is the ankle's above the floor, mm."""
    toes = foot_direction(shank, hinge, height)
    down = square_to(shank, toes, np.array([0.0, 0.0, -1.0]))
    side = cross(toes, down)
    places = np.array([0.0, 0.03, 0.1, 0.25, 0.4, 0.6, 0.78, 0.92, 0.98, 1.0])
    forward = (-68 + places * 268) * size
    top = np.array([40, 12, -8, -30, -16, 8, 26, 36, 42, 52]) * size
    sole = np.array([52, 70, 76, 76, 74, 76, 76, 74, 68, 54]) * size
    breadth = np.array([2, 22, 33, 36, 38, 45, 47, 38, 24, 2]) * size
    centres = ankle + forward[:, None] * toes + ((top + sole) / 2)[:, None] * down
    count = np.ones((len(places), 1))
    return tube(centres, side * count, down * count, breadth, (sole - top) / 2, places, 14, winds_inward=True)
