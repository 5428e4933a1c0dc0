"""The weights that come with the package: checkpoints in `artifacts/`, each described by a model card beside it."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from evolift.posedata.errors import InputError

PHOTO_POSE = "photo_pose"
"""Joint checkpoint, for pictures."""
KEYPOINT_LIFTER = "keypoint_lifter"
"""Lifter checkpoint, for 2D keypoints of any detector."""


def shipped_weights(name: str) -> Path:
    """Path of the checkpoint called `name`.

    Raises:
        InputError: there is none of that name.
    """
    folder = Path(str(resources.files("evolift.artifacts")))
    path = folder / f"{name}.safetensors"
    if not path.is_file():
        known = ", ".join(sorted(one.stem for one in folder.glob("*.safetensors"))) or "none"
        raise InputError(
            f"no weights called {name!r} come with evolift: give a checkpoint file, or one of: {known}"
        )
    return path
