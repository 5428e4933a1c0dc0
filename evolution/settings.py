"""The settings of an evolution run: all that changes its result."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

from evolift.evolution.criteria.criterion_sources import names_of
from evolift.posedata.errors import InputError

_RATES = (
    "crossover_rate",
    "two_point_rate",
    "mutation_rate",
    "turn_rate",
    "length_rate",
    "template_rate",
    "mirror_rate",
)


@dataclass(frozen=True)
class EvolutionSettings:
    """How a store is evolved.

    The defaults were chosen by what lifters gain from them on another person (README, "On real data");
    `ALGORITHM_1` and the recipe `evolve-report` are the report's.

    Args:
        ratio: size of the result over that of the source (2.5 in Li et al. 2020).
        target_size: poses in the result; wins over `ratio`.
        generations: rounds of breeding; each makes the same number of children (give or take one) and all of them may
            be parents in the next.
        limits: name of the joint-angle limits, see `evolift.evolution.limits.limit_sources`.
        criteria: further criteria that children must meet, with commas between them, see `evolift.evolution.criteria.criterion_sources`.
        crossover_rate: share of candidates that exchange sub-trees.
        two_point_rate: share of those with two cuts.
        mutation_rate: share of candidates whose bones are turned.
        per_bone_rate: chance of each bone of those; 0 turns exactly one.
        sigma: standard deviation of a turn, degrees.
        turn_rate: share of candidates with a new heading about the vertical.
        tilt_sigma: tilt of those, degrees; 0 keeps them upright.
        crossed_lengths: bone lengths of exchanged sub-trees, "kept" or "swapped".
        length_rate: share of candidates whose bone lengths are scaled.
        length_spread: largest relative change of a bone length.
        template_rate: share of candidates that get all bone lengths of a subject of the source drawn at random.
        mirror_rate: share of candidates mirrored left to right, see `mutation.mirror_bodies`.
        settle: move candidates up or down to stand as high as the parent whose body they have, see `ground.settle`.
        sampling: how parents are drawn, see `evolift.evolution.operators.parent_sampling`: "uniform", "novelty", or "hardness" (by a
            function that is handed to `evolve`).
        min_change: candidates nearer than this to one of their parents are refused as copies, mm (root mean square over
            joints, in the torso frame, with the candidate's bone lengths).
        min_distance: candidates nearer than this to a pose of the generations before, or to an earlier child of their
            block, are refused as duplicates, mm (see `evolift.evolution.criteria.near_duplicates`).
        seed: of all draws.

    Raises:
        InputError: a value cannot be.
    """

    ratio: float = 20.0
    target_size: int | None = None
    generations: int = 5
    limits: str = "anatomical"
    criteria: str = ""
    crossover_rate: float = 0.9
    two_point_rate: float = 0.5
    mutation_rate: float = 1.0
    per_bone_rate: float = 0.4
    sigma: float = 20.0
    turn_rate: float = 1.0
    tilt_sigma: float = 25.0
    crossed_lengths: Literal["kept", "swapped"] = "kept"
    length_rate: float = 0.0
    length_spread: float = 0.1
    template_rate: float = 0.0
    mirror_rate: float = 0.5
    settle: bool = True
    sampling: Literal["uniform", "novelty", "hardness"] = "uniform"
    min_change: float = 0.0
    min_distance: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        names_of(self.criteria)
        for name in _RATES:
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{_option(name)} must lie between 0 and 1, not {getattr(self, name)}")
        if not 0 <= self.per_bone_rate <= 1:
            raise InputError(f"--per-bone-rate must lie between 0 and 1, not {self.per_bone_rate}")
        if self.target_size is None and not (math.isfinite(self.ratio) and self.ratio > 1):
            raise InputError(f"--ratio must be larger than 1, not {self.ratio}: nothing would be bred")
        if self.generations < 1:
            raise InputError(f"--generations must be at least 1, not {self.generations}")
        for name in ("sigma", "tilt_sigma"):
            if not 0 <= getattr(self, name) <= 180:
                raise InputError(
                    f"{_option(name)} must lie between 0 and 180 degrees, not {getattr(self, name)}"
                )
        if not 0 <= self.length_spread < 1:
            raise InputError(f"--length-spread must be at least 0 and below 1, not {self.length_spread}")
        if self.crossed_lengths not in ("kept", "swapped"):
            raise InputError(f"--crossed-lengths must be kept or swapped, not {self.crossed_lengths!r}")
        if self.sampling not in ("uniform", "novelty", "hardness"):
            raise InputError(f"--sampling must be uniform, novelty or hardness, not {self.sampling!r}")
        for name in ("min_change", "min_distance"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise InputError(f"{_option(name)} must be at least 0 mm, not {getattr(self, name)}")
        if not any(getattr(self, name) for name in _RATES if name != "two_point_rate"):
            raise InputError("every operator has rate 0: nothing would be bred")

    def size_from(self, originals: int) -> int:
        """Poses in the result for a source of so many.

        Raises:
            InputError: the target size is not larger than the source.
        """
        size = self.target_size if self.target_size is not None else round(originals * self.ratio)
        if size <= originals:
            raise InputError(
                f"the source has {originals} poses already and the result shall have {size}: give a larger --ratio or --target-size"
            )
        return size

    def to_dict(self) -> dict[str, Any]:
        """Plain values for provenance, without the seed, which has its own place there."""
        values = asdict(self)
        del values["seed"]
        return values


ALGORITHM_1 = EvolutionSettings(
    ratio=2.5,
    mutation_rate=0.5,
    per_bone_rate=0.0,
    sigma=10.0,
    turn_rate=0.0,
    tilt_sigma=0.0,
    mirror_rate=0.0,
    settle=False,
)
"""Algorithm 1 of the report as it stands: crossover, then one bone of half of the children is turned a little."""


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")
