"""From an image to a 3D pose with trained stages: what `evolift predict` runs, for use from Python.

pipeline = Pipeline.from_pretrained()
pose = pipeline.predict("photo.jpg")
"""

from __future__ import annotations

import abc
import logging
from collections.abc import Iterator, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import numpy as np
import torch
from jaxtyping import UInt8
from torch import nn

from evolift.artifacts.shipped_files import PHOTO_POSE, weights_file
from evolift.chain.model import ChainModel, ChainOutput
from evolift.detector2d.crop import crop_from_image, invert_affine, warp_crop
from evolift.detector2d.folded_detector import folded
from evolift.detector2d.model import DEPTH_RANGE, DetectorModel
from evolift.detector2d.onnx_heatmaps import use_onnxruntime
from evolift.lifter.lifter import Lifter
from evolift.lifter.model import LifterModel
from evolift.lifter.refiner import Refined, RefinerModel
from evolift.posedata.any_image import SomeImage, rgb_image
from evolift.posedata.camera import Camera
from evolift.posedata.errors import InputError
from evolift.posedata.image_settings import ImageSettings
from evolift.posedata.input_file import FilePath, as_path
from evolift.posedata.joint_mapping import VISIBLE
from evolift.posedata.settings import shown
from evolift.posedata.video_file import VideoReader
from evolift.prediction.cameras.camera_choice import RIG_LIFTER
from evolift.prediction.cameras.camera_lifting import PlacedPose, lift_in_camera
from evolift.prediction.everybody import Everybody, everybody_in_boxes
from evolift.prediction.frame_choice import FrameChoice
from evolift.prediction.keypoint_lifting import require_pose_lifter
from evolift.prediction.persons.person_search import find_people, find_person
from evolift.prediction.pose_prediction import OutOfSightError, PosePrediction
from evolift.prediction.tracking.person_following import PersonFollower
from evolift.training.checkpoint import CheckpointedModel
from evolift.training.device import on_device

if TYPE_CHECKING:
    from evolift.prediction.persons.people_finder import PeopleFinder

_log = logging.getLogger(__name__)


class VideoPose(NamedTuple):
    """The person in one frame of a video.

    Args:
        frame: its number in the video, from 0.
        time: seconds since the first frame; NaN if the video does not tell.
        pose: None if nobody was found.
        image: the frame, RGB.
    """

    frame: int
    time: float
    pose: PosePrediction | None
    image: UInt8[np.ndarray, "height width 3"]


