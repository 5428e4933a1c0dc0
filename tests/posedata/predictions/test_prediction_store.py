from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evolift.posedata.errors import OutputError, StoreError
from evolift.posedata.predictions.prediction_store import write_prediction_store
from evolift.posedata.store import PoseStore
from tests.posedata.predictions.test_prediction_files import CAMERAS, made


@pytest.mark.parametrize("is_placed", [True, False])
def test_a_store_holds_what_was_predicted(tmp_path: Path, is_placed: bool) -> None:
    predictions = made(6)
    predictions.joints_3d[0, 3] = 5
    if is_placed:
        predictions.root_3d[2::3], predictions.box[2::3] = 7, 7
    write_prediction_store(tmp_path / "a.h5", predictions)
    with pytest.raises(
        StoreError, match="looks 10 times too large"
    ):  # giants are no data, unless one insists
        PoseStore(tmp_path / "a.h5")
    with PoseStore(tmp_path / "a.h5", skeleton=predictions.skeleton, implausible=True) as store:
        poses = store.read()
        assert store.coordinate_frame == "camera"
        assert [camera.name for camera in store.cameras] == [camera.name for camera in CAMERAS]
        frame = store.provenance.parameters["joints_3d"]
    placed = predictions.joints_3d + (predictions.root_3d[:, None] if is_placed else 0)
    np.testing.assert_array_equal(poses.joints_3d, placed)
    assert frame == ("in the frame of the camera" if is_placed else "relative to the root joint")
    assert tuple(poses.subject) == predictions.person
    assert tuple(poses.action) == predictions.image
    assert poses.visibility is not None
    assert poses.visibility[0, 3] == 0
    assert set(np.unique(poses.visibility)) == {0, 1, 2}
    assert (poses.box is not None) == is_placed


def test_unknown_joints_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="lacks 3D joints, which a pose store cannot hold"):
        write_prediction_store(tmp_path / "a.h5", replace(made(3)))
    assert not list(tmp_path.iterdir())
