from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from evolift.lifter.refiner import Refined, RefinerModel
from evolift.lifter.settings import RefinerSettings
from evolift.posedata.camera import Camera
from evolift.posedata.errors import InputError
from evolift.posedata.predictions.predictions import Predictions
from evolift.posedata.skeleton import H36M16, H36M17
from evolift.prediction.cameras.camera_lifting import lift_in_camera
from evolift.prediction.clip import Clip
from evolift.prediction.prediction_results import PredictionResults
from evolift.prediction.temporal_lifting import TemporalLifting
from tests.same_answers import assert_same_answers
from tests.settled_networks import settled_lifter, settled_temporal_lifter

CAMERA = Camera.from_focal_length(1000.0, 800, 600)


def walking(frames: list[int], *, person: str = "person 1", seed: int = 0, **changes: Any) -> Predictions:
    """A person whose joints move smoothly over the frames, by their numbers."""
    generator = np.random.default_rng(seed)
    begin, speed = generator.uniform(200, 400, (17, 2)), generator.uniform(-3, 3, (17, 2))
    number = np.array(frames, float)[:, None, None]
    rows = len(frames)
    values: dict[str, Any] = {
        "skeleton": H36M17,
        "joints_2d": (begin + speed * number + 5 * np.sin(number / 3)).astype(np.float32),
        "joints_3d": np.full((rows, 17, 3), 7, np.float32),
        "confidence": np.ones((rows, 17), np.float32),
        "image": ("v.mp4",) * rows,
        "frame": np.array(frames, np.int64),
        "person": (person,) * rows,
        "root_3d": np.full((rows, 3), np.nan, np.float32),
        "box": np.full((rows, 4), np.nan, np.float32),
        "camera": np.full(rows, -1, np.int32),
    }
    return Predictions(**(values | changes))


def expected(predictions: Predictions, **settings: Any) -> torch.Tensor:
    model = settled_temporal_lifter(**settings)
    with torch.no_grad():
        return model.lift(torch.from_numpy(predictions.joints_2d))


def lifting(**settings: Any) -> TemporalLifting:
    return TemporalLifting(settled_temporal_lifter(**settings), "temporal.safetensors")


def test_tracks_are_lifted_as_clips_whatever_the_order_of_rows() -> None:
    one, other = walking(list(range(20))), walking(list(range(3, 15)), person="b", seed=1)
    both = Predictions.concatenate([one, other])
    order = np.random.default_rng(0).permutation(len(both))
    mixed = replace(
        both,
        **{name: getattr(both, name)[order] for name in ("joints_2d", "joints_3d", "confidence", "frame", "root_3d", "box", "camera", "time")},
        person=tuple(both.person[n] for n in order),
    )  # fmt: skip
    lifted = lifting()(mixed, 30.0)
    joints = np.empty_like(both.joints_3d)
    joints[order] = lifted.predictions.joints_3d
    assert_same_answers(joints, torch.cat([expected(one), expected(other)]))
    np.testing.assert_array_equal(lifted.predictions.joints_2d, mixed.joints_2d)
    assert lifted.notes == (
        "3D poses are lifted over time by temporal.safetensors, each from 9 frames of which it is the middle one.",
    )


def test_few_missing_frames_are_interpolated_and_many_cut_the_track() -> None:
    whole = walking(list(range(30)))
    linear = replace(
        whole, joints_2d=np.linspace(whole.joints_2d[0], whole.joints_2d[-1], 30).astype(np.float32)
    )
    kept = [n for n in range(30) if not 10 <= n < 15]
    lifted = lifting()(rows_of(linear, kept), 30.0)
    assert_same_answers(lifted.predictions.joints_3d, expected(linear)[kept])
    assert len(lifted.notes) == 1
    kept = [n for n in range(30) if not 10 <= n < 16]
    cut = lifting()(rows_of(linear, kept), 30.0)
    parts = [expected(linear[:10]), expected(linear[16:])]
    assert_same_answers(cut.predictions.joints_3d, torch.cat(parts))
    assert cut.notes[1] == "tracks were cut in 1 place, where more than 5 frames of a person are missing."


