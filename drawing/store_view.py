"""Images of the rows of a pose store: a contact sheet, or a page with a 3D skeleton that the mouse rotates."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from jaxtyping import Float32, Int64, UInt8

from evolift.drawing.image_sheet import image_sheet
from evolift.drawing.overlay import draw_joints
from evolift.drawing.pose_figure import figure_image, new_figure, plot_pose, pose_axes
from evolift.drawing.pose_page import PosePageItem, write_pose_page
from evolift.posedata.errors import InputError
from evolift.posedata.image_file import read_image
from evolift.posedata.poses import Poses
from evolift.posedata.store import PoseStore

TILE = 256


def chosen_rows(
    store: PoseStore, *, subject: str | None, action: str | None, start: int, count: int, spread: bool
) -> Int64[np.ndarray, "rows"]:
    """Row numbers to show.

    Args:
        store: whose rows.
        subject, action: only these; None for all.
        start: of the rows that fit, leave out so many.
        count: at most so many.
        spread: evenly from all that fit, instead of one after the other.

    Raises:
        InputError: no row fits.
    """
    table: pd.DataFrame = store.table()
    fits = np.ones(len(table), bool)
    for column, label in (("subject", subject), ("action", action)):
        if label is not None:
            fits &= (table[column] == label).to_numpy()
    rows = np.flatnonzero(fits)[start:]
    if not len(rows):
        known = ", ".join(f"{name}s {' '.join(store.labels[name])}" for name in ("subject", "action"))
        raise InputError(f"{store.path}: no row fits `subject`, `action` and `start` (it has {known})")
    if spread and len(rows) > count:
        return rows[np.linspace(0, len(rows) - 1, count).round().astype(np.int64)]
    return rows[:count]


def store_sheet(
    store: PoseStore, rows: Int64[np.ndarray, "rows"], *, columns: int = 6
) -> UInt8[np.ndarray, "height width 3"]:
    """Contact sheet: the rows' images with their 2D joints where there are any, else stick figures.

    Raises:
        InputError: an image is missing or not an image, or the rows have neither image nor 3D joints.
    """
    poses = store.read(rows)
    tiles = [_tile(store, poses, i) for i in range(len(poses))]
    return image_sheet(tiles, _captions(poses, rows), columns=columns, tile=(TILE, TILE))


def write_store_page(
    store: PoseStore, rows: Int64[np.ndarray, "rows"], path: Path, *, overwrite: bool = False
) -> None:
    """Self-contained HTML page with the rows as frames: slider, play button, 3D skeleton, and images if any.

    Raises:
        InputError: an image is missing or not an image.
        OutputError: the file exists, or cannot be written.
    """
    poses = store.read(rows)
    captions = _captions(poses, rows)
    items = [
        PosePageItem(
            _image(store, poses, i),
            None if poses.joints_2d is None else _seen_joints(poses, i),
            _rooted(store, poses, i),
            None,
            store.skeleton,
            captions[i],
            i,
        )
        for i in range(len(poses))
    ]
    notes = [f"{store.path.name}: {len(rows)} of {len(store)} rows, made by {store.provenance.command}."]
    write_pose_page(path, items, title=f"Poses of {store.path.name}", overwrite=overwrite, notes=notes)


def _captions(poses: Poses, rows: Int64[np.ndarray, "rows"]) -> list[str]:
    return [
        f"{row}: {subject} {action} {frame}"
        for row, subject, action, frame in zip(rows, poses.subject, poses.action, poses.frame, strict=True)
    ]


def _image(store: PoseStore, poses: Poses, i: int) -> UInt8[np.ndarray, "height width 3"] | None:
    if poses.image is None or not poses.image[i]:
        return None
    path = store.image_folder / poses.image[i]
    if not path.is_file():
        raise InputError(f"{path} is missing: {store.path} names it as an image")
    try:
        return read_image(path)
    except InputError as error:
        raise InputError(f"{error} (it is not an image that {store.path} can be shown with)") from None


def _seen_joints(poses: Poses, i: int) -> Float32[np.ndarray, "joints 2"]:
    assert poses.joints_2d is not None
    assert poses.visibility is not None
    joints: np.ndarray = np.where(poses.visibility[i, :, None] > 0, poses.joints_2d[i], np.nan).astype(
        np.float32
    )
    return joints


def _rooted(store: PoseStore, poses: Poses, i: int) -> Float32[np.ndarray, "joints 3"]:
    """Root-relative joints with camera axes; a world pose as seen by someone who looks along +y."""
    if poses.joints_3d is None:
        return np.full((len(store.skeleton), 3), np.nan, np.float32)
    joints: np.ndarray = poses.joints_3d[i] - poses.joints_3d[i, store.skeleton.root]
    if store.coordinate_frame == "world":
        joints = joints[:, [0, 2, 1]] * np.array([1, -1, 1], np.float32)
    return joints


def _tile(store: PoseStore, poses: Poses, i: int) -> UInt8[np.ndarray, "height width 3"]:
    image = _image(store, poses, i)
    if image is not None:
        if poses.joints_2d is None or poses.visibility is None:
            return image
        scale = TILE / max(image.shape[:2])
        small = cv2.resize(
            image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        )
        # Pixel centres: the middle of pixel 0 is 0 before and after.
        joints = (poses.joints_2d[i] + 0.5) * scale - 0.5
        return draw_joints(small, joints, store.skeleton, visibility=poses.visibility[i])
    if poses.joints_3d is None:
        raise InputError(f"{store.path}: it has neither images nor 3D joints to show")
    figure = new_figure(2.56, 2.56)
    axes = pose_axes(figure)
    in_world = store.coordinate_frame == "world"
    plot_pose(axes, poses.joints_3d[i], store.skeleton, frame="world" if in_world else "camera")
    axes.set_axis_off()
    axes.set_box_aspect((1, 1, 1), zoom=1.6)  # no labels, so the figure may fill the tile
    return figure_image(figure)