class ImagePipeline(abc.ABC):
    """Whatever finds people in images and lifts them: a `Pipeline`, or a `LiftingPipeline` with somebody else's detector.

    Attributes:
        lifter: in evaluation mode.
        is_warned: it was said that the lifter is not for unknown cameras; it is said once.
        min_joint_confidence: 2D joints of a lower one are lifted from the others.
    """

    lifter: Lifter
    min_joint_confidence: float = 0.0
    is_warned: bool = False

    @overload
    def predict(
        self,
        image: SomeImage,
        box: Sequence[float] | None = None,
        camera: Camera | None = None,
    ) -> PosePrediction: ...

    @overload
    def predict(
        self,
        image: list[Any] | tuple[SomeImage, ...],
        box: Sequence[Sequence[float] | None] | None = None,
        camera: Camera | None = None,
    ) -> list[PosePrediction]: ...

    def predict(self, image: Any, box: Any = None, camera: Camera | None = None) -> Any:
        """The pose of the person in a box; of one image, or of each in a list.

        Args:
            image: array, Pillow image, or the path of an image file (`evolift.posedata.any_image` says which), or a list of them.
            box: (left, top, width, height) of the person, pixels; of each image if there is a list. Without one the
                person is searched for, see `evolift.prediction.persons.person_search`.
            camera: intrinsics of the camera that took it; then the answer is in its frame, with the place of the person.

        Returns:
            A pose, or a list of one pose for each image.

        Raises:
            InputError: an image cannot be read, or is none; the box has no area in it, there are not as many boxes as images, or
                the camera is for images of another size.
            OutOfSightError: the joints that were found span more than the camera can see.
            NobodyError: somebody else's detector finds nobody, or too few joints; ours always finds somebody, of low confidence.
        """
        if isinstance(image, list | tuple):
            boxes = [None] * len(image) if box is None else box
            if len(boxes) != len(image):
                raise InputError(f"there are {len(image)} images but {len(boxes)} boxes: give one for each")
            return [self.predict(one, its, camera) for one, its in zip(image, boxes, strict=True)]
        image = rgb_image(image)
        if box is not None:
            box = _checked_box(box)
        if box is not None and not _is_in_sight(box, image.shape[1], image.shape[0]):
            raise InputError(
                f"the box {' '.join(f'{float(value):g}' for value in box)} (left, top, width, height) has no area in the image of {image.shape[1]} x {image.shape[0]} pixels: give the person's"
            )
        self._check_camera(camera, image)
        return self._find(image, camera) if box is None else self._predict(image, box, "given", camera)

    @abc.abstractmethod
    def predict_people(
        self, image: SomeImage, camera: Camera | None = None, *, max_people: int | None = None
    ) -> list[PosePrediction]:
        """Poses of everybody in an image, at least one, the largest person first.

        Args:
            image, camera: as in `predict`.
            max_people: those of the highest confidence; None for all.

        Raises:
            InputError: as of `predict`.
            OutOfSightError: nobody's joints can be seen by the camera.
            NobodyError: somebody else's detector finds nobody, or too few joints.
        """

    @abc.abstractmethod
    def search_note(self, max_people: int | None = None) -> str:
        """A sentence on how people are found without boxes."""

    def predict_video(
        self,
        video: FilePath,
        box: Sequence[float] | None = None,
        camera: Camera | None = None,
        *,
        frames: FrameChoice = FrameChoice(),
    ) -> Iterator[VideoPose]:
        """Follow one person through a video, frame by frame as it is asked for.

        Args:
            video: path of a file.
            box: (left, top, width, height) of the person in the first frame, pixels; without one they are searched for.
            camera: that took it; then poses are in its frame.
            frames: which frames.

        Yields:
            Each of these frames with its pose.

        Raises:
            InputError: it cannot be read.
        """
        with VideoReader(as_path(video, "video"), ImageSettings()) as opened:
            rate = opened.frames_per_second / frames.stride
            follow = PersonFollower(self, camera, box, max_people=1, frames_per_second=rate)
            for number, image in frames.of(zip(count(), opened)):
                found = follow(image)
                yield VideoPose(number, opened.time, found[0][0] if found else None, image)

    def everybody(
        self, finder: PeopleFinder | None = None, box: Sequence[float] | None = None
    ) -> Everybody | None:
        """What predicts everybody in an image; None where one person is predicted.

        Args:
            finder: of their boxes; None if none was asked for.
            box: of the one person who was asked for.
        """
        return None if finder is None else everybody_in_boxes(self.predict, finder)

    def _check_camera(self, camera: Camera | None, image: UInt8[np.ndarray, "height width 3"]) -> None:
        """Refuse a camera of other images; without one it is said once if the lifter is not for unknown cameras."""
        if camera is not None and (camera.width, camera.height) != (image.shape[1], image.shape[0]):
            raise InputError(
                f"the camera is for images of {camera.width} x {camera.height} pixels, this one has {image.shape[1]} x {image.shape[0]}: scale its intrinsics"
            )
        if camera is None and self.lifter.settings.normalisation == "screen" and not self.is_warned:
            self.is_warned = True
            _log.warning("%s", RIG_LIFTER)

    @abc.abstractmethod
    def _find(self, image: UInt8[np.ndarray, "height width 3"], camera: Camera | None) -> PosePrediction:
        """The pose of one person who is searched for in the whole image."""

    @abc.abstractmethod
    def _predict(
        self,
        image: UInt8[np.ndarray, "height width 3"],
        box: Sequence[float],
        source: str,
        camera: Camera | None,
    ) -> PosePrediction:
        """The pose of the person in a box, which was given or found as `source` says."""


