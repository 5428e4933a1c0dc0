"""The surface of head and hair of a rendered person, world mm, z up; the face looks where thorax, nose and head say."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from evolift.synthetic.rendering.body_build import HEAD, BodyFrame, Build
from evolift.synthetic.rendering.surface_grid import Part, Point, profile, tube, unit


def _skull(
    joints: Float[np.ndarray, "17 3"], frame: BodyFrame, build: Build
) -> tuple[Point, Point, Point, Point]:
    """Centre, left, front and up of the head."""
    centre = joints[HEAD] - 92 * build.head * frame.up_head + 14 * frame.front_head
    return centre, frame.left_head, frame.front_head, frame.up_head


def head(joints: Float[np.ndarray, "17 3"], frame: BodyFrame, build: Build) -> Part:
    """From the chin (0) to the top (1), with jaw, nose and brow on the front side."""
    centre, left, front, up = _skull(joints, frame, build)
    height, half_width, half_depth = (value * build.head for value in (116.0, 77.0, 97.0))
    latitude = np.linspace(-np.pi / 2, np.pi / 2, 25)
    places = (np.sin(latitude) + 1) / 2
    around = np.linspace(0, 2 * np.pi, 29)
    ring = np.cos(latitude)
    jaw = profile(places, [(0, 0.75), (0.25, 0.86), (0.5, 1), (1, 1)])
    ahead = np.sin(around)[None] * (ring * half_depth)[:, None]
    # The lower back of the head is the neck: draw it in.
    ahead = np.where(
        ahead < 0, ahead * profile(places, [(0, 0.2), (0.3, 0.72), (0.55, 1), (1, 1)])[:, None], ahead
    )
    ahead = ahead + profile(places, [(0, 22), (0.3, 8), (0.6, 0), (1, -6)])[:, None] * build.head
    narrow = np.exp(-(((around - np.pi / 2) / 0.17) ** 2))[None]
    nose = profile(places, [(0.3, 0), (0.36, 20), (0.42, 15), (0.55, 2), (0.6, 0)])[:, None]
    ahead = ahead + build.head * nose * narrow
    aside = np.cos(around)[None] * (ring * half_width * jaw)[:, None]
    points = (
        centre
        + aside[..., None] * left
        + ahead[..., None] * front
        + (height * np.sin(latitude))[:, None, None] * up
    )
    return Part(points, places, around, winds_inward=True)


def hair(joints: Float[np.ndarray, "17 3"], frame: BodyFrame, build: Build) -> Part:
    """Hanging hair behind the head; it shrinks into the skull when `hair_length` is 0."""
    centre, left, front, up = _skull(joints, frame, build)
    places = np.linspace(0, 1, 9)
    length = (60 + 230 * build.hair_length) * build.head
    hang = unit(-0.6 * up + np.array([0.0, 0.0, -0.6]) - 0.25 * front)
    fall = -up * (1 - places)[:, None] + hang * places[:, None]
    centres = centre + 35 * up - 42 * front + (places * length)[:, None] * fall
    shown = 1.0 if build.hair_length > 0.05 else 0.35
    widths = np.array([30, 62, 76, 80, 80, 76, 70, 55, 2]) * build.head * shown
    depths = np.array([25, 42, 46, 44, 40, 36, 32, 24, 2]) * build.head * shown
    count = np.ones((9, 1))
    return tube(centres, left * count, front * count, widths, depths, places, 14)
