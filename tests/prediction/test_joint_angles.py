from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from evolift.drawing.pose_page import Reading
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.limits.anatomical_limits import AnatomicalLimits
from evolift.posedata.skeleton import COCO17, COCO18_PELVIS, H36M17
from evolift.prediction.joint_angles import joint_readings


def bent(
    pose: np.ndarray, middle: str, end: str, degrees: float, axis: tuple[float, float, float]
) -> np.ndarray:
    """The world pose with the limb from `middle` to `end` rotated about an axis from pointing straight on."""
    pose = pose.astype(np.float64).copy()
    joint, tip = H36M17.index(middle), H36M17.index(end)
    above = H36M17.parent_indices[joint]
    along = (pose[joint] - pose[above]) / np.linalg.norm(pose[joint] - pose[above])
    rotated = Rotation.from_rotvec(np.radians(degrees) * np.array(axis)).apply(along)
    pose[tip] = pose[joint] + 250 * rotated
    return pose


def read(*poses: np.ndarray) -> list[dict[str, Reading]]:
    reader = joint_readings(H36M17)
    assert reader is not None
    in_camera = np.stack(poses)[..., [1, 2, 0]] * [
        -1,
        -1,
        1,
    ]  # readings do not depend on where the camera stands
    return [{r.name: r for r in row} for row in reader((in_camera - in_camera[:, :1]).astype(np.float32))]


def outside(row: dict[str, Reading]) -> set[str]:
    return {
        name
        for name, one in row.items()
        if not (one.low if one.low is not None else -np.inf) <= one.value <= (one.high or np.inf)
    }


@pytest.mark.parametrize("degrees", [0.0, 40.0, 90.0, 130.0])
def test_flexion_is_the_angle_from_straight(standing_pose: np.ndarray, degrees: float) -> None:
    # The person faces +x, so the left is +y: rotating about -y lifts what hangs forward, about +y backward.
    elbow = bent(standing_pose, "right_elbow", "right_wrist", degrees, (0, -1, 0))
    knee = bent(standing_pose, "left_knee", "left_ankle", degrees, (0, 1, 0))
    arm, leg = read(elbow, knee)
    found = (arm["right elbow, bent"], leg["left knee, bent"])
    for reading, high in zip(found, (160.0, 165.0), strict=True):
        # The rotation is about the room's axis, which the hanging limb is not quite perpendicular to.
        assert reading.value == pytest.approx(degrees, abs=8)
        assert reading.zero == "straight"
        if degrees:
            assert (reading.low, reading.high, reading.way) == (0.0, high, "")


def test_what_bodies_cannot_do_is_marked_by_how_much(standing_pose: np.ndarray) -> None:
    backward = bent(standing_pose, "right_elbow", "right_wrist", 90, (0, 1, 0))
    forward = bent(standing_pose, "left_knee", "left_ankle", 60, (0, -1, 0))
    standing, arm, leg = read(standing_pose, backward, forward)
    assert not outside(standing)
    assert (outside(arm), outside(leg)) == ({"right elbow, bent"}, {"left knee, bent"})
    for reading in (arm["right elbow, bent"], leg["left knee, bent"]):
        assert reading.way == "out of its plane"
        assert reading.high == 20  # so far it may be bent the wrong way


@pytest.mark.parametrize(
    ("direction", "way", "angle", "high"),
    # Of the left arm; the person faces +x, the left is +y. The last goes up to extension, 60 and tolerances of 15 degrees.
    [
        ((0, 1, 0), "outward", 90, 180),
        ((1, 0, 0), "forward", 90, 180),
        ((1, 1, 0), "forward and outward", 90, 180),
        ((-1, 0, -0.5), "backward", 63, 75),
        ((-1, 0, 0.1), "backward", 96, 75),
        ((0, -1, -0.2), "inward", 79, None),
    ],
)
def test_directions_are_read_from_their_neutral(
    standing_pose: np.ndarray,
    direction: tuple[float, float, float],
    way: str,
    angle: float,
    high: float | None,
) -> None:
    pose = standing_pose.astype(np.float64)
    shoulder = pose[H36M17.index("left_shoulder")]
    along = np.array(direction) / np.linalg.norm(direction)
    for joint, length in {"elbow": 280, "wrist": 540}.items():
        pose[H36M17.index(f"left_{joint}")] = shoulder + length * along
    (row,) = read(pose)
    arm = row["left upper arm"]
    assert (arm.zero, arm.way, arm.value) == ("hanging along the trunk", way, pytest.approx(angle, abs=4))
    if high is not None:
        assert arm.high == pytest.approx(high, abs=4)
    assert ("left upper arm" in outside(row)) == (high is None or angle > high)
    assert row["left elbow, bent"].value == pytest.approx(0, abs=3)
    assert row["right thigh"].value == pytest.approx(3, abs=4)
    assert row["head, tilted"].value == pytest.approx(5, abs=1)  # its top lies 20 of 230 mm ahead
    assert row["head, turned"].value == pytest.approx(0, abs=1)
    # Two trunk bones, the line of the shoulders, head and its rotation; collar bone, arm and leg of each side.
    assert len(row) == 5 + 2 * 5


