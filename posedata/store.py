"""The pose store: one HDF5 file format between all stages, read and written only here.

Layout (schema version 1)::

    /                attributes: format, schema_version, skeleton (JSON), coordinate_frame, units, image_root,
                     provenance (JSON)
    /poses/          one dataset per column of `posedata.poses.Poses`, rows first, chunked and compressed;
                     subject, action and operator are codes into /labels
    /labels/         subject, action, operator: UTF-8 strings
    /cameras/        name, K, R, t, distortion, size

`coordinate_frame` is "world" (z up), "camera" (each row in the frame of its camera), or "none" (no 3D joints).
Files hold no times and no machine names: the same rows and provenance give the same bytes, however they were
cut into `append` calls.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import h5py
import numpy as np
import numpy.typing as npt
import pandas as pd

from posedata.camera import Camera
from posedata.errors import InputError, OutputError, StoreError
from posedata.output_file import check_output
from posedata.poses import NO_CAMERA, NO_PARENT, Lineage, Poses, labelled
from posedata.skeleton import Skeleton
from posedata.version import __version__

FORMAT = "evolift-pose-store"
SCHEMA_VERSION = 1
CHUNK_ROWS = 4096
CoordinateFrame = Literal["world", "camera", "none"]

_LABELLED = ("subject", "action", "operator")
_LINEAGE = ("generation", "parent_a", "parent_b", "operator")
_DTYPES: dict[str, type[np.generic]] = {
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


class PoseStoreWriter:
    """Write a pose store row by row; the file appears under its name when it is whole.

    A context manager: leaving the block without an error finishes the file, an error or a killed process
    leaves what was there before. Rows are written in whole chunks, so memory stays flat.

    Args:
        path: of the store, usually ending in `.h5`.
        skeleton: of its joints.
        coordinate_frame: of `joints_3d`.
        cameras: that rows refer to by index.
        provenance: how it is made.
        image_root: folder that image paths are relative to, itself relative to the store's folder or absolute.
        overwrite: replace an existing file.

    Raises:
        OutputError: the file exists, or cannot be written.
    """

    def __init__(
        self,
        path: Path,
        skeleton: Skeleton,
        coordinate_frame: CoordinateFrame,
        provenance: Provenance,
        *,
        cameras: Sequence[Camera] = (),
        image_root: str = "",
        overwrite: bool = False,
    ) -> None:
        check_output(path, overwrite=overwrite)
        self.path = path
        self.skeleton = skeleton
        self.coordinate_frame = coordinate_frame
        self.cameras = list(cameras)
        self.provenance = provenance
        self.image_root = image_root
        self._labels: dict[str, dict[str, int]] = {name: {} for name in _LABELLED}
        self._columns: list[str] | None = None
        self._buffer: list[dict[str, np.ndarray]] = []
        self._buffered = 0
        self._rows = 0
        self._partial = path.with_name(path.name + ".partial")
        self._file = self._create()

    def _create(self) -> h5py.File:
        try:
            return h5py.File(self._partial, "w", libver=("v110", "v110"))
        except OSError as error:
            raise OutputError(f"{self.path} could not be written: {error}") from None

    @classmethod
    def append_to(cls, path: Path) -> PoseStoreWriter:
        """Continue an existing store: it is copied, extended, and replaced when the writer is closed.

        Raises:
            StoreError: it is not a sound store.
        """
        with PoseStore(path) as store:
            writer = cls(
                path,
                store.skeleton,
                store.coordinate_frame,
                store.provenance,
                cameras=store.cameras,
                image_root=store.image_root,
                overwrite=True,
            )
            for poses in store.batches(CHUNK_ROWS * 16):
                writer.append(poses)
        return writer

    def __len__(self) -> int:
        """Rows appended so far."""
        return self._rows + self._buffered

    def add_camera(self, camera: Camera) -> int:
        """Register one more camera; returns the index that rows refer to."""
        self.cameras.append(camera)
        return len(self.cameras) - 1

    def append(self, poses: Poses) -> None:
        """Add rows.

        Raises:
            StoreError: they have other columns than the rows before, another number of joints, values that are
                not finite, or a camera that is not there.
        """
        if not len(poses):
            return
        columns = self._encode(poses)
        if self._columns is None:
            self._columns = list(columns)
        if list(columns) != self._columns:
            raise StoreError(
                f"{self.path}: rows with columns {list(columns)} cannot follow rows with {self._columns}"
            )
        if ("joints_3d" in columns) != (self.coordinate_frame != "none"):
            raise StoreError(
                f"{self.path}: coordinate_frame {self.coordinate_frame!r} does not fit its 3D joints"
            )
        _check_values(self.path, columns, len(self), len(self.skeleton), len(self.cameras))
        self._buffer.append(columns)
        self._buffered += len(poses)
        self._flush(self._buffered // CHUNK_ROWS * CHUNK_ROWS)

    def _encode(self, poses: Poses) -> dict[str, np.ndarray]:
        columns: dict[str, np.ndarray] = {
            "subject": self._codes("subject", poses.subject),
            "action": self._codes("action", poses.action),
            "frame": poses.frame,
        }
        for name in ("joints_3d", "joints_2d", "visibility", "camera", "box"):
            value = getattr(poses, name)
            if value is not None:
                columns[name] = value
        if poses.image is not None:
            columns["image"] = np.asarray(poses.image, object)
        if poses.lineage is not None:
            for name in _LINEAGE[:-1]:
                columns[name] = getattr(poses.lineage, name)
            columns["operator"] = self._codes("operator", poses.lineage.operator)
        return {
            name: value if name == "image" else np.ascontiguousarray(value, _DTYPES[name])
            for name, value in columns.items()
        }

    def _codes(self, column: str, labels: pd.Categorical) -> np.ndarray:
        if (labels.codes < 0).any():
            raise StoreError(f"{self.path}: a row has no {column} label")
        known = self._labels[column]
        used = np.unique(labels.codes)
        translation = np.zeros(len(labels.categories), np.int32)
        for code in used:
            translation[code] = known.setdefault(str(labels.categories[code]), len(known))
        codes: np.ndarray = translation[labels.codes]
        return codes

    def _flush(self, rows: int) -> None:
        if self._columns is None or rows == 0:
            return
        joined = {name: np.concatenate([part[name] for part in self._buffer]) for name in self._columns}
        try:
            # Chunk by chunk, all columns each: the layout of the file then does not depend on the calls.
            for start in range(0, rows, CHUNK_ROWS):
                self._write_chunk(
                    {name: values[start : min(start + CHUNK_ROWS, rows)] for name, values in joined.items()}
                )
        except OSError as error:
            raise OutputError(f"{self.path} could not be written: {error}") from None
        self._buffer = [{name: values[rows:] for name, values in joined.items()}]
        self._buffered -= rows

    def _write_chunk(self, columns: dict[str, np.ndarray]) -> None:
        group = self._file.require_group("poses")
        for name, values in columns.items():
            if name not in group:
                group.create_dataset(
                    name,
                    shape=(0, *values.shape[1:]),
                    maxshape=(None, *values.shape[1:]),
                    chunks=(CHUNK_ROWS, *values.shape[1:]),
                    dtype=h5py.string_dtype("utf-8") if name == "image" else _DTYPES[name],
                    compression="gzip",
                    compression_opts=1,
                    shuffle=True,
                )
            dataset = group[name]
            dataset.resize(self._rows + len(values), axis=0)
            dataset[self._rows :] = values
        self._rows += len(columns["frame"])

    def __enter__(self) -> PoseStoreWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()

    def abandon(self) -> None:
        """Throw the new rows away; what was under the path before stays."""
        self._file.close()
        self._partial.unlink(missing_ok=True)

    def close(self) -> None:
        """Write what is buffered and give the file its name.

        Raises:
            StoreError: no row was appended.
            OutputError: the file system refuses.
        """
        if not len(self):
            self.abandon()
            raise StoreError(f"{self.path}: there are no poses to write")
        try:
            self._flush(self._buffered)
            self._write_header()
            self._file.close()
            self._partial.replace(self.path)
        except OSError as error:
            self._partial.unlink(missing_ok=True)
            raise OutputError(f"{self.path} could not be written: {error}") from None

    def _write_header(self) -> None:
        attributes = self._file.attrs
        attributes["format"] = FORMAT
        attributes["schema_version"] = SCHEMA_VERSION
        attributes["skeleton"] = json.dumps(self.skeleton.to_dict())
        attributes["coordinate_frame"] = self.coordinate_frame
        attributes["units"] = "mm, px"
        attributes["image_root"] = self.image_root
        attributes["provenance"] = json.dumps(vars(self.provenance), ensure_ascii=False, default=str)
        labels = self._file.create_group("labels")
        for name, known in self._labels.items():
            labels.create_dataset(
                name, data=list(known), dtype=h5py.string_dtype("utf-8"), shape=(len(known),)
            )
        group = self._file.create_group("cameras")
        group.create_dataset(
            "name",
            data=[camera.name for camera in self.cameras],
            dtype=h5py.string_dtype("utf-8"),
            shape=(len(self.cameras),),
        )
        for name, shape in _CAMERA_SHAPES.items():
            values = [_camera_value(camera, name) for camera in self.cameras]
            group.create_dataset(name, data=np.asarray(values, np.float64).reshape(-1, *shape))


_CAMERA_SHAPES: dict[str, tuple[int, ...]] = {
    "K": (3, 3),
    "R": (3, 3),
    "t": (3,),
    "distortion": (5,),
    "size": (2,),
}


def _camera_value(camera: Camera, name: str) -> object:
    return (camera.width, camera.height) if name == "size" else getattr(camera, name)


class PoseStore:
    """Read a pose store; opening it validates every row, in chunks.

    A context manager. It may be passed to worker processes: each opens the file for itself, unvalidated.

    Args:
        path: of the store.
        skeleton: refuse a store of another one.
        validate: False skips the reading of all rows (the structure is always checked).

    Raises:
        StoreError: the file is missing, not HDF5, not a pose store, of another version or skeleton, lacks a
            dataset, links out of itself, or has a value that cannot be; the message names file, dataset and row.
    """

    def __init__(self, path: Path, *, skeleton: Skeleton | None = None, validate: bool = True) -> None:
        self.path = Path(path)
        self._file: h5py.File | None = _open(self.path)
        try:
            self._read_header()
            if skeleton is not None and skeleton != self.skeleton:
                raise StoreError(
                    f"{path}: its skeleton is {self.skeleton.name}, {skeleton.name} is needed: convert it"
                )
            if validate:
                self._validate_rows()
        except BaseException:
            self.close()
            raise

    def _read_header(self) -> None:
        file = self._opened
        _refuse_links(self.path, file)
        if file.attrs.get("format") != FORMAT:
            raise StoreError(
                f"{self.path} is an HDF5 file but not a pose store: make one with `evolift data import`"
            )
        version = file.attrs.get("schema_version")
        if version != SCHEMA_VERSION:
            raise StoreError(
                f"{self.path}: schema version {version}, this evolift reads {SCHEMA_VERSION}: make it again"
            )
        try:
            self.skeleton = Skeleton.from_dict(_object(file.attrs["skeleton"]))
            self.provenance = Provenance(**_object(file.attrs["provenance"]))
            self.coordinate_frame: CoordinateFrame = file.attrs["coordinate_frame"]
            self.image_root = str(file.attrs["image_root"])
        except (KeyError, TypeError, ValueError, InputError) as error:
            raise StoreError(
                f"{self.path}: an attribute is missing or damaged ({error}): make it again"
            ) from None
        if self.coordinate_frame not in ("world", "camera", "none"):
            raise StoreError(f"{self.path}: attribute coordinate_frame is {self.coordinate_frame!r}")
        for name in ("poses", "labels", "cameras"):
            if not isinstance(file.get(name), h5py.Group):
                raise StoreError(f"{self.path}: the group /{name} is missing: make the store again")
        self.labels = {name: self._strings(f"labels/{name}") for name in _LABELLED}
        self.cameras = self._read_cameras()
        self._check_structure()

    @property
    def _opened(self) -> h5py.File:
        if self._file is None:
            self._file = _open(self.path)
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
        return [str(value) for value in dataset.asstr()[:]]

    def _read_cameras(self) -> tuple[Camera, ...]:
        names = self._strings("cameras/name")
        values = {name: self._dataset(f"cameras/{name}")[:] for name in _CAMERA_SHAPES}
        for name, shape in _CAMERA_SHAPES.items():
            if values[name].shape != (len(names), *shape):
                raise StoreError(
                    f"{self.path}: dataset /cameras/{name} must have shape {(len(names), *shape)}, has {values[name].shape}"
                )
        try:
            return tuple(
                Camera(K, int(size[0]), int(size[1]), R, t, distortion, name)
                for K, size, R, t, distortion, name in zip(
                    *(values[key] for key in ("K", "size", "R", "t", "distortion")), names, strict=True
                )
            )
        except InputError as error:
            raise StoreError(f"{self.path}: /cameras: {error}") from None

    def _check_structure(self) -> None:
        group = self._opened["poses"]
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
        if "joints_2d" in group:
            self._dataset("poses/visibility")
        if any(name in group for name in _LINEAGE):
            for name in _LINEAGE:
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
            elif name not in _DTYPES:
                raise StoreError(f"{self.path}: unknown dataset /poses/{name}")
            elif dataset.dtype != _DTYPES[name]:
                raise StoreError(
                    f"{self.path}: dataset /poses/{name} must be {_DTYPES[name].__name__}, is {dataset.dtype}"
                )
        if self._length == 0:
            raise StoreError(f"{self.path}: it has no poses")

    def _validate_rows(self) -> None:
        names = [name for name in self._opened["poses"] if name != "image"]
        step = CHUNK_ROWS * 16
        for start in range(0, len(self), step):
            columns = {name: self._read_column(name, slice(start, start + step)) for name in names}
            _check_values(self.path, columns, start, len(self.skeleton), len(self.cameras))
            for name in set(_LABELLED) & set(names):
                _refuse(
                    self.path,
                    name,
                    start,
                    (columns[name] < 0) | (columns[name] >= len(self.labels[name])),
                    "points to no label",
                )
            for name in {"parent_a", "parent_b"} & set(names):
                _refuse(self.path, name, start, columns[name] >= len(self), "points to no row")

    def _read_column(self, name: str, rows: slice | np.ndarray) -> np.ndarray:
        dataset = self._dataset(f"poses/{name}")
        try:
            values: np.ndarray = dataset.asstr()[rows] if name == "image" else dataset[rows]
        except (OSError, ValueError) as error:
            raise StoreError(
                f"{self.path}: dataset /poses/{name} is damaged ({error}): make the store again"
            ) from None
        return values

    def __len__(self) -> int:
        return self._length

    @property
    def columns(self) -> frozenset[str]:
        """Names of the datasets of /poses that this store has."""
        return frozenset(self._opened["poses"])

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
        values: dict[str, Any] = {name: value for name, value in columns.items() if name not in _LINEAGE}
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
                table[name] = self._categorical(name, values) if name in _LABELLED else values
        if "box" in self.columns:
            boxes = self._read_column("box", rows)
            table |= {f"box_{side}": boxes[:, i] for i, side in enumerate(("left", "top", "width", "height"))}
        return pd.DataFrame(table)

    def close(self) -> None:
        """Let go of the file."""
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


def copy_store(source: Path, target: Path, *, overwrite: bool = False) -> None:
    """Copy a store's bytes to another path, whole or not at all."""
    check_output(target, overwrite=overwrite)
    partial = target.with_name(target.name + ".partial")
    shutil.copyfile(source, partial)
    partial.replace(target)


