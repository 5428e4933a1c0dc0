from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from evolift.lifter.settings import EVALUATION_PAIRS
from evolift.lifter.temporal.evaluation import (
    TestClips,
    evaluate_clips,
    lifted_clips,
    lifter_of_file,
    markdown_report,
    open_test_clips,
    rate_of_lifters,
    smoothed_clip,
)
from evolift.lifter.temporal.model import TemporalLifter
from evolift.posedata.errors import InputError
from evolift.posedata.metrics import mpjpe
from evolift.posedata.skeleton import H36M16, H36M17
from evolift.posedata.smoothing import smoothed
from tests.conftest import WriteClips
from tests.settled_networks import settled_lifter, settled_temporal_lifter


@pytest.fixture(scope="module")
def clips(clip_store) -> TestClips:
    return open_test_clips(clip_store, H36M17, store_fps=30.0, subjects=("bob",))


def test_each_clip_is_seen_by_four_cameras_that_stand_still(clips: TestClips, clip_store) -> None:
    assert [(clip.subject, clip.action, len(clip.pairs)) for clip in clips.clips] == [
        ("bob", action, 40) for action in ("walk", "sway") for _ in range(4)
    ]
    for clip in clips.clips:
        assert (clip.pairs.cameras.R[0] == clip.pairs.cameras.R).all()
        assert (clip.pairs.cameras.t == clip.pairs.cameras.t[0]).all()
    again = open_test_clips(clip_store, H36M17, store_fps=30.0, subjects=("bob",))
    assert all(
        torch.equal(a.pairs.pixels, b.pairs.pixels) for a, b in zip(clips.clips, again.clips, strict=True)
    )
    assert clips.in_words() == (
        "8 clips of 1 person, 320 frames at 30 a second; cameras: four around each pose, as in Human3.6M; 2D: projected 3D joints (ground truth)."
    )


def test_long_clips_are_cut_after_ten_seconds(write_clips: WriteClips, tmp_path) -> None:
    path = write_clips(tmp_path / "a.h5", {("ann", "walk"): range(205), ("ann", "stand"): range(2)})
    found = open_test_clips(path, H36M17, rate=10.0, store_fps=10.0)
    assert [len(clip.pairs) for clip in found.clips[::4]] == [100, 100, 5]


def test_scores_are_those_of_the_definitions(clips: TestClips) -> None:
    one, several = settled_lifter(normalisation="box"), settled_temporal_lifter()
    scores = evaluate_clips({"one": one, "several": several}, clips)
    assert list(dict.fromkeys(scores["checkpoint"])) == [
        "one",
        "one, smoothed",
        "several",
        "several, smoothed",
    ]
    overall = scores[scores["name"] == "overall"].set_index("checkpoint")
    errors, accelerations = [], {"walk": [], "sway": []}
    for clip in clips.clips:
        truth = clip.pairs.joints - clip.pairs.joints[:, :1]
        with torch.no_grad():
            answer = several.lift(clip.pairs.pixels, clip.pairs.visibility, None, clip.pairs.lens)
        errors.append(mpjpe(answer, truth))
        wrong = answer - truth
        accelerations[clip.action] += (wrong[2:] - 2 * wrong[1:-1] + wrong[:-2]).norm(dim=-1).mean(1).tolist()
    assert overall.loc["several", "mpjpe"] == pytest.approx(float(torch.cat(errors).mean()), rel=1e-4)
    means = {name: sum(values) / len(values) for name, values in accelerations.items()}
    mean = sum(means.values()) / 2
    assert overall.loc["several", "acceleration"] == pytest.approx(mean, rel=1e-4)
    assert overall.loc["several", "acceleration_m_s2"] == pytest.approx(mean * 0.9, rel=1e-4)
    actions = scores[(scores["group"] == "action") & (scores["checkpoint"] == "several")].set_index("name")
    assert actions["acceleration"].to_dict() == pytest.approx(means, rel=1e-4)
    report = markdown_report(scores, clips)
    assert "| several | overall | 320 |" in report


def test_smoothing_lowers_errors_of_acceleration(clip_store) -> None:
    noisy = open_test_clips(
        clip_store, H36M17, EVALUATION_PAIRS.replaced(noise=5.0), store_fps=30.0, subjects=("bob",)
    )
    scores = evaluate_clips({"one": settled_lifter(normalisation="box")}, noisy)
    plain, smooth = scores[scores["name"] == "overall"]["acceleration"]
    assert smooth < 0.7 * plain


def test_unlabelled_joints_are_not_scored(write_clips: WriteClips, tmp_path) -> None:
    path = write_clips(tmp_path / "a.h5", {("ann", "walk"): range(12)}, unlabelled=("nose",))
    found = open_test_clips(path, H36M17, store_fps=30.0)
    scores = evaluate_clips({"several": settled_temporal_lifter()}, found)
    assert pd.isna(scores[scores["name"] == "nose"]["mpjpe"]).all()
    overall = scores[scores["name"] == "overall"].iloc[0]
    assert overall["mpjpe"] > 0
    assert overall["acceleration"] > 0


def test_what_does_not_fit_is_refused(
    clips: TestClips, clip_store, write_clips: WriteClips, tmp_path
) -> None:
    for model, message in (
        (settled_temporal_lifter(skeleton=H36M16), "the lifter is for H36M16, the clips are H36M17"),
        (settled_temporal_lifter(frames_per_second=50), "sees 50 frames a second, the clips have 30"),
        (settled_lifter(target="z"), "`target` xyz and 2 `input_axes`"),
    ):
        with pytest.raises(InputError, match=message):
            evaluate_clips({"x": model}, clips)
    with pytest.raises(InputError, match="are of 25 and 30 frames a second: evaluate them one by one"):
        rate_of_lifters([settled_temporal_lifter(), settled_lifter()], 25.0)
    assert rate_of_lifters([settled_lifter()], 25.0) == 25.0
    assert rate_of_lifters([settled_temporal_lifter(frames_per_second=50)], None) == 50.0
    short = write_clips(tmp_path / "a.h5", {("ann", "walk"): [1, 2]})
    with pytest.raises(InputError, match="none of its clips has three frames"):
        open_test_clips(short, H36M17, store_fps=30.0)


def test_checkpoints_tell_what_they_are(tmp_path) -> None:
    settled_lifter().save(tmp_path / "one.safetensors")
    settled_temporal_lifter().save(tmp_path / "several.safetensors")
    assert not isinstance(lifter_of_file(tmp_path / "one.safetensors"), TemporalLifter)
    assert isinstance(lifter_of_file(tmp_path / "several.safetensors"), TemporalLifter)


def test_smoothed_answers_are_those_of_the_filter_of_predictions(clips: TestClips) -> None:
    model = settled_lifter(normalisation="box")
    plain = list(lifted_clips(model, clips))
    by_hand = [smoothed(one.numpy(), np.arange(len(one)) / clips.rate) for one in plain]
    for one, expected in zip(plain, by_hand, strict=True):
        np.testing.assert_array_equal(smoothed_clip(one, clips.rate).numpy(), expected)
        assert np.abs(one.numpy() - expected).max() > 0.1
    scores = evaluate_clips({"one": model}, clips).set_index(["checkpoint", "name"])["mpjpe"]
    truths = [clip.pairs.root_relative(0) for clip in clips.clips]
    for name, answers in (("one", plain), ("one, smoothed", [torch.from_numpy(one) for one in by_hand])):
        expected = torch.cat([(a - b).norm(dim=-1).mean(-1) for a, b in zip(answers, truths, strict=True)])
        assert scores[name, "overall"] == pytest.approx(float(expected.mean()), rel=1e-4)
