r"""Which poses lie within a radius of others, exactly, among millions.

Poses are compared on one common body: all get the same bone lengths (the mean of the source's subjects), stand at their
root and look along the axes of their lower torso. The distance of two poses is then the root mean square over joints

.. math:: d(a, b) = \sqrt{\tfrac{1}{J} \sum_j |a_j - b_j|^2} \quad [\mathrm{mm}],

a metric of points in 3 J dimensions. A projection onto orthonormal axes never lengthens a distance, so a tree over the
projection onto the `AXES` axes along which the source varies most finds every pose that may be near, and only those are
compared joint by joint: what is refused depends on the poses alone, not on the axes.

Cost, on one core and 2 million poses of CMU: about 15, 40 and 170 microseconds per candidate for radii of 5, 10 and 20 mm
(breeding one takes about 15); building the tree takes 5 microseconds and 80 bytes per pose, in each worker and
generation.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Float64, Int64

from evolift.evolution.kinematics.gene_pool import GenePool
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.kinematics.local_bones import LocalBones
from evolift.evolution.operators.parent_sampling import in_torso_frame

AXES = 8
SAMPLE = 20000
CHUNK = 8192
FIRST_NEIGHBOURS = 8
"""Neighbours looked at before the search is widened."""
_ROUNDING = 1e-2
"""Added to the radius of the search in the projection, mm: more than float32 can err on a body's size."""


class PostureSpace:
    """Points whose distance is that of the poses on the common body.

    Args:
        tree: of the poses.
        lengths: of the common body's bones, mm.
        sample: poses that the axes of the projection are taken from; they change the speed of a search only.
        axes: how many, at most; they too change the speed only.
    """

    def __init__(
        self,
        tree: KinematicTree,
        lengths: Float32[np.ndarray, "bones"],
        sample: LocalBones,
        *,
        axes: int = AXES,
    ) -> None:
        self.tree = tree
        self._lengths = torch.from_numpy(lengths)
        points = self.points(sample).astype(np.float64)
        _, vectors = np.linalg.eigh(np.cov(points, rowvar=False))
        self._axes: np.ndarray = vectors[:, ::-1][:, :axes]
        self.axes = self._axes.shape[1]

    def points(self, local: LocalBones) -> Float32[np.ndarray, "n coordinates"]:
        """Joints on the common body in the torso frame, over the root of their number; mm."""
        same = local.with_values(lengths=self._lengths.expand(len(local), -1))
        scale = len(self.tree.skeleton) ** -0.5
        flat: np.ndarray = (in_torso_frame(same, self.tree).flatten(1) * scale).numpy()
        return flat

    def project(self, points: Float32[np.ndarray, "n coordinates"]) -> Float64[np.ndarray, "n axes"]:
        """Lower bounds of distances: Euclidean distances here are never longer than those of the points."""
        projected: np.ndarray = points.astype(np.float64) @ self._axes
        return projected


class Crowd:
    """Poses that others must keep away from.

    Args:
        space: of the points.
        places: of the poses in the projection.
        points: gives the points of the asked rows.
    """

    def __init__(
        self,
        space: PostureSpace,
        places: Float64[np.ndarray, "poses axes"],
        points: Callable[[Int64[np.ndarray, "m"]], Float[np.ndarray, "m coordinates"]],
    ) -> None:
        self.space = space
        self._points = points
        from scipy.spatial import cKDTree  # noqa: PLC0415  # takes half a second, and few runs need it

        # A tree that is not balanced is built several times as fast and searched as fast.
        self._tree = cKDTree(places, leafsize=32, balanced_tree=False, compact_nodes=False)

    @classmethod
    def of_pool(cls, space: PostureSpace, pool: GenePool, rows: int) -> Crowd:
        """The crowd of the first `rows` poses of a gene pool."""
        places = np.empty((rows, space.axes))
        for start in range(0, rows, CHUNK):
            members = torch.arange(start, min(start + CHUNK, rows))
            places[start : start + len(members)] = space.project(space.points(pool.take(members)))
            pool.forget()
        return cls(space, places, lambda near: space.points(pool.take(torch.from_numpy(near))))

    @classmethod
    def of_points(cls, space: PostureSpace, points: Float32[np.ndarray, "n coordinates"]) -> Crowd:
        """The crowd of posture points that are held in memory."""
        return cls(space, space.project(points), lambda near: points[near])

    def near(self, points: Float32[np.ndarray, "n coordinates"], radius: float) -> Bool[np.ndarray, "n"]:
        """Which points lie closer than the radius to a pose of the crowd."""
        found = np.zeros(len(points), bool)
        places = self.space.project(points)
        asked, neighbours = np.arange(len(points)), FIRST_NEIGHBOURS
        while len(asked):
            k = min(neighbours, self._tree.n)
            distance, row = self._tree.query(
                places[asked], k=np.arange(1, k + 1), distance_upper_bound=radius + _ROUNDING
            )
            inside = np.isfinite(distance)
            pair, column = np.nonzero(inside)
            close = _distances(points[asked[pair]], self._points(row[pair, column])) < radius
            found[asked[pair[close]]] = True
            # Whoever has as many neighbours in the projection as were asked for may have more behind them.
            more = inside.all(1) & ~found[asked] if k < self._tree.n else np.zeros(len(asked), bool)
            asked, neighbours = asked[more], neighbours * 4
        return found


