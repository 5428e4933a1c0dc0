"""Which joints the 2D files of VideoPose3D's layout hold: told by their number, their metadata and, once, the joints themselves.

metadata has keypoints_symmetry ([left joints, right joints]), num_joints and sometimes layout_name. By these a file has
Human3.6M's 32 or 17 joints, Human3.6M's 16 (without joint 9 of the 17), COCO's 17 (Detectron), or MPII's 16 (stacked
hourglass, as VideoPose3D prepares it). SemGCN's preparation brings the stacked hourglass's 16 into the order of Human3.6M's 16
(garyzhao/SemGCN, data/prepare_data_2d_h36m_sh.py), MPII's thorax in the place of the spine and its upper neck in that of the
thorax, with the same metadata as Human3.6M's 16 have. The two are told apart by how far up the body the joint in the place
of the spine lies: in Human3.6M half the way from pelvis to thorax (234 and 257 mm), in the other most of the way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evolift.posedata.errors import InputError
from evolift.posedata.importers.human36m import H36M17_OF_32
from evolift.posedata.joint_mapping import JointMapping, mapping_between
from evolift.posedata.skeleton import COCO17, H36M16, H36M17, MPII16, Skeleton

SEMGCN_HOURGLASS = (
    "pelvis", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "thorax", "upper_neck", "head_top",
    "left_shoulder", "left_elbow", "left_wrist", "right_shoulder", "right_elbow", "right_wrist",
)  # fmt: skip
"""MPII's joints in the order that SemGCN's preparation gives them."""
HIGHEST_SPINE = 0.65
"""Share of the way from pelvis to thorax, above which a joint is not Human3.6M's spine: between its 0.48 and the hourglass's 0.8."""
_LAYOUTS = {"h36m": (H36M17, H36M16), "coco": (COCO17,), "mpii": (MPII16,)}


@dataclass(frozen=True)
class Layout2d:
    """Joints of a 2D file, which of them are taken, and how they become the store's.

    Args:
        joints: of the file.
        taken: those that the mapping starts from, in its order.
        mapping: to the skeleton of the store.
        note: what an import says of it, "" if there is nothing to say.
    """

    joints: int
    taken: tuple[int, ...]
    mapping: JointMapping
    note: str = ""


def layout_of(path: Path, positions: Mapping[str, Mapping[str, Any]], metadata: Any) -> Layout2d:
    """The layout of positions_2d.

    Args:
        path: of the file, for messages.
        positions: subject -> action -> list of (frames, joints, 2) by camera, px.
        metadata: of the file, None if it has none.

    Raises:
        InputError: it is none of the known ones, or there are no sequences.
    """
    first = next((views for actions in positions.values() for views in actions.values()), None)
    is_listed = isinstance(first, list) or (isinstance(first, np.ndarray) and first.ndim > 0)
    if first is None or not is_listed or not len(first):
        raise InputError(f"{path} holds no sequences as lists of arrays: download it again")
    shape: tuple[int, ...] = first[0].shape if isinstance(first[0], np.ndarray) else ()
    joints = shape[1] if len(shape) == 3 else 0
    if joints == 32:
        return Layout2d(32, H36M17_OF_32, mapping_between(H36M17, H36M17))
    metadata = metadata if isinstance(metadata, dict) else {}
    name, symmetry = metadata.get("layout_name"), metadata.get("keypoints_symmetry")
    name = name if name is None or isinstance(name, str) else ""
    skeleton = _skeleton(joints, name, symmetry)
    if skeleton is None:
        raise InputError(
            f"{path}: its {joints} joints (layout_name {name!r}) are neither those of Human3.6M (32, 17 or 16) nor of COCO (17) or MPII (16) by its metadata: give another 2D file"
        )
    if skeleton == H36M16 and _is_hourglass(positions):
        taken = tuple(SEMGCN_HOURGLASS.index(joint) for joint in MPII16.joints)
        return Layout2d(16, taken, mapping_between(MPII16, H36M17), _note(" in SemGCN's order"))
    goal = H36M16 if skeleton == H36M16 else H36M17
    note = _note("") if skeleton == MPII16 else ""
    return Layout2d(joints, tuple(range(joints)), mapping_between(skeleton, goal), note)


def _note(order: str) -> str:
    return f"2D joints: the 16 of MPII that stacked hourglass finds{order}, converted to H36M17"


def _skeleton(joints: int, name: Any, symmetry: Any) -> Skeleton | None:
    """The skeleton of so many joints that fits the metadata, of which at least one part must be there."""
    if name is None and symmetry is None:
        return None
    for layout, skeletons in _LAYOUTS.items():
        for skeleton in skeletons:
            fits_sides = symmetry is None or _sides(symmetry) == _sides_of(skeleton)
            if len(skeleton) == joints and name in (None, layout) and fits_sides:
                return skeleton
    return None


def _sides(symmetry: Any) -> list[list[int]]:
    try:
        return [sorted(int(joint) for joint in side) for side in symmetry]
    except (TypeError, ValueError, OverflowError):
        return []


def _sides_of(skeleton: Skeleton) -> list[list[int]]:
    return [
        [index for index, joint in enumerate(skeleton.joints) if joint.startswith(side)]
        for side in ("left_", "right_")
    ]


def _is_hourglass(positions: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether 16 joints in the order of H36M16 are stacked hourglass's, by the first sequence of each subject."""
    pelvis, spine, thorax = (H36M16.index(joint) for joint in ("pelvis", "spine", "thorax"))
    low, high = [], []
    for actions in positions.values():
        views = next(iter(actions.values()), ())
        for pixels in views if isinstance(views, list) else list(np.atleast_1d(views)):
            if (
                isinstance(pixels, np.ndarray)
                and pixels.dtype.kind == "f"
                and pixels.ndim == 3
                and pixels.shape[1:] == (16, 2)
            ):
                low.append(np.linalg.norm(pixels[:, spine] - pixels[:, pelvis], axis=-1))
                high.append(np.linalg.norm(pixels[:, thorax] - pixels[:, pelvis], axis=-1))
    if not low:
        return False  # what is wrong with the arrays is said where they are read
    return bool(np.median(np.concatenate(low)) > HIGHEST_SPINE * np.median(np.concatenate(high)))
