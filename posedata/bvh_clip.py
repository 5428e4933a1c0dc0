r"""The text of a BVH file, for animators: a clip of one person in any skeleton whose bones can be rotated.

A BVH joint rotates all its children together, but captured or predicted bones rotate each for itself. So where a joint has
several children, each of their bones hangs on a helper called `PARENT_to_CHILD` at the parent's place, and the joint itself
rotates as its children do on the whole (Kabsch). A helper, or a joint of one child, rotates by the smallest rotation that
brings its bone into place; twist about bones cannot be seen in joints and stays 0. Blender 3.4 places all joints within
0.002 mm of where `evolift.posedata.importers.bvh` does.

Lengths are those of the skeleton's rest pose, a T-pose facing +z: each bone has the median of its lengths over the clip,
averaged with that of the other side, so that left and right are equally long. Bones keep their directions, so joints move
by as much as lengths differ from these.

People stand on the floor y = 0, and the first frame's root is over the origin. Where places are known, the floor is the
height that the lowest joint is under in `FLOOR_SHARE` of the frames, so that people may jump; where they are not, every
frame has its lowest joint on the floor (the rule of `evolift.posedata.predictions.levelled_poses`). Centimetres, y up.

Reference: Kabsch, Acta Cryst. A32 (1976).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from evolift.posedata.errors import OutputError
from evolift.posedata.predictions.levelled_poses import FLOOR_SHARE
from evolift.posedata.skeleton import Skeleton

MM_PER_CM = 10.0
FROM_CAMERA = np.diag([1.0, -1.0, -1.0])
"""Rows of camera coordinates (x right, y down, z forward) times this are those of the file."""
FROM_WORLD = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
"""Rows of world coordinates (z up) times this are those of the file."""
_ORDER = "ZXY"
_LEAF = 0.3  # length of the end beyond a last joint, of the bone before it
_UP, _DOWN, _FRONT, _LEFT, _RIGHT = (0, 1, 0), (0, -1, 0), (0, 0, 1), (1, 0, 0), (-1, 0, 0)
_REST = {"knee": _DOWN, "ankle": _DOWN, "spine": _UP, "thorax": _UP, "neck": _UP, "upper_neck": _UP}
_REST |= {"head": _UP, "head_top": _UP, "foot": _FRONT, "toe": _FRONT}
_SIDEWAYS = ("hip", "shoulder", "elbow", "wrist", "eye", "ear")


def require_kinematic(skeleton: Skeleton) -> None:
    """Refuse a skeleton whose lines are no bones.

    Raises:
        OutputError: it is one.
    """
    if not skeleton.is_kinematic:
        raise OutputError(
            f"skeleton {skeleton.name} is a drawing tree, which BVH cannot hold: write another format"
        )


def bvh_text(
    skeleton: Skeleton,
    joints: Float[np.ndarray, "frames joints 3"],
    frames_per_second: float,
    *,
    is_placed: bool = True,
) -> str:
    """A BVH file.

    Args:
        skeleton: a kinematic one.
        joints: mm, y up (`FROM_CAMERA`, `FROM_WORLD`), finite.
        frames_per_second: of the clip.
        is_placed: where people are is known; otherwise the root moves up and down only, so that they stand on the floor.
    """
    lengths = symmetric_lengths(skeleton, joints)
    points = _on_floor(with_lengths(skeleton, joints, lengths), skeleton.root, is_placed=is_placed)
    lines: list[str] = ["HIERARCHY"]
    channels: list[Float[np.ndarray, "frames 3"]] = [points[:, skeleton.root] / MM_PER_CM]
    still = np.broadcast_to(np.eye(3), (len(points), 3, 3))
    _write_joint(
        skeleton, points, lengths / MM_PER_CM, skeleton.root, np.zeros(3), still, lines, channels, ""
    )
    lines += ["MOTION", f"Frames: {len(points)}", f"Frame Time: {1 / frames_per_second:.7f}"]
    table = np.concatenate(channels, 1)
    lines += [" ".join(f"{value:.6f}" for value in row) for row in table]
    return "\n".join(lines) + "\n"


def symmetric_lengths(
    skeleton: Skeleton, joints: Float[np.ndarray, "frames joints 3"]
) -> Float[np.ndarray, "joints"]:
    """Length of the bone that ends in each joint: the median over the frames, averaged over both sides; 0 for the root."""
    medians = np.zeros(len(skeleton))
    for parent, child in skeleton.bones:
        medians[child] = np.median(np.linalg.norm(joints[:, child] - joints[:, parent], axis=-1))
    averaged: np.ndarray = (medians + medians[list(skeleton.mirror)]) / 2
    return averaged


def with_lengths(
    skeleton: Skeleton, joints: Float[np.ndarray, "frames joints 3"], lengths: Float[np.ndarray, "joints"]
) -> Float[np.ndarray, "frames joints 3"]:
    """The same roots and directions of bones, with other lengths."""
    moved = joints.astype(np.float64)
    for child in skeleton.topological_order[1:]:
        parent = skeleton.parent_indices[child]
        moved[:, child] = moved[:, parent] + lengths[child] * _unit(joints[:, child] - joints[:, parent])
    return moved


def _on_floor(
    joints: Float[np.ndarray, "frames joints 3"], root: int, *, is_placed: bool
) -> Float[np.ndarray, "frames joints 3"]:
    lowest = joints[..., 1].min(1)
    origin = joints[:1, root].copy() if is_placed else joints[:, root].copy()
    origin[:, 1] = np.quantile(lowest, FLOOR_SHARE) if is_placed else lowest
    standing: np.ndarray = joints - origin[:, None]
    return standing


def _write_joint(
    skeleton: Skeleton,
    points: Float[np.ndarray, "frames joints 3"],
    lengths: Float[np.ndarray, "joints"],
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
