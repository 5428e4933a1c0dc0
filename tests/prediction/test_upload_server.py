from __future__ import annotations

import http.client
import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from evolift.artifacts.shipped_files import example_image
from evolift.posedata.errors import InputError
from evolift.posedata.progress import Progress, no_progress
from evolift.prediction.settings import UploadSettings
from evolift.prediction.upload_server import Answer, Predict, UploadServer

PATIENCE = 300
"""Seconds for an answer, on a machine that has much else to do."""


@contextmanager
def serving(predict: Predict, folder: Path, megabytes: int = 1) -> Iterator[UploadServer]:
    with UploadServer(UploadSettings(port=0, max_megabytes=megabytes), predict, folder) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def port_of(server: UploadServer) -> int:
    port = urlsplit(server.url).port
    assert port is not None
    return port


def echo(path: Path, name: str, progress: Progress = no_progress) -> Answer:
    return Answer(f"<p>{name} {path.suffix} {path.read_bytes().decode()}</p>", ("a note",))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[UploadServer]:
    with serving(echo, tmp_path) as running:
        yield running


def ask(
    server: UploadServer, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, http.client.HTTPMessage, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port_of(server), timeout=PATIENCE)
    reply = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, reply)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, answer.headers, text


def post(
    server: UploadServer, body: bytes, name: str = "photo.jpg", **headers: str
) -> tuple[int, dict[str, Any]]:
    status, _, text = ask(server, "POST", "/predict", body, X_File_Name=name, **headers)
    return status, json.loads(text)


def test_an_upload_is_predicted_shown_and_removed(server: UploadServer, tmp_path: Path) -> None:
    status, reply = post(server, b"pixels", "My%20photo.JPG")
    assert status == 200
    assert reply["notes"] == ["a note"]
    status, headers, page = ask(server, "GET", reply["result"])
    assert (status, page) == (200, "<p>My photo.JPG .jpg pixels</p>")
    assert "frame-ancestors 'self'" in headers["Content-Security-Policy"]
    assert not list(tmp_path.iterdir())
    _, newer = post(server, b"other")
    assert ask(server, "GET", reply["result"])[0] == 404, "only the last result is held"
    assert ask(server, "GET", newer["result"])[0] == 200


def test_the_page_is_whole_and_may_load_nothing(server: UploadServer) -> None:
    status, headers, page = ask(server, "GET", "/")
    assert status == 200
    assert "At most 1 MB" in page
    assert "http://" not in page
    assert "https://" not in page
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "frame-ancestors 'none'" in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert "Access-Control-Allow-Origin" not in headers


def test_the_example_is_an_image_and_for_this_page_alone(server: UploadServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port_of(server), timeout=PATIENCE)
    connection.request("GET", "/example")
    answer = connection.getresponse()
    assert (answer.status, answer.headers["Content-Type"]) == (200, "image/jpeg")
    assert answer.read() == example_image().read_bytes()
    connection.close()
    assert ask(server, "GET", "/example", Host="evil.example")[0] == 421
    assert 'id="example"' in ask(server, "GET", "/")[2]


@pytest.mark.parametrize(
    ("name", "size", "status", "sentence"),
    [
        ("big.jpg", 2_500_000, 413, "big.jpg has 2.5 MB, at most 1 are taken: make it smaller"),
        ("x.txt", 5, 415, "x.txt is neither an image nor a video: give a file such as .jpg, .png or .mp4"),
        ("", 5, 415, "A file without a name is neither"),
        ("..%2F..%2Fetc%2Fpasswd", 5, 415, "passwd is neither"),
    ],
)
def test_what_cannot_be_taken_is_said_in_a_sentence(
    server: UploadServer, tmp_path: Path, name: str, size: int, status: int, sentence: str
) -> None:
    found, reply = post(server, b"x" * size, name)
    assert found == status
    assert sentence in reply["error"]
    assert not list(tmp_path.iterdir())


def test_the_limit_itself_is_taken(server: UploadServer) -> None:
    assert post(server, b"x" * 1_000_000)[0] == 200


