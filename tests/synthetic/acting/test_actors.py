from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evolift.posedata.errors import InputError, OutputError
from evolift.posedata.skeleton import H36M17
from evolift.posedata.store import PoseStore
from evolift.synthetic.acting.actors import (
    CONTACT_RADII,
    PAUSE,
    TEST_ACTIONS,
    TEST_SUBJECTS,
    TRAIN_ACTIONS,
    TRAIN_SUBJECTS,
    clip_angles,
    make_clip,
    motion_by_name,
    write_actor_store,
)
from evolift.synthetic.acting.articulation import RANGES_OF_MOTION, forward_kinematics, mirror_angles
from evolift.synthetic.acting.bodies import BODIES, Body, body_by_name
from evolift.synthetic.acting.motions import MOTIONS
from evolift.synthetic.settings import ActorSettings

J = {name: H36M17.index(name) for name in H36M17.joints}
ACTIONS = sorted(MOTIONS)


def standing(**degrees: float) -> dict[str, np.ndarray]:
    return {name: np.radians(np.array([degrees.get(name, 0.0)])) for name in RANGES_OF_MOTION}


def pose(**degrees: float) -> np.ndarray:
    return forward_kinematics(standing(**degrees), BODIES["M1"])[0]


def bone_lengths(body: Body) -> np.ndarray:
    """Lengths in mm in the order of `H36M17.bones`."""
    names = [H36M17.joints[child] for _, child in H36M17.bones]
    return np.array([body.length(name.removeprefix("left_").removeprefix("right_")) for name in names])


def clip(action: str, number: int = 0, body: str = "F1") -> np.ndarray:
    return make_clip(BODIES[body], MOTIONS[action], frames=40, fps=10, seed=5, clip=number).astype(np.float64)


def left_of(joints: np.ndarray) -> np.ndarray:
    """Unit vector to the body's left, from the order of the axes alone: up x forward (see test below)."""
    across = joints[:, J["left_hip"]] - joints[:, J["right_hip"]]
    return across / np.linalg.norm(across, axis=-1, keepdims=True)


def flexion(joints: np.ndarray, a: str, b: str, c: str) -> tuple[np.ndarray, np.ndarray]:
    """Degrees between two bones, and the unit normal of their plane."""
    first, second = joints[:, J[b]] - joints[:, J[a]], joints[:, J[c]] - joints[:, J[b]]
    first /= np.linalg.norm(first, axis=-1, keepdims=True)
    second /= np.linalg.norm(second, axis=-1, keepdims=True)
    normal = np.cross(first, second)
    return np.degrees(np.arccos(np.clip((first * second).sum(-1), -1, 1))), normal


def test_at_least_twelve_actions_and_eight_subjects_and_a_split_that_differs_in_both():
    assert len(MOTIONS) >= 12
    assert len(BODIES) >= 8
    assert {body.is_male for body in BODIES.values()} == {True, False}
    assert not set(TRAIN_SUBJECTS) & set(TEST_SUBJECTS)
    assert set(TEST_ACTIONS) - set(TRAIN_ACTIONS)
    assert set(TEST_ACTIONS) & set(TRAIN_ACTIONS)
    assert set(TRAIN_ACTIONS) | set(TEST_ACTIONS) == set(MOTIONS)
    assert set(TRAIN_SUBJECTS) | set(TEST_SUBJECTS) == set(BODIES)


@pytest.mark.parametrize("action", ACTIONS)
def test_bone_lengths_are_the_bodys_in_every_frame(action):
    joints = clip(action)
    for (parent, child), length in zip(H36M17.bones, bone_lengths(BODIES["F1"]), strict=True):
        measured = np.linalg.norm(joints[:, child] - joints[:, parent], axis=-1)
        if H36M17.joints[child] == "nose":
            # Not a bone of the body: it reaches from the chest to a point of the head, past joints of the neck.
            body = BODIES["F1"]
            assert 0.4 * body.neck < measured.min() <= measured.max() < body.neck + body.skull
            continue
        np.testing.assert_allclose(measured, length, atol=0.5, err_msg=H36M17.joints[child])


@pytest.mark.parametrize("action", ACTIONS)
def test_knees_bend_backwards_and_elbows_forwards(action):
    for number in range(4):
        joints = clip(action, number)
        for side in ("left", "right"):
            bend, normal = flexion(joints, f"{side}_hip", f"{side}_knee", f"{side}_ankle")
            # The shank turns about the axis to the body's left, as far as the thigh is not rotated or abducted.
            rotated_back = (normal * left_of(joints)).sum(-1)
            assert (rotated_back[bend > 15] > 0).all()
            assert bend.max() <= 140.01
            bend, _ = flexion(joints, f"{side}_shoulder", f"{side}_elbow", f"{side}_wrist")
            assert bend.max() <= 145.01


