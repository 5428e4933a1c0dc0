"""A local web page that takes a photograph or video and shows what was predicted from it.

Starlette and uvicorn (the extra `app`) speak HTTP; here is what may be asked, and of whom. Nothing is loaded from elsewhere, and
nothing is kept: an upload lies in a temporary folder until it is predicted, and the last page shown is held in memory. Pages
of other sites can neither post to the server nor frame it, and on a loopback address it answers only to names of this machine,
so that no foreign name can be pointed at it (DNS rebinding).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import html
import ipaddress
import logging
import secrets
import socket
import tempfile
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from string import Template
from types import FrameType
from typing import NamedTuple
from urllib.parse import quote, unquote

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol

from evolift.artifacts.shipped_files import example_image
from evolift.posedata.errors import EvoliftError, InputError
from evolift.posedata.progress import Progress
from evolift.prediction.input_kinds import IMAGE_ENDINGS, VIDEO_ENDINGS
from evolift.prediction.settings import UploadSettings

BYTES_PER_MEGABYTE = 1_000_000
BODY_SECONDS = 300.0
"""After which an upload is given up."""
MAX_RECEIVED = 8
"""Uploads that may be on their way at once."""
GRACE_SECONDS = 60
"""For what is being answered when the server is ended; a second Ctrl-C does not wait."""
_MAX_DISCARDED = 16 * BYTES_PER_MEGABYTE
_HEAD_SECONDS = 30.0
_LONGEST_NAME = 200
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Connection": "close",
}
_NO_PAGE = "There is no such page, or a newer result took its place."

_log = logging.getLogger(__name__)


class Answer(NamedTuple):
    """What was predicted from an upload.

    Args:
        page: HTML that needs nothing else.
        notes: sentences on what could not be done.
        files: to download, by name.
    """

    page: str
    notes: tuple[str, ...] = ()
    files: Mapping[str, bytes] = {}


Predict = Callable[[Path, str, Progress], Answer]
"""(file, its name as the user knows it, progress) -> answer; raises an `EvoliftError` for what the user can mend.

