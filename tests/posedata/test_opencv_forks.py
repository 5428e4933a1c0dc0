"""A fork while OpenCV's threads live may copy a lock that nobody will open."""

from __future__ import annotations

import ctypes
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from evolift.posedata.opencv_forks import join_with_opencv

linux = pytest.mark.skipif(sys.platform != "linux", reason="sees threads as Linux tells them")

_FORK = """
import os, threading
seen = []
os.register_at_fork(before=lambda: seen.append(len(os.listdir("/proc/self/task"))))  # the first registered is called last
import cv2, numpy as np
import evolift.posedata.image_file

def work():
    image = np.random.default_rng(0).integers(0, 255, (900, 900, 3), np.uint8)
    return cv2.GaussianBlur(image, (31, 31), 0)

cv2.setNumThreads(4)
without = len(os.listdir("/proc/self/task"))
blurred = work()
assert len(os.listdir("/proc/self/task")) > without, "OpenCV works without threads here"
pid = os.fork()
if not pid:
    os._exit(0 if cv2.getNumThreads() == 1 and (work() == blurred).all() else 1)
assert seen == [without], f"{seen} threads when forked, {without} without OpenCV's"
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
assert cv2.getNumThreads() == 4 and (work() == blurred).all()
"""


@linux
def test_opencv_has_no_threads_when_this_process_is_forked() -> None:
    subprocess.run([sys.executable, "-c", _FORK], check=True, timeout=60)


@linux
def test_a_joined_thread_has_left_c_too() -> None:
    libc, key = ctypes.CDLL(None), ctypes.c_uint()
    assert libc.pthread_key_create(ctypes.byref(key), libc.usleep) == 0
    microseconds = ctypes.c_void_p(300_000)  # which the end of the thread takes, after Python's
    thread = threading.Thread(target=lambda: libc.pthread_setspecific(key, microseconds))
    thread.start()
    join_with_opencv(thread)
    assert not Path(f"/proc/self/task/{thread.native_id}").exists()
