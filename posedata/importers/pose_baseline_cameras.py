"""The cameras of the archive of 3d-pose-baseline (Martinez et al., ICCV 2017): cameras.h5.

For each subject and camera a group `subject1/camera1` holds R (3, 3), T (3, 1) mm, f and c (2, 1) px, k (3, 1), p (2, 1) and Name,
the codes of the letters. MATLAB wrote it, so that matrices come out of h5py transposed: a point of the world is
`(W - T) @ R` in the camera's frame, with R as it is read.

Of the order of the two numbers p the file says nothing, and both are about. The copy in KevinLTT/video2bvh has metadata.xml's
order, which is OpenCV's; others read p as reversed (tensorflow-datasets' h3m_lift turns it round), and VideoPose3D prints it so.
The cameras are known, so p tells its order itself: it is OpenCV's where it is that of `human36m_camera_numbers`, and
reversed against OpenCV's otherwise.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from jaxtyping import Float64

from evolift.posedata.camera import Camera
from evolift.posedata.errors import InputError, reason_of, within
from evolift.posedata.hdf5_file import reading_hdf5, require_sound_heaps
from evolift.posedata.importers.human36m import CAMERA_SIZES
from evolift.posedata.importers.human36m_camera_numbers import INTRINSICS
from evolift.posedata.importers.human36m_cameras import CameraKey
from evolift.posedata.store_layout import refuse_links

_SIZES = {"R": 9, "T": 3, "f": 2, "c": 2, "k": 3, "p": 2}


def open_h5(data: bytes, label: str) -> h5py.File:
    """An HDF5 file in memory; links and data in other files are refused.

    Raises:
        InputError: it is damaged.
        StoreError: it has a link.
    """
    require_sound_heaps(label, data, InputError)
    try:
        file = h5py.File(io.BytesIO(data), "r")
    except (OSError, ValueError, RuntimeError, OverflowError) as error:
        raise InputError(
            f"{label} is not a readable HDF5 file ({reason_of(error)}): download it again"
        ) from None
    refuse_links(Path(label), file, InputError, size=len(data))
    return file


def read_numbers(file: h5py.File, name: str, label: str) -> Float64[np.ndarray, "*shape"]:
    """Finite numbers of one dataset.

    Raises:
        InputError: there is none of this name, or it holds something else.
    """
    with reading_hdf5(f"{label}: {name}"):
        item = file.get(name)
    try:
        is_real = isinstance(item, h5py.Dataset) and item.dtype.kind in "biuf"
        values = np.asarray(item[()] if is_real else np.nan, np.float64)
    except (OSError, TypeError, ValueError, RuntimeError, OverflowError):
        values = np.array(np.nan)
    if not values.size or not np.isfinite(values).all():
        raise InputError(f"{label} must have a dataset {name!r} of finite numbers: download it again")
    return values


def read_pose_baseline_cameras(data: bytes, label: str) -> tuple[dict[CameraKey, Camera], bool]:
    """(subject, camera) -> camera, and whether p is in OpenCV's order in the file.

    Args:
        data: of cameras.h5.
        label: of the file, for messages.

    Raises:
        InputError: it is not such a file.
        StoreError: it has a link.
    """
    with open_h5(data, label) as file:
        entries = {
            (subject, name): values
            for number in range(1, 12)
            if isinstance(file.get(f"subject{number}"), h5py.Group)
            for subject in (f"S{number}",)
            for index in range(1, 1 + len(CAMERA_SIZES))
            for name, values in (_entry(file, f"subject{number}/camera{index}", label),)
        }
    if not entries:
        raise InputError(
            f"{label} has no group subject1 or of another subject: give the archive's cameras.h5"
        )
    is_opencv = all(
        np.allclose(values["p"], INTRINSICS[name][7:], rtol=1e-5, atol=0)
        for (_, name), values in entries.items()
    )
    with within(label):
        cameras = {key: _camera(*key, values, is_opencv) for key, values in entries.items()}
    return cameras, is_opencv


def _entry(file: h5py.File, group: str, label: str) -> tuple[str, dict[str, Any]]:
    codes = read_numbers(file, f"{group}/Name", label).reshape(-1)
    name = "".join(chr(int(code)) for code in codes if 0 < code < 128)
    if name not in CAMERA_SIZES:
        raise InputError(
            f"{label}: {group}/Name is {name[:80]!r}, none of {', '.join(CAMERA_SIZES)}: give the archive's cameras.h5"
        )
    values = {key: read_numbers(file, f"{group}/{key}", label) for key in _SIZES}
    for key, size in _SIZES.items():
        if values[key].size != size:
            raise InputError(
                f"{label}: {group}/{key} must have {size} numbers, it has {values[key].size}: give the archive's cameras.h5"
            )
    return name, {key: values[key].reshape(-1) for key in _SIZES}


def _camera(subject: str, name: str, values: dict[str, Any], is_opencv: bool) -> Camera:
    f, c, k = values["f"], values["c"], values["k"]
    p1, p2 = values["p"] if is_opencv else values["p"][::-1]
    R = values["R"].reshape(3, 3).T
    K = np.array([[f[0], 0, c[0]], [0, f[1], c[1]], [0, 0, 1]])
    distortion = np.array([k[0], k[1], p1, p2, k[2]])
    return Camera(K, *CAMERA_SIZES[name], R, -R @ values["T"], distortion, f"{subject}/{name}")
