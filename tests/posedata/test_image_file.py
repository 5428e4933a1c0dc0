from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

from evolift.posedata.errors import InputError
from evolift.posedata.image_file import read_image, read_image_size, read_reduced_image
from evolift.posedata.image_header import is_animated


@pytest.fixture
def photo() -> np.ndarray:
    """Smooth RGB image of 41 x 64, red growing to the right and green downwards."""
    v, u = np.mgrid[:41, :64]
    return np.stack([u * 3, v * 5, np.full_like(u, 40)], -1).astype(np.uint8)


def test_rgb_order(tmp_path: Path, photo: np.ndarray) -> None:
    Image.fromarray(photo).save(tmp_path / "a.png")
    Image.fromarray(photo).save(tmp_path / "a.jpg", quality=95)
    Image.fromarray(photo).save(tmp_path / "a.bmp")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), photo)
    np.testing.assert_array_equal(read_image(tmp_path / "a.bmp"), photo)
    assert np.abs(read_image(tmp_path / "a.jpg").astype(int) - photo).max() < 12


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_exif_orientation_is_applied(tmp_path: Path, photo: np.ndarray, orientation: int) -> None:
    stored = {1: photo, 3: photo[::-1, ::-1], 6: np.rot90(photo), 8: np.rot90(photo, -1)}[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / "a.jpg", quality=95, exif=exif)
    assert np.abs(read_image(tmp_path / "a.jpg").astype(int) - photo).max() < 12
    reduced, factor = read_reduced_image(tmp_path / "a.jpg", 2)
    assert factor == 1
    assert reduced.shape == photo.shape


