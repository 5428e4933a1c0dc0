"""Importer for BVH motion capture: one file, a folder, or a zip, with a table of joint names.

Joints become H36M17, millimetres, in a world with z up. What the files do not state (names of joints, unit, upward axis, left and
right) is taken from the table of names, from the user, or from clear evidence in the file, and is asked for where
there is none. All files of one import must agree; those that cannot be read are left out and named.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Float

from evolift.posedata.errors import InputError
from evolift.posedata.importers.bvh_file import (
    BvhMotion,
    moved_joints,
    parse_bvh,
    rest_positions,
    weighted,
)
from evolift.posedata.importers.bvh_head import with_head_top
from evolift.posedata.importers.bvh_matching import matching_names, with_names_of
from evolift.posedata.importers.bvh_names import HEAD_PER_LEG, BvhNames, bvh_names
from evolift.posedata.importers.capture_clips import CaptureClip, CaptureFrame, sound_clips, write_clips
from evolift.posedata.importers.capture_frame import MILLIMETRES, Axis
from evolift.posedata.importers.cmu_clips import GLITCHES
from evolift.posedata.importers.frame_rate import kept_frames
from evolift.posedata.importers.head_axes import HeadAxes, rest_axes
from evolift.posedata.importers.source_files import SourceFiles
from evolift.posedata.output_file import check_output
from evolift.posedata.plausibility import imported
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
        names: the table of names that was taken.
        unread: files that were left out, and why.
        notes: sentences on what the files have that is odd, and how it was taken.
    """

    files: int
    poses: int
    native_frames: int
    left_out: int
    millimetres: float
    up: Axis
    mirrored: bool
    detected: tuple[str, ...]
    names: str
    unread: dict[str, str]
    notes: tuple[str, ...]


@dataclass
class _Oddities:
    """Files in which something was read otherwise than it stands there, for the notes."""

    lengths: list[str] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    repaired_heads: list[str] = field(default_factory=list)

    def notes(self, roots: dict[str, list[str]]) -> tuple[str, ...]:
        told = [*self.lengths[:_TOLD]]
        if len(self.lengths) > _TOLD:
            told.append(
                f"{len(self.lengths) - _TOLD} more files hold other numbers of frames than they declare"
            )
        if self.heads:
            told.append(
                f"{_files(self.heads)}: no top of the head, which is put in the line of the neck, {HEAD_PER_LEG:g} of the leg above the skull"
            )
        if self.repaired_heads:
            told.append(
                f"{_files(self.repaired_heads)}: no top of the head, which is put up the head's own axis, {HEAD_PER_LEG:g} of the leg above the skull"
            )
        told += [f"{_files(labels)}: the root's offset is {how}" for how, labels in roots.items()]
        return tuple(told)


_TOLD = 5
"""Files that are told one by one."""


def _files(labels: list[str]) -> str:
    return labels[0] if len(labels) == 1 else f"{labels[0]} and {len(labels) - 1} more files"


