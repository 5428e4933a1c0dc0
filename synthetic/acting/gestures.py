"""Built-in motions of the arms while standing: reaching, waving, throwing, punching, talking (see `evolift.synthetic.acting.motions`)."""

from __future__ import annotations

import numpy as np

from evolift.synthetic.acting.curves import Curve, bump, cycle_through, swing, wander
from evolift.synthetic.acting.motions import Degrees, Style, motion, set_arm, set_leg, wandering_arm


def _stand(time: Curve, generator: np.random.Generator, *, shift: float = 1.0) -> Degrees:
    """Standing with the weight wandering from leg to leg; `shift` scales how much."""
    weight = shift * wander(generator, time, period=2.5, low=-1, high=1, hold=0.5)
    width = generator.uniform(0, 12)
    angles: Degrees = {
        "pelvis_pitch": 2 + generator.uniform(-4, 6) + 0 * time,
        "pelvis_roll": 3.5 * weight,
        "spine_bend": -3.5 * weight,
        "spine_flexion": np.full_like(time, generator.uniform(-3, 14)),
    }
    for side, sign in (("left", 1), ("right", -1)):
        slack = np.clip(-sign * weight, 0, 1)
        forward = generator.uniform(-5, 9)
        set_leg(angles, side, forward + 14 * slack, forward - 4 - 12 * slack)
        angles[f"{side}_hip_abduction"] = width + sign * 3.5 * weight
        angles[f"{side}_hip_rotation"] = np.full_like(time, generator.uniform(-25, 5))
        set_arm(
            angles,
            side,
            flexion=generator.uniform(-8, 14),
            abduction=generator.uniform(3, 14),
            rotation=15.0,
            elbow=generator.uniform(6, 35),
        )
    return angles


@motion(period=(0.7, 2.2), gaze=(0, 30))
def gesture(time: Curve, style: Style, generator: np.random.Generator) -> Degrees:
    """Talking: both arms gesture on their own, the weight shifts, the head turns."""
    angles = _stand(time, generator)
    for side in ("left", "right"):
        if generator.uniform() < 0.85:
            wandering_arm(angles, side, time, generator, style["period"])
    angles["neck_twist"] = wander(generator, time, period=2, low=-style["gaze"], high=style["gaze"])
    return angles


@motion(
    free_arms=0.0,
    tempo=(0.25, 0.55),
    height=(20, 165),
    outward=(-20, 70),
    elbow=(5, 35),
    stretch=(0, 30),
    twist=(-30, 30),
    both=(0, 1),
    step=(0, 30),
)
def reach(time: Curve, style: Style, generator: np.random.Generator) -> Degrees:
    """Reaching for something high, low, in front or aside, with one arm or both."""
    angles = _stand(time, generator, shift=0.6)
    there = cycle_through(
        time * style["tempo"] + generator.uniform(), (0, 0.05), (0.3, 1), (0.55, 0.95), (0.85, 0.05)
    )
    low = max(0.0, (70 - style["height"]) / 50)
    angles["pelvis_pitch"] = angles["pelvis_pitch"] + (style["stretch"] * 0.5 + 30 * low) * there
    angles["spine_flexion"] = (
        angles["spine_flexion"] + (22 * low - 0.08 * style["height"] * (1 - low)) * there
    )
    angles["spine_twist"] = style["twist"] * there
    angles["spine_bend"] = angles["spine_bend"] - 0.3 * style["twist"] * there
    for side, sign in (("left", 1), ("right", -1)):
        set_leg(
            angles,
            side,
            4 + sign * style["step"] * there + 30 * low * there,
            -6 * there + sign * 0.6 * style["step"] * there - 28 * low * there - 8 * (sign < 0),
        )
    for side in ("left", "right") if style["both"] > 0.65 else ("left",):
        set_arm(
            angles,
            side,
            flexion=5 + (style["height"] - 5) * there,
            abduction=8 + (style["outward"] - 8) * there * generator.uniform(0.5, 1),
            rotation=generator.uniform(-30, 30),
            elbow=35
            + (style["elbow"] - 35) * there
            + 60 * bump(time * style["tempo"], 0.15, 4) * generator.uniform(),
        )
        angles[f"{side}_clavicle_elevation"] = 8 * there * (style["height"] > 100)
        angles[f"{side}_clavicle_protraction"] = 12 * there * (style["height"] < 120)
    return angles


@motion(
    tempo=(0.9, 2.0),
    raised=(55, 140),
    forward=(0, 60),
    elbow=(35, 110),
    outward=(-85, -45),
    amplitude=(8, 28),
    lean=(-8, 8),
    other=(0, 1),
)
def wave(time: Curve, style: Style, generator: np.random.Generator) -> Degrees:
    """Waving with a raised hand; the other arm hangs, rests on the hip, or waves too."""
    angles = _stand(time, generator)
    up = cycle_through(time * 0.12 + generator.uniform(), (0, 1), (0.6, 1), (0.75, 0.1), (0.85, 0.1))
    waving = np.sin(2 * np.pi * time * style["tempo"])
    both = style["other"] > 0.75
    for side in ("left", "right") if both else ("left",):
        late = generator.uniform(0.8, 1.1)
        set_arm(
            angles,
            side,
            flexion=style["forward"] * up,
            abduction=8 + (style["raised"] * late - 8) * up + 0.3 * style["amplitude"] * waving * up,
            rotation=(style["outward"] + 0.6 * style["amplitude"] * waving) * up,
            elbow=12 + (style["elbow"] * late + style["amplitude"] * waving - 12) * up,
        )
    if not both and style["other"] > 0.5:
        set_arm(angles, "right", flexion=-22.0, abduction=42.0, rotation=62.0, elbow=95.0)
    angles["spine_bend"] = angles["spine_bend"] + style["lean"] * up
    return angles


