"""Importer for BVH motion capture: one file, a folder, or a zip, with a table of joint names.

Joints become H36M17, millimetres, in a world with z up. What the files do not state (unit, upward axis, left and
right) is taken from the table of names, from the user, or from clear evidence in the poses, and is asked for where
there is none. All files of one import must agree.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Float

from evolift.posedata.errors import InputError
from evolift.posedata.importers.bvh_file import BvhMotion, moved_joints, parse_bvh, rest_positions
from evolift.posedata.importers.bvh_names import BvhNames, Weights, bvh_names
from evolift.posedata.importers.capture_clips import CaptureClip, CaptureFrame, write_clips
from evolift.posedata.importers.capture_frame import MILLIMETRES, Axis
from evolift.posedata.importers.cmu_clips import GLITCHES
from evolift.posedata.importers.frame_rate import kept_frames
from evolift.posedata.importers.head_axes import HeadAxes, rest_axes
from evolift.posedata.importers.source_files import SourceFiles
from evolift.posedata.output_file import check_output
from evolift.posedata.progress import Progress, no_progress
from evolift.posedata.skeleton import H36M17
from evolift.posedata.store import PoseStoreWriter, Provenance


@dataclass(frozen=True)
class BvhSummary:
    """What `import_bvh` did.

    Args:
        files, poses: written.
        native_frames: in the files.
        left_out: frames left out as glitches of the capture.
        millimetres, up, mirrored: what the files' unit and axes were taken for.
        detected: which of the three ("unit", "up", "mirrored") were told from the poses.
    """

    files: int
    poses: int
    native_frames: int
    left_out: int
    millimetres: float
    up: Axis
    mirrored: bool
    detected: tuple[str, ...]


def import_bvh(
    source: Path,
    target: Path,
    *,
    names: str | Path = "cmu-cgspeed",
    fps: float | None = None,
    unit: str | float | None = None,
    up: Axis | None = None,
    mirrored: bool | None = None,
    subject: str | None = None,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> BvhSummary:
    """Write a pose store from BVH files. The action of each row is the name of its file.

    Args:
        source: a .bvh file, a folder, or a zip.
        target: the store to write.
        names: a table of `evolift.posedata.importers.bvh_names`, or a JSON file of your own.
        fps: frames per second to keep; None keeps all.
        unit: of length: a name of `MILLIMETRES`, or millimetres; None takes the table's, or detects it.
        up: upward axis of the files; None detects it.
        mirrored: whether left and right are swapped in the files; None detects it.
        subject: label of all rows; None takes it from file names like 02_01 where the table says so.
        overwrite: replace an existing store.
        progress: counts files.

    Raises:
        InputError: a file is damaged or lacks a joint, or unit or axes cannot be told.
        OutputError: the target exists or cannot be written.
    """
    check_output(target, overwrite=overwrite)
    table = bvh_names(names)
    millimetres = millimetres_of(unit, table.millimetres)
    frame = CaptureFrame(millimetres, up, mirrored)
    with SourceFiles(source, single=(".bvh",)) as files:
        found = files.with_ending(".bvh")
        if not found:
            raise InputError(f"{source} holds no .bvh files: give a .bvh file, or a folder or zip of them")

        def clips() -> Iterator[CaptureClip]:
            for name in found:
                yield _read(files, name, table, fps, subject)
                progress(1, len(found))

        def open_writer(unlabelled: tuple[str, ...]) -> PoseStoreWriter:
            parameters = {
                "names": table.name,
                "nose": _how_nose(table, unlabelled),
                "fps": fps,
                "millimetres": frame.millimetres,
                "up": frame.up,
                "mirrored": frame.mirrored,
            }
            provenance = Provenance("evolift data import bvh", parameters, inputs=files.hashes(found))
            return PoseStoreWriter(
                target, H36M17, "world", provenance, unlabelled=unlabelled, overwrite=overwrite
            )

        totals = write_clips(clips(), frame, open_writer)
    settled = frame.settled(str(source))
    return BvhSummary(
        totals.files, totals.poses, totals.native_frames, totals.left_out, *settled, frame.detected
    )


def millimetres_of(unit: str | float | None, default: float | None) -> float | None:
    """Length of a unit that the user gave, `default` if they gave none.

    Raises:
        InputError: there is no such unit.
    """
    if unit is None:
        return default
    if isinstance(unit, str) and unit in MILLIMETRES:
        return MILLIMETRES[unit]
    try:
        millimetres = float(unit)
    except ValueError:
        millimetres = np.nan
    if not (np.isfinite(millimetres) and millimetres > 0):
        raise InputError(
            f"the unit {unit!r} is not known: give {', '.join(MILLIMETRES)}, or its length in millimetres"
        )
    return millimetres


def _read(
    files: SourceFiles, name: str, table: BvhNames, fps: float | None, subject: str | None
) -> CaptureClip:
    motion = parse_bvh(files.read(name), files.label(name))
    if table.repair is not None:
        motion = table.repair(motion)
    # Frame times are rounded in the files: .0083333 s are 120 frames per second.
    rate = round(1 / motion.frame_time, 2)
    if fps is not None and fps > rate:
        raise InputError(f"{files.label(name)} has {rate:g} frames per second, so {fps:g} cannot be kept")
    kept = kept_frames(len(motion), rate, fps)
    stem = PurePosixPath(name).stem
    is_good = np.ones(len(kept), bool)
    if table.subject_from_name and stem in GLITCHES:
        first, last = GLITCHES[stem]
        is_good = (kept < first) | (kept > last)
    rows = kept[is_good]
    sources = sorted({joint for weights in table.joints.values() for joint in weights})
    skull = table.skull if "nose" not in table.joints else None
    wanted = sources if skull is None or skull in sources else [*sources, skull]
    ends, rotations = moved_joints(motion, rows, wanted)
    joints = np.full((len(rows), len(H36M17), 3), np.nan)
    for joint, weights in table.joints.items():
        joints[:, H36M17.index(joint)] = _weighted(ends, weights)
    return CaptureClip(
        stem,
        subject or _subject(stem, table),
        files.label(name),
        rows + 1,
        joints,
        len(motion),
        int((~is_good).sum()),
        None if skull is None else _head(motion, table, ends[skull], rotations[skull]),
    )


def _head(
    motion: BvhMotion, table: BvhNames, skull: np.ndarray, rotation: Float[np.ndarray, "frames 3 3"]
) -> HeadAxes | None:
    rest = rest_positions(motion)
    axes = rest_axes({joint: _weighted(rest, weights) for joint, weights in table.joints.items()})
    return None if axes is None else HeadAxes(skull, rotation @ axes[0], rotation @ axes[1])


def _how_nose(table: BvhNames, unlabelled: tuple[str, ...]) -> str:
    if "nose" in table.joints:
        return "of the table"
    return "unlabelled" if unlabelled else f"placed in the frame of {table.skull}"


def _weighted(ends: dict[str, np.ndarray], weights: Weights) -> np.ndarray:
    parts = [weight * ends[name] for name, weight in weights.items()]
    total: np.ndarray = sum(parts[1:], parts[0])
    return total


def _subject(name: str, table: BvhNames) -> str:
    return name.rsplit("_", 1)[0] if table.subject_from_name and "_" in name else "unknown"
