from __future__ import annotations

import http.client
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from evolift.chain.model import ChainModel
from evolift.cli.app import app as app_command
from evolift.posedata.errors import InputError
from evolift.posedata.image_settings import ImageSettings
from evolift.posedata.predictions.prediction_files import read_predictions
from evolift.posedata.progress import Progress
from evolift.posedata.video_file import VideoWriter
from evolift.prediction.cameras.camera_choice import CameraRule
from evolift.prediction.persons.people_finder import PeopleFinder
from evolift.prediction.pipeline import Pipeline
from evolift.prediction.settings import UploadSettings
from evolift.prediction.upload_prediction import predict_upload
from evolift.prediction.upload_server import Answer, UploadServer
from tests.headless_chromium import HeadlessPage
from tests.settled_networks import settled_detector, settled_lifter

PATIENCE = 300
"""Seconds for an answer, on a machine that has much else to do."""


@pytest.fixture(scope="module")
def chain() -> ChainModel:
    return ChainModel(settled_detector(), settled_lifter(normalisation="box")).eval()


@pytest.fixture
def app(chain: ChainModel, tmp_path: Path) -> Iterator[UploadServer]:
    """The page of a small chain; uploads go into `tmp_path / "uploads"`."""
    pipeline = Pipeline(chain)

    def predict(path: Path, name: str, progress: Progress) -> Answer:
        return predict_upload(
            pipeline,
            CameraRule("box"),
            path,
            name,
            4,
            images=ImageSettings(max_megapixels=80),
            progress=progress,
        )

    uploads = tmp_path / "uploads"
    uploads.mkdir()
    settings = UploadSettings(port=0, max_megabytes=2, max_frames=4)
    with UploadServer(settings, predict, uploads) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()
    assert not list(uploads.iterdir()), "nothing of an upload is left"


def photograph(path: Path) -> Path:
    coarse = np.random.default_rng(0).integers(0, 255, (9, 12, 3), np.uint8)
    cv2.imwrite(str(path), np.kron(coarse, np.ones((20, 20, 1), np.uint8)))
    return path


def post(server: UploadServer, body: bytes, name: str) -> tuple[int, dict[str, object]]:
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=PATIENCE)
    connection.request("POST", "/predict", body, {"X-File-Name": name})
    answer = connection.getresponse()
    reply = json.loads(answer.read())
    connection.close()
    return answer.status, reply


def result(server: UploadServer, reply: dict[str, object]) -> str:
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=PATIENCE)
    connection.request("GET", str(reply["result"]))
    page = connection.getresponse().read().decode()
    connection.close()
    return page


def test_a_photograph_becomes_a_page(app: UploadServer, tmp_path: Path) -> None:
    status, reply = post(app, photograph(tmp_path / "photo.png").read_bytes(), "holiday.png")
    assert status == 200, reply
    assert reply["notes"] == []
    page = result(app, reply)
    assert "<h1>holiday.png</h1>" in page
    assert "camera is unknown" in page
    assert "left knee, bent" in page, "joint angles are told"
    assert "data:image/jpeg" in page
    assert "uploads" not in page, "no path of this machine is told"


def test_of_a_video_the_first_frames_are_shown(app: UploadServer, tmp_path: Path) -> None:
    image = cv2.imread(str(photograph(tmp_path / "photo.png")))
    with VideoWriter(tmp_path / "clip.mp4", (240, 180), 10.0) as video:
        for _ in range(7):
            video.write(image)
    status, reply = post(app, (tmp_path / "clip.mp4").read_bytes(), "clip.mp4")
    assert status == 200, reply
    page = result(app, reply)
    assert "clip.mp4, frame 3" in page
    assert "clip.mp4, frame 4" not in page


def test_the_poses_of_a_video_can_be_downloaded(app: UploadServer, tmp_path: Path) -> None:
    image = cv2.imread(str(photograph(tmp_path / "photo.png")))
    with VideoWriter(tmp_path / "clip.mp4", (240, 180), 10.0) as video:
        for _ in range(3):
            video.write(image)
    _, reply = post(app, (tmp_path / "clip.mp4").read_bytes(), "my clip.mp4")
    files = {entry["name"]: entry["url"] for entry in reply["files"]}  # type: ignore[index,attr-defined]
    assert list(files) == ["my clip.json", "my clip.csv", "my_clip_1.bvh"]
    connection = http.client.HTTPConnection(urlsplit(app.url).netloc, timeout=PATIENCE)
    for name, url in files.items():
        connection.request("GET", url)
        answer = connection.getresponse()
        (tmp_path / name).write_bytes(answer.read())
        assert answer.headers["Content-Disposition"] == f"attachment; filename*=UTF-8''{quote(name)}"
        connection.close()
    assert len(read_predictions(tmp_path / "my clip.json")) == 3
    assert len(read_predictions(tmp_path / "my clip.csv")) == 3
    assert "Frames: 3" in (tmp_path / "my_clip_1.bvh").read_text()
    for url in (f"{reply['result']}/3", "/result/other/0", f"{reply['result']}/-1"):
        connection.request("GET", url)
        assert connection.getresponse().status == 404
        connection.close()
    connection.request("GET", "/progress")
    assert json.loads(connection.getresponse().read()) == {"done": 3, "total": 3}
    connection.close()