What progress raises must end it."""


class UploadServer:
    """The server; a context manager, to be run with `serve_forever`.

    Args:
        settings: where it listens, and what it takes; how many frames of a video are predicted is only told on the page.
        predict: called with one upload at a time, in a thread.
        folder: for uploads until they are predicted.

    Attributes:
        is_local: whether only this machine can reach it.
        url: address of its page, for a browser on this machine.

    Raises:
        InputError: host and port cannot be listened on.
    """

    def __init__(self, settings: UploadSettings, predict: Predict, folder: Path) -> None:
        self._predict, self._folder, self._settings = predict, folder, settings
        self._turn, self._is_ending = threading.Lock(), threading.Event()
        self._shown: tuple[str, Answer] = ("", Answer(""))
        self._done: tuple[int, int | None] = (0, None)
        self._page, self._page_headers = _upload_page(settings)
        self._receiving = 0
        self._socket = _listening(settings.host, settings.port)
        host, self._port = self._socket.getsockname()[:2]
        self._host = f"[{host}]" if ":" in host else host
        self.url = f"http://{self._host}:{self._port}/"
        self.is_local = ipaddress.ip_address(host.partition("%")[0]).is_loopback
        self._predictor = ThreadPoolExecutor(1, "prediction")
        routes = [
            Route("/", self._get_page),
            Route("/result/{key}", self._get_result),
            Route("/result/{key}/{number:int}", self._get_file),
            Route("/example", self._get_example),
            Route("/progress", self._get_progress),
            Route("/predict", self._post_upload, methods=["POST"]),
        ]
        app = Starlette(routes=routes, exception_handlers={HTTPException: _refuse})
        # Our own logging, no second process, and no guess at what stands before us.
        config = Config(
            app,
            http=_Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        self._server = _Server(config, self._is_ending)

    def serve_forever(self) -> None:
        """Answer until `shutdown`; a prediction that is running ends at its next frame."""
        self._server.run(sockets=[self._socket])

    def shutdown(self) -> None:
        """End `serve_forever`, from a signal handler or another thread, or before it has begun."""
        self._is_ending.set()
        self._server.should_exit = True

    def __enter__(self) -> UploadServer:
        return self

    def __exit__(self, *_: object) -> None:
        self._is_ending.set()
        self._predictor.shutdown()  # a thread that computes when Python ends would abort it
        self._socket.close()

    async def _get_page(self, request: Request) -> Response:
        self._check_host(request)
        return HTMLResponse(self._page, headers=self._page_headers)

    async def _get_result(self, request: Request) -> Response:
        self._check_host(request)
        address, answer = self._shown
        if request.scope["path"] != address:
            raise HTTPException(404)
        return HTMLResponse(answer.page, headers=_headers("frame-ancestors 'self'"))

    async def _get_file(self, request: Request) -> Response:
        self._check_host(request)
        address, answer = self._shown
        number = request.path_params["number"]
        if f"/result/{request.path_params['key']}" != address or number >= len(answer.files):
            raise HTTPException(404)
        name, data = list(answer.files.items())[number]
        kept = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}"}
        return Response(data, headers=_headers() | kept, media_type="application/octet-stream")

    async def _get_example(self, request: Request) -> Response:
        """An image for those who have none at hand."""
        self._check_host(request)
        return Response(example_image().read_bytes(), headers=_headers(), media_type="image/jpeg")

    async def _get_progress(self, request: Request) -> Response:
        """Frames of the running prediction that are done, and how many there will be, if that is known."""
        self._check_host(request)
        done, total = self._done
        return JSONResponse({"done": done, "total": total}, headers=_headers())

    async def _post_upload(self, request: Request) -> Response:
        self._check_host(request)
        try:
            self._check_origin(request)
            name, ending = _name_of(request)
            self._check_length(request, name)
        except HTTPException:
            await _discard(request)
            raise
        with tempfile.TemporaryDirectory(prefix="upload-", dir=self._folder) as folder:
            path = Path(folder) / f"upload{ending}"
            await self._receive(request, path)
            if not self._turn.acquire(blocking=False):
                raise HTTPException(503, "Another prediction is running: try again when it is done.")
            job = self._predictor.submit(self._answer, path, name)
            job.add_done_callback(lambda _: self._turn.release())
            answer = await asyncio.shield(asyncio.wrap_future(job))
        self._shown = (f"/result/{secrets.token_urlsafe(16)}", answer)
        address = self._shown[0]
        files = [{"name": name, "url": f"{address}/{number}"} for number, name in enumerate(answer.files)]
        return JSONResponse({"result": address, "notes": answer.notes, "files": files}, headers=_headers())

    def _answer(self, path: Path, name: str) -> Answer:
        """What is predicted, told in the user's name of the file."""
        self._done = (0, None)
        try:
            answer = self._predict(path, name, self._progress)
        except EvoliftError as error:
            raise HTTPException(422, str(error).replace(str(path), name)) from None
        except _EndingError:
            raise HTTPException(503, "evolift was ended: start it again.") from None
        except Exception:
            _log.exception("the prediction failed")
            raise HTTPException(
                500, "The prediction failed by a defect of evolift: its terminal says more."
            ) from None
        return answer._replace(notes=tuple(note.replace(str(path), name) for note in answer.notes))

    def _progress(self, done: int, total: int | None = None) -> None:
        if self._is_ending.is_set():
            raise _EndingError
        self._done = (self._done[0] + done, total)

    def _check_host(self, request: Request) -> None:
        """Refuse a Host header that does not name this server; elsewhere than on a loopback address any name may."""
        names = {"localhost", "127.0.0.1", "[::1]", self._host}
        allowed = {f"{name}:{self._port}" for name in names} | (names if self._port == 80 else set())
        if self.is_local and request.headers.get("host") not in allowed:
            raise HTTPException(421, f"This page is at {self.url} and answers to no other name.")

    def _check_origin(self, request: Request) -> None:
        ours = {None, f"http://{request.headers.get('host')}"}
        site = request.headers.get("sec-fetch-site", "same-origin")
        if request.headers.get("origin") not in ours or site not in ("same-origin", "none"):
            raise HTTPException(403, "Only this server's own page may send files to it.")

    def _check_length(self, request: Request, name: str) -> None:
        header = request.headers.get("content-length")  # whose digits the parser has looked at
        if header is None:
            raise HTTPException(411, "Say the size of the file with Content-Length.")
        limit, length = self._settings.max_megabytes, int(header)
        if length > limit * BYTES_PER_MEGABYTE:
            raise HTTPException(
                413,
                f"{name} has {length / BYTES_PER_MEGABYTE:.1f} MB, at most {limit} are taken: make it smaller",
            )

    async def _receive(self, request: Request, path: Path) -> None:
        """Write the body, which is as long as its header says, into a file."""
        if self._receiving >= MAX_RECEIVED:
            await _discard(request)
            raise HTTPException(503, "Too many files are being sent: try again when they are done.")
        self._receiving += 1
        try:
            async with asyncio.timeout(BODY_SECONDS):
                with path.open("wb") as file:
                    async for part in request.stream():
                        file.write(part)
        except TimeoutError:
            raise HTTPException(
                408, f"The upload took more than {BODY_SECONDS:.0f} s: send a smaller file."
            ) from None
        except ClientDisconnect:
            raise HTTPException(400, "The upload broke off: send the file again.") from None
        finally:
            self._receiving -= 1