def test_grey_16_bit_and_transparent(tmp_path: Path, photo: np.ndarray) -> None:
    grey = photo[..., 0]
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(grey).save(tmp_path / "grey.jpg", quality=95)
    np.testing.assert_array_equal(read_image(tmp_path / "grey.png"), np.repeat(grey[..., None], 3, 2))
    assert read_image(tmp_path / "grey.jpg").shape == (41, 64, 3)
    cv2.imwrite(str(tmp_path / "deep.png"), photo[..., ::-1].astype(np.uint16) * 257)
    np.testing.assert_array_equal(read_image(tmp_path / "deep.png"), photo)
    cv2.imwrite(str(tmp_path / "deep_grey.png"), grey.astype(np.uint16) * 257)
    np.testing.assert_array_equal(read_image(tmp_path / "deep_grey.png")[..., 1], grey)
    alpha = np.where(np.arange(64) < 32, 255, 0).astype(np.uint8) * np.ones((41, 1), np.uint8)
    Image.fromarray(np.dstack([photo, alpha])).save(tmp_path / "alpha.png")
    laid = read_image(tmp_path / "alpha.png")
    np.testing.assert_array_equal(laid[:, :32], photo[:, :32])
    assert (laid[:, 32:] == 255).all()


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_reduced_pixels_are_means_of_blocks(tmp_path: Path, photo: np.ndarray, factor: int) -> None:
    Image.fromarray(photo).save(tmp_path / "a.jpg", quality=98, subsampling=0)
    reduced, used = read_reduced_image(tmp_path / "a.jpg", factor)
    assert used == factor
    assert reduced.shape[:2] == (-(-41 // factor), 64 // factor)
    rows = 41 // factor
    blocks = photo[: rows * factor].reshape(rows, factor, 64 // factor, factor, 3).mean((1, 3))
    assert np.abs(reduced[:rows] - blocks).max() < 8


def test_other_formats_are_read_whole(tmp_path: Path, photo: np.ndarray) -> None:
    Image.fromarray(photo).save(tmp_path / "a.png")
    whole, factor = read_reduced_image(tmp_path / "a.png", 4)
    assert factor == 1
    np.testing.assert_array_equal(whole, photo)


def test_cut_off_jpeg_with_a_whole_thumbnail(tmp_path: Path, photo: np.ndarray) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(photo).save(path, quality=95)
    data = path.read_bytes()
    # An APP1 segment that itself holds a complete JPEG, as cameras write it.
    inner = b"thumb" + data
    segment = b"\xff\xe1" + (len(inner) + 2).to_bytes(2, "big") + inner
    path.write_bytes(data[:2] + segment + data[2:])
    assert read_image(path).shape == (41, 64, 3)
    path.write_bytes((data[:2] + segment + data[2:])[:-60])
    with pytest.raises(InputError, match=r"a\.jpg is cut off before the end of its image: copy it again"):
        read_image(path)


def test_what_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("hello")
    (tmp_path / "empty.jpg").write_bytes(b"")
    with pytest.raises(InputError, match=r"text\.jpg is not a readable image: give a JPEG, PNG"):
        read_image(tmp_path / "text.jpg")
    with pytest.raises(InputError, match=r"empty\.jpg is empty"):
        read_image(tmp_path / "empty.jpg")
    with pytest.raises(InputError, match=r"none\.jpg cannot be read: No such file"):
        read_image(tmp_path / "none.jpg")


def test_cut_off_png(tmp_path: Path, photo: np.ndarray, capfd: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(photo).save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=r"a\.png is cut off before the end of its image"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["png", "webp", "tif"])
def test_exif_orientation_of_other_formats(
    tmp_path: Path, photo: np.ndarray, orientation: int, ending: str
) -> None:
    path = tmp_path / f"turned.{ending}"
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    options = {"lossless": True} if ending == "webp" else {}
    Image.fromarray(photo).save(path, exif=exif, **options)
    with Image.open(path) as stored:
        expected = np.asarray(ImageOps.exif_transpose(stored).convert("RGB"))
    np.testing.assert_array_equal(read_image(path), expected)


@pytest.mark.parametrize(
    ("ending", "mode"), [("png", "RGBA"), ("png", "LA"), ("webp", "RGBA"), ("tif", "RGBA")]
)
def test_transparent_parts_lie_on_white(tmp_path: Path, photo: np.ndarray, ending: str, mode: str) -> None:
    path = tmp_path / f"glass.{ending}"
    alpha = np.full(photo.shape[:2], 255, np.uint8)
    alpha[:, ::2] = 0
    image = Image.fromarray(photo).convert("L" if mode == "LA" else "RGB")
    expected = np.asarray(image.convert("RGB")).copy()
    expected[:, ::2] = 255
    image.putalpha(Image.fromarray(alpha))
    image.save(path, **({"lossless": True} if ending == "webp" else {}))
    np.testing.assert_array_equal(read_image(path), expected)


def test_exif_behind_another_segment(tmp_path: Path, photo: np.ndarray) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.fromarray(photo).save(tmp_path / "plain.jpg", exif=exif)
    raw = (tmp_path / "plain.jpg").read_bytes()
    comment = b"\xff\xfe" + (302).to_bytes(2, "big") + b"x" * 300
    path = tmp_path / "late.jpg"
    path.write_bytes(raw[:2] + comment + raw[2:])
    reduced, factor = read_reduced_image(path, 2)
    assert factor == 1
    np.testing.assert_array_equal(reduced, read_image(path))
    assert reduced.shape[:2] == photo.shape[1::-1]


HEIC_HEAD = b"\0\0\0\x1cftypheic\0\0\0\0mif1heicmiaf"


@pytest.mark.parametrize(
    ("name", "head", "what"),
    [
        ("photo.heic", HEIC_HEAD, "photo.heic is a HEIC image: convert it to JPEG"),
        ("photo.jpg", HEIC_HEAD, "photo.jpg is a HEIC image, in spite of its name: convert it to JPEG"),
        ("photo.jpg", HEIC_HEAD.replace(b"ftypheic", b"ftypmif1"), "is a HEIC image, in spite of its name"),
        ("photo.jpg", b"\0\0\0\x18ftypmif1\0\0\0\0avifmif1", "is not a readable image"),
        ("film.jpg", b"\0\0\0\x18ftypisom\0\0\0\0isomiso2", "is not a readable image"),
    ],
)
def test_heic_is_told_by_its_content_where_it_cannot_be_read(
    name: str, head: bytes, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / name).write_bytes(head + bytes(100))
    for read in (read_image, read_image_size):
        with pytest.raises(InputError, match=what) as caught:
            read(tmp_path / name)
        assert ("[heic]" in str(caught.value)) == ("HEIC image" in what)
    assert not is_animated(tmp_path / name)


@pytest.mark.parametrize("name", ["photo.heic", "photo.jpg"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_heic_is_read_where_pillow_heif_is_installed(name: str, mode: str, tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    pixels = np.full((64, 96, 4), (200, 40, 90, 255), np.uint8)
    pixels[:, 48:, 3] = 0
    given = Image.fromarray(pixels).convert(mode)
    pillow_heif.from_pillow(given).save(tmp_path / name, format="HEIF", quality=-1)
    read = read_image(tmp_path / name)
    assert (read.shape, read_image_size(tmp_path / name)) == ((64, 96, 3), (96, 64))
    on_white = np.where(pixels[..., 3:] > 0, pixels[..., :3], 255)
    expected = {"RGB": pixels[..., :3], "RGBA": on_white}.get(mode, np.asarray(given.convert("RGB")))
    inside = np.r_[4:44, 52:92]  # the codec smears over edges
    np.testing.assert_allclose(read[:, inside].astype(int), expected[:, inside], atol=4)


def test_a_damaged_heic_is_told(tmp_path: Path) -> None:
    pytest.importorskip("pillow_heif")
    (tmp_path / "a.heic").write_bytes(HEIC_HEAD + bytes(100))
    with pytest.raises(InputError, match=r"a.heic is not a readable HEIC image: copy it again"):
        read_image(tmp_path / "a.heic")
