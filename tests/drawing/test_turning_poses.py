"""Skeletons that turn: their data, and what a browser makes of them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from evolift.drawing.report_page import ReportPage
from evolift.drawing.turning_poses import Film, TurningPose
from tests.drawing.test_pose_figure import POSE
from tests.headless_chromium import HeadlessPage

FRAMES = np.stack([POSE, POSE + np.float32([0, 100, 0])])


def _film() -> Film:
    return Film([np.full((30, 40, 3), shade, np.uint8) for shade in (10, 200)], "film")


def _page(tmp_path: Path) -> Path:
    page = ReportPage("t").turning([TurningPose(FRAMES, "a <b>"), _film()], [("7 mm", "error")])
    page.turning([TurningPose(POSE[None], "still")])
    page.write(tmp_path / "page.html")
    return tmp_path / "page.html"


def test_camera_axes_are_stood_up_about_the_middle_of_the_motion() -> None:
    drawn = np.array(TurningPose(FRAMES).data()["frames"])
    low, high = FRAMES.min((0, 1)), FRAMES.max((0, 1))
    middle = (low + high) / 2
    expected = np.stack(
        [FRAMES[..., 0] - middle[0], FRAMES[..., 2] - middle[2], middle[1] - FRAMES[..., 1]], -1
    )
    np.testing.assert_allclose(drawn, expected, atol=0.51)
    world = np.array(TurningPose(FRAMES, frame="world").data()["frames"])
    np.testing.assert_allclose(world, FRAMES - middle, atol=0.51)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (FRAMES[:0], r"frames must have shape \(frames, 17, 3\) \(got \(0, 17, 3\)\)"),
        (np.full_like(FRAMES, np.nan), "joints of a turning pose must be finite"),
    ],
)
def test_what_cannot_turn_is_refused(frames: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TurningPose(frames)


def test_a_page_without_them_has_no_script(tmp_path: Path) -> None:
    assert "<script" not in ReportPage("t").paragraph("p").page()
    page = _page(tmp_path).read_text()
    assert page.count("<script") == 2
    data = re.search(r'<script id="turning-poses" type="application/json">(.*?)</script>', page, re.DOTALL)
    assert data
    assert [sorted(one) for one in json.loads(data[1])] == [
        ["bones", "colours", "frames", "rate"],
        ["images", "rate"],
        ["bones", "colours", "frames", "rate"],
    ]
    assert "a &lt;b&gt;" in page


def _inked(page: HeadlessPage, number: int) -> np.ndarray:
    """Rows and columns of a canvas that are drawn on, as a share of its sides."""
    drawn = (page.canvas(f"canvas[data-turning='{number}']") < 250).any(-1)
    return np.array([np.ptp(np.flatnonzero(drawn.any(axis))) / drawn.shape[1 - axis] for axis in (1, 0)])


def test_they_turn_until_the_button_stops_them(tmp_path: Path) -> None:
    with HeadlessPage(390, 800) as page:
        page.open(_page(tmp_path))
        before = page.canvas("canvas[data-turning='0']")
        first = page.evaluate("document.querySelector('img[data-turning]').src")
        page.wait_until("document.querySelector('img[data-turning]').src.length > 0", 1)
        page.wait_until(f"document.querySelector('img[data-turning]').src !== '{first}'", 5)
        page.evaluate("new Promise((done) => setTimeout(done, 400))")
        assert (page.canvas("canvas[data-turning='0']") != before).any()
        page.click("#movement")
        stopped = page.canvas("canvas[data-turning='0']")
        page.evaluate("new Promise((done) => setTimeout(done, 300))")
        assert (page.canvas("canvas[data-turning='0']") == stopped).all()
        assert page.evaluate("document.getElementById('movement').textContent") == "Start movement"
        page.drag("canvas[data-turning='0']", 60, 0)
        assert (page.canvas("canvas[data-turning='0']") != stopped).any()
        assert page.evaluate("document.documentElement.scrollWidth <= 390")
        assert page.errors == []
        assert len(page.requests) == 1


def test_they_fill_their_axes(tmp_path: Path) -> None:
    with HeadlessPage(390, 800) as page:
        page.open(_page(tmp_path))
        for number in (0, 2):
            assert _inked(page, number).max() > 0.8


def test_nothing_moves_for_who_asked_for_less_motion(tmp_path: Path) -> None:
    with HeadlessPage(390, 800) as page:
        less = {"name": "prefers-reduced-motion", "value": "reduce"}
        page.call("Emulation.setEmulatedMedia", features=[less])
        page.open(_page(tmp_path))
        before = page.canvas("canvas[data-turning='0']")
        page.evaluate("new Promise((done) => setTimeout(done, 500))")
        assert (page.canvas("canvas[data-turning='0']") == before).all()
        assert (before < 250).any()
        assert page.evaluate("document.getElementById('movement').textContent") == "Start movement"
