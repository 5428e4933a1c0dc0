"""Built-in motions of the whole body on the spot: squats, lunges, jumps, kicks, sitting (see `evolift.synthetic.acting.motions`)."""

from __future__ import annotations

import numpy as np

from evolift.synthetic.acting.curves import Curve, bump, cycle_through, swing, wander
from evolift.synthetic.acting.motions import Degrees, Style, motion, set_arm, set_leg, wandering_arm


@motion(
    free_arms=0.3,
    tempo=(0.25, 0.6),
    depth=(45, 112),
    shank=(12, 32),
    lean=(8, 38),
    stance=(4, 26),
    toe_out=(5, 32),
    arms_forward=(0, 105),
    arms_up=(0, 60),
    elbow=(5, 120),
    uneven=(-12, 12),
)
def squat(time: Curve, style: Style, generator: np.random.Generator) -> Degrees:
    """Squats of any depth, arms hanging, forward, folded or raised."""
    phase = time * style["tempo"] + generator.uniform()
    down = swing(phase) ** generator.uniform(0.6, 1.6)
    angles: Degrees = {"pelvis_pitch": 3 + style["lean"] * down, "spine_flexion": 4 + 14 * down}
    for side, sign in (("left", 1), ("right", -1)):
        thigh = 4 + (style["depth"] + sign * style["uneven"]) * down
        set_leg(angles, side, thigh, -style["shank"] * down - 1)
        angles[f"{side}_hip_abduction"] = style["stance"] * (0.6 + 0.4 * down)
        angles[f"{side}_hip_rotation"] = np.full_like(time, -style["toe_out"])
        lift = 0.25 + 0.75 * down
        set_arm(
            angles,
            side,
            flexion=style["arms_forward"] * lift,
            abduction=8 + style["arms_up"] * lift,
            rotation=generator.uniform(-30, 40),
            elbow=8 + style["elbow"] * lift,
        )
    angles["neck_flexion"] = -15 * down
    return angles


@motion(
    free_arms=0.25,
    tempo=(0.25, 0.55),
    depth=(35, 92),
    back_leg=(8, 24),
    back_knee=(30, 95),
    lean=(-4, 28),
    sideways=(0, 1),
    arms=(0, 150),
    arms_out=(0, 60),
    elbow=(5, 100),
)
def lunge(time: Curve, style: Style, generator: np.random.Generator) -> Degrees:
    """Lunges: forward with the other knee bending behind, or to the side onto one leg."""
    down = swing(time * style["tempo"] + generator.uniform()) ** 0.8
    angles: Degrees = {"pelvis_pitch": style["lean"] * down, "spine_flexion": 5 + 6 * down}
    if style["sideways"] < 0.7:
        set_leg(angles, "left", 3 + style["depth"] * down, -8 * down)
        set_leg(
            angles,
            "right",
            3 - style["back_leg"] * down,
            -(style["back_leg"] + style["back_knee"]) * down,
        )
    else:
        set_leg(angles, "left", 4 + style["depth"] * down, -22 * down)
        set_leg(angles, "right", 2 + 0.15 * style["depth"] * down, np.zeros_like(time))
        angles["left_hip_abduction"] = 5 + 18 * down
        angles["right_hip_abduction"] = 5 + 36 * down
        angles["pelvis_roll"] = 6 * down
    for side in ("left", "right"):
        set_arm(
            angles,
            side,
            flexion=style["arms"] * down * generator.uniform(0.7, 1),
            abduction=8 + style["arms_out"] * down,
            rotation=generator.uniform(-20, 35),
            elbow=8 + style["elbow"] * down,
        )
    return angles


@motion(
    tempo=(0.55, 1.1),
    legs=(10, 34),
    arms=(70, 165),
    arms_low=(5, 25),
    elbow=(5, 50),
    forward=(-5, 40),
    knee=(8, 35),
    jump=(20, 160),
)
def jumping_jack(time: Curve, style: Style, generator: np.random.Generator) -> Degrees:
    """Jumping jacks: legs apart while the arms rise sideways."""
    phase = time * style["tempo"] + generator.uniform()
    apart = swing(phase)
    bend = style["knee"] * (bump(phase, 0.05, 6) + bump(phase, 0.5, 6))
    angles: Degrees = {"pelvis_pitch": 2 + 0.3 * bend}
    for side in ("left", "right"):
        set_leg(angles, side, 3 + 0.5 * bend, -0.45 * bend)
        angles[f"{side}_hip_abduction"] = 1 + style["legs"] * apart
        late = swing(phase + generator.uniform(-0.05, 0.05))
        set_arm(
            angles,
            side,
            flexion=style["forward"] * late,
            abduction=style["arms_low"] + (style["arms"] - style["arms_low"]) * late,
            rotation=-25 - 20 * late,
            elbow=5 + style["elbow"] * swing(phase + 0.25),
        )
    angles["height"] = style["jump"] * (bump(phase, 0.27, 5) + bump(phase, 0.77, 5))
    return angles


