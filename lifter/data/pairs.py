"""Pairs of 2D input and 3D target, made on the fly: poses seen by sampled cameras, with a detector's faults."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor

from evolift.lifter.data.detection_errors import DetectionErrors, box_side
from evolift.lifter.data.pose_source import Bodies, Mixture, PosePart
from evolift.lifter.model import LifterSettings
from evolift.lifter.normalisation import normalise
from evolift.posedata.camera_rig import CameraBatch, RandomRig, RingRig
from evolift.posedata.errors import InputError
from evolift.posedata.joint_mapping import UNLABELLED, VISIBLE
from evolift.posedata.seeds import generator_at
from evolift.posedata.skeleton import Skeleton
from evolift.training.trainer import Batch

CAMERAS = ("ring", "random", "store")

# Place of the random stream of validation pairs; training batches have (step, rank), whose fourth number is 0.
_VALIDATION_STREAM = (0, 0, 0, 1)


@dataclass(frozen=True)
class PairSettings:
    """What is done to poses before a lifter sees them.

    Args:
        batch_size: pairs per step and process.
        cameras: `ring` or `random` cameras sampled for each pair, or those of the `store` (with its 2D joints
            where it holds them, projected joints otherwise).
        ring, random: ranges of the sampled cameras.
        noise: standard deviation of the gaussian error of x and y, in per cent of the longer side of the person's
            box, which is how a detector's error scales.
        errors: those that a detector really made, made again, in the same measure (`evolift.lifter.data.detection_errors`); of
            the lifter's skeleton.
        missing: probability that a joint is not found.
        depth_noise: standard deviation of the depth of a volumetric detector (`input_axes` 3), mm.
        flip: mirror half of the pairs.

    Raises:
        InputError: a number is out of its range.
    """

    batch_size: int = 64
    cameras: str = "ring"
    ring: RingRig = field(default_factory=RingRig)
    random: RandomRig = field(default_factory=RandomRig)
    noise: float = 0.0
    errors: DetectionErrors | None = None
    missing: float = 0.0
    depth_noise: float = 0.0
    flip: bool = False

    def __post_init__(self) -> None:
        if self.cameras not in CAMERAS:
            raise InputError(f"there are no cameras {self.cameras!r}: choose one of {', '.join(CAMERAS)}")
        if self.batch_size < 1 or self.noise < 0 or self.depth_noise < 0 or not 0 <= self.missing < 1:
            raise InputError("batch size must be positive, noise not negative, missing within 0 and 1")


@dataclass(frozen=True, eq=False)
class Pairs:
    """Poses as their cameras see them.

    Args:
        pixels: 2D joints.
        visibility: 0 unlabelled, 1 hidden, 2 visible.
        joints: in the camera frame, mm, not root-relative.
        cameras: one per pair.
    """

    pixels: Float[Tensor, "batch joints 2"]
    visibility: UInt8[Tensor, "batch joints"]
    joints: Float[Tensor, "batch joints 3"]
    cameras: CameraBatch

    def __len__(self) -> int:
        return len(self.pixels)

    @staticmethod
    def concatenate(parts: Sequence[Pairs]) -> Pairs:
        """One after the other."""
        if len(parts) == 1:
            return parts[0]
        return Pairs(
            torch.cat([part.pixels for part in parts]),
            torch.cat([part.visibility for part in parts]),
            torch.cat([part.joints for part in parts]),
            CameraBatch.concatenate([part.cameras for part in parts]),
        )

    def root_relative(self, root: int) -> Float[Tensor, "batch joints 3"]:
        """Joints in the camera frame minus the root joint, mm."""
        return self.joints - self.joints[:, root : root + 1]


def seen(part: PosePart, bodies: Bodies, settings: PairSettings, generator: torch.Generator) -> Pairs:
    """Bodies as sampled cameras, or the store's own, see them, without faults.

    Raises:
        InputError: cameras of the store are asked for and a row has none.
    """
    if settings.cameras != "store":
        rig = settings.ring if settings.cameras == "ring" else settings.random
        return _projected(bodies, rig.sample(bodies.joints, part.skeleton.root, generator))
    if part.cameras is None or bool((bodies.camera < 0).any()):
        raise InputError(f"{part.path}: a pose has no camera: sample cameras (ring or random) instead")
    pairs = _projected(bodies, part.cameras[bodies.camera])
    if bodies.pixels is None or bodies.visibility is None:
        return pairs
    return Pairs(bodies.pixels, bodies.visibility, pairs.joints, pairs.cameras)


def flipped(pairs: Pairs, skeleton: Skeleton, which: Bool[Tensor, "pairs"]) -> Pairs:
    """Mirror the pictures of the chosen pairs: u -> width - 1 - u, X -> -X, left and right joints swapped.

    The cameras stay as they are, so the flipped pair is exact where the principal point is the middle of the image.

    Args:
        pairs: to be flipped.
        skeleton: tells left from right.
        which: boolean per pair.
    """
    mirror = list(skeleton.mirror)
    width = pairs.cameras.size[:, None, 0]
    pixels = torch.stack([width - 1 - pairs.pixels[..., 0], pairs.pixels[..., 1]], -1)[:, mirror]
    joints = (pairs.joints * pairs.joints.new_tensor([-1.0, 1.0, 1.0]))[:, mirror]
    choice = which[:, None, None]
    return Pairs(
        torch.where(choice, pixels, pairs.pixels),
        torch.where(which[:, None], pairs.visibility[:, mirror], pairs.visibility),
        torch.where(choice, joints, pairs.joints),
        pairs.cameras,
    )


def with_faults(pairs: Pairs, settings: PairSettings, generator: torch.Generator) -> Pairs:
    """Add a detector's noise and missing joints, as `PairSettings` says."""
    pixels, visibility = pairs.pixels, pairs.visibility
    per_cent = box_side(pixels, visibility)[:, None, None] / 100
    if settings.noise:
        pixels = pixels + settings.noise * per_cent * torch.randn(pixels.shape, generator=generator)
    if settings.errors is not None:
        pixels = pixels + per_cent * settings.errors.draw(len(pixels), generator)
    if settings.missing:
        lost = torch.rand(visibility.shape, generator=generator) < settings.missing
        visibility = visibility.masked_fill(lost, UNLABELLED)
    return Pairs(pixels, visibility, pairs.joints, pairs.cameras)


