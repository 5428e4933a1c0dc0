"""A pose store as a file of another format, which the output's ending names."""

from __future__ import annotations

from dataclasses import asdict

from evolift.posedata.errors import InputError, OutputError
from evolift.posedata.exporters.bvh_clips import cut_at_pauses, write_bvh_clips
from evolift.posedata.exporters.coco import write_coco
from evolift.posedata.exporters.sequences import is_bred, sequences_of
from evolift.posedata.exporters.table import write_table
from evolift.posedata.exporters.videopose3d import write_videopose3d
from evolift.posedata.input_file import FilePath, as_path
from evolift.posedata.output_file import check_output, sha256_of
from evolift.posedata.progress import Progress, no_progress
from evolift.posedata.store import PoseStore, Provenance

ENDINGS = {
    ".npz": "VideoPose3D's 3D",
    ".json": "COCO's keypoints",
    ".csv": "a table",
    "": "a folder of BVH clips",
}
"""Ending of an output -> what it becomes."""


def export_store(
    source: FilePath,
    target: FilePath,
    *,
    frames_per_second: float | None = None,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> str:
    """Write a store as VideoPose3D's .npz, COCO's .json, .csv, or a folder of BVH clips (an output without ending).

    Args:
        source: the store.
        target: its ending is one of `ENDINGS`.
        frames_per_second: of the store's rows; for BVH, which needs it.
        overwrite: replace what is there.
        progress: counts rows.

    Returns:
        A sentence on what was written.

    Raises:
        InputError: the store does not hold what the format is of, or `frames_per_second` is missing or of no use.
        OutputError: the ending names no format, or the target exists or cannot be written.
        StoreError: the store is not sound.
    """
    source, target = as_path(source, "source"), as_path(target, "target")
    ending = target.suffix.lower()
    if ending not in ENDINGS:
        known = ", ".join(f"{ending or 'none'} ({what})" for ending, what in ENDINGS.items())
        raise OutputError(f"{target}: its ending tells the format: give one of {known}")
    if (ending == "") != (frames_per_second is not None):
        raise InputError(
            "a store does not tell the time between its frames, which BVH needs: give `frames_per_second`"
            if ending == ""
            else f"`frames_per_second` is for BVH, and {target} is no folder of it: leave it out"
        )
    if frames_per_second is not None and not 0 < frames_per_second < float("inf"):
        raise InputError(f"`frames_per_second` must be above 0, it is {frames_per_second:g}")
    if ending:
        check_output(target, overwrite=overwrite, inputs=[source])
    with PoseStore(source) as store:
        if ending == ".json":
            people, images = write_coco(target, store, overwrite=overwrite, progress=progress)
            return f"{people:,} people in {images:,} images, whose names are relative to {store.image_folder}"
        if ending == ".csv":
            write_table(target, store, overwrite=overwrite, progress=progress)
            return f"{len(store):,} poses"
        if ending == "" and is_bred(store):
            raise InputError(
                f"{source}: evolved poses do not follow one another in time, so they are no clips, which BVH is of: write .npz or .csv"
            )
        sequences = sequences_of(store, progress)
        if frames_per_second is not None:  # of BVH, see above
            sequences = cut_at_pauses(sequences, frames_per_second)
        poses = sum(len(one.frame) for one in sequences)
        said = f"{poses:,} poses in {len(sequences):,} {'clips' if ending == '' else 'sequences'}"
        if ending == ".npz":
            write_videopose3d(target, sequences, store.skeleton, overwrite=overwrite)
            return said
        assert frames_per_second is not None  # checked above
        record = Provenance(
            "evolift data export",
            {"frames_per_second": frames_per_second},
            inputs={source.name: sha256_of(source)},
        )
        interpolated = write_bvh_clips(
            target,
            sequences,
            store.skeleton,
            frames_per_second,
            record=asdict(record),
            overwrite=overwrite,
            inputs=[source],
        )
        return said + (f"; {interpolated:,} frames between are interpolated" if interpolated else "")
