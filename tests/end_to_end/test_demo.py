"""The demo with a handful of steps: every part runs, and the page shows them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np

from evolift.chain.model import ChainModel
from evolift.posedata.image_file import write_image
from evolift.prediction.pipeline import Pipeline
from tests.conftest import Finished

HEADINGS = [
    "Your photographs",
    "A film and a photograph, as you would use it",
    "What evolved poses add to a lifter",
    "How evolution breeds",
    "The detector, fine-tuned on rendered people",
    "Detector and lifter as one network",
]


def test_the_quick_demo_ends_with_a_few_words_and_a_page(
    evolift: Callable[..., Finished], tmp_path: Path
) -> None:
    output, photo = tmp_path / "demo", tmp_path / "mine.png"
    write_image(photo, np.full((64, 48, 3), 90, np.uint8))
    result = evolift("demo", "--quick", "--num-workers", "0", "--photo", photo, "-o", output)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert len(lines) <= 10
    assert lines[-1].endswith(f"Page: {output / 'report.html'}")
    assert not re.search(r"\w_\w|nan", "\n".join(lines[:-1]))
    ChainModel.load(output / "chain" / "last.safetensors")
    Pipeline.from_checkpoints(
        detector=output / "detector" / "last.safetensors",
        lifter=output / "semgcn_with_0" / "last.safetensors",
    )
    assert (output / "film" / "page.html").stat().st_size > 20_000
    page = (output / "report.html").read_text()
    assert re.findall("<h2>(.*?)</h2>", page) == HEADINGS
    # It opens with a turning skeleton and three numbers.
    opening = page.split("<h2>")[0]
    assert opening.count("<canvas") == 1
    assert re.findall("<dt>(.*?)</dt>", opening)[2].endswith("s")
    shown = re.search(r"<dt>(\d+) → (\d+) mm</dt>", opening)
    assert shown
    told = re.search(r"recorded poses: ([\d.]+) mm; with 1,026 evolved ones: ([\d.]+) mm", result.stdout)
    assert told
    assert [round(float(value)) for value in told.groups()] == [int(value) for value in shown.groups()]


def test_a_finished_demo_is_not_replaced_unasked(evolift: Callable[..., Finished], tmp_path: Path) -> None:
    output = tmp_path / "demo"
    output.mkdir()
    (output / "mine.txt").write_text("kept")
    result = evolift("demo", "--quick", "-o", output)
    assert result.returncode == 2
    assert "--overwrite" in result.stderr
    assert [path.name for path in output.iterdir()] == ["mine.txt"]


def test_a_photo_that_is_none_ends_the_demo_at_once(evolift: Callable[..., Finished], tmp_path: Path) -> None:
    (tmp_path / "notes.jpg").write_text("no image")
    result = evolift("demo", "--quick", "--photo", tmp_path / "notes.jpg", "-o", tmp_path / "demo")
    assert result.returncode == 2
    assert "notes.jpg" in result.stderr
    assert not (tmp_path / "demo").exists()
