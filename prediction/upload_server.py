"""A local web page that takes a photograph or video and shows what was predicted from it.

Nothing is loaded from elsewhere, and nothing is kept: an upload lies in a temporary folder during its prediction, and
the last page shown is held in memory. Pages of other sites can neither post to the server nor frame it, and on a loopback
address it answers only to names of this machine, so that no foreign name can be pointed at it (DNS rebinding).
"""

from __future__ import annotations

import base64
import hashlib
import html
import ipaddress
import json
import logging
import secrets
import socket
import tempfile
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from string import Template
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from evolift.posedata.errors import EvoliftError, InputError
from evolift.prediction.input_kinds import IMAGE_ENDINGS, VIDEO_ENDINGS
from evolift.prediction.settings import UploadSettings

BYTES_PER_MEGABYTE = 1_000_000
_CHUNK = 1 << 16
_MAX_DISCARDED = 16 * BYTES_PER_MEGABYTE
_IDLE_SECONDS = 30.0
_LONGEST_NAME = 200

_log = logging.getLogger(__name__)


class Answer(NamedTuple):
    """What was predicted from an upload.

    Args:
        page: HTML that needs nothing else.
        notes: sentences on what could not be done.
    """

    page: str
    notes: tuple[str, ...] = ()


Predict = Callable[[Path, str], Answer]
"""(file, its name as the user knows it) -> answer; raises an `EvoliftError` for what the user can mend."""


class UploadServer(ThreadingHTTPServer):
    """The server; a context manager, to be run with `serve_forever`.

    Args:
        settings: where it listens, and what it takes; how many frames of a video are predicted is only told on the page.
        predict: called with one upload at a time.
        folder: for uploads during their prediction.

    Raises:
        InputError: host and port cannot be listened on.
    """

    daemon_threads = True

    def __init__(self, settings: UploadSettings, predict: Predict, folder: Path) -> None:
        self.predict, self.folder, self.settings = predict, folder, settings
        host, port = settings.host, settings.port
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.prediction_lock = threading.Lock()
        self.shown = ("", "")
        self.page, self.policy = _upload_page(settings)
        try:
            super().__init__((host, port), _Handler)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(
                f"{host} port {port} cannot be listened on ({reason}): give another `port` or `host`"
            ) from None
        self.is_local = _is_loopback(str(self.server_address[0]))

    @property
    def url(self) -> str:
        """Address of the server's page, for a browser on this machine."""
        host, port = self.server_address[:2]
        return f"http://{_bracketed(str(host))}:{port}/"

    def answers_to(self, host: str) -> bool:
        """Whether a Host header names this server; elsewhere than on a loopback address any name may."""
        if not self.is_local:
            return True
        port = self.server_address[1]
        names = {"localhost", "127.0.0.1", "[::1]", _bracketed(str(self.server_address[0]))}
        return host in {f"{name}:{port}" for name in names} | (names if port == 80 else set())


