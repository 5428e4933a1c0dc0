"""Small files in the layouts that Human3.6M comes in: metadata.xml, and the poses that they show."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from evolift.posedata.importers.human36m import CAMERA_SIZES, H36M17_OF_32

# Public facts: camera 54138969 of S1, as metadata.xml has it.
S1_ANGLES = (-1.38382776045614, -3.16734304390158, 0.413636308164621)
S1_POSITION = (1841.10702774543, 4955.28462344526, 1563.4453958977)
FIRST_INNER = (
    1145.04940458804, 1143.78109572365, 512.541504956548, 515.4514869776,
    -0.207098910824901, 0.247775183068982, -0.00307515035078854, -0.00142447157470321, -0.000975698859470499,
)  # fmt: skip


def metadata_xml(numbers: np.ndarray | None = None) -> str:
    """All cameras stand where the first of S1 does, each 10 mm beside the one before; `numbers` replaces all 300."""
    if numbers is None:
        outer = []
        for camera in range(4):
            for person in range(11):
                shift = 10.0 * (11 * camera + person)
                outer += [*S1_ANGLES, S1_POSITION[0] + shift, *S1_POSITION[1:]]
        numbers = np.array([*outer, *(4 * FIRST_INNER)])
    items = "".join(f"<item>{name}</item>" for name in CAMERA_SIZES)
    text = " ".join(repr(float(number)) for number in numbers)
    return (
        '<?xml version="1.0"?>\n<metadata><mapping><tr><td>Action</td></tr></mapping>'
        f"<w0>[{text}]</w0><dbcameras><index2id>{items}</index2id></dbcameras></metadata>"
    )


def write_metadata(folder: Path) -> Path:
    path = folder / "metadata.xml"
    path.write_text(metadata_xml())
    return path


def walking(frames: int, standing_pose: np.ndarray, seed: int = 0) -> np.ndarray:
    """(frames, 32, 3) mm, world: someone who stands and sways; joints outside H36M17 repeat the pelvis."""
    rng = np.random.default_rng(seed)
    joints = np.repeat(standing_pose[:1][None], frames, 0).repeat(32, 1).astype(np.float64)
    joints[:, H36M17_OF_32] = standing_pose + rng.normal(0, 10, (frames, 17, 3))
    return joints.astype(np.float32)
