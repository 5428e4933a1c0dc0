"""A detector's errors on clips: in part they stay for a while, in part they are of one frame.

A detector errs by what it sees, which changes slowly, so that its errors of neighbouring frames are alike; but not the same, or
a lifter would never learn to steady them. How much of an error stays is not known in general. Here it is half: of the variance
of gaussian errors, of the errors of real people that are drawn, of the joints that are not found and of the sides that are
swapped. What stays changes about once a second (`LASTING`). In single frames the noise is what `with_noise` of
`evolift.lifter.data.pairs` makes.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from evolift.lifter.data.detection_errors import DetectionErrors, box_side
from evolift.lifter.data.pairs import Pairs, free_limbs, pairs_of_limbs
from evolift.lifter.settings import PairSettings
from evolift.posedata.joint_mapping import UNLABELLED
from evolift.posedata.skeleton import Skeleton

LASTING = 1.0
"""Seconds from one state of what stays to the next."""


class _Time:
    """Where the frames of some clips lie between states that follow each other every `LASTING` seconds, each clip shifted at random."""

    def __init__(self, clips: int, frames: int, rate: float, generator: torch.Generator) -> None:
        self.clips, self.frames, self.generator = clips, frames, generator
        begin = torch.rand(clips, 1, generator=generator, dtype=torch.float64)
        self.place = begin + torch.arange(frames, dtype=torch.float64) / (rate * LASTING)
        self.states = math.ceil((frames - 1) / (rate * LASTING)) + 2

    def state(self) -> Int64[Tensor, "clips frames"]:
        """Number of the state of each frame, in all clips together."""
        return self.place.long() + self.states * torch.arange(self.clips)[:, None]

    def drifting(self, *shape: int) -> Float[Tensor, "clips frames ..."]:
        """Standard gaussian numbers that move smoothly from state to state."""
        states = torch.randn(self.clips * self.states, *shape, generator=self.generator)
        before = self.state()
        angle = (self.place - self.place.long()) * (math.pi / 2)
        weights = angle.float().view(*angle.shape, *(1 for _ in shape))
        return weights.cos() * states[before] + weights.sin() * states[before + 1]

    def normal(self, *shape: int) -> Float[Tensor, "clips_frames ..."]:
        """Standard gaussian numbers, half of whose variance stays."""
        alone = torch.randn(self.clips, self.frames, *shape, generator=self.generator)
        return ((self.drifting(*shape) + alone) * math.sqrt(0.5)).flatten(0, 1)

    def happens(self, probability: float, *shape: int) -> Bool[Tensor, "clips_frames ..."]:
        """Events of a probability in each frame, about half of which stay while a state does."""
        half = 1 - math.sqrt(1 - probability)
        lasting = torch.rand(self.clips * self.states, *shape, generator=self.generator) < half
        alone = torch.rand(self.clips, self.frames, *shape, generator=self.generator) < half
        return (lasting[self.state()] | alone).flatten(0, 1)

    def errors(self, errors: DetectionErrors) -> Float[Tensor, "clips_frames joints 2"]:
        """Errors of people, in each second frame on average those of the state's one person."""
        people = errors.draw(self.clips * self.states, self.generator)[self.state()].flatten(0, 1)
        alone = errors.draw(self.clips * self.frames, self.generator)
        stays = torch.rand(len(alone), generator=self.generator) < 0.5
        return torch.where(stays[:, None, None], people, alone)


def with_clip_noise(
    pairs: Pairs,
    frames: int,
    rate: float,
    settings: PairSettings,
    errors: DetectionErrors | None,
    skeleton: Skeleton,
    generator: torch.Generator,
) -> Pairs:
    """Add a detector's noise, swapped sides and missing joints to clips, as `PairSettings` says.

    Args:
        pairs: of clips of equally many frames, one clip after the other.
        frames: of a clip.
        rate: frames a second.
        settings: how much noise.
        errors: those of `evolift.lifter.data.pairs.errors_of`.
        skeleton: of the joints.
        generator: of the draws.
    """
    pixels, visibility = pairs.pixels, pairs.visibility
    time = _Time(len(pairs) // frames, frames, rate, generator)
    mirror = list(skeleton.mirror)
    if settings.swapped:
        for is_in_pair in pairs_of_limbs(skeleton):
            swapped = time.happens(settings.swapped, 1) & is_in_pair
            pixels = torch.where(swapped[..., None], pixels[:, mirror], pixels)
            visibility = torch.where(swapped, visibility[:, mirror], visibility)
    per_cent = box_side(pixels, visibility)[:, None, None] / 100
    if settings.noise:
        pixels = pixels + settings.noise * per_cent * time.normal(len(skeleton), 2)
    if errors is not None:
        pixels = pixels + per_cent * time.errors(errors)
    if settings.missing:
        visibility = visibility.masked_fill(time.happens(settings.missing, len(skeleton)), UNLABELLED)
    if settings.missing_limbs:
        for limb in free_limbs(skeleton):
            is_in_limb = torch.zeros(len(skeleton), dtype=torch.bool)
            is_in_limb[list(limb)] = True
            lost = time.happens(settings.missing_limbs, 1) & is_in_limb
            visibility = visibility.masked_fill(lost, UNLABELLED)
    return Pairs(pixels, visibility, pairs.joints, pairs.cameras)
