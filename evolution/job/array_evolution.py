"""Evolution from array to array, beside that from store to store."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, overload

import numpy as np
from jaxtyping import Float32

from evolift.evolution.job.algorithm import EvolutionReport
from evolift.evolution.job.algorithm import evolve as evolve_store
from evolift.evolution.settings import EvolutionSettings
from evolift.posedata.errors import EvoliftError
from evolift.posedata.input_file import FilePath, as_path
from evolift.posedata.skeleton import H36M17, Skeleton
from evolift.posedata.store import PoseStore


@overload
def evolve(
    source: np.ndarray,
    target: None = None,
    settings: EvolutionSettings = ...,
    *,
    skeleton: Skeleton | str = ...,
    **options: Any,
) -> Float32[np.ndarray, "poses joints 3"]: ...


@overload
def evolve(
    source: FilePath | np.ndarray,
    target: FilePath,
    settings: EvolutionSettings = ...,
    *,
    skeleton: Skeleton | str = ...,
    **options: Any,
) -> EvolutionReport: ...


def evolve(
    source: Any,
    target: Any = None,
    settings: EvolutionSettings = EvolutionSettings(),
    *,
    skeleton: Skeleton | str = H36M17,
    **options: Any,
) -> Any:
    """Grow a set of poses: of a store into a store, or of an array.

    Args:
        source: a store (see `evolift.evolution.job.algorithm.evolve`), or an array (poses, joints, 3) in mm with z up.
        target: store to write; of an array it may be left out.
        settings: all that changes the result.
        skeleton: of the joints of an array, or its name.
        options: further ones of `evolift.evolution.job.algorithm.evolve`.

    Returns:
        Without a target the poses as an array, those of the source first; with one a report.

    Raises:
        InputError: the array has another shape, or there is no target for a store; and as of that function.
        StoreError: the poses cannot be people's.
        OutputError: the target exists, or cannot be written.
    """
    if not isinstance(source, np.ndarray):
        return evolve_store(source, as_path(target, "target"), settings, **options)
    with tempfile.TemporaryDirectory(prefix="evolift-") as folder:
        poses = Path(folder) / "array.h5"
        try:
            PoseStore.from_array(poses, source, skeleton).close()
            report = evolve_store(poses, target or Path(folder) / "evolved.h5", settings, **options)
        except EvoliftError as error:  # the array has never been a file to who gave it
            raise type(error)(str(error).replace(str(poses), "the array")) from None
        if target is not None:
            return report
        with PoseStore(Path(folder) / "evolved.h5", validate=False) as evolved:
            return evolved.read().joints_3d
