"""Importer for joint positions of SMPL bodies: AMASS and others after somebody ran the body model.

AMASS itself (Mahmood et al., ICCV 2019) holds rotations and shapes, whose joints need the licensed body model. Many
preparations store the joints beside them, and those are read here: .npz with an array `joints` or `Jtr` of (frames, 22 or
more, 3), as HuMoR's process_amass_data.py writes, or .npy of (frames, 22 or more, 3), as HumanML3D's. The first 22 joints
are the same in SMPL, SMPL-H and SMPL-X. AMASS has z up and HumanML3D y up: unit, axis and sides are told from the poses,
as for BVH, or asked for.

SMPL has no joint at the top of the head: H36M17's head is as far above SMPL's head joint (the base of the skull) as that is
above its neck joint, in the same direction. This is coarse, and provenance says so. Nor has it a nose: that joint of H36M17 is
unlabelled, unless the file holds all joints of the smplx package's output, which has one behind the body's (and hands') own.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Float

from evolift.posedata.errors import InputError, reason_of
from evolift.posedata.importers.bvh import millimetres_of
from evolift.posedata.importers.capture_clips import CaptureClip, CaptureFrame, sound_clips, write_clips
from evolift.posedata.importers.capture_frame import Axis
from evolift.posedata.importers.frame_rate import kept_frames
from evolift.posedata.importers.source_files import SourceFiles
from evolift.posedata.joint_mapping import mapping_between
from evolift.posedata.output_file import check_output
from evolift.posedata.plausibility import imported
from evolift.posedata.progress import Progress, no_progress
from evolift.posedata.skeleton import H36M17, SMPL22
from evolift.posedata.store import PoseStoreWriter, Provenance

KEYS = ("joints", "Jtr", "jtr", "joints3d", "joints_3d")
"""Names that arrays of joints have."""
NOSE_OF_JOINTS = {45: 24, 73: 52, 127: 55, 144: 55}
"""Number of joints in smplx's output of SMPL, SMPL-H and SMPL-X (the last without and with the face's contour) -> where the nose is
in it (joint_names.py of github.com/vchoutas/smplx)."""
RATE_KEYS = ("fps", "mocap_framerate", "mocap_frame_rate")
_PARAMETERS = {"poses", "betas", "trans", "pose_body", "root_orient"}


@dataclass(frozen=True)
class SmplSummary:
    """What `import_smpl_joints` did.

    Args:
        files, poses: written.
        native_frames: in the files.
        millimetres, up, mirrored: what the files' unit and axes were taken for.
        detected: which of the three were told from the poses.
        unread: files that were left out, and why.
        notes: sentences on what is doubtful.
    """

    files: int
    poses: int
    native_frames: int
    millimetres: float
    up: Axis
    mirrored: bool
    detected: tuple[str, ...]
    unread: dict[str, str]
    notes: tuple[str, ...]


def import_smpl_joints(
    source: Path,
    target: Path,
    *,
    key: str | None = None,
    fps: float | None = None,
    rate: float | None = None,
    unit: str | float | None = None,
    up: Axis | None = None,
    mirrored: bool | None = None,
    subject: str | None = None,
    implausible: bool = False,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> SmplSummary:
    """Write a pose store (H36M17, world) from files of joint positions.

    The action of each row is the name of its file, the subject that of the file's folder.

    Args:
        source: a .npz or .npy file, or a folder or zip of them.
        target: the store to write.
        key: name of the array of joints in .npz files; None takes the first of `KEYS` that is there.
        fps: frames per second to keep; None keeps all.
        rate: frames per second of files that do not tell it; needed with `fps` then.
        unit: of length: m, cm, mm, inch or millimetres; None detects it.
        up: upward axis; None detects it.
        mirrored: whether left and right are swapped; None detects it.
        subject: label of all rows.
        implausible: accept poses that do not look like people's in millimetres with z up, rows of no sense among them; these
            rows are left out otherwise (`evolift.posedata.plausibility`).
        overwrite: replace an existing store.
        progress: counts files.

    Raises:
        InputError: the only file, or all, are damaged or hold no joints, or unit or axes cannot be told.
        OutputError: the target exists or cannot be written.
    """
    check_output(target, overwrite=overwrite, inputs=[source])
    frame = CaptureFrame(millimetres_of(unit, None), up, mirrored)
    with SourceFiles(source, single=(".npz", ".npy")) as files:
        found = sorted(files.with_ending(".npz") + files.with_ending(".npy"))
        if not found:
            raise InputError(f"{source} holds no .npz or .npy files: give a file, or a folder or zip of them")
        left_out: dict[str, str] = {}

        def clips() -> Iterator[CaptureClip]:
            def read(name: str) -> CaptureClip:
                return _read(files, name, key, fps, rate, subject)

            return sound_clips(found, read, files.label, left_out, progress)

        def open_writer(unlabelled: tuple[str, ...]) -> PoseStoreWriter:
            parameters = {
                "key": key,
                "fps": fps,
                "rate": rate,
                "millimetres": frame.millimetres,
                "up": frame.up,
                "mirrored": frame.mirrored,
                "left_out": left_out,  # filled until the store is closed
                "head": "extrapolated from the neck through the base of the skull",
            }
            provenance = Provenance("evolift data import smpl-joints", parameters, inputs=files.hashes(found))
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

        totals = write_clips(clips(), frame, open_writer)
    return SmplSummary(
        totals.files,
        totals.poses,
        totals.native_frames,
        *frame.settled(str(source)),
        frame.detected,
        left_out,
        tuple(frame.doubts),
    )


def _read(
    files: SourceFiles, name: str, key: str | None, fps: float | None, rate: float | None, subject: str | None
) -> CaptureClip:
    label = files.label(name)
    joints, own_rate = _joints_of(files.read(name), name, key, label)
    rate = rate if own_rate is None else own_rate
    if fps is not None and rate is None:
        raise InputError(f"{label} does not tell its frames per second: give them by `rate`")
    rows = kept_frames(len(joints), rate or 1.0, fps if rate is not None else None)
    chosen = joints[rows].astype(np.float64)
    kept, _ = mapping_between(SMPL22, H36M17).convert(chosen[:, : len(SMPL22)])
    nose = NOSE_OF_JOINTS.get(joints.shape[1])
    kept[:, H36M17.index("nose")] = np.nan if nose is None else chosen[:, nose]
    path = PurePosixPath(name)
    return CaptureClip(
        path.stem, subject or path.parent.name or "unknown", label, rows + 1, kept, len(joints)
    )


def _joints_of(
    data: bytes, name: str, key: str | None, label: str
) -> tuple[Float[np.ndarray, "frames joints 3"], float | None]:
    """Joints (all of smplx's output, else the body's 22) and frames per second, the latter if the file tells it.

    Only the arrays of numbers that are wanted are read: others, which may be pickled, are not touched.
    """
    try:
        loaded = np.load(io.BytesIO(data), allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            values, rate = loaded, None
        else:
            values = _array(loaded, key, label)
            rates = [float(loaded[one]) for one in RATE_KEYS if one in loaded.files]
            rate = rates[0] if rates else None
    except InputError:
        raise
    except Exception as error:  # numpy and zipfile raise many kinds for damaged bytes
        raise InputError(
            f"{label} is not a sound {PurePosixPath(name).suffix} file of numbers ({reason_of(error)}): write it again"
        ) from None
    if (
        values.dtype.kind != "f"
        or values.ndim != 3
        or values.shape[1] < len(SMPL22)
        or values.shape[2] != 3
        or not len(values)
    ):
        raise InputError(
            f"{label} must hold joints of shape (frames, 22 or more, 3), they are {values.dtype} of {values.shape}: give joints of SMPL"
        )
    joints = values if values.shape[1] in NOSE_OF_JOINTS else values[:, : len(SMPL22)]
    strange = ~np.isfinite(joints).all((1, 2))
    if strange.any():
        raise InputError(f"{label}, frame {int(strange.argmax()) + 1}: a joint is not finite: write it again")
    if rate is not None and not (np.isfinite(rate) and rate > 0):
        raise InputError(f"{label}: its frames per second are {rate:g}: write it again")
    return joints, rate


def _array(archive: np.lib.npyio.NpzFile, key: str | None, label: str) -> np.ndarray:
    wanted = KEYS if key is None else (key,)
    for name in wanted:
        if name in archive.files:
            return np.asarray(archive[name])
    if key is None and _PARAMETERS & set(archive.files):
        raise InputError(
            f"{label} holds rotations and shapes of SMPL but no joints, which need its body model: run that and save the joints as an array 'joints'"
        )
    raise InputError(
        f"{label} has no array {' or '.join(wanted)}: it has {', '.join(archive.files)}: name it by `key`"
    )
