from __future__ import annotations

import contextlib
import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from evolift.posedata.errors import InputError
from evolift.posedata.image_file import decode_image, read_image, read_image_size, read_reduced_image
from evolift.posedata.image_header import is_animated, read_header, read_orientation, require_decodable
from evolift.posedata.image_settings import ImageSettings
from evolift.posedata.video_file import VideoReader, VideoWriter


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def empty_png(width: int, height: int) -> bytes:
    """A PNG whose header alone says how large it is: who decodes it makes room for it."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def saved(format: str, size: tuple[int, int] = (300, 200)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size).save(file, format)
    return file.getvalue()


FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF")


@pytest.mark.parametrize("format", FORMATS)
def test_images_of_too_many_pixels_are_refused_by_their_header(format: str, tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(saved(format))
    small = ImageSettings(max_megapixels=0.05)
    sentence = (
        r"large has 300 x 200 pixels, at most 0.05 million are taken \(`max_megapixels`\): make it smaller"
    )
    with pytest.raises(InputError, match=sentence):
        read_image(path, small)
    with pytest.raises(InputError, match=sentence):
        read_reduced_image(path, 4, small)
    with pytest.raises(InputError, match=sentence):
        decode_image(path.read_bytes(), "large", small)
    exactly = ImageSettings(max_megapixels=0.06)
    assert read_image(path, exactly).shape == (200, 300, 3)


def test_heic_of_too_many_pixels_is_refused(tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.from_pillow(Image.new("RGB", (96, 64))).save(tmp_path / "a.heic")
    with pytest.raises(InputError, match=r"a\.heic has 96 x 64 pixels, at most 0.001 million"):
        read_image(tmp_path / "a.heic", ImageSettings(max_megapixels=0.001))


def test_the_default_is_above_what_cameras_take_and_pillow_has_no_say() -> None:
    assert read_header(empty_png(16320, 12240), Path("x")).pixels == 16320 * 12240
    require_decodable(read_header(empty_png(16320, 12240), Path("x")), "x", ImageSettings())
    with pytest.raises(InputError, match="x has 30000 x 30000 pixels, at most 200 million are taken"):
        decode_image(empty_png(30000, 30000), "x")
    assert Image.MAX_IMAGE_PIXELS is not None


def test_a_chunk_longer_than_its_file_is_not_made_room_for() -> None:
    png = bytearray(empty_png(8, 8))
    png[33:37] = struct.pack(">I", 2**31 - 1)
    with pytest.raises(InputError, match="x is cut off before the end of its image"):
        decode_image(bytes(png), "x")


def test_frames_of_too_many_pixels_are_refused(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.mp4", (96, 64), 25.0) as video:
        video.write(np.zeros((64, 96, 3), np.uint8))
    with pytest.raises(InputError, match=r"a\.mp4 has 96 x 64 pixels, at most 0.001 million are taken"):
        VideoReader(tmp_path / "a.mp4", ImageSettings(max_megapixels=0.001))


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF", "JPEG"])
@pytest.mark.parametrize("position", range(0, 30, 3))
def test_damaged_exif_data_never_cost_the_image(format: str, position: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    data = exif.tobytes()
    file = io.BytesIO()
    broken = data[:position] + b"\xff\xfe\x80" + data[position + 3 :]
    Image.new("RGB", (30, 20), (200, 40, 90)).save(file, format, exif=broken if format != "TIFF" else exif)
    image = decode_image(file.getvalue(), "x")
    assert sorted(image.shape) == [3, 20, 30]
    assert read_orientation(file.getvalue()) in range(1, 9)


@pytest.mark.parametrize("make", ["fifo", "folder", "link", "device"])
def test_what_is_no_file_is_neither_waited_for_nor_read_without_end(make: str, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    if make == "fifo":
        os.mkfifo(path)
    elif make == "folder":
        path.mkdir()
    elif make == "link":
        path.symlink_to(path)
    else:
        path = Path("/dev/zero")
        if not path.exists():
            pytest.skip("no such device here")
    sentence = {"fifo": "is a pipe: give a file", "folder": "is a folder", "device": "is a device"}
    for read in (read_image, read_image_size, VideoReader):
        with pytest.raises(InputError, match=sentence.get(make, "cannot be read: Too many levels")):
            read(path)
    assert not is_animated(path)


@pytest.mark.parametrize("format", [*FORMATS, "HEIF"])
def test_whatever_is_damaged_is_an_image_or_one_sentence(
    format: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    if format == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    whole = saved(format, (24, 16))
    rng, read = np.random.default_rng(0), 0
    for number in range(200):
        data = bytearray(whole)
        for place in rng.integers(0, min(len(data), 200), 1 + number % 3):
            data[place] = rng.choice([0, 127, 128, 255])
        cut = bytes(data if number % 4 else data[: rng.integers(1, len(data))])
        with contextlib.suppress(InputError):
            image = decode_image(cut, "x")
            assert (image.dtype, image.ndim, image.shape[2]) == (np.uint8, 3, 3)
            read += 1
    assert read
    assert "PIL" not in capfd.readouterr().err
