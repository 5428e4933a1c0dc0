"""The chain: detector and lifter as one network, so that the 3D error teaches the detector too.

crop -> heatmaps -> soft-argmax -> pixels of the image -> normalisation -> lifter -> 3D, in one autograd graph.

Training crops may be rotated and mirrored, which is a rotation (and mirroring) of the camera about its optical axis. The
lifter must see the image that this other camera would take, so detected joints are taken back to pixels of the
image and then rotated with the crop, about the image's middle: exactly the 2D pose that belongs to the rotated 3D
pose of `evolift.detector2d.samples`. For crops that are neither rotated nor mirrored this changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from evolift.detector2d.crop import crop_to_image
from evolift.detector2d.flip_test import detect_crops
from evolift.detector2d.model import DEPTH_RANGE, DetectorModel, DetectorOutput
from evolift.detector2d.settings import DetectorSettings
from evolift.lifter.lifter import Lifter
from evolift.lifter.model import LifterModel
from evolift.lifter.settings import LifterSettings
from evolift.lifter.straight_view import Lens
from evolift.posedata.errors import InputError
from evolift.posedata.settings import Settings
from evolift.posedata.skeleton import Skeleton
from evolift.training.checkpoint import Checkpoint, CheckpointedModel


class ChainSettings(Settings, frozen=True, kw_only=True):
    """What rebuilds a chain; stored with its weights."""

    later: ClassVar[frozenset[str]] = frozenset({"flip_test"})

    detector: DetectorSettings
    lifter: LifterSettings
    flip_test: bool = False


class ChainOutput(NamedTuple):
    """What the chain says of a batch of crops.

    Args:
        joints_3d: root-relative mm in the camera frame, rotated and mirrored as the crop is; only z for a lifter
            of target `z`.
        joints_2d: pixels of the image.
        confidence: of the detector, in (0, 1].
        detection: all that the detector says.
        sigma: how sure the lifter is of each 3D joint, mm (see `evolift.lifter.joint_uncertainty`); None if it does not tell.
        is_in_sight: whether the camera can see all joints that were detected, without which joints_3d is NaN; None if nothing is turned.
    """

    joints_3d: Float[Tensor, "batch joints out"]
    joints_2d: Float[Tensor, "batch joints 2"]
    confidence: Float[Tensor, "batch joints"]
    detection: DetectorOutput
    sigma: Float[Tensor, "batch joints"] | None = None
    is_in_sight: Bool[Tensor, "batch"] | None = None


class ChainModel(CheckpointedModel):
    """A detector and a lifter chained.

    A lifter with three input axes is fed the depth of a volumetric detector; with two, that depth is dropped.

    Args:
        detector, lifter: the two stages, on the same skeleton.
        flip_test: but in training, the detector's heatmaps are averaged with those of the mirrored crops (`detect_crops`), which
            takes it twice the time.

    Raises:
        InputError: their skeletons differ, or the lifter wants depth that the detector does not give, or the camera.
    """

    stage = "chain"
    settings_class = ChainSettings
    settings: ChainSettings

    def __init__(self, detector: DetectorModel, lifter: Lifter, *, flip_test: bool = False) -> None:
        super().__init__()
        if detector.settings.skeleton != lifter.skeleton:
            raise InputError(
                f"the detector finds {detector.settings.skeleton.name} and the lifter takes {lifter.skeleton.name}: chain two of the same skeleton"
            )
        if lifter.settings.normalisation == "camera":
            raise InputError(
                "a lifter of `normalisation` camera needs each image's camera, which those who use a chain need not know: chain one of box or screen"
            )
        if lifter.settings.input_axes == 3 and detector.settings.dimensions == 2:
            raise InputError("the lifter takes depth as third input: chain it with a volumetric detector")
        self.settings = ChainSettings(detector=detector.settings, lifter=lifter.settings, flip_test=flip_test)
        self.detector = detector
        self.lifter = lifter

    @classmethod
    def from_settings(cls, settings: ChainSettings) -> ChainModel:
        """A new chain, with weights as they are initialised.

        Raises:
            InputError: as of the class.
        """
        return cls(
            DetectorModel(settings.detector), LifterModel(settings.lifter), flip_test=settings.flip_test
        )

    def to_checkpoint(self, record: Mapping[str, object] | None = None) -> Checkpoint:
        """This chain as it is now; `record` says how it was made.

        Raises:
            InputError: its lifter is folded or refined, and so not one that was trained.
        """
        self.parts()
        return super().to_checkpoint(record)

    def parts(self) -> tuple[DetectorModel, LifterModel]:
        """The two stages as they were trained, to be saved by themselves.

        Raises:
            InputError: the lifter is folded or refined.
        """
        if not isinstance(self.lifter, LifterModel):
            raise InputError("only the lifter as it was trained can be saved, not a folded or refined one")
        return self.detector, self.lifter

    @property
    def skeleton(self) -> Skeleton:
        """The skeleton of both detector and lifter."""
        return self.lifter.skeleton

    def forward(
        self,
        images: Float[Tensor, "batch 3 height width"],
        image_from_crop: Float[Tensor, "batch 2 3"],
        image_size: Tensor,
        lens: Lens | None = None,
        *,
        hard: bool = False,
    ) -> ChainOutput:
        """3D joints of each crop.

        Args:
            images: crops in the detector's input scaling.
            image_from_crop: crop pixels -> image pixels, a similarity that may mirror; of people without 3D joints in training also drawn out.
            image_size: (batch, 2) width and height of the images, pixels.
            lens: of the images' cameras, which turns the answer into their frames (see `evolift.lifter.settings.LifterSettings.is_turned`);
                None if they are not known.
            hard: largest heatmap cell instead of the expectation; not differentiable.
        """
        flip_test = self.settings.flip_test and not self.training
        detection = detect_crops(self.detector, images, hard=hard, flip_test=flip_test)
        pixels = crop_to_image(detection.joints, image_from_crop, self.detector.settings.size)
        size = image_size.to(pixels.dtype)
        seen = rotate_with_crop(pixels, image_from_crop, size)
        if self.lifter.settings.input_axes == 3:
            seen = torch.cat([seen, detection.joints[..., 2:] * DEPTH_RANGE], -1)
        lens = None if lens is None else rotate_lens_with_crop(lens, image_from_crop, size)
        lifted = self.lifter.lift_with_sigma(seen, None, size, lens)
        return ChainOutput(
            lifted.joints, pixels, detection.confidence, detection, lifted.sigma, lifted.is_in_sight
        )

    def lift_labels(
        self,
        joints: Float[Tensor, "batch joints 2"],
        visibility: UInt8[Tensor, "batch joints"],
        image_from_crop: Float[Tensor, "batch 2 3"],
        image_size: Tensor,
        depth: Float[Tensor, "batch joints 1"] | None = None,
        lens: Lens | None = None,
    ) -> Float[Tensor, "batch joints out"]:
        """What the lifter says of labelled 2D joints: the chain with a perfect detector.

        Args:
            joints: pixels of the images.
            visibility: 0 marks unlabelled joints.
            image_from_crop, image_size, lens: as in `forward`.
            depth: root-relative mm, for a lifter with three input axes.
        """
        size = image_size.to(joints.dtype)
        seen = rotate_with_crop(joints, image_from_crop, size)
        if self.lifter.settings.input_axes == 3:
            if depth is None:
                raise InputError("the lifter takes depth as third input")
            seen = torch.cat([seen, depth], -1)
        lens = None if lens is None else rotate_lens_with_crop(lens, image_from_crop, size)
        return self.lifter.lift(seen, visibility, size, lens)


def rotate_with_crop(
    pixels: Float[Tensor, "batch joints 2"],
    image_from_crop: Float[Tensor, "batch 2 3"],
    image_size: Float[Tensor, "batch 2"],
) -> Float[Tensor, "batch joints 2"]:
    """Pixels in the image of the camera that is rotated and mirrored about its optical axis as the crop is.

    The optical axis is taken to pass through the middle of the image. With M the linear part of
    `image_from_crop`, the rotation is M^T / sqrt|det M|: the inverse of M without its scale.
    """
    linear = image_from_crop[:, :, :2].to(pixels.dtype)
    determinant = linear[:, 0, 0] * linear[:, 1, 1] - linear[:, 0, 1] * linear[:, 1, 0]
    rotation = (linear / determinant.abs().sqrt()[:, None, None])[:, None]
    middle = (image_size[:, None] - 1) / 2
    away = pixels - middle
    # Written out, as in `crop_to_image`, so that autocast does not round pixels. Rows of M are columns of M^T.
    return rotation[..., 0, :] * away[..., :1] + rotation[..., 1, :] * away[..., 1:] + middle


def rotate_lens_with_crop(
    lens: Lens, image_from_crop: Float[Tensor, "batch 2 3"], image_size: Float[Tensor, "batch 2"]
) -> Lens:
    """The lens of the camera of `rotate_with_crop`; its two focal lengths are taken to be alike, and its skew to be none."""
    intrinsics = lens.intrinsics.clone()
    intrinsics[:, :2, 2] = rotate_with_crop(intrinsics[:, None, :2, 2], image_from_crop, image_size)[:, 0]
    if lens.distortion is None:
        return Lens(intrinsics)
    # What is tangential draws along the vector (p2, p1), which turns with the image.
    middle = (image_size[:, None] - 1) / 2
    along = lens.distortion[:, None, [3, 2]]
    turned = rotate_with_crop(middle + along, image_from_crop, image_size) - middle
    distortion = lens.distortion.clone()
    distortion[:, [3, 2]] = turned[:, 0]
    return Lens(intrinsics, distortion)


def lens_of(batch: Mapping[str, Tensor]) -> Lens:
    """The lens of a batch of `evolift.detector2d.samples`."""
    return Lens(batch["intrinsics"], batch["distortion"])
