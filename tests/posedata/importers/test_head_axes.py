"""The head's axes in a rest pose, told from people who stand in it along the axes of the file."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from evolift.posedata.importers.head_axes import MAX_LEAN, rest_axes
from evolift.posedata.skeleton import H36M17

# A T-pose facing +z with y up, so that its left is +x.
T_POSE = {
    "pelvis": (0, 900, 0), "spine": (0, 1120, -10), "thorax": (0, 1400, 0), "head": (0, 1630, 20),
    "left_hip": (130, 890, 0), "left_knee": (135, 480, 5), "left_ankle": (135, 70, -10),
    "left_shoulder": (180, 1390, 0), "left_elbow": (460, 1390, 0), "left_wrist": (710, 1390, 0),
    "right_hip": (-130, 890, 0), "right_knee": (-135, 480, 5), "right_ankle": (-135, 70, -10),
    "right_shoulder": (-180, 1390, 0), "right_elbow": (-460, 1390, 0), "right_wrist": (-710, 1390, 0),
}  # fmt: skip
SIGNED_PERMUTATIONS = [
    np.eye(3)[list(order)] * np.array(signs)[:, None]
    for order in permutations(range(3))
    for signs in product((1, -1), repeat=3)
]
X, Y, Z = np.eye(3)


def t_pose(**changes: tuple[float, float, float]) -> dict[str, np.ndarray]:
    return {joint: np.array(place, float) for joint, place in (T_POSE | changes).items()}


def moved(
    joints: dict[str, np.ndarray], matrix: np.ndarray, names: tuple[str, ...] = ()
) -> dict[str, np.ndarray]:
    """All joints, or those named, multiplied by a matrix about the thorax."""
    centre = joints["thorax"]
    return {
        joint: matrix @ (place - centre) + centre if joint in names or not names else place
        for joint, place in joints.items()
    }


def test_a_t_pose() -> None:
    left, up = rest_axes(t_pose())
    np.testing.assert_array_equal(left, X)
    np.testing.assert_array_equal(up, Y)
    assert "nose" not in T_POSE
    assert set(T_POSE) | {"nose"} == set(H36M17.joints)


@settings(max_examples=100, deadline=None)
@given(
    matrix=st.sampled_from(SIGNED_PERMUTATIONS),
    scale=st.floats(1e-3, 1e3),
    shift=st.tuples(*(st.floats(-1e3, 1e3) for _ in range(3))),
    lean=st.floats(0, MAX_LEAN - 10),
    about=st.tuples(*(st.floats(-1, 1) for _ in range(3))).filter(lambda axis: np.linalg.norm(axis) > 0.1),
)
def test_any_axes_of_the_file_are_told_whatever_the_unit_the_place_and_a_small_lean(
    matrix, scale, shift, lean, about
) -> None:
    """A permutation with one sign reversed is a mirrored file: left is where its joints are called left."""
    turn = Rotation.from_rotvec(np.radians(lean) * np.array(about) / np.linalg.norm(about)).as_matrix()
    joints = {joint: scale * place + shift for joint, place in moved(t_pose(), matrix @ turn).items()}
    left, up = rest_axes(joints)
    np.testing.assert_array_equal(left, matrix @ X)
    np.testing.assert_array_equal(up, matrix @ Y)


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    matrix=st.sampled_from(SIGNED_PERMUTATIONS),
)
def test_the_direction_of_legs_and_arms_does_not_matter(seed, matrix) -> None:
    """Some rest poses have legs folded up or arms hanging; iClone's have both along the trunk."""
    rng = np.random.default_rng(seed)
    limbs = [joint for joint in T_POSE if joint.endswith(("knee", "ankle", "elbow", "wrist"))]
    joints = t_pose(**{joint: tuple(rng.normal(0, 1000, 3)) for joint in limbs})
    left, up = rest_axes(moved(joints, matrix))
    np.testing.assert_array_equal(left, matrix @ X)
    np.testing.assert_array_equal(up, matrix @ Y)


@pytest.mark.parametrize(
    ("names", "axis"),
    [
        ((), X), ((), Z),  # the whole body leans forward or aside
        (("head",), X), (("head",), Z),
        (("pelvis",), X), (("pelvis",), Z),
        (("left_shoulder", "right_shoulder", "left_hip", "right_hip"), Y),
    ],
)  # fmt: skip
@pytest.mark.parametrize("degrees", [MAX_LEAN + 8, 45.0, MAX_LEAN - 8])
def test_a_pose_that_leans_too_far_tells_nothing(
    names: tuple[str, ...], axis: np.ndarray, degrees: float
) -> None:
    turn = Rotation.from_rotvec(np.radians(degrees) * axis).as_matrix()
    found = rest_axes(moved(t_pose(), turn, names))
    if degrees > MAX_LEAN:
        assert found is None
    else:
        assert found is not None
        np.testing.assert_array_equal(found, [X, Y])


def test_the_shoulders_are_asked_first_and_then_the_hips() -> None:
    turned = {"left_hip": (0.0, 890.0, 130.0), "right_hip": (0.0, 890.0, -130.0)}
    np.testing.assert_array_equal(rest_axes(t_pose(**turned)), [X, Y])  # the trunk below is twisted
    together = {"left_shoulder": (0.0, 1400.0, 0.0), "right_shoulder": (0.0, 1400.0, 0.0)}
    np.testing.assert_array_equal(rest_axes(t_pose(**together)), [X, Y])
    np.testing.assert_array_equal(rest_axes(t_pose(**together, **turned)), [Z, Y])
    hips_together = {"left_hip": (0.0, 890.0, 0.0), "right_hip": (0.0, 890.0, 0.0)}
    assert rest_axes(t_pose(**together, **hips_together)) is None


def test_joints_that_contradict_each_other_tell_nothing() -> None:
    assert rest_axes(t_pose(head=(0, 1200, 0))) is None  # the head hangs
    assert rest_axes(t_pose(head=(0, 1400, 0))) is None  # it lies on the thorax
    along_trunk = {"left_shoulder": (0.0, 1500.0, 0.0), "right_shoulder": (0.0, 1300.0, 0.0)}
    assert rest_axes(t_pose(**along_trunk)) is None
