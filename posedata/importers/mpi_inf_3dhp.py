"""Importer for the training set of MPI-INF-3DHP (Mehta et al., 3DV 2017), and facts that it shares with that of the test set.

`S1/Seq1/annot.mat` has cells annot2 and annot3 with one entry for each of 14 cameras: (frames, 56) pixels and (frames, 84)
millimetres in the camera's frame, of 28 joints. `camera.calibration` beside it has the cameras, and
`imageSequence/video_0.avi` and so on the images.

Frames and frames per second are those of the data set's own util/mpii_get_sequence_info.m; the eight cameras taken when
none are named are its set "vnect", whose videos its script downloads. imageSequence/video_2.avi of S6/Seq2 is too short
(found by margipose).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float64

from evolift.posedata.camera import Camera
from evolift.posedata.errors import InputError
from evolift.posedata.importers.frame_rate import kept_frames
from evolift.posedata.importers.image_folder import new_image_folder
from evolift.posedata.importers.joint_boxes import joint_boxes
from evolift.posedata.importers.skeletool_calibration import read_skeletool_cameras
from evolift.posedata.importers.video_frames import write_video_frames
from evolift.posedata.joint_mapping import UNLABELLED, VISIBLE
from evolift.posedata.mat_file import read_mat
from evolift.posedata.output_file import check_output, sha256_of
from evolift.posedata.plausibility import imported
from evolift.posedata.poses import Poses, repeated_label
from evolift.posedata.progress import Progress, no_progress
from evolift.posedata.skeleton import H36M17
from evolift.posedata.store import PoseStoreWriter, Provenance

H36M17_OF_28 = (4, 23, 24, 25, 18, 19, 20, 3, 5, 6, 7, 9, 10, 11, 14, 15, 16)
"""Joints of H36M17 among the 28. `neck` there lies between the shoulders (thorax here), `head_top` is the head, and `head`, which
stands in the place of the nose here, is not it: `UNLABELLED_JOINTS`."""
UNLABELLED_JOINTS = ("nose",)
"""Joints of H36M17 that neither the 28 nor the test set's 17 have."""
USUAL_CAMERAS = ("0", "1", "2", "4", "5", "6", "7", "8")
SEQUENCES: dict[tuple[str, str], tuple[int, float]] = {
    ("S1", "Seq1"): (6416, 25), ("S1", "Seq2"): (12430, 50), ("S2", "Seq1"): (6502, 25), ("S2", "Seq2"): (6081, 25),
    ("S3", "Seq1"): (12488, 50), ("S3", "Seq2"): (12283, 50), ("S4", "Seq1"): (6171, 25), ("S4", "Seq2"): (6675, 25),
    ("S5", "Seq1"): (12820, 50), ("S5", "Seq2"): (12312, 50), ("S6", "Seq1"): (6188, 25), ("S6", "Seq2"): (6145, 25),
    ("S7", "Seq1"): (6239, 25), ("S7", "Seq2"): (6320, 25), ("S8", "Seq1"): (6468, 25), ("S8", "Seq2"): (6054, 25),
}  # fmt: skip
"""(subject, sequence) -> (frames, frames per second)."""
SHORT_VIDEOS = {("S6", "Seq2", "2")}
MAX_PIXELS = 2.0
"""Median distance of the 2D joints from the 3D ones seen through their camera, above which they do not belong together."""
_CAMERAS, _JOINTS = 14, 28


@dataclass(frozen=True)
class Mpi3dhpSummary:
    """What an importer of MPI-INF-3DHP did.

    Args:
        sequences, poses: written.
        left_out: views that were not, and why.
        unmarked: frames of the test set that it does not mark as valid.
        images: folder that the store's image paths are relative to, if it has images.
    """

    sequences: int
    poses: int
    left_out: dict[str, str]
    unmarked: int = 0
    images: Path | None = None


