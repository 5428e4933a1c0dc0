"""Names of images stay inside the folder of the images."""

from __future__ import annotations

from pathlib import Path

import pytest

from evolift.posedata.errors import InputError
from evolift.posedata.importers.image_folder import image_inside


@pytest.mark.parametrize("name", ["a.jpg", "train/a.jpg", "./a.jpg", "a..b.jpg", "none.jpg"])
def test_names_inside_are_taken(tmp_path: Path, name: str) -> None:
    assert image_inside(tmp_path, name, "a.json") == tmp_path / name


@pytest.mark.parametrize(
    "name",
    [
        "", "../a.jpg", "train/../../a.jpg", "..\\a.jpg", "/etc/passwd", "C:\\a.jpg", "C:a.jpg", "\\\\host\\a.jpg",
        "a\0.jpg", "x" * 5000, "\ud800.jpg",
    ],
)  # fmt: skip
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError) as caught:
        image_inside(tmp_path, name, "a.json")
    assert (
        str(caught.value)
        == f"a.json names the image {name[:200]!r}, which does not lie in {tmp_path}: give the folder that holds all images by `images`"
    )


def test_links_that_lead_out_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    (tmp_path / "secret.jpg").write_text("secret")
    (folder / "a.jpg").symlink_to(tmp_path / "secret.jpg")
    (folder / "loop").symlink_to("loop")
    for name in ("a.jpg", "loop/a.jpg"):
        with pytest.raises(InputError, match="does not lie in"):
            image_inside(folder, name, "a.json")
