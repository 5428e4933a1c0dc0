"""Small scenes that the tests of rendering share."""

from __future__ import annotations

import numpy as np

from evolift.posedata.camera import Camera, look_at
from evolift.posedata.skeleton import H36M17
from evolift.synthetic.rendering.mesh import Mesh
from evolift.synthetic.rendering.person_appearance import Appearance, draw_appearance
from evolift.synthetic.rendering.scene import FARTHEST, Lamp, Scene

SIZE = 96


def plain_appearance(seed: int = 0) -> Appearance:
    return draw_appearance(np.random.default_rng(seed))


def camera_before(joints: np.ndarray, *, behind: bool = False, distance: float = 4000) -> Camera:
    """A camera that looks the person in the face (or at the back)."""
    across = joints[H36M17.index("left_hip")] - joints[H36M17.index("right_hip")]
    ahead = np.cross(across, [0, 0, 1.0])
    ahead /= np.linalg.norm(ahead)
    middle = joints.mean(0).astype(np.float64)
    R, t = look_at(middle + ahead * distance * (-1 if behind else 1), middle)
    return Camera.from_focal_length(1.7 * SIZE, SIZE, SIZE, R=R, t=t)


def scene_of(mesh: Mesh, camera: Camera, appearance: Appearance, surroundings: Mesh | None = None) -> Scene:
    dark = np.zeros((SIZE, SIZE, 3), np.float32)
    lamps = (Lamp((0.0, 0.0, -1.0), (1.0, 1.0, 1.0), 0.0),)
    return Scene(camera, mesh.seen_from(camera), surroundings, lamps, 1.0, dark, appearance)


def ray_cast(mesh: Mesh, direction: np.ndarray) -> float:
    """Depth of the first surface on a ray from the camera: Moeller and Trumbore's test on every triangle."""
    a, b, c = (mesh.points[mesh.triangles[:, corner]] for corner in range(3))
    first, second = b - a, c - a
    p = np.cross(direction, second)
    determinant = (first * p).sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        u = (-a * p).sum(-1) / determinant
        q = np.cross(-a, first)
        v = (direction * q).sum(-1) / determinant
        t = (second * q).sum(-1) / determinant
        hit = (np.abs(determinant) > 1e-12) & (u >= 0) & (v >= 0) & (u + v <= 1) & (t > 0)
    return float((t[hit] * direction[2]).min()) if hit.any() else FARTHEST