def import_mpi_inf_3dhp(
    source: Path,
    target: Path,
    *,
    cameras: Sequence[str] = USUAL_CAMERAS,
    videos: bool = False,
    fps: float | None = None,
    subjects: Sequence[str] | None = None,
    implausible: bool = False,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> Mpi3dhpSummary:
    """Write a pose store (H36M17, 3D in the world, 2D, boxes) of the training set.

    Args:
        source: folder with S1/Seq1/annot.mat and so on.
        target: the store to write.
        cameras: names of those to take, "0" to "13".
        videos: extract the kept frames of the videos into the folder `<target stem>_images` beside the store.
        fps: frames per second to keep of the 25 or 50; None keeps all.
        subjects: only these, for example ["S1"]; None takes all.
        implausible: accept poses that do not look like people's in millimetres with z up, rows of no sense among them; these
            rows are left out otherwise (`evolift.posedata.plausibility`).
        overwrite: replace an existing store and its folder of images.
        progress: counts views.

    Raises:
        InputError: a file is missing or damaged, or 2D and 3D do not belong together.
        OutputError: the target exists or cannot be written.
    """
    check_output(target, overwrite=overwrite, inputs=[source])
    found = _find(source, subjects)
    unknown = [name for name in cameras if name not in map(str, range(_CAMERAS))]
    if unknown or not cameras:
        raise InputError(f"there is no camera {', '.join(unknown)!r}: choose from 0 to {_CAMERAS - 1}")
    left_out = {
        f"{subject} {sequence} camera {name}": "its video is too short"
        for subject, sequence, name in SHORT_VIDEOS
        if videos and name in cameras and (subject, sequence) in found
    }
    views = [
        (key, name) for key in found for name in cameras if not (videos and (*key, name) in SHORT_VIDEOS)
    ]
    missing = [path for key, name in views if videos and not (path := _video(found[key], name)).is_file()]
    if missing:
        raise InputError(f"{missing[0]} is missing: download the images of this sequence there")
    for key in found:
        kept_frames(1, SEQUENCES[key][1], fps)  # refuses a wrong fps before anything is read
    images = target.with_name(f"{target.stem}_images") if videos else None
    inputs = [folder / name for folder in found.values() for name in ("annot.mat", "camera.calibration")]
    inputs += [_video(found[key], name) for key, name in views if videos]
    provenance = Provenance(
        "evolift data import mpi-inf-3dhp",
        {
            "cameras": list(cameras),
            "videos": videos,
            "fps": fps,
            "subjects": None if subjects is None else sorted(subjects),
        },
        inputs={path.relative_to(source).as_posix(): sha256_of(path) for path in inputs},
    )
    root = "" if images is None else images.name
    writer = PoseStoreWriter(
        target,
        H36M17,
        "world",
        provenance,
        image_root=root,
        unlabelled=UNLABELLED_JOINTS,
        source=source,
        implausible=imported(implausible),
        overwrite=overwrite,
    )
    with writer:
        image_folder = None if images is None else new_image_folder(images, writer, overwrite=overwrite)
        for key, folder in found.items():
            joints_2d, joints_3d = read_annotation(folder / "annot.mat", SEQUENCES[key][0])
            known = read_skeletool_cameras(folder / "camera.calibration", f"{'/'.join(key)}/")
            for _, name in (view for view in views if view[0] == key):
                if name not in known:
                    raise InputError(
                        f"{folder / 'camera.calibration'} has no camera {name}: choose other `cameras`"
                    )
                view = _View(key, name, known[name], folder)
                index = writer.add_camera(view.camera)
                poses = _rows(view, joints_2d[int(name)], joints_3d[int(name)], index, fps, image_folder)
                writer.append(poses)
                progress(1, len(views))
        writer.check_plausibility()
    return Mpi3dhpSummary(len(found), len(writer), left_out, images=images)


@dataclass(frozen=True)
class _View:
    key: tuple[str, str]
    name: str
    camera: Camera
    folder: Path


def _video(folder: Path, camera: str) -> Path:
    return folder / "imageSequence" / f"video_{camera}.avi"


def _find(source: Path, subjects: Sequence[str] | None) -> dict[tuple[str, str], Path]:
    found: dict[tuple[str, str], Path] = {}
    for path in sorted([*source.glob("S*/Seq*/annot.mat"), *source.glob("*/S*/Seq*/annot.mat")]):
        key = path.parts[-3], path.parts[-2]
        if re.fullmatch(r"S\d+", key[0]) is None or key not in SEQUENCES:
            raise InputError(f"{path} is of no sequence S1/Seq1 to S8/Seq2: give the folder of MPI-INF-3DHP")
        if key in found:
            raise InputError(f"{path.parent} and {found[key]} are the same sequence: keep one of them")
        found[key] = path.parent
    if not found:
        raise InputError(
            f"{source} holds no S1/Seq1/annot.mat and no TS1/annot_data.mat: give the folder of MPI-INF-3DHP"
        )
    names = {subject for subject, _ in found}
    for subject in subjects or ():
        if subject not in names:
            raise InputError(f"{source} has no subject {subject!r}: it has {', '.join(sorted(names))}")
    return {key: found[key] for key in sorted(found) if subjects is None or key[0] in subjects}


def read_annotation(
    path: Path, frames: int
) -> tuple[list[Float64[np.ndarray, "_frames 17 2"]], list[Float64[np.ndarray, "_frames 17 3"]]]:
    """2D (px) and 3D joints (mm, camera frame) of each camera, H36M17; they may have different numbers of frames.

    Args:
        path: annot.mat.
        frames: of the videos; those that the annotation has after them are left out.

    Raises:
        InputError: it is not such a file.
    """
    held = read_mat(path, ("annot2", "annot3"))
    cells = [np.ravel(np.asarray(held.get(name), object)) for name in ("annot2", "annot3")]
    joints: list[list[np.ndarray]] = []
    for name, cell, axes in (("annot2", cells[0], 2), ("annot3", cells[1], 3)):
        if cell.dtype != object or len(cell) != _CAMERAS:
            raise InputError(
                f"{path}: {name} must have an entry for each of {_CAMERAS} cameras: download it again"
            )
        joints.append(
            [
                _joints(values, axes, frames, f"{path}: {name}{{{index + 1}}}")
                for index, values in enumerate(cell)
            ]
        )
    return joints[0], joints[1]


def _joints(values: np.ndarray, axes: int, frames: int, where: str) -> np.ndarray:
    if (
        not isinstance(values, np.ndarray)
        or values.dtype.kind not in "fiu"
        or values.ndim != 2
        or values.shape[1] != _JOINTS * axes
        or not len(values)
    ):
        raise InputError(
            f"{where} must be numbers of shape (frames, {_JOINTS * axes}), it has {np.shape(values)}: download it again"
        )
    joints = values[:frames].reshape(-1, _JOINTS, axes)[:, H36M17_OF_28].astype(np.float64)
    strange = ~np.isfinite(joints).all((1, 2))
    if strange.any():
        raise InputError(
            f"{where}, frame {int(strange.argmax()) + 1}: a joint is not finite: download it again"
        )
    return joints


def _rows(
    view: _View,
    joints_2d: np.ndarray,
    joints_3d: np.ndarray,
    index: int,
    fps: float | None,
    image_folder: Path | None,
) -> Poses:
    where = f"{view.folder / 'annot.mat'}, camera {view.name}"
    if len(joints_2d) != len(joints_3d):
        raise InputError(
            f"{where}: 2D has {len(joints_2d)} frames and 3D {len(joints_3d)}: download it again"
        )
    rows = kept_frames(len(joints_3d), SEQUENCES[view.key][1], fps)
    in_world = view.camera.to_world(joints_3d[rows])
    distance = np.median(np.linalg.norm(view.camera.project(in_world) - joints_2d[rows], axis=-1))
    if not distance <= MAX_PIXELS:
        raise InputError(
            f"{where}: its 3D joints seen through the camera are {distance:.0f} px beside its 2D joints: download it and camera.calibration again"
        )
    images = None
    if image_folder is not None:
        name = f"{view.key[0]}_{view.key[1]}_{view.name}"
        files, size = write_video_frames(_video(view.folder, view.name), rows, image_folder / name, name)
        if size != (view.camera.width, view.camera.height):
            raise InputError(
                f"{_video(view.folder, view.name)} is {size[0]}x{size[1]}, its camera {view.camera.width}x{view.camera.height}: give the original video"
            )
        images = [f"{name}/{file}" for file in files]
    return pose_rows(
        view.key[0],
        repeated_label(view.key[1], len(rows)),
        rows + 1,
        in_world,
        joints_2d[rows],
        index,
        images,
        where,
    )


def pose_rows(
    subject: str, actions: pd.Categorical, frames: np.ndarray, joints_3d: np.ndarray, joints_2d: np.ndarray,
    camera: int, images: list[str] | None, where: str,
) -> Poses:  # fmt: skip
    """Rows of one view, all of whose joints but `UNLABELLED_JOINTS` count as visible.

    Raises:
        InputError: all joints of a row are in one place of the image.
    """
    visibility = np.full(joints_2d.shape[:2], VISIBLE, np.uint8)
    lacking = [H36M17.index(joint) for joint in UNLABELLED_JOINTS]
    visibility[:, lacking] = UNLABELLED
    joints_2d = np.where(visibility[..., None] == UNLABELLED, 0, joints_2d)
    boxes, is_usable = joint_boxes(joints_2d.astype(np.float32), visibility)
    if not is_usable.all():
        raise InputError(
            f"{where}, frame {int(frames[~is_usable][0])}: all joints are in one place: download it again"
        )
    return Poses(
        repeated_label(subject, len(frames)),
        actions,
        frames,
        joints_3d.astype(np.float32),
        joints_2d=joints_2d.astype(np.float32),
        visibility=visibility,
        camera=np.full(len(frames), camera, np.int32),
        image=images,
        box=boxes,
    )
