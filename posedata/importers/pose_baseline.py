"""Importer for the archive of 3d-pose-baseline (Martinez et al., ICCV 2017), h36m.zip, which SemGCN's preparation reads too.

    h36m/cameras.h5                                          `pose_baseline_cameras`
    h36m/S1/MyPoses/3D_positions/Directions 1.h5             3D_positions: (96, frames), 32 joints, mm, world
    h36m/S1/StackedHourglass/Directions_1.54138969.h5        poses: (frames, 16, 2), MPII's joints, px

All are at 50 frames a second. StackedHourglass are detections of the network as it was trained on MPII;
StackedHourglassFineTuned240, from an archive of its own, are of the network fine-tuned on Human3.6M. SemGCN's files rename MPII's thorax
to spine and its upper neck to thorax; here the detections become H36M17 by the declared mapping of MPII16.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from evolift.posedata.errors import InputError
from evolift.posedata.importers.camera_fit import check_fit
from evolift.posedata.importers.capture_frame import detect_unit
from evolift.posedata.importers.frame_rate import kept_frames
from evolift.posedata.importers.human36m import (
    CAMERA_SIZES,
    EVERYTHING,
    H36M17_OF_32,
    RATE,
    Choice,
    Human36mSummary,
    canonical_action,
    chosen_subjects,
)
from evolift.posedata.importers.human36m_cameras import CameraSet, human36m_cameras
from evolift.posedata.importers.pose_baseline_cameras import (
    open_h5,
    read_numbers,
    read_pose_baseline_cameras,
)
from evolift.posedata.importers.settings import PoseBaselineSettings
from evolift.posedata.importers.source_files import SourceFiles
from evolift.posedata.joint_mapping import VISIBLE, mapping_between
from evolift.posedata.output_file import check_output
from evolift.posedata.plausibility import imported
from evolift.posedata.poses import Poses, repeated_label
from evolift.posedata.progress import Progress, no_progress
from evolift.posedata.skeleton import H36M17, MPII16
from evolift.posedata.store import PoseStoreWriter, Provenance

FOLDERS = {"hourglass": "StackedHourglass", "hourglass-finetuned": "StackedHourglassFineTuned240"}
"""Setting `joints_2d` -> folder of each subject."""
_POSES = re.compile(r"(?:.*/)?(S\d+)/MyPoses/3D_positions/([^./][^/]*)\.h5")
_DETECTIONS = re.compile(r"(?:.*/)?(S\d+)/(StackedHourglass\w*)/([^./][^/]*)\.(\d+)\.h5")
_CAMERAS = re.compile(r"(?:.*/)?cameras\.h5")


@dataclass(frozen=True)
class _Sequence:
    """Files of one motion of one subject: 3D joints, and detections by camera."""

    subject: str
    action: str
    poses: str
    detections: dict[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return f"{self.subject} {self.action}"


def import_pose_baseline(
    source: Path,
    target: Path,
    settings: PoseBaselineSettings = PoseBaselineSettings(),
    *,
    choice: Choice = EVERYTHING,
    implausible: bool = False,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> Human36mSummary:
    """Write a pose store (H36M17, world) with a row for each frame and camera.

    Joints that the detector does not find are unlabelled. Frames that the detections have after the end of the poses are
    left out. Frames are counted from 1 at 50 a second.

    Args:
        source: h36m.zip, or the folder it was extracted into.
        target: the store to write.
        settings: `fps` to keep of the 50, and where the 2D joints come from.
        choice: of subjects and sequences.
        implausible: accept poses that do not look like people's in millimetres with z up, rows of no sense among them; these
            rows are left out otherwise (`evolift.posedata.plausibility`).
        overwrite: replace an existing store.
        progress: counts sequences.

    Raises:
        InputError: a file is missing, damaged, or does not belong to the others.
        StoreError: a file has links.
        OutputError: the target exists or cannot be written.
    """
    check_output(target, overwrite=overwrite, inputs=[source])
    kept_frames(1, RATE, settings.fps)  # refuses a wrong fps before anything is read
    with SourceFiles(source) as files:
        every = _find(files, settings, choice)
        problems = {one.label: choice.problem(one.subject, one.action) for one in every}
        left_out = {label: problem for label, problem in problems.items() if problem is not None}
        sequences = [one for one in every if one.label not in left_out]
        _check_views(sequences, settings, source)
        cameras, used = _cameras(files)
        for subject in dict.fromkeys(one.subject for one in sequences):
            for name in CAMERA_SIZES:
                cameras.camera(subject, name)  # refuses one that is not known
        used += [name for one in sequences for name in (one.poses, *one.detections.values())]
        provenance = Provenance(
            "evolift data import 3d-pose-baseline",
            {**settings.flat(), "cameras": cameras.source, **choice.parameters()},
            inputs=files.hashes(used),
        )
        with PoseStoreWriter(
            target,
            H36M17,
            "world",
            provenance,
            source=source,
            implausible=imported(implausible),
            overwrite=overwrite,
        ) as writer:
            indices: dict[tuple[str, str], int] = {}
            for sequence in sequences:
                for name in CAMERA_SIZES:
                    key = sequence.subject, name
                    if key not in indices:
                        indices[key] = writer.add_camera(cameras.camera(*key))
                for poses in _rows(files, sequence, cameras, indices, settings):
                    writer.append(poses)
                progress(1, len(sequences))
            written = len(writer)
    return Human36mSummary(len(sequences), written, left_out, notes=cameras.notes)


def _find(files: SourceFiles, settings: PoseBaselineSettings, choice: Choice) -> list[_Sequence]:
    found: dict[tuple[str, str], _Sequence] = {}
    for name in files.names:
        if match := _POSES.fullmatch(name):
            key = match[1], canonical_action(match[2])
            if key in found:
                raise InputError(
                    f"{files.label(name)} and {files.label(found[key].poses)} are the same sequence: keep one of them"
                )
            found[key] = _Sequence(*key, name)
    if not found:
        raise InputError(
            f"{files.path} holds no S1/MyPoses/3D_positions/*.h5: give h36m.zip of 3d-pose-baseline or its folder"
        )
    folder = FOLDERS.get(settings.joints_2d)
    for name in files.names:
        match = _DETECTIONS.fullmatch(name)
        if match and match[2] == folder and (key := (match[1], canonical_action(match[3]))) in found:
            found[key].detections[match[4]] = name
    subjects = chosen_subjects({subject for subject, _ in found}, choice, files.path)
    return [found[key] for subject in subjects for key in sorted(found) if key[0] == subject]


def _check_views(sequences: list[_Sequence], settings: PoseBaselineSettings, source: Path) -> None:
    """What is missing is seen before anything is written."""
    folder = FOLDERS.get(settings.joints_2d)
    for one in sequences:
        missing = [name for name in CAMERA_SIZES if name not in one.detections]
        if folder is not None and missing:
            raise InputError(
                f"{source} has no {one.subject}/{folder}/{one.action.replace(' ', '_')}.{missing[0]}.h5: choose other `joints_2d`, or download the archive again"
            )


def _cameras(files: SourceFiles) -> tuple[CameraSet, list[str]]:
    """The archive's cameras and their file, or those built in where it has none."""
    names = [name for name in files.names if _CAMERAS.fullmatch(name)]
    if not names:
        return human36m_cameras(None), []
    name = min(names, key=len)
    cameras, is_opencv = read_pose_baseline_cameras(files.read(name), files.label(name))
    order = "OpenCV's order" if is_opencv else "the reverse of OpenCV's order"
    note = f"cameras: those of {name}, whose tangential distortion p is in {order}"
    return CameraSet(cameras, Path(name), note), [name]


