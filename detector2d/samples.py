"""Batches of crops from pose stores with images, mixed by ratio: the input of detector and chain training.

A batch is a pure function of (seed, step, rank). It is a dictionary with, for B crops of J joints:

==================  ==========  =====================================================================================
image               B 3 H W     the crop, in the model's own input scaling
joints              B J 3       (u, v, z) in fractions of the crop (see `crop`; z = root-relative mm / 2000)
weight              B J 3       1 where that coordinate is known and the joint lies inside the crop, else 0
visibility          B J         0 unlabelled, 1 hidden (also under a pasted occluder), 2 visible; uint8
joints_3d           B J 3       root-relative mm in the camera frame, rotated and mirrored as the crop is; else 0
has_3d              B           whether joints_3d is known, but for joints that are NaN; bool
image_from_crop     B 2 3       crop pixels -> image pixels
image_size          B 2         (width, height) of the image, pixels
intrinsics          B 3 3       K of the image's camera, pixels; where it is not known, its focal length is the diagonal of the image
distortion          B 5         (k1, k2, p1, p2, k3) of its lens
joints_2d           B J 2       labels in pixels of the image; left and right as the crop shows them
source, row         B           which source, and which row of its store; int64
==================  ==========  =====================================================================================

Mirroring a crop mirrors the person: left and right joints are swapped in `joints`, `visibility`, `joints_3d` and
`joints_2d` alike, so `image_from_crop` always takes `joints` to `joints_2d`. See `crop.rotate_3d` for what rotating
a crop does to 3D.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch.utils.data import DataLoader, Dataset

from evolift.detector2d.augmentation import (
    Augmentation,
    change_colours,
    change_values,
    draw_augmentation,
    stretched,
)
from evolift.detector2d.backbone import InputScaling
from evolift.detector2d.crop import (
    affine_of_resized,
    apply_affine,
    crop_from_image,
    crop_to_fraction,
    invert_affine,
    rotate_3d,
    warp_crop,
)
from evolift.detector2d.image_source import ImageSource
from evolift.detector2d.model import DEPTH_RANGE
from evolift.detector2d.occlusion import Occluder, occlude
from evolift.detector2d.settings import (
    AugmentationSettings,
    DetectorSettings,
    DetectorTrainingSettings,
    OcclusionSettings,
)
from evolift.posedata.camera import Camera
from evolift.posedata.errors import InputError
from evolift.posedata.image_file import read_image_size, read_reduced_image
from evolift.posedata.joint_mapping import UNLABELLED
from evolift.posedata.num_workers import require_workers
from evolift.posedata.seeds import numpy_generator_at
from evolift.posedata.skeleton import Skeleton
from evolift.training.trainer import Batch


@dataclass(frozen=True, eq=False)
class CropSettings:
    """How a row of a store becomes a crop.

    Args:
        size: (width, height) of the crop, pixels.
        skeleton: of the joints.
        scaling: of the model's input.
        padding: the crop shows this many times the person box.
        augmentation: None for none.
        occlusion: None for none.
        occluders: to paste; needed with `occlusion`.

    Raises:
        InputError: occlusion without occluders.
    """

    size: tuple[int, int]
    skeleton: Skeleton
    scaling: InputScaling = field(default_factory=InputScaling)
    padding: float = DetectorSettings().padding
    augmentation: AugmentationSettings | None = None
    occlusion: OcclusionSettings | None = None
    occluders: tuple[Occluder, ...] = ()

    def __post_init__(self) -> None:
        if self.occlusion is not None and not self.occluders:
            raise InputError("occlusion needs occluders")


def crop_settings(
    detector: DetectorSettings,
    scaling: InputScaling,
    training: DetectorTrainingSettings | None = None,
    occluders: tuple[Occluder, ...] = (),
) -> CropSettings:
    """How rows are cropped for a detector.

    Args:
        detector: gives size, padding and skeleton.
        scaling: of its input.
        training: gives augmentation and occlusion; None for plain crops, as of validation.
        occluders: what is pasted, see `occluder_choice`.
    """
    occlusion = None if training is None else training.occlusion
    if occlusion is not None and not occlusion.occlusion_probability:
        occlusion = None
    return CropSettings(
        size=detector.size,
        skeleton=detector.skeleton,
        scaling=scaling,
        padding=detector.padding,
        augmentation=training.augmentation if training is not None and training.augment else None,
        occlusion=occlusion,
        occluders=occluders if occlusion is not None else (),
    )


@dataclass(frozen=True, eq=False)
class Sample:
    """One crop, before scaling: the image in 8 bits and the labels, named as in the batch."""

    image: UInt8[np.ndarray, "height width 3"]
    joints: Float[np.ndarray, "joints 3"]
    weight: Float[np.ndarray, "joints 3"]
    visibility: UInt8[np.ndarray, "joints"]
    joints_3d: Float[np.ndarray, "joints 3"]
    has_3d: bool
    image_from_crop: Float[np.ndarray, "2 3"]
    image_size: tuple[int, int]
    joints_2d: Float[np.ndarray, "joints 2"]
    intrinsics: Float[np.ndarray, "3 3"]
    distortion: Float[np.ndarray, "5"]


def make_sample(
    source: ImageSource, index: int, settings: CropSettings, generator: np.random.Generator | None = None
) -> Sample:
    """Cut out one row of a source.

    Args:
        source: of rows.
        index: position in the source.
        settings: of the crop.
        generator: of chance; None for no augmentation and no occlusion.

    Raises:
        InputError: the image cannot be read; the message names it.
    """
    draw = Augmentation()
    if generator is not None and settings.augmentation is not None:
        draw = draw_augmentation(generator, settings.augmentation)
    affine = crop_from_image(
        source.boxes[index],
        settings.size,
        padding=settings.padding,
        scale=draw.scale,
        angle=draw.angle,
        flip=draw.flip,
    )
    if draw.stretch and not source.known_3d[index].any():
        affine = stretched(affine, draw.stretch, draw.direction, settings.size)
    crop, image_size = _cut_out(source.paths[index], affine, settings.size)
    crop = change_colours(crop, draw.gains)
    order = np.array(settings.skeleton.mirror if draw.flip else range(len(settings.skeleton)))
    joints_2d, visibility = source.joints_2d[index][order], source.visibility[index][order]
    in_crop = apply_affine(affine, joints_2d.astype(np.float64))
    if generator is not None and settings.occlusion is not None:
        crop, visibility = occlude(
            crop, in_crop, visibility, settings.occluders, generator, settings.occlusion
        )
    if draw.photometric is not None:  # of all that is in front of the camera
        crop = change_values(crop, draw.photometric)
    known_3d = source.known_3d[index][order]
    joints_3d = rotate_3d(source.joints_3d[index][order], affine)
    joints, weight = _targets(in_crop, visibility, joints_3d, known_3d, settings.size)
    intrinsics = source.intrinsics[index]
    if np.isnan(intrinsics).any():
        intrinsics = Camera.from_focal_length(math.hypot(*image_size), *image_size).K
    return Sample(
        image=crop,
        joints=joints,
        weight=weight,
        visibility=visibility,
        joints_3d=joints_3d,
        has_3d=bool(known_3d.any()),
        image_from_crop=invert_affine(affine),
        image_size=image_size,
        joints_2d=joints_2d,
        intrinsics=intrinsics,
        distortion=source.distortion[index],
    )


def _cut_out(path: Path, affine: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, tuple[int, int]]:
    zoom = float(np.sqrt(abs(np.linalg.det(affine[:, :2]))))
    # The largest reduction that still leaves the crop no larger than its part of the image.
    wanted = next(factor for factor in (8, 4, 2, 1) if factor * zoom <= 1 or factor == 1)
    image, factor = read_reduced_image(path, wanted)
    height, width = image.shape[:2]
    whole = (width * factor, height * factor)
    crop = warp_crop(image, affine_of_resized(affine, whole, (width, height)), size)
    # The reduced image is rounded up, so `whole` may be some pixels more than the image has.
    return crop, whole if factor == 1 else read_image_size(path)


def _targets(
    in_crop: Float[np.ndarray, "joints 2"],
    visibility: UInt8[np.ndarray, "joints"],
    joints_3d: Float[np.ndarray, "joints 3"],
    known_3d: Bool[np.ndarray, "joints"],
    size: tuple[int, int],
) -> tuple[Float[np.ndarray, "joints 3"], Float[np.ndarray, "joints 3"]]:
    """Fractions of the crop, and their weights: soft-argmax cannot reach what lies outside."""
    joints = np.concatenate([crop_to_fraction(in_crop, size), joints_3d[:, 2:] / DEPTH_RANGE], 1)
    labelled = visibility != UNLABELLED
    known = np.stack([labelled, labelled, labelled & known_3d], 1)
    inside = (np.abs(joints[:, :2]) <= 0.5).all(1, keepdims=True) & (np.abs(joints) <= 0.5)
    weight = (known & inside).astype(np.float32)
    return np.where(known, joints, 0).astype(np.float32), weight


def to_batch(samples: Sequence[Sample], rows: Sequence[tuple[int, int]], scaling: InputScaling) -> Batch:
    """Samples as tensors; `rows` are their (source, row)."""
    images = torch.from_numpy(np.stack([sample.image for sample in samples]))
    mean, std = torch.tensor(scaling.mean), torch.tensor(scaling.std)
    batch = {
        "image": images.permute(0, 3, 1, 2)
        .float()
        .div_(255)
        .sub_(mean[:, None, None])
        .div_(std[:, None, None])
    }
    for name in ("joints", "weight", "joints_3d", "image_from_crop", "joints_2d", "intrinsics", "distortion"):
        stacked = np.stack([getattr(sample, name) for sample in samples])
        batch[name] = torch.from_numpy(stacked.astype(np.float32))
    batch["visibility"] = torch.from_numpy(np.stack([sample.visibility for sample in samples]))
    batch["has_3d"] = torch.tensor([sample.has_3d for sample in samples])
    batch["image_size"] = torch.tensor([sample.image_size for sample in samples])
    batch["source"] = torch.tensor([source for source, _ in rows])
    batch["row"] = torch.tensor([row for _, row in rows])
    return batch


class MixedBatches:
    """Training batches from several sources: a `evolift.training.trainer.BatchMaker`.

    Each source gives a fixed number of every batch, and goes through its rows in random order, all of them
    before any comes again.

    Args:
        sources: where rows come from.
        ratios: relative shares of the sources in a batch; equal ones if empty.
        batch_size: crops per step and process.
        settings: of the crops.
        seed: of chance.

    Raises:
        InputError: ratios do not fit the sources, or a share is less than one crop per batch.
    """

    def __init__(
        self,
        sources: Sequence[ImageSource],
        ratios: Sequence[float],
        batch_size: int,
        settings: CropSettings,
        seed: int,
    ) -> None:
        self.sources, self.settings, self.seed = tuple(sources), settings, seed
        self.shares = shares_of(ratios, len(sources), batch_size)

    def __call__(self, step: int, rank: int, world_size: int) -> Batch:
        """The batch of one step on one process."""
        rows = [
            (number, self._row(number, (step * world_size + rank) * share + place))
            for number, share in enumerate(self.shares)
            for place in range(share)
        ]
        samples = [
            make_sample(
                self.sources[source],
                row,
                self.settings,
                numpy_generator_at(self.seed, step, rank, slot),
            )
            for slot, (source, row) in enumerate(rows)
        ]
        places = [(source, int(self.sources[source].rows[row])) for source, row in rows]
        return to_batch(samples, places, self.settings.scaling)

    def _row(self, source: int, position: int) -> int:
        count = len(self.sources[source])
        return int(_order(self.seed, source, position // count, count)[position % count])


@lru_cache(maxsize=64)
def _order(seed: int, source: int, epoch: int, count: int) -> np.ndarray:
    return numpy_generator_at(seed, source, epoch, 0, 1).permutation(count)


def shares_of(ratios: Sequence[float], sources: int, batch_size: int) -> list[int]:
    """Crops per batch from each source: the ratios, all equal if there are none, rounded by largest remainder.

    Raises:
        InputError: there are not as many ratios as sources, or one is below one crop.
    """
    ratios = ratios or (1.0,) * sources
    if len(ratios) != sources or sources == 0:
        raise InputError(f"{sources} stores need as many `ratios`, not {len(ratios)}")
    exact = np.array(ratios, np.float64) / sum(ratios) * batch_size
    shares = np.floor(exact).astype(int)
    for index in np.argsort(shares - exact, kind="stable")[: batch_size - shares.sum()]:
        shares[index] += 1
    if shares.min() < 1:
        raise InputError(
            f"a batch of {batch_size} has no crop of store number {int(shares.argmin()) + 1}: enlarge `batch_size` or its ratio"
        )
    return [int(share) for share in shares]


class _AllRows(Dataset[tuple[Sample, tuple[int, int]]]):
    def __init__(self, sources: Sequence[ImageSource], settings: CropSettings) -> None:
        self.sources, self.settings = tuple(sources), settings
        self.places = [(number, row) for number, source in enumerate(sources) for row in range(len(source))]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, position: int) -> tuple[Sample, tuple[int, int]]:
        number, index = self.places[position]
        source = self.sources[number]
        return make_sample(source, index, self.settings), (number, int(source.rows[index]))


@dataclass(frozen=True)
class _Collate:
    scaling: InputScaling

    def __call__(self, items: Sequence[tuple[Sample, tuple[int, int]]]) -> Batch:
        return to_batch([sample for sample, _ in items], [row for _, row in items], self.scaling)


def batches_in_order(
    sources: Sequence[ImageSource], settings: CropSettings, batch_size: int, num_workers: int = 0
) -> DataLoader[Batch]:
    """All rows in order, neither augmented nor occluded: for validation and evaluation.

    Raises:
        InputError: this machine has no use for so many workers.
    """
    require_workers(num_workers)
    return DataLoader(
        _AllRows(sources, settings),  # type: ignore[arg-type]  # the loader gives what the collation makes of samples
        batch_size=batch_size,
        num_workers=num_workers,
        collate_fn=_Collate(settings.scaling),
        multiprocessing_context="fork" if num_workers else None,
    )
