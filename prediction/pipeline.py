"""From an image to a 3D pose with trained stages: what `evolift predict` runs, for use from Python.

pipeline = Pipeline.from_pretrained()
pose = pipeline.predict("photo.jpg")
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import torch
from jaxtyping import Float32, UInt8

from evolift.artifacts.shipped_files import PHOTO_POSE, shipped_weights
from evolift.chain.model import ChainModel, ChainOutput
from evolift.detector2d.crop import crop_from_image, invert_affine, warp_crop
from evolift.detector2d.folded_detector import folded
from evolift.detector2d.model import DEPTH_RANGE, DetectorModel
from evolift.lifter.lifter import Lifter
from evolift.lifter.model import LifterModel
from evolift.lifter.refiner import Refined, RefinerModel
from evolift.posedata.camera import Camera
from evolift.posedata.errors import InputError
from evolift.posedata.image_file import read_image
from evolift.posedata.joint_mapping import VISIBLE
from evolift.posedata.poses import NO_CAMERA
from evolift.posedata.predictions.predictions import Predictions
from evolift.posedata.settings import shown
from evolift.posedata.skeleton import Skeleton
from evolift.prediction.cameras.camera_lifting import PlacedPose, lift_in_camera
from evolift.prediction.keypoint_lifting import require_pose_lifter
from evolift.prediction.persons.person_search import box_of_joints, find_person
from evolift.training.device import on_device

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class OutOfSightError(InputError):
    """The joints that were found of a person span more than their camera can see."""


@dataclass(frozen=True, eq=False)
class PosePrediction:
    """One person in one image.

    Args:
        joints_3d: mm relative to the root joint, in the camera's frame: x right, y down, z away from the camera. If no
            camera is given and the lifter is one of normalisation `box`, that of a camera that looks straight at the
            person (see `evolift.prediction.cameras.camera_lifting`).
        root_3d: the root joint in the camera's frame, mm; NaN if no camera is given.
        camera: that was given.
        joints_2d: pixels of the image.
        confidence: of each 2D joint, 0 to 1.
        box: (left, top, width, height) that the person was looked for in, pixels.
        box_source: "given", or "found" by a search (`evolift.prediction.persons.person_search`).
        image_size: (width, height), pixels.
        skeleton: of the joints.
    """

    joints_3d: Float32[np.ndarray, "joints 3"]
    root_3d: Float32[np.ndarray, "3"]
    joints_2d: Float32[np.ndarray, "joints 2"]
    confidence: Float32[np.ndarray, "joints"]
    box: tuple[float, float, float, float]
    box_source: str
    image_size: tuple[int, int]
    skeleton: Skeleton
    camera: Camera | None = None

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Bounds of the 2D joints (left, top, width, height), pixels."""
        return box_of_joints(self.joints_2d)

    def plot(self, image: UInt8[np.ndarray, "height width 3"] | None = None) -> Figure:
        """A matplotlib figure of the 3D pose; with the image (RGB) given, beside the 2D joints on it.

        Raises:
            InputError: the image is not the one that was predicted.
        """
        # Here, because matplotlib is slow to load and only plots need it.
        from evolift.drawing.figures import (  # noqa: PLC0415
            draw_box,
            draw_joints,
            new_figure,
            plot_pose,
        )

        if image is None:
            figure = new_figure(4, 4)
            plot_pose(figure.add_subplot(projection="3d"), self.joints_3d, self.skeleton)
            return figure
        if (image.shape[1], image.shape[0]) != self.image_size:
            raise InputError(
                f"the pose is of an image of {self.image_size[0]} x {self.image_size[1]} pixels, this one has {image.shape[1]} x {image.shape[0]}: give the image that was predicted"
            )
        figure = new_figure(8, 4)
        axes = figure.add_subplot(1, 2, 1)
        drawn = draw_joints(image, self.joints_2d, self.skeleton, confidence=self.confidence)
        axes.imshow(draw_box(drawn, np.array(self.box)))
        axes.set_axis_off()
        plot_pose(figure.add_subplot(1, 2, 2, projection="3d"), self.joints_3d, self.skeleton)
        return figure