@motion(
    tempo=(0.35, 0.7),
    raised=(70, 125),
    cocked=(70, 120),
    twist=(12, 38),
    step=(10, 48),
    lean=(0, 28),
    underarm=(0, 1),
    other=(0, 80),
)
def throw(time: Curve, style: Style, generator: np.random.Generator) -> Degrees:
    """Throwing overarm with a step and a twist of the trunk, or bowling underarm."""
    phase = time * style["tempo"] + generator.uniform()
    angles = _stand(time, generator, shift=0.3)
    # Phases: 0 rest, 0.3 wound up, 0.45 release, 0.6 follow-through.
    twisted = cycle_through(phase, (0, 0), (0.3, 1), (0.48, -0.7), (0.62, -1), (0.85, 0))
    stepped = cycle_through(phase, (0, 0), (0.25, 0.2), (0.42, 1), (0.65, 0.9), (0.9, 0))
    angles["spine_twist"] = style["twist"] * twisted
    angles["pelvis_yaw"] = 0.6 * style["twist"] * twisted
    angles["pelvis_pitch"] = 2 + style["lean"] * (stepped - 0.3)
    angles["spine_flexion"] = 4 + 16 * cycle_through(phase, (0, 0), (0.3, -0.6), (0.6, 1), (0.85, 0))
    set_leg(angles, "right", 3 + style["step"] * stepped, 3 + (0.25 * style["step"] - 12) * stepped)
    set_leg(angles, "left", 2 - 0.35 * style["step"] * stepped, -4 - 0.9 * style["step"] * stepped)
    if style["underarm"] > 0.75:
        flexion = cycle_through(phase, (0, 0), (0.3, -48), (0.47, 55), (0.6, 110), (0.85, 5))
        set_arm(angles, "left", flexion=flexion, abduction=10.0, rotation=-10.0, elbow=15 + 20 * stepped)
    else:
        cocked = cycle_through(phase, (0, 0), (0.15, 0.6), (0.32, 1), (0.4, 0.9), (0.5, 0.25), (0.65, 0))
        set_arm(
            angles,
            "left",
            flexion=cycle_through(phase, (0, 0), (0.3, 5), (0.42, 45), (0.5, 80), (0.65, 40), (0.85, 5)),
            abduction=8
            + (style["raised"] - 8) * cycle_through(phase, (0, 0), (0.25, 1), (0.48, 0.8), (0.65, 0.05)),
            rotation=cycle_through(phase, (0, 0), (0.3, -84), (0.4, -80), (0.5, 5), (0.65, 40), (0.85, 10)),
            elbow=12 + style["cocked"] * cocked,
        )
    set_arm(
        angles,
        "right",
        flexion=8 + style["other"] * np.clip(twisted, 0, 1),
        abduction=10 + 25 * generator.uniform() * stepped,
        rotation=10.0,
        elbow=20 + 40 * generator.uniform() * stepped,
    )
    return angles


@motion(
    tempo=(0.5, 1.1),
    guard=(95, 140),
    height=(55, 105),
    hook=(0, 55),
    twist=(8, 32),
    crouch=(8, 45),
    stance=(6, 26),
    lean=(0, 16),
)
def punch(time: Curve, style: Style, generator: np.random.Generator) -> Degrees:
    """Boxing: fists in guard, straight punches and hooks in turn, knees springing."""
    phase = time * style["tempo"] + generator.uniform()
    bounce = 1 + 0.25 * np.sin(2 * np.pi * 2.1 * time)
    lead = cycle_through(phase, (0, 0), (0.12, 1), (0.25, 0))
    rear = cycle_through(phase, (0.3, 0), (0.5, 1), (0.68, 0))
    angles: Degrees = {
        "pelvis_pitch": 4 + style["lean"] * (0.6 + 0.4 * rear),
        "pelvis_yaw": -10 + 12 * (rear - lead),
        "spine_twist": style["twist"] * (rear - lead),
        "spine_flexion": 14 + 4 * bounce,
    }
    for side, sign, extended in (("left", 1, lead), ("right", -1, rear)):
        bend = style["crouch"] * bounce * (1 + 0.2 * sign)
        set_leg(
            angles,
            side,
            sign * style["stance"] * 0.8 + 0.5 * bend,
            sign * style["stance"] * 0.8 - 0.5 * bend - 2,
        )
        angles[f"{side}_hip_abduction"] = np.full_like(time, generator.uniform(4, 14))
        set_arm(
            angles,
            side,
            flexion=32 + (style["height"] - 32) * extended,
            abduction=10 + style["hook"] * swing(extended),
            rotation=20 + 15 * extended,
            elbow=style["guard"] - (style["guard"] - 12) * extended,
        )
        angles[f"{side}_clavicle_protraction"] = 15 * extended
    angles["neck_flexion"] = np.full_like(time, 10.0)
    return angles
