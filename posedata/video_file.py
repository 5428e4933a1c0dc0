"""Videos read and written beside the work on them: a thread decodes ahead, another encodes behind, memory stays flat.

Frames are RGB, uint8, upright as the file says. Written videos are MPEG-4 in .mp4, which every OpenCV can write.
"""

from __future__ import annotations

import contextlib
import math
import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
from jaxtyping import UInt8

from evolift.posedata.errors import InputError, OutputError
from evolift.posedata.image_header import ImageHeader, require_decodable
from evolift.posedata.image_settings import ImageSettings
from evolift.posedata.input_file import require_regular_file
from evolift.posedata.opencv_forks import join_with_opencv
from evolift.posedata.opencv_quiet import quiet_opencv
from evolift.posedata.output_file import PartialFile, escaped

AHEAD = 8
"""Frames that may wait between decoding, work and encoding."""
RATE_UNKNOWN = 30.0
_CODEC = "mp4v"
_NO_NAME = "is not UTF-8, which OpenCV needs of the names of videos: rename it"  # it crashes on others
_SIDES = (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
_MISSING = 0.01
_MAX_FRAMES = 1e9
_MS_PER_SECOND = 1e3

Frame = UInt8[np.ndarray, "height width 3"]


class VideoReader:
    """Frames of a video file or webcam, decoded ahead in a thread; a context manager.

    Args:
        source: path of a file, or number of a webcam.
        settings: how large its frames may be.

    Attributes:
        label: of the source, for messages.
        size: (width, height) of its frames, pixels.
        frames_per_second: as the source tells; 30 if it does not.
        count: frames that a file says it has, 0 if that is not known.
        read: frames given so far.
        time: of the last frame given, seconds since the first as the file's container has it; NaN where it has none.

    Raises:
        InputError: it cannot be opened, holds no frames, or its frames have more pixels than the settings allow.
    """

    def __init__(self, source: Path | int, settings: ImageSettings = ImageSettings()) -> None:
        self.label = f"webcam {source}" if isinstance(source, int) else str(source)
        if escaped(self.label) != self.label:
            raise InputError(f"{escaped(self.label)} {_NO_NAME}")
        if isinstance(source, Path):
            require_regular_file(source)
        with quiet_opencv():
            self._capture = cv2.VideoCapture(source if isinstance(source, int) else str(source))
            width, height = (int(self._capture.get(side)) for side in _SIDES)  # 0 if it is not open
            require_decodable(ImageHeader(width, height, width * height), self.label, settings)
            is_read, first = self._capture.read() if self._capture.isOpened() else (False, None)
        if not is_read or first is None:
            self._capture.release()
            raise InputError(
                f"{self.label} is not there: choose another number"
                if isinstance(source, int)
                else f"{self.label} is not a readable video: convert it to .mp4"
            )
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.frames_per_second = float(rate) if math.isfinite(rate) and 0 < rate < 1000 else RATE_UNKNOWN
        self.size = (first.shape[1], first.shape[0])
        count = 0.0 if isinstance(source, int) else self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.count = int(count) if 0 < count < _MAX_FRAMES else 0  # damaged files tell nonsense
        self.read, self.time = 0, math.nan
        self._has_times = not isinstance(source, int)
        self._first_stamp = self._capture.get(cv2.CAP_PROP_POS_MSEC)
        self._queue: queue.Queue[tuple[np.ndarray, float] | BaseException | None] = queue.Queue(AHEAD)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._decode, args=(first,), daemon=True)
        self._thread.start()

    @property
    def is_cut_off(self) -> bool:
        """Whether the file ended clearly before the number of frames that it tells; meant for after the last one."""
        return self.read < self.count - 1 - _MISSING * self.count

    def __iter__(self) -> Iterator[Frame]:
        """The frames of the video in order, RGB."""
        while (item := self._queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            frame, stamp = item
            # The first frame is at 0 whatever its stamp; a later one that is not later has no time.
            since = (stamp - self._first_stamp) / _MS_PER_SECOND
            self.time = since if self._has_times and (since > 0 or not self.read) else math.nan
            self.read += 1
            yield frame

    def _decode(self, first: np.ndarray) -> None:
        try:
            frame: np.ndarray | None = first
            while frame is not None and not self._stop.is_set():
                stamp = self._capture.get(cv2.CAP_PROP_POS_MSEC)
                self._put((cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), stamp))
                is_read, frame = self._capture.read()
                frame = frame if is_read else None
            self._put(None)
        except BaseException as error:  # raised again where frames are taken
            self._put(error)

    def _put(self, item: tuple[np.ndarray, float] | BaseException | None) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(queue.Full):
                self._queue.put(item, timeout=0.1)
                return

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        join_with_opencv(self._thread)
        self._capture.release()


class VideoWriter:
    """An .mp4 video, encoded behind in a thread; it appears under its name when the block ends without an error.

    The format wants even sides: an odd one gets its last row or column twice.

    Args:
        path: ending in .mp4.
        size: (width, height) of its frames, pixels.
        frames_per_second: of the video.
        overwrite: replace an existing file.

    Raises:
        OutputError: the file exists, or cannot be written; when the block ends, also if it is not whole.
    """

    def __init__(
        self, path: Path, size: tuple[int, int], frames_per_second: float, *, overwrite: bool = False
    ) -> None:
        if escaped(str(path)) != str(path):
            raise OutputError(f"{escaped(str(path))} {_NO_NAME}")
        self.path = path
        self._partial = PartialFile(
            path, overwrite=overwrite, ending=path.suffix
        )  # it tells OpenCV the format
        with quiet_opencv():
            code = cv2.VideoWriter.fourcc(*_CODEC)
            self._odd = (size[1] % 2, size[0] % 2)
            even = (size[0] + self._odd[1], size[1] + self._odd[0])
            self._writer = cv2.VideoWriter(str(self._partial.path), code, frames_per_second, even)
        if not self._writer.isOpened():
            self._partial.abandon()
            raise OutputError(f"{path} could not be written as a video: choose another output")
        self._queue: queue.Queue[np.ndarray | None] = queue.Queue(AHEAD)
        self._error: BaseException | None = None
        self._written = 0
        self._thread = threading.Thread(target=self._encode, daemon=True)
        self._thread.start()

    def write(self, frame: Frame) -> None:
        """Queue the next frame (RGB) for encoding."""
        self._queue.put(frame)

    def _encode(self) -> None:
        while (frame := self._queue.get()) is not None:
            if self._error is None:
                try:
                    even = np.pad(frame, ((0, self._odd[0]), (0, self._odd[1]), (0, 0)), "edge")
                    with quiet_opencv():
                        self._writer.write(cv2.cvtColor(even, cv2.COLOR_RGB2BGR))
                    self._written += 1
                except BaseException as error:  # raised again when the block ends
                    self._error = error

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._queue.put(None)
        join_with_opencv(self._thread)
        with quiet_opencv():
            self._writer.release()
        if kind is not None or self._error is not None:
            self._partial.abandon()
            if self._error is not None and kind is None:
                raise self._error
            return
        if (
            _frames_of(self._partial.path) < self._written
        ):  # OpenCV does not tell that a frame could not be written
            self._partial.abandon()
            raise OutputError(f"{self.path} could not be written whole: see whether the disk is full")
        self._partial.finish()


def _frames_of(path: Path) -> int:
    """Frames that a video file says it holds; 0 if it cannot be opened."""
    with quiet_opencv():
        video = cv2.VideoCapture(str(path))
        count = video.get(cv2.CAP_PROP_FRAME_COUNT) if video.isOpened() else 0.0
        video.release()
    return int(count)