def test_an_error_names_the_file_as_the_user_does_and_leaves_nothing(tmp_path: Path) -> None:
    def refuse(path: Path, name: str, progress: Progress) -> Answer:
        (path.parent / "output").mkdir()
        (path.parent / "output" / "half.png").write_bytes(b"half")
        raise InputError(f"{path} is not a readable image")

    with serving(refuse, tmp_path) as server:
        assert post(server, b"x", "a<b>.png") == (422, {"error": "a<b>.png is not a readable image"})
    assert not list(tmp_path.iterdir())


def test_a_defect_is_logged_and_the_server_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def fail(path: Path, name: str, progress: Progress) -> Answer:
        if name == "bad.png":
            raise ZeroDivisionError("ours")
        return echo(path, name)

    with serving(fail, tmp_path) as server, caplog.at_level(logging.ERROR):
        status, reply = post(server, b"x", "bad.png")
        assert (status, reply["error"][:21]) == (500, "The prediction failed")
        assert "ZeroDivisionError: ours" in caplog.text
        assert post(server, b"x", "good.png")[0] == 200
    assert not list(tmp_path.iterdir())


def test_one_prediction_at_a_time(tmp_path: Path) -> None:
    is_running, may_end = threading.Event(), threading.Event()

    def wait(path: Path, name: str, progress: Progress) -> Answer:
        is_running.set()
        assert may_end.wait(PATIENCE)
        return echo(path, name)

    with serving(wait, tmp_path) as server:
        answers: list[tuple[int, dict[str, Any]]] = []
        first = threading.Thread(target=lambda: answers.append(post(server, b"first")))
        first.start()
        assert is_running.wait(PATIENCE)
        status, reply = post(server, b"second")
        assert (status, reply["error"]) == (503, "Another prediction is running: try again when it is done.")
        assert ask(server, "GET", "/")[0] == 200, "the page itself is still there"
        may_end.set()
        first.join()
        assert answers[0][0] == 200
        assert post(server, b"third")[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://127.0.0.1:{port}"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_other_sites_may_not_post(server: UploadServer, headers: dict[str, str]) -> None:
    port = str(port_of(server))
    given = {name: value.format(port=port) for name, value in headers.items()}
    status, reply = post(server, b"x", **given)
    assert (status, reply["error"]) == (403, "Only this server's own page may send files to it.")
    assert post(server, b"x", Origin=f"http://127.0.0.1:{port}")[0] == 200


def test_foreign_names_of_this_machine_are_refused(server: UploadServer) -> None:
    port = port_of(server)
    for method, path in (("GET", "/"), ("POST", "/predict")):
        status, _, text = ask(server, method, path, b"", Host=f"evil.example:{port}", X_File_Name="a.png")
        assert status == 421
        assert "answers to no other name" in text
    assert ask(server, "GET", "/", Host=f"localhost:{port}")[0] == 200


def raw(server: UploadServer, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port_of(server)), timeout=PATIENCE) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while part := connection.recv(4096):
            answer += part
    return answer


def test_uploads_without_size_or_end_are_refused(server: UploadServer, tmp_path: Path) -> None:
    start = b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nX-File-Name: a.png\r\n" % port_of(server)
    for length, status in (
        (b"", b" 411 "),
        (b"Transfer-Encoding: chunked\r\n", b" 411 "),
        (b"Content-Length: -1\r\n", b" 400 "),
        (b"Content-Length: ten\r\n", b" 400 "),
        (b"Content-Length: " + b"9" * 5000 + b"\r\n", b" 400 "),
    ):
        end = b"0\r\n\r\n" if b"chunked" in length else b""
        assert status in raw(server, start + length + b"\r\n" + end).split(b"\r\n")[0], length
    raw(server, start + b"Content-Length: 100\r\n\r\nhalf")
    while list(tmp_path.iterdir()):  # after the connection is closed
        time.sleep(0.01)
    assert post(server, b"x")[0] == 200, "the lock is released"