def apart_from_each_other(
    space: PostureSpace, points: Float32[np.ndarray, "n coordinates"], radius: float
) -> Bool[np.ndarray, "n"]:
    """Which points to keep so that none is closer than the radius to an earlier one that is kept."""
    kept = np.ones(len(points), bool)
    if len(points) < 2:
        return kept
    from scipy.spatial import cKDTree  # noqa: PLC0415  # as above

    tree = cKDTree(space.project(points))
    pairs = tree.query_pairs(radius + _ROUNDING, output_type="ndarray")
    close = pairs[_distances(points[pairs[:, 0]], points[pairs[:, 1]]) < radius]
    # By the later of the two: whether the earlier is kept is then settled.
    for earlier, later in close[np.lexsort((close[:, 0], close[:, 1]))].tolist():
        if kept[earlier]:
            kept[later] = False
    return kept


def _distances(
    one: Float[np.ndarray, "m coordinates"], other: Float[np.ndarray, "m coordinates"]
) -> Float[np.ndarray, "m"]:
    distances: np.ndarray = np.sqrt(np.square(one - other).sum(1))
    return distances


class DuplicateFilter:
    """Refuses children that crowd the population or each other.

    Args:
        population: poses before the generation.
        radius: mm.
    """

    def __init__(self, population: Crowd, radius: float) -> None:
        self.population, self.radius = population, radius

    def keep(
        self, children: LocalBones, siblings: Float32[np.ndarray, "earlier coordinates"] | None
    ) -> tuple[Int64[np.ndarray, "kept"], Float32[np.ndarray, "kept coordinates"]]:
        """Children that are not closer than the radius to the population, to siblings, or to one that is kept before.

        Args:
            siblings: points of children of the same block that were kept before; None if there are none.

        Returns:
            Their rows, and their points.
        """
        space = self.population.space
        points = space.points(children)
        rows = np.arange(len(points))
        crowds = [self.population]
        if siblings is not None and len(siblings):
            crowds.append(Crowd.of_points(space, siblings))
        for crowd in crowds:
            rows = rows[~crowd.near(points[rows], self.radius)]
        rows = rows[apart_from_each_other(space, points[rows], self.radius)]
        return rows, points[rows]


def duplicate_filter(
    pool: GenePool,
    filled: int,
    originals: int,
    templates: Float32[np.ndarray, "subjects bones"],
    radius: float,
) -> DuplicateFilter:
    """For the children of a generation.

    Args:
        pool: of the population.
        filled: rows before the generation; all of them count, also originals that may not be parents.
        originals: rows of the source.
        templates: bone lengths of the source's subjects; their mean is the common body.
        radius: mm.
    """
    sample = np.unique(np.linspace(0, originals - 1, min(SAMPLE, originals)).astype(np.int64))
    space = PostureSpace(pool.tree, templates.mean(0), pool.take(torch.from_numpy(sample)))
    return DuplicateFilter(Crowd.of_pool(space, pool, filled), radius)
