from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from evolift.drawing.pose_page import Reading
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


@pytest.mark.parametrize("degrees", [0.0, 40.0, 90.0, 130.0])
def test_flexion_is_the_angle_from_straight(standing_pose: np.ndarray, degrees: float) -> None:
    # The person faces +x, so the left is +y: rotating about -y lifts what hangs forward, about +y backward.
    elbow = bent(standing_pose, "right_elbow", "right_wrist", degrees, (0, -1, 0))
    knee = bent(standing_pose, "left_knee", "left_ankle", degrees, (0, 1, 0))
    arm, leg = read(elbow, knee)
    found = (arm["right elbow flexion"], leg["left knee flexion"])
    for reading, high in zip(found, (160.0, 165.0), strict=True):
        # The rotation is about the room's axis, which the hanging limb is not quite perpendicular to.
        assert reading.value == pytest.approx(degrees, abs=8)
        assert (reading.low, reading.high, reading.is_outside) == (0.0, high, False)


def test_what_bodies_cannot_do_is_marked(standing_pose: np.ndarray) -> None:
    backward = bent(standing_pose, "right_elbow", "right_wrist", 90, (0, 1, 0))
    forward = bent(standing_pose, "left_knee", "left_ankle", 60, (0, -1, 0))
    standing, arm, leg = read(standing_pose, backward, forward)
    assert not any(reading.is_outside for reading in standing.values())
    assert arm["right elbow flexion, bent out of its plane"].is_outside
    assert leg["left knee flexion, bent out of its plane"].is_outside
    assert {name for name, reading in arm.items() if reading.is_outside} == {
        "right elbow flexion, bent out of its plane"
    }


def test_directions_are_read_from_their_neutral(standing_pose: np.ndarray) -> None:
    pose = standing_pose.copy()
    for joint, place in {"elbow": (180, 460), "wrist": (180, 720)}.items():
        pose[H36M17.index(f"left_{joint}")] = (0, place[1], 1390)  # the left arm held out to the side
    (row,) = read(pose)
    assert row["left upper arm from hanging"].value == pytest.approx(90, abs=3)
    assert row["left elbow flexion"].value == pytest.approx(0, abs=3)
    assert row["right thigh from straight down"].value == pytest.approx(3, abs=4)
    assert row["head from upright"].value == pytest.approx(5, abs=1)  # its top lies 20 of 230 mm ahead
    assert row["rotation of the head"].value == pytest.approx(0, abs=1)
    assert (
        len(row) == 4 + 2 * 5
    )  # two trunk bones, head and its rotation; collar bone, arm and leg of each side


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
    assert face["rotation of the head"].value == pytest.approx(abs(degrees), abs=0.5)
    assert face["rotation of the head"].is_outside == (abs(degrees) > 95)
    assert face["head from upright"].value == pytest.approx(0, abs=0.5)
    assert neck["rotation of the head"].value == pytest.approx(0, abs=0.5)
    assert neck["head from upright"].value == pytest.approx(abs(degrees) / 4, abs=0.5)
    assert not any(reading.is_outside for reading in neck.values())


def test_drawing_trees_have_no_readings() -> None:
    assert joint_readings(COCO17) is None
    reader = joint_readings(COCO18_PELVIS)
    assert reader is not None
    assert reader(np.random.default_rng(0).normal(0, 300, (2, 19, 3)).astype(np.float32))[1]
