"""Importer for the Human3.6M annotations of mmpose: `h36m_train.npz` or `h36m_test.npz`, and `cameras.pkl`.

The .npz has a row for each image: imgname (S1/S1_Directions_1.54138969/S1_Directions_1.54138969_000001.jpg), center and
scale (a box of 200 px times scale), part (17 times x, y, visible) in pixels and S (17 times x, y, z, visible) in metres in
the frame of the camera. cameras.pkl is a table by (subject, camera): R and T (metres) from camera to world, f, c, k, p, w, h.
It is a pickle, of which only arrays and containers are read. Human3.6M's metadata.xml tells the same cameras, and so do
those built in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evolift.posedata.camera import Camera
from evolift.posedata.errors import InputError
from evolift.posedata.importers.human36m import EVERYTHING, Choice, Human36mSummary, canonical_action
from evolift.posedata.importers.human36m_cameras import CameraKey, CameraSet, human36m_cameras
from evolift.posedata.importers.image_folder import image_inside, relative_folder
from evolift.posedata.importers.npz_columns import stream_npz_columns
from evolift.posedata.joint_mapping import UNLABELLED, VISIBLE
from evolift.posedata.output_file import check_output, sha256_of
from evolift.posedata.plain_pickle import read_pickle
from evolift.posedata.plausibility import imported
from evolift.posedata.poses import Poses, label_each
from evolift.posedata.progress import Progress, no_progress
from evolift.posedata.skeleton import H36M17
from evolift.posedata.store import PoseStoreWriter, Provenance

SCALE_PIXELS = 200.0
MAX_PIXELS = 10.0
"""Median distance between the 2D joints and the 3D ones seen through their camera, above which they do not belong together."""
_NAME = re.compile(r"(?:.*[/\\])?(S\d+)_([A-Za-z0-9_ ]+)\.(\d+)_(\d+)\.(?:jpe?g|png)", re.IGNORECASE)
_SHAPES: dict[str, tuple[int | None, ...]] = {
    "imgname": (),
    "center": (2,),
    "scale": (),
    "part": (17, 3),
    "S": (17, 4),
}

CAMERA_FILE = "cameras.pkl"


@dataclass(frozen=True)
class _Name:
    """What the name of an image tells."""

    subject: str
    action: str
    camera: str
    frame: int


def import_mmpose(
    source: Path,
    target: Path,
    *,
    cameras: Path | None = None,
    metadata: Path | None = None,
    images: Path | None = None,
    choice: Choice = EVERYTHING,
    implausible: bool = False,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> Human36mSummary:
    """Write a pose store (H36M17, 3D in the world, 2D, boxes).

    Args:
        source: h36m_train.npz or h36m_test.npz.
        target: the store to write.
        cameras: cameras.pkl; if it is not given, the one beside the source or in the folder above, where mmpose puts it,
            and else those built in.
        metadata: Human3.6M's metadata.xml instead.
        images: folder that the names of the images are relative to; None leaves images out.
        choice: of subjects and sequences.
        implausible: accept poses that do not look like people's in millimetres with z up, rows of no sense among them; these
            rows are left out otherwise (`evolift.posedata.plausibility`).
        overwrite: replace an existing store.
        progress: counts rows.

    Raises:
        InputError: a file is damaged or not of this layout, an image is missing, or the cameras do not fit the poses.
        OutputError: the target exists or cannot be written.
    """
    check_output(target, overwrite=overwrite, inputs=[source, cameras, metadata, images])
    known = _cameras(source, cameras, metadata)
    provenance = Provenance(
        "evolift data import mmpose",
        {"images": images is not None, "cameras": known.source, **choice.parameters()},
        inputs={source.name: sha256_of(source)} | known.hashes(),
    )
    root = "" if images is None else relative_folder(images, target.parent)
    left_out: dict[str, str] = {}
    sequences: set[tuple[str, str]] = set()
    with PoseStoreWriter(
        target,
        H36M17,
        "world",
        provenance,
        image_root=root,
        source=source,
        implausible=imported(implausible),
        overwrite=overwrite,
    ) as writer:
        indices: dict[CameraKey, int] = {}
        start = 0
        for block in stream_npz_columns(source, _SHAPES):
            names = _names(block["imgname"], source, start)
            kept = np.array([_is_kept(name, choice, left_out) for name in names])
            if kept.any():
                chosen = [name for name, is_kept in zip(names, kept, strict=True) if is_kept]
                sequences |= {(name.subject, name.action) for name in chosen}
                for key in dict.fromkeys((name.subject, name.camera) for name in chosen):
                    if key not in indices:
                        indices[key] = writer.add_camera(known.camera(*key))
                columns = {name: values[kept] for name, values in block.items()}
                _check_finite(columns, source, start + np.flatnonzero(kept))
                camera = np.array([indices[name.subject, name.camera] for name in chosen], np.int32)
                paths = None if images is None else list(_checked_images(images, columns["imgname"], source))
                poses = _rows(chosen, columns, camera, writer.cameras, paths, source)
                writer.append(poses)
            start += len(names)
            progress(len(names))
        writer.check_plausibility()
        written = len(writer)
        if not written:
            raise InputError(f"{source} has no row of these subjects: choose others by `subjects`")
    return Human36mSummary(len(sequences), written, left_out, images, known.notes)


def _cameras(source: Path, cameras: Path | None, metadata: Path | None) -> CameraSet:
    if cameras is not None and metadata is not None:
        raise InputError(
            "cameras come either from cameras.pkl or from metadata.xml: give one of `cameras` and `metadata`"
        )
    if metadata is not None:
        return human36m_cameras(metadata)
    if cameras is not None:
        return CameraSet(read_mmpose_cameras(cameras), cameras)
    for folder in (source.parent, source.parent.parent):
        if (folder / CAMERA_FILE).is_file():
            path = folder / CAMERA_FILE
            return CameraSet(read_mmpose_cameras(path), path, f"cameras: those of {path}")
    return human36m_cameras(None)


def read_mmpose_cameras(path: Path) -> dict[CameraKey, Camera]:
    """(subject, camera) -> camera, from cameras.pkl.

    Raises:
        InputError: it is not such a table, or holds anything but arrays and containers.
    """
    table = read_pickle(path)
    if not isinstance(table, dict) or not table:
        raise InputError(f"{path} is not a table of cameras: give mmpose's cameras.pkl")
    cameras = {}
    for key, values in table.items():
        if not (isinstance(key, tuple) and len(key) == 2 and isinstance(values, dict)):
            raise InputError(f"{path} is not a table by (subject, camera): give the cameras.pkl of Human3.6M")
        subject, name = map(str, key)
        where = f"{path}: {key}"
        R, T = _entry(values, "R", 9, where).reshape(3, 3), _entry(values, "T", 3, where)
        f, c = _entry(values, "f", 2, where), _entry(values, "c", 2, where)
        k, p = _entry(values, "k", 3, where), _entry(values, "p", 2, where)
        width, height = _entry(values, "w", 1, where)[0], _entry(values, "h", 1, where)[0]
        K = np.array([[f[0], 0, c[0]], [0, f[1], c[1]], [0, 0, 1]])
        distortion = np.array([k[0], k[1], p[0], p[1], k[2]])
        try:
            cameras[subject, name] = Camera(
                K, int(width), int(height), R.T, -R.T @ (1000 * T), distortion, f"{subject}/{name}"
            )
        except (InputError, OverflowError) as error:
            raise InputError(f"{where}: {error}") from None
    return cameras


def _entry(values: dict[Any, Any], name: str, size: int, where: str) -> np.ndarray:
    try:
        array = np.asarray(values[name], np.float64).reshape(-1)
    except (KeyError, TypeError, ValueError, OverflowError):
        array = np.empty(0)
    if len(array) != size or not np.isfinite(array).all():
        raise InputError(f"{where} must have {name!r} with {size} finite numbers: give mmpose's cameras.pkl")
    return array


def _names(values: np.ndarray, source: Path, start: int) -> list[_Name]:
    if values.dtype.kind not in "US":
        raise InputError(
            f"{source}: imgname must be texts, it is {values.dtype}: make it again with mmpose's script"
        )
    names = []
    for row, value in enumerate(values.astype(str).tolist(), start):
        match = _NAME.fullmatch(value)
        if match is None:
            raise InputError(
                f"{source}: imgname[{row}] {value[:80]!r} does not tell subject, action, camera and frame: make it again with mmpose's script"
            )
        names.append(_Name(match[1], canonical_action(match[2]), match[3], int(match[4])))
    return names


def _is_kept(name: _Name, choice: Choice, left_out: dict[str, str]) -> bool:
    if not choice.is_wanted(name.subject):
        return False
    problem = choice.problem(name.subject, name.action)
    if problem is not None:
        left_out[f"{name.subject} {name.action}"] = problem
    return problem is None


def _check_finite(columns: dict[str, np.ndarray], source: Path, rows: np.ndarray) -> None:
    for name, values in columns.items():
        if name == "imgname":
            continue
        if values.dtype.kind not in "fiu":
            raise InputError(f"{source}: {name} must be numbers, it is {values.dtype}: make it again")
        strange = ~np.isfinite(values.reshape(len(values), -1)).all(1)
        if strange.any():
            raise InputError(f"{source}: {name}[{rows[strange][0]}] is not finite: make it again")
    if (columns["scale"] <= 0).any():
        raise InputError(f"{source}: scale[{rows[columns['scale'] <= 0][0]}] is not positive: make it again")


def _checked_images(images: Path, names: np.ndarray, source: Path) -> Iterator[str]:
    for name in names.astype(str).tolist():
        if not image_inside(images, name, str(source)).is_file():
            raise InputError(
                f"{images / name} is missing: give the folder that imgname is relative to by `images`"
            )
        yield name


def _rows(
    names: list[_Name],
    columns: dict[str, np.ndarray],
    camera: np.ndarray,
    cameras: list[Camera],
    images: list[str] | None,
    source: Path,
) -> Poses:
    in_camera = 1000 * columns["S"][..., :3].astype(np.float64)
    in_world, seen = np.empty_like(in_camera), np.empty((*in_camera.shape[:2], 2))
    for index in np.unique(camera):
        in_world[camera == index] = cameras[index].to_world(in_camera[camera == index])
        seen[camera == index] = cameras[index].project(in_world[camera == index])
    visibility = np.where(columns["part"][..., 2] > 0, VISIBLE, UNLABELLED).astype(np.uint8)
    joints_2d = np.where(visibility[..., None] == UNLABELLED, 0, columns["part"][..., :2])
    labelled = visibility != UNLABELLED
    distance = np.median(np.linalg.norm(seen - joints_2d, axis=-1)[labelled]) if labelled.any() else 0.0
    if not distance <= MAX_PIXELS:
        raise InputError(
            f"{source}: its 3D joints seen through their cameras are {distance:.0f} px beside its 2D joints: give the cameras that belong to it"
        )
    side = SCALE_PIXELS * columns["scale"][:, None]
    box = np.concatenate([columns["center"] - side / 2, side, side], 1)
    return Poses(
        label_each([name.subject for name in names]),
        label_each([name.action for name in names]),
        np.array([name.frame for name in names], np.int64),
        in_world.astype(np.float32),
        joints_2d=joints_2d.astype(np.float32),
        visibility=visibility,
        camera=camera,
        image=images,
        box=box.astype(np.float32),
    )
