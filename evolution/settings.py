"""The settings of an evolution run and of fitted joint-angle limits: all that changes their results."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from evolift.posedata.errors import InputError
from evolift.posedata.settings import Settings


def _share(description: str) -> Meta:
    return Meta(ge=0, le=1, description=description)


class EvolutionSettings(Settings, frozen=True, kw_only=True):
    """How a store is evolved.

    The defaults were chosen by what lifters gain from them on another person (docs/results.md); `ALGORITHM_1` and the
    recipe `evolve-report` are the report's.
    """

    ratio: Annotated[
        float, Meta(gt=1, description="Size of the result over that of the source; 2.5 in Li et al. 2020.")
    ] = 20.0
    target_size: (
        Annotated[int, Meta(ge=1, description="Poses in the result; wins over the ratio.")] | None
    ) = None
    generations: Annotated[
        int,
        Meta(
            ge=1,
            description="Rounds of breeding of equal size; the children of each may be parents in the next.",
        ),
    ] = 5
    limits: Annotated[
        str,
        Meta(
            description="Joint-angle limits that poses must keep: anatomical, fitted:FILE or akhter-black:FILE."
        ),
    ] = "anatomical"
    criteria: Annotated[
        tuple[Literal["ground", "capsules"], ...],
        Meta(
            description="A further criterion of plausibility: ground (stands where its ancestor stood, on a foot) or capsules (no limb through the trunk or another limb); repeatable.",
            extra={"flag": "criterion"},
        ),
    ] = ()
    crossover_rate: Annotated[float, _share("Share of candidates that exchange sub-trees.")] = 0.9
    two_point_rate: Annotated[float, _share("Share of those with two cuts.")] = 0.5
    donor_rate: Annotated[
        float, _share("Share of exchanges in which the limb comes from a donor store, if there is one.")
    ] = 0.5
    mutation_rate: Annotated[float, _share("Share of candidates whose bones are rotated.")] = 1.0
    per_bone_rate: Annotated[
        float, _share("Probability of each of their bones to be rotated; 0 rotates exactly one.")
    ] = 0.4
    sigma: Annotated[float, Meta(ge=0, le=180, description="Standard deviation of a rotation, degrees.")] = (
        20.0
    )
    rotation_rate: Annotated[float, _share("Share of candidates with a new heading about the vertical.")] = (
        1.0
    )
    tilt_sigma: Annotated[
        float,
        Meta(
            ge=0,
            le=180,
            description="Standard deviation of the tilt of those, degrees; 0 keeps them upright.",
        ),
    ] = 25.0
    crossed_lengths: Annotated[
        Literal["kept", "swapped"],
        Meta(description="Whose bone lengths an exchanged limb has: the receiver's or the giver's."),
    ] = "kept"
    length_rate: Annotated[
        float,
        _share(
            "Share of candidates whose bones are scaled, each by itself, because data sets put their joints in other places than people differ."
        ),
    ] = 0.5
    length_spread: Annotated[
        float, Meta(ge=0, lt=1, description="Largest relative change of a bone length.")
    ] = 0.2
    template_rate: Annotated[
        float, _share("Share of candidates that get all bone lengths of a random subject of the source.")
    ] = 0.0
    body_rate: Annotated[
        float,
        _share(
            "Share of candidates that get the body of another person: bone lengths by the proportions of adult men and women."
        ),
    ] = 0.5
    immigrant_rate: Annotated[
        float,
        _share(
            "Share of candidates with arms or legs that point anywhere within the joint limits, like nobody's in the source."
        ),
    ] = 0.0
    immigrant_density: Annotated[
        float,
        _share(
            "Share of the bones of those that are drawn from the population's own density of directions of that bone; the others are uniform over what the limits allow."
        ),
    ] = 0.0
    mirror_rate: Annotated[float, _share("Share of candidates mirrored left to right.")] = 0.5
    settle: Annotated[
        bool,
        Meta(description="Move children up or down to stand as high as the parent whose body they have."),
    ] = True
    sampling: Annotated[
        Literal["uniform", "novelty", "hardness"],
        Meta(
            description="Parents: all alike, or more often those far from other poses, or those that a lifter gets wrong."
        ),
    ] = "uniform"
    min_change: Annotated[
        float,
        Meta(
            ge=0,
            description="Refuse children nearer than this to a parent, mm (root mean square over joints in the torso frame, with the child's bone lengths).",
        ),
    ] = 0.0
    min_distance: Annotated[
        float,
        Meta(
            ge=0,
            description="Refuse duplicates: children nearer than this, mm, to any pose before their generation or of their block.",
        ),
    ] = 0.0
    seed: Annotated[
        int,
        Meta(ge=0, lt=2**32, description="Seed of everything random; the same seed gives the same bytes."),
    ] = 0

    def check(self) -> None:
        """Refuse runs that would breed nothing, and criteria named twice.

        Raises:
            InputError: naming the field.
        """
        if len(set(self.criteria)) < len(self.criteria):
            raise InputError(f"`criteria` names one twice: {', '.join(self.criteria)}")
        operators = (
            self.crossover_rate, self.mutation_rate, self.rotation_rate, self.length_rate, self.template_rate, self.body_rate,
            self.immigrant_rate, self.mirror_rate,
        )  # fmt: skip
        if not any(operators):
            raise InputError("every operator has rate 0: nothing would be bred")

    def size_from(self, originals: int) -> int:
        """Poses in the result for a source of so many.

        Raises:
            InputError: the target size is not larger than the source.
        """
        size = self.target_size if self.target_size is not None else round(originals * self.ratio)
        if size <= originals:
            raise InputError(
                f"the source has {originals} poses already and the result shall have {size}: give a larger `ratio` or `target_size`"
            )
        return size


ALGORITHM_1 = EvolutionSettings(
    ratio=2.5,
    mutation_rate=0.5,
    per_bone_rate=0.0,
    sigma=10.0,
    rotation_rate=0.0,
    tilt_sigma=0.0,
    length_rate=0.0,
    body_rate=0.0,
    immigrant_rate=0.0,
    mirror_rate=0.0,
    settle=False,
)
"""Algorithm 1 of the report as it stands: crossover, then one bone of half of the children is rotated a little."""


class FitSettings(Settings, frozen=True, kw_only=True):
    """How tightly joint-angle limits are fitted to poses; angles are at least the size of a cell of directions."""

    smoothing: Annotated[
        float,
        Meta(
            ge=5, le=180, description="Every seen direction of a bone allows all within this angle, degrees."
        ),
    ] = 25.0
    parent_smoothing: Annotated[
        float,
        Meta(
            ge=10,
            le=180,
            description="Forearms, shins and the like are compared with poses whose parent bone points within this angle, degrees.",
        ),
    ] = 45.0
    support: Annotated[
        int,
        Meta(
            ge=1,
            description="Poses of each 5,000 (of fewer, so many in all) that must lie within both angles; more guards against glitches.",
        ),
    ] = 1