class _RefusalError(Exception):
    """A request that is answered with a status and one sentence."""

    def __init__(self, status: HTTPStatus, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    server: UploadServer
    server_version = "evolift"
    sys_version = ""
    timeout = _IDLE_SECONDS
    is_body_read = False

    def do_GET(self) -> None:
        try:
            self._check_host()
            path = urlsplit(self.path).path
            address, page = self.server.shown
            if path == "/":
                self._send(HTTPStatus.OK, self.server.page, "text/html", self.server.policy)
            elif path == address:
                self._send(HTTPStatus.OK, page, "text/html", _policy("frame-ancestors 'self'"))
            else:
                raise _RefusalError(
                    HTTPStatus.NOT_FOUND, "There is no such page, or a newer result took its place."
                )
        except _RefusalError as refusal:
            self._refuse(refusal)

    def do_POST(self) -> None:
        length = 0
        try:
            self._check_host()
            self._check_origin()
            length = self._length()
            if urlsplit(self.path).path != "/predict":
                raise _RefusalError(HTTPStatus.NOT_FOUND, "There is no such page.")
            self._predict(length)
        except _RefusalError as refusal:
            self._discard(length)
            self._refuse(refusal)

    def _predict(self, length: int) -> None:
        name, ending = self._name()
        limit = self.server.settings.max_megabytes
        if length > limit * BYTES_PER_MEGABYTE:
            raise _RefusalError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"{name} has {length / BYTES_PER_MEGABYTE:.1f} MB, at most {limit} are taken: make it smaller",
            )
        if not self.server.prediction_lock.acquire(blocking=False):
            raise _RefusalError(
                HTTPStatus.SERVICE_UNAVAILABLE, "Another prediction is running: try again when it is done."
            )
        try:
            with tempfile.TemporaryDirectory(prefix="upload-", dir=self.server.folder) as folder:
                path = Path(folder) / f"upload{ending}"
                self._receive(path, length)
                answer = self._answer(path, name)
        finally:
            self.server.prediction_lock.release()
        address = f"/result/{secrets.token_urlsafe(16)}"
        self.server.shown = (address, answer.page)
        self._send_json(HTTPStatus.OK, {"result": address, "notes": answer.notes})

    def _answer(self, path: Path, name: str) -> Answer:
        """What is predicted, told in the user's name of the file."""
        try:
            answer = self.server.predict(path, name)
        except EvoliftError as error:
            sentence = str(error).replace(str(path), name)
            raise _RefusalError(HTTPStatus.UNPROCESSABLE_ENTITY, sentence) from None
        except Exception:
            _log.exception("the prediction failed")
            raise _RefusalError(
                HTTPStatus.INTERNAL_SERVER_ERROR,
                "The prediction failed by a defect of evolift: its terminal says more.",
            ) from None
        return Answer(answer.page, tuple(note.replace(str(path), name) for note in answer.notes))

    def _check_host(self) -> None:
        if not self.server.answers_to(self.headers.get("Host", "")):
            raise _RefusalError(
                HTTPStatus.MISDIRECTED_REQUEST,
                f"This page is at {self.server.url} and answers to no other name.",
            )

    def _check_origin(self) -> None:
        origin = self.headers.get("Origin")
        is_ours = origin is None or origin == f"http://{self.headers.get('Host', '')}"
        if not is_ours or self.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            raise _RefusalError(HTTPStatus.FORBIDDEN, "Only this server's own page may send files to it.")

    def _length(self) -> int:
        header = self.headers.get("Content-Length", "")
        if not (header.isascii() and header.isdigit()):
            raise _RefusalError(HTTPStatus.LENGTH_REQUIRED, "Say the size of the file with Content-Length.")
        return int(header)

    def _name(self) -> tuple[str, str]:
        """The file's name without folders and control characters, and its ending."""
        header = unquote(self.headers.get("X-File-Name", "")).replace("\\", "/")
        name = "".join(letter for letter in PurePosixPath(header).name if letter.isprintable())[
            -_LONGEST_NAME:
        ]
        ending = PurePosixPath(name).suffix.lower()
        if ending not in (*IMAGE_ENDINGS, *VIDEO_ENDINGS):
            raise _RefusalError(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                f"{name or 'A file without a name'} is neither an image nor a video: give a file such as .jpg, .png or .mp4",
            )
        return name, ending

    def _receive(self, path: Path, length: int) -> None:
        left, self.is_body_read = length, True
        with path.open("wb") as file:
            while left:
                try:
                    part = self.rfile.read(min(_CHUNK, left))
                except OSError:
                    part = b""
                if not part:
                    raise _RefusalError(HTTPStatus.BAD_REQUEST, "The upload broke off: send the file again.")
                left -= len(part)
                file.write(part)

    def _discard(self, length: int) -> None:
        """Read what was sent of a refused file, within reason: a browser that cannot send does not read the answer."""
        left = 0 if self.is_body_read else min(length, _MAX_DISCARDED)
        try:
            while left and (part := self.rfile.read(min(_CHUNK, left))):
                left -= len(part)
        except OSError:
            return

    def _refuse(self, refusal: _RefusalError) -> None:
        self._send_json(refusal.status, {"error": str(refusal)})

    def _send_json(self, status: HTTPStatus, values: object) -> None:
        self._send(status, json.dumps(values), "application/json", _policy())

    def _send(self, status: HTTPStatus, text: str, kind: str, policy: str) -> None:
        body = text.encode()
        try:
            self.send_response(status)
            for name, value in (
                ("Content-Type", f"{kind}; charset=utf-8"),
                ("Content-Length", str(len(body))),
                ("Content-Security-Policy", policy),
                ("X-Content-Type-Options", "nosniff"),
                ("Referrer-Policy", "no-referrer"),
                ("Cross-Origin-Resource-Policy", "same-origin"),
                ("Cache-Control", "no-store"),
            ):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            _log.info("the browser went away before it was answered")

    def log_message(self, format: str, *values: object) -> None:
        _log.info(format, *values)


def _upload_page(settings: UploadSettings) -> tuple[str, str]:
    """The page, and the content security policy that allows it its own script and its result."""
    here = Path(__file__)
    script = here.with_name("upload_page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = Template(here.with_name("upload_page.html").read_text(encoding="utf-8")).substitute(
        accept=html.escape(",".join((*IMAGE_ENDINGS, *VIDEO_ENDINGS))),
        megabytes=settings.max_megabytes,
        frames=settings.max_frames,
        script=script,
    )
    policy = _policy(
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; connect-src 'self'; frame-src 'self'; frame-ancestors 'none'"
    )
    return page, policy


def _policy(policy: str = "default-src 'none'; frame-ancestors 'none'") -> str:
    return f"{policy}; base-uri 'none'; form-action 'none'; object-src 'none'"


def _is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
