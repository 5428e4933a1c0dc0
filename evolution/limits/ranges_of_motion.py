"""Ranges of motion of healthy adults, each number with its source.

Degrees; sides are those of the right limbs. `evolift.evolution.limits.anatomical_limits` makes limits of them.

Sources, by the tags used below:

* AAOS: American Academy of Orthopaedic Surgeons, *Joint Motion: Method of Measuring and Recording*, 1965 (reprinted in
  Greene & Heckman, *The Clinical Measurement of Joint Motion*, 1994).
* Kapandji: I. A. Kapandji, *The Physiology of the Joints*, vols 1-3, 5th/6th ed.
* Norkin & White: *Measurement of Joint Motion: A Guide to Goniometry*, 4th/5th ed., tables of AAOS and AMA values and, with
  standard deviations, of healthy adults.
* Roaas & Andersson: Normal range of motion of the hip, knee and ankle joints in male subjects, 30-40 years of age,
  *Acta Orthopaedica Scandinavica* 53 (1982): hip flexion 120 SD 8, knee flexion 144 SD 6, hip rotation 33 SD 8.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Extreme:
    """A measured extreme direction of a right-hand bone.

    Args:
        sideways: degrees from the sagittal plane, positive to the right (away from the body on the right side).
        forward: degrees of flexion in the sagittal plane from the neutral direction, positive forward.
        source: where the number comes from.
    """

    sideways: int
    forward: int
    source: str

    def direction(self, neutral: tuple[float, float, float]) -> tuple[float, float, float]:
        """Unit vector in the torso frame; `neutral` is straight down, up or sideways."""
        side, forward = math.radians(self.sideways), math.radians(self.forward)
        if neutral[0]:  # a collar bone: `sideways` counts upward here
            return (math.cos(side) * math.cos(forward), math.sin(forward), math.sin(side) * math.cos(forward))
        return (
            math.sin(side),
            math.cos(side) * math.sin(forward),
            neutral[2] * math.cos(side) * math.cos(forward),
        )


@dataclass(frozen=True)
class BallRange:
    """The range of a ball joint: its extremes, in any order, around `middle`."""

    neutral: tuple[float, float, float]
    middle: tuple[float, float, float]
    extremes: tuple[Extreme, ...]


@dataclass(frozen=True)
class HingeRange:
    """The range of an elbow or knee, degrees.

    Args:
        flexion: largest angle from straight.
        hyperextension: largest angle past straight.
        forward: +1 if flexion moves the limb's end forward when the limb hangs (elbow), -1 backward (knee).
        lateral, medial: how far the plane of flexion may rotate to the outside and to the inside of the body: the
            axial rotation of the limb above.
        medial_lifted: the same inward while the limb above is lifted to `LIFTED[1]` or more; from `LIFTED[0]` on the range grows.
        sources: where the numbers come from, in the same order.
    """

    flexion: int
    hyperextension: int
    forward: int
    lateral: int
    medial: int
    medial_lifted: int
    sources: tuple[str, ...]


LIFTED = (40, 80)
"""Elevations of a thigh or upper arm from hanging, degrees."""


SHOULDER = BallRange(
    neutral=(0.0, 0.0, -1.0),
    middle=(0.4, 0.9, -0.25),
    extremes=(
        Extreme(0, 180, "AAOS: flexion 180; abduction 180 ends at the same direction"),
        Extreme(0, -60, "AAOS, Norkin & White: extension 60"),
        Extreme(
            45,
            -90,
            "Norkin & White: horizontal abduction 45 behind the frontal plane, arm at shoulder height",
        ),
        Extreme(-45, 90, "AAOS: horizontal adduction 135 from sideways, that is 45 past straight forward"),
        Extreme(-45, 30, "Kapandji 1: adduction 30 to 45, possible only together with flexion"),
        Extreme(-10, -40, "Kapandji 1: adduction with extension is slight; the hand behind the back"),
    ),
)
HIP = BallRange(
    neutral=(0.0, 0.0, -1.0),
    middle=(0.15, 0.6, -0.78),
    extremes=(
        Extreme(0, 120, "AAOS; Roaas & Andersson: flexion 120 SD 8, knee bent"),
        Extreme(0, -30, "AAOS: extension 30; Kapandji 2: 20 knee straight, 30 passive"),
        Extreme(45, 0, "AAOS, Kapandji 2: abduction 45"),
        Extreme(
            35,
            -38,
            "Kapandji 2: extension with abduction and outward rotation, the pelvis tilting along (arabesque)",
        ),
        Extreme(-30, 0, "AAOS: adduction 30"),
        Extreme(65, 90, "Kapandji 2: abduction together with 90 of flexion reaches 60 to 70"),
        Extreme(70, 0, "Kapandji 2: trained abduction, the pelvis tilting along: 90"),
        Extreme(-30, 90, "Kapandji 2: adduction with flexion 30"),
    ),
)
TRUNK = BallRange(
    neutral=(0.0, 0.0, 1.0),
    middle=(0.0, 0.3, 0.95),
    extremes=(
        Extreme(0, 80, "AAOS: thoracolumbar flexion 80"),
        Extreme(0, -45, "AAOS: extension 20 to 30; Kapandji 3: lumbar alone 35, the whole column 60"),
        Extreme(35, 0, "AAOS: lateral flexion 35"),
        Extreme(-35, 0, "AAOS: lateral flexion 35"),
    ),
)
TRUNK_TWIST = 45.0
"""Shoulder line against hip line about the trunk, degrees (AAOS: thoracolumbar rotation 45)."""
NECK = BallRange(
    neutral=(0.0, 0.0, 1.0),
    middle=(0.0, 0.0, 1.0),
    extremes=(
        Extreme(0, 60, "Kapandji 3: cervical flexion and extension together 130; AMA: flexion 50"),
        Extreme(0, -60, "AMA (in Norkin & White): cervical extension 60; AAOS: 45"),
        Extreme(45, 0, "AAOS: cervical lateral flexion 45"),
        Extreme(-45, 0, "AAOS: cervical lateral flexion 45"),
    ),
)
"""Of the neck on the torso and again of the head on the neck: markers do not tell lower from upper cervical joints. Of heads
with a nose, of the line from thorax to head."""
NOSE = BallRange(
    neutral=(0.0, 0.0, 1.0),
    middle=(0.0, 0.69, 0.72),
    extremes=(
        Extreme(0, 104, "Human3.6M: 44 at rest (median); Kapandji 3: and cervical flexion 60"),
        Extreme(0, -1, "Human3.6M: 44 at rest; AAOS: and cervical extension 45"),
        Extreme(43, 9, "44 at rest, AAOS: and cervical rotation 80"),
        Extreme(60, 35, "44 at rest, AAOS: rotation 80 together with lateral flexion 45"),
        Extreme(43, 54, "44 at rest, AAOS: rotation 80 with the neck flexed 45"),
        Extreme(43, -35, "44 at rest, AAOS: rotation 80 with the neck extended 45"),
        Extreme(-43, 9, "the other side"),
        Extreme(-60, 35, "the other side"),
        Extreme(-43, 54, "the other side"),
        Extreme(-43, -35, "the other side"),
    ),
)
"""Of the bone from thorax to nose: where the ranges of the neck take a nose that is 44 degrees forward of the trunk at rest."""
HEAD_ROTATION = 80
"""Of the face to either side, degrees (AAOS: cervical rotation 80; Norkin & White: up to 90 in young adults)."""
HEAD_BEND = (27, 140)
"""Of the angle at the nose by which the head bone leaves the line of the nose bone, degrees: 81 in Human3.6M's mean head; the extremes
are those that its percentiles of the two bones' pitch (0.5 and 99.5) reach together with the other bone's median."""
COLLAR = BallRange(
    neutral=(1.0, 0.0, 0.0),
    middle=(1.0, 0.0, 0.0),
    extremes=(
        Extreme(40, 0, "Kapandji 1: elevation of the shoulder girdle 30 to 45"),
        Extreme(
            -30,
            0,
            "Kapandji 1: depression 10, and 20 because skeletons put the thorax joint at the base of the neck",
        ),
        Extreme(0, 30, "Kapandji 1: protraction 30"),
        Extreme(0, -30, "Kapandji 1: retraction 30"),
    ),
)
ELBOW = HingeRange(
    flexion=150,
    hyperextension=10,
    forward=1,
    lateral=90,
    medial=100,
    medial_lifted=100,
    sources=(
        "AAOS: flexion 150",
        "AAOS: extension 0; Kapandji 1: hyperextension 5 to 10 in people with lax ligaments",
        "AAOS: shoulder external rotation 90",
        "Kapandji 1: shoulder internal rotation 100 to 110, the hand behind the back (AAOS: 70, shoulder blade held)",
    ),
)
KNEE = HingeRange(
    flexion=155,
    hyperextension=10,
    forward=-1,
    lateral=45,
    medial=60,
    medial_lifted=100,
    sources=(
        "Roaas & Andersson: 144 SD 6; Kapandji 2: 160 passive, as in a full squat: their middle and one SD",
        "AAOS: hyperextension 10",
        "AAOS: hip internal rotation 45 (swings the foot outward)",
        "Kapandji 2: hip external rotation 60 with the hip bent (AAOS: 45), swings the foot inward",
        "measured on motion capture of dance (CMU 05): a leg lifted sideways turns out by 90 to 110",
    ),
)
