"""The errors that a 2D detector really made, to be made again on perfect 2D joints when a lifter is trained.

Gaussian noise is a poor likeness of a detector: its errors are larger at wrists and ankles than at hips, come together
(a whole arm is missed, left and right are swapped), and have long tails. So the errors of whole people are kept and drawn
again as they were, at the scale of the person that they are put on.

An error is the detected minus the true place, in per cent of the longer side of the bounding box of the person's labelled
true joints. In a file (CSV) each labelled joint has a line: `person` (a number), `joint` (a name), `x`, `y` (per cent),
x to the right and y down; any detector's errors can be written so.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from evolift.posedata.errors import InputError, reason_of
from evolift.posedata.output_file import write_text
from evolift.posedata.skeleton import Skeleton

COLUMNS = ("person", "joint", "x", "y")
MAX_PERCENT = 1e4
"""Of an error along an axis: a hundred times the person is as far as anybody mistakes a joint."""


def box_side(
    joints: Float[Tensor, "*batch joints 2"], visibility: UInt8[Tensor, "*batch joints"]
) -> Float[Tensor, "*batch"]:
    """Longer side of the bounds of the labelled joints (visibility above 0); 0 where there are none."""
    labelled = (visibility > 0)[..., None]
    high = joints.masked_fill(~labelled, -torch.inf).amax(-2)
    low = joints.masked_fill(~labelled, torch.inf).amin(-2)
    return (high - low).amax(-1).clamp_min(0)


@dataclass(frozen=True, eq=False)
class DetectionErrors:
    """Errors of a detector on some people.

    Args:
        skeleton: of the joints.
        percent: see the module; NaN for joints that were not labelled.

    Raises:
        InputError: an error is infinite, or neither a joint nor a neighbour of it was labelled in anybody.
    """

    skeleton: Skeleton
    percent: Float[Tensor, "people joints 2"]

    def __post_init__(self) -> None:
        if torch.isinf(self.percent).any():
            raise InputError("errors of a detector must be finite")
        known = ~torch.isnan(self.percent[..., 0]).all(0)
        lost = [joint for joint in self.unmeasured if not known[self._neighbours(joint)].any()]
        if lost:
            raise InputError(
                f"there is no error of {self.skeleton.joints[lost[0]]} nor of a joint next to it: measure the detector on labels of more joints of {self.skeleton.name}"
            )

    @property
    def unmeasured(self) -> list[int]:
        """Joints that were labelled in nobody; their drawn errors are the mean of their measured neighbours'."""
        return torch.isnan(self.percent[..., 0]).all(0).nonzero()[:, 0].tolist()

    def _neighbours(self, joint: int) -> list[int]:
        return [a if b == joint else b for a, b in self.skeleton.bones if joint in (a, b)]

    @classmethod
    def between(
        cls,
        detected: Float[Tensor, "people joints 2"],
        truth: Float[Tensor, "people joints 2"],
        visibility: UInt8[Tensor, "people joints"],
        skeleton: Skeleton,
    ) -> DetectionErrors:
        """Errors of detections (pixels) against labels; people without extent are left out.

        Raises:
            InputError: too few joints are labelled.
        """
        side = box_side(truth, visibility)
        percent = 100 * (detected - truth) / side[:, None, None]
        return cls(skeleton, percent.masked_fill((visibility == 0)[..., None], torch.nan)[side > 0])

    def draw(self, count: int, generator: torch.Generator) -> Float[Tensor, "count joints 2"]:
        """Errors of people drawn at random, in per cent, mirrored half of the time.

        A joint that was not labelled in the person drawn gets the error of that joint in another one; one that was
        labelled in nobody (as the base of the skull in LSP) the mean of its neighbours' errors.
        """
        people, joints = self.percent.shape[:2]
        drawn = self.percent[torch.randint(people, (count,), generator=generator)]
        known = ~torch.isnan(self.percent[..., 0])
        # Per joint, the k-th person who has it, for a random k.
        order = known.to(torch.int8).argsort(dim=0, descending=True, stable=True)
        rank = torch.rand(count, joints, generator=generator) * known.sum(0)
        stand_in = self.percent[order.gather(0, rank.long()), torch.arange(joints)]
        drawn = torch.where(torch.isnan(drawn), stand_in, drawn)
        for joint in self.unmeasured:
            drawn[:, joint] = drawn[:, self._neighbours(joint)].nanmean(1)
        mirrored = drawn[:, list(self.skeleton.mirror)] * torch.tensor([-1.0, 1.0])
        flip = torch.rand(count, generator=generator) < 0.5
        return torch.where(flip[:, None, None], mirrored, drawn)


def save_detection_errors(path: Path, errors: DetectionErrors, *, overwrite: bool = False) -> None:
    """Write a CSV file.

    Raises:
        OutputError: it exists and `overwrite` is False, or cannot be written.
    """
    people, joints = np.nonzero(~np.isnan(errors.percent[..., 0].numpy()))
    table = pd.DataFrame({"person": people, "joint": np.array(errors.skeleton.joints)[joints]})
    table[["x", "y"]] = errors.percent.numpy()[people, joints]
    write_text(path, table.to_csv(index=False, float_format="%.4f"), overwrite=overwrite)


def load_detection_errors(path: Path, skeleton: Skeleton) -> DetectionErrors:
    """Read a CSV file.

    Args:
        path: of the file.
        skeleton: that its joints must be of.

    Raises:
        InputError: it is no such table, a joint is unknown or doubled, or too few joints are labelled.
    """
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:  # pandas' own errors are ValueErrors
        raise InputError(
            f"{path} cannot be read as a CSV table of detection errors ({reason_of(error)})"
        ) from None
    missing = [name for name in COLUMNS if name not in table]
    if missing:
        raise InputError(
            f"{path} has no column {missing[0]!r}: errors of a detector have the columns {', '.join(COLUMNS)}, as `evolift detector evaluate --errors` writes them"
        )
    numbers = table[["person", "x", "y"]].apply(pd.to_numeric, errors="coerce")
    invalid = np.flatnonzero(~np.isfinite(numbers.to_numpy(float)).all(1))
    if len(invalid):
        raise InputError(f"{path}, line {invalid[0] + 2}: person, x and y must be finite numbers")
    far = np.flatnonzero((numbers[["x", "y"]].abs() > MAX_PERCENT).any(axis=1))
    if len(far):
        raise InputError(
            f"{path}, line {far[0] + 2}: an error of more than {MAX_PERCENT:g} percent makes no sense: leave it out"
        )
    unknown = table.index[~table["joint"].isin(skeleton.joints)]
    if len(unknown):
        raise InputError(
            f"{path}, line {unknown[0] + 2}: {skeleton.name} has no joint {table['joint'][unknown[0]]!r}"
        )
    twice = table.index[table.duplicated(["person", "joint"])]
    if len(twice):
        raise InputError(
            f"{path}, line {twice[0] + 2}: this person has two errors of {table['joint'][twice[0]]}"
        )
    person, people = pd.factorize(numbers["person"])
    percent = torch.full((len(people), len(skeleton), 2), torch.nan)
    joint = [skeleton.index(name) for name in table["joint"]]
    percent[person, joint] = torch.tensor(numbers[["x", "y"]].to_numpy(np.float32))
    try:
        return DetectionErrors(skeleton, percent)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