class _EndingError(Exception):
    """The server was ended while it predicted."""


class _Server(Server):
    """Uvicorn's server, whose prediction ends, too, when a signal ends it."""

    def __init__(self, config: Config, is_ending: threading.Event) -> None:
        super().__init__(config)
        self._is_ending = is_ending

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._is_ending.set()
        super().handle_exit(sig, frame)


class _Protocol(H11Protocol):
    """Uvicorn's protocol, which waits for the first request only so long."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's own narrowing
        super().connection_made(transport)
        self.loop.call_later(_HEAD_SECONDS, self._end_unasked)

    def _end_unasked(self) -> None:
        cycle: object = self.cycle  # None until there is a request, which uvicorn's own annotation hides
        if cycle is None:
            self.transport.close()


def _listening(host: str, port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen()  # at once: who is told the address may call before the loop runs
    except (OSError, OverflowError) as error:
        listening.close()
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"{host} port {port} cannot be listened on ({reason}): give another `port` or `host`"
        ) from None
    return listening


def _name_of(request: Request) -> tuple[str, str]:
    """The file's name without folders and control characters, and its ending."""
    header = unquote(request.headers.get("x-file-name", "")).replace("\\", "/")
    letters = (letter for letter in PurePosixPath(header).name if letter.isprintable())
    name = "".join(letters)[-_LONGEST_NAME:]
    ending = PurePosixPath(name).suffix.lower()
    if ending not in (*IMAGE_ENDINGS, *VIDEO_ENDINGS):
        raise HTTPException(
            415,
            f"{name or 'A file without a name'} is neither an image nor a video: give a file such as .jpg, .png or .mp4",
        )
    return name, ending


async def _discard(request: Request) -> None:
    """Read what was sent of a refused file, within reason: a browser that cannot send does not read the answer."""
    left = _MAX_DISCARDED
    try:
        async with asyncio.timeout(_HEAD_SECONDS):
            async for part in request.stream():
                left -= len(part)
                if left < 0:
                    return
    except (ClientDisconnect, TimeoutError):
        return


async def _refuse(_: Request, refusal: Exception) -> Response:
    """A status and one sentence."""
    assert isinstance(refusal, HTTPException)
    sentence = _NO_PAGE if refusal.status_code == 404 else refusal.detail
    return JSONResponse({"error": sentence}, refusal.status_code, _headers())


def _headers(policy: str = "default-src 'none'; frame-ancestors 'none'") -> dict[str, str]:
    whole = f"{policy}; base-uri 'none'; form-action 'none'; object-src 'none'"
    return {**_HEADERS, "Content-Security-Policy": whole}


def _upload_page(settings: UploadSettings) -> tuple[str, dict[str, str]]:
    """The page, and the headers that allow it its own script and its result."""
    here = Path(__file__)
    script = here.with_name("upload_page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = Template(here.with_name("upload_page.html").read_text(encoding="utf-8")).substitute(
        accept=html.escape(",".join((*IMAGE_ENDINGS, *VIDEO_ENDINGS))),
        megabytes=settings.max_megabytes,
        frames=settings.max_frames,
        script=script,
    )
    return page, _headers(
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; frame-src 'self'; frame-ancestors 'none'"
    )
