from __future__ import annotations

import resource
import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from evolift.posedata.errors import InputError, OutputError
from evolift.posedata.video_file import AHEAD, VideoReader, VideoWriter
from tests.variable_rate_video import with_durations


def written(path: Path, frames: int = 30, size: tuple[int, int] = (96, 64)) -> Path:
    """A video whose red grows from frame to frame; its left half is blue."""
    with VideoWriter(path, size, 25.0) as video:
        for number in range(frames):
            frame = np.zeros((size[1], size[0], 3), np.uint8)
            frame[:, : size[0] // 2, 2] = 255
            frame[..., 0] = 6 * number % 250
            video.write(frame)
    return path


@pytest.mark.parametrize("size", [(96, 64), (97, 65)])
def test_frames_come_back_in_order_and_in_colour(tmp_path: Path, size: tuple[int, int]) -> None:
    with VideoReader(written(tmp_path / "a.mp4", size=size)) as video:
        assert (video.frames_per_second, video.count) == (25.0, 30)
        assert video.size == (size[0] + size[0] % 2, size[1] + size[1] % 2)
        frames = list(video)
    assert (len(frames), video.read, video.is_cut_off) == (30, 30, False)
    red = np.array([frame[..., 0].mean() for frame in frames])
    np.testing.assert_allclose(red, 6 * np.arange(30), atol=12)
    assert frames[3][:, :40, 2].mean() > 200
    assert frames[3][:, 56:, 2].mean() < 60
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.mp4"]


def test_frames_have_the_times_of_their_container(tmp_path: Path) -> None:
    path = with_durations(written(tmp_path / "a.mp4", frames=6), [40, 40, 200, 40, 300, 40])
    with VideoReader(path) as video:
        times = [video.time for _ in video]
    np.testing.assert_allclose(times, [0, 0.04, 0.08, 0.28, 0.32, 0.62], atol=1e-6)


def test_decoding_waits_for_the_work_and_ends_with_it(tmp_path: Path) -> None:
    path = written(tmp_path / "a.mp4", frames=300, size=(320, 240))
    threads = threading.active_count()
    tracemalloc.start()
    with VideoReader(path) as video:
        for _ in video:
            if video.read == 150:
                break
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < (AHEAD + 12) * 320 * 240 * 3
    assert threading.active_count() == threads


def test_what_is_no_video_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty.mp4").touch()
    for name in ("text.mp4", "empty.mp4", "none.mp4"):
        with pytest.raises(InputError, match=f"{name} is not a readable video: convert it"):
            VideoReader(tmp_path / name)
    with pytest.raises(InputError, match="webcam 77 is not there"):
        VideoReader(77)


def test_a_video_cut_off_is_told(tmp_path: Path) -> None:
    path = written(tmp_path / "a.avi", frames=200)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with VideoReader(path) as video:
        frames = len(list(video))
    assert video.is_cut_off == (frames < video.count - 3)


def test_a_failed_block_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_text("old")
    with pytest.raises(OutputError, match="exists: choose another output"):
        VideoWriter(path, (64, 64), 25.0)
    video = VideoWriter(path, (64, 64), 25.0, overwrite=True)
    with pytest.raises(RuntimeError, match="stop"):
        _fail(video)
    assert [(entry.name, entry.read_text()) for entry in tmp_path.iterdir()] == [("a.mp4", "old")]


def _fail(video: VideoWriter) -> None:
    with video:
        video.write(np.zeros((64, 64, 3), np.uint8))
        raise RuntimeError("stop")


def write_noise(path: Path, frames: int) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (frames, 96, 128, 3), np.uint8)
    with VideoWriter(path, (128, 96), 25.0) as video:
        for frame in noise:
            video.write(frame)


def test_a_video_that_the_disk_has_no_room_for_is_told_and_leaves_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))  # as a full disk: writing on fails
    try:
        with pytest.raises(OutputError, match=r"a\.mp4 could not be written whole"):
            write_noise(tmp_path / "a.mp4", 20)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())
    assert capfd.readouterr().err == ""
