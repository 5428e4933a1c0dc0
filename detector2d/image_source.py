"""The rows of a pose store that have images, in memory and ready to be cropped."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt8

from evolift.posedata.errors import InputError
from evolift.posedata.image_file import is_incomplete, read_image
from evolift.posedata.joint_mapping import UNLABELLED, VISIBLE, mapping_between
from evolift.posedata.poses import Poses
from evolift.posedata.skeleton import Skeleton
from evolift.posedata.store import PoseStore

MIN_JOINTS = 3
"""Fewer labelled joints do not show where a person is."""


@dataclass(frozen=True, eq=False)
class ImageSource:
    """Labels of images, without the images.

    Args:
        name: of the store.
        paths: of the images.
        rows: of the store.
        joints_2d: pixels.
        visibility: 0, 1 or 2.
        joints_3d: root-relative millimetres in the camera frame; 0 in rows without 3D, NaN where a row with 3D lacks a joint.
        known_3d: which of them are known.
        boxes: (left, top, width, height), pixels.
        intrinsics: K of the cameras, pixels; NaN where they are not known.
        distortion: (k1, k2, p1, p2, k3) of their lenses.
    """

    name: str
    paths: tuple[Path, ...]
    rows: Int64[np.ndarray, "rows"]
    joints_2d: Float32[np.ndarray, "rows joints 2"]
    visibility: UInt8[np.ndarray, "rows joints"]
    joints_3d: Float32[np.ndarray, "rows joints 3"]
    known_3d: Bool[np.ndarray, "rows joints"]
    boxes: Float32[np.ndarray, "rows 4"]
    intrinsics: Float32[np.ndarray, "rows 3 3"]
    distortion: Float32[np.ndarray, "rows 5"]

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, indices: Int64[np.ndarray, "rows"]) -> ImageSource:
        """The source with only the rows of these indices, in their order."""
        arrays = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        taken = {name: value[indices] for name, value in arrays.items() if isinstance(value, np.ndarray)}
        return ImageSource(name=self.name, paths=tuple(self.paths[i] for i in indices), **taken)


def read_source(path: Path, skeleton: Skeleton, boxes: str = "joints") -> ImageSource:
    """The rows of a store that have an image and labelled 2D joints.

    3D joints of a store in world coordinates are brought into the frame of each row's camera; 2D joints are
    projected through it when the store has none.

    Args:
        path: of the store.
        skeleton: to convert its joints to.
        boxes: "joints" for the bounds of the labelled joints, which mean the same in every store, and rows with at least
            three of them; "store" for the store's own boxes, which may be outlines, padded or drawn by hand, and rows
            with any.

    Raises:
        StoreError: the store is damaged.
        InputError: it has no images or no boxes, or no mapping to the skeleton is declared.
    """
    with PoseStore(path) as store:
        if "image" not in store.columns:
            raise InputError(f"{path}: it has no images, which a detector is trained and scored on")
        mapping = mapping_between(store.skeleton, skeleton)
        poses = store.read()
        in_camera = joints_in_camera(poses, store)
        joints_2d, visibility = _pixels(path, poses, in_camera, store)
        intrinsics, distortion = _lenses(poses, store)
        folder = store.image_folder
    joints_2d, visibility = mapping.convert(joints_2d, visibility)
    joints_3d = np.zeros((*visibility.shape, 3), np.float32)
    known_3d = np.zeros(visibility.shape, bool)
    if in_camera is not None:
        given = np.isfinite(in_camera).all(-1).astype(np.uint8) * VISIBLE
        converted, labelled = mapping.convert(np.nan_to_num(in_camera), given)
        rooted = labelled[:, [skeleton.root]] > 0
        known_3d = (labelled > 0) & rooted
        rooted_joints = np.where(known_3d[..., None], converted - converted[:, [skeleton.root]], np.nan)
        joints_3d[:] = np.where(rooted[..., None], rooted_joints, 0)
    images = list(poses.image or [])
    min_joints = MIN_JOINTS if boxes == "joints" else 1
    labelled_joints = (visibility > UNLABELLED).sum(1)
    keep = np.flatnonzero(np.array([bool(image) for image in images]) & (labelled_joints >= min_joints))
    if not len(keep):
        raise InputError(
            f"{path}: none of its rows has both an image and labelled joints ({min_joints} or more)"
        )
    whole = ImageSource(
        name=path.stem,
        paths=tuple(folder / image for image in images),
        rows=np.arange(len(images)),
        joints_2d=joints_2d,
        visibility=visibility,
        joints_3d=joints_3d,
        known_3d=known_3d,
        boxes=_boxes(path, poses, joints_2d, visibility, boxes),
        intrinsics=intrinsics,
        distortion=distortion,
    )
    return whole.take(keep)


def joints_in_camera(poses: Poses, store: PoseStore) -> np.ndarray | None:
    """3D joints in each row's camera frame, mm; NaN in rows without a camera; None if the store has no 3D."""
    if poses.joints_3d is None or store.coordinate_frame == "camera":
        return poses.joints_3d
    joints = np.full_like(poses.joints_3d, np.nan)
    if poses.camera is not None:
        for number, camera in enumerate(store.cameras):
            rows = poses.camera == number
            joints[rows] = camera.to_camera(poses.joints_3d[rows])
    return joints


