from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from evolift.detector2d.crop import apply_affine, crop_from_image
from evolift.posedata.skeleton import COCO17, H36M17
from evolift.prediction.persons.person_view import (
    GRID,
    PersonView,
    box_of_joints,
    box_on_grid,
    upright_angle,
    view_of_joints,
)


def standing(angle: float = 0.0, middle: tuple[float, float] = (300.0, 200.0)) -> np.ndarray:
    """Somebody upright, rotated anticlockwise by an angle, 60 pixels wide and 200 high."""
    joints = np.zeros((17, 2))
    rows = {"head": -100, "nose": -90, "thorax": -70, "spine": -40, "pelvis": -10}
    for name, down in rows.items():
        joints[H36M17.index(name)] = (0, down)
    for side, sign in (("left", 30), ("right", -30)):
        for name, down in (
            ("shoulder", -70),
            ("elbow", -40),
            ("wrist", -10),
            ("hip", -10),
            ("knee", 40),
            ("ankle", 100),
        ):
            joints[H36M17.index(f"{side}_{name}")] = (sign, down)
    c, s = math.cos(-angle), math.sin(-angle)
    return joints @ np.array([[c, -s], [s, c]]).T + middle


@pytest.mark.parametrize("degrees", [0, 30, 90, 135, 180, -45, -90, -150])
def test_a_rotated_person_is_upright_and_fills_the_crop_of_their_view(degrees: int) -> None:
    joints = standing(math.radians(degrees))
    view = view_of_joints(joints, H36M17)
    assert math.degrees(view.angle) == pytest.approx(degrees)
    seen = apply_affine(crop_from_image(view.box, (100, 100), angle=view.angle), joints)
    assert seen[H36M17.index("head"), 1] == pytest.approx(-0.5, abs=0.6)
    assert seen[H36M17.index("left_ankle"), 1] == pytest.approx(99.5, abs=0.6)
    assert seen[:, 0].mean() == pytest.approx(49.5, abs=0.6)
    left, top, width, height = view.bounds
    assert (joints >= np.array([left, top]) - 1).all()
    assert (joints <= np.array([left + width, top + height]) + 1).all()


def test_the_bounds_of_a_view_are_those_of_its_rotated_corners() -> None:
    view = PersonView((10.0, 20.0, 40.0, 80.0), math.radians(30))
    corners = cv2.boxPoints(((30.0, 60.0), (40.0, 80.0), -30.0))
    left, top, width, height = view.bounds
    np.testing.assert_allclose([left, top], corners.min(0), atol=1e-4)
    np.testing.assert_allclose([left + width, top + height], corners.max(0), atol=1e-4)


def test_angles_lie_on_a_grid_and_a_half_turn_shows_the_person_upside_down() -> None:
    joints = standing(math.radians(20))
    assert math.degrees(upright_angle(joints, H36M17)) == pytest.approx(15)
    assert math.degrees(view_of_joints(joints, H36M17, half_turn=True).angle) == pytest.approx(195)
    assert upright_angle(np.zeros((17, 2)), COCO17) == 0


def test_box_of_joints() -> None:
    assert box_of_joints(np.array([[3, 4], [9, 5]], np.float32)) == (3, 3.5, 6, 2)


def test_boxes_lie_on_a_grid_that_is_as_fine_as_they_are_small() -> None:
    generator = np.random.default_rng(0)
    for _ in range(300):
        left, top = generator.uniform(-500, 3000, 2)
        width, height = np.exp(generator.uniform(np.log(2), np.log(3000), 2))
        given = np.array([left, top, width, height])
        moved = np.array(box_on_grid(tuple(given)))
        step = 2.0 ** np.ceil(np.log2(max(width, height) / GRID))
        middle, wanted = moved[:2] + moved[2:] / 2, given[:2] + given[2:] / 2
        assert (np.abs(middle - wanted) <= step / 2).all()
        assert (moved[2:] > 0).all()
        assert (np.abs(moved[2:] - given[2:]) <= step).all()
        assert (np.mod(middle, step) == 0).all()
        assert (np.mod(moved[2:], step) == 0).all()
