r"""The cameras of Human3.6M, from the data set's own metadata.xml.

Its element `w0` is a list of 300 numbers: for each of the four cameras, for each of the eleven subjects, three angles
and the camera's position in the world (mm); then for each camera f (2), c (2), radial k (3) and tangential p (2)
distortion. A point of the world comes into the camera's frame by

.. math:: x_{camera} = R_x(a) R_y(b) R_z(c) (x_{world} - position).

The data set's own projection has half of OpenCV's term in p that goes with the point; with p as small as here, the two
agree to about half a pixel in the corners of the image and much better where people are.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
from jaxtyping import Float64
from scipy.spatial.transform import Rotation

from evolift.posedata.camera import Camera
from evolift.posedata.errors import InputError
from evolift.posedata.importers.human36m import CAMERA_SIZES
from evolift.posedata.input_file import reading

_PEOPLE = 11
_OUTER = 6 * _PEOPLE * len(CAMERA_SIZES)
_INNER = 9 * len(CAMERA_SIZES)


def read_human36m_cameras(path: Path) -> dict[tuple[str, str], Camera]:
    """(subject, camera) -> camera, for example ("S1", "54138969").

    Args:
        path: metadata.xml, as it comes with the data set's visualisation software.

    Raises:
        InputError: it is not that file.
    """
    with reading(path):
        data = path.read_bytes()
    if b"<!ENTITY" in data:
        raise InputError(
            f"{path} defines entities, which Human3.6M's metadata.xml does not: give the original"
        )
    try:
        root = ET.fromstring(data)
    except ET.ParseError as error:
        raise InputError(f"{path} is not readable XML ({error}): give Human3.6M's metadata.xml") from None
    names = [item.text for item in root.findall("dbcameras/index2id/item")]
    if names != list(CAMERA_SIZES):
        raise InputError(
            f"{path} does not name the cameras {', '.join(CAMERA_SIZES)}: give Human3.6M's metadata.xml"
        )
    numbers = _numbers(root.findtext("w0", ""), path)
    cameras = {}
    for index, (name, size) in enumerate(CAMERA_SIZES.items()):
        f, c, k, p = np.split(numbers[_OUTER + 9 * index : _OUTER + 9 * (index + 1)], (2, 4, 7))
        K = np.array([[f[0], 0, c[0]], [0, f[1], c[1]], [0, 0, 1]])
        for person in range(_PEOPLE):
            start = 6 * (_PEOPLE * index + person)
            R = Rotation.from_euler("XYZ", numbers[start : start + 3]).as_matrix()
            t = -R @ numbers[start + 3 : start + 6]
            distortion = np.array([k[0], k[1], p[0], p[1], k[2]])
            subject = f"S{person + 1}"
            cameras[subject, name] = Camera(K, *size, R, t, distortion, f"{subject}/{name}")
    return cameras


def _numbers(text: str, path: Path) -> Float64[np.ndarray, "numbers"]:
    try:
        numbers = np.array([float(word) for word in re.sub(r"[\[\],]", " ", text).split()])
    except ValueError:
        numbers = np.empty(0)
    if len(numbers) != _OUTER + _INNER or not np.isfinite(numbers).all():
        raise InputError(
            f"{path}: its element w0 must hold {_OUTER + _INNER} numbers, {len(numbers)} could be read: give Human3.6M's metadata.xml"
        )
    return numbers