def test_forward_kinematics_puts_each_flexion_where_its_name_says():
    rest = pose()
    assert rest[J["left_hip"], 1] > 0 > rest[J["right_hip"], 1]
    assert rest[J["left_shoulder"], 1] > 0 > rest[J["right_shoulder"], 1]
    for side, out in (("left", 1), ("right", -1)):
        assert pose(**{f"{side}_knee_flexion": 90})[J[f"{side}_ankle"], 0] < -300
        assert pose(**{f"{side}_elbow_flexion": 90})[J[f"{side}_wrist"], 0] > 200
        assert pose(**{f"{side}_hip_flexion": 90})[J[f"{side}_knee"], 0] > 300
        assert pose(**{f"{side}_shoulder_flexion": 90})[J[f"{side}_elbow"], 0] > 200
        assert out * pose(**{f"{side}_hip_abduction": 40})[J[f"{side}_ankle"], 1] > 500
        assert out * pose(**{f"{side}_shoulder_abduction": 90})[J[f"{side}_elbow"], 1] > 400
        inward = pose(**{f"{side}_shoulder_rotation": 60, f"{side}_elbow_flexion": 90})
        assert out * (inward[J[f"{side}_wrist"], 1] - inward[J[f"{side}_elbow"], 1]) < -200
        raised = pose(**{f"{side}_clavicle_elevation": 20})
        assert raised[J[f"{side}_shoulder"], 2] > rest[J[f"{side}_shoulder"], 2] + 40
    assert pose(spine_flexion=40)[J["head"], 0] > 200
    assert pose(spine_bend=20)[J["head"], 1] > 80
    assert pose(spine_twist=30)[J["left_shoulder"], 0] < pose(spine_twist=30)[J["right_shoulder"], 0]
    assert pose(pelvis_pitch=40)[J["head"], 0] > 300
    assert pose(pelvis_roll=20)[J["head"], 1] > 150


def test_the_persons_right_is_on_the_viewers_right_when_facing_away():
    # The viewer stands behind (at -x) and looks along +x; z is up, so the viewer's right is -y.
    joints = forward_kinematics(standing(), BODIES["F1"])[0]
    forward_as_seen = np.array([1.0, 0, 0])
    viewers_right = np.cross(forward_as_seen, [0, 0, 1.0])
    for name in ("hip", "shoulder", "wrist", "ankle"):
        across = joints[J[f"right_{name}"]] - joints[J[f"left_{name}"]]
        assert across @ viewers_right > 100


@pytest.mark.parametrize("action", ["walk", "run"])
def test_gaits_go_where_the_body_faces(action):
    for number in range(5):
        joints = clip(action, number)
        way = np.diff(joints[:, J["pelvis"], :2], axis=0).sum(0)
        forward = np.cross(left_of(joints), [0, 0, 1.0])[:, :2].mean(0)
        assert way @ forward > 500


@pytest.mark.parametrize("action", ACTIONS)
def test_nothing_is_in_the_floor_and_the_body_stands_on_it(action):
    radii = np.array(
        [CONTACT_RADII[name.removeprefix("left_").removeprefix("right_")] for name in H36M17.joints]
    )
    height = np.stack([clip(action, number)[..., 2] - radii for number in range(3)])
    assert height.min() > -0.01
    if action not in ("climb", "run", "jump", "jumping_jack", "somersault"):
        np.testing.assert_allclose(height.min(-1), 0, atol=0.01)


@pytest.mark.parametrize("action", ["walk", "squat", "kick"])
def test_the_foot_that_carries_the_body_does_not_slide(action):
    joints = make_clip(BODIES["F1"], MOTIONS[action], frames=200, fps=50, seed=5, clip=0).astype(np.float64)
    ankles = joints[:, [J["left_ankle"], J["right_ankle"]]]
    lower = ankles[..., 2].argmin(-1)
    same = (lower[1:] == lower[:-1]) & (np.abs(np.diff(ankles[..., 2], axis=1)[1:, 0]) > 40)
    speed = np.linalg.norm(np.diff(ankles[..., :2], axis=0), axis=-1) * 50
    carrying = np.take_along_axis(speed, lower[1:, None], 1)[same, 0]
    swinging = np.take_along_axis(speed, 1 - lower[1:, None], 1)[same, 0]
    assert np.median(carrying) < 120  # mm/s
    assert np.median(swinging) > np.median(carrying)


@pytest.mark.parametrize("action", ACTIONS)
def test_angles_stay_within_the_ranges_of_motion_and_move_smoothly(action):
    rng = np.random.default_rng(3)
    for _ in range(4):
        angles = clip_angles(MOTIONS[action], np.arange(0, 6, 0.02), rng)
        assert angles.pop("height").min() >= 0
        assert set(angles) == set(RANGES_OF_MOTION)
        for name, (low, high) in RANGES_OF_MOTION.items():
            degrees = np.degrees(angles[name])
            assert low <= degrees.min() <= degrees.max() <= high, name
            assert np.abs(np.diff(degrees)).max() < 30, name  # per 20 ms


