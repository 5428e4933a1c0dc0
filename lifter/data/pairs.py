"""Pairs of 2D input and 3D target, made on the fly: poses seen by sampled cameras, with a detector's noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor

from evolift.lifter.data.detection_errors import DetectionErrors, box_side, load_detection_errors
from evolift.lifter.data.pose_source import Bodies, Mixture, PosePart
from evolift.lifter.normalisation import normalise, turned
from evolift.lifter.settings import LifterSettings, PairSettings, ViewSettings
from evolift.lifter.straight_view import Lens
from evolift.posedata.camera_rig import RING_CAMERAS, CameraBatch, sample_random, sample_ring
from evolift.posedata.errors import InputError
from evolift.posedata.joint_mapping import UNLABELLED, VISIBLE
from evolift.posedata.seeds import generator_at
from evolift.posedata.skeleton import Skeleton
from evolift.training.trainer import Batch

# Place of the random stream of validation pairs; training batches have (step, rank), whose fourth number is 0.
_VALIDATION_STREAM = (0, 0, 0, 1)


_SIDES = (("hip", "knee", "ankle"), ("shoulder", "elbow", "wrist"))
_ENDS = (("knee", "ankle"), ("elbow", "wrist"))


@dataclass(frozen=True, eq=False)
class Pairs:
    """Poses as their cameras see them.

    Args:
        pixels: 2D joints.
        visibility: 0 unlabelled, 1 hidden, 2 visible.
        joints: in the camera frame, mm, not root-relative; NaN where unlabelled.
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
        """The pairs of all parts, one part after the other."""
        if len(parts) == 1:
            return parts[0]
        return Pairs(
            torch.cat([part.pixels for part in parts]),
            torch.cat([part.visibility for part in parts]),
            torch.cat([part.joints for part in parts]),
            CameraBatch.concatenate([part.cameras for part in parts]),
        )

    @property
    def lens(self) -> Lens:
        """What is known of the cameras."""
        return Lens(self.cameras.K, self.cameras.distortion)

    def root_relative(self, root: int) -> Float[Tensor, "batch joints 3"]:
        """Joints in the camera frame minus the root joint, mm."""
        return self.joints - self.joints[:, root : root + 1]


def seen(part: PosePart, bodies: Bodies, views: ViewSettings, generator: torch.Generator) -> Pairs:
    """Bodies as sampled cameras, or the store's own, see them, without noise.

    Raises:
        InputError: cameras of the store are asked for and a row has none.
    """
    if views.cameras in ("ring", "random"):
        joints = filled(part, bodies.joints)
        root = part.skeleton.root
        if views.cameras == "ring":
            return projected(part, bodies, sample_ring(views.ring, joints, root, generator))
        return projected(part, bodies, sample_random(views.random, joints, root, generator))
    if part.cameras is None or bool((bodies.camera < 0).any()):
        raise InputError(f"{part.path}: a pose has no camera: sample `cameras` (ring or random) instead")
    pairs = projected(part, bodies, part.cameras[bodies.camera])
    if bodies.pixels is None or bodies.visibility is None:
        return pairs
    return Pairs(bodies.pixels, bodies.visibility, pairs.joints, pairs.cameras)


