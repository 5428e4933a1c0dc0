from __future__ import annotations

import numpy as np

from evolift.prediction.persons.box_geometry import GRID, box_of_joints, box_on_grid, shares_inside


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


def test_how_much_of_the_smaller_box_lies_in_the_other() -> None:
    whole, part, half, away = (
        (0.0, 0.0, 10.0, 10.0),
        (2.0, 2.0, 2.0, 4.0),
        (8.0, 0.0, 4.0, 4.0),
        (20.0, 0.0, 5.0, 5.0),
    )
    shares = shares_inside(np.array([whole]), np.array([part, half, away, (1.0, 1.0, 0.0, 5.0)]))
    np.testing.assert_array_equal(shares, [[1, 0.5, 0, 0]])
    np.testing.assert_array_equal(shares_inside(np.array([part]), np.array([whole])), [[1]])
