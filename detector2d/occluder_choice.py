"""What is pasted over people in a training: cut-outs given, read from a file or folder, or drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from evolift.detector2d.occlusion import Occluder, synthetic_occluders
from evolift.detector2d.settings import OcclusionSettings
from evolift.detector2d.voc_objects import read_occluders
from evolift.posedata.errors import InputError

Occluders = Path | Sequence[Occluder] | None
"""A Pascal VOC folder or a file of `voc_objects.save_occluders`; the cut-outs themselves; or None for synthetic ones."""


def chosen_occluders(occlusion: OcclusionSettings, given: Occluders = None) -> tuple[Occluder, ...]:
    """The cut-outs to paste; none where nothing is occluded.

    Raises:
        InputError: occluders are given where nothing is occluded, or cannot be read.
    """
    if not occlusion.occlusion_probability:
        if given is not None:
            raise InputError("`occluders` does nothing without `occlusion_probability`: set that above 0")
        return ()
    if given is None:
        return synthetic_occluders()
    return read_occluders(given) if isinstance(given, Path) else tuple(given)


def told_occluders(given: Occluders) -> str | None:
    """What the record of a run says of them."""
    if given is None:
        return None
    return str(given) if isinstance(given, Path) else f"{len(given)} cut-outs"