def as_batch(pairs: Pairs, lifter: LifterSettings, depth_noise: float, generator: torch.Generator) -> Batch:
    """Network input and target (mm, root-relative; depth alone for target `z`) of pairs."""
    relative = pairs.root_relative(lifter.skeleton.root)
    given = pairs.pixels
    if lifter.input_axes == 3:
        depth = relative[..., 2:]
        if depth_noise:
            depth = depth + depth_noise * torch.randn(depth.shape, generator=generator)
        given = torch.cat([given, depth], -1)
    inputs = normalise(given, pairs.visibility, pairs.cameras.size, lifter.normalisation)
    target = relative if lifter.target == "xyz" else relative[..., 2:]
    return {"inputs": inputs, "target": target}


def drawn_pairs(
    mixture: Mixture,
    settings: PairSettings,
    skeleton: Skeleton,
    step: int,
    seed: int,
    generator: torch.Generator,
) -> Pairs:
    """A training batch of bodies as cameras see them, half of them mirrored if wanted, without faults."""
    drawn = mixture.draw(settings.batch_size, step, seed, generator)
    pairs = Pairs.concatenate([seen(part, bodies, settings, generator) for part, bodies in drawn])
    if settings.flip:
        which = torch.rand(len(pairs), generator=generator) < 0.5
        pairs = flipped(pairs, skeleton, which)
    return pairs


class PairMaker:
    """Training batches as a pure function of (seed, step, rank); a `evolift.training.trainer.BatchMaker`.

    Args:
        mixture: where poses come from.
        settings: cameras and faults.
        lifter: what input and target must look like.
        seed: of all draws.
    """

    def __init__(self, mixture: Mixture, settings: PairSettings, lifter: LifterSettings, seed: int) -> None:
        self.mixture, self.settings, self.lifter, self.seed = mixture, settings, lifter, seed

    def __call__(self, step: int, rank: int, world_size: int) -> Batch:
        """`inputs` (batch, joints, axes) and `target` (batch, joints, 3 or 1)."""
        generator = generator_at(self.seed, step, rank)
        pairs = drawn_pairs(self.mixture, self.settings, self.lifter.skeleton, step, self.seed, generator)
        pairs = with_faults(pairs, self.settings, generator)
        return as_batch(pairs, self.lifter, self.settings.depth_noise, generator)


def fixed_pairs(
    part: PosePart, settings: PairSettings, seed: int, *, count: int
) -> tuple[Pairs, Int64[np.ndarray, "pairs"]]:
    """Pairs for validation and evaluation: rows evenly spread over a part, the same cameras at every call.

    A ring shows each body to all of its cameras, the other rigs to one.

    Args:
        part: the rows.
        settings: cameras and faults; flips are left out.
        seed: of cameras and faults.
        count: bodies at most.

    Returns:
        The pairs, and the row of the store that each shows.
    """
    generator = generator_at(seed, *_VALIDATION_STREAM)
    bodies, rows = part.evenly(count)
    if settings.cameras == "ring":
        turns = settings.ring.cameras
        which = torch.arange(turns).repeat(len(bodies))
        bodies = bodies[torch.arange(len(bodies)).repeat_interleave(turns)]
        cameras = settings.ring.sample(bodies.joints, part.skeleton.root, generator, which)
        pairs = _projected(bodies, cameras)
        rows = rows.repeat(turns)
    else:
        pairs = seen(part, bodies, settings, generator)
    return with_faults(pairs, settings, generator), rows


def _projected(bodies: Bodies, cameras: CameraBatch) -> Pairs:
    pixels, in_camera = cameras.project(bodies.joints)
    everywhere = torch.full(pixels.shape[:-1], VISIBLE, dtype=torch.uint8)
    return Pairs(pixels, everywhere, in_camera, cameras)
