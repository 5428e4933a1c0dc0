"""A person far off the optical axis, and a lifter that is perfect for cameras that look straight at people."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor

from evolift.lifter.lifter import Lifter
from evolift.lifter.model import LifterModel
from evolift.lifter.normalisation import normalise
from evolift.lifter.settings import LifterSettings
from evolift.lifter.straight_view import camera_from_virtual
from evolift.posedata.camera import Camera
from evolift.posedata.keypoint_formats.keypoints import keypoints_of
from evolift.posedata.skeleton import H36M17
from evolift.prediction.cameras.camera_lifting import lift_in_camera
from evolift.prediction.keypoint_lifting import lift_keypoints

CAMERA = Camera.from_focal_length(900.0, 1920, 1080, distortion=np.array([-0.05, 0.01, 0.001, -0.002, 0.0]))


class StraightOn(Lifter):
    """Answers with the pose that it was made for, and keeps what it was shown."""

    def __init__(self, joints: np.ndarray) -> None:
        super().__init__()
        self.settings = LifterSettings(normalisation="box")
        self.joints = torch.from_numpy(joints).float()
        self.shown = torch.zeros(0)
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, inputs: Tensor) -> Tensor:
        self.shown = inputs
        return (self.joints - self.joints[:1]).expand(len(inputs), -1, -1)

    def folded(self) -> StraightOn:
        return self  # so that what it was shown is found here


def straight_on(standing_pose: np.ndarray) -> np.ndarray:
    """The standing person seen straight on, 3 m away, its bounds in the image centred on the axis; camera frame, mm."""
    joints = standing_pose.astype(float)[:, [1, 2, 0]] * [-1, -1, 1] + [0, 0, 3000]
    for _ in range(20):
        plane = joints[:, :2] / joints[:, 2:]
        joints[:, :2] -= (plane.min(0) + plane.max(0)) / 2 * 3000
    return joints


@pytest.mark.parametrize(("pan", "tilt"), [(0, 0), (40, 0), (-38, 12), (5, -14)])
def test_a_person_off_the_axis_is_placed_and_turned_as_it_is(
    standing_pose: np.ndarray, pan: float, tilt: float
) -> None:
    ahead = straight_on(standing_pose)
    rotation = Rotation.from_euler("YX", [pan, tilt], degrees=True).as_matrix()
    person = ahead @ rotation.T  # in the frame of the true camera
    pixels = CAMERA.project(person)
    model = StraightOn(ahead)
    seen = keypoints_of(H36M17, pixels[None], format="csv", image_size=np.array([[1920, 1080]]))
    found = lift_keypoints(model, seen, "k", cameras=[CAMERA], camera=np.zeros(1, np.int32)).predictions
    ideal = torch.from_numpy(ahead[:, :2] / ahead[:, 2:])[None]
    torch.testing.assert_close(model.shown.double(), normalise(ideal, None, None, "box"), atol=2e-3, rtol=0)
    np.testing.assert_allclose(found.joints_3d[0], person - person[0], atol=2)
    np.testing.assert_allclose(found.root_3d[0], person[0], atol=5)
    unknown = lift_keypoints(model, seen, "k").predictions
    assert np.isnan(unknown.root_3d).all()
    np.testing.assert_allclose(unknown.joints_3d[0], ahead - ahead[0], atol=1e-2)


def test_the_virtual_camera_looks_along_its_direction_and_stays_level() -> None:
    directions = torch.tensor([[0.0, 0, 2], [3, 0, 1], [0, -2, 1], [-1, 2, 0.5]], dtype=torch.float64)
    rotation = camera_from_virtual(directions)
    torch.testing.assert_close(rotation @ rotation.mT, torch.eye(3, dtype=torch.float64).expand(4, 3, 3))
    assert bool((torch.linalg.det(rotation) > 0).all())
    torch.testing.assert_close(rotation[..., 2], torch.nn.functional.normalize(directions, dim=-1))
    assert bool((rotation[:, 1, 0] == 0).all())
    torch.testing.assert_close(rotation[0], torch.eye(3, dtype=torch.float64))


def test_screen_lifters_see_the_true_image(standing_pose: np.ndarray) -> None:
    torch.manual_seed(0)
    model = LifterModel(LifterSettings(hidden=16, blocks=1, normalisation="screen")).eval()
    pixels = torch.from_numpy(CAMERA.project(straight_on(standing_pose) + np.array([900, 0, 0])))[
        None
    ].float()
    seen, size = torch.full((1, 17), 2, dtype=torch.uint8), torch.tensor([[1920.0, 1080.0]])
    K, distortion = torch.from_numpy(CAMERA.K)[None], torch.from_numpy(CAMERA.distortion)[None]
    with torch.no_grad():
        placed = lift_in_camera(model, pixels, seen, K, distortion, size)
        torch.testing.assert_close(placed.joints_3d, model.lift(pixels, seen, size))


def test_a_person_whom_no_camera_can_see_is_left_out(standing_pose: np.ndarray) -> None:
    pixels = CAMERA.project(straight_on(standing_pose))
    pixels[3], pixels[6] = (-9e4, 500), (9e4, 500)
    seen = keypoints_of(H36M17, pixels[None], format="csv")
    wide = Camera.from_focal_length(900.0, 1920, 1080)
    lifted = lift_keypoints(
        StraightOn(straight_on(standing_pose)), seen, "k", cameras=[wide], camera=np.zeros(1, np.int32)
    )
    assert len(lifted.predictions) == 0
    assert "spans more than a camera with these intrinsics can see" in lifted.skipped[0]


def test_images_are_placed_as_keypoints_are() -> None:
    """The chain of detector and lifter gives what the lifter gives of the joints that the detector found."""
    from evolift.chain.model import ChainModel
    from evolift.detector2d.model import DetectorModel
    from evolift.detector2d.settings import DetectorSettings
    from evolift.prediction.pipeline import Pipeline

    torch.manual_seed(0)
    settings: dict[str, Any] = {"input_width": 64, "input_height": 64, "head": "light", "head_widths": (16,)}
    lifter = LifterModel(LifterSettings(hidden=16, blocks=1, normalisation="box"))
    pipeline = Pipeline(ChainModel(DetectorModel(DetectorSettings(backbone="resnet10t", **settings)), lifter))
    image = np.random.default_rng(0).integers(0, 255, (1080, 1920, 3), np.uint8)
    pose = pipeline.predict(image, (1500, 200, 300, 700), CAMERA)
    seen = keypoints_of(H36M17, pose.joints_2d[None].astype(float), format="csv")
    lifted = lift_keypoints(lifter, seen, "k", cameras=[CAMERA], camera=np.zeros(1, np.int32)).predictions
    np.testing.assert_allclose(pose.joints_3d, lifted.joints_3d[0], atol=1e-2)
    np.testing.assert_allclose(pose.root_3d, lifted.root_3d[0], rtol=1e-4)
    without = pipeline.predict(image, (1500, 200, 300, 700))
    assert np.isnan(without.root_3d).all()
    np.testing.assert_array_equal(without.joints_2d, pose.joints_2d)
    rotated = np.linalg.norm(without.joints_3d - pose.joints_3d, axis=-1).max()
    assert rotated > 0.1 * np.linalg.norm(pose.joints_3d, axis=-1).max()