@motion(
    free_arms=0.1,
    tempo=(0.3, 0.6),
    height=(45, 108),
    side_kick=(0, 38),
    wind_up=(5, 20),
    cocked=(45, 115),
    lean=(-22, 8),
    support=(4, 28),
    arms=(10, 70),
    twist=(-5, 25),
)
def kick(time: Curve, style: Style, generator: np.random.Generator) -> Degrees:
    """Kicks forward or to the side, of a ball's height up to the head's."""
    phase = time * style["tempo"] + generator.uniform()
    raised = cycle_through(
        phase, (0, 0.05), (0.2, -style["wind_up"] / style["height"]), (0.45, 1), (0.6, 0.75), (0.8, 0.1)
    )
    knee = cycle_through(
        phase,
        (0, 12),
        (0.25, 0.7 * style["cocked"]),
        (0.33, style["cocked"]),
        (0.45, 9),
        (0.62, 70),
        (0.85, 18),
    )
    up = np.clip(raised, 0, 1)
    angles: Degrees = {
        "pelvis_pitch": 4 + style["lean"] * up,
        "pelvis_roll": 0.35 * style["side_kick"] * up,
        "spine_twist": style["twist"] * (raised - 0.3),
        "spine_flexion": 6 + 10 * up,
    }
    thigh = style["height"] * raised
    set_leg(angles, "right", thigh, thigh - np.minimum(knee, 20 + 110 * np.abs(raised)))
    angles["right_hip_abduction"] = style["side_kick"] * up
    angles["right_hip_rotation"] = 0.4 * style["side_kick"] * up
    set_leg(angles, "left", 3 + 0.6 * style["support"] * up, -0.5 * style["support"] * np.ones_like(time))
    for side, sign in (("left", 1), ("right", -1)):
        set_arm(
            angles,
            side,
            flexion=5 + sign * style["arms"] * raised * 0.8,
            abduction=12 + style["arms"] * up * generator.uniform(0.4, 1.2),
            rotation=generator.uniform(-20, 40),
            elbow=20 + 50 * generator.uniform() * up,
        )
    return angles


@motion(
    tempo=(0.3, 0.55),
    crouch=(30, 95),
    flight=(80, 480),
    tuck=(0, 75),
    arms=(40, 170),
    arms_back=(-45, -5),
    lean=(8, 35),
    spread=(2, 24),
)
def jump(time: Curve, style: Style, generator: np.random.Generator) -> Degrees:
    """Jumps from a crouch with swinging arms, stretched or with drawn-up knees."""
    phase = time * style["tempo"] + generator.uniform()
    crouch = cycle_through(phase, (0, 0.05), (0.3, 1), (0.45, 0), (0.68, 0.1), (0.78, 0.75), (0.95, 0.05))
    air = cycle_through(phase, (0, 0), (0.42, 0), (0.56, 1), (0.7, 0))
    angles: Degrees = {"pelvis_pitch": 3 + style["lean"] * crouch, "spine_flexion": 4 + 15 * crouch}
    for side in ("left", "right"):
        tuck = style["tuck"] * air * generator.uniform(0.8, 1.1)
        set_leg(angles, side, 3 + style["crouch"] * crouch + tuck, -26 * crouch - 0.5 * tuck)
        angles[f"{side}_hip_abduction"] = style["spread"] * (0.5 + 0.5 * air)
        set_arm(
            angles,
            side,
            flexion=cycle_through(
                phase, (0, 0), (0.28, style["arms_back"]), (0.5, style["arms"]), (0.7, 35), (0.85, 5)
            ),
            abduction=8 + 30 * air * generator.uniform(),
            rotation=10.0,
            elbow=15 + 45 * generator.uniform() * air,
        )
    angles["height"] = style["flight"] * air
    return angles


