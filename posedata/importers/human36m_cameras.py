r"""The cameras of Human3.6M: from the data set's own metadata.xml, or those built in.

The element `w0` of metadata.xml is a list of 300 numbers: for each of the four cameras, for each of the eleven subjects,
three angles and the camera's position in the world (mm); then for each camera f (2), c (2), radial k (3) and tangential
p (2) distortion, in OpenCV's order. A point of the world comes into the camera's frame by

.. math:: x_{camera} = R_x(a) R_y(b) R_z(c) (x_{world} - position).

The data set's own projection has half of OpenCV's term in p that goes with the point; with p as small as here, the two
agree to about half a pixel in the corners of the image and much better where people are.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

import numpy as np
from jaxtyping import Float64
from scipy.spatial.transform import Rotation

from evolift.posedata.camera import Camera
from evolift.posedata.errors import InputError, reason_of, within
from evolift.posedata.importers.human36m import CAMERA_SIZES
from evolift.posedata.importers.human36m_camera_numbers import EXTRINSICS, INTRINSICS
from evolift.posedata.input_file import reading
from evolift.posedata.output_file import sha256_of

CameraKey = tuple[str, str]
"""Subject and camera, for example ("S1", "54138969")."""

BUILT_IN = "cameras: the ones of Human3.6M that evolift has built in"
"""What is said when they are used."""

_PEOPLE = 11
_OUTER = 6 * _PEOPLE * len(CAMERA_SIZES)
_INNER = 9 * len(CAMERA_SIZES)


@dataclass(frozen=True, eq=False)
class CameraSet:
    """The cameras that an import takes.

    Args:
        cameras: by subject and camera.
        path: file that they are read from; None for those built in.
        note: what an import says of them, "" if there is nothing to say.
    """

    cameras: Mapping[CameraKey, Camera]
    path: Path | None = None
    note: str = ""

    def camera(self, subject: str, name: str) -> Camera:
        """One of them.

        Raises:
            InputError: it is not there.
        """
        if (subject, name) not in self.cameras:
            owner = "evolift has built in" if self.path is None else f"{self.path} has"
            raise InputError(
                f"{owner} no camera {name} of {subject}: choose other `subjects`, or give the cameras that belong to the poses"
            )
        return self.cameras[subject, name]

    def covers(self, subjects: Iterable[str]) -> bool:
        """Whether all four cameras of these subjects are there."""
        return all((subject, name) in self.cameras for subject in subjects for name in CAMERA_SIZES)

    def hashes(self) -> dict[str, str]:
        """SHA-256 of the file, for provenance; nothing for those built in."""
        return {} if self.path is None else {self.path.name: sha256_of(self.path)}

    @property
    def source(self) -> str:
        """Where they come from, for provenance: the file's name or "built in"."""
        return "built in" if self.path is None else self.path.name

    @property
    def notes(self) -> tuple[str, ...]:
        """What an import says of them."""
        return (self.note,) if self.note else ()


def human36m_cameras(metadata: Path | None) -> CameraSet:
    """The cameras of metadata.xml, or those built in if that is not given.

    Raises:
        InputError: the file is not metadata.xml.
    """
    if metadata is None:
        return CameraSet(built_in_cameras(), note=BUILT_IN)
    return CameraSet(read_human36m_cameras(metadata), metadata)


@cache
def built_in_cameras() -> Mapping[CameraKey, Camera]:
    """(subject, camera) -> camera, mm and px, of the seven subjects with public poses (S1, S5, S6, S7, S8, S9, S11)."""
    return MappingProxyType(
        {
            (subject, name): _camera(np.array(outer), np.array(INTRINSICS[name]), subject, name)
            for subject, outers in EXTRINSICS.items()
            for name, outer in outers.items()
        }
    )


def read_human36m_cameras(path: Path) -> dict[CameraKey, Camera]:
    """(subject, camera) -> camera, for example ("S1", "54138969"), of all eleven subjects.

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
        raise InputError(
            f"{path} is not readable XML ({reason_of(error)}): give Human3.6M's metadata.xml"
        ) from None
    names = [item.text for item in root.findall("dbcameras/index2id/item")]
    if names != list(CAMERA_SIZES):
        raise InputError(
            f"{path} does not name the cameras {', '.join(CAMERA_SIZES)}: give Human3.6M's metadata.xml"
        )
    numbers = _numbers(root.findtext("w0", ""), path)
    inner = numbers[_OUTER:].reshape(len(CAMERA_SIZES), -1)
    outer = numbers[:_OUTER].reshape(len(CAMERA_SIZES), _PEOPLE, -1)
    with within(str(path)):
        return {
            (f"S{person + 1}", name): _camera(outer[index, person], inner[index], f"S{person + 1}", name)
            for index, name in enumerate(CAMERA_SIZES)
            for person in range(_PEOPLE)
        }


def _camera(
    outer: Float64[np.ndarray, "6"], inner: Float64[np.ndarray, "9"], subject: str, name: str
) -> Camera:
    f, c, k, p = np.split(inner, (2, 4, 7))
    K = np.array([[f[0], 0, c[0]], [0, f[1], c[1]], [0, 0, 1]])
    R = Rotation.from_euler("XYZ", outer[:3]).as_matrix()
    distortion = np.array([k[0], k[1], p[0], p[1], k[2]])
    return Camera(K, *CAMERA_SIZES[name], R, -R @ outer[3:], distortion, f"{subject}/{name}")


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
