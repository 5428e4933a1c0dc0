"""OpenCV and its FFmpeg without their own messages on standard error: our errors say what is the matter."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import cv2

from evolift.posedata import opencv_forks  # noqa: F401 - whoever reads images or videos may be forked

_FFMPEG_LEVEL, _SILENT = "OPENCV_FFMPEG_LOGLEVEL", "-8"


@contextlib.contextmanager
def quiet_opencv() -> Iterator[None]:
    """Silence for the block; a user who set FFmpeg's level in the environment gets what they asked for."""
    os.environ.setdefault(_FFMPEG_LEVEL, _SILENT)
    before = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(0)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(before)
