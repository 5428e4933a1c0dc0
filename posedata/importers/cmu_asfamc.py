"""Importer for the CMU Graphics Lab Motion Capture Database in its own ASF/AMC files, folder or official zip.

Joints become H36M17, millimetres, in a world with z up. Subject and action are the clip's ("02", "02_01"), frames
keep the file's own numbers, and frames in which the capture jumps are left out (`evolift.posedata.importers.cmu_clips.GLITCHES`).
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from evolift.posedata.errors import InputError
from evolift.posedata.importers.cmu_clips import CMU_FPS, ClipPoses, CmuClip, find_clips, read_clip
from evolift.posedata.importers.frame_rate import kept_frames
from evolift.posedata.importers.settings import CmuSettings
from evolift.posedata.importers.source_files import SourceFiles
from evolift.posedata.num_workers import require_workers
from evolift.posedata.output_file import check_output
from evolift.posedata.plausibility import imported
from evolift.posedata.poses import Poses, repeated_label
from evolift.posedata.progress import Progress, no_progress
from evolift.posedata.skeleton import H36M17
from evolift.posedata.store import PoseStoreWriter, Provenance


@dataclass(frozen=True)
class CmuSummary:
    """What `import_cmu` did.

    Args:
        subjects, clips, poses: written.
        native_frames: in the clips' files.
        left_out: frames left out as glitches of the capture.
    """

    subjects: tuple[str, ...]
    clips: int
    poses: int
    native_frames: int
    left_out: int


def import_cmu(
    source: Path,
    target: Path,
    settings: CmuSettings = CmuSettings(),
    *,
    subjects: Sequence[str] | None = None,
    implausible: bool = False,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> CmuSummary:
    """Write a pose store from the ASF/AMC files of the CMU data base.

    Args:
        source: the zip as downloaded, or a folder; every `NN_MM.amc` needs its `NN.asf` beside it.
        target: the store to write.
        settings: `fps` to keep of the 120 (10 takes every 12th frame), and `num_workers`. With more than one of these, a
            script must guard its own code by `if __name__ == "__main__"`, as for every process pool.
        subjects: only these, for example ["01", "03"]; None takes all.
        implausible: accept poses that do not look like people's in millimetres with z up, rows of no sense among them; these
            rows are left out otherwise (`evolift.posedata.plausibility`).
        overwrite: replace an existing store.
        progress: counts clips.

    Raises:
        InputError: a file is missing or damaged, there is no such subject, or this machine has no use for so many workers.
        OutputError: the target exists or cannot be written.
    """
    require_workers(settings.num_workers)
    check_output(target, overwrite=overwrite, inputs=[source])
    kept_frames(1, CMU_FPS, settings.fps)  # refuses a wrong fps before anything is read
    with SourceFiles(source) as files:
        clips = _of_subjects(find_clips(files), subjects, source)
        provenance = Provenance(
            "evolift data import cmu",
            {"fps": settings.fps, "subjects": None if subjects is None else sorted(subjects)},
            inputs=files.hashes(sorted({name for clip in clips for name in (clip.asf, clip.amc)})),
        )
        native_frames = left_out = 0
        with PoseStoreWriter(
            target,
            H36M17,
            "world",
            provenance,
            source=source,
            implausible=imported(implausible),
            overwrite=overwrite,
        ) as writer:
            for clip, poses in zip(clips, _read_clips(files, clips, settings), strict=True):
                writer.append(_rows(clip, poses))
                native_frames += poses.native_frames
                left_out += poses.left_out
                progress(1, len(clips))
            written = len(writer)
    return CmuSummary(
        tuple(sorted({clip.subject for clip in clips})), len(clips), written, native_frames, left_out
    )


def _of_subjects(clips: list[CmuClip], subjects: Sequence[str] | None, source: Path) -> list[CmuClip]:
    if subjects is None:
        return clips
    known = sorted({clip.subject for clip in clips})
    for subject in subjects:
        if subject not in known:
            raise InputError(f"{source} has no subject {subject!r}: it has {', '.join(known)}")
    return [clip for clip in clips if clip.subject in subjects]


def _read_clips(files: SourceFiles, clips: list[CmuClip], settings: CmuSettings) -> Iterator[ClipPoses]:
    read = partial(read_clip, files, fps=settings.fps)
    if settings.num_workers <= 1 or len(clips) == 1:
        yield from map(read, clips)
        return
    # Fresh interpreters: forking a process that runs torch's threads is not safe.
    context = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(min(settings.num_workers, len(clips)), mp_context=context) as pool:
            yield from pool.map(read, clips)
    except BrokenProcessPool:
        raise InputError(
            "a worker process died while it read clips: try again with `num_workers` 1"
        ) from None


def _rows(clip: CmuClip, poses: ClipPoses) -> Poses:
    count = len(poses.frames)
    return Poses(
        repeated_label(clip.subject, count), repeated_label(clip.name, count), poses.frames, poses.joints
    )
