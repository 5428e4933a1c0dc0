"""Bodies of other people: bone lengths by the proportions of adult men and women.

The people are those of the 2012 Anthropometric Survey of U.S. Army Personnel (Gordon et al. 2014, NATICK/TR-15/007; the public
data of 2017, "ANSUR II"): 4,082 men and 1,986 women. Each segment is a distance between bony landmarks, or of their heights:

========== ===============================================================
hips       bicristal breadth
thigh      trochanterion to lateral femoral epicondyle
shin       lateral femoral epicondyle to lateral malleolus
trunk      trochanterion to suprasternale
head       suprasternale to the top of the head (stature)
shoulders  biacromial breadth
upper_arm  acromion to radiale
forearm    radiale to stylion
hand, foot hand length, foot length
========== ===============================================================

Below are the standard deviations and correlations of the logarithms of these lengths, pooled within the sexes (each weighs
half), and the ratio of the sexes' geometric means, computed from that data. Stature needs no number of its own: it is what long segments
have in common. The survey has no children; its people passed the physical demands of an army.

Data sets put their joints at different places of the body (Human3.6M's hips are 266 mm apart, the CMU data base's 170), so no
length of the survey is taken over: a body is a subject of the store with each length multiplied by a factor that is 1 in the
geometric mean. All bones of a segment, and both sides, have one factor, so a nose stays where it is in its head.
"""

from __future__ import annotations

from functools import cache

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.kinematics.local_bones import LocalBones, numbers

SEGMENTS = (
    "hips", "thigh", "shin", "trunk", "head", "shoulders", "upper_arm", "forearm", "hand", "foot"
)  # fmt: skip
WOMEN_OVER_MEN = (0.991, 0.927, 0.962, 0.901, 0.941, 0.879, 0.928, 0.901, 0.937, 0.908)
"""Geometric mean of each segment of women over that of men."""
DEVIATIONS = (0.073, 0.067, 0.062, 0.058, 0.046, 0.048, 0.054, 0.060, 0.053, 0.049)
"""Standard deviations of the logarithms within a sex."""
CORRELATIONS = (
    (),
    (0.20,),
    (0.26, 0.54),
    (0.42, -0.01, 0.24),
    (0.22, 0.29, 0.31, 0.28),
    (0.36, 0.36, 0.43, 0.36, 0.29),
    (0.37, 0.62, 0.76, 0.36, 0.36, 0.47),
    (0.22, 0.62, 0.73, 0.24, 0.25, 0.47, 0.70),
    (0.26, 0.50, 0.67, 0.29, 0.25, 0.51, 0.63, 0.68),
    (0.34, 0.52, 0.68, 0.36, 0.32, 0.52, 0.63, 0.68, 0.79),
)
"""Of each segment with those before it."""
WOMEN = 0.5
"""Share of women among the bodies drawn."""


@cache
def segments_of_bones(tree: KinematicTree) -> tuple[int, ...]:
    """For each bone the number of the segment in `SEGMENTS` whose factor it takes.

    Bones beyond the wrist are hands, beyond the ankle feet; between trunk and upper arm shoulders; all else above is the head.
    """
    limbs = {"hips": ("thigh", "shin", "foot"), "shoulders": ("upper_arm", "forearm", "hand")}
    named: list[str] = []
    for bone, parent in enumerate(tree.parents):
        if bone in tree.pelvic:
            name = "hips"
        elif bone in tree.trunk or not (tree.in_upper[bone] or tree.is_limb[bone]):
            name = "trunk"
        elif tree.is_limb[bone]:
            above = named[parent]
            kinds = limbs["shoulders" if tree.in_upper[bone] else "hips"]
            name = kinds[min(kinds.index(above) + 1, 2)] if above in kinds else kinds[0]
        elif any(tree.subtree[bone, tree.bone(joint)] for joint in tree.shoulders):
            name = "shoulders"
        else:
            name = "head"
        named.append(name)
    return tuple(SEGMENTS.index(name) for name in named)


def draw_factors(n: int, generator: torch.Generator) -> Float[Tensor, "n segments"]:
    r"""What the segments of people are multiplied by.

    .. math:: \log f = \pm \tfrac12 \log r + L z, \qquad z \sim N(0, I)

    with the ratio r of the sexes, + for women, and the Cholesky factor L of the covariance within a sex.
    """
    woman = torch.rand(n, 1, generator=generator) < WOMEN
    ordinary = torch.randn(n, len(SEGMENTS), generator=generator)
    half = torch.tensor(WOMEN_OVER_MEN).log() / 2
    return (torch.where(woman, half, -half) + ordinary @ _covariance_root().T).exp()


def give_bodies(
    bones: LocalBones,
    tree: KinematicTree,
    given: Bool[Tensor, "n"],
    subjects: Float[Tensor, "n bones"],
    generator: torch.Generator,
) -> LocalBones:
    """Bodies of people who are built as a subject's data set measures people, but are others.

    Args:
        given: which bodies to replace; directions stay. On any device, as `subjects`.
        subjects: bone lengths of the subject that each comes from, left and right alike, mm. Factors are of these and not of
            the parent's own lengths, which may have been drawn before: spreads would grow from generation to generation.
    """
    rows = given.nonzero()[:, 0].to(bones.lengths.device)
    factors = draw_factors(len(rows), generator).to(bones.lengths)
    segments = numbers(segments_of_bones(tree), factors.device)
    drawn = subjects.to(factors).index_select(0, rows).T * factors.T.index_select(0, segments)
    return bones.with_values(lengths=bones.lengths.T.index_copy(1, rows, drawn).T)


@cache
def _covariance_root() -> Float[Tensor, "segments segments"]:
    correlations = torch.eye(len(SEGMENTS), dtype=torch.float64)
    for row, values in enumerate(CORRELATIONS):
        for column, value in enumerate(values):
            correlations[row, column] = correlations[column, row] = value
    deviations = torch.tensor(DEVIATIONS, dtype=torch.float64)
    root: Tensor = torch.linalg.cholesky(correlations) * deviations[:, None]
    return root.float()
