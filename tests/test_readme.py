"""What the README shows in Python runs as it stands there."""

from __future__ import annotations

import os
import re
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

README = (Path(__file__).parents[1] / "README.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_there_are_examples() -> None:
    assert EXAMPLES


@pytest.mark.parametrize("code", EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_runs(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    _write_photograph(Path("photo.jpg"))
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out


def _write_photograph(path: Path) -> None:
    """A real one where there are any."""
    if "EVOLIFT_DATA" not in os.environ:
        cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 255, (200, 150, 3), np.uint8))
        return
    with zipfile.ZipFile(Path(os.environ["EVOLIFT_DATA"]) / "lspet_subset.zip") as archive:
        path.write_bytes(
            archive.read(next(name for name in archive.namelist() if name.endswith("03601.jpg")))
        )