class Pipeline(ImagePipeline):
    """A trained chain ready to be shown images.

    Args:
        model: the chain; put into evaluation mode. Of its stages faster copies are used (`evolift.detector2d.folded_detector`, `Lifter.folded`).
        device: "cpu", "cuda", ...
        refiner: mends the poses of the chain's lifter, see `evolift.lifter.refiner`.

    Raises:
        InputError: the lifter gives depth alone, which is no 3D pose without a calibrated camera; or there is no such
            device.
    """

    def __init__(
        self, model: ChainModel, *, device: str = "cpu", refiner: RefinerModel | None = None
    ) -> None:
        require_pose_lifter(model.lifter)
        whole = on_device(model, device).eval()
        lifter = whole.lifter if refiner is None else Refined(whole.lifter, on_device(refiner, device).eval())
        self.lifter = lifter.folded()
        self._names = (
            _name(model),
            _name(model.detector),
            _name(model.lifter),
            "" if refiner is None else ", refined",
        )
        fast = use_onnxruntime(folded(whole.detector))
        self.model = ChainModel(fast, self.lifter, flip_test=whole.settings.flip_test).eval()
        self.device = str(next(self.model.parameters()).device)

    def __repr__(self) -> str:
        detector, lifter = self.model.detector.settings, self.lifter.settings
        chain, detector_file, lifter_file, refined = self._names
        return (
            f"<Pipeline{chain}: detector{detector_file} {detector.backbone} {detector.input_width} x {detector.input_height}, "
            f"lifter{lifter_file} {lifter.architecture} ({lifter.normalisation}){refined}, "
            f"{len(self.model.skeleton)} joints of {self.model.skeleton.name}, {self.device}>"
        )

    @classmethod
    def from_pretrained(
        cls,
        path_or_name: FilePath = PHOTO_POSE,
        *,
        device: str = "cpu",
        refiner: RefinerModel | None = None,
    ) -> Pipeline:
        """A pipeline of a chain checkpoint: a file, or one that comes with the package (`evolift.artifacts.shipped_files`).

        Raises:
            InputError: there is no such file and none of that name comes with the package.
            CheckpointError: the file is no sound checkpoint of a chain.
        """
        return cls(ChainModel.load(weights_file(path_or_name)), device=device, refiner=refiner)

    @classmethod
    def from_checkpoints(
        cls,
        *,
        chain: FilePath | None = None,
        detector: FilePath | None = None,
        lifter: FilePath | None = None,
        device: str = "cpu",
        refiner: RefinerModel | None = None,
    ) -> Pipeline:
        """A pipeline of a chain checkpoint, or of a detector's and a lifter's.

        Raises:
            InputError: neither is given whole.
            CheckpointError: a file is no sound checkpoint of its stage, or the stages do not fit.
        """
        if chain is not None and detector is None and lifter is None:
            return cls(ChainModel.load(weights_file(chain)), device=device, refiner=refiner)
        if chain is None and detector is not None and lifter is not None:
            both = ChainModel(
                DetectorModel.load(weights_file(detector)), LifterModel.load(weights_file(lifter))
            )
            return cls(both, device=device, refiner=refiner)
        raise InputError("give a chain checkpoint, or one of a detector and one of a lifter")

    def predict_people(
        self, image: SomeImage, camera: Camera | None = None, *, max_people: int | None = None
    ) -> list[PosePrediction]:
        """As for all pipelines; people are searched for with the pose detector (`evolift.prediction.persons.person_search`)."""
        image = rgb_image(image)
        self._check_camera(camera, image)
        poses, blind = [], None
        for person in find_people(self.model.detector, image, max_people=max_people):
            try:
                poses.append(self._predict(image, person.box, "found", camera))
            except OutOfSightError as error:
                blind = error
        if blind is not None and not poses:
            raise blind
        return poses

    def search_note(self, max_people: int | None = None) -> str:
        """As for all pipelines."""
        who = "everybody was" if max_people is None else f"at most {max_people} people were"
        who = "one person was" if max_people == 1 else who
        return f"No person box was given: {who} searched for with the pose detector, in the whole image and in windows of it, and again in the boxes of the joints found there."

    def _find(self, image: UInt8[np.ndarray, "height width 3"], camera: Camera | None) -> PosePrediction:
        return self._predict(image, find_person(self.model.detector, image), "found", camera)

    @torch.no_grad()
    def _predict(
        self,
        image: UInt8[np.ndarray, "height width 3"],
        box: Sequence[float],
        source: str,
        camera: Camera | None,
    ) -> PosePrediction:
        left, top, width, height = (float(value) for value in box)
        size = self.model.detector.settings.size
        affine = crop_from_image(
            (left, top, width, height), size, padding=self.model.detector.settings.padding
        )
        crop = torch.from_numpy(warp_crop(image, affine, size))[None].to(self.device)
        back = torch.from_numpy(invert_affine(affine))[None].float().to(self.device)
        extent = torch.tensor([[image.shape[1], image.shape[0]]], device=self.device)
        found = self.model(self.model.detector.scale_images(crop), back, extent)
        placed = PlacedPose(found.joints_3d, torch.full((1, 3), torch.nan), found.sigma)
        if camera is not None:
            placed = self._placed(found, camera, extent)
        return PosePrediction(
            joints_3d=placed.joints_3d[0].float().cpu().numpy(),
            root_3d=placed.root_3d[0].float().cpu().numpy(),
            joints_2d=found.joints_2d[0].float().cpu().numpy(),
            confidence=found.confidence[0].float().cpu().numpy(),
            box=(left, top, width, height),
            box_source=source,
            image_size=(image.shape[1], image.shape[0]),
            skeleton=self.model.skeleton,
            camera=camera,
            sigma_mm=None if placed.sigma is None else placed.sigma[0].float().cpu().numpy(),
        )

    def _placed(self, found: ChainOutput, camera: Camera, extent: torch.Tensor) -> PlacedPose:
        pixels = found.joints_2d
        if self.lifter.settings.input_axes == 3:
            pixels = torch.cat([pixels, found.detection.joints[..., 2:] * DEPTH_RANGE], -1)
        everywhere = torch.full(pixels.shape[:2], VISIBLE, dtype=torch.uint8, device=self.device)
        K, distortion = (
            torch.from_numpy(value)[None].to(self.device) for value in (camera.K, camera.distortion)
        )
        placed = lift_in_camera(self.lifter, pixels, everywhere, K, distortion, extent.float())
        if not placed.joints_3d.isfinite().all():
            raise OutOfSightError(
                "the joints that were found span more than this camera can see: give other intrinsics"
            )
        return placed


def _checked_box(box: Any) -> tuple[float, ...]:
    try:
        values = tuple(float(value) for value in box)
    except (TypeError, ValueError, OverflowError):
        values = ()
    if len(values) != 4 or not np.isfinite(values).all():
        raise InputError(f"`box` must be four numbers (left, top, width, height), not {shown(box)}")
    return values


def _is_in_sight(box: Sequence[float], width: int, height: int) -> bool:
    """Whether a box has an area, and some of it is in an image of that size."""
    left, top, right, bottom = box[0], box[1], box[0] + box[2], box[1] + box[3]
    return box[2] > 0 and box[3] > 0 and left < width and top < height and right > 0 and bottom > 0


def _name(model: nn.Module) -> str:
    """The file that a stage was loaded from, in quotes, to go behind a word; "" if it was not."""
    origin = model.origin if isinstance(model, CheckpointedModel) else None
    return "" if origin is None else f" {origin.stem!r}"
