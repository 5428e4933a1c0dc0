from __future__ import annotations

import re
from pathlib import Path

import h5py
import numpy as np

from evolift.posedata.store_layout import CAMERA_SHAPES, DTYPES

PAGE = (Path(__file__).parents[2] / "docs" / "store.md").read_text(encoding="utf-8")


def test_the_page_has_every_dataset_with_its_type() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", PAGE, re.M))
    told = {name: kind for name, kind in rows.items() if name in {*DTYPES, "image"}}
    assert told == {**{name: np.dtype(kind).name for name, kind in DTYPES.items()}, "image": "string"}
    shapes = dict(re.findall(r"^\| `(\w+)` \| ([\d, ]+) \|", PAGE, re.M))
    for name, shape in CAMERA_SHAPES.items():
        assert shapes[name] == ", ".join(map(str, shape))


def test_the_page_has_every_attribute_of_a_file(tiny_store: Path) -> None:
    told = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.M))
    with h5py.File(tiny_store) as file:
        assert set(file.attrs) <= told
        assert set(file["poses"]) <= told
        assert set(file) == {"poses", "labels", "cameras"}
