"""2D keypoints in VideoPose3D's layout, `data_2d_custom_NAME.npz`, as its `prepare_data_2d_custom.py` and others write it.

    positions_2d    {video: {"custom": [(frames, joints, 2), ...]}}, px; one array for each view
    metadata        {"layout_name", "num_joints", "keypoints_symmetry", "video_metadata": {video: {"w", "h"}}}

Human3.6M's files of this layout, {subject: {action: views}}, are read too. Arrays may have a third column of scores, and stand
without the dictionary or the list around them. The joints are told by metadata (`evolift.posedata.videopose3d_layout`).
Each sequence is one person, in frames 0, 1, 2, ... of it. Both tables are pickled into the file, of which nothing but
arrays and containers is read (`evolift.posedata.plain_pickle`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from evolift.posedata.errors import InputError
from evolift.posedata.keypoint_formats.detectron_keypoints import size_of
from evolift.posedata.keypoint_formats.joint_columns import joint_columns
from evolift.posedata.keypoint_formats.keypoints import Keypoints, keypoints_of
from evolift.posedata.keypoint_formats.name_mapping import NamedColumns
from evolift.posedata.keypoint_formats.reading import Reading
from evolift.posedata.plain_pickle import names_of_npz, read_object_npz
from evolift.posedata.videopose3d_layout import layout_of

MEMBER = "positions_2d.npy"
"""The array by which such a file is told from other archives."""


class _Sequence(NamedTuple):
    video: str
    action: str
    view: int
    points: np.ndarray  # (frames, joints, 2 or 3)

    def name(self) -> str:
        """What tells the sequence from others of its file."""
        return " ".join([self.video, self.action, f"view {self.view}"])


def read_videopose3d(path: Path, reading: Reading) -> Keypoints:
    """People of all sequences of a file.

    Args:
        path: of the file.
        reading: of the file.

    Raises:
        InputError: it is not such a file, is damaged, holds more than arrays, its joints are not known, or nobody is in it.
    """
    sequences = _sequences(path, read_object_npz(path, "positions_2d"))
    metadata = read_object_npz(path, "metadata")
    if not sequences:
        raise InputError(f"{path} holds nobody: positions_2d has no frames")
    columns, taken = _joints(path, sequences, metadata, reading)
    reading.found("arrays", names_of_npz(path), {"positions_2d", "metadata"})
    sizes = metadata.get("video_metadata") if isinstance(metadata, dict) else None
    names = [one.name() for one in sequences]
    rows: dict[str, list[Any]] = {"image": [], "frame": [], "person": [], "size": []}
    tables = []
    for one, name in zip(sequences, names, strict=True):
        frames = len(one.points)
        table = np.full((frames, len(taken), 3), 1.0)
        table[..., : one.points.shape[2]] = one.points[:, list(taken)]
        tables.append(table)
        rows["image"] += [one.video if len(names) == 1 else name] * frames
        rows["person"] += ["1" if len(names) == 1 else name] * frames
        rows["frame"] += range(frames)
        size = sizes.get(one.video) if isinstance(sizes, dict) else None
        rows["size"] += [size_of(size)] * frames
    joined = np.concatenate(tables)
    return keypoints_of(
        columns,
        joined[..., :2],
        format="videopose3d",
        confidence=joined[..., 2],
        image=rows["image"],
        frame=rows["frame"],
        person=rows["person"],
        image_size=np.array(rows["size"]),
        notes=[f"of {joints} joints the {len(taken)} of {columns.mapping.skeleton.name} are used"]
        if len(taken) < (joints := _joint_count(sequences))
        else (),
    )


def _joint_count(sequences: list[_Sequence]) -> int:
    """Number of joints of the arrays."""
    return int(sequences[0].points.shape[1])


def _sequences(path: Path, positions: Any) -> list[_Sequence]:
    if not isinstance(positions, dict):
        raise InputError(f"{path}: positions_2d must be a dictionary of videos, as VideoPose3D writes it")
    found = []
    for video, actions in positions.items():
        named = actions if isinstance(actions, dict) else {"custom": actions}
        for action, views in named.items():
            where = f"{path}: positions_2d[{video!r}][{action!r}]"
            if not isinstance(views, (list, tuple, np.ndarray)) or (
                isinstance(views, np.ndarray) and not views.ndim
            ):
                raise InputError(f"{where} must be a list of arrays, one for each view")
            alone = isinstance(views, np.ndarray) and views.dtype != object and views.ndim == 3
            for view, points in enumerate([views] if alone else views):
                found.append(_Sequence(str(video), str(action), view, _numbers(points, f"{where}[{view}]")))
    joints = {one.points.shape[1] for one in found}
    if len(joints) > 1:
        counts = " and ".join(map(str, sorted(joints)))
        raise InputError(f"{path} has sequences of {counts} joints: write one file for each")
    return [one for one in found if len(one.points)]


def _numbers(points: Any, where: str) -> np.ndarray:
    try:
        values = np.asarray(points)
    except ValueError:  # lists of different lengths
        raise InputError(f"{where} must hold numbers of shape (frames, joints, 2 or 3)") from None
    if values.dtype.kind not in "fiu" or values.ndim != 3 or values.shape[2] not in (2, 3):
        raise InputError(f"{where} must hold numbers of shape (frames, joints, 2 or 3), has {values.shape}")
    return values.astype(np.float64)


def _joints(
    path: Path, sequences: list[_Sequence], metadata: Any, reading: Reading
) -> tuple[NamedColumns, tuple[int, ...]]:
    """What the joints that are used are, and which of the file's they are."""
    joints = _joint_count(sequences)
    named = isinstance(metadata, dict) and {"layout_name", "keypoints_symmetry"} & set(metadata)
    if reading.mapping is not None or (joints != 32 and not named):
        return joint_columns(reading, f"{path}: positions_2d", joints), tuple(range(joints))
    positions: dict[str, dict[str, list[np.ndarray]]] = {}
    for one in sequences:
        positions.setdefault(one.video, {}).setdefault(one.action, []).append(one.points[..., :2])
    try:
        layout = layout_of(path, positions, metadata)
    except InputError:
        if reading.skeleton is None:
            raise
        # Metadata of another tool, which the user knows better.
        return joint_columns(reading, f"{path}: positions_2d", joints), tuple(range(joints))
    skeleton = reading.tells(layout.mapping.source, f"{path}: metadata")
    columns = joint_columns(reading, f"{path}: metadata", len(skeleton), names=skeleton.joints)
    return columns, layout.taken
