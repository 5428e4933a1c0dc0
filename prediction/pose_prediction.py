"""The pose of one person in one image, and tables of such poses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Float32

from evolift.posedata.any_image import SomeImage, rgb_image
from evolift.posedata.camera import Camera
from evolift.posedata.errors import InputError
from evolift.posedata.input_file import FilePath
from evolift.posedata.poses import NO_CAMERA
from evolift.posedata.skeleton import Skeleton
from evolift.prediction.persons.box_geometry import box_of_joints
from evolift.prediction.prediction_table import PredictionTable

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class OutOfSightError(InputError):
    """The joints that were found of a person span more than their camera can see."""


class NobodyError(InputError):
    """A detector finds nobody, or too few joints of somebody to lift them."""


@dataclass(frozen=True, eq=False)
class PosePrediction:
    """One person in one image.

    Args:
        joints_3d: mm relative to the root joint, in the camera's frame: x right, y down, z away from the camera. If no
            camera is given and the lifter's answer is turned, that of a camera that looks straight at the
            person (see `evolift.lifter.straight_view`).
        root_3d: the root joint in the camera's frame, mm; NaN if no camera is given.
        camera: that was given.
        sigma_mm: standard deviation of each of joints_3d along each axis, the root's 0; None if the lifter does not tell how sure it
            is (`evolift lifter train --loss nll` makes one that does).
        joints_2d: pixels of the image; NaN for a joint that somebody else's detector does not find.
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
    sigma_mm: Float32[np.ndarray, "joints"] | None = None

    def __repr__(self) -> str:
        left, top, width, height = (f"{side:.0f}" for side in self.box)
        place = "camera unknown"
        if self.camera is not None:
            place = f"that is at ({', '.join(f'{axis:.0f}' for axis in self.root_3d)}) of the camera"
        return (
            f"<PosePrediction: {self.skeleton.name}, mean confidence {self.confidence.mean():.2f}\n"
            f"  joints_3d {self.joints_3d.shape}, mm from the {self._root_name}; {place}\n"
            f"  joints_2d {self.joints_2d.shape}, pixels of {self.image_size[0]} x {self.image_size[1]}\n"
            f"  box {self.box_source}: left {left}, top {top}, {width} x {height}>"
        )

    @property
    def _root_name(self) -> str:
        return self.skeleton.joints[self.skeleton.root].replace("_", " ")

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Bounds of the 2D joints (left, top, width, height), pixels."""
        return box_of_joints(self.joints_2d[np.isfinite(self.joints_2d).all(-1)])

    @property
    def sigma_px(self) -> Float[np.ndarray, "joints"] | None:
        """How large `sigma_mm` is in the image, pixels; None without one."""
        # Here, because drawing is slow to load and only images need it.
        from evolift.drawing.overlay import sigma_in_pixels  # noqa: PLC0415

        return sigma_in_pixels(self.joints_2d, self.joints_3d, self.sigma_mm)

    def table(self, image: str = "") -> PredictionTable:
        """This pose as a table of one row, which can be written; `image` is the name of its image."""
        return predictions_of([self], image=image)

    def to_dict(self, image: str = "") -> dict[str, Any]:
        """Plain values for JSON, those of a `.json` file of predictions."""
        return self.table(image).to_dict()

    def save(self, path: FilePath, *, image: str = "", overwrite: bool = False) -> None:
        """Write a file of predictions: .json, .jsonl, .csv, .npz, or .h5, a pose store.

        Raises:
            OutputError: the ending names no format, the file exists, or it cannot be written.
        """
        self.table(image).save(path, overwrite=overwrite)

    def plot(self, image: SomeImage | None = None) -> Figure:
        """A matplotlib figure of the 3D pose; with the image given, beside the 2D joints on it.

        Args:
            image: the one that was predicted: path of a file, Pillow image or array (`evolift.posedata.any_image`).

        Raises:
            InputError: it cannot be read, or is not the one that was predicted.
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
        image = rgb_image(image)
        if (image.shape[1], image.shape[0]) != self.image_size:
            raise InputError(
                f"the pose is of an image of {self.image_size[0]} x {self.image_size[1]} pixels, this one has {image.shape[1]} x {image.shape[0]}: give the image that was predicted"
            )
        figure = new_figure(8, 4)
        axes = figure.add_subplot(1, 2, 1)
        drawn = draw_joints(
            image, self.joints_2d, self.skeleton, confidence=self.confidence, sigma_px=self.sigma_px
        )
        axes.imshow(draw_box(drawn, np.array(self.box)))
        axes.set_axis_off()
        plot_pose(figure.add_subplot(1, 2, 2, projection="3d"), self.joints_3d, self.skeleton)
        return figure


def predictions_of(
    poses: Sequence[PosePrediction],
    *,
    image: str,
    frames: Sequence[int] = (0,),
    people: Sequence[str] = ("person 1",),
    camera_assumption: str = "",
    provenance: Mapping[str, Any] | None = None,
    times: Sequence[float] | None = None,
) -> PredictionTable:
    """Poses of one image or video as a table that can be written.

    Args:
        poses: at least one, all of the same lifter, with the same camera or none.
        image: name of the image or video.
        frames, people: of each pose.
        camera_assumption: one sentence on the camera.
        provenance: command, versions, checkpoints.
        times: of each pose, seconds; NaN or None where they are not known.
    """
    rows, camera = len(poses), poses[0].camera
    sigmas = [pose.sigma_mm for pose in poses if pose.sigma_mm is not None]
    return PredictionTable(
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
        sigma_mm=np.stack(sigmas) if sigmas else None,
    )
