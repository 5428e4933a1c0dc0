"""Scenes around a posed person, drawn at random: camera, lights, floor, objects, other people. No rendering here.

A scene is one triangle mesh in the camera frame (mm; x right, y down, z forward) with a colour per point, some
lights, and a backdrop picture for what the mesh leaves free.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from posedata.appearance import Look, draw_look, dressed
from posedata.backdrop import Picture, draw_backdrop, fractal_noise, random_colour
from posedata.body_surface import body_parts, triangles_of
from posedata.camera import Camera, look_at
from posedata.skeleton import H36M17

NEAREST, FARTHEST = 250.0, 60_000.0
"""Range of depths that pictures show, mm."""
GROUND_CLEARANCE = 82.0


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
        """All as one."""
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


@dataclass(frozen=True)
class Lamp:
    """A far light: unit direction towards it in the camera frame, colour, strength."""

    direction: tuple[float, float, float]
    colour: tuple[float, float, float]
    strength: float


@dataclass(frozen=True, eq=False)
class Scene:
    """All that a picture shows.

    Args:
        camera: with its pose in the world.
        person: the labelled person's surface alone, camera frame.
        surroundings: everything else that stands in the scene.
        lamps: the lights.
        ambient: share of light from everywhere, 0 to 1.
        backdrop: picture behind the scene.
        look: of the person.
    """

    camera: Camera
    person: Mesh
    surroundings: Mesh | None
    lamps: tuple[Lamp, ...]
    ambient: float
    backdrop: Picture
    look: Look


def person_mesh(joints: Float[np.ndarray, "17 3"], look: Look, floor: float) -> Mesh:
    """Surface of one person, world frame."""
    parts = dressed(body_parts(joints, look.build, floor), look)
    points, normals, colours = (
        np.concatenate([values.reshape(-1, 3) for values in column])
        for column in zip(
            *((part.points, normals, colours) for part, normals, colours in parts.values()), strict=True
        )
    )
    return Mesh(points, normals, colours, triangles_of({name: part for name, (part, _, _) in parts.items()}))


def floor_under(joints: Float[np.ndarray, "17 3"]) -> float:
    """Height of a floor just under a pose, mm: the ankle clears it by a foot, other joints by less."""
    ankles = joints[[H36M17.index("left_ankle"), H36M17.index("right_ankle")], 2].min() - GROUND_CLEARANCE
    return float(min(ankles, joints[:, 2].min() - 45))


def draw_scene(generator: np.random.Generator, joints: Float[np.ndarray, "17 3"], size: int) -> Scene:
    """A random scene around a pose.

    Args:
        generator: of all draws.
        joints: world mm, z up.
        size: width and height of the picture, pixels.
    """
    joints = joints.astype(np.float64)
    camera = draw_camera(generator, joints, size)
    look = draw_look(generator)
    floor = floor_under(joints)
    person = person_mesh(joints, look, floor)
    sun = _draw_sun(generator)
    around: list[Mesh] = []
    if generator.uniform() < 0.6:
        ground = random_colour(generator, saturation=0.5)
        around.append(_floor(generator, joints, floor, ground))
        around.append(_shadow(person, sun, floor, ground))
    around += [
        _object(generator, camera, joints, floor)
        for _ in range(generator.choice([0, 1, 2, 3, 5, 8], p=[0.25, 0.2, 0.2, 0.15, 0.12, 0.08]))
    ]
    if generator.uniform() < 0.15:
        around.append(_other_person(generator, camera, joints, floor))
    return Scene(
        camera,
        person.seen_from(camera),
        Mesh.joined(around).seen_from(camera) if around else None,
        _draw_lamps(generator, camera, sun),
        float(generator.uniform(0.25, 0.6)),
        draw_backdrop(generator, size),
        look,
    )


def draw_camera(generator: np.random.Generator, joints: Float[np.ndarray, "17 3"], size: int) -> Camera:
    """A camera somewhere around the person: mostly near eye level, some from high above or below.

    The person fills 45% to 110% of the picture and is not always in its middle.
    """
    middle = (joints.min(0) + joints.max(0)) / 2
    azimuth = generator.uniform(0, 2 * np.pi)
    steep = generator.uniform() < 0.2
    elevation = np.radians(generator.uniform(-25, 60) if steep else np.clip(generator.normal(6, 8), -15, 30))
    distance = float(np.exp(generator.uniform(np.log(1900), np.log(9000))))
    direction = np.array(
        [np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)]
    )
    roll = (
        generator.normal(0, np.radians(4))
        if generator.uniform() < 0.7
        else generator.normal(0, np.radians(15))
    )
    position = middle + distance * direction
    position[2] = max(position[2], floor_under(joints) + 200)  # not from under the floor
    R, t = look_at(position, middle, roll=float(roll))
    plane = joints @ R.T + t
    flat = plane[:, :2] / plane[:, 2:]
    extent = float((flat.max(0) - flat.min(0)).max()) + 260 / distance
    fill = generator.uniform(0.45, 0.95) if generator.uniform() < 0.8 else generator.uniform(0.9, 1.15)
    focal = float(np.clip(fill * size / extent, 0.6 * size, 8.0 * size))
    # Turn the camera so that the person's middle comes to a random place; large people get less play.
    play = 0.5 * size * max(0.08, 0.9 - fill)
    shift = generator.uniform(-play, play, 2) / focal * distance
    target = middle - R[0] * shift[0] - R[1] * shift[1]
    R, t = look_at(position, target, roll=float(roll))
    return Camera.from_focal_length(focal, size, size, R=R, t=t)


def _draw_sun(generator: np.random.Generator) -> Float[np.ndarray, "3"]:
    azimuth, height = generator.uniform(0, 2 * np.pi), np.radians(generator.uniform(22, 85))
    return np.array([np.cos(azimuth) * np.cos(height), np.sin(azimuth) * np.cos(height), np.sin(height)])


def _draw_lamps(
    generator: np.random.Generator, camera: Camera, sun: Float[np.ndarray, "3"]
) -> tuple[Lamp, ...]:
    def lamp(direction: Float[np.ndarray, "3"], strength: float) -> Lamp:
        x, y, z = (camera.R @ direction).tolist()
        warm = generator.uniform(-0.12, 0.12)
        return Lamp((x, y, z), (1.0, 1.0 - abs(warm) * 0.4, float(min(1.0, 1 - warm))), strength)

    lamps = [lamp(sun, float(generator.uniform(0.35, 0.95)))]
    for _ in range(generator.integers(1, 4)):
        direction = generator.standard_normal(3)
        direction[2] = abs(direction[2])
        lamps.append(lamp(direction / np.linalg.norm(direction), float(generator.uniform(0.05, 0.4))))
    return tuple(lamps)


def _grid_triangles(rows: int, columns: int) -> Int[np.ndarray, "triangles 3"]:
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    return np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])


def _floor(
    generator: np.random.Generator,
    joints: Float[np.ndarray, "17 3"],
    floor: float,
    colour: Float[np.ndarray, "3"],
) -> Mesh:
    """Ground with a pattern, reaching 12 m around the person, finer near it."""
    count = 48
    # Cubic spacing: fine cells under the person, coarse ones far off.
    line = np.linspace(-1, 1, count)
    offsets = 12_000 * (0.25 * line + 0.75 * line**3)
    x, y = np.meshgrid(offsets, offsets)
    turn = generator.uniform(0, np.pi)
    centre = joints[:, :2].mean(0)
    points = np.stack(
        [
            centre[0] + np.cos(turn) * x - np.sin(turn) * y,
            centre[1] + np.sin(turn) * x + np.cos(turn) * y,
            np.full_like(x, floor),
        ],
        -1,
    ).reshape(-1, 3)
    shade = 1 + generator.uniform(0, 0.8) * (fractal_noise(generator, count, roughness=0.95) - 0.5)
    if generator.uniform() < 0.3:
        cells = np.indices((count, count)).sum(0) // generator.integers(1, 4) % 2
        shade = shade * (1 - generator.uniform(0.1, 0.6) * cells)
    colours = np.clip(shade[..., None] * colour, 0, 1).reshape(-1, 3)
    return Mesh(points, np.tile([0.0, 0.0, 1.0], (len(points), 1)), colours, _grid_triangles(count, count))


def _shadow(person: Mesh, sun: Float[np.ndarray, "3"], floor: float, ground: Float[np.ndarray, "3"]) -> Mesh:
    """The person's outline thrown on the floor."""
    height = np.maximum(person.points[:, 2] - floor, 0)
    points = person.points - (height / sun[2])[:, None] * sun
    points[:, 2] = floor + 4
    # The lit half of the surface covers the whole shadow; it keeps its orientation and faces up.
    a, b, c = (points[person.triangles[:, corner], :2] for corner in range(3))
    faces_up = (b - a)[:, 0] * (c - a)[:, 1] > (b - a)[:, 1] * (c - a)[:, 0]
    up = np.tile([0.0, 0.0, 1.0], (len(points), 1))
    return Mesh(points, up, np.tile(0.4 * ground, (len(points), 1)), person.triangles[faces_up])


