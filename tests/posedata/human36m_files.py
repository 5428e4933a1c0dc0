"""Small files in the layouts that Human3.6M comes in: metadata.xml, the archive of 3d-pose-baseline, and their poses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import h5py
import numpy as np

from evolift.posedata.camera import Camera
from evolift.posedata.importers.human36m import CAMERA_SIZES, H36M17_OF_32
from evolift.posedata.importers.human36m_cameras import built_in_cameras
from evolift.posedata.joint_mapping import mapping_between
from evolift.posedata.skeleton import H36M17, MPII16

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


def hourglass(joints: np.ndarray, camera: Camera) -> np.ndarray:
    """(frames, 16, 2): what a faultless stacked hourglass finds of (frames, 32, 3) mm; MPII's upper neck is above its thorax."""
    body = joints[:, H36M17_OF_32].astype(np.float64)
    converted, _ = mapping_between(H36M17, MPII16).convert(body)
    thorax, head = (body[:, H36M17.index(name)] for name in ("thorax", "head"))
    converted[:, MPII16.index("upper_neck")] = thorax + 0.4 * (head - thorax)
    return camera.project(converted)


def write_pose_baseline(
    folder: Path,
    standing_pose: np.ndarray,
    *,
    sequences: Mapping[str, Mapping[str, int]] = {
        "S1": {"Directions 1": 12, "Photo": 7},
        "S11": {"Directions": 5},
    },
    cameras: Mapping[tuple[str, str], Camera] | None = None,
    is_opencv: bool = True,
    edit: Callable[[Path], object] = id,
) -> Path:
    """The layout of h36m.zip, extracted; detections go on for two frames after the poses.

    Args:
        folder: that it is written into, as h36m.
        standing_pose: of the people.
        sequences: frames of each.
        cameras: written into cameras.h5 and used for the detections; those of Human3.6M if None.
        is_opencv: order of p in cameras.h5.
        edit: called with the folder at the end.
    """
    cameras = built_in_cameras() if cameras is None else cameras
    root = folder / "h36m"
    for subject, actions in sequences.items():
        for place in ("MyPoses/3D_positions", "StackedHourglass"):
            (root / subject / place).mkdir(parents=True)
        for action, frames in actions.items():
            joints = walking(frames + 2, standing_pose)
            with h5py.File(root / subject / f"MyPoses/3D_positions/{action}.h5", "w") as file:
                file["3D_positions"] = joints[:frames].reshape(frames, 96).T.astype(np.float64)
            for name in CAMERA_SIZES:
                path = root / subject / f"StackedHourglass/{action.replace(' ', '_')}.{name}.h5"
                with h5py.File(path, "w") as file:
                    file["poses"] = hourglass(joints, cameras[subject, name])
    with h5py.File(root / "cameras.h5", "w") as file:
        for subject in sequences:
            for index, name in enumerate(CAMERA_SIZES):
                camera = cameras[subject, name]
                k1, k2, p1, p2, k3 = camera.distortion
                group = file.create_group(f"subject{subject[1:]}/camera{index + 1}")
                group["R"], group["T"] = camera.R.T, camera.position[:, None]
                group["f"], group["c"] = np.diag(camera.K)[:2, None], camera.K[:2, 2:]
                group["k"] = np.array([[k1], [k2], [k3]])
                group["p"] = np.array([[p1], [p2]] if is_opencv else [[p2], [p1]])
                group["Name"] = np.array([[float(ord(letter))] for letter in name])
    edit(root)
    return root