def _open(path: Path) -> h5py.File:
    if not path.is_file():
        raise StoreError(f"{path} is not a file: give the path of a pose store (.h5)")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise StoreError(f"{path} is not a readable HDF5 file ({error}): make it again") from None


def _refuse_links(path: Path, group: h5py.Group) -> None:
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise StoreError(
                f"{path}: {group.name.rstrip('/')}/{name} is a link; links are refused because they may lead out of the file"
            )
        item = group[name]
        if isinstance(item, h5py.Group):
            _refuse_links(path, item)
        elif item.is_virtual or item.external:
            raise StoreError(f"{path}: dataset {item.name} keeps its data in another file, which is refused")
        elif item.dtype.hasobject and h5py.check_string_dtype(item.dtype) is None:
            raise StoreError(f"{path}: dataset {item.name} holds objects, which are refused")


def _object(text: str) -> dict[str, Any]:
    values = json.loads(text)
    if not isinstance(values, dict):
        raise ValueError("it is not a JSON object")
    return values


def _check_values(path: Path, columns: dict[str, np.ndarray], start: int, joints: int, cameras: int) -> None:
    for name, values in columns.items():
        if name in ("joints_3d", "joints_2d", "visibility") and values.shape[1] != joints:
            raise StoreError(f"{path}: {name} has {values.shape[1]} joints, its skeleton has {joints}")
        if values.dtype.kind == "f":
            # A finite sum proves that all is finite and is much faster to compute than the test per value.
            with np.errstate(over="ignore", invalid="ignore"):
                suspicious = not np.isfinite(values.sum(dtype=np.float64))
            if suspicious:
                _refuse(
                    path, name, start, ~np.isfinite(values).reshape(len(values), -1).all(-1), "is not finite"
                )
    if "visibility" in columns:
        _refuse(path, "visibility", start, (columns["visibility"] > 2).any(-1), "is not 0, 1 or 2")
    if "camera" in columns:
        camera = columns["camera"]
        _refuse(path, "camera", start, (camera < NO_CAMERA) | (camera >= cameras), "points to no camera")
    if "box" in columns:
        _refuse(
            path,
            "box",
            start,
            (columns["box"][:, 2:] <= 0).any(-1),
            "has a width or height that is not positive",
        )
    for name in ("parent_a", "parent_b"):
        if name in columns:
            _refuse(path, name, start, columns[name] < NO_PARENT, "points to no row")


def _refuse(path: Path, dataset: str, start: int, wrong: npt.NDArray[np.bool_] | np.bool_, what: str) -> None:
    if wrong.any():
        raise StoreError(
            f"{path}: dataset /poses/{dataset}, row {start + int(wrong.argmax())}: {what} ({int(wrong.sum())} such rows here): make the store again"
        )
