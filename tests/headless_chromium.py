"""A headless Chromium for tests of pages, driven over its DevTools pipe with the standard library alone.

Needs a `chromium` or `google-chrome` on the PATH (Debian: `apt-get install chromium`) and no Python package. A page
remembers each error of its console, each uncaught exception and each request that it makes, so that a test can
assert that there were none.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np
import pytest

_TIMEOUT = 60.0
# Chromium wants its pipe at file descriptors 3 and 4, which Python may be using.
_MOVE_PIPES = (
    "import fcntl, os, sys; r, w = (fcntl.fcntl(int(fd), fcntl.F_DUPFD, 10) for fd in sys.argv[1:3]); "
    "os.dup2(r, 3); os.dup2(w, 4); os.close(r); os.close(w); os.execv(sys.argv[3], sys.argv[3:])"
)


def chromium_or_skip() -> str:
    """Path of a Chromium; skips the test when there is none."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    pytest.skip("no chromium or google-chrome on the PATH (Debian: apt-get install chromium)")


class HeadlessPage:
    """One page in one browser of its own; a context manager.

    Args:
        width, height: of the window, CSS pixels.
        dark: the reader prefers dark pages.
    """

    def __init__(self, width: int = 1200, height: int = 900, *, dark: bool = False) -> None:
        browser = chromium_or_skip()  # before there is anything to clean up
        self.errors: list[str] = []
        self.requests: list[str] = []
        self._last_id = 0
        self._pending = b""
        self._profile = tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True)
        to_browser, self._write = os.pipe()
        self._read, from_browser = os.pipe()
        options = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
        ]
        options += ["--disable-background-networking", "--remote-debugging-pipe", "--hide-scrollbars"]
        options += [f"--user-data-dir={self._profile.name}", f"--window-size={width},{height}", "about:blank"]
        pipes = (str(to_browser), str(from_browser))
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-c", _MOVE_PIPES, *pipes, browser, *options],
            pass_fds=(to_browser, from_browser),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        self._session: str | None = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the DevTools protocol and its answer."""
        self._last_id += 1
        message: dict[str, Any] = {"id": self._last_id, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._last_id:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return dict(answer["result"])

    def open(self, path: Path) -> None:
        """Load a file and wait until it is drawn."""
        self.requests.clear()
        self.call("Page.navigate", url=path.resolve().as_uri())
        self.wait_until("document.readyState === 'complete' && location.href !== 'about:blank'")
        self.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def evaluate(self, expression: str) -> Any:
        """Value of a JavaScript expression (awaited if it is a promise)."""
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def wait_until(self, expression: str, seconds: float = 10.0) -> None:
        """Wait until a JavaScript expression is true."""
        end = time.monotonic() + seconds
        while not self.evaluate(expression):
            if time.monotonic() > end:
                raise TimeoutError(f"not true after {seconds} s: {expression}")
            time.sleep(0.02)

    def centre_of(self, selector: str) -> tuple[float, float]:
        """Middle of an element in the window, scrolled into view."""
        box = self.evaluate(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); e.scrollIntoView({{block: 'center'}});"
            " const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        return float(box[0]), float(box[1])

    def click(self, selector: str) -> None:
        """Press and release the mouse on an element."""
        self.drag(selector, 0, 0)

    def drag(self, selector: str, dx: float, dy: float) -> None:
        """Press the mouse in the middle of an element, move by (dx, dy) and release."""
        x, y = self.centre_of(selector)
        button = {"button": "left", "clickCount": 1}
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        self.call("Input.dispatchMouseEvent", type="mousePressed", x=x, y=y, **button)
        if dx or dy:
            self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x + dx, y=y + dy, buttons=1, **button)
        self.call("Input.dispatchMouseEvent", type="mouseReleased", x=x + dx, y=y + dy, **button)

    def press(self, key: str) -> None:
        """Press and release a key on the focused element."""
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def screenshot(self) -> np.ndarray:
        """RGB pixels of the window."""
        return _decoded(self.call("Page.captureScreenshot", format="png")["data"])

    def canvas(self, selector: str) -> np.ndarray:
        """RGB pixels of a canvas on white."""
        url = self.evaluate(
            f"(() => {{ const c = document.querySelector({json.dumps(selector)}); const o = document.createElement('canvas');"
            " o.width = c.width; o.height = c.height; const x = o.getContext('2d'); x.fillStyle = '#fff';"
            " x.fillRect(0, 0, o.width, o.height); x.drawImage(c, 0, 0); return o.toDataURL(); })()"
        )
        return _decoded(url.split(",", 1)[1])

    def __enter__(self) -> HeadlessPage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._write)  # a browser that loses its pipe ends itself
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._read)
        self._profile.cleanup()

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._pending:
            if not select.select([self._read], [], [], _TIMEOUT)[0]:
                raise TimeoutError("the browser does not answer")
            part = os.read(self._read, 1 << 20)
            if not part:
                raise RuntimeError(f"the browser ended with code {self._process.wait()}")
            self._pending += part
        line, self._pending = self._pending.split(b"\0", 1)
        message = dict(json.loads(line))
        self._note(message)
        return message

    def _note(self, message: dict[str, Any]) -> None:
        method, values = message.get("method"), message.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.errors.append(str(values["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and values["type"] in ("error", "warning", "assert"):
            self.errors.append(str(values["args"]))
        elif method == "Log.entryAdded" and values["entry"]["level"] in ("error", "warning"):
            self.errors.append(values["entry"]["text"])
        elif method == "Network.requestWillBeSent" and not values["request"]["url"].startswith("data:"):
            self.requests.append(values["request"]["url"])


def _decoded(code: str) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(base64.b64decode(code), np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image[..., ::-1].copy()
