"""Writing of pose stores; the layout is described in `store_layout`."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType

import h5py
import numpy as np
import pandas as pd

from evolift.posedata.camera import Camera
from evolift.posedata.errors import StoreError, within
from evolift.posedata.hdf5_output import Hdf5Output
from evolift.posedata.output_file import escaped
from evolift.posedata.output_folder import NewFolder
from evolift.posedata.plausibility import Implausible, PlausibilityCheck
from evolift.posedata.poses import Poses
from evolift.posedata.skeleton import Skeleton
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
)

_ZLIB, _RAW = b"\x78\x01", -15
"""First bytes of a zlib stream, and what tells zlib to leave them and the check sum out, so that parts can be joined."""
_SAMPLE = 4096
_NOISE = 7.6
"""Bits of entropy per byte, of a sample of bytes, above which to code them gains nothing; 4,096 random bytes have 7.95."""


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
        unlabelled: joints that the source lacks in 3D; what `append` gets for them is not used.
        source: file, folder or other words for what the poses are of, which messages on them then name; else they name the store.
        implausible: what is done with poses that cannot be those of people in millimetres with z up
            (`evolift.posedata.plausibility`). What is accepted, readers accept too.
        overwrite: replace an existing file.

    Raises:
        InputError: the skeleton has no such joint.
        OutputError: the file exists, somebody else writes it, or it cannot be written.
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
        unlabelled: Sequence[str] = (),
        source: Path | str | None = None,
        implausible: Implausible = "refuse",
        overwrite: bool = False,
    ) -> None:
        self.unlabelled = tuple(unlabelled)
        self._lacking = [skeleton.index(joint) for joint in unlabelled]
        self.path = path
        self._origin = source or path
        self.plausibility = PlausibilityCheck(
            self._origin, skeleton, coordinate_frame, self.unlabelled, implausible, "insist by `implausible`"
        )
        self.skeleton = skeleton
        self.coordinate_frame = coordinate_frame
        self.cameras = list(cameras)
        self.provenance = provenance
        self.image_root = image_root
        self._labels: dict[str, dict[str, int]] = {name: {} for name in LABELLED}
        self._columns: list[str] | None = None
        self._datasets: dict[str, h5py.Dataset] = {}
        self._buffer: list[dict[str, np.ndarray]] = []
        self._buffered = 0
        self._rows = 0
        self._is_judged = False
        self._folder: NewFolder | None = None
        self._output = Hdf5Output(path, overwrite=overwrite)

    def __len__(self) -> int:
        """Number of rows appended so far, those in the buffer included."""
        return self._rows + self._buffered

    def add_camera(self, camera: Camera) -> int:
        """Register one more camera; returns the index that rows refer to."""
        self.cameras.append(camera)
        return len(self.cameras) - 1

    def append(self, poses: Poses) -> None:
        """Add rows.

        Raises:
            StoreError: they have other columns than the rows before, another number of joints, values that are
                not finite or make no sense, or a camera that is not there.
        """
        poses = self.plausibility.kept(poses)
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
        with within(str(self._origin)):
            donors = sum(donor.poses for donor in self.provenance.donors)
            check_values(self.path, columns, len(self), len(self.skeleton), len(self.cameras), donors)
        self._buffer.append(columns)
        self._buffered += len(poses)
        self._flush(self._buffered // CHUNK_ROWS * CHUNK_ROWS)

    def check_plausibility(self) -> None:
        """Judge unit and axes of the rows so far, once; `close` does it otherwise. For before anything is replaced.

        Raises:
            StoreError: they look wrong, or most rows make no sense.
        """
        if not self._is_judged:
            self._is_judged = True
            self.plausibility.close()

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
        if self._lacking and "joints_3d" in columns:
            columns["joints_3d"] = columns["joints_3d"].copy()
            columns["joints_3d"][:, self._lacking] = 0
        if poses.image is not None:
            columns["image"] = np.asarray(poses.image, object)
        if poses.lineage is not None:
            for name in LINEAGE[:-1]:
                columns[name] = getattr(poses.lineage, name)
            columns["operator"] = self._codes("operator", poses.lineage.operator)
        return {
            name: value if name == "image" else np.ascontiguousarray(value, DTYPES[name])
            for name, value in columns.items()
        }

    def _codes(self, column: str, labels: pd.Categorical) -> np.ndarray:
        if (labels.codes < 0).any():
            raise StoreError(f"{self._origin}: a row has no {column} label")
        known = self._labels[column]
        used = np.unique(labels.codes)
        translation = np.zeros(len(labels.categories), np.int32)
        for code in used:
            translation[code] = known.setdefault(escaped(str(labels.categories[code])), len(known))
        codes: np.ndarray = translation[labels.codes]
        return codes

    def _flush(self, rows: int) -> None:
        if self._columns is None or rows == 0:
            return
        joined = {name: np.concatenate([part[name] for part in self._buffer]) for name in self._columns}
        # Chunk by chunk, all columns each: the layout of the file then does not depend on the calls.
        for start in range(0, rows, CHUNK_ROWS):
            end = min(start + CHUNK_ROWS, rows)
            with self._output.writing() as file:
                self._write_chunk(file, {name: values[start:end] for name, values in joined.items()})
        self._buffer = [{name: values[rows:] for name, values in joined.items()}]
        self._buffered -= rows

    def _write_chunk(self, file: h5py.File, columns: dict[str, np.ndarray]) -> None:
        for name, values in columns.items():
            if name not in self._datasets:
                self._datasets[name] = file.require_group("poses").create_dataset(
                    name,
                    shape=(0, *values.shape[1:]),
                    maxshape=(None, *values.shape[1:]),
                    chunks=(CHUNK_ROWS, *values.shape[1:]),
                    dtype=h5py.string_dtype("utf-8") if name == "image" else DTYPES[name],
                    compression="gzip",
                    compression_opts=1,
                    shuffle=True,
                )
            dataset = self._datasets[name]  # kept: to look one up takes as long as to pack a column
            dataset.id.set_extent(
                (self._rows + len(values), *values.shape[1:])
            )  # `resize` asks for much first
            if values.dtype != object and values.size and len(values) == CHUNK_ROWS:
                place = (self._rows, *(0 for _ in values.shape[1:]))
                dataset.id.write_direct_chunk(place, _compressed(values))
            else:
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
        self._output.abandon()
        if self._folder is not None:
            self._folder.abandon()

    def close(self) -> None:
        """Write what is buffered and give the file its name.

        Raises:
            StoreError: no row was appended, or unit or axes of the poses look wrong.
            OutputError: the file system refuses.
        """
        try:
            self.check_plausibility()
        except StoreError:
            self.abandon()
            raise
        if not len(self):
            self.abandon()
            raise StoreError(f"{self._origin}: there are no poses to write")
        try:
            self._flush(self._buffered)
            with self._output.writing() as file:
                self._write_header(file)
            if self._folder is not None:
                self._folder.finish()
            self._output.finish()
        except BaseException:
            self.abandon()
            raise
        if self._folder is not None:
            self._folder.close()

    def new_folder(self, path: Path, *, overwrite: bool, endings: Iterable[str]) -> Path:
        """Make the folder of the images that rows refer to, which appears when the store does.

        Args:
            path: that it shall have.
            overwrite: replace an existing folder, unless it holds something else than `endings`.
            endings: of the names of its files.

        Returns:
            A temporary folder, to be filled.

        Raises:
            OutputError: it exists and is not to be replaced, somebody else writes it, or the file system refuses.
        """
        self._folder = NewFolder(path, self.path, overwrite=overwrite, endings=endings)
        return self._folder.path

    def _write_header(self, file: h5py.File) -> None:
        attributes = file.attrs
        attributes["format"] = FORMAT
        attributes["schema_version"] = SCHEMA_VERSION
        attributes["skeleton"] = json.dumps(self.skeleton.to_dict())
        attributes["coordinate_frame"] = self.coordinate_frame
        attributes["units"] = "mm, px"
        attributes["image_root"] = self.image_root
        attributes["unlabelled"] = json.dumps(self.unlabelled)
        if self.plausibility.implausible == "accept":
            attributes[ACCEPTED] = True
        attributes["provenance"] = escaped(json.dumps(vars(self.provenance), ensure_ascii=False, default=str))
        labels = file.create_group("labels")
        for name, known in self._labels.items():
            labels.create_dataset(
                name, data=list(known), dtype=h5py.string_dtype("utf-8"), shape=(len(known),)
            )
        group = file.create_group("cameras")
        group.create_dataset(
            "name",
            data=[escaped(camera.name) for camera in self.cameras],
            dtype=h5py.string_dtype("utf-8"),
            shape=(len(self.cameras),),
        )
        for name, shape in CAMERA_SHAPES.items():
            values = [_camera_value(camera, name) for camera in self.cameras]
            group.create_dataset(name, data=np.asarray(values, np.float64).reshape(-1, *shape))


def _compressed(values: np.ndarray) -> bytes:
    """A chunk as HDF5's filters shuffle and gzip leave it, so that any reader undoes them.

    Shuffled, all first bytes of the numbers come first, then all second ones. zlib looks in vain for repeated strings among
    the low bytes of coordinates, which are noise: such bytes are stored as they are, which costs next to nothing. For the rest
    an entropy code alone takes a third of the time and 3% more space; whole numbers have long runs of one byte, which are
    counted.
    """
    planes = np.ascontiguousarray(values.reshape(-1).view(np.uint8).reshape(-1, values.itemsize).T)
    parts = _noisy_first(planes) if values.dtype == np.float32 else [(planes, zlib.Z_RLE)]
    stream = [_ZLIB]
    for number, (part, strategy) in enumerate(parts, 1):
        level = 0 if strategy is None else 1
        packer = zlib.compressobj(level, zlib.DEFLATED, _RAW, strategy=strategy or zlib.Z_DEFAULT_STRATEGY)
        stream += [
            packer.compress(part.data),
            packer.flush(zlib.Z_FINISH if number == len(parts) else zlib.Z_FULL_FLUSH),
        ]
    return b"".join(stream) + zlib.adler32(planes.data).to_bytes(4, "big")


def _noisy_first(planes: np.ndarray) -> list[tuple[np.ndarray, int | None]]:
    """Bytes in parts that are packed alike: the low bytes that a sample says are noise, without a strategy, and the others."""
    noisy = 0
    while noisy < len(planes) and _is_noise(planes[noisy, :_SAMPLE]):
        noisy += 1
    parts = [(planes[:noisy], None), (planes[noisy:], zlib.Z_HUFFMAN_ONLY)]
    return [(part, strategy) for part, strategy in parts if len(part)]


def _is_noise(sample: np.ndarray) -> bool:
    counts = np.bincount(sample, minlength=256)
    shares = counts[counts > 0] / len(sample)
    return bool(-(shares * np.log2(shares)).sum() > _NOISE)


def _camera_value(camera: Camera, name: str) -> object:
    return (camera.width, camera.height) if name == "size" else getattr(camera, name)
