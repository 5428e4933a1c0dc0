from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evolift.detector2d.occlusion import synthetic_occluders
from evolift.detector2d.voc_objects import cut_out, load_occluders, save_occluders, voc_occluders
from evolift.posedata.errors import InputError, OutputError

OBJECTS = [  # name, difficult, truncated, box (left, top, right, bottom) in the image
    ("person", 0, 0, (5, 5, 45, 45)),
    ("dog", 0, 0, (50, 10, 90, 50)),
    ("chair", 1, 0, (100, 10, 140, 50)),
    ("car", 0, 1, (5, 60, 45, 100)),
    ("bottle", 0, 0, (60, 60, 70, 70)),
    ("sofa", 0, 0, (80, 60, 130, 110)),
]


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    root = tmp_path / "VOCdevkit" / "VOC2012"
    for name in ("Annotations", "JPEGImages", "SegmentationObject"):
        (root / name).mkdir(parents=True)
    numbers = np.zeros((120, 160), np.uint8)
    image = np.zeros((120, 160, 3), np.uint8)
    entries = ""
    for number, (name, difficult, truncated, (left, top, right, bottom)) in enumerate(OBJECTS, start=1):
        numbers[top:bottom, left:right] = number
        image[top:bottom, left:right] = number * 40
        entries += f"<object><name>{name}</name><difficult>{difficult}</difficult><truncated>{truncated}</truncated></object>"
    segmentation = Image.fromarray(numbers).convert("P")
    segmentation.putpalette(
        [value for index in range(256) for value in (index * 7 % 256, index, 255 - index)]
    )
    segmentation.save(root / "SegmentationObject" / "a.png")
    Image.fromarray(image).save(root / "JPEGImages" / "a.jpg", quality=95)
    (root / "Annotations" / "a.xml").write_text(f"<annotation>{entries}</annotation>")
    (root / "Annotations" / "b.xml").write_text("<annotation></annotation>")  # not segmented
    return tmp_path


@pytest.mark.parametrize("below", ["", "VOCdevkit", "VOCdevkit/VOC2012"])
def test_only_fitting_objects_are_cut_out(voc: Path, below: str) -> None:
    occluders = voc_occluders(voc / below)
    assert [one.colour.shape for one in occluders] == [(20, 20, 3), (25, 25, 3)]  # dog and sofa, halved
    for one, value in zip(occluders, (80, 240), strict=True):
        assert np.abs(one.colour[10, 10].astype(int) - value).max() < 6
        assert one.transparency[10, 10] == 0


def test_soft_edge() -> None:
    image = np.full((60, 60, 3), 200, np.uint8)
    mask = np.zeros((60, 60), bool)
    mask[10:50, 10:50] = True
    one = cut_out(image, mask)
    rim, core = one.transparency[0, 10], one.transparency[10, 10]
    assert (rim, core) == (255 - 192, 0)
    assert one.colour[0, 10, 0] == round(200 * 192 / 255)
    # 8 x 8 erosion takes about 4 pixels from each side, which is 2 after halving.
    assert 1 <= (one.transparency[:, 10] == 63).sum() / 2 <= 2.5


def test_limit(voc: Path) -> None:
    assert len(voc_occluders(voc, limit=1)) == 1


def test_cut_outs_are_kept_in_a_file(voc: Path, tmp_path: Path) -> None:
    occluders = voc_occluders(voc)
    save_occluders(tmp_path / "cut.npz", occluders)
    again = load_occluders(tmp_path / "cut.npz")
    for one, same in zip(occluders, again, strict=True):
        np.testing.assert_array_equal(one.colour, same.colour)
        np.testing.assert_array_equal(one.transparency, same.transparency)
    with pytest.raises(OutputError, match="exists"):
        save_occluders(tmp_path / "cut.npz", occluders)
    with pytest.raises(OutputError, match=r"ends in \.npz"):
        save_occluders(tmp_path / "cut.bin", occluders)


def test_bad_input(voc: Path, tmp_path: Path) -> None:
    root = voc / "VOCdevkit" / "VOC2012"
    (tmp_path / "x" / "Annotations").mkdir(parents=True)
    with pytest.raises(
        InputError, match="is not a Pascal VOC folder: it lacks JPEGImages, SegmentationObject"
    ):
        voc_occluders(tmp_path / "x")
    save_occluders(tmp_path / "good.npz", synthetic_occluders(3))
    good = (tmp_path / "good.npz").read_bytes()
    bad = tmp_path / "bad.npz"
    for content in (b"no", good[: len(good) // 2], good[:200] + bytes(50) + good[250:]):
        bad.write_bytes(content)
        with pytest.raises(InputError, match=r"bad\.npz is not a file of cut-outs"):
            load_occluders(bad)
    with bad.open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(InputError, match=r"bad\.npz is not a file of cut-outs"):
        load_occluders(bad)
    with np.load(tmp_path / "good.npz") as file:
        arrays = dict(file)
    np.savez(bad, **arrays | {"colours": arrays["colours"].astype(np.float32)})
    with pytest.raises(InputError, match=r"bad\.npz is not a file of cut-outs"):
        load_occluders(bad)
    (root / "SegmentationObject" / "a.png").write_bytes(b"no")
    with pytest.raises(InputError, match=r"a\.png is not a readable image"):
        voc_occluders(voc)
    (root / "SegmentationObject" / "a.png").unlink()
    with pytest.raises(InputError, match="no object is segmented"):
        voc_occluders(voc)
    Image.new("P", (5, 5)).save(root / "SegmentationObject" / "a.png")
    with pytest.raises(InputError, match="differ in size"):
        voc_occluders(voc)
    (root / "Annotations" / "a.xml").write_text("<annotation>")
    with pytest.raises(InputError, match=r"a\.xml is not readable XML"):
        voc_occluders(voc)
