"""Triangle meshes with a colour per point."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from evolift.posedata.camera import Camera


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles with colours.

    Args:
        points, normals: mm and unit vectors.
        colours: RGB from 0 to 1.
        triangles: point indices, counter-clockwise from outside.
    """

    points: Float[np.ndarray, "points 3"]
    normals: Float[np.ndarray, "points 3"]
    colours: Float[np.ndarray, "points 3"]
    triangles: Int[np.ndarray, "triangles 3"]

    @staticmethod
    def joined(meshes: list[Mesh]) -> Mesh:
        """One mesh of all the meshes' points and triangles."""
        starts = np.cumsum([0, *(len(mesh.points) for mesh in meshes[:-1])])
        return Mesh(
            np.concatenate([mesh.points for mesh in meshes]),
            np.concatenate([mesh.normals for mesh in meshes]),
            np.concatenate([mesh.colours for mesh in meshes]),
            np.concatenate([mesh.triangles + start for mesh, start in zip(meshes, starts, strict=True)]),
        )

    def seen_from(self, camera: Camera) -> Mesh:
        """World mesh in the frame of a camera."""
        return Mesh(camera.to_camera(self.points), self.normals @ camera.R.T, self.colours, self.triangles)
