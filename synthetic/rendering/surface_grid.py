"""Grids of points that form a surface: rings around a path, their triangles and normals.

Every part of a rendered person is such a grid. A part never changes the size of its grid, so the triangles of a person
are the same for all poses and only points, normals and colours are new in every image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float, Int

Point = Float[np.ndarray, "3"]


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


def unit(vector: Point) -> Point:
    """The vector at length 1; (nearly) zero stays (nearly) zero."""
    length = float(np.sqrt(vector @ vector))
    return vector / max(length, 1e-9)


def square_to(vector: Point, axis: Point, otherwise: Point) -> Point:
    """Unit vector of the share of `vector` that is perpendicular to the unit `axis`."""
    rest = vector - (vector @ axis) * axis
    if rest @ rest < 1e-6 * max(float(vector @ vector), 1e-9):
        rest = otherwise - (otherwise @ axis) * axis
    return unit(rest)


def tube(
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
    """Grid of elliptic rings.

    Args:
        centres: of the rings, mm.
        lateral, front: unit vectors of each ring's two axes.
        widths, depths: half axes along them, mm.
        along: place of each ring on the part.
        sides: of a ring.
        winds_inward: see `Part`.
    """
    around = np.linspace(0, 2 * np.pi, sides + 1)
    points = (
        centres[:, None]
        + (widths[:, None] * np.cos(around))[..., None] * lateral[:, None]
        + (depths[:, None] * np.sin(around))[..., None] * front[:, None]
    )
    return Part(points, along, around, winds_inward)


def profile(
    places: Float[np.ndarray, "rings"], keys: Sequence[tuple[float | int, float | int]]
) -> Float[np.ndarray, "rings"]:
    """Values at places on a part, straight between (place, value) keys."""
    at, values = np.array(keys).T
    interpolated: np.ndarray = np.interp(places, at, values)
    return interpolated


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
    normals = cross(along, around) if part.winds_inward else cross(around, along)
    normals /= np.sqrt(np.einsum("rsa,rsa->rs", normals, normals))[..., None] + 1e-9
    return normals


def cross(
    a: Float[np.ndarray, "*batch 3"], b: Float[np.ndarray, "*batch 3"]
) -> Float[np.ndarray, "*batch 3"]:
    """The cross product; several times as fast as numpy's, which is for any axes and lengths."""
    product = np.empty_like(a)
    product[..., 0] = a[..., 1] * b[..., 2] - a[..., 2] * b[..., 1]
    product[..., 1] = a[..., 2] * b[..., 0] - a[..., 0] * b[..., 2]
    product[..., 2] = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    return product
