"""How hard poses are for a lifter: its error on them, for the active mode of evolution (Li et al. 2020).

The cameras are sampled once, about a standing body, and see every pose alone, its root above the same spot and its lowest
joint on the ground. The same pose so has the same hardness whatever it is scored together with.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32

from evolift.lifter.lifter import Lifter
from evolift.lifter.model import LifterModel
from evolift.lifter.straight_view import Lens
from evolift.posedata.camera_rig import CameraBatch, sample_random, sample_ring
from evolift.posedata.errors import InputError
from evolift.posedata.rig_settings import RandomRig, RingRig
from evolift.posedata.seeds import generator_at
from evolift.posedata.skeleton import Skeleton

VIEWS = 4
BLOCK = 4096
_STANDING = ((0.0, 0.0, 900.0), (0.0, 0.0, 0.0), (0.0, 0.0, 1700.0))
"""Pelvis, feet and head of the body that the cameras are placed about, mm."""


class PoseHardness:
    """Mean error of a lifter on poses, over joints and cameras.

    Args:
        lifter: a folded copy of it is used. One of normalisation "box" sees the poses by random cameras, one of "screen" by those in
            the corners of a room, rotated at random: as they are trained.
        seed: of the cameras.
    """

    def __init__(self, lifter: Lifter, *, seed: int = 0) -> None:
        self.lifter = lifter.folded()
        standing = torch.tensor(_STANDING).expand(VIEWS, -1, -1)
        generator = generator_at(seed)
        if lifter.settings.normalisation == "box":
            self._cameras: CameraBatch = sample_random(RandomRig(), standing, 0, generator)
        else:
            self._cameras = sample_ring(RingRig(ring_radius=0.0), standing, 0, generator)

    @torch.no_grad()
    def __call__(self, joints: Float[np.ndarray, "n joints 3"]) -> Float32[np.ndarray, "n"]:
        """Error on each pose, mm; of the depths alone for a lifter of target "z".

        Args:
            joints: world, mm, z up, in the lifter's skeleton.
        """
        parts = np.split(joints, range(BLOCK, len(joints), BLOCK))
        return np.concatenate([self._of_block(torch.from_numpy(part)).numpy() for part in parts])

    def _of_block(self, joints: torch.Tensor) -> torch.Tensor:
        root, settings = self.lifter.skeleton.root, self.lifter.settings
        spot = torch.cat([joints[:, root, :2], joints[..., 2].amin(1, keepdim=True)], -1)
        placed = joints - spot[:, None]
        error = torch.zeros(len(joints))
        for view in range(VIEWS):
            cameras = self._cameras[torch.full((len(joints),), view)]
            pixels, seen = cameras.project(placed)
            truth = seen - seen[:, root, None]
            given = torch.cat([pixels, truth[..., 2:]], -1) if settings.input_axes == 3 else pixels
            lifted = self.lifter.lift(given, None, cameras.size, Lens(cameras.K, cameras.distortion))
            wanted = truth if settings.target == "xyz" else truth[..., 2:]
            error += (lifted - wanted).norm(dim=-1).mean(-1)
        return error / VIEWS


def pose_hardness(path: Path, skeleton: Skeleton, *, seed: int = 0) -> PoseHardness:
    """The hardness of poses for the lifter of a checkpoint.

    Args:
        path: of the checkpoint.
        skeleton: of the poses.
        seed: of the cameras.

    Raises:
        CheckpointError: the file is no sound lifter checkpoint.
        InputError: the lifter is of another skeleton.
    """
    lifter = LifterModel.load(path)
    if lifter.skeleton != skeleton:
        raise InputError(
            f"{path}: this lifter is of the skeleton {lifter.skeleton.name}, the poses have {skeleton.name}: give a lifter trained on such poses"
        )
    return PoseHardness(lifter, seed=seed)