@motion(
    free_arms=0.0,
    tempo=(0.12, 0.3),
    warrior=(0, 1),
    raise_=(35, 118),
    fold=(30, 130),
    open_=(0, 40),
    tip=(15, 78),
    sway=(2, 8),
)
def balance(time: Curve, style: Style, generator: np.random.Generator) -> Degrees:
    """Standing on one leg: the other knee drawn up or opened, or the body tipped forward, leg stretched behind."""
    held = cycle_through(
        time * style["tempo"] + generator.uniform(), (0, 0.05), (0.2, 1), (0.75, 0.9), (0.9, 0.05)
    )
    tipped = style["warrior"] > 0.6
    angles: Degrees = {
        "pelvis_pitch": (style["tip"] if tipped else 2) * held,
        "pelvis_roll": wander(generator, time, period=1.2, low=-style["sway"], high=style["sway"]),
        "neck_flexion": (-25 if tipped else 0) * held,
    }
    set_leg(angles, "left", 4 + 6 * held, -6 * held)
    if tipped:
        set_leg(
            angles, "right", -(style["tip"] + 8) * held, -(style["tip"] + 8 + 0.2 * style["fold"]) * held - 2
        )
    else:
        thigh = style["raise_"] * held
        set_leg(angles, "right", thigh, thigh - style["fold"] * held - 3)
        angles["right_hip_abduction"] = style["open_"] * held
        angles["right_hip_rotation"] = -0.9 * style["open_"] * held
    for side in ("left", "right"):
        wandering_arm(angles, side, time, generator, period=1 / style["tempo"] / 2)
    if generator.uniform() < 0.6:
        lift = generator.uniform(60, 160)
        for side in ("left", "right"):
            set_arm(
                angles,
                side,
                flexion=20 * held,
                abduction=8 + lift * held,
                rotation=-20.0,
                elbow=generator.uniform(5, 40),
            )
    return angles


@motion(
    free_arms=0.1,
    tempo=(0.2, 0.45),
    pitch=(25, 72),
    round_=(10, 48),
    knees=(5, 100),
    lift=(-10, 150),
    spread=(2, 18),
    asymmetric=(0, 1),
)
def pick_up(time: Curve, style: Style, generator: np.random.Generator) -> Degrees:
    """Picking something up from the floor and lifting it, with straight or with bent knees."""
    phase = time * style["tempo"] + generator.uniform()
    down = cycle_through(phase, (0, 0), (0.35, 1), (0.5, 1), (0.75, 0))
    lift = cycle_through(phase, (0, 0.2), (0.35, 0), (0.5, 0), (0.8, 1))
    one_handed = style["asymmetric"] > 0.6
    angles: Degrees = {
        "pelvis_pitch": 2 + style["pitch"] * down,
        "spine_flexion": 4 + style["round_"] * down,
        "spine_twist": (generator.uniform(-25, 25) if one_handed else 0) * down,
        "neck_flexion": generator.uniform(-25, 15) * down,
    }
    for side, sign in (("left", 1), ("right", -1)):
        uneven = 1 + (0.25 * sign if one_handed else 0)
        set_leg(angles, side, 3 + 0.75 * style["knees"] * down * uneven, -0.3 * style["knees"] * down - 1)
        angles[f"{side}_hip_abduction"] = np.full_like(time, style["spread"])
        if one_handed and side == "left":
            set_arm(
                angles, side, flexion=20 * down, abduction=15.0, elbow=20 + 60 * generator.uniform() * down
            )
            continue
        set_arm(
            angles,
            side,
            flexion=(style["pitch"] + style["round_"]) * 0.85 * down + style["lift"] * lift + 10,
            abduction=generator.uniform(2, 12),
            rotation=generator.uniform(0, 30),
            elbow=10 + 75 * lift * (1 - 0.8 * float(style["lift"] > 100)),
        )
    return angles


