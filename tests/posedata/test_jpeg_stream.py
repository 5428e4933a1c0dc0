from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evolift.detector2d.image_source import _why_unreadable
from evolift.posedata.image_file import decode_image, is_incomplete, read_image

END = b"\xff\xd9"


def jpeg(**options: object) -> bytes:
    rng = np.random.default_rng(0)
    pixels = np.kron(rng.integers(0, 255, (12, 16, 3), np.uint8), np.ones((10, 10, 1), np.uint8))
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", **options)
    return file.getvalue()


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"quality": 98}])
@pytest.mark.parametrize("part", [0.6, 0.75, 0.9])
def test_a_jpeg_that_lacks_data_before_its_end_is_told(
    options: dict[str, object], part: float, tmp_path: Path
) -> None:
    whole = jpeg(**options)
    path = tmp_path / "a.jpg"
    path.write_bytes(whole)
    assert not is_incomplete(path, read_image(path))
    path.write_bytes(whole + b"what some cameras append" * 20 + END)
    assert not is_incomplete(path, read_image(path))
    path.write_bytes(whole[: int(part * len(whole))] + END)
    assert is_incomplete(path, read_image(path))
    assert _why_unreadable(path) == f"{path} is incomplete, a part of its image is missing: copy it again"


@pytest.mark.parametrize("level", [0, 127, 128, 129, 255])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"optimize": True}])
def test_a_grey_image_is_whole(level: int, options: dict[str, object], tmp_path: Path) -> None:
    path = tmp_path / "grey.jpg"
    Image.new("RGB", (123, 45), (level,) * 3).save(path, **options)
    assert not is_incomplete(path, read_image(path))


def test_other_formats_are_not_asked(tmp_path: Path) -> None:
    Image.new("RGB", (16, 16), (128, 128, 128)).save(tmp_path / "a.png")
    assert not is_incomplete(tmp_path / "a.png", decode_image((tmp_path / "a.png").read_bytes(), "a"))
