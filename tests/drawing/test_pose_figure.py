from __future__ import annotations

import numpy as np
import pytest

from evolift.drawing.colours import LEFT_COLOUR, RIGHT_COLOUR
from evolift.drawing.pose_figure import figure_image, new_figure, plot_pose, pose_axes, upright
from evolift.posedata.skeleton import H36M17

# Camera frame: x right, y down, z forward; the person faces the camera, so its right is at the image's left.
_PERSON = {
    "right_hip": (-100, 0, 0), "right_knee": (-110, 400, 0), "right_ankle": (-110, 800, 0), "left_hip": (100, 0, 0),
    "left_knee": (110, 400, 0), "left_ankle": (110, 800, 0), "spine": (0, -220, 0), "thorax": (0, -500, 0),
    "nose": (0, -600, -90), "head": (0, -700, 0), "left_shoulder": (180, -480, 0), "left_elbow": (300, -300, 0),
    "left_wrist": (400, -100, 0), "right_shoulder": (-180, -480, 0), "right_elbow": (-300, -300, 0),
    "right_wrist": (-400, -100, 0),
}  # fmt: skip
POSE = np.array([_PERSON.get(name, (0, 0, 0)) for name in H36M17.joints], np.float32)


def _centres(pose: np.ndarray, **options: str) -> dict[tuple[int, int, int], np.ndarray]:
    figure = new_figure(4.0, 4.0)
    plot_pose(pose_axes(figure), pose, H36M17, **options)  # type: ignore[arg-type]
    image = figure_image(figure).astype(int)
    return {
        colour: np.argwhere((abs(image - colour) < 12).all(-1)).mean(0)
        for colour in (RIGHT_COLOUR, LEFT_COLOUR)
    }


def test_a_person_facing_the_camera_has_its_right_at_the_left_of_the_figure() -> None:
    centres = _centres(POSE)
    assert centres[RIGHT_COLOUR][1] + 30 < centres[LEFT_COLOUR][1]


def test_the_head_is_up() -> None:
    arms_only, legs_only = POSE.copy(), POSE.copy()
    arms_only[1:7], legs_only[11:] = np.nan, np.nan
    assert _centres(arms_only)[LEFT_COLOUR][0] < _centres(legs_only)[LEFT_COLOUR][0] - 20


def test_upright_keeps_handedness() -> None:
    axes = upright(np.eye(3), "camera")
    assert np.linalg.det(axes) == pytest.approx(1)
    assert axes[1].tolist() == [0, 0, -1]
    assert upright(np.eye(3), "world").tolist() == np.eye(3).tolist()


def test_world_frame_of_the_same_pose_gives_the_same_drawing() -> None:
    camera, world = _centres(POSE), _centres(upright(POSE, "camera"), frame="world")
    assert camera[LEFT_COLOUR] == pytest.approx(world[LEFT_COLOUR], abs=3)


def test_bad_poses() -> None:
    axes = pose_axes(new_figure())
    with pytest.raises(ValueError, match=r"joints must have shape \(17, 3\) \(got \(16, 3\)\)"):
        plot_pose(axes, POSE[:16], H36M17)
    with pytest.raises(ValueError, match="at least one finite joint"):
        plot_pose(axes, np.full((17, 3), np.nan), H36M17)