@motion(tempo=(0.5, 1.1), groove=(5, 35), bounce=(4, 28), twist=(5, 30), lift=(0, 55))
def dance(time: Curve, style: Style, generator: np.random.Generator) -> Degrees:
    """Free dancing: bouncing on the beat, arms and trunk wandering, one foot or the other lifted."""
    phase = time * style["tempo"]
    beat = swing(2 * phase)
    period = 1 / style["tempo"]
    groove = style["groove"]
    angles: Degrees = {
        "pelvis_pitch": wander(generator, time, period=2 * period, low=-6, high=groove * 0.7),
        "pelvis_roll": 0.4 * groove * np.cos(2 * np.pi * phase),
        "pelvis_yaw": wander(generator, time, period=2 * period, low=-style["twist"], high=style["twist"]),
        "spine_twist": wander(generator, time, period=period, low=-style["twist"], high=style["twist"]),
        "spine_bend": -0.5 * groove * np.cos(2 * np.pi * phase),
        "spine_flexion": wander(generator, time, period=period, low=-8, high=groove),
    }
    for side, shift in (("left", 0.0), ("right", 0.5)):
        lifted = style["lift"] * np.maximum(0, np.cos(2 * np.pi * (phase + shift))) ** 2
        set_leg(
            angles,
            side,
            5 + style["bounce"] * beat * 0.6 + lifted,
            -style["bounce"] * beat * 0.5 - 0.6 * lifted,
        )
        angles[f"{side}_hip_abduction"] = wander(generator, time, period=2 * period, low=0, high=26)
        angles[f"{side}_hip_rotation"] = wander(generator, time, period=2 * period, low=-30, high=10)
        wandering_arm(angles, side, time, generator, period)
        angles[f"{side}_shoulder_flexion"] += generator.uniform(0, 45)
    return angles


@motion(
    tempo=(0.12, 0.35), up=(0.3, 1), legs=(0, 1), spread=(2, 30), knees=(2, 110), arms=(150, 170), sway=(2, 9)
)
def handstand(time: Curve, style: Style, generator: np.random.Generator) -> Degrees:
    """Kicking up to a handstand: legs together, in a split, or bent; and down again."""
    up = cycle_through(
        time * style["tempo"] + generator.uniform(), (0, 0.05), (0.3, 1), (0.7, 1), (0.92, 0.05)
    )
    angles: Degrees = {
        "pelvis_pitch": 108 + 72 * up * style["up"] ** 0.3,
        "pelvis_roll": wander(generator, time, period=1.0, low=-style["sway"], high=style["sway"]),
        "spine_flexion": 20 - 28 * up,
        "neck_flexion": -25 * up,
    }
    for side, sign in (("left", 1), ("right", -1)):
        apart = sign * (70 * (style["legs"] - 0.45) if style["legs"] > 0.45 else 0)
        # On the way up the hips are bent and the leading leg is ahead of the other.
        bent = 75 * (1 - up) ** 1.5
        angles[f"{side}_hip_flexion"] = bent + 8 * up + 0.3 * apart * up - sign * 30 * up * (1 - up)
        angles[f"{side}_hip_abduction"] = style["spread"] * up
        folded = style["knees"] if style["legs"] < 0.25 else 12
        angles[f"{side}_knee_flexion"] = 18 * (1 - up) + folded * up * generator.uniform(0.6, 1)
        set_arm(
            angles,
            side,
            flexion=style["arms"] - 25 * (1 - up),
            abduction=generator.uniform(0, 14),
            rotation=generator.uniform(-20, 10),
            elbow=6 + 25 * (1 - up),
        )
    return angles


@motion(tempo=(0.35, 0.7), backward=(0, 1), tuck=(0, 1), flight=(250, 900), arms=(30, 165))
def somersault(time: Curve, style: Style, generator: np.random.Generator) -> Degrees:
    """Somersaults in the air, forward or backward, tucked or stretched, from a standing jump."""
    phase = time * style["tempo"] + generator.uniform()
    within = np.mod(phase, 1.0)
    progress = np.clip((within - 0.3) / 0.45, 0, 1)
    direction = -1 if style["backward"] > 0.5 else 1
    air = swing(progress) ** 0.7
    crouch = bump(phase, 0.2, 8) + 0.8 * bump(phase, 0.84, 8)
    tuck = style["tuck"] * air
    angles: Degrees = {
        "pelvis_pitch": 5
        + 25 * crouch
        + direction * 360 * (progress**2 * (3 - 2 * progress) + np.floor(phase)),
        "spine_flexion": 5 + 12 * crouch + 25 * tuck,
        "neck_flexion": 15 * tuck * direction,
    }
    for side in ("left", "right"):
        lean = 25 * crouch
        own = generator.uniform(0.85, 1.1)
        angles[f"{side}_hip_flexion"] = 5 + lean + 50 * crouch + 108 * tuck * own
        angles[f"{side}_knee_flexion"] = 8 + 75 * crouch + 118 * tuck * own
        angles[f"{side}_hip_abduction"] = np.full_like(time, generator.uniform(1, 12))
        raised = cycle_through(phase, (0, 5), (0.18, -30), (0.3, style["arms"]), (0.75, 45), (0.9, 25))
        set_arm(
            angles,
            side,
            flexion=raised * (1 - 0.55 * tuck),
            abduction=8 + 18 * air * (1 - style["tuck"]),
            rotation=10.0,
            elbow=12 + 45 * tuck,
        )
    angles["height"] = style["flight"] * air
    return angles