def rows_of(predictions: Predictions, rows: list[int]) -> Predictions:
    return Predictions.concatenate([predictions[row : row + 1] for row in rows])


def test_other_frame_rates_are_resampled() -> None:
    whole = walking(list(range(41)))
    lifted = lifting()(whole, 60.0)
    at_rate = expected(whole[::2])
    assert_same_answers(lifted.predictions.joints_3d[::2], at_rate)
    between = (at_rate[1:] + at_rate[:-1]) / 2
    assert_same_answers(lifted.predictions.joints_3d[1::2], between)
    assert lifted.notes[1] == "for the temporal lifter 60 frames a second were made 30, by interpolation."
    slow = lifting()(whole, 15.0).predictions
    assert np.isfinite(slow.joints_3d).all()
    times = np.arange(41) / 60  # of a file whose frames have other numbers
    timed = replace(whole, frame=np.arange(41) * 7, time=times)
    assert_same_answers(lifting()(timed, 60.0).predictions.joints_3d, lifted.predictions.joints_3d)


def test_short_tracks_and_single_frames_are_padded_and_said() -> None:
    lifted = lifting()(Predictions.concatenate([walking([0, 1, 2]), walking([5], person="b")]), 30.0)
    assert_same_answers(lifted.predictions.joints_3d[:3], expected(walking([0, 1, 2])))
    assert_same_answers(lifted.predictions.joints_3d[3:], expected(walking([5])))
    assert lifted.notes[-1] == (
        "2 of 2 tracks are shorter than 9 frames: their first and last frames were repeated for the temporal lifter."
    )


def test_joints_that_are_not_there_or_unsure_are_lifted_from_the_others() -> None:
    whole = walking(list(range(12)))
    visibility = np.full((12, 17), 2, np.uint8)
    visibility[4, 3], visibility[5, [3, 8]] = 0, 0
    model = settled_temporal_lifter()
    with torch.no_grad():
        wanted = model.lift(torch.from_numpy(whole.joints_2d), torch.from_numpy(visibility))
    gone, unsure = whole.joints_2d.copy(), whole.confidence.copy()
    gone[visibility == 0] = np.nan
    unsure[visibility == 0] = 0.1
    assert_same_answers(lifting()(replace(whole, joints_2d=gone), 30.0).predictions.joints_3d, wanted)
    assert_same_answers(lifting()(replace(whole, confidence=unsure), 30.0, 0.2).predictions.joints_3d, wanted)
    unsure[7] = 0.1  # of whom nothing would be left: all joints are used
    assert_same_answers(lifting()(replace(whole, confidence=unsure), 30.0, 0.2).predictions.joints_3d, wanted)


@pytest.mark.parametrize("normalisation", ["box", "screen"])
def test_known_cameras_tell_places(normalisation: str) -> None:
    seen = walking(list(range(12)), camera=np.zeros(12, np.int32), cameras=(CAMERA,))
    lifted = lifting(normalisation=normalisation)(seen, 30.0).predictions
    model = settled_temporal_lifter(normalisation=normalisation)
    K, distortion, size = (
        torch.as_tensor(np.asarray(values), dtype=kind).expand(12, *np.shape(values))
        for values, kind in ((CAMERA.K, torch.float64), (CAMERA.distortion, torch.float64), ((800, 600), torch.float32))
    )  # fmt: skip
    visibility = torch.full((12, 17), 2, dtype=torch.uint8)
    with torch.no_grad():
        wanted = lift_in_camera(model, torch.from_numpy(seen.joints_2d), visibility, K, distortion, size)
    assert_same_answers(lifted.joints_3d, wanted.joints_3d)
    np.testing.assert_allclose(lifted.root_3d, wanted.root_3d.float(), rtol=1e-3, atol=1)


