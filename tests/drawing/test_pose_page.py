"""The page of poses: its data, its escaping, and its behaviour in a real browser."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from evolift.drawing.colours import LEFT_COLOUR, RIGHT_COLOUR, TORSO_COLOUR
from evolift.drawing.pose_page import PosePageItem, Reading, pose_page, write_pose_page
from evolift.posedata.errors import OutputError
from evolift.posedata.skeleton import COCO17, H36M17
from tests.drawing.test_pose_figure import POSE
from tests.headless_chromium import HeadlessPage

NASTY = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">'\"&"


def _image(width: int = 200, height: int = 300) -> np.ndarray:
    image = np.full((height, width, 3), 90, np.uint8)
    image[:30, :40] = (250, 240, 10)  # tells the orientation of the image
    return image


def _item(frame: int = 0, person: str = "person 1", **changes: object) -> PosePageItem:
    pose = POSE.copy()
    pose[H36M17.index("left_wrist"), 1] -= 200 * frame
    values: dict[str, object] = {
        "image": _image(),
        "joints_2d": POSE[:, :2] * 0.15 + np.float32([100, 140]),
        "joints_3d": pose,
        "confidence": np.full(17, 0.9),
        "skeleton": H36M17,
        "caption": f"frame {frame}",
        "frame": frame,
        "person": person,
    }
    return PosePageItem(**(values | changes))  # type: ignore[arg-type]


def _data(page: str) -> dict[str, object]:
    match = re.search(r'<script id="data" type="application/json">(.*?)</script>', page, re.DOTALL)
    assert match
    return dict(json.loads(match[1]))


def test_the_page_holds_the_numbers_it_was_given() -> None:
    unknown = POSE.copy()
    unknown[3] = np.nan
    readings = [Reading("left knee flexion", 160.0, 0.0, 150.0)]
    data = _data(pose_page([_item(joints_3d=unknown, readings=readings)], title="t"))
    (frame,) = data["frames"]  # type: ignore[misc]
    (person,) = frame["people"]
    assert person["joints3d"][3] is None
    kept = [j for j in range(17) if j != 3]
    assert np.array([person["joints3d"][j] for j in kept]) == pytest.approx(POSE[kept], abs=0.06)
    assert person["readings"] == [
        {"name": "left knee flexion", "value": 160, "low": 0, "high": 150, "unit": "°", "zero": "", "way": ""}
    ]
    assert (frame["width"], frame["height"]) == (200, 300)
    assert frame["image"].startswith("data:image/jpeg;base64,")


def test_frames_are_ordered_and_share_one_image() -> None:
    items = [_item(3), _item(1), _item(1, "person 2", image=None, caption="")]
    frames = _data(pose_page(items, title="t"))["frames"]
    assert [frame["caption"] for frame in frames] == ["frame 1", "frame 3"]  # type: ignore[attr-defined]
    assert [len(frame["people"]) for frame in frames] == [2, 1]  # type: ignore[attr-defined]


def test_the_page_is_small_and_loads_nothing() -> None:
    page = pose_page([_item(image=None)], title="t")
    assert len(page.encode()) < 60_000
    clip = pose_page([_item(frame, image=None) for frame in range(300)], title="t")
    assert len(clip.encode()) < 500_000
    outside = re.findall(r"https?://[^\"'\s]+", page)
    assert outside == []


def test_frame_and_units_are_told() -> None:
    page = pose_page([_item()], title="t", notes=["Focal length assumed: 1000 px."])
    assert "millimetres relative to the pelvis, in the camera&#x27;s frame" in page
    assert "Focal length assumed: 1000 px." in page


def test_bad_items() -> None:
    with pytest.raises(ValueError, match="at least one pose"):
        pose_page([], title="t")
    with pytest.raises(ValueError, match="a person is twice in one frame"):
        pose_page([_item(), _item()], title="t")
    with pytest.raises(ValueError, match=r"joints_3d of skeleton COCO17 .* \(got \(16, 3\)\)"):
        PosePageItem(None, None, POSE[:16], None, COCO17)


def test_an_existing_page_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("mine")
    with pytest.raises(OutputError, match="exists"):
        write_pose_page(path, [_item()], title="t")
    assert path.read_text() == "mine"
    write_pose_page(path, [_item()], title="t", overwrite=True)
    assert path.read_text().startswith("<!DOCTYPE html>")


@pytest.fixture(scope="module")
def browser() -> Iterator[HeadlessPage]:
    with HeadlessPage() as page:
        yield page


@pytest.fixture
def shown(browser: HeadlessPage, tmp_path: Path) -> Iterator[HeadlessPage]:
    """A page of three frames and two people, whose names and captions are hostile; no errors at the end."""
    items = [_item(frame, caption=f"{NASTY} {frame}") for frame in range(3)]
    items += [_item(frame, f"person 2 {NASTY}", image=None, joints_2d=None) for frame in (0, 2)]
    path = tmp_path / "page <b>.html"
    write_pose_page(path, items, title=f"title {NASTY}", notes=[NASTY], frames_per_second=50.0)
    browser.errors.clear()
    browser.open(path)
    browser.evaluate("document.querySelector('#show-everybody').click()")
    yield browser
    assert browser.errors == []
    assert [url.split(":")[0] for url in browser.requests] == ["file"]


def _middle(image: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """(row, column) of the middle of all pixels of a colour."""
    places = np.argwhere((abs(image.astype(int) - colour) < 4).all(-1))
    assert len(places)
    return places.mean(0)


def test_hostile_texts_are_shown_and_not_run(shown: HeadlessPage) -> None:
    assert shown.evaluate("document.title") == f"title {NASTY}"
    assert shown.evaluate("document.querySelector('h1').textContent") == f"title {NASTY}"
    assert shown.evaluate("document.querySelector('#caption').textContent") == f"{NASTY} 0"
    assert shown.evaluate("document.querySelector('#person').options[1].textContent") == f"person 2 {NASTY}"
    assert shown.evaluate("document.querySelectorAll('img:not(#thumbnails img)').length") == 0
    assert shown.evaluate("document.querySelectorAll('script').length") == 2


def test_first_view_is_upright_and_as_the_camera_sees_it(shown: HeadlessPage) -> None:
    view = shown.canvas("#pose")
    assert _middle(view, RIGHT_COLOUR)[1] + 30 < _middle(view, LEFT_COLOUR)[1]
    assert _middle(view, TORSO_COLOUR)[0] < _middle(view, LEFT_COLOUR)[0]


def test_drag_turns_and_reset_turns_back(shown: HeadlessPage) -> None:
    first = shown.canvas("#pose")
    shown.drag("#pose", 314.0, 0.0)  # 0.01 rad per pixel: half a turn
    rotated = shown.canvas("#pose")
    assert _middle(rotated, LEFT_COLOUR)[1] + 30 < _middle(rotated, RIGHT_COLOUR)[1]
    assert abs(_middle(rotated, TORSO_COLOUR)[0] - _middle(first, TORSO_COLOUR)[0]) < 30
    shown.click("#reset")
    assert (shown.canvas("#pose") == first).all()


def test_dragging_down_shows_the_pose_from_above(shown: HeadlessPage) -> None:
    shown.click("#side")
    shown.click("#show-grid")
    shown.drag("#pose", 0.0, 400.0)
    from_above = shown.canvas("#pose")
    rows = np.flatnonzero((from_above != 255).any((1, 2)))
    shown.click("#side")
    upright = np.flatnonzero((shown.canvas("#pose") != 255).any((1, 2)))
    assert np.ptp(rows) < 0.8 * np.ptp(upright)


def test_from_above_the_near_side_is_below(browser: HeadlessPage, tmp_path: Path) -> None:
    pose = POSE.copy()
    pose[[H36M17.index("left_elbow"), H36M17.index("left_wrist")]] = [[180, -480, -300], [180, -480, -600]]
    write_pose_page(tmp_path / "p.html", [_item(joints_3d=pose)], title="t")
    browser.open(tmp_path / "p.html")
    browser.click("#top")
    view = browser.canvas("#pose")
    assert _middle(view, LEFT_COLOUR)[0] > _middle(view, TORSO_COLOUR)[0] + 20
    assert _middle(view, LEFT_COLOUR)[1] > _middle(view, RIGHT_COLOUR)[1] + 20


def test_from_the_side_the_near_side_is_at_the_left(browser: HeadlessPage, tmp_path: Path) -> None:
    pose = POSE.copy()
    pose[11:14] = [[0, -480, -200], [0, -480, -400], [0, -480, -600]]
    write_pose_page(tmp_path / "p.html", [_item(joints_3d=pose)], title="t")
    browser.open(tmp_path / "p.html")
    browser.click("#side")
    view = browser.canvas("#pose")
    assert _middle(view, LEFT_COLOUR)[1] < _middle(view, TORSO_COLOUR)[1] - 20


def test_keys_turn_zoom_and_reset(shown: HeadlessPage) -> None:
    first = shown.canvas("#pose")
    shown.evaluate("document.querySelector('#pose').focus()")
    shown.press("ArrowLeft")
    assert (shown.canvas("#pose") != first).any()
    shown.press("0")
    assert (shown.canvas("#pose") == first).all()
    shown.click("#show-grid")
    shown.evaluate("document.querySelector('#pose').focus()")
    before = (shown.canvas("#pose") != 255).any(-1).sum()
    for _ in range(3):
        shown.press("+")
    assert (shown.canvas("#pose") != 255).any(-1).sum() > 1.3 * before


def test_touch_turns(shown: HeadlessPage) -> None:
    first = shown.canvas("#pose")
    x, y = shown.centre_of("#pose")
    shown.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
    shown.call("Input.dispatchTouchEvent", type="touchMove", touchPoints=[{"x": x + 314, "y": y}])
    shown.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
    rotated = shown.canvas("#pose")
    assert (rotated != first).any()
    assert _middle(rotated, LEFT_COLOUR)[1] < _middle(rotated, RIGHT_COLOUR)[1]


def test_slider_changes_pose_caption_and_table(shown: HeadlessPage) -> None:
    wrist = "[...document.querySelectorAll('#joints tr')][13].cells"
    assert shown.evaluate(f"{wrist}[0].textContent") == "left wrist"
    assert shown.evaluate(f"{wrist}[2].textContent") == "−100"
    first = shown.canvas("#pose")
    shown.evaluate("document.querySelector('#frame').focus()")
    shown.call("Input.dispatchKeyEvent", type="keyDown", key="End", windowsVirtualKeyCode=35)
    shown.wait_until("document.querySelector('#frame').value === '2'")
    assert shown.evaluate(f"{wrist}[2].textContent") == "−500"
    assert shown.evaluate("document.querySelector('#caption').textContent") == f"{NASTY} 2"
    assert shown.evaluate("document.querySelector('#frame-number').textContent") == "3 of 3"
    assert (shown.canvas("#pose") != first).any()


def test_play_runs_through_the_frames_and_pauses(shown: HeadlessPage) -> None:
    shown.evaluate(
        "window.seen = new Set(); new MutationObserver(() => seen.add(document.querySelector('#caption').textContent))"
        ".observe(document.querySelector('#caption'), {childList: true, characterData: true})"
    )
    shown.click("#play")
    shown.wait_until("window.seen.size === 3")
    assert shown.evaluate("document.querySelector('#play').textContent") == "Pause"
    shown.click("#play")
    assert shown.evaluate("document.querySelector('#play').textContent") == "Play"


def test_choosing_a_person_who_is_missing_in_a_frame(shown: HeadlessPage) -> None:
    shown.evaluate(
        "(() => { const p = document.querySelector('#person'); p.selectedIndex = 1; p.dispatchEvent(new Event('change')); })()"
    )
    assert shown.evaluate("document.querySelectorAll('#joints tr').length") == 17
    shown.evaluate(
        "(() => { const f = document.querySelector('#frame'); f.value = 1; f.dispatchEvent(new Event('input')); })()"
    )
    assert shown.evaluate("document.querySelector('#person').selectedIndex") == 0


def test_image_and_joints_lie_on_each_other(shown: HeadlessPage) -> None:
    photo = shown.canvas("#photo")
    scale = photo.shape[1] / 200
    assert photo.shape[0] / 300 == pytest.approx(scale, rel=0.01)
    assert photo[round(10 * scale), round(10 * scale)].astype(int) == pytest.approx((250, 240, 10), abs=12)
    for joint, colour in (("right_wrist", RIGHT_COLOUR), ("left_ankle", LEFT_COLOUR), ("head", TORSO_COLOUR)):
        u, v = POSE[H36M17.index(joint), :2] * 0.15 + [100, 140]
        assert tuple(photo[round((v + 0.5) * scale), round((u + 0.5) * scale)]) == colour
    shown.click("#show-overlay")
    assert not (shown.canvas("#photo") == RIGHT_COLOUR).all(-1).any()


def test_camera_and_grid_can_be_hidden(shown: HeadlessPage) -> None:
    plain = shown.canvas("#pose")
    shown.click("#show-camera")
    with_camera = shown.canvas("#pose")
    shown.click("#show-camera")
    shown.click("#show-grid")
    without_grid = shown.canvas("#pose")
    assert (
        (with_camera != 255).any(-1).sum()
        > (plain != 255).any(-1).sum()
        > (without_grid != 255).any(-1).sum()
    )


def test_sigma_is_shown_as_discs_with_their_meaning_where_it_is_known(
    browser: HeadlessPage, tmp_path: Path
) -> None:
    sigma = np.full(17, 0.0)
    sigma[H36M17.index("left_wrist")] = 150.04
    for name, values in (("sure", sigma), ("silent", None)):
        write_pose_page(tmp_path / f"{name}.html", [_item(sigma_mm=values)], title="t")
    browser.errors.clear()
    browser.open(tmp_path / "silent.html")
    hidden = (
        "['sigma-control', 'sigma-meaning', 'sigma-head'].map((id) => document.getElementById(id).hidden)"
    )
    assert browser.evaluate(hidden) == [True] * 3
    cells = "[...document.querySelectorAll('#joints tr')].map((row) => row.children.length)"
    assert browser.evaluate(cells) == [5] * 17
    plain = browser.canvas("#pose")
    browser.open(tmp_path / "sure.html")
    assert browser.evaluate(hidden) == [False] * 3
    assert browser.evaluate(cells) == [6] * 17
    told = f"document.querySelectorAll('#joints tr')[{H36M17.index('left_wrist')}].children[4].textContent"
    assert browser.evaluate(told) == "150"
    drawn = browser.canvas("#pose")
    assert (drawn != plain).any()
    assert (abs(drawn.astype(int) - LEFT_COLOUR) < 4).all(-1).any()
    browser.click("#show-sigma")
    assert (browser.canvas("#pose") == plain).all()
    assert browser.errors == []


def test_values_outside_their_range_are_marked(browser: HeadlessPage, tmp_path: Path) -> None:
    readings = [
        Reading("a", 160.0, 0.0, 150.0),
        Reading("b", 20.0, 0.0, 150.0, zero="<straight>", way="forward"),
        Reading("c", 7.0),
        Reading("d", 7.0, 10.0, None),
        Reading("e", 150.2, None, 150.0, way="backward"),
    ]
    write_pose_page(tmp_path / "p.html", [_item(readings=readings)], title="t")
    browser.errors.clear()
    browser.open(tmp_path / "p.html")
    texts = browser.evaluate(
        "[...document.querySelectorAll('#readings tr')].map((row) => row.cells[1].textContent)"
    )
    assert texts == [
        "160°, 10° too far",
        "20° forward",
        "7°",
        "7°, 3° too little",
        "150° backward, 1° too far",
    ]
    zeros = browser.evaluate(
        "[...document.querySelectorAll('#readings small')].map((one) => one.textContent)"
    )
    assert zeros == ["0° is <straight>"]
    ranges = browser.evaluate(
        "[...document.querySelectorAll('#readings tr')].map((row) => row.cells[2].textContent)"
    )
    assert ranges == ["0 to 150°", "0 to 150°", "–", "from 10°", "up to 150°"]
    assert browser.evaluate("document.querySelector('#frame').hidden")
    assert browser.errors == []


def _crowd(path: Path, *, roots: bool, width: int = 1200) -> list[PosePageItem]:
    """Two images; in the first three people, whose places are told in another order than they stand in the image."""
    places = {"anna": 0, "ben": 1200, "carl": -1500}
    items = [
        _item(
            person=name,
            joints_2d=POSE[:, :2] * 0.1 + np.float32([100 + 0.06 * place, 140]),
            root_3d=np.array([place, 0, 4000 + place / 2]) if roots else np.full(3, np.nan),
        )
        for name, place in places.items()
    ]
    items.append(_item(1, "anna", notes=("Unsure: <b>nobody</b>.",)))
    write_pose_page(path, items, title="crowd")
    return items


@pytest.mark.parametrize("roots", [True, False])
def test_everybody_stands_where_the_camera_sees_them_or_side_by_side(
    browser: HeadlessPage, tmp_path: Path, roots: bool
) -> None:
    _crowd(tmp_path / "crowd.html", roots=roots)
    browser.errors.clear()
    browser.open(tmp_path / "crowd.html")
    said = browser.evaluate("document.querySelector('#placing').textContent")
    assert ("where the camera sees them" if roots else "side by side") in said
    browser.evaluate("document.querySelector('#show-grid').click()")
    for _ in range(4):
        browser.evaluate(
            "document.querySelector('#pose').dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowLeft'}))"
        )
    everybody = browser.canvas("#pose")
    left = (abs(everybody.astype(int) - LEFT_COLOUR) < 4).all(-1).any(0)
    # Columns of left limbs fall into three heaps.
    runs = np.flatnonzero(np.diff(np.flatnonzero(left)) > 60)
    assert len(runs) >= 2
    browser.evaluate("document.querySelector('#show-everybody').click()")
    alone = (abs(browser.canvas("#pose").astype(int) - LEFT_COLOUR) < 4).all(-1)
    assert len(np.flatnonzero(np.diff(np.flatnonzero(alone.any(0))) > 60)) < 2
    assert browser.evaluate("document.querySelector('#placing').hidden")
    assert browser.errors == []


def test_a_click_on_the_image_chooses_the_person_there(browser: HeadlessPage, tmp_path: Path) -> None:
    _crowd(tmp_path / "crowd.html", roots=True)
    browser.open(tmp_path / "crowd.html")
    for name, u in (("carl", 10), ("ben", 172), ("anna", 100)):
        browser.evaluate(
            "(() => { const c = document.querySelector('#photo'); const b = c.getBoundingClientRect(); const s = b.width / 200;"
            f" c.dispatchEvent(new MouseEvent('click', {{clientX: b.x + s * {u}, clientY: b.y + s * 140}})); }})()"
        )
        assert browser.evaluate("document.querySelector('#person').value") == name


def test_thumbnails_choose_an_image_and_mark_the_doubted(browser: HeadlessPage, tmp_path: Path) -> None:
    _crowd(tmp_path / "crowd.html", roots=True)
    browser.errors.clear()
    browser.open(tmp_path / "crowd.html")
    assert browser.evaluate("document.querySelector('#doubt').hidden")
    assert browser.evaluate(
        "[...document.querySelectorAll('#thumbnails button')].map((b) => b.className)"
    ) == ["", "doubted"]
    browser.click("#thumbnails button:nth-child(2)")
    assert browser.evaluate("document.querySelector('#caption').textContent") == "frame 1"
    assert browser.evaluate("document.querySelector('#doubt').textContent") == "Unsure: <b>nobody</b>."
    assert not browser.evaluate("document.querySelector('#doubt').hidden")
    current = (
        "[...document.querySelectorAll('#thumbnails button')].map((b) => b.getAttribute('aria-current'))"
    )
    assert browser.evaluate(current) == ["false", "true"]
    assert browser.errors == []


def test_pages_of_one_image_or_without_images_have_no_thumbnails(
    browser: HeadlessPage, tmp_path: Path
) -> None:
    write_pose_page(tmp_path / "one.html", [_item()], title="t")
    write_pose_page(tmp_path / "none.html", [_item(frame, image=None) for frame in range(2)], title="t")
    for name in ("one", "none"):
        browser.open(tmp_path / f"{name}.html")
        assert browser.evaluate("document.querySelector('#thumbnails').hidden")


def test_dark_page_has_dark_paper(tmp_path: Path) -> None:
    write_pose_page(tmp_path / "p.html", [_item()], title="t")
    with HeadlessPage(380, 800, dark=True) as page:
        page.open(tmp_path / "p.html")
        assert page.screenshot()[2, 2].max() < 60
        assert page.evaluate("document.documentElement.scrollWidth <= 380")
        assert page.errors == []
