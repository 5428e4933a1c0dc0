"""Clips of the built-in actors, who walk, and a small run over them."""

from __future__ import annotations

from pathlib import Path

import torch

from evolift.evolution.clips.settings import ClipSettings
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.settings import EvolutionSettings
from evolift.posedata.skeleton import H36M17
from evolift.posedata.store import PoseStore
from evolift.synthetic.acting.actors import write_actor_store
from evolift.synthetic.settings import ActorSettings

TREE = KinematicTree(H36M17)
RATE, FRAMES, LENGTH = 20.0, 27, 53
"""Frames per second of the clips, frames of a window, and of a clip: it has three windows."""
SETTINGS = EvolutionSettings(length_rate=0.2, ratio=2, generations=2, seed=4)
CLIPS = ClipSettings(clip_frames=FRAMES)
ACTIONS = ("walk", "wave", "lunge")


def write_clips(path: Path) -> Path:
    """All training people in three motions."""
    settings = ActorSettings(clips_per_action=1, frames=LENGTH, fps=RATE)
    write_actor_store(path, settings, actions=ACTIONS)
    return path


def windows(path: Path) -> torch.Tensor:
    """Joints of one window of each clip, (clips, frames, joints, 3) mm."""
    with PoseStore(path) as store:
        joints = store.read().joints_3d
    assert joints is not None
    return torch.from_numpy(joints).reshape(-1, LENGTH, len(H36M17), 3)[:, :FRAMES]
