from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image

from evolift.posedata.errors import InputError
from evolift.posedata.poses import NO_CAMERA
from evolift.prediction.cameras.camera_choice import CameraRule
from evolift.prediction.cameras.exif_focal import FILM_DIAGONAL, exif_focal_length
from evolift.prediction.cameras.intrinsics_file import read_intrinsics

BASE = ExifTags.Base


def photo(path: Path, size: tuple[int, int] = (80, 60), **tags: Any) -> Path:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif).update({BASE[name]: value for name, value in tags.items()})
    Image.new("RGB", size).save(path, exif=exif)
    return path


@pytest.mark.parametrize(
    ("size", "tags", "focal"),
    [
        ((80, 60), {"FocalLengthIn35mmFilm": 28}, 28 / FILM_DIAGONAL * 100),
        ((80, 60), {"FocalLengthIn35mmFilm": 28, "ExifImageWidth": 4000, "ExifImageHeight": 3000}, 28 / FILM_DIAGONAL * 100),
        ((60, 80), {"FocalLengthIn35mmFilm": 28, "ExifImageWidth": 4000, "ExifImageHeight": 3000}, 28 / FILM_DIAGONAL * 100),
        ((80, 80), {"FocalLengthIn35mmFilm": 28, "ExifImageWidth": 4000, "ExifImageHeight": 3000}, None),
        # 5 mm lens, 50 px per mm, at 1/10 of the size
        (
            (80, 60),
            {
                "FocalLength": 5.0, "FocalPlaneXResolution": 500.0, "FocalPlaneResolutionUnit": 3,
                "ExifImageWidth": 800, "ExifImageHeight": 600,
            },
            25.0,
        ),
        ((80, 60), {"FocalLength": 5.0}, None),
        ((80, 60), {"FocalLengthIn35mmFilm": 0}, None),
        ((80, 60), {"FocalLengthIn35mmFilm": 65535}, None),
        ((80, 60), {}, None),
    ],
)  # fmt: skip
def test_the_focal_length_that_a_camera_wrote(
    tmp_path: Path, size: tuple[int, int], tags: dict[str, Any], focal: float | None
) -> None:
    found = exif_focal_length(photo(tmp_path / "a.jpg", size, **tags))
    assert found == (None if focal is None else pytest.approx(focal, rel=1e-6))


def intrinsics(folder: Path, **values: Any) -> Path:
    path = folder / "camera.json"
    path.write_text(json.dumps(values))
    return path


def test_intrinsics_are_read_and_scaled(tmp_path: Path) -> None:
    written = {
        "fx": 1000,
        "fy": 1010,
        "cx": 959.5,
        "cy": 530,
        "distortion": [0.1, 0, 0, 0.01],
        "width": 1920,
        "height": 1080.0,
    }
    found = read_intrinsics(intrinsics(tmp_path, **written))
    np.testing.assert_array_equal(found.K, [[1000, 0, 959.5], [0, 1010, 530], [0, 0, 1]])
    half = found.camera((960, 540), "a.jpg")
    np.testing.assert_allclose(half.K, [[500, 0, 479.5], [0, 505, 264.75], [0, 0, 1]])
    assert half.distortion.tolist() == [0.1, 0, 0, 0.01, 0]
    again = read_intrinsics(intrinsics(tmp_path, K=found.K.tolist()))
    np.testing.assert_array_equal(again.camera((7, 7), "a").K, found.K)
    with pytest.raises(InputError, match=r"a.jpg has 100 x 100 pixels, camera.json is for 1920 x 1080"):
        found.camera((100, 100), "a.jpg")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"fx": 1, "fy": 1, "cx": 0}, "lacks 'cy'"),
        ({"K": [[1, 0, 0]]}, "three rows of three"),
        ({"K": [[1, 0, 0], [0, 1, 0], [5, 0, 1]]}, r"K must be \[\[fx"),
        ({"K": [[-1, 0, 0], [0, 1, 0], [0, 0, 1]]}, "focal lengths must be positive"),
        ({"fx": "1", "fy": 1, "cx": 0, "cy": 0}, "fx must be a number"),
        ({"fx": 1, "fy": 1, "cx": 0, "cy": 0, "distortion": [1]}, "distortion must be"),
        ({"fx": 1, "fy": 1, "cx": 0, "cy": 0, "width": 5}, "height must be a number"),
        ({"fx": 1, "fy": 1, "cx": 0, "cy": 0, "fov": 5}, "'fov' is not known"),
        ({"fx": 10**400, "fy": 1, "cx": 0, "cy": 0}, "camera.json: fx is too large a number"),
        ({"K": [[10**400, 0, 0], [0, 1, 0], [0, 0, 1]]}, r"camera.json: K\[0\]\[0\] is too large a number"),
        ({"fx": 1, "fy": 1, "cx": 0, "cy": 0, "width": 10**30, "height": 5}, "width is too large a number"),
        (
            {"fx": 1, "fy": 1, "cx": 0, "cy": 0, "width": 5.5, "height": 5},
            "width must be a whole number, not 5.5",
        ),
    ],
)
def test_bad_intrinsics_are_one_sentence(tmp_path: Path, values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_intrinsics(intrinsics(tmp_path, **values))


def test_what_is_given_wins_over_what_is_told_and_that_over_what_is_assumed(tmp_path: Path) -> None:
    with_exif = photo(tmp_path / "told.jpg", FocalLengthIn35mmFilm=28)
    silent = photo(tmp_path / "silent.jpg")
    given = read_intrinsics(intrinsics(tmp_path, fx=50, fy=50, cx=40, cy=30))

    def chosen(path: Path, **settings: Any) -> tuple[float | None, str]:
        camera, sentence = CameraRule("box", **settings).of_image((80, 60), path.name, path)
        return None if camera is None else float(camera.K[0, 0]), sentence

    assert chosen(with_exif, intrinsics=given) == (50, "The camera is that of camera.json.")
    assert chosen(with_exif, focal=70.0, is_assumed=True)[0] == 70
    focal, sentence = chosen(with_exif, is_assumed=True)
    assert focal == pytest.approx(28 / FILM_DIAGONAL * 100)
    assert "EXIF" in sentence
    focal, sentence = chosen(silent, is_assumed=True)
    assert focal == math.hypot(80, 60)
    assert "assumed" in sentence
    assert chosen(silent)[0] is None
    assert "camera is unknown" in chosen(silent)[1]


def test_keypoints_have_a_camera_for_each_size_of_image() -> None:
    rule = CameraRule("box", focal=100.0)
    sizes = np.array([[640, 480], [100, 200], [640, 480]])
    cameras, index, _ = rule.of_keypoints(sizes, "k.json")
    assert [(cameras[i].width, cameras[i].height) for i in index] == [(640, 480), (100, 200), (640, 480)]
    with pytest.raises(InputError, match=r"k.json does not tell the size of its images.*`image_size`"):
        rule.of_keypoints(sizes * [[1], [0], [1]], "k.json")
    none = CameraRule("box").of_keypoints(sizes, "k.json")
    assert (none.cameras, none.camera.tolist()) == ((), [NO_CAMERA] * 3)