def test_everybody_is_shown(chain: ChainModel, tmp_path: Path) -> None:
    finder = PeopleFinder(
        lambda _: np.array([[0, 0, 100, 170], [120, 5, 90, 160.0]]), "Two were found.", "nobody"
    )
    (tmp_path / "u").mkdir()
    shown = photograph(tmp_path / "u" / "photo.png")
    pipeline = Pipeline(chain)
    people = pipeline.everybody(finder)
    answer = predict_upload(pipeline, CameraRule("box"), shown, "a.png", 4, people=people)
    assert "Two were found." in answer.page
    assert '"people":["person 1","person 2"]' in answer.page
    assert list(answer.files) == ["a.json", "a.csv"]


def test_who_is_searched_for_can_be_chosen(chain: ChainModel, tmp_path: Path) -> None:
    (tmp_path / "u").mkdir()
    shown = photograph(tmp_path / "u" / "photo.png")
    given = (Pipeline(chain), CameraRule("box"), shown, "a.png", 4)
    assert "one person was searched for" in predict_upload(*given, max_people=1).page
    with pytest.raises(InputError, match="nobody was found with a confidence of 1"):
        predict_upload(*given, min_confidence=1.0)


@pytest.mark.parametrize(
    ("options", "passed"), [((), (None, 0.0)), (("--max-people", "2", "--min-confidence", "0.3"), (2, 0.3))]
)
def test_the_command_passes_on_who_is_searched_for(
    options: tuple[str, ...],
    passed: tuple[int | None, float],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    seen: list[tuple[object, object]] = []

    class AskedOnce:
        url, is_local = "http://here", True

        def __init__(self, settings: object, predict: Any, folder: Path) -> None:
            self.predict = predict

        def __enter__(self) -> AskedOnce:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def serve_forever(self) -> None:
            self.predict(tmp_path / "a.png", "a.png", lambda *_: None)

    def noted(*_: object, **how: object) -> None:
        seen.append((how["max_people"], how["min_confidence"]))

    monkeypatch.setattr("evolift.prediction.upload_prediction.predict_upload", noted)
    monkeypatch.setattr("evolift.prediction.upload_server.UploadServer", AskedOnce)
    result = CliRunner().invoke(app_command, options)
    assert result.exit_code == 0, result.output
    assert seen == [passed]


def test_what_is_unsure_is_said_with_its_image(
    chain: ChainModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evolift.prediction.image_prediction.LOW_CONFIDENCE", 2.0)
    (tmp_path / "u").mkdir()
    shown = photograph(tmp_path / "u" / "photo.png")
    page = predict_upload(Pipeline(chain), CameraRule("box"), shown, "a.png", 4).page
    assert '"notes":["Unsure: the detector' in page
    assert page.count("there may be nobody in the image") == 1, "not below the poses too"


def test_a_known_camera_is_told_and_videos_are_smoothed(chain: ChainModel, tmp_path: Path) -> None:
    image = cv2.imread(str(photograph(tmp_path / "photo.png")))
    with VideoWriter(tmp_path / "clip.mp4", (240, 180), 10.0) as video:
        for number in range(6):
            video.write(np.roll(image, 9 * number, 1))
    pages = []
    for folder, rule, is_smooth in (
        ("a", CameraRule("box"), False),
        ("b", CameraRule("box", focal=300.0), None),
    ):
        (tmp_path / folder).mkdir()
        upload = tmp_path / folder / "clip.mp4"
        upload.write_bytes((tmp_path / "clip.mp4").read_bytes())
        pages.append(predict_upload(Pipeline(chain), rule, upload, "clip.mp4", 6, is_smooth=is_smooth).page)
    assert "camera is unknown" in pages[0]
    assert "smoothed over time" not in pages[0]
    assert "The focal length was given" in pages[1]
    assert "3D poses are smoothed over time" in pages[1]


def large_png() -> bytes:
    file = io.BytesIO()
    Image.new("1", (9000, 9000)).save(file, "png")
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "body", "sentence"),
    [
        ("text.jpg", b"no image", "text.jpg is not a readable image"),
        ("empty.png", b"", "empty.png is empty"),
        ("text.mp4", b"no video", "text.mp4 is not a readable video: convert it to .mp4"),
        ("large.png", large_png(), "large.png has 9000 x 9000 pixels, at most 80 million are taken"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(
    app: UploadServer, name: str, body: bytes, sentence: str
) -> None:
    status, reply = post(app, body, name)
    assert status == 422
    assert str(reply["error"]).startswith(sentence)
    assert "uploads" not in str(reply["error"])


def test_in_a_browser(app: UploadServer, tmp_path: Path) -> None:
    photo = photograph(tmp_path / "holiday.png")
    bad = tmp_path / "bad.jpg"
    bad.write_text("no image")
    with HeadlessPage() as page:
        page.call("Page.navigate", url=app.url)
        page.wait_until("document.readyState === 'complete' && !!document.getElementById('file')")
        root = page.call("DOM.getDocument")["root"]["nodeId"]
        file = page.call("DOM.querySelector", nodeId=root, selector="#file")["nodeId"]
        page.call("DOM.setFileInputFiles", nodeId=file, files=[str(photo)])
        inside = "document.getElementById('result').contentDocument"
        page.wait_until(f"!!{inside} && !!{inside}.querySelector('#joints tr')", 30)
        assert page.evaluate(f"{inside}.querySelectorAll('#joints tr').length") == 17
        assert page.evaluate(f"{inside}.querySelector('h1').textContent") == "holiday.png"
        assert page.evaluate("document.getElementById('status').textContent") == ""
        links = "[...document.querySelectorAll('#downloads a')].map((link) => link.download)"
        assert page.evaluate(links) == ["holiday.json", "holiday.csv"]
        assert page.evaluate("document.getElementById('progress').hidden")
        page.wait_until(
            f"{inside}.documentElement.scrollHeight <= document.getElementById('result').clientHeight"
        )
        assert page.errors == []
        assert all(address.startswith(app.url) for address in page.requests), page.requests
        assert len(np.unique(page.screenshot().reshape(-1, 3), axis=0)) > 100
        page.click("#example")
        page.wait_until(f"{inside}?.querySelector('h1')?.textContent === 'example.jpg'", 60)
        assert page.evaluate(links) == ["example.json", "example.csv"]
        assert page.evaluate("document.querySelector('#example img').naturalWidth") == 384
        assert page.errors == []
        page.call("DOM.setFileInputFiles", nodeId=file, files=[str(bad)])
        page.wait_until("document.getElementById('status').classList.contains('error')", 30)
        said = page.evaluate("document.getElementById('status').textContent")
        assert said.startswith("bad.jpg is not a readable image")
        large = tmp_path / "large.jpg"
        large.write_bytes(b"x" * 2_100_000)
        page.call("DOM.setFileInputFiles", nodeId=file, files=[str(large)])
        page.wait_until("document.getElementById('status').textContent.startsWith('large.jpg has 2.1 MB')")


def test_the_command_serves_until_it_is_ended_and_leaves_nothing(chain: ChainModel, tmp_path: Path) -> None:
    chain.save(tmp_path / "chain.safetensors")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    command = [sys.executable, "-u", "-m", "evolift", "app", "--chain", str(tmp_path / "chain.safetensors")]
    running = subprocess.Popen(
        [*command, "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(scratch)},
    )
    with running:
        assert running.stdout is not None
        assert running.stderr is not None
        first = running.stdout.readline()
        assert first.startswith("Open http://127.0.0.1:"), running.stderr.read()
        assert [entry.name[:12] for entry in scratch.iterdir() if entry.name.startswith("evolift")] == [
            "evolift-app-"
        ]
        running.send_signal(signal.SIGTERM)
        rest, errors = running.communicate(timeout=PATIENCE)
    assert running.returncode == 0, errors
    assert rest == "Ended.\n"
    assert not [entry for entry in scratch.iterdir() if entry.name.startswith("evolift")]


def test_it_ends_while_it_predicts_and_leaves_nothing(chain: ChainModel, tmp_path: Path) -> None:
    chain.save(tmp_path / "chain.safetensors")
    image = cv2.imread(str(photograph(tmp_path / "photo.png")))
    with VideoWriter(tmp_path / "film.mp4", (240, 180), 10.0) as video:
        for _ in range(900):
            video.write(image)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    command = [sys.executable, "-u", "-m", "evolift", "app", "--chain", str(tmp_path / "chain.safetensors")]
    running = subprocess.Popen(
        [*command, "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(scratch)},
    )
    with running:
        assert running.stdout is not None
        address = urlsplit(running.stdout.readline().split()[1]).netloc
        connection = http.client.HTTPConnection(address, timeout=PATIENCE)
        connection.request(
            "POST", "/predict", (tmp_path / "film.mp4").read_bytes(), {"X-File-Name": "film.mp4"}
        )
        while not list(scratch.glob("*/*/output/*")):  # the overlay is begun
            assert running.poll() is None
            time.sleep(0.02)
        running.send_signal(signal.SIGTERM)
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())) == (
            503,
            {"error": "evolift was ended: start it again."},
        )
        rest, errors = running.communicate(timeout=PATIENCE)
    assert (running.returncode, rest) == (0, "Ended.\n"), errors
    assert "terminate called" not in errors
    assert not [entry for entry in scratch.iterdir() if entry.name.startswith("evolift")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--lifter", "{text}"), "give a chain checkpoint, or one of a detector and one of a lifter"),
        (("--chain", "{text}"), "is not a readable safetensors file"),
        (("--max-megabytes", "0"), "0 is not in the range"),
        (("--focal", "-3"), "-3.0 is not in the range 1<=x<=1000000"),
        (("--intrinsics", "{text}"), "text"),
    ],
)
def test_bad_options_are_one_sentence(
    evolift, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    (tmp_path / "text").write_text("no weights")
    result = evolift("app", *(argument.format(text=tmp_path / "text") for argument in arguments))
    assert result.returncode == 2
    assert message in result.stderr
