"""Fitted joint-angle limits as HDF5 files, written and read only here.

Layout (version 1)::

    /               attributes: format, version, skeleton (JSON), hips, shoulders, smoothing, parent_smoothing, support, poses, side,
                    parent_side, provenance (JSON)
    /free/NAME      allowed cells of a bone on the torso, bits
    /bound/NAME     parent's cells by allowed cells of another bone, bits
    /shoulder_line  allowed cells, bits

Bits are packed along the last axis (`numpy.packbits`). Files hold no times: the same limits give the same bytes.
"""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.limits.fitted_limits import PARENT_SIDE, SIDE, FittedLimits
from evolift.evolution.settings import FitSettings
from evolift.posedata.errors import InputError, reason_of
from evolift.posedata.hdf5_output import whole_hdf5
from evolift.posedata.skeleton import Skeleton
from evolift.posedata.store import Provenance

FORMAT = "evolift-joint-limits"
VERSION = 1


def save_limits(path: Path, limits: FittedLimits, provenance: Provenance, *, overwrite: bool = False) -> None:
    """Write fitted limits, whole or not at all.

    Raises:
        OutputError: the file exists and `overwrite` is False, or cannot be written.
    """
    tree = limits.tree
    with whole_hdf5(path, overwrite=overwrite) as file:
        attributes = {
            "format": FORMAT,
            "version": VERSION,
            "skeleton": json.dumps(tree.skeleton.to_dict()),
            "hips": list(tree.hips),
            "shoulders": list(tree.shoulders),
            "smoothing": limits.settings.smoothing,
            "parent_smoothing": limits.settings.parent_smoothing,
            "support": limits.settings.support,
            "poses": limits.poses,
            "side": SIDE,
            "parent_side": PARENT_SIDE,
            "provenance": json.dumps(vars(provenance), ensure_ascii=False, default=str),
        }
        for name, value in attributes.items():
            file.attrs[name] = value
        for kind, tables in (("free", limits.free), ("bound", limits.bound)):
            group = file.create_group(kind)
            for bone, allowed in tables.items():
                _write_bits(group, tree.names[bone], allowed)
        _write_bits(file, "shoulder_line", limits.shoulder_line)


def load_limits(path: Path) -> FittedLimits:
    """Read fitted limits.

    Raises:
        InputError: the file is missing, not HDF5, not of this format or version, damaged, or leads out of itself.
    """
    if not path.is_file():
        raise InputError(f"{path} is not a file: give limits made by `evolift limits fit`")
    try:
        with h5py.File(path, "r") as file:
            _require_format(path, file)
            return _read(path, file)
    except (OSError, KeyError, TypeError, ValueError, InputError) as error:
        if isinstance(error, InputError) and str(path) in str(error):
            raise
        raise InputError(
            f"{path}: it is no sound file of joint limits ({reason_of(error)}): fit it again"
        ) from None


def _require_format(path: Path, file: h5py.File) -> None:
    if file.attrs.get("format") != FORMAT:
        raise InputError(
            f"{path} is an HDF5 file but holds no joint limits: make them with `evolift limits fit`"
        )
    if file.attrs.get("version") != VERSION:
        raise InputError(
            f"{path}: joint limits of version {file.attrs.get('version')}, this evolift reads {VERSION}: fit them again"
        )
    if (file.attrs["side"], file.attrs["parent_side"]) != (SIDE, PARENT_SIDE):
        raise InputError(f"{path}: its cells have another size than this evolift's: fit the limits again")


def _read(path: Path, file: h5py.File) -> FittedLimits:
    skeleton = Skeleton.from_dict(json.loads(file.attrs["skeleton"]))
    hips, shoulders = (tuple(str(name) for name in file.attrs[key]) for key in ("hips", "shoulders"))
    if len(hips) != 2 or len(shoulders) != 2:
        raise InputError(f"{path}: hips and shoulders must be pairs of joints: fit the limits again")
    tree = KinematicTree(skeleton, (hips[0], hips[1]), (shoulders[0], shoulders[1]))
    free: dict[int, Tensor] = {}
    bound: dict[int, Tensor] = {}
    for bone in tree.movable:
        name = tree.names[bone]
        if tree.carriers[bone]:
            bound[bone] = _read_bits(path, file, f"bound/{name}", (PARENT_SIDE**2, SIDE**2))
        else:
            free[bone] = _read_bits(path, file, f"free/{name}", (SIDE**2,))
    return FittedLimits(
        tree,
        free,
        bound,
        _read_bits(path, file, "shoulder_line", (SIDE**2,)),
        FitSettings(
            smoothing=float(file.attrs["smoothing"]),
            parent_smoothing=float(file.attrs["parent_smoothing"]),
            support=int(file.attrs["support"]),
        ),
        int(file.attrs["poses"]),
    )


def _write_bits(group: h5py.Group, name: str, allowed: Bool[Tensor, "*parents cells"]) -> None:
    bits = np.packbits(allowed.numpy(), axis=-1)
    group.create_dataset(name, data=bits, compression="gzip", compression_opts=4)


def _read_bits(path: Path, file: h5py.File, name: str, shape: tuple[int, ...]) -> Tensor:
    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        raise InputError(f"{path}: the dataset /{name} is missing or a link: fit the limits again")
    dataset = file[name]
    packed = (*shape[:-1], shape[-1] // 8)
    if not isinstance(dataset, h5py.Dataset) or dataset.external or dataset.is_virtual:
        raise InputError(f"{path}: /{name} is no dataset of this file: fit the limits again")
    if dataset.shape != packed or dataset.dtype != np.uint8:
        raise InputError(
            f"{path}: dataset /{name} must be uint8 of shape {packed}, is {dataset.dtype} of {dataset.shape}: fit the limits again"
        )
    return torch.from_numpy(np.unpackbits(dataset[:], axis=-1).astype(bool))
