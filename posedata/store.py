"""The pose store: one HDF5 file format between all stages.

This module reads it, `store_writer` writes it, `store_layout` describes it; no other module knows HDF5.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, cast

import h5py
import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd

from evolift.posedata.camera import Camera
from evolift.posedata.errors import InputError, StoreError, reason_of
from evolift.posedata.hdf5_file import MIN_STRING, attribute_of, reading_hdf5
from evolift.posedata.input_file import FilePath, as_path
from evolift.posedata.named_skeleton import as_skeleton
from evolift.posedata.plausibility import Implausible, PlausibilityCheck
from evolift.posedata.poses import Lineage, Poses, labelled
from evolift.posedata.settings import shown
from evolift.posedata.skeleton import H36M17, Skeleton
from evolift.posedata.store_layout import (
    ACCEPTED,
    CAMERA_SHAPES,
    CHUNK_ROWS,
    DTYPES,
    FORMAT,
    LABELLED,
    LINEAGE,
    SCHEMA_VERSION,
    CoordinateFrame,
    Provenance,
    check_values,
    open_hdf5,
    refuse,
    refuse_links,
)
from evolift.posedata.store_writer import PoseStoreWriter

__all__ = ["CHUNK_ROWS", "CoordinateFrame", "PoseStore", "PoseStoreWriter", "Provenance", "append_to_store"]


_ADVICE = "make the store again"


class PoseStore:
    """Read a pose store; opening it validates every row, in chunks.

    A context manager. It may be passed to worker processes: each opens the file for itself, unvalidated.

    Args:
        path: of the store.
        skeleton: refuse a store of another one; itself, or its name.
        validate: False skips the reading of all rows (the structure is always checked).
        implausible: accept poses that do not look like people's in millimetres with z up (`evolift.posedata.plausibility`); the
            attribute of this name says so afterwards, or that it was accepted when the store was written.

    Raises:
        StoreError: the file is missing, not HDF5, not a pose store, of another version or skeleton, lacks a
            dataset, links out of itself, has a value that cannot be, or poses that cannot be people's; the message names file,
            dataset and row.
    """

    def __init__(
        self,
        path: FilePath,
        *,
        skeleton: Skeleton | str | None = None,
        validate: bool = True,
        implausible: bool = False,
    ) -> None:
        self.path = as_path(path)
        self._file: h5py.File | None = open_hdf5(self.path)
        try:
            with reading_hdf5(str(path), _ADVICE, StoreError):
                self._read_header()
                self.implausible = implausible or bool(self._opened.attrs.get(ACCEPTED, False))
            skeleton = None if skeleton is None else as_skeleton(skeleton)
            if skeleton is not None and skeleton != self.skeleton:
                raise StoreError(
                    f"{path}: its skeleton is {self.skeleton.name}, {skeleton.name} is needed: convert it"
                )
            if validate:
                self._validate_rows()
        except BaseException:
            self.close()
            raise

    def __repr__(self) -> str:
        return f"<PoseStore {self.path}: {len(self)} poses of {self.skeleton.name}>"

    @classmethod
    def from_array(
        cls,
        path: FilePath,
        joints_3d: npt.ArrayLike,
        skeleton: Skeleton | str = H36M17,
        *,
        coordinate_frame: CoordinateFrame = "world",
        subject: str = "someone",
        action: str = "something",
        overwrite: bool = False,
    ) -> PoseStore:
        """Write 3D poses of one person as a store, and open it.

        Args:
            path: of the store, usually ending in `.h5`.
            joints_3d: (poses, joints, 3), mm; z up, or in the frame of a camera if that is the frame.
            skeleton: of the joints, or its name.
            coordinate_frame: "world" or "camera".
            subject, action: labels of all poses.
            overwrite: replace an existing file.

        Raises:
            InputError: the array has another shape, or the skeleton is not known.
            StoreError: the poses cannot be people's.
            OutputError: the file exists, or cannot be written.
        """
        skeleton, path = as_skeleton(skeleton), as_path(path)
        poses = Poses.of_joints(joints_3d, skeleton, subject=subject, action=action)
        made = Provenance("evolift.PoseStore.from_array")
        with PoseStoreWriter(path, skeleton, coordinate_frame, made, overwrite=overwrite) as writer:
            writer.append(poses)
        return cls(path)

    def _read_header(self) -> None:
        file = self._opened
        refuse_links(self.path, file)
        if attribute_of(file, "format", "") != FORMAT:
            raise StoreError(
                f"{self.path} is an HDF5 file but not a pose store: make one with `evolift data import`"
            )
        version = file.attrs.get("schema_version")
        version = int(version) if isinstance(version, (int, np.integer)) else version
        if not isinstance(version, int) or version != SCHEMA_VERSION:
            raise StoreError(
                f"{self.path}: schema version {shown(version)}, this evolift reads {SCHEMA_VERSION}: make it again"
            )
        try:
            self.skeleton = Skeleton.from_dict(_object(attribute_of(file, "skeleton")))
            self.provenance = _provenance(attribute_of(file, "provenance"))
            self.coordinate_frame = cast(CoordinateFrame, attribute_of(file, "coordinate_frame"))
            self.image_root = attribute_of(file, "image_root")
            self.unlabelled: tuple[str, ...] = _names(attribute_of(file, "unlabelled", "[]"))
            self._lacking = [self.skeleton.index(joint) for joint in self.unlabelled]
        except (KeyError, TypeError, ValueError, RecursionError, InputError) as error:
            raise StoreError(
                f"{self.path}: an attribute is missing or damaged ({reason_of(error)}): make it again"
            ) from None
        if self.coordinate_frame not in ("world", "camera", "none"):
            raise StoreError(f"{self.path}: attribute coordinate_frame is {self.coordinate_frame!r}")
        for name in ("poses", "labels", "cameras"):
            if not isinstance(file.get(name), h5py.Group):
                raise StoreError(f"{self.path}: the group /{name} is missing: make the store again")
        self.labels = {name: self._strings(f"labels/{name}") for name in LABELLED}
        for name, labels in self.labels.items():
            if len(set(labels)) < len(labels):
                raise StoreError(
                    f"{self.path}: dataset /labels/{name} has a label twice: make the store again"
                )
        self.cameras = self._read_cameras()
        self._check_structure()

    @property
    def _opened(self) -> h5py.File:
        if self._file is None:
            self._file = open_hdf5(self.path)
        return self._file

    def _dataset(self, name: str) -> h5py.Dataset:
        dataset = self._opened.get(name)
        if not isinstance(dataset, h5py.Dataset):
            raise StoreError(f"{self.path}: the dataset /{name} is missing: make the store again")
        return dataset

    def _strings(self, name: str) -> list[str]:
        dataset = self._dataset(name)
        if h5py.check_string_dtype(dataset.dtype) is None:
            raise StoreError(f"{self.path}: dataset /{name} must hold strings")
        if dataset.ndim != 1 or dataset.shape[0] * MIN_STRING > self.path.stat().st_size:
            raise StoreError(
                f"{self.path}: dataset /{name} declares {' x '.join(map(str, dataset.shape))} texts, more than the file can hold: make the store again"
            )
        return [str(value) for value in dataset.asstr()[:]]

    def _read_cameras(self) -> tuple[Camera, ...]:
        names = self._strings("cameras/name")
        for name, shape in CAMERA_SHAPES.items():
            dataset = self._dataset(f"cameras/{name}")
            if dataset.shape != (len(names), *shape):
                raise StoreError(
                    f"{self.path}: dataset /cameras/{name} must have shape {(len(names), *shape)}, has {dataset.shape}"
                )
            if dataset.dtype.kind not in "fiu":
                raise StoreError(f"{self.path}: dataset /cameras/{name} must be numbers, is {dataset.dtype}")
        values = {name: self._dataset(f"cameras/{name}")[:].astype(np.float64) for name in CAMERA_SHAPES}
        try:
            return tuple(
                Camera(K, int(size[0]), int(size[1]), R, t, distortion, name)
                for K, size, R, t, distortion, name in zip(
                    *(values[key] for key in ("K", "size", "R", "t", "distortion")), names, strict=True
                )
            )
        except (InputError, ValueError, OverflowError) as error:
            raise StoreError(f"{self.path}: /cameras: {error}") from None

    def _check_structure(self) -> None:
        group = self._opened["poses"]
        if self._dataset("poses/frame").ndim != 1:
            raise StoreError(f"{self.path}: dataset /poses/frame must have one dimension")
        self._length = int(self._dataset("poses/frame").shape[0])
        shapes = {
            "joints_3d": (self._length, len(self.skeleton), 3),
            "joints_2d": (self._length, len(self.skeleton), 2),
            "visibility": (self._length, len(self.skeleton)),
            "box": (self._length, 4),
        }
        for name in ("subject", "action"):
            self._dataset(f"poses/{name}")
        if "joints_3d" not in group and "joints_2d" not in group:
            raise StoreError(
                f"{self.path}: the datasets /poses/joints_3d and /poses/joints_2d are missing: one is needed"
            )
        if "joints_2d" in group or "visibility" in group:
            self._dataset("poses/joints_2d")
            self._dataset("poses/visibility")
        if any(name in group for name in LINEAGE):
            for name in LINEAGE:
                self._dataset(f"poses/{name}")
        if ("joints_3d" in group) != (self.coordinate_frame != "none"):
            raise StoreError(
                f"{self.path}: coordinate_frame {self.coordinate_frame!r} does not fit its 3D joints"
            )
        for name in group:
            dataset = self._dataset(f"poses/{name}")
            shape = shapes.get(name, (self._length,))
            if dataset.shape != shape:
                raise StoreError(
                    f"{self.path}: dataset /poses/{name} must have shape {shape}, has {dataset.shape}"
                )
            if name == "image":
                if h5py.check_string_dtype(dataset.dtype) is None:
                    raise StoreError(f"{self.path}: dataset /poses/image must hold strings")
            elif name not in DTYPES:
                raise StoreError(f"{self.path}: unknown dataset /poses/{name}")
            elif dataset.dtype != DTYPES[name]:
                raise StoreError(
                    f"{self.path}: dataset /poses/{name} must be {DTYPES[name].__name__}, is {dataset.dtype}"
                )
        if self._length == 0:
            raise StoreError(f"{self.path}: it has no poses")

    def _validate_rows(self) -> None:
        names = [name for name in self._opened["poses"] if name != "image"]
        plausibility = PlausibilityCheck(
            self.path,
            self.skeleton,
            self.coordinate_frame,
            self.unlabelled,
            self.accepted,
            "insist by `implausible` of `evolift data select`",
        )
        donors = sum(donor.poses for donor in self.provenance.donors)
        step = CHUNK_ROWS * 16
        for start in range(0, len(self), step):
            columns = {name: self._read_column(name, slice(start, start + step)) for name in names}
            check_values(self.path, columns, start, len(self.skeleton), len(self.cameras), donors)
            for name in set(LABELLED) & set(names):
                refuse(
                    self.path,
                    name,
                    start,
                    (columns[name] < 0) | (columns[name] >= len(self.labels[name])),
                    "points to no label",
                )
            for name in {"parent_a", "parent_b"} & set(names):
                refuse(self.path, name, start, columns[name] >= len(self), "points to no row")
            plausibility.kept(self._assemble(columns))
        plausibility.close()

    def _read_column(self, name: str, rows: slice | np.ndarray) -> np.ndarray:
        with reading_hdf5(f"{self.path}: dataset /poses/{name}", _ADVICE, StoreError):
            dataset = self._dataset(f"poses/{name}")
            values: np.ndarray = dataset.asstr()[rows] if name == "image" else dataset[rows]
        return values

    def __len__(self) -> int:
        return self._length

    @property
    def columns(self) -> frozenset[str]:
        """Names of the datasets of /poses that this store has."""
        return frozenset(self._opened["poses"])

    def require_labelled(self, what: str) -> None:
        """Refuse a store that lacks a joint in 3D.

        Args:
            what: needs all joints, for the message.

        Raises:
            InputError: it lacks one.
        """
        if self.unlabelled:
            raise InputError(
                f"{self.path}: its 3D poses lack {', '.join(self.unlabelled)}, and {what} needs all joints of {self.skeleton.name}: convert it to a skeleton without (`skeleton` H36M16 of `evolift data select` for a missing nose), or take another source"
            )

    @property
    def accepted(self) -> Implausible:
        """What a store made from this one does with implausible poses: accept them, if this one's were accepted."""
        return "accept" if self.implausible else "refuse"

    @property
    def image_folder(self) -> Path:
        """Folder that image paths are relative to."""
        return self.path.parent / self.image_root

    def read(self, rows: slice | np.ndarray = slice(None)) -> Poses:
        """Rows as arrays, in the order asked for.

        Args:
            rows: a slice, or row numbers in any order, repeats allowed. Contiguous slices read fastest.
        """
        if isinstance(rows, slice):
            return self._assemble({name: self._read_column(name, rows) for name in self.columns})
        # HDF5 reads increasing distinct rows only; the rest is put back in order in memory.
        unique, inverse = np.unique(rows, return_inverse=True)
        if len(unique) and unique[0] < 0:
            raise IndexError("row numbers must not be negative")
        if len(unique) and unique[-1] >= len(self):
            raise IndexError(f"row {unique[-1]} of a store of {len(self)} rows")
        return self._assemble({name: self._read_column(name, unique)[inverse] for name in self.columns})

    def _assemble(self, columns: dict[str, np.ndarray]) -> Poses:
        values: dict[str, Any] = {name: value for name, value in columns.items() if name not in LINEAGE}
        if self._lacking and "joints_3d" in values:
            values["joints_3d"][:, self._lacking] = np.nan
        for name in ("subject", "action"):
            values[name] = self._categorical(name, columns[name])
        if "image" in values:
            values["image"] = list(values["image"])
        if "generation" in columns:
            values["lineage"] = Lineage(
                columns["generation"],
                columns["parent_a"],
                columns["parent_b"],
                self._categorical("operator", columns["operator"]),
            )
        return Poses(**values)

    def _categorical(self, name: str, codes: np.ndarray) -> pd.Categorical:
        return labelled(codes, self.labels[name])

    def batches(self, rows: int = CHUNK_ROWS) -> Iterator[Poses]:
        """All rows in order, `rows` at a time."""
        for start in range(0, len(self), rows):
            yield self.read(slice(start, min(start + rows, len(self))))

    def table(self) -> pd.DataFrame:
        """The per-pose table without the joints: subject, action, frame, camera, image, box and lineage."""
        rows = slice(None)
        table: dict[str, object] = {}
        for name in (
            "subject",
            "action",
            "frame",
            "camera",
            "image",
            "generation",
            "parent_a",
            "parent_b",
            "operator",
        ):
            if name in self.columns:
                values = self._read_column(name, rows)
                table[name] = self._categorical(name, values) if name in LABELLED else values
        if "box" in self.columns:
            boxes = self._read_column("box", rows)
            table |= {f"box_{side}": boxes[:, i] for i, side in enumerate(("left", "top", "width", "height"))}
        return pd.DataFrame(table)

    def close(self) -> None:
        """Close the HDF5 file, if it is open."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> PoseStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_file": None}


def append_to_store(path: Path) -> PoseStoreWriter:
    """A writer that continues an existing store: rows are copied, more may be appended, and closing replaces the file.

    Raises:
        StoreError: it is not a sound store.
    """
    with PoseStore(path) as store:
        writer = PoseStoreWriter(
            path,
            store.skeleton,
            store.coordinate_frame,
            store.provenance,
            cameras=store.cameras,
            image_root=store.image_root,
            unlabelled=store.unlabelled,
            implausible=store.accepted,
            overwrite=True,
        )
        for poses in store.batches(CHUNK_ROWS * 16):
            writer.append(poses)
    return writer


def _names(text: str) -> tuple[str, ...]:
    values = json.loads(text)
    if not isinstance(values, list):
        raise ValueError("it is not a JSON list")
    if not all(isinstance(value, str) for value in values):
        raise ValueError("a name is no text")
    return tuple(values)


def _provenance(text: str) -> Provenance:
    try:
        return msgspec.convert(_object(text), Provenance)
    except msgspec.ValidationError:
        raise ValueError("its provenance") from None


def _object(text: str) -> dict[str, Any]:
    values = json.loads(text)
    if not isinstance(values, dict):
        raise ValueError("it is not a JSON object")
    return values
