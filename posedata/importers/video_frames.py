"""Some frames of a video as image files, for data sets whose poses belong to the frames of videos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Int64

from evolift.posedata.errors import InputError, OutputError
from evolift.posedata.image_file import encoded_image
from evolift.posedata.video_file import VideoReader

JPEG_QUALITY = 95


def write_video_frames(
    video: Path, rows: Int64[np.ndarray, "kept"], folder: Path, name: str
) -> tuple[list[str], tuple[int, int]]:
    """Write frames as JPEG; one of them at a time is in memory.

    Args:
        video: the file.
        rows: of its frames from 0, increasing.
        folder: to write into; made if it is not there.
        name: images are called NAME_000001.jpg and so on, with the number of the frame from 1.

    Returns:
        Names of the files, and (width, height) of the images.

    Raises:
        InputError: the video cannot be read, or ends before the last of the frames.
        OutputError: an image cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = set(rows.tolist())
    last = int(rows[-1])
    names: list[str] = []
    with VideoReader(video) as reader:
        size = reader.size
        for row, frame in enumerate(reader):
            if row in wanted:
                names.append(f"{name}_{row + 1:06d}.jpg")
                data = encoded_image(frame, ".jpg", quality=JPEG_QUALITY)
                try:  # not `write_image`: the folder as a whole appears or does not
                    (folder / names[-1]).write_bytes(data)
                except OSError as error:
                    raise OutputError(
                        f"{folder / names[-1]} could not be written: {error.strerror or error}"
                    ) from None
            if row == last:
                break
    if len(names) < len(rows):
        raise InputError(
            f"{video} ends after {reader.read} frames, its poses go on to frame {last + 1}: download it again"
        )
    return names, size
