from __future__ import annotations

import numpy as np
import pytest
import torch

from evolift.lifter.model import LifterModel
from evolift.lifter.settings import LifterSettings
from evolift.posedata.errors import InputError
from evolift.posedata.joint_mapping import mapping_between
from evolift.posedata.keypoint_formats.keypoints import Keypoints, keypoints_of
from evolift.posedata.predictions.predictions import Predictions
from evolift.posedata.skeleton import COCO17, H36M16, H36M17, LSP14
from evolift.prediction.keypoint_lifting import lift_keypoints
from tests.same_answers import assert_same_answers
from tests.settled_networks import settled_lifter


def lifter(**settings: object) -> LifterModel:
    torch.manual_seed(0)
    return LifterModel(
        LifterSettings(**{"hidden": 16, "blocks": 1, "normalisation": "box", **settings})
    ).eval()  # type: ignore[arg-type]  # settings of tests


def people(rows: int = 5, **changes: object) -> Keypoints:
    joints = np.random.default_rng(0).uniform(0, 600, (rows, 17, 2))
    return keypoints_of(COCO17, joints, format="coco", **changes)  # type: ignore[arg-type]  # settings of tests


def test_people_are_lifted_as_the_lifter_lifts_one() -> None:
    model, given = lifter(), people(image=["a", "a", "b", "b", ""], person=["x", "y", "x", "y", "z"])
    lifted = lift_keypoints(model, given, "k.json").predictions
    mapped, _ = mapping_between(COCO17, H36M17).convert(given.joints_2d)
    for row in range(5):
        with torch.no_grad():
            alone = model.lift(torch.from_numpy(mapped[row : row + 1]))
        assert_same_answers(lifted.joints_3d[row], alone[0])
    assert lifted.image == ("a", "a", "b", "b", "k.json")
    assert lifted.person == ("x", "y", "x", "y", "z")
    assert lifted.frame.tolist() == [0, 0, 1, 1, 2]
    assert np.isnan(lifted.root_3d).all()


def test_missing_joints_are_lifted_from_the_rest_and_flagged() -> None:
    model, whole = lifter(), people(1)
    points = whole.joints_2d.astype(np.float64)
    wrist = COCO17.index("left_wrist")
    points[0, wrist] = np.nan
    lifted = lift_keypoints(model, keypoints_of(COCO17, points, format="coco"), "k").predictions
    left = H36M17.index("left_wrist")
    assert lifted.confidence[0, left] == 0
    assert np.isnan(lifted.joints_2d[0, left]).all()
    assert np.isfinite(np.delete(lifted.joints_2d[0], left, 0)).all()
    assert np.isfinite(lifted.joints_3d).all()
    points[0, wrist] = 1e5  # unlabelled, so its coordinates have no say
    hidden = np.full((1, 17), 2)
    hidden[0, wrist] = 0
    other = lift_keypoints(
        model, keypoints_of(COCO17, points, format="coco", visibility=hidden), "k"
    ).predictions
    np.testing.assert_array_equal(other.joints_3d, lifted.joints_3d)


def test_people_of_whom_too_little_is_known_are_left_out_with_a_sentence() -> None:
    points = people(4).joints_2d.astype(np.float64)
    points[0, 3:] = np.nan
    points[1] = 7.0
    points[2] *= 1e6
    lifted = lift_keypoints(
        lifter(), keypoints_of(COCO17, points, format="coco", image=list("abcd")), "k.json"
    )
    assert lifted.predictions.image == ("d",)
    assert lifted.skipped == (
        "k.json: person 1 of frame 0 (a) has fewer than 6 of the 17 joints of H36M17, so it is left out",
        "k.json: person 1 of frame 2 (c) has fewer than 6 of the 17 joints of H36M17, so it is left out",
        "k.json: person 1 of frame 1 (b) has all joints in one place, so it is left out",
    )
    nobody = lift_keypoints(lifter(), keypoints_of(COCO17, points[:1], format="coco"), "k.json")
    assert (len(nobody.predictions), len(nobody.skipped)) == (0, 1)


def test_screen_lifters_need_the_size_of_the_images() -> None:
    model = lifter(normalisation="screen")
    with pytest.raises(InputError, match=r"k.json does not tell the size of its images.*give `image_size`"):
        lift_keypoints(model, people(), "k.json")
    sized = people(2, image_size=np.array([[640, 480], [0, 0]])).with_image_size((1920, 1080))
    assert sized.image_size.tolist() == [[640, 480], [1920, 1080]]
    lifted = lift_keypoints(model, sized, "k.json").predictions
    other = lift_keypoints(model, people(2).with_image_size((640, 480)), "k.json").predictions
    np.testing.assert_array_equal(lifted.joints_3d[0], other.joints_3d[0])
    assert not np.allclose(lifted.joints_3d[1], other.joints_3d[1])


def test_lifters_that_cannot_be_used_are_refused() -> None:
    with pytest.raises(InputError, match="gives depth alone"):
        lift_keypoints(lifter(target="z"), people(), "k")
    with pytest.raises(InputError, match="takes the depth of a volumetric detector"):
        lift_keypoints(lifter(input_axes=3), people(), "k")
    with pytest.raises(InputError, match="no mapping from COCO17 to LSP14"):
        lift_keypoints(lifter(skeleton=LSP14), people(), "k")


def test_sixteen_joints_are_those_of_seventeen() -> None:
    given = people(3)
    sixteen, seventeen = given.to_skeleton(H36M16), given.to_skeleton(H36M17)
    chosen = [H36M17.index(joint) for joint in H36M16.joints]
    np.testing.assert_array_equal(sixteen.joints_2d, seventeen.joints_2d[:, chosen])
    assert len(lift_keypoints(lifter(skeleton=H36M16), given, "k").predictions) == 3


def test_joints_of_little_confidence_are_lifted_from_the_others() -> None:
    model = settled_lifter(normalisation="box")
    joints = np.random.default_rng(0).uniform(100, 300, (3, 17, 2)).astype(np.float32)
    confidence = np.full((3, 17), 0.9, np.float32)
    confidence[0, [3, 13]] = 0.1
    confidence[2, :10] = 0.1  # too many: all are used
    spoilt = joints.copy()
    spoilt[0, [3, 13]] = (5000, -3000)
    gone = confidence.copy()
    gone[0, [3, 13]] = 0

    def lifted(pixels: np.ndarray, sure: np.ndarray, **how: float) -> Predictions:
        given = keypoints_of(H36M17, pixels, format="array", confidence=sure)
        return lift_keypoints(model, given, "array", **how).predictions

    with_garbage = lifted(spoilt, confidence)
    np.testing.assert_array_equal(with_garbage.joints_3d[0], lifted(joints, gone).joints_3d[0])
    np.testing.assert_array_equal(with_garbage.joints_2d[0, 3], (5000, -3000))  # told as it was found
    every = lifted(joints, confidence, min_joint_confidence=0.0).joints_3d
    np.testing.assert_array_equal(lifted(joints, confidence).joints_3d[2], every[2])
    assert np.abs(with_garbage.joints_3d[0] - every[0]).max() > 1
