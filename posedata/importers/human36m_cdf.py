"""Importer for Human3.6M as it is downloaded: D3_Positions in CDF files, and videos. The cameras are built in.

Poses are `S1/MyPoseFeatures/D3_Positions/Directions 1.cdf`: a variable Pose of (1, frames, 96), which are 32 joints in
millimetres in the world, z up, 50 a second. Videos are `S1/Videos/Directions 1.54138969.mp4`. The 2D joints are the 3D
ones seen through the camera. MATLAB is not needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64

from evolift.posedata.camera import Camera
from evolift.posedata.errors import InputError, reason_of
from evolift.posedata.extras import require_extra
from evolift.posedata.image_file import read_image_size
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
from evolift.posedata.importers.image_folder import new_image_folder, relative_folder
from evolift.posedata.importers.joint_boxes import joint_boxes
from evolift.posedata.importers.video_frames import write_video_frames
from evolift.posedata.joint_mapping import VISIBLE
from evolift.posedata.output_file import check_output, sha256_of
from evolift.posedata.plausibility import imported
from evolift.posedata.poses import Poses, repeated_label
from evolift.posedata.progress import Progress, no_progress
from evolift.posedata.skeleton import H36M17
from evolift.posedata.store import PoseStoreWriter, Provenance

_LAYOUTS = (
    "S*/MyPoseFeatures/D3_Positions/*.cdf",
    "*/S*/MyPoseFeatures/D3_Positions/*.cdf",
    "S*/Poses_D3_Positions/*.cdf",
)
_SUBJECT = re.compile(r"S\d+")
_HEIGHTS = {height for _, height in CAMERA_SIZES.values()}
_WIDTH = 1000


@dataclass(frozen=True)
class _Sequence:
    """One motion of one subject; `name` is that of its file."""

    subject: str
    name: str
    path: Path
    folder: Path

    @property
    def action(self) -> str:
        return canonical_action(self.name)

    def video(self, camera: str) -> Path:
        return self.folder / "Videos" / f"{self.name}.{camera}.mp4"

    def view(self, camera: str) -> str:
        """What mmpose calls images and their folder."""
        return f"{self.subject}_{self.name.replace(' ', '_')}.{camera}"


class _Images:
    """Where images come from: `frames` is a folder of extracted ones, `extract_to` one to extract videos into."""

    def __init__(self, frames: Path | None, extract_to: Path | None) -> None:
        self.frames = frames
        self.extract_to = extract_to

    def of(
        self, sequence: _Sequence, camera: str, rows: Int64[np.ndarray, "kept"]
    ) -> tuple[list[str], tuple[int, int]] | None:
        """Paths of the images of some frames, and their size; None if there are to be no images."""
        view = sequence.view(camera)
        if self.extract_to is not None:
            folder = self.extract_to / sequence.subject / view
            names, size = write_video_frames(sequence.video(camera), rows, folder, view)
        elif self.frames is not None:
            folder = self.frames / sequence.subject / view
            names = [f"{view}_{row + 1:06d}.jpg" for row in rows]
            missing = [name for name in names if not (folder / name).is_file()]
            if missing:
                raise InputError(
                    f"{folder} lacks {len(missing)} of {len(names)} images, first {missing[0]}: extract the frames again, or choose `fps` as they were extracted"
                )
            size = read_image_size(folder / names[0])
        else:
            return None
        if size[0] != _WIDTH or size[1] not in _HEIGHTS:
            raise InputError(
                f"the images of {view} are {size[0]}x{size[1]}, the cameras' are 1000 wide and 1000 or 1002 high: give them unscaled"
            )
        return [f"{sequence.subject}/{view}/{name}" for name in names], size


def import_human36m(
    source: Path,
    target: Path,
    *,
    metadata: Path | None = None,
    world: bool = False,
    videos: bool = False,
    frames: Path | None = None,
    fps: float | None = None,
    choice: Choice = EVERYTHING,
    implausible: bool = False,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> Human36mSummary:
    """Write a pose store (H36M17, world) from the data set's own files.

    There is a row for each of the four cameras, with the joints that it sees and the box around them, or, by `world`, one
    row for each pose.

    Args:
        source: folder that the downloaded archives were extracted into; holds S1, S5, ...
        target: the store to write.
        metadata: the data set's metadata.xml, for the cameras instead of those built in.
        world: poses in the world alone, without cameras.
        videos: extract the kept frames of the videos into the folder `<target stem>_images` beside the store.
        frames: folder of frames extracted before, S1/S1_Directions_1.54138969/S1_Directions_1.54138969_000001.jpg.
        fps: frames per second to keep of the 50 (10 takes every fifth); None keeps all.
        choice: of subjects and sequences.
        implausible: accept poses that do not look like people's in millimetres with z up, rows of no sense among them; these
            rows are left out otherwise (`evolift.posedata.plausibility`).
        overwrite: replace an existing store and its folder of images.
        progress: counts sequences.

    Raises:
        InputError: a file is missing or damaged, cameras of a subject are not known, or images are asked for without cameras.
        OutputError: the target exists or cannot be written.
    """
    check_output(target, overwrite=overwrite, inputs=[source, metadata, frames])
    kept_frames(1, RATE, fps)  # refuses a wrong fps before anything is read
    if world and (videos or frames is not None or metadata is not None):
        raise InputError(
            "poses in the world alone have neither cameras nor images: leave out `world`, or `metadata`, `videos` and `frames`"
        )
    if videos and frames is not None:
        raise InputError(
            "images come either from the videos or from extracted frames: give one of `videos` and `frames`"
        )
    every = _find(source, choice)
    problems = {f"{one.subject} {one.action}": choice.problem(one.subject, one.action) for one in every}
    left_out = {name: problem for name, problem in problems.items() if problem is not None}
    sequences = [one for one in every if f"{one.subject} {one.action}" not in left_out]
    cameras = None if world else human36m_cameras(metadata)
    _check_views(sequences, cameras, videos=videos)
    images = target.with_name(f"{target.stem}_images") if videos else frames
    provenance = Provenance(
        "evolift data import human36m",
        {
            "fps": fps,
            "cameras": None if cameras is None else cameras.source,
            "videos": videos,
            "frames": frames is not None,
            **choice.parameters(),
        },
        inputs=_hashes(source, sequences, cameras, videos=videos),
    )
    root = "" if images is None else images.name if videos else relative_folder(images, target.parent)
    writer = PoseStoreWriter(
        target,
        H36M17,
        "world",
        provenance,
        image_root=root,
        source=source,
        implausible=imported(implausible),
        overwrite=overwrite,
    )
    with writer:
        extract_to = None
        if videos and images is not None:
            extract_to = new_image_folder(images, writer, overwrite=overwrite)
        image_source = _Images(frames, extract_to)
        indices: dict[tuple[str, tuple[int, int]], int] = {}
        for sequence in sequences:
            for poses, camera in _rows(sequence, cameras, image_source, fps):
                if camera is not None:
                    key = camera.name, (camera.width, camera.height)
                    if key not in indices:
                        indices[key] = writer.add_camera(camera)
                    poses = replace(poses, camera=np.full(len(poses), indices[key], np.int32))  # noqa: PLW2901
                writer.append(poses)
            progress(1, len(sequences))
        writer.check_plausibility()
    notes = () if cameras is None else cameras.notes
    return Human36mSummary(len(sequences), len(writer), left_out, images, notes)


def read_poses(path: Path) -> Float32[np.ndarray, "frames 17 3"]:
    """Joints of one CDF file, H36M17, mm, world.

    Raises:
        InputError: it is not such a file, or the extra `human36m` is not installed.
    """
    require_extra("human36m", "cdflib")
    import cdflib  # noqa: PLC0415  # of that extra

    try:
        values = np.asarray(cdflib.CDF(path).varget("Pose"))
    except Exception as error:  # cdflib raises whatever its parser stumbles on
        raise InputError(
            f"{path} is not a CDF file with a variable Pose ({reason_of(error)}): download it again"
        ) from None
    if values.dtype.kind != "f" or values.shape[-1:] != (96,) or values.size == 0:
        raise InputError(
            f"{path}: Pose must be numbers of shape (1, frames, 96), it is {values.dtype} of {values.shape}: give D3_Positions"
        )
    joints = values.reshape(-1, 32, 3)[:, H36M17_OF_32].astype(np.float32)
    strange = ~np.isfinite(joints).all((1, 2))
    if strange.any():
        raise InputError(
            f"{path}, frame {int(strange.argmax()) + 1}: a joint is not finite: download it again"
        )
    if detect_unit(joints.astype(np.float64)) != "mm":
        raise InputError(f"{path}: its legs are not as long as a person's in millimetres: give D3_Positions")
    return joints


def _find(source: Path, choice: Choice) -> list[_Sequence]:
    found: dict[tuple[str, str], _Sequence] = {}
    for path in sorted(path for layout in _LAYOUTS for path in source.glob(layout)):
        folder = next(parent for parent in path.parents if _SUBJECT.fullmatch(parent.name))
        if path.stem.startswith((".", "_ALL")):
            continue
        one = _Sequence(folder.name, path.stem, path, folder)
        if (one.subject, one.action) in found:
            raise InputError(
                f"{path} and {found[one.subject, one.action].path} are the same sequence: keep one of them"
            )
        found[one.subject, one.action] = one
    if not found:
        raise InputError(
            f"{source} holds no S1/MyPoseFeatures/D3_Positions/*.cdf: extract the archives of D3_Positions there"
        )
    subjects = chosen_subjects({subject for subject, _ in found}, choice, source)
    return [found[key] for subject in subjects for key in sorted(found) if key[0] == subject]


def _check_views(sequences: list[_Sequence], cameras: CameraSet | None, *, videos: bool) -> None:
    """All that can be seen to be missing is seen before hours of decoding."""
    for sequence in sequences:
        if cameras is not None:
            cameras.camera(sequence.subject, next(iter(CAMERA_SIZES)))  # refuses one that is not known
        missing = [name for name in CAMERA_SIZES if videos and not sequence.video(name).is_file()]
        if missing:
            raise InputError(
                f"{sequence.video(missing[0])} is missing: extract the archive of the videos of {sequence.subject} there"
            )


def _hashes(
    source: Path, sequences: list[_Sequence], cameras: CameraSet | None, *, videos: bool
) -> dict[str, str]:
    paths = [sequence.path for sequence in sequences]
    if videos:
        paths += [sequence.video(camera) for sequence in sequences for camera in CAMERA_SIZES]
    hashes = {path.relative_to(source).as_posix(): sha256_of(path) for path in paths}
    return hashes if cameras is None else hashes | cameras.hashes()


def _rows(
    sequence: _Sequence, cameras: CameraSet | None, image_source: _Images, fps: float | None
) -> Iterator[tuple[Poses, Camera | None]]:
    joints = read_poses(sequence.path)
    rows = kept_frames(len(joints), RATE, fps)
    joints = joints[rows]
    labels = repeated_label(sequence.subject, len(rows)), repeated_label(sequence.action, len(rows))
    if cameras is None:
        yield Poses(*labels, rows + 1, joints), None
        return
    for name in CAMERA_SIZES:
        camera = cameras.camera(sequence.subject, name)
        found = image_source.of(sequence, name, rows)
        if found is not None:
            camera = replace(camera, width=found[1][0], height=found[1][1])
        joints_2d = camera.project(joints)
        visibility = np.full(joints_2d.shape[:2], VISIBLE, np.uint8)
        boxes, is_usable = joint_boxes(joints_2d, visibility)
        if not is_usable.all():
            raise InputError(
                f"{sequence.path}, frame {int(rows[~is_usable][0]) + 1}: camera {name} sees all joints in one place: download it again"
            )
        yield (
            Poses(
                *labels,
                rows + 1,
                joints,
                joints_2d=joints_2d,
                visibility=visibility,
                image=None if found is None else found[0],
                box=boxes,
            ),
            camera,
        )
