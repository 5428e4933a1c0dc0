from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from evolift.posedata.importers.euler_angles import matrix_product, rotation_from_euler


@pytest.mark.parametrize("axes", ["xyz", "zyx", "yxz", "xzy", "zxy", "yzx", "x", "zx"])
@given(seed=st.integers(0, 2**31))
@settings(max_examples=10, deadline=None)
def test_agrees_with_scipy_about_fixed_axes(axes: str, seed: int) -> None:
    angles = np.random.default_rng(seed).uniform(-7, 7, (5, len(axes)))
    expected = Rotation.from_euler(axes, angles).as_matrix()
    np.testing.assert_allclose(rotation_from_euler(angles, axes), expected, atol=1e-12)


def test_moving_axes_are_fixed_axes_in_the_opposite_order() -> None:
    angles = np.array([[0.3, -1.2, 2.0]])
    expected = Rotation.from_euler("ZYX", angles).as_matrix()
    np.testing.assert_allclose(rotation_from_euler(angles[:, ::-1], "xyz"), expected, atol=1e-12)


def test_no_turn_is_the_identity() -> None:
    np.testing.assert_array_equal(
        rotation_from_euler(np.zeros((2, 0)), ""), np.broadcast_to(np.eye(3), (2, 3, 3))
    )


def test_products_of_many_matrices() -> None:
    rng = np.random.default_rng(0)
    for frames, other, columns in ((5, 5, 3), (5, 1, 1), (1, 5, 3), (1, 1, 1)):
        left, right = rng.normal(size=(frames, 3, 3)), rng.normal(size=(other, 3, columns))
        np.testing.assert_allclose(matrix_product(left, right), left @ right, atol=1e-12)
