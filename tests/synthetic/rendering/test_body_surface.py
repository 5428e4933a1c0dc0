from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from evolift.posedata.skeleton import H36M17
from evolift.synthetic.acting.actors import TRAIN_ACTIONS, make_clip
from evolift.synthetic.acting.bodies import BODIES
from evolift.synthetic.acting.motions import MOTIONS
from evolift.synthetic.rendering.body_surface import body_parts
from evolift.synthetic.rendering.scene import floor_under
from evolift.synthetic.rendering.surface_grid import Part, normals_of, triangles_of
from tests.synthetic.rendering.rendered_scenes import plain_appearance


@pytest.fixture(scope="module")
def poses() -> np.ndarray:
    clips = [
        make_clip(BODIES[body], MOTIONS[action], frames=12, fps=10, seed=1, clip=0)
        for body in ("F1", "M2")
        for action in TRAIN_ACTIONS
    ]
    return np.concatenate(clips)


def test_surfaces_are_closed_outward_and_around_the_joints(poses: np.ndarray):
    for joints in poses[::17]:
        parts = body_parts(joints, plain_appearance().build, floor_under(joints.astype(np.float64)))
        for name, part in parts.items():
            triangles = triangles_of({name: part})
            corners = part.points.reshape(-1, 3)[triangles]
            corners = corners - corners.mean((0, 1))
            volume = np.einsum("ti,ti->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6
            assert volume > 1e4, name  # mm^3: positive when triangles turn outward
            assert np.isfinite(normals_of(part)).all()
            np.testing.assert_allclose(part.points[:, 0], part.points[:, -1], atol=1e-6)
        for side in ("left", "right"):
            for joint, part, bound in (("knee", "leg", 90), ("elbow", "arm", 70), ("wrist", "hand", 40)):
                away = parts[f"{side}_{part}"].points - joints[H36M17.index(f"{side}_{joint}")]
                assert np.linalg.norm(away, axis=-1).min() < bound


def tip_of_nose(head: Part) -> np.ndarray:
    """From the middle of the head's ring at its height."""
    ring = head.points[np.abs(head.along - 0.4).argmin()]
    tip: np.ndarray = ring[np.abs(head.around - np.pi / 2).argmin()] - ring[:-1].mean(0)
    return tip


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


@pytest.mark.parametrize("degrees", [-70, -20, 0, 45, 80])
def test_the_face_looks_where_the_nose_is(standing_pose: np.ndarray, degrees: float):
    """The head alone turns: the tip of the rendered nose goes round with the joint, and so does the hair."""
    thorax, nose, head = (H36M17.index(name) for name in ("thorax", "nose", "head"))
    joints = standing_pose.astype(np.float64)
    joints[head] = joints[thorax] + [0, 0, 230]
    turn = Rotation.from_euler("z", degrees, degrees=True)
    joints[nose] = joints[thorax] + turn.apply(joints[nose] - joints[thorax])
    parts = body_parts(joints, replace(plain_appearance().build, hair_length=0.8), 0.0)
    tip = tip_of_nose(parts["head"])
    assert np.degrees(np.arctan2(tip[1], tip[0])) == pytest.approx(degrees, abs=3)
    assert abs(tip[2]) < 0.2 * np.linalg.norm(tip)
    hair = parts["hair"].points.mean((0, 1)) - parts["head"].points.mean((0, 1))
    assert cosine(hair[:2], -tip[:2]) > 0.9


def test_the_nose_the_toes_and_the_left_hand_are_where_they_belong(poses: np.ndarray):
    for joints in poses[::13]:
        parts = body_parts(joints, plain_appearance().build, floor_under(joints.astype(np.float64)))
        j = joints.astype(np.float64)
        # The face looks where the joint lies, seen from the line of thorax and top of the head.
        up = j[H36M17.index("head")] - j[H36M17.index("thorax")]
        ahead = j[H36M17.index("nose")] - j[H36M17.index("thorax")]
        ahead = ahead - up * (up @ ahead) / (up @ up)
        assert cosine(tip_of_nose(parts["head"]), ahead) > 0.8
        for side in ("left", "right"):
            wrist = j[H36M17.index(f"{side}_wrist")]
            other = j[H36M17.index("right_wrist" if side == "left" else "left_wrist")]
            fingers = parts[f"{side}_hand"].points[-1].mean(0)
            assert np.linalg.norm(fingers - wrist) < np.linalg.norm(fingers - other) or (
                np.linalg.norm(wrist - other) < 250
            )


def test_toes_point_ahead_when_standing(standing_pose: np.ndarray):
    parts = body_parts(standing_pose, plain_appearance().build, 0.0)
    for side in ("left", "right"):
        foot = parts[f"{side}_foot"].points
        assert foot[-1, :, 0].mean() - foot[0, :, 0].mean() > 200  # the pose faces +x
        assert -25 < foot[..., 2].min() < 10  # the sole is on the floor
        thumb, palm = (parts[f"{side}_{name}"].points.mean((0, 1)) for name in ("thumb", "hand"))
        assert thumb[0] > palm[0] + 15  # thumbs ahead when the arms hang


def test_skirts_cover_both_thighs_and_hide_when_not_worn(poses: np.ndarray):
    for joints in poses[::11]:
        floor = floor_under(joints.astype(np.float64))
        build = plain_appearance().build
        worn = body_parts(joints, replace(build, skirt=0.9, skirt_flare=0.3), floor)["skirt"].points
        hidden = body_parts(joints, replace(build, skirt=0.0), floor)["skirt"].points
        thighs = [
            joints[H36M17.index(f"{side}_hip")] * 0.4 + joints[H36M17.index(f"{side}_knee")] * 0.6
            for side in ("left", "right")
        ]
        low, high = worn.reshape(-1, 3).min(0), worn.reshape(-1, 3).max(0)
        for thigh in thighs:
            assert ((thigh > low - 1) & (thigh < high + 1)).all()
        pelvis = joints[H36M17.index("pelvis")]
        assert np.linalg.norm(hidden - pelvis, axis=-1).max() < 140


def test_hands_that_carry_the_body_lie_on_the_floor():
    for action in ("crawl", "handstand"):
        joints = make_clip(BODIES["M1"], MOTIONS[action], frames=30, fps=10, seed=3, clip=0)
        for pose in joints[::3]:
            parts = body_parts(pose, plain_appearance().build, 0.0)
            for side in ("left", "right"):
                assert parts[f"{side}_hand"].points[..., 2].min() > -45