@motion(
    free_arms=0.6,
    floor=(0, 1),
    lean=(-18, 22),
    slouch=(-5, 30),
    thigh=(68, 98),
    shank=(-25, 55),
    spread=(-6, 26),
    rise=(0, 1),
    tempo=(0.12, 0.3),
    knees_up=(0, 1),
    legs_differ=(0, 1),
)
def sit(time: Curve, style: Style, generator: np.random.Generator) -> Degrees:
    """Sitting: on a chair (standing up now and then), or on the floor with legs stretched, drawn up or crossed."""
    if style["floor"] > 0.6:
        return _sit_on_floor(time, style, generator)
    # `seated` is 1 on the chair; some clips stay there, others get up and sit down again.
    seated = np.ones_like(time)
    if style["rise"] > 0.45:
        seated = cycle_through(
            time * style["tempo"] + generator.uniform(), (0, 1), (0.35, 1), (0.55, 0), (0.75, 0), (0.95, 1)
        )
    between = 4 * seated * (1 - seated)
    angles: Degrees = {
        "pelvis_pitch": style["lean"] * seated + 32 * between,
        "spine_flexion": style["slouch"] * (0.3 + 0.7 * seated) + 12 * between,
    }
    for side in ("left", "right"):
        own = generator.uniform(-1, 1) * style["legs_differ"]
        thigh = (style["thigh"] + 8 * own) * seated + 3
        shank = (style["shank"] + 25 * own) * seated - 14 * between
        set_leg(angles, side, thigh, np.minimum(shank, thigh - 3))
        angles[f"{side}_hip_abduction"] = style["spread"] * seated + 3
        angles[f"{side}_hip_rotation"] = generator.uniform(-20, 15) * seated
        on_lap = generator.uniform(0, 1)
        set_arm(
            angles,
            side,
            flexion=(10 + 35 * on_lap) * seated + 20 * between,
            abduction=generator.uniform(4, 22),
            rotation=(10 + 35 * on_lap) * seated,
            elbow=15 + (30 + 45 * on_lap) * seated,
        )
    return angles


def _sit_on_floor(time: Curve, style: Style, generator: np.random.Generator) -> Degrees:
    angles: Degrees = {
        "pelvis_pitch": np.full_like(time, min(style["lean"], 10) - 5),
        "spine_flexion": np.full_like(time, 8 + style["slouch"]),
    }
    crossed = style["knees_up"] > 0.66
    for side in ("left", "right"):
        if crossed:
            angles[f"{side}_hip_flexion"] = np.full_like(time, generator.uniform(78, 96))
            angles[f"{side}_hip_abduction"] = np.full_like(time, generator.uniform(32, 44))
            angles[f"{side}_hip_rotation"] = np.full_like(time, generator.uniform(-41, -32))
            angles[f"{side}_knee_flexion"] = np.full_like(time, generator.uniform(112, 132))
        else:
            drawn_up = wander(generator, time, period=2.5, low=0, high=40 if style["knees_up"] < 0.33 else 55)
            set_leg(angles, side, 88 + 0.85 * drawn_up, 88 - 1.35 * drawn_up)
            angles[f"{side}_hip_abduction"] = np.full_like(time, generator.uniform(2, 24))
        # Hands on the knees, or propped up behind.
        behind = generator.uniform() < 0.3
        set_arm(
            angles,
            side,
            flexion=-35.0 if behind else generator.uniform(25, 75),
            abduction=generator.uniform(8, 25),
            rotation=generator.uniform(-30, 25),
            elbow=generator.uniform(5, 25) if behind else generator.uniform(15, 70),
        )
    return angles