def _lenses(
    poses: Poses, store: PoseStore
) -> tuple[Float32[np.ndarray, "rows 3 3"], Float32[np.ndarray, "rows 5"]]:
    intrinsics = np.full((len(poses), 3, 3), np.nan, np.float32)
    distortion = np.zeros((len(poses), 5), np.float32)
    if poses.camera is not None:
        for number, camera in enumerate(store.cameras):
            intrinsics[poses.camera == number] = camera.K
            distortion[poses.camera == number] = camera.distortion
    return intrinsics, distortion


def _pixels(
    path: Path, poses: Poses, in_camera: np.ndarray | None, store: PoseStore
) -> tuple[np.ndarray, np.ndarray]:
    if poses.joints_2d is not None and poses.visibility is not None:
        return poses.joints_2d, poses.visibility
    if poses.joints_3d is None or poses.camera is None or in_camera is None:
        raise InputError(f"{path}: it has neither 2D joints nor cameras to project its 3D joints with")
    pixels = np.zeros((*in_camera.shape[:2], 2), np.float32)
    visibility = np.zeros(in_camera.shape[:2], np.uint8)
    for number, camera in enumerate(store.cameras):
        rows = poses.camera == number
        ahead = in_camera[rows][..., 2] > 0
        world = camera.to_world(in_camera[rows])
        pixels[rows] = np.where(ahead[..., None], camera.project(world), 0)
        visibility[rows] = np.where(ahead, 2, 0)
    return pixels, visibility


def _boxes(path: Path, poses: Poses, joints: np.ndarray, visibility: np.ndarray, boxes: str) -> np.ndarray:
    if boxes == "joints":
        return _bounds(joints, visibility)
    if boxes != "store":
        raise InputError(f"boxes are those of the joints or of the store, not {boxes!r}")
    if poses.box is None:
        raise InputError(f"{path}: it has no boxes: take those of the joints")
    return poses.box


def _bounds(joints: np.ndarray, visibility: np.ndarray) -> np.ndarray:
    """Bounds of the labelled joints, at least one pixel wide and high."""
    labelled = (visibility > UNLABELLED)[..., None]
    lower = np.where(labelled, joints, np.inf).min(1)
    upper = np.where(labelled, joints, -np.inf).max(1)
    size = np.maximum(upper - lower, 1)
    bounds = np.concatenate([(lower + upper - size) / 2, size], 1)
    return np.where(np.isfinite(bounds).all(1, keepdims=True), bounds, 0).astype(np.float32)


@dataclass(frozen=True)
class Skipped:
    """A row that cannot be trained on.

    Args:
        source: name of its store.
        row: in the store.
        reason: one sentence that names the file.
    """

    source: str
    row: int
    reason: str


def without_unreadable(source: ImageSource, threads: int = 4) -> tuple[ImageSource, list[Skipped]]:
    """Read every image once; leave out the rows whose images cannot be read.

    Raises:
        InputError: none can be read; the message says why for the first.
    """
    with ThreadPoolExecutor(threads) as pool:
        reasons = list(pool.map(_why_unreadable, source.paths))
    readable = np.flatnonzero([reason is None for reason in reasons])
    skipped = [
        Skipped(source.name, int(row), reason)
        for row, reason in zip(source.rows, reasons, strict=True)
        if reason is not None
    ]
    if not len(readable):
        raise InputError(f"{source.name}: none of its {len(source)} images can be read ({skipped[0].reason})")
    return (source if not skipped else source.take(readable)), skipped


def _why_unreadable(path: Path) -> str | None:
    try:
        if is_incomplete(path, read_image(path)):
            return f"{path} is incomplete, a part of its image is missing: copy it again"
    except InputError as error:
        return str(error)
    return None


def skipped_table(skipped: Sequence[Skipped]) -> str:
    """The skipped rows as the text of a CSV file with the columns store, row and reason."""
    lines = ["store,row,reason"]
    lines += [f'{entry.source},{entry.row},"{entry.reason.replace(chr(34), chr(39))}"' for entry in skipped]
    return "\n".join(lines) + "\n"