@pytest.mark.parametrize("degrees", [-110, -60, 25, 60, 110])
def test_a_turned_head_is_read_as_turned_and_a_bowed_one_as_bowed(
    standing_pose: np.ndarray, degrees: float
) -> None:
    thorax, nose, head = (H36M17.index(name) for name in ("thorax", "nose", "head"))
    upright = standing_pose.astype(np.float64)
    upright[head] = upright[thorax] + [0, 0, 230]
    turned, tilted = upright.copy(), upright.copy()
    turn = Rotation.from_euler("z", degrees, degrees=True)
    bow = Rotation.from_euler("y", degrees / 4, degrees=True)  # the person faces +x
    for joint in (nose, head):
        turned[joint] = upright[thorax] + turn.apply(upright[joint] - upright[thorax])
        tilted[joint] = upright[thorax] + bow.apply(upright[joint] - upright[thorax])
    face, neck = read(turned, tilted)
    assert face["head, turned"].value == pytest.approx(abs(degrees), abs=0.5)
    assert face["head, turned"].way == ("to the left" if degrees > 0 else "to the right")
    assert outside(face) == ({"head, turned"} if abs(degrees) > 95 else set())
    assert face["head, tilted"].value == pytest.approx(0, abs=0.5)
    assert neck["head, turned"].value == pytest.approx(0, abs=0.5)
    assert neck["head, tilted"].value == pytest.approx(abs(degrees) / 4, abs=0.5)
    assert neck["head, tilted"].way == ("forward" if degrees > 0 else "backward")
    assert not outside(neck)


def test_turned_shoulders_are_read_against_the_hips(standing_pose: np.ndarray) -> None:
    upper = [H36M17.index(name) for name in H36M17.joints if not name.endswith(("hip", "knee", "ankle"))]
    for degrees, way in ((40, "to the left"), (-70, "to the right")):
        pose = standing_pose.astype(np.float64)
        turn = Rotation.from_euler("z", degrees, degrees=True)
        pose[upper] = pose[0] + turn.apply(pose[upper] - pose[0])
        (row,) = read(pose)
        shoulders = row["shoulders, turned"]
        assert (shoulders.value, shoulders.way) == (pytest.approx(abs(degrees), abs=1), way)
        assert ("shoulders, turned" in outside(row)) == (abs(degrees) > 60)


def test_what_is_said_agrees_with_the_limits(standing_pose: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    poses = standing_pose + rng.normal(0, 120, (300, *standing_pose.shape))
    limits = AnatomicalLimits(KinematicTree(H36M17))
    keeps = limits.check(torch.from_numpy(poses.astype(np.float32))).numpy()
    ends = {
        "shoulder": "collar bone",
        "elbow": "upper arm",
        "wrist": "elbow, bent",
        "knee": "thigh",
        "ankle": "knee, bent",
    }
    names = {f"{side}_{end}": f"{side} {name}" for side in ("left", "right") for end, name in ends.items()}
    for row, kept in zip(read(*poses), keeps, strict=True):
        marked = outside(row)
        for bone, keeps_it in zip(limits.bones, kept, strict=True):
            if bone in names:
                assert (names[bone] in marked) == (not keeps_it), bone
    assert 0.05 < keeps.mean() < 0.95


def test_unlabelled_joints_have_no_angle_and_drawing_trees_no_readings(standing_pose: np.ndarray) -> None:
    pose = standing_pose.astype(np.float64)
    pose[H36M17.index("left_wrist")] = np.nan
    (row,) = read(pose)
    assert "left elbow, bent" not in row
    assert "left upper arm" in row
    assert joint_readings(COCO17) is None
    reader = joint_readings(COCO18_PELVIS)
    assert reader is not None
    assert reader(np.random.default_rng(0).normal(0, 300, (2, 19, 3)).astype(np.float32))[1]