def _object(
    generator: np.random.Generator, camera: Camera, joints: Float[np.ndarray, "17 3"], floor: float
) -> Mesh:
    """A box, ball or post somewhere near the person; one in four stands between camera and person."""
    shape = generator.integers(3)
    size = np.exp(generator.uniform(np.log(50), np.log(340), 3))
    if shape == 1:
        size[:] = size[0]
    if shape == 2:
        size = np.array([size[0] * 0.3, size[0] * 0.3, size[2] * 3])
    middle = joints.mean(0)
    towards = camera.position - middle
    reach = float(np.linalg.norm(towards))
    if generator.uniform() < 0.25:
        place = middle + towards * generator.uniform(0.25, 0.6) + generator.normal(0, 380, 3)
    else:
        angle = generator.uniform(0, 2 * np.pi)
        away = generator.uniform(700, 3500)
        place = middle + away * np.array([np.cos(angle), np.sin(angle), 0])
        place[2] = floor + size[2]
        # Not in front of the lens: such objects hide the whole picture.
        if (place - middle) @ towards / reach > 0.75 * reach:
            place -= 1.5 * towards
    spin = generator.uniform(0, np.pi)
    turn = np.array([[np.cos(spin), -np.sin(spin), 0], [np.sin(spin), np.cos(spin), 0], [0, 0, 1]])
    points, normals, triangles = (_box, _ball, _post)[shape]()
    colours = np.tile(random_colour(generator), (len(points), 1)) * generator.uniform(
        0.85, 1.1, (len(points), 1)
    )
    normals = normals / size
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    return Mesh((points * size) @ turn.T + place, normals @ turn.T, np.clip(colours, 0, 1), triangles)


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


def _other_person(
    generator: np.random.Generator, camera: Camera, joints: Float[np.ndarray, "17 3"], floor: float
) -> Mesh:
    """Someone else, partly in view beside or behind the person, in the mirrored pose."""
    mirrored = joints[list(H36M17.mirror)] * (-1, 1, 1)
    middle = joints.mean(0)
    aside = camera.R[0] * (1 if generator.uniform() < 0.5 else -1)
    away = camera.R[2] * generator.uniform(100, 2500)
    place = middle + aside * generator.uniform(900, 2200) + away
    spin = generator.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(spin), -np.sin(spin), 0], [np.sin(spin), np.cos(spin), 0], [0, 0, 1]])
    moved = (mirrored - mirrored.mean(0)) @ turn.T
    moved[:, :2] += place[:2]
    moved[:, 2] += joints[:, 2].mean()
    return person_mesh(moved, draw_look(generator), floor)
