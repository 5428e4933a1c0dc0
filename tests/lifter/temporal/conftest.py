from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.conftest import WriteClips


@pytest.fixture(scope="session")
def clip_store(write_clips: WriteClips, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four clips of 40 frames at 30 a second, of ann and bob."""
    path = tmp_path_factory.mktemp("clips") / "clips.h5"
    names = [(subject, action) for subject in ("ann", "bob") for action in ("walk", "sway")]
    return write_clips(path, {name: np.arange(1, 41) for name in names})
