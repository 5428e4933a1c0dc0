from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from evolift.chain.model import ChainModel
from evolift.lifter.lifter import FoldedLifter
from evolift.lifter.refiner import Refined, RefinerModel, RefinerSettings
from evolift.posedata.camera import Camera
from evolift.posedata.errors import InputError
from evolift.posedata.predictions.prediction_files import read_predictions
from evolift.posedata.video_file import VideoWriter
from evolift.prediction.frame_choice import FrameChoice
from evolift.prediction.image_prediction import with_people
from evolift.prediction.pipeline import Pipeline
from tests.same_answers import assert_same_answers
from tests.settled_networks import settled_detector, settled_lifter


def test_a_pipeline_leaves_the_chain_as_it_was() -> None:
    chain = ChainModel(settled_detector(), settled_lifter(normalisation="box")).eval()
    before = {name: value.clone() for name, value in chain.state_dict().items()}
    assert Pipeline(chain).model is not chain
    torch.testing.assert_close(chain.state_dict(), before, rtol=0, atol=0)
    assert all(value.requires_grad for value in chain.parameters())


@pytest.mark.parametrize("refined", [False, True])
def test_a_pipeline_answers_as_its_stages_do_by_folded_copies(refined) -> None:
    torch.manual_seed(0)
    chain = ChainModel(settled_detector(), settled_lifter(normalisation="box")).eval()
    refiner = RefinerModel(RefinerSettings(hidden=8, code=4)).eval() if refined else None
    pipeline = Pipeline(chain, refiner=refiner)
    assert isinstance(pipeline.lifter, FoldedLifter)
    image = np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8)
    pose = pipeline.predict(image, (20, 10, 60, 70))
    lifter = chain.lifter if refiner is None else Refined(chain.lifter, refiner)
    wanted = lifter.lift(torch.from_numpy(pose.joints_2d)[None])[0].detach().numpy()
    assert_same_answers(pose.joints_3d, wanted)
    with pytest.raises(InputError, match="only the lifter as it was trained can be saved"):
        pipeline.model.to_checkpoint({})


def test_a_pipeline_says_what_it_holds() -> None:
    chain = ChainModel(settled_detector(), settled_lifter(normalisation="box")).eval()
    inside = "lifter semgcn (box){}, 17 joints of H36M17, cpu>"
    assert repr(Pipeline(chain)) == "<Pipeline: detector resnet10t 64 x 64, " + inside.format("")
    refiner = RefinerModel(RefinerSettings(hidden=8, code=4))
    assert repr(Pipeline(chain, refiner=refiner)).endswith(inside.format(", refined"))
    assert repr(Pipeline.from_pretrained()).startswith(
        "<Pipeline 'photo_pose': detector tf_efficientnet_lite2 "
    )


def test_a_pose_can_be_saved_and_told(tmp_path: Path) -> None:
    pipeline = Pipeline(ChainModel(settled_detector(), settled_lifter(normalisation="box")))
    pose = pipeline.predict(np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8))
    pose.save(tmp_path / "pose.json", image="a.jpg")
    assert json.loads((tmp_path / "pose.json").read_text()) == pose.to_dict("a.jpg")
    read = read_predictions(tmp_path / "pose.json")
    assert read.image == ("a.jpg",)
    np.testing.assert_allclose(read.joints_3d[0], pose.joints_3d, atol=1e-3)


def test_a_video_is_followed_frame_by_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "evolift.prediction.tracking.person_following.MIN_FOLLOWED", 0.0
    )  # of a network that learnt nothing
    images = np.random.default_rng(0).integers(0, 255, (8, 90, 120, 3), np.uint8)
    with VideoWriter(tmp_path / "film.mp4", (120, 90), 10.0) as video:
        for image in images:
            video.write(image)
    pipeline = Pipeline(ChainModel(settled_detector(), settled_lifter(normalisation="box")))
    frames = list(pipeline.predict_video(tmp_path / "film.mp4", frames=FrameChoice(start=1, stride=3)))
    assert [frame.frame for frame in frames] == [1, 4, 7]
    np.testing.assert_allclose([frame.time for frame in frames], [0.1, 0.4, 0.7], atol=1e-6)
    (alone,) = pipeline.predict_people(frames[0].image, max_people=1)
    assert frames[0].pose is not None
    np.testing.assert_array_equal(frames[0].pose.joints_3d, alone.joints_3d)
    limited = pipeline.predict_video(str(tmp_path / "film.mp4"), frames=FrameChoice(max_frames=2))
    assert [frame.frame for frame in limited] == [0, 1]
    with pytest.raises(InputError, match="address on the web"):
        next(pipeline.predict_video("https://a.org/b.mp4"))


def test_a_lifter_for_a_rig_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    image = np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8)
    with caplog.at_level(logging.WARNING, "evolift"):
        Pipeline(ChainModel(settled_detector(), settled_lifter(normalisation="box"))).predict(image)
        assert caplog.messages == []
        pipeline = Pipeline(ChainModel(settled_detector(), settled_lifter(normalisation="screen")))
        pipeline.predict([image, image])
    assert len(caplog.messages) == 1
    assert "this lifter was trained for a known rig" in caplog.messages[0]


@pytest.mark.parametrize("camera", [None, Camera.from_focal_length(150.0, 120, 90)])
def test_a_pose_tells_how_sure_the_lifter_is(tmp_path: Path, camera: Camera | None) -> None:
    chain = ChainModel(settled_detector(), settled_lifter(normalisation="box", uncertainty=True)).eval()
    image = np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8)
    pose = Pipeline(chain).predict(image, (20, 10, 60, 70), camera)
    assert pose.sigma_mm is not None
    assert pose.sigma_px is not None
    if camera is None:
        wanted = chain.lifter.lift_with_sigma(torch.from_numpy(pose.joints_2d)[None]).sigma
        assert wanted is not None
        assert_same_answers(pose.sigma_mm, wanted[0], extent=1000.0)
    assert (pose.sigma_mm[1:] > 0).all()
    pose.save(tmp_path / "pose.json")
    read = read_predictions(tmp_path / "pose.json").sigma_mm
    assert read is not None
    np.testing.assert_allclose(read[0], pose.sigma_mm, atol=1e-3)
    assert pose.to_dict()["people"][0]["sigma_mm"][0] == 0
    drawn, plain = (with_people(image, [one]) for one in (pose, replace(pose, sigma_mm=None)))
    assert (drawn != plain).any()
    assert pose.plot(image).axes
