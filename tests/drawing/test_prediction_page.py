from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from evolift.drawing.pose_page import Reading, embedded_image
from evolift.drawing.prediction_page import MAX_FRAMES, MAX_PEOPLE, write_prediction_page
from evolift.posedata.predictions.predictions import Predictions
from tests.posedata.predictions.test_prediction_files import made


def shown(path: Path) -> dict[str, Any]:
    text = path.read_text()
    found = re.search(r'<script id="data" type="application/json">(.*?)</script>', text, re.S)
    assert found is not None
    return json.loads(found[1])


def clip(frames: int, people: int = 1) -> Predictions:
    rows = frames * people
    return replace(
        made(rows),
        image=("film.mp4",) * rows,
        frame=np.arange(rows, dtype=np.int64) // people,
        person=tuple(str(row % people) for row in range(rows)),
    )


def test_each_pose_has_its_read_outs(tmp_path: Path) -> None:
    predictions = clip(3, 2)

    def readings(joints: np.ndarray) -> list[list[Reading]]:
        return [[Reading("height", float(pose[10, 1]))] for pose in joints]

    write_prediction_page(tmp_path / "p.html", predictions, title="t", readings=readings)
    frames = shown(tmp_path / "p.html")["frames"]
    got = [one["readings"][0]["value"] for frame in frames for one in frame["people"]]
    np.testing.assert_allclose(got, predictions.joints_3d[:, 10, 1], atol=1e-3)
    assert [frame["caption"] for frame in frames] == [f"film.mp4, frame {n}" for n in range(3)]


def test_a_long_clip_and_a_crowd_are_thinned_and_that_is_said(tmp_path: Path) -> None:
    write_prediction_page(tmp_path / "long.html", clip(3000), title="t")
    page = shown(tmp_path / "long.html")
    assert len(page["frames"]) == MAX_FRAMES
    assert page["frames"][-1]["caption"].endswith("frame 2999")
    assert "300 of 3000 frames are shown" in (tmp_path / "long.html").read_text()
    write_prediction_page(tmp_path / "crowd.html", clip(50, 100), title="t")
    assert sum(len(frame["people"]) for frame in shown(tmp_path / "crowd.html")["frames"]) == MAX_PEOPLE


def test_frames_with_images_are_preferred_and_repeated_people_numbered(tmp_path: Path) -> None:
    predictions = replace(clip(4), frame=np.array([0, 1, 2, 2]))
    image = embedded_image(np.zeros((1000, 2000, 3), np.uint8))
    write_prediction_page(tmp_path / "p.html", predictions, title="t", images={("film.mp4", 2): image})
    (frame,) = shown(tmp_path / "p.html")["frames"]
    assert (frame["width"], frame["height"]) == (2000, 1000)
    assert [one["person"] for one in frame["people"]] == ["0", "0 (2)"]


def test_sentences_on_an_image_are_shown_with_it_and_places_are_told(tmp_path: Path) -> None:
    predictions = replace(clip(2, 2), root_3d=np.array([[1, 2, 3], [np.nan] * 3] * 2, np.float32))
    notes = {("film.mp4", 1): ["Unsure."]}
    write_prediction_page(tmp_path / "p.html", predictions, title="t", image_notes=notes)
    frames = shown(tmp_path / "p.html")["frames"]
    assert [[one["notes"] for one in frame["people"]] for frame in frames] == [[[], []], [["Unsure."], []]]
    assert [one["root"] for one in frames[0]["people"]] == [[1, 2, 3], None]