def import_bvh(
    source: Path,
    target: Path,
    *,
    names: str | Path | None = None,
    fps: float | None = None,
    unit: str | float | None = None,
    up: Axis | None = None,
    mirrored: bool | None = None,
    subject: str | None = None,
    implausible: bool = False,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> BvhSummary:
    """Write a pose store from BVH files. The action of each row is the name of its file.

    Args:
        source: a .bvh file, a folder, or a zip.
        target: the store to write.
        names: a table of `evolift.posedata.importers.bvh_names`, or a JSON file of your own; None takes the built-in table that the
            joints of the first sound file belong to.
        fps: frames per second to keep; None keeps all.
        unit: of length: a name of `MILLIMETRES`, or millimetres; None takes the table's, or detects it.
        up: upward axis of the files; None detects it.
        mirrored: whether left and right are swapped in the files; None detects it.
        subject: label of all rows; None takes it from file names like 02_01 where the table says so.
        implausible: accept poses that do not look like people's in millimetres with z up, rows of no sense among them; these
            rows are left out otherwise (`evolift.posedata.plausibility`).
        overwrite: replace an existing store.
        progress: counts files.

    Raises:
        InputError: the only file, or all, are damaged or lack a joint, or names, unit or axes cannot be told.
        OutputError: the target exists or cannot be written.
    """
    check_output(target, overwrite=overwrite, inputs=[source])
    given = None if names is None else bvh_names(names)
    left_out: dict[str, str] = {}
    odd = _Oddities()
    with SourceFiles(source, single=(".bvh",)) as files:
        found = files.with_ending(".bvh")
        if not found:
            raise InputError(f"{source} holds no .bvh files: give a .bvh file, or a folder or zip of them")
        table = _table_of(files, found) if given is None else given
        frame = CaptureFrame(millimetres_of(unit, table.millimetres), up, mirrored)

        def clips() -> Iterator[CaptureClip]:
            def read(name: str) -> CaptureClip:
                return _read(files, name, table, fps, subject, odd)

            return sound_clips(found, read, files.label, left_out, progress)

        def open_writer(unlabelled: tuple[str, ...]) -> PoseStoreWriter:
            parameters = {
                "names": table.name,
                "nose": _how_nose(table, unlabelled),
                "fps": fps,
                "millimetres": frame.millimetres,
                "up": frame.up,
                "mirrored": frame.mirrored,
                "left_out": left_out,  # filled until the store is closed
            }
            provenance = Provenance("evolift data import bvh", parameters, inputs=files.hashes(found))
            return PoseStoreWriter(
                target,
                H36M17,
                "world",
                provenance,
                unlabelled=unlabelled,
                source=source,
                implausible=imported(implausible),
                overwrite=overwrite,
            )

        try:
            totals = write_clips(clips(), frame, open_writer)
        except InputError as error:
            other = None if given is None else _fitting_names(files, found)
            if other in (None, table.name):
                raise
            raise InputError(f"{error}; its joints are those of {other}: leave out `names`") from None
    settled = frame.settled(str(source))
    return BvhSummary(
        totals.files,
        totals.poses,
        totals.native_frames,
        totals.left_out,
        *settled,
        frame.detected,
        table.name,
        left_out,
        (*odd.notes(totals.roots), *frame.doubts),
    )


def _table_of(files: SourceFiles, found: list[str]) -> BvhNames:
    """The built-in table of the first file that is sound and belongs to one."""
    problems = []
    for name in found:
        try:
            return matching_names(parse_bvh(files.read(name), files.label(name)))
        except InputError as error:
            problems.append(error)
    raise problems[0]


def _fitting_names(files: SourceFiles, found: list[str]) -> str | None:
    """Name of the built-in table that the files' joints belong to, None if there is none."""
    try:
        return _table_of(files, found).name
    except InputError:
        return None


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
    files: SourceFiles,
    name: str,
    table: BvhNames,
    fps: float | None,
    subject: str | None,
    odd: _Oddities,
) -> CaptureClip:
    motion = with_names_of(parse_bvh(files.read(name), files.label(name)), table)
    if table.repair is not None:
        before, motion = motion, table.repair(motion)
        if any(before.joints.get(top) is not motion.joints.get(top) for top in table.joints["head"]):
            odd.repaired_heads.append(motion.label)
    motion, table, is_top_put = with_head_top(motion, table)
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
    ends, rotations = moved_joints(motion, rows, wanted, () if skull is None else (skull,))
    joints = np.full((len(rows), len(H36M17), 3), np.nan)
    for joint, weights in table.joints.items():
        joints[:, H36M17.index(joint)] = weighted(ends, weights)
    if motion.note is not None:
        odd.lengths.append(f"{motion.label}: {motion.note}")
    if is_top_put:
        odd.heads.append(motion.label)
    return CaptureClip(
        stem,
        subject or _subject(stem, table),
        files.label(name),
        rows + 1,
        joints,
        len(motion),
        int((~is_good).sum()),
        None if skull is None else _head(motion, table, ends[skull], rotations[skull]),
        motion.root_offset,
    )


def _head(
    motion: BvhMotion, table: BvhNames, skull: np.ndarray, rotation: Float[np.ndarray, "frames 3 3"]
) -> HeadAxes | None:
    rest = rest_positions(motion)
    axes = rest_axes({joint: weighted(rest, weights) for joint, weights in table.joints.items()})
    return None if axes is None else HeadAxes(skull, rotation @ axes[0], rotation @ axes[1])


def _how_nose(table: BvhNames, unlabelled: tuple[str, ...]) -> str:
    if "nose" in table.joints:
        return "of the table"
    return "unlabelled" if unlabelled else f"placed in the frame of {table.skull}"


def _subject(name: str, table: BvhNames) -> str:
    return name.rsplit("_", 1)[0] if table.subject_from_name and "_" in name else "unknown"
