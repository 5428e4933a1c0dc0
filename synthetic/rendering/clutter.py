"""Objects that stand around rendered people or hide them: boxes, balls, posts, bars and boards. World mm, z up."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial.transform import Rotation

from evolift.posedata.camera import Camera
from evolift.synthetic.rendering.backdrop import random_colour
from evolift.synthetic.rendering.mesh import Mesh

Size = Float[np.ndarray, "3"]


def draw_object(
    generator: np.random.Generator, camera: Camera, middle: Float[np.ndarray, "3"], floor: float
) -> Mesh:
    """A random object near a person; one in four hangs between camera and person.

    Args:
        generator: of all draws.
        camera: that sees it.
        middle: of the person.
        floor: height of the floor.
    """
    shape = generator.integers(5)
    size = _size(generator, int(shape))
    towards = camera.position - middle
    reach = float(np.linalg.norm(towards))
    if generator.uniform() < 0.25:
        nearer = generator.uniform(0.2, 0.55)
        place = middle + towards * nearer + generator.normal(0, 380, 3)
        # The nearer to the lens the smaller, so that it hides limbs and not the person.
        size = np.minimum(size, (2000.0, 170.0, 230.0) if shape == 3 else 230.0) * (1 - nearer)
    else:
        angle = generator.uniform(0, 2 * np.pi)
        away = generator.uniform(700, 3500)
        place = middle + away * np.array([np.cos(angle), np.sin(angle), 0])
        place[2] = floor + size[2]
        # Not in front of the lens: such objects hide the whole image.
        if (place - middle) @ towards / reach > 0.75 * reach:
            place -= 1.5 * towards
    points, normals, triangles = (_box, _ball, _post, _box, _box)[shape]()
    colours = np.tile(random_colour(generator), (len(points), 1))
    colours *= generator.uniform(0.85, 1.1, (len(points), 1))
    normals = normals / size
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    spin = generator.uniform(0, np.pi)
    rotation = Rotation.from_euler("z", spin).as_matrix()
    return Mesh((points * size) @ rotation.T + place, normals @ rotation.T, np.clip(colours, 0, 1), triangles)


def _size(generator: np.random.Generator, shape: int) -> Size:
    """Half sizes: box, ball, post, level bar, board."""
    size = np.exp(generator.uniform(np.log(50), np.log(340), 3))
    if shape == 1:
        size[:] = size[0]
    elif shape == 2:
        size = np.array([size[0] * 0.3, size[0] * 0.3, size[2] * 3])
    elif shape == 3:
        size = np.array([size[0] * 6, 25.0, 25.0])
    elif shape == 4:
        size = np.array([size[0] * 2.5, size[1] * 2, 22.0])
    return size


def _grid_triangles(rows: int, columns: int) -> Int[np.ndarray, "triangles 3"]:
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    return np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])


Shape = tuple[Float[np.ndarray, "points 3"], Float[np.ndarray, "points 3"], Int[np.ndarray, "triangles 3"]]


def _box() -> Shape:
    points: list[list[float]] = []
    normals: list[list[float]] = []
    triangles: list[list[int]] = []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            corners = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
            face = np.insert(corners, axis, sign, axis=1)
            triangles += [[len(points) + i for i in (0, 1, 2)], [len(points) + i for i in (0, 2, 3)]]
            points += face.tolist()
            normals += [[sign if i == axis else 0.0 for i in range(3)]] * 4
    return np.array(points), np.array(normals), np.array(triangles)


def _ball() -> Shape:
    latitude, longitude = np.meshgrid(np.linspace(-np.pi / 2, np.pi / 2, 13), np.linspace(0, 2 * np.pi, 19))
    points = np.stack(
        [np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)], -1
    ).reshape(-1, 3)
    return points, points.copy(), _grid_triangles(19, 13)


def _post() -> Shape:
    angle = np.linspace(0, 2 * np.pi, 17)
    ring = np.stack([np.cos(angle), np.sin(angle)], -1)
    side = np.concatenate([np.insert(ring, 2, z, axis=1) for z in (-1.0, 1.0)])
    lid = np.concatenate([np.insert(ring * radius, 2, 1.0, axis=1) for radius in (1.0, 0.01)])
    points = np.concatenate([side, lid])
    normals = np.concatenate(
        [np.insert(np.tile(ring, (2, 1)), 2, 0.0, axis=1), np.tile([0.0, 0.0, 1.0], (34, 1))]
    )
    grid = _grid_triangles(2, 17)
    return points, normals, np.concatenate([grid, grid + 34])
