r"""Predicted tracks as BVH files, for animators: one file for each person of a video.

A BVH joint rotates all its children together, but predicted bones rotate each for itself. So where a joint has several
children, each of their bones hangs on a helper called `PARENT_to_CHILD` at the parent's place, and the joint itself
rotates as its children do on the whole (Kabsch). A helper, or a joint of one child, rotates by the smallest rotation that
brings its bone into place; twist about bones cannot be seen in joints and stays 0. Blender 3.4 places all joints within
0.002 mm of where `evolift.posedata.importers.bvh` does.

Lengths are those of the skeleton's rest pose, a T-pose facing +z: each bone has the median of its lengths over the
clip, so joints are where they were predicted if bones keep their lengths. Centimetres, y up; camera coordinates
(x, y, z) become (x, -y, -z). Frames in which the person was not seen are interpolated between their neighbours; where frames are not
evenly spaced in time, all are, at the rate of the shortest steps.

Reference: Kabsch, Acta Cryst. A32 (1976).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from evolift.posedata.errors import OutputError
from evolift.posedata.output_file import free_path, write_text
from evolift.posedata.predictions.predictions import Predictions, places_in_time, require_near_frames
from evolift.posedata.skeleton import Skeleton

MM_PER_CM = 10.0
_ORDER = "ZXY"
_LEAF = 0.3  # length of the end beyond a last joint, of the bone before it
_FLIP = np.array([1.0, -1.0, -1.0])
_UP, _DOWN, _FRONT, _LEFT, _RIGHT = (0, 1, 0), (0, -1, 0), (0, 0, 1), (1, 0, 0), (-1, 0, 0)
_REST = {"knee": _DOWN, "ankle": _DOWN, "spine": _UP, "thorax": _UP, "neck": _UP, "upper_neck": _UP}
_REST |= {"head": _UP, "head_top": _UP, "foot": _FRONT, "toe": _FRONT}
_SIDEWAYS = ("hip", "shoulder", "elbow", "wrist", "eye", "ear")


@dataclass(frozen=True)
class BvhTrack:
    """What `write_bvh_tracks` wrote.

    Args:
        path: of the file.
        frames: in it.
        interpolated: frames in which the person was not seen.
    """

    path: Path
    frames: int
    interpolated: int


def write_bvh_tracks(
    folder: Path, name: str, predictions: Predictions, frames_per_second: float
) -> list[BvhTrack]:
    """Write NAME_PERSON.bvh for each person of a video; a name that is taken gets a number.

    The root moves where its place in the camera's frame is known in all frames of a track, otherwise it stays.

    Args:
        folder: that exists.
        name: of the video, without ending.
        predictions: of its tracked people; each frame may be an image of its own name.
        frames_per_second: of the video.

    Raises:
        InputError: frames of a person are too far apart.
        OutputError: the skeleton's bones cannot be rotated, a person is twice in one frame, a 3D joint is not known, or a
            file cannot be written.
    """
    skeleton = predictions.skeleton
    if not skeleton.is_kinematic:
        raise OutputError(
            f"skeleton {skeleton.name} is a drawing tree, which BVH cannot hold: write another format"
        )
    written: list[BvhTrack] = []
    for person, order in predictions.tracks().items():
        frames = predictions.frame[order]
        joints = predictions.joints_3d[order].astype(np.float64)
        what = f"person {person!r} of {name}"
        if (np.diff(frames) == 0).any() or not np.isfinite(joints).all():
            raise OutputError(f"{what} is twice in one frame or lacks 3D joints, which BVH cannot hold")
        places = places_in_time(predictions, order, frames_per_second)
        first, last = (int(np.round(places[end])) for end in (0, -1))
        require_near_frames(np.round(places).astype(np.int64), f"{what}, bvh")
        root = predictions.root_3d[order].astype(np.float64)
        joints += root[:, None] if np.isfinite(root).all() else 0.0
        every = np.arange(first, last + 1)
        path = free_path(folder, f"{name}_{person}", ".bvh")
        text = bvh_text(skeleton, _at_frames(joints, places, every), frames_per_second)
        write_text(path, text, overwrite=False)
        written.append(BvhTrack(path, len(every), len(every) - len(np.intersect1d(np.round(places), every))))
    return written


def bvh_text(
    skeleton: Skeleton, joints: Float[np.ndarray, "frames joints 3"], frames_per_second: float
) -> str:
    """A BVH file.

    Args:
        skeleton: a kinematic one.
        joints: mm, camera axes (x right, y down, z forward).
        frames_per_second: of the clip.
    """
    points = joints * _FLIP / MM_PER_CM
    lengths = {
        child: float(np.median(np.linalg.norm(points[:, child] - points[:, parent], axis=-1)))
        for parent, child in skeleton.bones
    }
    lines: list[str] = ["HIERARCHY"]
    channels: list[Float[np.ndarray, "frames 3"]] = [points[:, skeleton.root]]
    still = np.broadcast_to(np.eye(3), (len(points), 3, 3))
    _write_joint(skeleton, points, lengths, skeleton.root, np.zeros(3), still, lines, channels, "")
    lines += ["MOTION", f"Frames: {len(points)}", f"Frame Time: {1 / frames_per_second:.7f}"]
    table = np.concatenate(channels, 1)
    lines += [" ".join(f"{value:.6f}" for value in row) for row in table]
    return "\n".join(lines) + "\n"


def _write_joint(
    skeleton: Skeleton,
    points: Float[np.ndarray, "frames joints 3"],
    lengths: dict[int, float],
    joint: int,
    offset: Float[np.ndarray, "3"],
    above: Float[np.ndarray, "frames 3 3"],
    lines: list[str],
    channels: list[Float[np.ndarray, "frames 3"]],
    indent: str,
) -> None:
    """A joint and all below it: its lines, and its columns of the motion in the order of the lines."""
    children = [child for parent, child in skeleton.bones if parent == joint]
    name, is_root = skeleton.joints[joint], joint == skeleton.root
    rests = np.array([_rest_direction(skeleton.joints[child]) for child in children]).reshape(-1, 3)
    goals = (
        np.stack([_unit(points[:, child] - points[:, joint]) for child in children], 1) if children else None
    )
    rotated = above if goals is None else above @ _rotation(rests, np.einsum("fji,fcj->fci", above, goals))
    lines += [f"{indent}{'ROOT' if is_root else 'JOINT'} {name}", f"{indent}{{"]
    _write_place(lines, indent + "  ", offset, is_root=is_root)
    channels.append(_euler(above.swapaxes(1, 2) @ rotated))
    for number, child in enumerate(children):
        bone = lengths[child] * rests[number]
        if len(children) == 1:
            _write_joint(skeleton, points, lengths, child, bone, rotated, lines, channels, indent + "  ")
            continue
        assert goals is not None
        goal = np.einsum("fji,fj->fi", rotated, goals[:, number])
        helper = rotated @ _rotation(rests[number : number + 1], goal[:, None])
        lines += [f"{indent}  JOINT {name}_to_{skeleton.joints[child]}", f"{indent}  {{"]
        _write_place(lines, indent + "    ", np.zeros(3), is_root=False)
        channels.append(_euler(rotated.swapaxes(1, 2) @ helper))
        _write_joint(skeleton, points, lengths, child, bone, helper, lines, channels, indent + "    ")
        lines.append(f"{indent}  }}")
    if not children:
        end = _LEAF * offset
        lines += [
            f"{indent}  End Site",
            f"{indent}  {{",
            f"{indent}    OFFSET {_numbers(end)}",
            f"{indent}  }}",
        ]
    lines.append(f"{indent}}}")


def _write_place(lines: list[str], indent: str, offset: Float[np.ndarray, "3"], *, is_root: bool) -> None:
    rotations = " ".join(f"{axis}rotation" for axis in _ORDER)
    moves = "Xposition Yposition Zposition "
    lines += [f"{indent}OFFSET {_numbers(offset)}"]
    lines += [f"{indent}CHANNELS {'6 ' + moves if is_root else '3 '}{rotations}"]


def _numbers(values: Float[np.ndarray, "3"]) -> str:
    return " ".join(f"{value:.6f}" for value in values)


def _rotation(
    rests: Float[np.ndarray, "children 3"], goals: Float[np.ndarray, "frames children 3"]
) -> Float[np.ndarray, "frames 3 3"]:
    """Rotations that bring rest directions onto goals: the smallest for one, the best for several."""
    if len(rests) > 1:
        u, _, vt = np.linalg.svd(np.einsum("fci,cj->fij", goals, rests))
        sign = np.linalg.det(u @ vt)
        u[..., -1] *= sign[:, None]
        best: np.ndarray = u @ vt
        return best
    rest, goal = rests[0], goals[:, 0]
    axis, cosine = np.cross(rest, goal), goal @ rest
    # A rotation by 180 degrees has no smallest one: any axis across the bone will do.
    across = np.cross(rest, np.eye(3)[np.abs(rest).argmin()])
    sine = np.linalg.norm(axis, axis=-1, keepdims=True)
    direction = np.where(sine > 1e-9, axis / np.maximum(sine, 1e-9), across / np.linalg.norm(across))
    angle = np.arctan2(sine[:, 0], cosine)
    smallest: np.ndarray = Rotation.from_rotvec(direction * angle[:, None]).as_matrix()
    return smallest


def _euler(rotations: Float[np.ndarray, "frames 3 3"]) -> Float[np.ndarray, "frames 3"]:
    """Degrees about moving axes in the order of the channels, without jumps of a full turn between frames."""
    angles = Rotation.from_matrix(rotations).as_euler(_ORDER)
    unwrapped: np.ndarray = np.degrees(np.unwrap(angles, axis=0))
    return unwrapped


def _rest_direction(joint: str) -> Float[np.ndarray, "3"]:
    side, _, part = joint.partition("_") if joint.startswith(("left_", "right_")) else ("", "", joint)
    if part in _SIDEWAYS:
        return np.array(_LEFT if side == "left" else _RIGHT, np.float64)
    return np.array(_REST.get(part, _FRONT), np.float64)


def _unit(vectors: Float[np.ndarray, "frames 3"]) -> Float[np.ndarray, "frames 3"]:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    unit: np.ndarray = np.where(length > 0, vectors / np.maximum(length, 1e-12), np.array(_UP, np.float64))
    return unit


def _at_frames(
    joints: Float[np.ndarray, "seen joints 3"],
    places: np.ndarray,
    every: np.ndarray,
) -> Float[np.ndarray, "frames joints 3"]:
    flat = joints.reshape(len(joints), -1)
    columns = [np.interp(every, places, column) for column in flat.T]
    return np.stack(columns, 1).reshape(len(every), *joints.shape[1:])
