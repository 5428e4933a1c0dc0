"""Importer for the .npz files of VideoPose3D (Pavllo et al., CVPR 2019) and of those that took over its layout, as SemGCN.

`data_3d_h36m.npz` has positions_3d[subject][action]: (frames, 32 or 17, 3), metres, world. `data_2d_h36m_*.npz` has
positions_2d[subject][action]: a list of (frames, joints, 2), pixels, one for each of the four cameras, and metadata with
layout_name, num_joints and keypoints_symmetry (`videopose3d_layout`). Both are pickled into the .npz; nothing but arrays
and containers is read from them (`plain_pickle`). The cameras are not in these files: for subjects of Human3.6M they are
built in, or come from its metadata.xml.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32

from evolift.posedata.errors import InputError
from evolift.posedata.importers.camera_fit import check_fit
from evolift.posedata.importers.capture_frame import Axis, detect_unit, detect_up, to_world
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
from evolift.posedata.joint_mapping import UNLABELLED, mapping_between
from evolift.posedata.nose import is_nose
from evolift.posedata.output_file import check_output, sha256_of
from evolift.posedata.plain_pickle import read_object_npz
from evolift.posedata.plausibility import imported
from evolift.posedata.poses import Poses, repeated_label
from evolift.posedata.progress import Progress, no_progress
from evolift.posedata.skeleton import H36M17, Skeleton
from evolift.posedata.store import PoseStoreWriter, Provenance
from evolift.posedata.store_layout import CoordinateFrame
from evolift.posedata.videopose3d_layout import Layout2d, layout_of

MILLIMETRES = 1000.0


@dataclass(frozen=True, eq=False)
class _Table:
    """positions_3d or positions_2d of one file: {subject: {action: positions}}."""

    path: Path
    name: str
    positions: dict[str, dict[str, Any]]

    def label(self, subject: str, action: str) -> str:
        return f"{self.path}: {self.name}[{subject!r}][{action!r}]"


THINNED = 25
"""Every so many of the frames tell what joint 9 and the upward axis are."""
CAMERA_NOTE = "people stand along -y, as in a camera's frame: the poses are stored as such, in the frame of a camera that is not known; `up` -y stores them in the world, as they would stand before a camera held level"
JOINT_9_NOTE = "joint 9 lies on the neck, not where Human3.6M's nose is: it is left unlabelled, and what learns from these poses masks it"


@dataclass(frozen=True, eq=False)
class _Sequence:
    subject: str
    action: str
    joints_3d: np.ndarray | None
    views: list[np.ndarray]


def import_videopose3d(
    sources: Sequence[Path],
    target: Path,
    *,
    metadata: Path | None = None,
    fps: float | None = None,
    up: Axis | None = None,
    choice: Choice = EVERYTHING,
    implausible: bool = False,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> Human36mSummary:
    """Write a pose store from a 3D file, a 2D file, or both together.

    Other data sets come in this layout with a joint 9 that lies on the neck and not, as Human3.6M's, in front of it: it is told
    by the angle there (`evolift.posedata.nose.is_nose`), and then left unlabelled.

    Others' 3D is not always Human3.6M's world with z up either: the axis along which people stand decides. Where it is -y, the
    poses are in a camera's frame and stored as such; another axis is turned upward.

    With 3D alone a row is a pose in the world. With 2D, there is a row for each camera; frames that the 2D has after the
    end of the 3D are left out, as VideoPose3D does. Frames are counted from 1 at 50 a second.

    Args:
        sources: one or two .npz files; which is which is told by what they hold.
        target: the store to write.
        metadata: Human3.6M's metadata.xml, for the cameras instead of those built in; needed for 3D and 2D together of
            subjects that are not Human3.6M's.
        fps: frames per second to keep of the 50; None keeps all.
        up: upward axis of the 3D, which is then put into the world; None tells it from the poses.
        choice: of subjects and sequences.
        implausible: accept poses that do not look like people's in millimetres with z up, rows of no sense among them; these
            rows are left out otherwise (`evolift.posedata.plausibility`).
        overwrite: replace an existing store.
        progress: counts sequences.

    Raises:
        InputError: a file is not of this layout, the two do not belong together, or the cameras are not known.
        OutputError: the target exists or cannot be written.
    """
    check_output(target, overwrite=overwrite, inputs=[*sources, metadata])
    kept_frames(1, RATE, fps)  # refuses a wrong fps before anything is read
    table_3d, table_2d = _tables(sources)
    names = _sequence_names(table_3d, table_2d, choice)
    layout, cameras = None, None
    if table_2d is not None:
        layout = layout_of(table_2d.path, table_2d.positions, read_object_npz(table_2d.path, "metadata"))
        taken = [name for name in names if choice.problem(name[0], canonical_action(name[1])) is None]
        cameras = _cameras(table_2d, taken, metadata)
        if cameras is None and table_3d is not None:
            raise InputError(
                f"{table_2d.path} holds 2D joints of cameras that the files do not tell and that are not built in, which are those of Human3.6M's subjects: give Human3.6M's metadata.xml by `metadata`"
            )
    skeleton = H36M17 if layout is None else layout.mapping.target
    lacking: tuple[str, ...] = ()
    frame: CoordinateFrame = "none"
    turned: Axis = "z"
    up_note = None
    if table_3d is not None:
        some = _some_poses(table_3d, names, choice)
        lacking = () if "nose" not in skeleton.joints or not len(some) or is_nose(some) else ("nose",)
        frame, turned, up_note = _frame_of(some, up, str(table_3d.path))
        if cameras is not None and (frame, turned) != ("world", "z"):
            raise InputError(
                f"{table_3d.path}: people in it stand along {'-y' if frame == 'camera' else turned}, and Human3.6M's cameras see a world with z up: import it without 2D joints, or make it again with VideoPose3D's script"
            )
    provenance = Provenance(
        "evolift data import videopose3d",
        {
            "fps": fps,
            "up": turned,
            "cameras": None if cameras is None else cameras.source,
            **choice.parameters(),
        },
        inputs={path.name: sha256_of(path) for path in sources}
        | ({} if cameras is None else cameras.hashes()),
    )
    left_out: dict[str, str] = {}
    sequences = 0
    with PoseStoreWriter(
        target,
        skeleton,
        frame,
        provenance,
        unlabelled=lacking,
        source=" and ".join(map(str, sources)),
        implausible=imported(implausible),
        overwrite=overwrite,
    ) as writer:
        indices: dict[tuple[str, str], int] = {}
        for subject, action in names:
            problem = choice.problem(subject, canonical_action(action))
            if problem is not None:
                left_out[f"{subject} {action}"] = problem
            else:
                sequence = _read(subject, action, table_3d, table_2d, layout)
                for view, poses in enumerate(_rows(sequence, skeleton, layout, fps, lacking, turned)):
                    camera = None
                    if cameras is not None:
                        key = subject, _camera_name(view, subject, action)
                        if key not in indices:
                            indices[key] = writer.add_camera(cameras.camera(*key))
                        if cameras.path is None and table_2d is not None:
                            label = f"{table_2d.path}: {subject} {action}"
                            check_fit(poses, writer.cameras[indices[key]], label)
                        camera = np.full(len(poses), indices[key], np.int32)
                    writer.append(_with_camera(poses, camera))
                sequences += 1
            progress(1, len(names))
        written = len(writer)
    notes = (
        up_note,
        *((JOINT_9_NOTE,) if lacking else ()),
        *(() if layout is None else (layout.note,)),
        *(() if cameras is None else cameras.notes),
    )
    return Human36mSummary(sequences, written, left_out, notes=tuple(filter(None, notes)))


def _some_poses(
    table: _Table, names: list[tuple[str, str]], choice: Choice
) -> Float[np.ndarray, "frames 17 3"]:
    """Every so many of the poses that are taken, as they are in the file."""
    some = [np.empty((0, len(H36M17), 3))]
    for subject, action in names:
        if choice.problem(subject, canonical_action(action)) is None:
            joints = _checked(table.positions[subject][action], (32, 17), 3, table.label(subject, action))
            thinned = joints[::THINNED].astype(np.float64)
            some.append(thinned[:, H36M17_OF_32] if thinned.shape[1] == 32 else thinned)
    return np.concatenate(some)


def _frame_of(
    some: Float[np.ndarray, "frames 17 3"], up: Axis | None, label: str
) -> tuple[CoordinateFrame, Axis, str | None]:
    """Frame of the poses, the axis that is turned upward, and what to say about it."""
    seen = detect_up(some) if len(some) else None
    if up is not None:
        doubt = f"{label}: people in it stand along {seen}, not along {up}, which was given for up"
        return "world", up, doubt if seen not in (None, up) else None
    if seen == "-y":
        return "camera", "z", CAMERA_NOTE
    if seen is None:
        return (
            "world",
            "z",
            f"{label}: people in it do not stand clearly along an axis: z is taken for up, as in VideoPose3D's own files",
        )
    return "world", seen, None if seen == "z" else f"people stand along {seen}, which is turned upward"


def _tables(sources: Sequence[Path]) -> tuple[_Table | None, _Table | None]:
    found: dict[str, _Table] = {}
    for path in sources:
        tables = {name: read_object_npz(path, name) for name in ("positions_3d", "positions_2d")}
        held = {name: positions for name, positions in tables.items() if positions is not None}
        if len(held) != 1:
            raise InputError(
                f"{path} must hold positions_3d or positions_2d: give a data_3d_*.npz or data_2d_*.npz of VideoPose3D"
            )
        ((name, positions),) = held.items()
        if name in found:
            raise InputError(f"{path} and {found[name].path} both hold {name}: give one file of each kind")
        if not isinstance(positions, dict) or not all(
            isinstance(subject, str)
            and isinstance(actions, dict)
            and all(isinstance(one, str) for one in actions)
            for subject, actions in positions.items()
        ):
            raise InputError(
                f"{path}: {name} is not a table by subject and action: make it again with VideoPose3D's script"
            )
        found[name] = _Table(path, name, positions)
    return found.get("positions_3d"), found.get("positions_2d")


def _sequence_names(first: _Table | None, second: _Table | None, choice: Choice) -> list[tuple[str, str]]:
    """Subject and action of each sequence.

    Raises:
        InputError: there are none, or one file has a sequence that the other lacks.
    """
    tables = [table for table in (first, second) if table is not None]
    subjects = chosen_subjects(tables[0].positions, choice, tables[0].path)
    names = [(subject, action) for subject in subjects for action in sorted(tables[0].positions[subject])]
    for table in tables[1:]:
        others = {(subject, action) for subject, actions in table.positions.items() for action in actions}
        for subject, action in names:
            if (subject, action) not in others and choice.problem(subject, canonical_action(action)) is None:
                raise InputError(
                    f"{table.path} lacks {subject} {action}, which {tables[0].path} has: give two files that belong together"
                )
    if not names:
        raise InputError(f"{tables[0].path} holds no sequences: download it again")
    return names


def _read(
    subject: str, action: str, table_3d: _Table | None, table_2d: _Table | None, layout: Layout2d | None
) -> _Sequence:
    joints_3d, views = None, []
    if table_3d is not None:
        label = table_3d.label(subject, action)
        joints_3d = _checked(table_3d.positions[subject][action], (32, 17), 3, label)
        if joints_3d.shape[1] == 32:
            joints_3d = joints_3d[:, H36M17_OF_32]
        if detect_unit(joints_3d.astype(np.float64)) != "m":
            raise InputError(
                f"{label}: its legs are not as long as a person's in metres: make the file again"
            )
    if table_2d is not None and layout is not None:
        label = table_2d.label(subject, action)
        listed = table_2d.positions[subject][action]
        if not isinstance(listed, (list, np.ndarray)) or not len(listed):
            raise InputError(f"{label} is not a list with an array for each camera: make the file again")
        for camera, values in enumerate(listed):
            pixels = _checked(values, (layout.joints,), 2, f"{label}[{camera}]")[:, layout.taken]
            if joints_3d is not None:
                if len(pixels) < len(joints_3d):
                    raise InputError(
                        f"{label}[{camera}] has {len(pixels)} frames, the 3D joints have {len(joints_3d)}: give two files that belong together"
                    )
                pixels = pixels[: len(joints_3d)]
            views.append(pixels)
    return _Sequence(subject, action, joints_3d, views)


def _as_array(values: Any) -> np.ndarray:
    try:
        return np.asarray(values)
    except ValueError:  # lists of unequal lengths
        return np.empty(0, object)


def _checked(
    values: Any, joints: tuple[int, ...], axes: int, label: str
) -> Float32[np.ndarray, "frames joints axes"]:
    array = _as_array(values)
    if (
        array.dtype.kind != "f"
        or array.ndim != 3
        or array.shape[1] not in joints
        or array.shape[2] != axes
        or not len(array)
    ):
        raise InputError(
            f"{label} must be an array of numbers of shape (frames, {' or '.join(map(str, joints))}, {axes}), it is {array.dtype} of {array.shape}"
        )
    array = array.astype(np.float32)
    strange = ~np.isfinite(array).all((1, 2))
    if strange.any():
        raise InputError(
            f"{label}, frame {int(strange.argmax()) + 1}: a joint is not finite: make the file again"
        )
    return array


def _rows(
    sequence: _Sequence,
    skeleton: Skeleton,
    layout: Layout2d | None,
    fps: float | None,
    lacking: tuple[str, ...],
    up: Axis,
) -> Iterator[Poses]:
    """One block of rows per camera; one block of poses in the world if there is no 2D."""
    joints_3d = sequence.joints_3d
    if joints_3d is not None:
        joints_3d, _ = mapping_between(H36M17, skeleton).convert(
            to_world(joints_3d, MILLIMETRES, up, False).astype(np.float32)
        )
    views: list[np.ndarray | None] = [*sequence.views] or [None]
    for pixels in views:
        length = len(next(part for part in (joints_3d, pixels) if part is not None))
        kept = kept_frames(length, RATE, fps)
        joints_2d, visibility = None, None
        if pixels is not None and layout is not None:
            joints_2d, visibility = layout.mapping.convert(pixels[kept])
            if layout.mapping.source == H36M17:
                visibility[:, [skeleton.index(joint) for joint in lacking]] = UNLABELLED
                joints_2d[visibility == UNLABELLED] = 0
        yield Poses(
            repeated_label(sequence.subject, len(kept)),
            repeated_label(sequence.action, len(kept)),
            kept + 1,
            joints_3d=None if joints_3d is None else joints_3d[kept],
            joints_2d=joints_2d,
            visibility=visibility,
        )


def _with_camera(poses: Poses, camera: np.ndarray | None) -> Poses:
    return poses if camera is None else replace(poses, camera=camera)


def _cameras(table: _Table, names: list[tuple[str, str]], metadata: Path | None) -> CameraSet | None:
    """Those of metadata.xml, or those built in if all subjects are Human3.6M's with its four cameras, or None."""
    if metadata is not None:
        return human36m_cameras(metadata)
    built_in = human36m_cameras(None)
    views = [table.positions[subject][action] for subject, action in names]
    has_four = all(isinstance(each, (list, np.ndarray)) and len(each) == len(CAMERA_SIZES) for each in views)
    return built_in if has_four and built_in.covers({subject for subject, _ in names}) else None


def _camera_name(view: int, subject: str, action: str) -> str:
    names = list(CAMERA_SIZES)
    if view >= len(names):
        raise InputError(
            f"{subject} {action} has 2D joints of more than the {len(names)} cameras of Human3.6M: import it without `metadata`"
        )
    return names[view]
