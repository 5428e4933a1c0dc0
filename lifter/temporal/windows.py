"""What temporal lifters learn from: windows of clips as one camera sees them, mirrored or not as a whole, with a detector's noise."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from evolift.lifter.data.detection_errors import DetectionErrors
from evolift.lifter.data.pairs import Pairs, as_batch, errors_of, filled, flipped, projected, seen
from evolift.lifter.data.pose_source import Bodies, Mixture, PosePart
from evolift.lifter.settings import PairSettings, ViewSettings
from evolift.lifter.temporal.clips import ClipPart
from evolift.lifter.temporal.noise import with_clip_noise
from evolift.lifter.temporal.settings import TemporalSettings
from evolift.posedata.camera_rig import RING_CAMERAS, sample_random, sample_ring
from evolift.posedata.seeds import generator_at
from evolift.training.trainer import Batch

# Place of the random stream of validation windows; training batches have (step, rank), whose fourth number is 0.
_VALIDATION_STREAM = (0, 0, 0, 1)


def seen_clips(
    part: PosePart,
    bodies: Bodies,
    frames: int,
    target: int,
    views: ViewSettings,
    generator: torch.Generator,
    which: Int64[Tensor, "clips"] | None = None,
) -> Pairs:
    """Clips as sampled cameras, or the store's own, see them, without noise; a camera stands still.

    Args:
        part: of the bodies.
        bodies: of clips of equally many frames, one clip after the other.
        frames: of a clip.
        target: place of the frame in which the person is where the camera is told to look.
        views: which cameras.
        generator: of their draws.
        which: camera of a ring for each clip; drawn if None.

    Raises:
        InputError: cameras of the store are asked for and a row has none.
    """
    if views.cameras == "store":
        return seen(part, bodies, views, generator)
    # To a camera the frames of a clip are one large pose, all of which it keeps in front of it.
    joints = filled(part, bodies.joints)
    all_joints = joints.view(len(joints) // frames, -1, 3)
    root = target * len(part.skeleton) + part.skeleton.root
    if views.cameras == "ring":
        cameras = sample_ring(views.ring, all_joints, root, generator, which)
    else:
        cameras = sample_random(views.random, all_joints, root, generator)
    return projected(part, bodies, cameras[torch.arange(len(cameras)).repeat_interleave(frames)])


def as_windows(pairs: Pairs, lifter: TemporalSettings) -> Batch:
    """Network input and target of windows (mm, root-relative, NaN where unlabelled).

    Args:
        pairs: of windows, one after the other.
        lifter: what input and target must look like.

    Returns:
        `inputs` (windows, frames, joints, 2) and `target` (windows, joints, 3), of the one frame that is answered for.
    """
    batch = as_batch(pairs, lifter, 0.0, torch.Generator())
    inputs, target = (
        values.view(-1, lifter.frames, *values.shape[1:]) for values in (batch["inputs"], batch["target"])
    )
    return {"inputs": inputs, "target": target[:, lifter.target_frame]}


class WindowMaker:
    """Training batches as a pure function of (seed, step, rank); a `evolift.training.trainer.BatchMaker`.

    Args:
        mixture: of `ClipPart`, where windows come from.
        settings: cameras and noise.
        lifter: what windows must look like.
        seed: of all draws.

    Raises:
        InputError: the file of a detector's errors is not sound, or of another skeleton.
    """

    def __init__(self, mixture: Mixture, settings: PairSettings, lifter: TemporalSettings, seed: int) -> None:
        self.mixture, self.settings, self.lifter, self.seed = mixture, settings, lifter, seed
        self.errors = errors_of(settings, lifter.skeleton)

    def __call__(self, step: int, rank: int, world_size: int) -> Batch:
        """As of `as_windows`."""
        generator = generator_at(self.seed, step, rank)
        lifter, settings = self.lifter, self.settings
        drawn = self.mixture.draw(settings.batch_size, step, self.seed, generator)
        pairs = Pairs.concatenate(
            [
                seen_clips(part, bodies, lifter.frames, lifter.target_frame, settings, generator)
                for part, bodies in drawn
            ]
        )
        if settings.flip:
            which = torch.rand(settings.batch_size, generator=generator) < 0.5
            pairs = flipped(pairs, lifter.skeleton, which.repeat_interleave(lifter.frames))
        return as_windows(_noisy(pairs, lifter, settings, self.errors, generator), lifter)


def fixed_windows(
    part: ClipPart, settings: PairSettings, lifter: TemporalSettings, seed: int, *, count: int
) -> tuple[Pairs, Int64[np.ndarray, "windows"]]:
    """Windows as they are seen in validation: evenly spread over a part, the same cameras and noise at every call.

    A ring shows each window to all of its cameras, the other rigs to one.

    Args:
        part: the clips.
        settings: cameras and noise; flips are left out.
        lifter: what windows must look like.
        seed: of cameras and noise.
        count: windows at most, before the ring sees each by all of its cameras.

    Returns:
        The pairs of the windows, one after the other, and the row of the store that each is answered for.

    Raises:
        InputError: the file of a detector's errors is not sound, or of another skeleton.
    """
    errors = errors_of(settings, lifter.skeleton)
    generator = generator_at(seed, *_VALIDATION_STREAM)
    bodies, rows = part.evenly(count)
    which = None
    if settings.cameras == "ring":
        which = torch.arange(RING_CAMERAS).repeat(len(rows))
        windows = torch.arange(len(bodies)).view(-1, lifter.frames)
        bodies = bodies[windows.repeat_interleave(RING_CAMERAS, 0).flatten()]
        rows = rows.repeat(RING_CAMERAS)
    pairs = seen_clips(part, bodies, lifter.frames, lifter.target_frame, settings, generator, which)
    return _noisy(pairs, lifter, settings, errors, generator), rows


def _noisy(
    pairs: Pairs,
    lifter: TemporalSettings,
    settings: PairSettings,
    errors: DetectionErrors | None,
    generator: torch.Generator,
) -> Pairs:
    return with_clip_noise(
        pairs, lifter.frames, lifter.frames_per_second, settings, errors, lifter.skeleton, generator
    )