def test_a_refiner_goes_on_its_output() -> None:
    torch.manual_seed(0)
    refiner = RefinerModel(RefinerSettings(hidden=8, code=4, layers=0)).eval()
    plain = settled_temporal_lifter()
    lifted = TemporalLifting(Refined(plain, refiner), "x")(walking(list(range(12))), 30.0).predictions
    with torch.no_grad():
        assert_same_answers(lifted.joints_3d, refiner(expected(walking(list(range(12))))))


def test_what_cannot_be_lifted_is_refused() -> None:
    clip = walking([0, 1, 1])
    with pytest.raises(
        InputError, match="person 'person 1' is twice in one frame, so poses cannot be lifted over time"
    ):
        lifting()(clip, 30.0)
    clip = replace(walking([0, 1, 2]), time=np.array([0.0, 0.2, 0.1]))
    with pytest.raises(InputError, match="person 'person 1': frame 2 is not later than frame 1 by the times"):
        lifting()(clip, 30.0)
    with pytest.raises(InputError, match="the temporal lifter is for H36M16, and the poses are H36M17"):
        lifting(skeleton=H36M16)(walking([0, 1]), 30.0)
    with pytest.raises(InputError, match=r"was trained for a known rig.*give `intrinsics`"):
        lifting(normalisation="screen")(walking([0, 1]), 30.0)
    with pytest.raises(InputError, match=r"one\.safetensors is a lifter of one frame: give a temporal one"):
        TemporalLifting(settled_lifter(), "one.safetensors")


def test_clips_are_lifted_when_they_are_added_and_single_images_stay() -> None:
    results = PredictionResults(temporal=lifting())
    results.add(Clip("photo.jpg", walking([0]), 10.0))
    results.add(Clip("v.mp4", walking(list(range(12))), 30.0))
    assert (results.clips[0].predictions.joints_3d == 7).all()
    assert_same_answers(results.clips[1].predictions.joints_3d, expected(walking(list(range(12)))))
    assert [note.split(":")[0] for note in results.notes] == ["v.mp4"]
    with pytest.raises(
        InputError, match="nobody knows who is who, which a temporal lifter needs: leave out `temporal`"
    ):
        results.add(Clip("k.json", walking([0, 1]), 30.0, problem="nobody knows who is who"))


def test_the_command_lifts_tracks_of_keypoints_over_time(evolift, tmp_path: Path) -> None:
    frames = walking(list(range(12)))
    csv = "frame,person," + ",".join(f"{joint}_x,{joint}_y" for joint in H36M17.joints) + "\n"
    for row in range(12):
        values = ",".join(f"{value:.3f}" for value in frames.joints_2d[row].flatten())
        csv += f"{row},a,{values}\n"
    (tmp_path / "k.csv").write_text(csv)
    temporal, one = tmp_path / "temporal.safetensors", tmp_path / "one.safetensors"
    settled_temporal_lifter().save(temporal)
    settled_lifter(normalisation="box").save(one)
    both = ("--lifter", one, "--temporal", temporal)
    done = evolift(
        "predict", tmp_path / "k.csv", *both, "--fps", 30, "--write", "npz", "-o", tmp_path / "out"
    )
    assert done.returncode == 0, done.stderr
    assert "k.csv: 3D poses are lifted over time by temporal.safetensors" in done.stderr
    with np.load(tmp_path / "out" / "predictions.npz") as found:
        np.testing.assert_allclose(found["joints_3d"], expected(frames), atol=1.0, rtol=1e-3)
    untold = evolift("predict", tmp_path / "k.csv", *both, "-o", tmp_path / "other")
    assert untold.returncode == 2
    assert "(give --fps), which a temporal lifter needs: leave out --temporal" in untold.stderr
    stream = evolift("predict", "-", *both)
    assert stream.returncode == 2
    assert "leave out --output, --write, --smooth, --temporal and --webcam" in stream.stderr