def flipped(pairs: Pairs, skeleton: Skeleton, which: Bool[Tensor, "pairs"]) -> Pairs:
    """Mirror the images of the chosen pairs: u -> width - 1 - u, X -> -X, left and right joints swapped.

    The lenses are mirrored too, the places of the cameras stay as they are.

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
        pairs.cameras.with_mirrored_lenses(which),
    )


def errors_of(pairs: PairSettings, skeleton: Skeleton) -> DetectionErrors | None:
    """The errors of a detector that pairs are made with, out of their file; None for none.

    Raises:
        InputError: the file is no table of errors of joints of this skeleton.
    """
    return None if pairs.errors is None else load_detection_errors(Path(pairs.errors), skeleton)


def with_noise(
    pairs: Pairs,
    settings: PairSettings,
    errors: DetectionErrors | None,
    skeleton: Skeleton,
    generator: torch.Generator,
) -> Pairs:
    """Add a detector's noise, swapped sides and missing joints, as `PairSettings` says; `errors` are those of `errors_of`."""
    pixels, visibility = pairs.pixels, pairs.visibility
    if settings.swapped:
        pixels, visibility = _with_swapped_sides(pixels, visibility, settings.swapped, skeleton, generator)
    per_cent = box_side(pixels, visibility)[:, None, None] / 100
    if settings.noise:
        pixels = pixels + settings.noise * per_cent * torch.randn(pixels.shape, generator=generator)
    if errors is not None:
        pixels = pixels + per_cent * errors.draw(len(pixels), generator)
    if settings.missing:
        lost = torch.rand(visibility.shape, generator=generator) < settings.missing
        visibility = visibility.masked_fill(lost, UNLABELLED)
    if settings.missing_limbs:
        for limb in free_limbs(skeleton):
            lost = torch.rand((len(visibility), 1), generator=generator) < settings.missing_limbs
            is_in_limb = torch.zeros(visibility.shape[1], dtype=torch.bool)
            is_in_limb[list(limb)] = True
            visibility = visibility.masked_fill(lost & is_in_limb, UNLABELLED)
    return Pairs(pixels, visibility, pairs.joints, pairs.cameras)