@pytest.mark.parametrize(
    "target", [b"http://[", b"http://[::1", b"//", b"/%00", b"/result/%ff", b"*", b"/" + b"a" * 20_000]
)
def test_targets_that_are_none_are_refused(
    server: UploadServer, target: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    answer = raw(server, b"GET " + target + b" HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % port_of(server))
    assert answer.split(b" ")[1][:2] == b"40"
    assert "Traceback" not in caplog.text
    assert ask(server, "GET", "/")[0] == 200


def test_a_slow_upload_keeps_nobody_waiting_and_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evolift.prediction.upload_server.BODY_SECONDS", 0.5)
    monkeypatch.setattr("evolift.prediction.upload_server.MAX_RECEIVED", 1)
    with serving(echo, tmp_path) as server:
        start = f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1:{port_of(server)}\r\nX-File-Name: a.png\r\nContent-Length: 100\r\n\r\n"
        with socket.create_connection(("127.0.0.1", port_of(server)), timeout=PATIENCE) as slow:
            slow.sendall(start.encode() + b"half")
            assert b" 408 " in slow.recv(4096).split(b"\r\n")[0], "given up, though it is still connected"
        monkeypatch.setattr("evolift.prediction.upload_server.BODY_SECONDS", 1e6)
        with socket.create_connection(("127.0.0.1", port_of(server)), timeout=PATIENCE) as slow:
            slow.sendall(start.encode() + b"half")
            while not list(tmp_path.glob("*/upload.png")):
                time.sleep(0.01)
            assert post(server, b"x") == (
                503,
                {"error": "Too many files are being sent: try again when they are done."},
            )
            monkeypatch.setattr("evolift.prediction.upload_server.MAX_RECEIVED", 2)
            assert post(server, b"x")[0] == 200, "it has taken no turn"
    assert not list(tmp_path.iterdir())


def test_who_says_nothing_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evolift.prediction.upload_server._HEAD_SECONDS", 0.2)
    with serving(echo, tmp_path) as server:
        for said in (b"", b"GET / HT"):
            with socket.create_connection(("127.0.0.1", port_of(server)), timeout=PATIENCE) as silent:
                silent.sendall(said)
                assert silent.recv(4096) == b""


def test_a_prediction_ends_with_the_server_at_its_next_frame(tmp_path: Path) -> None:
    is_running = threading.Event()

    def frames(path: Path, name: str, progress: Progress) -> Answer:
        is_running.set()
        while True:
            progress(1, None)
            time.sleep(0.01)

    answers: list[tuple[int, dict[str, Any]]] = []
    with serving(frames, tmp_path) as server:
        asking = threading.Thread(target=lambda: answers.append(post(server, b"film", "film.mp4")))
        asking.start()
        assert is_running.wait(PATIENCE)
    asking.join()
    assert answers == [(503, {"error": "evolift was ended: start it again."})]
    assert not list(tmp_path.iterdir())
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("prediction")]


def test_unknown_pages_and_methods(server: UploadServer) -> None:
    assert ask(server, "GET", "/result/x")[0] == 404
    assert ask(server, "GET", "/../../etc/passwd")[0] == 404
    assert ask(server, "POST", "/", b"x", X_File_Name="a.png")[0] == 405
    assert ask(server, "POST", "/x", b"x", X_File_Name="a.png")[0] == 404
    assert ask(server, "PUT", "/predict", b"x")[0] == 405


def test_a_port_in_use_is_named(server: UploadServer, tmp_path: Path) -> None:
    port = port_of(server)
    with pytest.raises(
        InputError, match=rf"127.0.0.1 port {port} cannot be listened on \(.*\): give another `port`"
    ):
        UploadServer(UploadSettings(port=port), echo, tmp_path)
    with pytest.raises(InputError, match=r"no\.such\.host\.invalid port 0 cannot be listened on"):
        UploadServer(UploadSettings(host="no.such.host.invalid", port=0), echo, tmp_path)
