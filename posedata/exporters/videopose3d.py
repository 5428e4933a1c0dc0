"""3D poses as an .npz file of VideoPose3D's layout (Pavllo et al., CVPR 2019), which SemGCN and others took over.

`positions_3d` is a pickled dictionary by subject and action of (frames, 32, 3) float32, metres, world, z up:
`data_3d_h36m.npz` as `prepare_data_h36m.py` makes it. The tools take 17 of Human3.6M's 32 joints by number
(`H36M17_OF_32`, SemGCN one less) and throw the others away; these lie here on the joint that they hang on.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float32

from evolift.posedata.errors import InputError
from evolift.posedata.exporters.sequences import Sequence
from evolift.posedata.importers.human36m import H36M17_OF_32
from evolift.posedata.output_file import whole_file
from evolift.posedata.skeleton import H36M17, Skeleton

_MM_PER_METRE = 1000.0
_ON = {
    4: 3,
    5: 3,
    9: 8,
    10: 8,
    11: 0,
    16: 12,
    20: 19,
    21: 19,
    22: 19,
    23: 19,
    24: 12,
    28: 27,
    29: 27,
    30: 27,
    31: 27,
}
"""Of Human3.6M's 32 joints those that are not among the 17 -> which of the 17 they are put on."""


def write_videopose3d(path: Path, sequences: list[Sequence], skeleton: Skeleton, *, overwrite: bool) -> None:
    """Write `data_3d_*.npz`.

    Args:
        path: of the file.
        sequences: in H36M17.
        skeleton: of the sequences.
        overwrite: replace an existing file.

    Raises:
        InputError: the skeleton is another one.
        OutputError: the file exists or cannot be written.
    """
    if skeleton != H36M17:
        raise InputError(
            f"VideoPose3D's layout has the joints of H36M17, and these are of {skeleton.name}: convert them by `skeleton` of `evolift data select`"
        )
    positions: dict[str, dict[str, np.ndarray]] = {}
    for one in sequences:
        positions.setdefault(one.subject, {})[one.action] = with_32_joints(one.joints) / np.float32(
            _MM_PER_METRE
        )
    with whole_file(path, overwrite=overwrite) as partial, partial.open("wb") as file:
        # numpy pickles a dictionary as an array of no dimension: what `np.load(...)["positions_3d"].item()` undoes.
        np.savez_compressed(file, positions_3d=np.array(positions, dtype=object))


def with_32_joints(joints: Float32[np.ndarray, "frames 17 3"]) -> Float32[np.ndarray, "frames 32 3"]:
    """Human3.6M's 32 joints; those that are not known lie on one that is."""
    places = {number: place for place, number in enumerate(H36M17_OF_32)}
    taken: np.ndarray = joints[:, [places[_ON.get(number, number)] for number in range(32)]]
    return taken
