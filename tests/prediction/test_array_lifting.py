from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from evolift.posedata.camera import Camera
from evolift.posedata.errors import InputError
from evolift.posedata.keypoint_formats.keypoints import keypoints_of
from evolift.posedata.predictions.prediction_files import read_predictions
from evolift.posedata.skeleton import COCO17, H36M17
from evolift.posedata.store import PoseStore
from evolift.prediction.array_lifting import lift
from evolift.prediction.keypoint_lifting import lift_keypoints
from tests.posedata.keypoint_samples import points
from tests.same_answers import assert_same_answers
from tests.settled_networks import settled_lifter

BOX = settled_lifter(normalisation="box")


def frames(count: int = 4) -> np.ndarray:
    """(count, 17, 2) pixels of COCO17."""
    return np.random.default_rng(0).uniform(100, 400, (count, 17, 2))


@pytest.mark.parametrize("skeleton", [COCO17, "COCO17"])
def test_arrays_are_lifted_as_files_are(skeleton) -> None:
    found = lift(frames(), skeleton, lifter=BOX)
    people = keypoints_of(COCO17, frames(), format="test", frame=range(4))
    assert_same_answers(found.joints_3d, lift_keypoints(BOX, people, "test").predictions.joints_3d)
    assert found.skeleton == H36M17
    assert found.frame.tolist() == [0, 1, 2, 3]
    assert set(found.person) == {"person 1"}
    np.testing.assert_array_equal(lift(frames()[0], "COCO17", lifter=BOX).joints_3d.shape, (1, 17, 3))


def test_a_frame_without_joints_is_nan_in_its_place() -> None:
    scored = np.concatenate([frames(), np.ones((4, 17, 1))], -1)
    scored[1, 3:, 2] = 0
    scored[2, 9] = np.nan
    found = lift(scored, "COCO17", lifter=BOX)
    whole = lift(frames(), "COCO17", lifter=BOX)
    assert np.isnan(found.joints_3d[1]).all()
    assert np.isfinite(found.joints_3d[[0, 2, 3]]).all()
    assert_same_answers(found.joints_3d[[0, 3]], whole.joints_3d[[0, 3]])
    assert (found.confidence[1] == 0).all()
    assert np.isnan(found.joints_2d[2, H36M17.index("left_wrist")]).all()


def test_with_a_camera_people_have_a_place() -> None:
    camera = Camera.from_focal_length(900.0, 640, 480, name="c")
    found = lift(frames(), "COCO17", camera=camera, lifter=BOX)
    assert found.cameras == (camera,)
    assert np.isfinite(found.root_3d).any()
    assert np.isnan(lift(frames(), "COCO17", lifter=BOX).root_3d).all()


def test_it_can_be_saved_and_told(tmp_path: Path) -> None:
    found = lift(frames(), "COCO17", lifter=BOX)
    path = tmp_path / "poses.json"
    found.save(path)
    assert json.loads(path.read_text()) == found.to_dict()
    np.testing.assert_allclose(read_predictions(path).joints_3d, found.joints_3d, atol=1e-3)
    found.save(str(tmp_path / "poses.h5"))
    with PoseStore(tmp_path / "poses.h5") as store:
        assert len(store) == 4
    assert repr(found) == "<PredictionTable: 4 poses of H36M17>"


def test_lifters_may_be_files_and_shipped_names(tmp_path: Path) -> None:
    BOX.save(tmp_path / "lifter.safetensors")
    from_file = lift(frames(), "COCO17", lifter=tmp_path / "lifter.safetensors")
    np.testing.assert_array_equal(from_file.joints_3d, lift(frames(), "COCO17", lifter=BOX).joints_3d)
    people = points(H36M17)[..., :2]
    by_name = lift(people, H36M17, lifter="keypoint_lifter")
    np.testing.assert_array_equal(by_name.joints_3d, lift(people, "H36M17").joints_3d)


@pytest.mark.parametrize(
    ("keypoints", "arguments", "message"),
    [
        (
            np.zeros((4, 16, 2)),
            {},
            r"`keypoints` must be \(frames, 17, 2 or 3\) numbers for the skeleton COCO17, not \(4, 16, 2\)",
        ),
        (np.zeros((0, 17, 2)), {}, r"not \(0, 17, 2\)"),
        ("file.json", {}, r"`keypoints` must be \(frames, 17, 2 or 3\) numbers"),
        (np.zeros((4, 17, 2)), {}, "`keypoints` has no frame with enough joints to be lifted"),
        (frames() / 1e4, {}, "`keypoints` lie between 0 and 1, so they are parts of an image: multiply"),
        (
            frames(),
            {"skeleton": "COCO18"},
            "there is no skeleton 'COCO18' .did you mean COCO17..: choose one of",
        ),
        (frames(), {"lifter": "none"}, "no weights called 'none' come with evolift"),
        (frames(), {"lifter": settled_lifter()}, "give `image_size` WIDTH HEIGHT"),
    ],
)
def test_what_does_not_fit_is_refused(keypoints, arguments, message) -> None:
    with pytest.raises(InputError, match=message):
        lift(keypoints, **{"skeleton": "COCO17", "lifter": BOX} | arguments)


@pytest.mark.parametrize("camera", [None, Camera.from_focal_length(900.0, 640, 480, name="c")])
@pytest.mark.parametrize("normalisation", ["box", "camera"])
def test_poses_tell_how_sure_the_lifter_is(camera: Camera | None, normalisation: str) -> None:
    if normalisation == "camera" and camera is None:
        return
    sure = settled_lifter(normalisation=normalisation, uncertainty=True)
    scored = np.concatenate([frames(), np.ones((4, 17, 1))], -1)
    scored[1, 3:, 2] = 0
    found = lift(scored, "COCO17", camera=camera, lifter=sure)
    assert found.sigma_mm is not None
    assert np.isnan(found.sigma_mm[1]).all()
    whole = lift(frames(), "COCO17", camera=camera, lifter=sure).sigma_mm
    assert whole is not None
    assert_same_answers(found.sigma_mm[[0, 2, 3]], whole[[0, 2, 3]], extent=1000.0)
    assert (whole[:, 0] == 0).all()
    assert (whole[:, 1:] > 0).all()
    assert whole[:, 1:].std() > 1
    assert lift(frames(), "COCO17", lifter=BOX).sigma_mm is None
