"""Whether poses can be those of people in millimetres with z up: finite numbers that make no sense are refused, with the mend.

Three things are looked at. *Rows*: no joint lies beyond `MAX_DISTANCE`, farther from the joint before it than the tallest person
reaches, or beyond `MAX_PIXELS` of an image. *Unit*: the median stature lies between `STATURES`. A pose's stature is the summed
length of its thighs, shins, upper arms, forearms and flanks (shoulder to hip) by the share of a stature that these make in adults
(Drillis & Contini 1966); of a skeleton without some of them, of those that it has, and of one without any nothing is
said. *Axes*, of poses in the world only: where trunks clearly stand along another axis, that one is up. People who lie do not stand,
and are told by the ground: of a body on it the lowest point stays at one height.

Unit and axes are told of an even sample of the rows, whichever way these come.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

from evolift.posedata.errors import StoreError
from evolift.posedata.poses import Poses
from evolift.posedata.skeleton import Skeleton

_log = logging.getLogger(__name__)

Implausible = Literal["refuse", "leave out", "write", "accept"]
"""What is done with poses that cannot be: refuse them all; leave out rows of no sense among others that make some, and refuse the
rest; write them, for readers to refuse; or accept them, for readers too, since the user insists."""

STATURES = (500.0, 2600.0)
"""mm, of newborns and of the tallest people."""
MAX_DISTANCE = 1e5
"""mm, of any coordinate."""
MAX_STEP = 4000.0
"""mm, along any axis between two joints that follow each other in the skeleton's order: more than from foot to raised hand of the
tallest people."""
MAX_PIXELS = 1e5
MAX_LEFT_OUT = 0.5
"""Share of rows that may be left out; where more make no sense, all are refused."""
SAMPLE = 2048
"""Rows of the sample, at most twice as many."""

_UNITS = {"centimetres": 10.0, "inches": 25.4, "feet": 304.8, "metres": 1000.0}
_USUAL_STATURE = 1700.0
_SEGMENTS = {
    ("hip", "knee"): 0.245,
    ("knee", "ankle"): 0.246,
    ("shoulder", "elbow"): 0.186,
    ("elbow", "wrist"): 0.146,
    ("shoulder", "hip"): 0.288,
}
_STANDING, _MOST = (
    0.7,
    0.8,
)  # a trunk within 45 degrees of an axis, and the share of poses of which that must hold
_STILL = 0.5
_MENDS = {
    "x": "(y, z, x)",
    "y": "(x, -z, y)",
    "-x": "(-y, z, -x)",
    "-y": "(x, z, -y)",
    "-z": "(x, -y, -z)",
}


def imported(implausible: bool) -> Implausible:
    """What importers do: leave out rows of no sense in a good file, unless the user insists on them."""
    return "accept" if implausible else "leave out"


class PlausibilityCheck:
    """The check of one store, row by row as it is written or read.

    Args:
        path: of the store, or of what its poses come from, for messages.
        skeleton: of its joints.
        frame: of its 3D joints: "world", "camera" or "none".
        unlabelled: joints that it lacks in 3D.
        implausible: what is done with what cannot be.
        insist: how the user insists, for messages.
    """

    def __init__(
        self,
        path: Path | str,
        skeleton: Skeleton,
        frame: str,
        unlabelled: tuple[str, ...],
        implausible: Implausible,
        insist: str,
    ) -> None:
        self.path, self.skeleton, self.frame, self.implausible = path, skeleton, frame, implausible
        self.left_out = 0
        self._insist = insist
        self._labelled = [place for place, joint in enumerate(skeleton.joints) if joint not in unlabelled]
        self._rows, self._stride = 0, 1
        self._sample: list[np.ndarray] = []
        self._first_left_out = ""

    def kept(self, poses: Poses) -> Poses:
        """The rows that make sense; all of them, unless some are to be left out.

        Raises:
            StoreError: a row makes no sense, and such rows are to be refused.
        """
        if self.implausible in ("write", "accept"):
            return poses
        self._add(poses)
        wrong = self._wrong(poses)
        if wrong is None:
            return poses
        row = int(wrong.argmax())
        place = f"subject {poses.subject[row]}, action {poses.action[row]}, frame {poses.frame[row]}"
        what = f"{place}: {self._said(poses, row)}"
        if self.implausible == "refuse":
            self._check_unit()
            raise StoreError(
                f"{self.path}: row {self._rows - len(poses) + row} ({what}): mend or leave out such rows ({int(wrong.sum())} here), or {self._insist}"
            )
        self._first_left_out = self._first_left_out or what
        self.left_out += int(wrong.sum())
        return poses[~wrong]

    def close(self) -> None:
        """Judge unit and axes when all rows are known, and log what was left out.

        Raises:
            StoreError: they are wrong, or too many rows were left out.
        """
        if not self._rows:
            return
        self._check_unit()
        if self.left_out > MAX_LEFT_OUT * self._rows:
            raise StoreError(
                f"{self.path}: {self.left_out} of {self._rows} rows make no sense, first {self._first_left_out}: look at the source, or {self._insist}"
            )
        if self.left_out:
            _log.warning(
                "%s: %d of %d rows left out that make no sense, first %s",
                self.path,
                self.left_out,
                self._rows,
                self._first_left_out,
            )
        self._check_axes()

    def _add(self, poses: Poses) -> None:
        first = -self._rows % self._stride
        self._rows += len(poses)
        if poses.joints_3d is None or not len(poses):
            return
        some = poses.joints_3d[first :: self._stride].astype(np.float64)
        self._sample.append(some[np.isfinite(some[:, self._labelled]).all((1, 2))])
        while sum(map(len, self._sample)) > 2 * SAMPLE:
            self._sample = [np.concatenate(self._sample)[::2]]
            self._stride *= 2

    def _wrong(self, poses: Poses) -> Bool[np.ndarray, "rows"] | None:
        """Which rows make no sense; None if all do."""
        wrong = np.zeros(len(poses), bool)
        for values, limit, _ in self._limited(poses):
            # Most often all is well, which the extremes tell much faster than each value.
            if values.size and (values.max() > limit or values.min() < -limit):
                wrong |= _beyond(values, limit).any(1)
        return wrong if wrong.any() else None

    def _said(self, poses: Poses, row: int) -> str:
        """What is wrong with a row that makes no sense."""
        for values, limit, said in self._limited(poses[row : row + 1]):
            beyond = _beyond(values, limit)[0]
            if beyond.any():
                place = int(beyond.argmax())
                return said(place, float(np.abs(values[0, place]).max()))
        raise ValueError(f"row {row} makes sense")

    def _limited(self, poses: Poses) -> Iterator[tuple[np.ndarray, float, Callable[[int, float], str]]]:
        """Values (rows, places, numbers), the limit of their size, and the sentence on a place and size beyond it."""
        names = self.skeleton.joints
        if poses.joints_3d is not None:
            known = self._labelled
            joints = poses.joints_3d[:, known] if len(known) < len(names) else poses.joints_3d
            yield (
                joints,
                MAX_DISTANCE,
                lambda place, size: f"{names[known[place]]} lies {size / 1000:.3g} m from the origin",
            )
            with np.errstate(over="ignore", invalid="ignore"):
                steps = joints[:, 1:] - joints[:, :-1]
            yield (
                steps,
                MAX_STEP,
                lambda place, size: (
                    f"{names[known[place + 1]]} lies {size / 1000:.3g} m from {names[known[place]]}"
                ),
            )
        if poses.joints_2d is not None:
            yield poses.joints_2d, MAX_PIXELS, lambda place, size: f"{names[place]} lies at {size:.3g} px"
        if poses.box is not None:
            yield poses.box[:, None], MAX_PIXELS, lambda place, size: f"its box reaches to {size:.3g} px"

    def _check_unit(self) -> None:
        stature = self._stature()
        if stature is None or STATURES[0] <= stature <= STATURES[1]:
            return
        if stature < STATURES[0]:
            unit, factor = min(_UNITS.items(), key=lambda unit: _misfit(stature * unit[1]))
            guess, mend = f"looks like {unit}", f"multiply its joints by {factor:g}"
        else:
            divisor = min((10.0, 25.4, 100.0, 1000.0), key=lambda divisor: _misfit(stature / divisor))
            factor = 1 / divisor
            guess, mend = f"looks {divisor:g} times too large", f"divide its joints by {divisor:g}"
        if not STATURES[0] <= stature * factor <= STATURES[1]:
            guess, mend = "its unit is not millimetres", "bring its joints to millimetres"
        raise StoreError(
            f"{self.path}: {guess}, since people in millimetres would be {float(f'{stature:.3g}'):,g} mm tall: {mend}, import it with the right unit, or {self._insist}"
        )

    def _stature(self) -> float | None:
        """Median over the sample, mm; None if no segment is known."""
        if not self._sample:
            return None
        joints = np.concatenate(self._sample)
        length, share = np.zeros(len(joints)), np.zeros(len(joints))
        for start, end, part in self._segments():
            each = np.linalg.norm(joints[:, start] - joints[:, end], axis=-1)
            known = np.isfinite(each)
            length += np.where(known, each, 0)
            share += np.where(known, part, 0)
        return float(np.median(length[share > 0] / share[share > 0])) if (share > 0).any() else None

    def _segments(self) -> Iterator[tuple[int, int, float]]:
        labelled = {self.skeleton.joints[place]: place for place in self._labelled}
        for (start, end), part in _SEGMENTS.items():
            for side in ("left", "right"):
                ends = (f"{side}_{start}", f"{side}_{end}")
                if set(ends) <= set(labelled):
                    yield labelled[ends[0]], labelled[ends[1]], part

    def _check_axes(self) -> None:
        up = self._up()
        if up in (None, "z"):
            return
        if self._lie(up):
            _log.warning(
                "%s: people in it lie along %s, if z is up: look at them (`evolift data view`), and rotate them if they should stand",
                self.path,
                up,
            )
            return
        raise StoreError(
            f"{self.path}: looks as if {up} was up, since people stand along it: rotate its joints (x, y, z) to {_MENDS[up]}, import it with the right axes, or {self._insist}"
        )

    def _up(self) -> str | None:
        """The axis along which trunks point in most poses, such as "z" or "-y"."""
        needed = [f"{side}_{joint}" for joint in ("hip", "shoulder") for side in ("left", "right")]
        if self.frame != "world" or not self._sample or not set(needed) <= set(self.skeleton.joints):
            return None
        hips = self.skeleton.index(needed[0]), self.skeleton.index(needed[1])
        shoulders = self.skeleton.index(needed[2]), self.skeleton.index(needed[3])
        joints = np.concatenate(self._sample)
        trunk = joints[:, shoulders].mean(1) - joints[:, hips].mean(1)
        length = np.linalg.norm(trunk, axis=-1, keepdims=True)
        trunk = trunk[length[:, 0] > 0] / length[length[:, 0] > 0]
        for axis, name in enumerate("xyz"):
            for sign in (1, -1):
                if len(trunk) and (sign * trunk[:, axis] > _STANDING).mean() >= _MOST:
                    return name if sign > 0 else f"-{name}"
        return None

    def _lie(self, up: str) -> bool:
        """Whether bodies keep to the ground rather than to a plane across `up`: their lowest point stays where it is."""
        joints = np.concatenate(self._sample)[:, self._labelled]
        ground = _spread(joints[..., 2].min(1))
        along = joints[..., "xyz".index(up[-1])]
        return ground < _STILL * _spread(-along.max(1) if up.startswith("-") else along.min(1))


def _beyond(values: np.ndarray, limit: float) -> Bool[np.ndarray, "rows places"]:
    # What is not finite is refused elsewhere, with a sentence of its own.
    beyond: np.ndarray = ((np.abs(values) > limit) & np.isfinite(values)).any(-1)
    return beyond


def _misfit(stature: float) -> float:
    return abs(np.log(stature / _USUAL_STATURE)) if stature > 0 else np.inf


def _spread(heights: Float[np.ndarray, "some"]) -> float:
    low, high = np.percentile(heights, (5, 95))
    return float(high - low)
