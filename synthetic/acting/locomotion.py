"""Built-in motions that go somewhere: walking, running, climbing, crawling (see `evolift.synthetic.acting.motions`)."""

from __future__ import annotations

import numpy as np

from evolift.synthetic.acting.curves import Curve, Number, bump, swing
from evolift.synthetic.acting.motions import Degrees, Style, motion, set_arm, set_leg


def _stride(time: Curve, style: Style, *, swing_knee: Number, stance_knee: Number) -> tuple[Degrees, Curve]:
    """Legs, pelvis and trunk of a gait; the phase is 0 when the left thigh is foremost."""
    phase = time * style["cadence"] + style["phase"]
    angles: Degrees = {
        "pelvis_pitch": style["lean"] + 1.5 * np.cos(4 * np.pi * phase),
        "pelvis_roll": 3 * np.sin(2 * np.pi * phase),
    }
    for side, shift, sign in (("left", 0.0, -1.0), ("right", 0.5, 1.0)):
        p = phase + shift
        thigh = style["thigh_mean"] + style["stride"] * np.cos(2 * np.pi * p)
        thigh += style["knee_lift"] * bump(p, 0.86, 4)
        knee = (
            5 + (swing_knee + style["knee_lift"] * 0.8) * bump(p, 0.71, 2.6) + stance_knee * bump(p, 0.1, 3)
        )
        set_leg(angles, side, thigh, thigh - knee)
        angles[f"{side}_hip_abduction"] = style["step_width"] + 2 * np.sin(2 * np.pi * p)
        angles[f"{side}_hip_rotation"] = np.full_like(time, style["toe_in"])
        angles["pelvis_yaw"] = angles.get("pelvis_yaw", 0.0) + sign * style["yaw"] / 2 * np.cos(2 * np.pi * p)
    angles["spine_twist"] = style["twist"] * np.cos(2 * np.pi * (phase + style["arm_lag"]))
    angles["spine_flexion"] = np.full_like(time, style["slouch"])
    return angles, phase


@motion(
    free_arms=0.4,
    cadence=(0.65, 1.15),
    phase=(0, 1),
    stride=(12, 33),
    thigh_mean=(2, 10),
    knee_lift=(-4, 25),
    lean=(-3, 12),
    slouch=(-6, 18),
    step_width=(-2, 7),
    toe_in=(-16, 6),
    yaw=(2, 9),
    twist=(2, 12),
    arm_swing=(3, 42),
    arm_lag=(-0.08, 0.08),
    elbow=(6, 45),
    arm_out=(2, 16),
)
def walk(time: Curve, style: Style, generator: np.random.Generator) -> Degrees:
    """Walking, from a stroll to a march."""
    angles, phase = _stride(time, style, swing_knee=56, stance_knee=12)
    for side, shift in (("left", 0.5), ("right", 0.0)):
        forward = np.cos(2 * np.pi * (phase + shift + style["arm_lag"]))
        own_swing = style["arm_swing"] * generator.uniform(0.6, 1.2)
        set_arm(
            angles,
            side,
            flexion=2 + own_swing * forward,
            abduction=style["arm_out"],
            rotation=10.0,
            elbow=style["elbow"] + 0.35 * own_swing * (1 + forward),
        )
    return angles


@motion(
    free_arms=0.15,
    cadence=(1.1, 1.6),
    phase=(0, 1),
    stride=(25, 44),
    thigh_mean=(8, 20),
    knee_lift=(0, 28),
    lean=(2, 18),
    slouch=(-4, 14),
    step_width=(-2, 4),
    toe_in=(-10, 5),
    yaw=(4, 14),
    twist=(5, 18),
    arm_swing=(18, 52),
    arm_lag=(-0.06, 0.06),
    elbow=(62, 110),
    arm_out=(5, 25),
    bounce=(10, 90),
)
def run(time: Curve, style: Style, generator: np.random.Generator) -> Degrees:
    """Running, from a jog to a sprint, with a flight between the steps."""
    angles, phase = _stride(time, style, swing_knee=95, stance_knee=25)
    for side, shift in (("left", 0.5), ("right", 0.0)):
        forward = np.cos(2 * np.pi * (phase + shift + style["arm_lag"]))
        own_swing = style["arm_swing"] * generator.uniform(0.75, 1.15)
        set_arm(
            angles,
            side,
            flexion=-5 + own_swing * forward,
            abduction=style["arm_out"],
            rotation=25 + 10 * forward,
            elbow=style["elbow"] + 0.3 * own_swing * forward,
        )
    angles["height"] = style["bounce"] * bump(2 * phase, 0.95, 1.5)
    return angles


