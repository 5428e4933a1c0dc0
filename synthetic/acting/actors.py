"""Built-in synthetic actors: bodies that perform parametric motions, as a pose store when there is no real data.

A clip is one subject doing one action in one style. Its joint angles come from `evolift.synthetic.acting.motions`, get slow
individual noise on every angle, are kept inside the ranges of motion, and turn into joints by forward kinematics.
The body then stands on the floor with its lowest point (or flies above it) and travels so that the foot it stands
on does not slide. World frame, mm, z up, the floor at z = 0.

The default split: training uses `TRAIN_SUBJECTS` and `TRAIN_ACTIONS`. Tests use `TEST_SUBJECTS`, whom training never
sees, and `TEST_ACTIONS`, half of which training never sees either.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d

from evolift.posedata.errors import InputError
from evolift.posedata.poses import Poses, labelled
from evolift.posedata.seeds import numpy_generator_at
from evolift.posedata.similar_name import guess
from evolift.posedata.skeleton import H36M17
from evolift.posedata.store import PoseStoreWriter, Provenance
from evolift.synthetic.acting import exercises, gestures, locomotion  # noqa: F401  # importing them registers their motions
from evolift.synthetic.acting.articulation import (
    RANGES_OF_MOTION,
    SIDES,
    forward_kinematics,
    mirror_angles,
    rotated_about,
)
from evolift.synthetic.acting.bodies import Body, body_by_name
from evolift.synthetic.acting.curves import Number, smooth_noise, wander
from evolift.synthetic.acting.motions import MOTIONS, Degrees, Motion, wandering_arm
from evolift.synthetic.settings import ActorSettings

TRAIN_SUBJECTS = ("F1", "F2", "F3", "M1", "M2", "M3", "M5")
TEST_SUBJECTS = ("F4", "F5", "M4")
TRAIN_ACTIONS = (
    "walk",
    "squat",
    "sit",
    "reach",
    "wave",
    "throw",
    "lunge",
    "jump",
    "climb",
    "crawl",
    "pick_up",
    "dance",
    "gesture",
    "handstand",
    "somersault",
)
TEST_ACTIONS = ("walk", "sit", "reach", "lunge", "dance", "run", "kick", "jumping_jack", "punch", "balance")

PAUSE = 1000
"""Frame numbers that are left out between two clips of one subject and action, so that nobody takes them for one."""

CONTACT_RADII: dict[str, float] = {
    "ankle": 82.0,
    "knee": 62.0,
    "hip": 105.0,
    "pelvis": 105.0,
    "spine": 105.0,
    "thorax": 105.0,
    "wrist": 62.0,
    "elbow": 50.0,
    "shoulder": 65.0,
    "nose": 40.0,
    "head": 30.0,
}
"""Height in mm of each joint above the floor when the body touches the floor there."""

_NOISE: dict[str, float] = {
    "pelvis_pitch": 2.5,
    "pelvis_roll": 1.8,
    "pelvis_yaw": 3.0,
    "spine_flexion": 4.0,
    "spine_bend": 3.5,
    "spine_twist": 5.0,
    "neck_flexion": 9.0,
    "neck_bend": 6.0,
    "neck_twist": 16.0,
    "head_nod": 6.0,
    "clavicle_elevation": 3.0,
    "clavicle_protraction": 4.0,
    "shoulder_flexion": 8.0,
    "shoulder_abduction": 7.0,
    "shoulder_rotation": 12.0,
    "elbow_flexion": 10.0,
    "hip_flexion": 2.5,
    "hip_abduction": 2.5,
    "hip_rotation": 5.0,
    "knee_flexion": 3.5,
}
"""Standard deviation in degrees of the noise on each angle; half of it constant over a clip, half slowly changing."""


def write_actor_store(
    path: Path,
    settings: ActorSettings = ActorSettings(),
    *,
    subjects: Sequence[str] = TRAIN_SUBJECTS,
    actions: Sequence[str] = TRAIN_ACTIONS,
    overwrite: bool = False,
) -> None:
    """Write a pose store (H36M17, world frame) of every subject doing every action.

    A clip depends on its seed, subject, action and number only: choosing other subjects or more clips does not
    change it. `frame` goes on from clip to clip of the same subject and action, after a `PAUSE`.

    Args:
        path: of the store.
        settings: how many clips, how long, and so on.
        subjects: names of `evolift.synthetic.acting.bodies.BODIES`.
        actions: names of `evolift.synthetic.acting.motions.MOTIONS`.
        overwrite: replace an existing file.

    Raises:
        InputError: a subject or action is unknown or named twice.
        OutputError: the file exists, or cannot be written.
    """
    _check_names("subject", subjects)
    _check_names("action", actions)
    bodies = [body_by_name(name) for name in subjects]
    motions = [motion_by_name(name) for name in actions]
    clips_per_action, frames, fps, seed = (
        settings.clips_per_action, settings.frames, settings.fps, settings.seed
    )  # fmt: skip
    provenance = Provenance(
        "evolift data actors",
        {
            "subjects": list(subjects),
            "actions": list(actions),
            "clips_per_action": clips_per_action,
            "frames": frames,
            "fps": fps,
        },
        seed,
    )
    with PoseStoreWriter(path, H36M17, "world", provenance, overwrite=overwrite) as writer:
        for s, body in enumerate(bodies):
            for a, motion in enumerate(motions):
                clips = [
                    make_clip(body, motion, frames=frames, fps=fps, seed=seed, clip=clip)
                    for clip in range(clips_per_action)
                ]
                rows = clips_per_action * frames
                writer.append(
                    Poses(
                        subject=labelled(np.full(rows, s, np.int32), list(subjects)),
                        action=labelled(np.full(rows, a, np.int32), list(actions)),
                        frame=np.arange(rows, dtype=np.int64)
                        + PAUSE * np.repeat(np.arange(clips_per_action), frames),
                        joints_3d=np.concatenate(clips),
                    )
                )


def _check_names(kind: str, names: Sequence[str]) -> None:
    if not names:
        raise InputError(f"name at least one {kind} for the actors")
    for name in names:
        if list(names).count(name) > 1:
            raise InputError(f"{kind} {name!r} is named twice")


def motion_by_name(name: str) -> Motion:
    """One of the built-in motions.

    Raises:
        InputError: there is none of that name.
    """
    if name not in MOTIONS:
        raise InputError(
            f"there is no built-in action {name!r}{guess(name, MOTIONS)}: choose from {', '.join(sorted(MOTIONS))}"
        )
    return MOTIONS[name]


def make_clip(
    body: Body, motion: Motion, *, frames: int, fps: Number, seed: int, clip: int
) -> Float[np.ndarray, "frames 17 3"]:
    """Joints (float32, world mm) of one clip; it depends on nothing but its arguments."""
    generator = numpy_generator_at(seed, *f"{body.name}/{motion.name}".encode(), clip)
    time = generator.uniform(0, 20) + np.arange(frames) / fps
    angles = clip_angles(motion, time, generator)
    height = angles.pop("height")
    joints = forward_kinematics(angles, body)
    joints = _in_own_direction(joints, time, generator)
    joints[..., 2] += (height - _lowest_point(joints))[:, None]
    joints[..., :2] += _travel(joints, fps)[:, None]
    joints[..., :2] += generator.uniform(-500, 500, 2)
    return joints.astype(np.float32)


def clip_angles(motion: Motion, time: Float[np.ndarray, "frames"], generator: np.random.Generator) -> Degrees:
    """All angles (radians, within the ranges of motion) and the `height` (mm) of a clip in a style of its own."""
    degrees = motion.function(time, motion.draw_style(generator), generator)
    if generator.uniform() < motion.free_arms:
        for side in SIDES if generator.uniform() < 0.5 else (SIDES[generator.integers(2)],):
            wandering_arm(degrees, side, time, generator, period=generator.uniform(0.8, 3.0))
    if generator.uniform() < 0.5:
        degrees = dict(mirror_angles(degrees))
    height = degrees.pop("height", np.zeros_like(time))
    _add_noise(degrees, time, generator)
    _raise_shoulders(degrees)
    angles = {name: np.radians(_within(degrees[name], *limits)) for name, limits in RANGES_OF_MOTION.items()}
    return {**angles, "height": np.maximum(height, 0)}


def _add_noise(degrees: Degrees, time: Float[np.ndarray, "frames"], generator: np.random.Generator) -> None:
    looseness = generator.uniform(0.5, 1.5)
    for name in RANGES_OF_MOTION:
        deviation = looseness * _NOISE[name.removeprefix("left_").removeprefix("right_")] / np.sqrt(2)
        own = generator.normal(0, deviation)
        slow = smooth_noise(generator, time, deviation=deviation, period=generator.uniform(0.8, 3))
        degrees[name] = degrees.get(name, np.zeros_like(time)) + own + slow


def _raise_shoulders(degrees: Degrees) -> None:
    """Arms above the shoulder take the clavicle with them."""
    for side in SIDES:
        flexion, abduction = (
            np.radians(degrees[f"{side}_shoulder_{name}"]) for name in ("flexion", "abduction")
        )
        elevation = np.degrees(np.arccos(np.clip(np.cos(flexion) * np.cos(abduction), -1, 1)))
        degrees[f"{side}_clavicle_elevation"] += 0.22 * np.maximum(elevation - 50, 0)


def _within(values: Float[np.ndarray, "frames"], low: Number, high: Number) -> Float[np.ndarray, "frames"]:
    """Values pressed smoothly into [low, high]: unchanged inside but for the last 8%, never beyond."""
    margin = 0.08 * (high - low)
    over, under = values - (high - margin), (low + margin) - values
    pressed: np.ndarray = np.clip(values, low + margin, high - margin)
    return (
        pressed
        + margin * np.tanh(np.maximum(over, 0) / margin)
        - margin * np.tanh(np.maximum(under, 0) / margin)
    )


def _in_own_direction(
    joints: Float[np.ndarray, "frames 17 3"],
    time: Float[np.ndarray, "frames"],
    generator: np.random.Generator,
) -> Float[np.ndarray, "frames 17 3"]:
    """The clip in a direction of its own; some clips turn while they go."""
    heading = generator.uniform(0, 2 * np.pi)
    rotating = generator.choice([0.0, 0.3, 0.8]) * generator.uniform()
    heading = heading + np.cumsum(wander(generator, time, period=3.0, low=-rotating, high=rotating)) * (
        time[1] - time[0]
    )
    rotated: np.ndarray = joints @ rotated_about("Z", heading).transpose(0, 2, 1)
    return rotated


def _lowest_point(joints: Float[np.ndarray, "frames 17 3"]) -> Float[np.ndarray, "frames"]:
    lowest: np.ndarray = (joints[..., 2] - _contact_radii()).min(-1)
    return lowest


def _contact_radii() -> Float[np.ndarray, "17"]:
    return np.array(
        [CONTACT_RADII[name.removeprefix("left_").removeprefix("right_")] for name in H36M17.joints]
    )


def _travel(joints: Float[np.ndarray, "frames 17 3"], fps: Number) -> Float[np.ndarray, "frames 2"]:
    """Way of the pelvis over the floor for which the supporting points stand still, mm."""
    height = joints[..., 2] - _contact_radii()
    support = np.exp(-(height - height.min(-1, keepdims=True)) / 12.0)
    support /= support.sum(-1, keepdims=True)
    steps = -np.diff(joints[..., :2], axis=0)
    shared = (support[1:] + support[:-1]) / 2
    velocity = np.concatenate([np.zeros((1, 2)), np.einsum("fj,fja->fa", shared, steps)])
    # Bodies have inertia: the speed does not jump when the weight goes from foot to foot.
    way: np.ndarray = np.cumsum(gaussian_filter1d(velocity, 0.05 * fps, axis=0), axis=0)
    return way
