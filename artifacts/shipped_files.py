"""The weights and poses that come with the package, in `artifacts/`, each described by a card beside it."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from evolift.posedata.errors import InputError
from evolift.posedata.similar_name import guess

FOLDER = Path(str(resources.files("evolift.artifacts")))
PHOTO_POSE = "photo_pose"
"""Name of the chain checkpoint that predicts poses from images."""
KEYPOINT_LIFTER = "keypoint_lifter"
"""Name of the lifter checkpoint for 2D keypoints of any detector."""
TEMPORAL_LIFTER = "temporal_lifter"
"""Name of the temporal lifter checkpoint for tracks of 2D keypoints."""


def shipped_weights(name: str) -> Path:
    """Path of the checkpoint called `name`.

    Raises:
        InputError: there is none of that name.
    """
    path = FOLDER / f"{name}.safetensors"
    if not path.is_file():
        known = shipped_names()
        raise InputError(
            f"no weights called {name!r} come with evolift{guess(name, known)}: give a checkpoint file, or one of: {', '.join(known) or 'none'}"
        )
    return path


def shipped_names() -> list[str]:
    """The names of all weights that come with the package."""
    return sorted(one.stem for one in FOLDER.glob("*.safetensors"))


def is_shipped(name: str) -> bool:
    """Whether weights of that name come with the package."""
    return name.isidentifier() and (FOLDER / f"{name}.safetensors").is_file()


def weights_file(path_or_name: str | Path) -> Path:
    """Path of a checkpoint: a file, or by name one that comes with the package; files go first.

    Raises:
        InputError: there is no such file and none of that name comes with the package.
    """
    path = Path(path_or_name)
    return path if path.is_file() else shipped_weights(str(path_or_name))


def sample_poses() -> Path:
    """Path of a pose store of real people: CMU motion capture, subjects 01, 02 and 03 at 10 frames per second.

    6,482 poses of H36M17 in the world frame, mm; free for all uses (`sample_poses.md` beside it has the notice).
    """
    return FOLDER / "sample_poses.h5"


def example_image() -> Path:
    """Path of an image to try things on: a rendered person, 384 x 384 pixels (`rendered_person.md` beside it)."""
    return FOLDER / "rendered_person.jpg"


def shipped_cards() -> dict[str, tuple[Path, Path]]:
    """File and card of all that is shipped, by name."""
    files = sorted(one for one in FOLDER.iterdir() if one.suffix in (".safetensors", ".h5"))
    return {file.stem: (file, file.with_suffix(".md")) for file in files}
