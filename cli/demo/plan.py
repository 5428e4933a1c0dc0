"""How much each part of the demo does, and where it writes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

TRAINING_SUBJECTS = ("01", "03")
TEST_SUBJECT = "02"
HELD_OUT_CLIPS = ("01_03", "01_08", "03_03")
"""Of the training subjects, for validation."""
FEW_SHARE = 0.01
"""Of the poses of the training subjects, what the lifters may learn from: 54 poses."""
IMAGE_SIZE = 192


@dataclass(frozen=True)
class DemoPlan:
    """The size of a run.

    Args:
        output: folder of the demo.
        seed: the first of the lifters' seeds, and of everything else.
        seeds: trainings of each kind of lifter.
        num_workers: processes.
        photos: of the user, predicted first.
        lifter_steps, detector_steps, chain_steps: of the trainings.
        images: rendered for training, validation and test.
        clip_frames: of the filmed motion, 10 a second.
    """

    output: Path
    seed: int
    seeds: int
    num_workers: int
    photos: tuple[Path, ...] = ()
    lifter_steps: int = 3000
    detector_steps: int = 100
    chain_steps: int = 100
    images: tuple[int, int, int] = (600, 60, 200)
    clip_frames: int = 30

    def path(self, name: str) -> Path:
        """Of a file or folder of the demo."""
        return self.output / name


def quick(plan: DemoPlan) -> DemoPlan:
    """The same stages with hardly any training: shows that they run, not what they learn."""
    return replace(
        plan,
        lifter_steps=6,
        detector_steps=2,
        chain_steps=2,
        images=(32, 16, 16),
        clip_frames=4,
    )
