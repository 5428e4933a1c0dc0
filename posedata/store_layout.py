"""The layout of the pose store, and what no store may hold; `store` reads it and `store_writer` writes it.

Layout (schema version 1)::

    /                attributes: format, schema_version, skeleton (JSON), coordinate_frame, units, image_root,
                     unlabelled (JSON), provenance (JSON); implausible, true where the user insisted on
                     poses that do not look like people's
    /poses/          one dataset per column of `evolift.posedata.poses.Poses`, rows first, chunked and compressed;
                     subject, action and operator are codes into /labels
    /labels/         subject, action, operator: UTF-8 strings
    /cameras/        name, K, R, t, distortion, size

`coordinate_frame` is "world" (z up), "camera" (each row in the frame of its camera), or "none" (no 3D joints).
`unlabelled` names the joints that the source of this file lacks in 3D (the nose of SMPL's joints, for example): they are 0 in the
file and NaN in memory, and all other values are finite.
Files hold no times and no machine names: the same rows and provenance give the same bytes, however they were
cut into `append` calls.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import h5py
import msgspec
import numpy as np
import numpy.typing as npt

from evolift.posedata.errors import EvoliftError, StoreError, reason_of
from evolift.posedata.hdf5_file import reading_hdf5, require_sound_file, require_stored
from evolift.posedata.poses import NO_CAMERA, NO_PARENT
from evolift.posedata.version import __version__

FORMAT = "evolift-pose-store"
SCHEMA_VERSION = 1
ACCEPTED = "implausible"
DONORS = "donors"
"""Key of the parameters in provenance."""
CHUNK_ROWS = 4096
CoordinateFrame = Literal["world", "camera", "none"]

LABELLED = ("subject", "action", "operator")
LINEAGE = ("generation", "parent_a", "parent_b", "operator")
DTYPES: dict[str, type[np.generic]] = {
    "joints_3d": np.float32,
    "joints_2d": np.float32,
    "visibility": np.uint8,
    "subject": np.int32,
    "action": np.int32,
    "frame": np.int64,
    "camera": np.int32,
    "box": np.float32,
    "generation": np.int32,
    "parent_a": np.int64,
    "parent_b": np.int64,
    "operator": np.int32,
}
CAMERA_SHAPES: dict[str, tuple[int, ...]] = {
    "K": (3, 3),
    "R": (3, 3),
    "t": (3,),
    "distortion": (5,),
    "size": (2,),
}


class Donor(msgspec.Struct, frozen=True):
    """A store whose poses gave limbs to evolved ones, as provenance keeps it.

    Args:
        store: name of its file.
        poses: that it has.
    """

    store: str
    poses: Annotated[int, msgspec.Meta(ge=1)]


def donor_parents(numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """What `parent_b` is for a child of donors, given by their places in all donor stores one after the other."""
    return NO_PARENT - 1 - numbers


@dataclass(frozen=True)
class Provenance:
    """How a store was made.

    Args:
        command: for example "evolift data import cmu".
        parameters: every setting that changes the rows (not worker counts or devices), plain JSON values.
        seed: of the random draws, None if there are none.
        inputs: file name -> SHA-256 of its bytes.
        version: of evolift.
    """

    command: str
    parameters: dict[str, Any] = field(default_factory=dict)
    seed: int | None = None
    inputs: dict[str, str] = field(default_factory=dict)
    version: str = __version__

    @property
    def donors(self) -> tuple[Donor, ...]:
        """The stores that gave limbs, in their order; none for most stores, and for one whose record of them is damaged."""
        try:
            return msgspec.convert(self.parameters.get(DONORS, ()), tuple[Donor, ...])
        except msgspec.ValidationError:
            return ()

    def donor_of(self, parent_b: int) -> tuple[str, int] | None:
        """File name and row of the donor that a `parent_b` below -1 stands for; None if there is no such one."""
        row = NO_PARENT - 1 - parent_b
        if row < 0:
            return None
        for donor in self.donors:
            if row < donor.poses:
                return donor.store, row
            row -= donor.poses
        return None


def open_hdf5(path: Path) -> h5py.File:
    """Open an HDF5 file to read.

    Raises:
        StoreError: there is none, or it is damaged.
    """
    if not path.is_file():
        raise StoreError(f"{path} is not a file: give the path of a pose store (.h5)")
    try:
        require_sound_file(path, StoreError)
        return h5py.File(path, "r")
    except (OSError, ValueError, RuntimeError, OverflowError) as error:
        raise StoreError(f"{path} is not a readable HDF5 file ({reason_of(error)}): make it again") from None


def refuse_links(
    path: Path, group: h5py.Group, error: type[EvoliftError] = StoreError, *, size: int | None = None
) -> None:
    """Refuse links, data kept in other files, pickled objects, and datasets that declare more than is there.

    Args:
        path: of the file.
        group: what is below it is looked at.
        error: what to raise if it is damaged.
        size: bytes of the file, if it is not at `path`.

    Raises:
        StoreError: there is one below `group`.
        EvoliftError: of the class `error`: what is there cannot be read.
    """
    with reading_hdf5(str(path), "make or download it again", error):
        _refuse_links(path, group, path.stat().st_size if size is None else size)


def _refuse_links(path: Path, group: h5py.Group, size: int) -> None:
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise StoreError(
                f"{path}: {group.name.rstrip('/')}/{name} is a link; links are refused because they may lead out of the file"
            )
        item = group[name]
        if isinstance(item, h5py.Group):
            _refuse_links(path, item, size)
        elif item.is_virtual or item.external:
            raise StoreError(f"{path}: dataset {item.name} keeps its data in another file, which is refused")
        elif item.dtype.hasobject and h5py.check_string_dtype(item.dtype) is None:
            raise StoreError(f"{path}: dataset {item.name} holds objects, which are refused")
        else:
            require_stored(path, item, size, StoreError)


def check_values(
    path: Path, columns: dict[str, np.ndarray], start: int, joints: int, cameras: int, donors: int
) -> None:
    """Check rows, the first of which is row `start` of the store.

    Args:
        path: for messages.
        columns: values by name of their dataset.
        start: row number of the first.
        joints: of the skeleton.
        cameras: in the store.
        donors: poses of all donor stores, see `Provenance.donors`.

    Raises:
        StoreError: a value cannot be.
    """
    for name, values in columns.items():
        if name in ("joints_3d", "joints_2d", "visibility") and values.shape[1] != joints:
            raise StoreError(f"{path}: {name} has {values.shape[1]} joints, its skeleton has {joints}")
        if values.dtype.kind == "f":
            # A finite sum proves that all is finite and is much faster to compute than the test per value.
            with np.errstate(over="ignore", invalid="ignore"):
                suspicious = not np.isfinite(values.sum(dtype=np.float64))
            if suspicious:
                refuse(
                    path, name, start, ~np.isfinite(values).reshape(len(values), -1).all(-1), "is not finite"
                )
    if "visibility" in columns:
        refuse(path, "visibility", start, (columns["visibility"] > 2).any(-1), "is not 0, 1 or 2")
    if "camera" in columns:
        camera = columns["camera"]
        refuse(path, "camera", start, (camera < NO_CAMERA) | (camera >= cameras), "points to no camera")
    if "box" in columns:
        refuse(
            path,
            "box",
            start,
            (columns["box"][:, 2:] <= 0).any(-1),
            "has a width or height that is not positive",
        )
    for name, lowest in (("parent_a", NO_PARENT), ("parent_b", NO_PARENT - donors)):
        if name in columns:
            refuse(path, name, start, columns[name] < lowest, "points to no row")


def refuse(path: Path, dataset: str, start: int, wrong: npt.NDArray[np.bool_] | np.bool_, what: str) -> None:
    """Raise StoreError with the first row where `wrong` is True, if there is any."""
    if wrong.any():
        raise StoreError(
            f"{path}: dataset /poses/{dataset}, row {start + int(wrong.argmax())}: {what} ({int(wrong.sum())} such rows here): make the store again"
        )
