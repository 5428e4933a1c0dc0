"""A scale of seconds."""

from __future__ import annotations

from pathlib import Path

import pytest

TINY = """
purpose = "seconds, for tests"
comparable = false

[data]
train-images = 8
validation-images = 4
test-images = 4
image-size = 64
test-subjects = []
validation-subjects = []

[[change]]
command = "data actors"
set = { frames = 3 }

[[change]]
command = "detector train"
set = { backbone = "resnet10t", pretrained = "none", input-width = 64, input-height = 64, depth-bins = 4, head-width = [8, 8, 8], steps = 2, validate-every = 1, batch-size = 4 }

[[change]]
command = "detector train"
where = { input-height = 384 }
set = { input-height = 96, depth-bins = 5 }

[[change]]
command = "lifter train"
set = { normalisation = "box", cameras = "random", hidden = 8, blocks = 1, steps = 2, validate-every = 1 }

[[change]]
command = "finetune"
set = { steps = 2, validate-every = 1, batch-size = 4 }
"""


@pytest.fixture
def tiny_scale(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path