def _with_swapped_sides(
    pixels: Tensor, visibility: Tensor, probability: float, skeleton: Skeleton, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Left and right taken for each other, in each pair of limbs by itself."""
    mirror = torch.tensor(skeleton.mirror)
    for is_in_pair in pairs_of_limbs(skeleton):
        swapped = (torch.rand((len(pixels), 1), generator=generator) < probability) & is_in_pair
        pixels = torch.where(swapped[..., None], pixels[:, mirror], pixels)
        visibility = torch.where(swapped, visibility[:, mirror], visibility)
    return pixels, visibility


def pairs_of_limbs(skeleton: Skeleton) -> list[Bool[Tensor, "joints"]]:
    """Which joints may be taken for those of the other side together: hips and below, shoulders and below."""
    pairs = []
    for names in _SIDES:
        is_in_pair = torch.zeros(len(skeleton), dtype=torch.bool)
        is_in_pair[[place for place, joint in enumerate(skeleton.joints) if joint.endswith(names)]] = True
        pairs.append(is_in_pair)
    return pairs


def free_limbs(skeleton: Skeleton) -> tuple[tuple[int, ...], ...]:
    """Joints of each forearm and shank with their ends (elbow and wrist, knee and ankle): what is hidden or cut off together."""
    limbs = [[f"{side}_{joint}" for joint in names] for side in ("left", "right") for names in _ENDS]
    return tuple(
        tuple(skeleton.index(joint) for joint in limb) for limb in limbs if set(limb) <= set(skeleton.joints)
    )


def as_batch(pairs: Pairs, lifter: LifterSettings, depth_noise: float, generator: torch.Generator) -> Batch:
    """Network input and target (mm, root-relative; depth alone for target `z`; NaN where unlabelled) of pairs."""
    relative = pairs.root_relative(lifter.skeleton.root)
    given = pairs.pixels
    if lifter.input_axes == 3:
        depth = relative[..., 2:].nan_to_num(0.0)
        if depth_noise:
            depth = depth + depth_noise * torch.randn(depth.shape, generator=generator)
        given = torch.cat([given, depth], -1)
    if lifter.is_turned:
        inputs, rotation = turned(given, pairs.visibility, pairs.lens, lifter.normalisation)
        relative = relative @ rotation
    else:
        inputs = normalise(given, pairs.visibility, pairs.cameras.size, lifter.normalisation)
    target = relative if lifter.target == "xyz" else relative[..., 2:]
    return {"inputs": inputs, "target": target}


def drawn_views(
    mixture: Mixture,
    views: ViewSettings,
    skeleton: Skeleton,
    step: int,
    seed: int,
    generator: torch.Generator,
) -> Pairs:
    """A training batch of bodies as cameras see them, half of them mirrored if wanted, without noise."""
    drawn = mixture.draw(views.batch_size, step, seed, generator)
    pairs = Pairs.concatenate([seen(part, bodies, views, generator) for part, bodies in drawn])
    if views.flip:
        which = torch.rand(len(pairs), generator=generator) < 0.5
        pairs = flipped(pairs, skeleton, which)
    return pairs


class PairMaker:
    """Training batches as a pure function of (seed, step, rank); a `evolift.training.trainer.BatchMaker`.

    Args:
        mixture: where poses come from.
        settings: cameras and noise.
        lifter: what input and target must look like.
        seed: of all draws.

    Raises:
        InputError: the file of a detector's errors is not sound, or of another skeleton.
    """

    def __init__(self, mixture: Mixture, settings: PairSettings, lifter: LifterSettings, seed: int) -> None:
        self.mixture, self.settings, self.lifter, self.seed = mixture, settings, lifter, seed
        self.errors = errors_of(settings, lifter.skeleton)

    def __call__(self, step: int, rank: int, world_size: int) -> Batch:
        """`inputs` (batch, joints, axes) and `target` (batch, joints, 3 or 1)."""
        generator = generator_at(self.seed, step, rank)
        pairs = drawn_views(self.mixture, self.settings, self.lifter.skeleton, step, self.seed, generator)
        pairs = with_noise(pairs, self.settings, self.errors, self.lifter.skeleton, generator)
        return as_batch(pairs, self.lifter, self.settings.depth_noise, generator)


def fixed_views(
    part: PosePart, views: ViewSettings, seed: int, *, count: int
) -> tuple[Pairs, Int64[np.ndarray, "pairs"]]:
    """Poses as they are seen in validation and evaluation: rows evenly spread over a part, the same cameras at every call.

    A ring shows each body to all of its cameras, the other rigs to one.

    Args:
        part: the rows.
        views: the cameras; flips are left out.
        seed: of the cameras.
        count: bodies at most.

    Returns:
        The pairs without noise, and the row of the store that each shows.
    """
    return _fixed_views(part, views, generator_at(seed, *_VALIDATION_STREAM), count)


def fixed_pairs(
    part: PosePart, settings: PairSettings, seed: int, *, count: int
) -> tuple[Pairs, Int64[np.ndarray, "pairs"]]:
    """As `fixed_views`, with noise.

    Raises:
        InputError: the file of a detector's errors is not sound, or of another skeleton.
    """
    errors = errors_of(settings, part.skeleton)
    generator = generator_at(seed, *_VALIDATION_STREAM)
    pairs, rows = _fixed_views(part, settings, generator, count)
    return with_noise(pairs, settings, errors, part.skeleton, generator), rows


def _fixed_views(
    part: PosePart, views: ViewSettings, generator: torch.Generator, count: int
) -> tuple[Pairs, Int64[np.ndarray, "pairs"]]:
    bodies, rows = part.evenly(count)
    if views.cameras != "ring":
        return seen(part, bodies, views, generator), rows
    which = torch.arange(RING_CAMERAS).repeat(len(bodies))
    bodies = bodies[torch.arange(len(bodies)).repeat_interleave(RING_CAMERAS)]
    joints = filled(part, bodies.joints)
    cameras = sample_ring(views.ring, joints, part.skeleton.root, generator, which)
    return projected(part, bodies, cameras), rows.repeat(RING_CAMERAS)


def filled(part: PosePart, joints: Float[Tensor, "bodies joints 3"]) -> Float[Tensor, "bodies joints 3"]:
    """Joints without NaN, the unlabelled ones at the root's place: where cameras look does not depend on them."""
    if not part.lacking:
        return joints
    filled = joints.clone()
    filled[:, part.lacking] = joints[:, part.skeleton.root, None]
    return filled


def projected(part: PosePart, bodies: Bodies, cameras: CameraBatch) -> Pairs:
    """Bodies as the cameras of each see them."""
    pixels, in_camera = cameras.project(filled(part, bodies.joints))
    visibility = torch.full(pixels.shape[:-1], VISIBLE, dtype=torch.uint8)
    if part.lacking:
        pixels[:, part.lacking] = 0
        in_camera[:, part.lacking] = torch.nan
        visibility[:, part.lacking] = UNLABELLED
    return Pairs(pixels, visibility, in_camera, cameras)
