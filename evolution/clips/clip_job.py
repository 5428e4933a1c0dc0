"""What all blocks of an evolution of motion have in common, and how one of them is bred."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evolift.evolution.clips.breeding import ClipParents, Nature, breed_clips
from evolift.evolution.clips.settings import ClipSettings
from evolift.evolution.clips.speed_limits import SpeedLimits
from evolift.evolution.job.block_workers import Block, one_thread
from evolift.evolution.job.breeding import Tally
from evolift.evolution.job.work_folder import CLIP_COLUMNS, WorkFolder
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.limits.limit_sources import joint_limits
from evolift.evolution.settings import EvolutionSettings


@dataclass(frozen=True)
class ClipJob:
    """A run; a row of its work folder is a clip, the windows of the source first.

    Args:
        folder: of the run.
        rows: poses of the source.
        originals: its windows.
        size: clips, windows and children.
        tree: of the poses.
        settings, clips: of the run, the rate given.
        speeds: that children must keep.
    """

    folder: Path
    rows: int
    originals: int
    size: int
    tree: KinematicTree
    settings: EvolutionSettings
    clips: ClipSettings
    speeds: SpeedLimits

    def work_folder(self) -> WorkFolder:
        """The work folder that holds the run's columns and its log of finished blocks."""
        frames = self.clips.clip_frames
        widths = dict.fromkeys(("rows", "parent_a", "parent_b"), frames)
        return WorkFolder(
            self.folder,
            self.size,
            {"joints": frames * 3 * len(self.tree.skeleton), **widths},
            columns=CLIP_COLUMNS,
        )

    def first_row(self, clip: int) -> int:
        """Row of the result at which a child begins."""
        return self.rows + (clip - self.originals) * self.clips.clip_frames

    def breed_block(self, block: Block) -> Tally:
        """Breed one block and store it in the work folder; rows of the block are clips."""
        nature = _nature(self)
        folder = self.work_folder()
        parents = ClipParents(
            folder.column("joints"),
            folder.parents(self.originals, block.filled),
            folder.templates(),
            folder.column("person"),
        )
        with one_thread():
            children = breed_clips(
                parents, block.quota, nature, self.settings, (block.generation, block.number)
            )
        rows, crossed = folder.column("rows"), children.father >= 0
        start, end = self.first_row(block.start), self.first_row(block.start + block.quota)
        values = {
            "joints": children.joints,
            "rows": np.arange(start, end).reshape(block.quota, -1),
            "parent_a": np.take_along_axis(rows[children.mother], children.frame_a, 1),
            "parent_b": np.where(
                crossed[:, None], np.take_along_axis(rows[children.father], children.frame_b, 1), -1
            ),
            "mother": children.mother,
            "operator": children.operator,
            "person": children.person,
        }
        for name, value in values.items():
            folder.write(name, block.start, value)
        return children.tally


@functools.lru_cache(maxsize=1)
def _nature(job: ClipJob) -> Nature:
    assert job.clips.frames_per_second is not None  # the run gives it
    limits = joint_limits(job.settings.limits, job.tree.skeleton)
    return Nature(limits, job.speeds, job.clips.frames_per_second, job.clips)