def _rows(
    files: SourceFiles,
    sequence: _Sequence,
    cameras: CameraSet,
    indices: dict[tuple[str, str], int],
    settings: PoseBaselineSettings,
) -> Iterator[Poses]:
    """The rows of each camera."""
    joints_3d = _joints_3d(files, sequence.poses)
    rows = kept_frames(len(joints_3d), RATE, settings.fps)
    kept_3d = joints_3d[rows]
    for name in CAMERA_SIZES:
        camera = cameras.camera(sequence.subject, name)
        if name in sequence.detections:
            pixels = _detections(files, sequence.detections[name], len(joints_3d))
            joints_2d, visibility = mapping_between(MPII16, H36M17).convert(pixels[rows])
        else:
            joints_2d = camera.project(kept_3d)
            visibility = np.full(joints_2d.shape[:2], VISIBLE, np.uint8)
        poses = Poses(
            repeated_label(sequence.subject, len(rows)),
            repeated_label(sequence.action, len(rows)),
            rows + 1,
            kept_3d,
            joints_2d=joints_2d,
            visibility=visibility,
            camera=np.full(len(rows), indices[sequence.subject, name], np.int32),
        )
        if name in sequence.detections:
            check_fit(poses, camera, files.label(sequence.detections[name]))
        yield poses


def _joints_3d(files: SourceFiles, name: str) -> Float32[np.ndarray, "frames 17 3"]:
    label = files.label(name)
    with open_h5(files.read(name), label) as file:
        values = read_numbers(file, "3D_positions", label)
    if values.ndim != 2 or len(values) != 96:
        raise InputError(
            f"{label}: 3D_positions must have the shape (96, frames), it has {values.shape}: download it again"
        )
    joints = values.T.reshape(-1, 32, 3)[:, H36M17_OF_32]
    if detect_unit(joints) != "mm":
        raise InputError(f"{label}: its legs are not as long as a person's in millimetres: download it again")
    return joints.astype(np.float32)


def _detections(files: SourceFiles, name: str, frames: int) -> Float32[np.ndarray, "frames 16 2"]:
    label = files.label(name)
    with open_h5(files.read(name), label) as file:
        values = read_numbers(file, "poses", label)
    if values.ndim != 3 or values.shape[1:] != (16, 2):
        raise InputError(
            f"{label}: poses must have the shape (frames, 16, 2), it has {values.shape}: download it again"
        )
    if len(values) < frames:
        raise InputError(
            f"{label} has {len(values)} frames, the 3D joints have {frames}: give files that belong together"
        )
    return values[:frames].astype(np.float32)