def test_mirrored_angles_give_the_mirrored_body():
    rng = np.random.default_rng(0)
    angles = clip_angles(MOTIONS["dance"], np.arange(0, 2, 0.1), rng)
    body = BODIES["F2"]
    mirrored = forward_kinematics(mirror_angles(angles), body)
    expected = forward_kinematics(angles, body)[:, list(H36M17.mirror)] * (1, -1, 1)
    np.testing.assert_allclose(mirrored, expected, atol=1e-6)


def test_clips_are_mirrored_about_half_of_the_time():
    raised = [
        clip("wave", number)[:, J["left_wrist"], 2].max() > clip("wave", number)[:, J["right_wrist"], 2].max()
        for number in range(40)
    ]
    assert 8 < sum(raised) < 32


def test_headings_bodies_and_styles_vary():
    clips = np.stack([clip("walk", number) for number in range(12)])
    across = clips[:, 0, J["left_hip"], :2] - clips[:, 0, J["right_hip"], :2]
    assert np.ptp(np.degrees(np.arctan2(*across.T))) > 180
    rooted = clips - clips[:, :, :1]
    assert np.linalg.norm(rooted[0] - rooted[1], axis=-1).mean() > 50
    assert len({tuple(bone_lengths(body).round(3)) for body in BODIES.values()}) == len(BODIES)
    for body in BODIES.values():
        legs_and_trunk = sum(body.length(bone) for bone in ("ankle", "knee", "spine", "thorax"))
        stature = legs_and_trunk + body.neck + body.skull + 80
        assert 1450 < stature < 1950


def test_a_clip_does_not_depend_on_what_else_is_written(tmp_path: Path):
    write_actor_store(
        tmp_path / "one.h5",
        ActorSettings(clips_per_action=1, frames=20, seed=4),
        subjects=["M2"],
        actions=["kick"],
    )
    write_actor_store(
        tmp_path / "many.h5",
        ActorSettings(clips_per_action=2, frames=20, seed=4),
        subjects=["F1", "M2"],
        actions=["walk", "kick"],
    )
    with PoseStore(tmp_path / "one.h5") as one, PoseStore(tmp_path / "many.h5") as many:
        rows = many.table().query("subject == 'M2' and action == 'kick'").index.to_numpy()
        np.testing.assert_array_equal(many.read(rows[:20]).joints_3d, one.read().joints_3d)
        assert many.coordinate_frame == "world"
        assert many.skeleton == H36M17
        assert len(many) == 2 * 2 * 2 * 20
        assert many.provenance.seed == 4
        counts = many.table().groupby(["subject", "action"], observed=True).size()
        assert (counts == 40).all()
        frames = many.table().query("subject == 'F1' and action == 'walk'")["frame"].to_list()
        assert frames == [*range(20), *range(20 + PAUSE, 40 + PAUSE)], "between two clips there is a pause"


def test_same_seed_same_bytes_other_seed_others(tmp_path: Path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        settings = ActorSettings(clips_per_action=1, frames=10, seed=seed)
        write_actor_store(tmp_path / name, settings, subjects=["F1"], actions=["sit", "crawl"])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    with PoseStore(tmp_path / "a") as a, PoseStore(tmp_path / "c") as c:
        assert np.abs(a.read().joints_3d - c.read().joints_3d).max() > 50


def test_bad_input_is_one_plain_sentence(tmp_path: Path):
    out = tmp_path / "out.h5"
    with pytest.raises(InputError, match="no built-in subject 'Bob': choose from F1"):
        write_actor_store(out, subjects=["Bob"])
    with pytest.raises(InputError, match="no built-in action 'fly': choose from balance"):
        write_actor_store(out, actions=["fly"])
    with pytest.raises(InputError, match="subject 'F1' is named twice"):
        write_actor_store(out, subjects=["F1", "F1"])
    with pytest.raises(InputError, match="name at least one action"):
        write_actor_store(out, actions=[])
    for name, wrong in (("clips_per_action", 0), ("frames", 1), ("fps", 0.0), ("fps", float("nan"))):
        with pytest.raises(InputError, match=f"`{name}` must be"):
            ActorSettings(**{name: wrong})
    assert list(tmp_path.iterdir()) == []
    out.write_text("mine")
    with pytest.raises(OutputError, match="add `overwrite`"):
        write_actor_store(out)
    assert out.read_text() == "mine"
    assert body_by_name("F1").name == "F1"
    assert motion_by_name("walk").name == "walk"
