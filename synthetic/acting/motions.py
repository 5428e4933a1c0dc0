"""The motions of the built-in actors: joint angles over time, each with its style drawn from a generator.

A motion is a function of (time in seconds, style, generator) that sets the angles it is about; what it leaves out
stays at rest. Angles are written in DEGREES here, as in the literature (`evolift.synthetic.acting.articulation` gives their names
and signs; `evolift.synthetic.acting.actors` converts). Motions are written for one side; their mirror images come from
`mirror_angles`. Two entries are no angles: `height` is how far the lowest point of the body is above the floor, mm.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from evolift.synthetic.acting.curves import Curve, Number, wander

Style = Mapping[str, float]
Degrees = dict[str, Curve]
MotionFunction = Callable[[Curve, Style, np.random.Generator], Degrees]


@dataclass(frozen=True)
class Motion:
    """A motion and the ranges that its style is drawn from.

    Args:
        name: the action's label.
        function: gives the angles.
        ranges: style parameter -> (least, greatest), drawn uniformly.
        free_arms: chance that a clip's arms do something else than what the motion says.
    """

    name: str
    function: MotionFunction
    ranges: Mapping[str, tuple[Number, Number]]
    free_arms: Number

    def draw_style(self, generator: np.random.Generator) -> dict[str, float]:
        """A value of every style parameter, drawn uniformly from its range."""
        return {name: float(generator.uniform(low, high)) for name, (low, high) in self.ranges.items()}


MOTIONS: dict[str, Motion] = {}
"""All built-in motions by action label."""


def motion(
    *, free_arms: Number = 0.0, **ranges: tuple[Number, Number]
) -> Callable[[MotionFunction], MotionFunction]:
    """Register a function as a motion under its own name."""

    def register(function: MotionFunction) -> MotionFunction:
        name = function.__name__.strip("_")
        MOTIONS[name] = Motion(name, function, ranges, free_arms)
        return function

    return register


def set_leg(angles: Degrees, side: str, thigh: Curve, shank: Curve) -> None:
    """Set hip and knee flexion from the forward inclinations of thigh and shank from the vertical.

    Uses the `pelvis_pitch` that is in `angles` by now. A shank inclination is negative when the foot is behind.
    """
    angles[f"{side}_hip_flexion"] = thigh + angles.get("pelvis_pitch", np.zeros_like(thigh))
    angles[f"{side}_knee_flexion"] = thigh - shank


def set_arm(
    angles: Degrees,
    side: str,
    *,
    flexion: Curve | Number = 0.0,
    abduction: Curve | Number = 8.0,
    rotation: Curve | Number = 0.0,
    elbow: Curve | Number = 15.0,
) -> None:
    """Set the four angles of an arm."""
    size = len(next(iter(angles.values())))
    for name, value in (
        ("shoulder_flexion", flexion),
        ("shoulder_abduction", abduction),
        ("shoulder_rotation", rotation),
        ("elbow_flexion", elbow),
    ):
        angles[f"{side}_{name}"] = np.broadcast_to(np.asarray(value, np.float64), (size,)).copy()


def wandering_arm(
    angles: Degrees, side: str, time: Curve, generator: np.random.Generator, period: Number
) -> None:
    """An arm that gestures: its four angles wander through the ordinary space in front and beside."""
    hold = generator.uniform(0, 0.6)
    set_arm(
        angles,
        side,
        flexion=wander(generator, time, period=period, low=-25, high=120, hold=hold),
        abduction=wander(generator, time, period=period, low=2, high=75, hold=hold),
        rotation=wander(generator, time, period=period, low=-45, high=55, hold=hold),
        elbow=wander(generator, time, period=period, low=5, high=125, hold=hold),
    )
