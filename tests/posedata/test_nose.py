"""Joint 9 of H36M17: where it is put in a head, and what tells it from a neck."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from evolift.posedata.nose import head_of_nose, is_nose, nose_of_head
from evolift.posedata.skeleton import H36M17

LEFT, UP = np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0])  # the person looks along +x
THORAX = np.zeros(3)


def upright_head(neck: float = 104.0, skull: float = 71.0) -> tuple[np.ndarray, np.ndarray]:
    """Base of the skull and top of a head that leans forward by 6 degrees, as Human3.6M's median, of its mean length 175."""
    along = np.array([np.sin(np.radians(4)), 0, np.cos(np.radians(4))])
    return neck * along, (neck + skull) * along


def pitch(bone: np.ndarray) -> float:
    """Degrees forward (+x) of up (z)."""
    return float(np.degrees(np.arctan2(bone[0], bone[2])))


def test_a_head_like_human36m_s_median_gets_its_nose_there() -> None:
    """ANCHORS 8: thorax to joint 9 is 108 to 121 mm, 44 degrees forward; joint 9 to head 115 mm, 32 degrees back."""
    skull, top = upright_head()
    tilt = Rotation.from_euler(
        "y", 6, degrees=True
    )  # the head's axis leans 2 degrees more than the line to its top
    nose = nose_of_head(THORAX, skull, top, LEFT, tilt.apply(UP))
    assert 100 < np.linalg.norm(nose) < 125
    assert pitch(nose) == pytest.approx(44, abs=5)
    assert np.linalg.norm(top - nose) == pytest.approx(115, abs=4)
    assert pitch(top - nose) == pytest.approx(-34, abs=3)
    assert nose[1] == pytest.approx(0, abs=1e-9)


@settings(max_examples=50, deadline=None)
@given(
    angles=st.tuples(*(st.floats(-60, 60) for _ in range(3))),
    place=st.tuples(*(st.floats(-1e4, 1e4) for _ in range(3))),
    scale=st.floats(0.5, 2),
)
def test_it_moves_with_the_head_and_gives_the_head_s_axes_back(angles, place, scale) -> None:
    rotation, shift = Rotation.from_euler("ZYX", angles, degrees=True), np.array(place)
    skull, top = (scale * point for point in upright_head())
    at_rest = nose_of_head(THORAX, skull, top, LEFT, UP)
    moved = nose_of_head(
        shift,
        rotation.apply(skull) + shift,
        rotation.apply(top) + shift,
        rotation.apply(LEFT),
        rotation.apply(UP),
    )
    np.testing.assert_allclose(moved, rotation.apply(at_rest) + shift, atol=1e-6)
    _, left, up = head_of_nose(shift, moved, rotation.apply(top) + shift)
    np.testing.assert_allclose(left, rotation.apply(LEFT), atol=1e-6)
    np.testing.assert_allclose(up, rotation.apply(UP), atol=1e-6)


def test_the_base_of_the_skull_comes_back_where_neck_and_skull_are_in_proportion() -> None:
    top = np.array([0.0, 0.0, 240.0])
    skull, _, _ = head_of_nose(THORAX, nose_of_head(THORAX, np.array([0.0, 0, 142]), top, LEFT, UP), top)
    np.testing.assert_allclose(skull, [0, 0, 142], atol=1e-6)


def test_a_nose_is_told_from_a_neck(standing_pose: np.ndarray) -> None:
    poses = np.repeat(standing_pose[None].astype(float), 3, 0)
    assert is_nose(poses)
    thorax, head = (poses[:, H36M17.index(name)] for name in ("thorax", "head"))
    poses[:, H36M17.index("nose")] = thorax + 0.6 * (head - thorax) + [5.0, 0, 0]
    assert not is_nose(poses)
