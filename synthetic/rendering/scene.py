"""Scenes around a posed person, drawn at random: camera, lights, floor, objects, other people. No rendering here.

A scene is one triangle mesh in the camera frame (mm; x right, y down, z forward) with a colour per point, some
lights, and a backdrop image for what the mesh leaves free.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from evolift.posedata.camera import Camera, look_at
from evolift.posedata.skeleton import H36M17
from evolift.synthetic.rendering.backdrop import Image, draw_backdrop
from evolift.synthetic.rendering.body_surface import body_parts
from evolift.synthetic.rendering.clutter import draw_object
from evolift.synthetic.rendering.ground import draw_ground
from evolift.synthetic.rendering.mesh import Mesh
from evolift.synthetic.rendering.person_appearance import Appearance, draw_appearance
from evolift.synthetic.rendering.person_texture import dressed
from evolift.synthetic.rendering.surface_grid import triangles_of

NEAREST, FARTHEST = 250.0, 60_000.0
"""Range of depths that images show, mm."""
GROUND_CLEARANCE = 82.0


@dataclass(frozen=True)
class Lamp:
    """A far light: unit direction towards it in the camera frame, colour, strength."""

    direction: tuple[float, float, float]
    colour: tuple[float, float, float]
    strength: float


@dataclass(frozen=True, eq=False)
class Scene:
    """All that an image shows.

    Args:
        camera: with its pose in the world.
        person: the labelled person's surface alone, camera frame.
        surroundings: everything else that stands in the scene.
        lamps: the lights.
        ambient: share of light from everywhere, 0 to 1.
        backdrop: image behind the scene.
        appearance: of the person.
    """

    camera: Camera
    person: Mesh
    surroundings: Mesh | None
    lamps: tuple[Lamp, ...]
    ambient: float
    backdrop: Image
    appearance: Appearance


def person_mesh(joints: Float[np.ndarray, "17 3"], appearance: Appearance, floor: float) -> Mesh:
    """Surface of one person, world frame."""
    parts = dressed(body_parts(joints, appearance.build, floor), appearance)
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


def draw_scene(
    generator: np.random.Generator,
    joints: Float[np.ndarray, "17 3"],
    size: int,
    *,
    companion: Float[np.ndarray, "17 3"] | None = None,
) -> Scene:
    """A random scene around a pose.

    Args:
        generator: of all draws.
        joints: world mm, z up.
        size: width and height of the image, pixels.
        companion: pose of someone else, who is in some of the scenes; nobody if None.
    """
    joints = joints.astype(np.float64)
    floor = floor_under(joints)
    camera = draw_camera(generator, joints, size, floor)
    appearance = draw_appearance(generator)
    person = person_mesh(joints, appearance, floor)
    sun = _draw_sun(generator)
    backdrop = draw_backdrop(generator, size)
    around: list[Mesh] = []
    if generator.uniform() < 0.7:
        ground, shown, colour = draw_ground(generator, camera, floor)
        backdrop = np.where(shown[..., None], ground, backdrop).astype(np.float32)
        if generator.uniform() < 0.85:
            around.append(_shadow(person, sun, floor, colour))
    count = generator.choice([0, 1, 2, 3, 5, 8], p=[0.25, 0.2, 0.2, 0.15, 0.12, 0.08])
    around += [draw_object(generator, camera, joints.mean(0), floor) for _ in range(count)]
    if companion is not None and generator.uniform() < 0.25:
        around.append(_other_person(generator, camera, joints, companion.astype(np.float64), floor))
    return Scene(
        camera,
        person.seen_from(camera),
        Mesh.joined(around).seen_from(camera) if around else None,
        _draw_lamps(generator, camera, sun),
        float(generator.uniform(0.25, 0.6)),
        backdrop,
        appearance,
    )


def draw_clip_scenes(
    generator: np.random.Generator, frames: Float[np.ndarray, "frames 17 3"], size: int
) -> Iterator[Scene]:
    """One random scene in which a person moves: camera, clothes and lights stay as they are.

    Args:
        generator: of all draws.
        frames: world mm, z up, frame after frame; the camera sees all of them.
        size: width and height of the images, pixels.
    """
    frames = frames.astype(np.float64)
    floor = min(floor_under(joints) for joints in frames)
    camera = draw_camera(generator, frames.reshape(-1, 3), size, floor)
    appearance = draw_appearance(generator)
    sun = _draw_sun(generator)
    ground, shown, colour = draw_ground(generator, camera, floor)
    backdrop = np.where(shown[..., None], ground, draw_backdrop(generator, size)).astype(np.float32)
    lamps = _draw_lamps(generator, camera, sun)
    ambient = float(generator.uniform(0.25, 0.6))
    for joints in frames:
        person = person_mesh(joints, appearance, floor)
        shadow = _shadow(person, sun, floor, colour).seen_from(camera)
        yield Scene(camera, person.seen_from(camera), shadow, lamps, ambient, backdrop, appearance)


def draw_camera(
    generator: np.random.Generator,
    joints: Float[np.ndarray, "_points 3"],
    size: int,
    floor: float,
) -> Camera:
    """A camera somewhere around the person: mostly near eye level, some from high above or below.

    The person fills 45% to 115% of the image, seldom more (and is cut off then), and is not always in its middle; few
    cameras are rolled far, some upside down.
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
    position[2] = max(position[2], floor + 200)  # not from under the floor
    R, t = look_at(position, middle, roll=float(roll))
    plane = joints @ R.T + t
    flat = plane[:, :2] / plane[:, 2:]
    extent = float((flat.max(0) - flat.min(0)).max()) + 260 / distance
    fill = generator.choice(
        [generator.uniform(0.45, 0.95), generator.uniform(0.9, 1.15), generator.uniform(1.2, 2.0)],
        p=[0.8, 0.13, 0.07],
    )
    focal = float(np.clip(fill * size / extent, 0.6 * size, 8.0 * size))
    # Rotate the camera so that the person's middle comes to a random place; large people get less play.
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


def _other_person(
    generator: np.random.Generator,
    camera: Camera,
    joints: Float[np.ndarray, "17 3"],
    companion: Float[np.ndarray, "17 3"],
    floor: float,
) -> Mesh:
    """Someone else on the same floor, beside or behind the person and often only partly in view."""
    aside = camera.R[0] * (1 if generator.uniform() < 0.5 else -1)
    away = camera.R[2] * generator.uniform(-200, 3500)
    place = joints.mean(0) + aside * generator.uniform(750, 2200) + away
    spin = generator.uniform(0, 2 * np.pi)
    rotation = Rotation.from_euler("z", spin).as_matrix()
    moved = (companion - companion.mean(0)) @ rotation.T
    moved[:, :2] += place[:2]
    moved[:, 2] += floor - floor_under(moved)
    return person_mesh(moved, draw_appearance(generator), floor)