class Pipeline:
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
        self.lifter: Lifter = lifter.folded()
        self.model = ChainModel(folded(whole.detector), self.lifter).eval()
        self.device = device

    @classmethod
    def from_pretrained(
        cls,
        path_or_name: str | Path = PHOTO_POSE,
        *,
        device: str = "cpu",
        refiner: RefinerModel | None = None,
    ) -> Pipeline:
        """A pipeline of a chain checkpoint: a file, or one that comes with the package (`evolift.artifacts.shipped_files`).

        Raises:
            InputError: there is no such file and none of that name comes with the package.
            CheckpointError: the file is no sound checkpoint of a chain.
        """
        path = Path(path_or_name)
        chain = ChainModel.load(path if path.is_file() else shipped_weights(str(path_or_name)))
        return cls(chain, device=device, refiner=refiner)

    @classmethod
    def from_checkpoints(
        cls,
        *,
        chain: Path | None = None,
        detector: Path | None = None,
        lifter: Path | None = None,
        device: str = "cpu",
        refiner: RefinerModel | None = None,
    ) -> Pipeline:
        """A pipeline of a chain checkpoint, or of a detector's and a lifter's.

        Raises:
            InputError: neither is given whole.
            CheckpointError: a file is no sound checkpoint of its stage, or the stages do not fit.
        """
        if chain is not None and detector is None and lifter is None:
            return cls(ChainModel.load(chain), device=device, refiner=refiner)
        if chain is None and detector is not None and lifter is not None:
            both = ChainModel(DetectorModel.load(detector), LifterModel.load(lifter))
            return cls(both, device=device, refiner=refiner)
        raise InputError("give a chain checkpoint, or one of a detector and one of a lifter")

    @overload
    def predict(
        self,
        image: UInt8[np.ndarray, "height width 3"] | str | Path,
        box: Sequence[float] | None = None,
        camera: Camera | None = None,
    ) -> PosePrediction: ...

    @overload
    def predict(
        self,
        image: Sequence[UInt8[np.ndarray, "height width 3"]] | Sequence[Path],
        box: Sequence[Sequence[float] | None] | None = None,
        camera: Camera | None = None,
    ) -> list[PosePrediction]: ...

    def predict(self, image: Any, box: Any = None, camera: Camera | None = None) -> Any:
        """The pose of the person in a box; of one image, or of each in a list.

        Args:
            image: RGB, or the path of an image file, or a list of them.
            box: (left, top, width, height) of the person, pixels; of each image if there is a list. Without one the
                person is searched for in the whole image, in windows of it, and in the boxes of the joints found there.
            camera: intrinsics of the camera that took it; then the answer is in its frame, with the place of the person.

        Returns:
            A pose, or a list of one pose for each image.

        Raises:
            InputError: an image cannot be read or is not RGB in bytes, the box has no area in it, there are not as many boxes as images, or
                the camera is for images of another size.
            OutOfSightError: the joints that were found span more than the camera can see.
        """
        if isinstance(image, str | Path):
            image = read_image(Path(image))
        if isinstance(image, list | tuple):
            boxes = [None] * len(image) if box is None else box
            if len(boxes) != len(image):
                raise InputError(f"there are {len(image)} images but {len(boxes)} boxes: give one for each")
            return [self.predict(one, its, camera) for one, its in zip(image, boxes, strict=True)]
        if not isinstance(image, np.ndarray):
            raise InputError(
                f"an image must be an array, RGB in bytes, or the path of a file, not a {type(image).__name__}: np.asarray(image.convert('RGB')) makes one of a Pillow image"
            )
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
            raise InputError(
                f"an image must be RGB in bytes, (height, width, 3) of uint8, not {image.shape} of {image.dtype}"
            )
        source = "given"
        if box is not None:
            box = _checked_box(box)
        if box is None:
            box, source = find_person(self.model.detector, image), "found"
        elif not _is_in_sight(box, image.shape[1], image.shape[0]):
            raise InputError(
                f"the box {' '.join(f'{float(value):g}' for value in box)} (left, top, width, height) has no area in the image of {image.shape[1]} x {image.shape[0]} pixels: give the person's"
            )
        if camera is not None and (camera.width, camera.height) != (image.shape[1], image.shape[0]):
            raise InputError(
                f"the camera is for images of {camera.width} x {camera.height} pixels, this one has {image.shape[1]} x {image.shape[0]}: scale its intrinsics"
            )
        return self._predict(image, box, source, camera)

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
        placed = PlacedPose(found.joints_3d, torch.full((1, 3), torch.nan))
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


def predictions_of(
    poses: Sequence[PosePrediction],
    *,
    image: str,
    frames: Sequence[int] = (0,),
    people: Sequence[str] = ("person 1",),
    camera_assumption: str = "",
    provenance: Mapping[str, Any] | None = None,
    times: Sequence[float] | None = None,
) -> Predictions:
    """Poses of one image or video as a table that can be written.

    Args:
        poses: at least one, all with the same camera or none.
        image: name of the image or video.
        frames, people: of each pose.
        camera_assumption: one sentence on the camera.
        provenance: command, versions, checkpoints.
        times: of each pose, seconds; NaN or None where they are not known.
    """
    rows, camera = len(poses), poses[0].camera
    return Predictions(
        skeleton=poses[0].skeleton,
        joints_2d=np.stack([pose.joints_2d for pose in poses]),
        joints_3d=np.stack([pose.joints_3d for pose in poses]),
        confidence=np.stack([pose.confidence for pose in poses]),
        image=(image,) * rows,
        frame=np.array(frames, np.int64),
        person=tuple(people),
        root_3d=np.stack([pose.root_3d for pose in poses]),
        box=np.array([pose.box for pose in poses], np.float32),
        camera=np.full(rows, NO_CAMERA if camera is None else 0, np.int32),
        cameras=() if camera is None else (camera,),
        camera_assumption=camera_assumption,
        provenance=provenance or {},
        time=np.full(rows, np.nan) if times is None else np.array(times, np.float64),
    )
