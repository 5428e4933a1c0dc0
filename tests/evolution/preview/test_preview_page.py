"""The page that shows a run: what is on it, and that its numbers are the run's."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from evolift.cli.evolve import evolve as command
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.pose_images import facing_the_viewer
from evolift.evolution.preview.preview_page import write_preview
from evolift.evolution.settings import EvolutionSettings
from evolift.posedata.errors import StoreError
from evolift.posedata.skeleton import H36M17

TREE = KinematicTree(H36M17)


def test_people_are_turned_to_the_viewer(standing_pose: np.ndarray) -> None:
    facing = facing_the_viewer(standing_pose[None], TREE)[0]
    right, left = H36M17.index("right_shoulder"), H36M17.index("left_shoulder")
    # The viewer looks along +y, so a person who faces them has its right side on their left, at -x.
    assert facing[right, 0] < -150 < 150 < facing[left, 0]
    assert facing[H36M17.index("head"), 1] < 0
    np.testing.assert_allclose(facing[:, 2], standing_pose[:, 2] - standing_pose[0, 2], atol=1e-2)


@pytest.mark.slow
def test_the_page_shows_all_that_a_run_did(tiny_store: Path, tmp_path: Path) -> None:
    page, out = tmp_path / "preview.html", tmp_path / "out.h5"
    arguments = [str(tiny_store), "-o", str(out), "--ratio", "4", "--sigma", "60", "--preview", str(page)]
    arguments += ["--criterion", "ground", "--criterion", "capsules", "--immigrant-rate", "0.3"]
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0, result.output
    text = page.read_text()
    headings = re.findall("<h2>(.*?)</h2>", text)
    assert headings == [
        "Children and their parents",
        "Immigrants",
        "Bodies",
        "Where limbs point",
        "What selection refused",
        "What each operator costs",
        "Refused candidates",
        "Coverage",
    ]
    for part in ("ground: ", "limit of the bone to", "subjects", "people", "forearm: directions taken"):
        assert part in text
    for operator in ("crossover", "mutation", "rotation", "lengths", "mirror", "immigration"):
        assert f"<td>{operator}</td>" in text
    codes = re.findall(r"data:image/(?:png|jpeg);base64,([^\"]+)", text)
    # Families, immigrants, two rows of bodies, limbs, two sheets of refused ones and the curve.
    assert len(codes) == 6 + 6 + 4 + 4 + 2 + 1
    for code in codes:
        image = cv2.imdecode(np.frombuffer(base64.b64decode(code), np.uint8), cv2.IMREAD_COLOR)
        assert image.std() > 10
    assert not re.search(r"https?:", text)


def test_a_store_without_children_has_no_preview(tiny_store: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"tiny\.h5: it holds no children"):
        write_preview(tiny_store, EvolutionSettings(), tmp_path / "page.html")
    assert not any(tmp_path.iterdir())