@motion(
    free_arms=0.05,
    tempo=(0.35, 0.75),
    step=(35, 95),
    low_thigh=(5, 25),
    reach=(25, 60),
    arm_middle=(95, 125),
    lean=(2, 20),
    arm_out=(0, 28),
    rate=(0, 250),
    opposite=(0, 1),
)
def climb(time: Curve, style: Style, generator: np.random.Generator) -> Degrees:
    """Climbing a ladder or a steep slope: arms overhead in turn, one leg high, the other stretching."""
    phase = time * style["tempo"] + generator.uniform()
    angles: Degrees = {
        "pelvis_pitch": style["lean"] + np.zeros_like(time),
        "spine_flexion": np.full_like(time, 5.0),
    }
    for side, shift in (("left", 0.0), ("right", 0.5)):
        raised = swing(phase + shift) ** 0.8
        thigh = style["low_thigh"] + style["step"] * raised
        set_leg(angles, side, thigh, -12 - 8 * raised + 0.12 * style["step"] * bump(phase + shift, 0.3, 3))
        angles[f"{side}_hip_abduction"] = 6 + 12 * raised
        angles[f"{side}_hip_rotation"] = -12 * raised
        pull = swing(
            phase + shift + (0.5 if style["opposite"] > 0.3 else 0.0) + generator.uniform(-0.06, 0.06)
        )
        set_arm(
            angles,
            side,
            flexion=style["arm_middle"] + style["reach"] * (pull - 0.5),
            abduction=style["arm_out"],
            rotation=10.0,
            elbow=105 - 80 * pull,
        )
    angles["neck_flexion"] = np.full_like(time, -22.0)
    angles["spine_bend"] = 7 * np.cos(2 * np.pi * phase)
    angles["height"] = style["rate"] * (time - time[0])
    return angles


@motion(
    free_arms=0.0,
    tempo=(0.35, 0.9),
    pitch=(74, 94),
    stride=(6, 26),
    arm_stride=(6, 28),
    elbow=(4, 40),
    bear=(0, 1),
    spread=(2, 14),
    gaze=(-40, -5),
)
def crawl(time: Curve, style: Style, generator: np.random.Generator) -> Degrees:
    """Crawling on hands and knees, or on hands and feet with the hips up (bear walk)."""
    phase = time * style["tempo"] + generator.uniform()
    bear = style["bear"] > 0.7
    pitch = style["pitch"] + (25 if bear else 0)
    angles: Degrees = {
        "pelvis_pitch": pitch + 3 * np.cos(4 * np.pi * phase),
        "spine_flexion": np.full_like(time, generator.uniform(-8, 14)),
        "spine_bend": 6 * np.cos(2 * np.pi * phase),
    }
    for side, shift in (("left", 0.0), ("right", 0.5)):
        forward = np.cos(2 * np.pi * (phase + shift))
        lifted = bump(phase + shift, 0.75, 3)
        thigh = (14 if bear else 2) + style["stride"] * forward
        knee = 35 - 12 * forward + 25 * lifted if bear else 90 + 8 * lifted - 4 * forward
        set_leg(angles, side, thigh, thigh - knee)
        angles[f"{side}_hip_abduction"] = np.full_like(time, style["spread"])
        reach = np.cos(2 * np.pi * (phase + shift + 0.5 + generator.uniform(-0.08, 0.08)))
        set_arm(
            angles,
            side,
            flexion=(pitch + 12 if bear else pitch) + style["arm_stride"] * reach,
            abduction=generator.uniform(0, 14),
            rotation=generator.uniform(-25, 20),
            elbow=style["elbow"] + 22 * swing(phase + shift + 0.25),
        )
    angles["neck_flexion"] = np.full_like(time, style["gaze"])
    return angles
