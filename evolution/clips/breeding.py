"""One block of children that are clips: parents, operators and natural selection, batched.

A child has the body, the place and the way of its first parent. A sub-tree's trajectory may come from a second one, at the first one's
tempo; bones may be bent by smooth curves; it may be faster here and slower there, have another body or
longer and shorter bones, another heading, or be mirrored.
Lengths are constant over a clip: the medians of the parent's. Then its feet are put where they stand, and it is judged: joint limits in
every frame, limits of speed, feet.

A block depends on the population before its generation, the settings and its place, and on nothing else
(`evolift.evolution.job.breeding` has the same for poses).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int32, Int64, UInt8
from torch import Tensor

from evolift.evolution.clips.alignment import aligned_times
from evolift.evolution.clips.feet import Feet, Footing, ankles_of, feet_of, keep_feet, standing_height
from evolift.evolution.clips.operators import bend_bones, head_clips, mirror_clips, warped_times
from evolift.evolution.clips.resampling import at_times
from evolift.evolution.clips.settings import ClipSettings
from evolift.evolution.clips.speed_limits import SpeedLimits, peaks_of
from evolift.evolution.criteria.ground import SINK
from evolift.evolution.job.breeding import Tally, count
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.kinematics.local_bones import LocalBones, to_joints, to_local
from evolift.evolution.limits.joint_limits import JointLimits
from evolift.evolution.operators.anthropometry import give_bodies
from evolift.evolution.operators.crossover import draw_pairs, draw_subtrees, exchange
from evolift.evolution.operators.mutation import draw_rotated, scale_lengths
from evolift.evolution.settings import EvolutionSettings
from evolift.posedata.errors import InputError
from evolift.posedata.seeds import generator_at

BATCH_FRAMES = 16384
"""Maximum number of frames of candidates made at a time."""
HOPELESS = 1 / 500
"""Share of survivors below which breeding gives up."""
SMOOTHING = 0.3
"""Seconds over which an alignment is smoothed."""

OPERATORS = ("crossover", "mutation", "tempo", "rotation", "lengths", "mirror")
OPERATOR_LABELS = tuple(
    "+".join(name for bit, name in enumerate(OPERATORS) if code >> bit & 1)
    for code in range(2 ** len(OPERATORS))
)
SPEED, FEET = "speed", "feet"
FEET_REASONS = ("a standing foot slides", "a standing foot is too high or too low", "below the floor")


@dataclass(frozen=True, eq=False)
class ClipParents:
    """Who may become a parent.

    Args:
        joints: of all clips, mm, z up; may be mapped from a file.
        rows: of those that may.
        templates: bone lengths, one row per subject.
        person: of each clip, the row of `templates` of the subject that its body descends from.
    """

    joints: Float32[np.ndarray, "clips numbers"]
    rows: Int64[np.ndarray, "members"]
    templates: Float32[np.ndarray, "subjects bones"]
    person: Int32[np.ndarray, "clips"]

    def take(self, clips: Int64[Tensor, "n"], frames: int) -> Float[Tensor, "n frames joints 3"]:
        """Joints of the chosen clips."""
        return torch.from_numpy(self.joints[clips.numpy()]).reshape(len(clips), frames, -1, 3)


@dataclass(frozen=True, eq=False)
class ClipChildren:
    """A block of children, ready to be written.

    Args:
        joints: mm, z up.
        mother, father: clips of the population; -1 where there was no crossover.
        frame_a, frame_b: of the parent, that each frame of a child is from.
        operator: bits in the order of `OPERATORS`.
        person: as in `ClipParents`.
    """

    joints: Float32[np.ndarray, "n frames joints 3"]
    mother: Int64[np.ndarray, "n"]
    father: Int64[np.ndarray, "n"]
    frame_a: Int64[np.ndarray, "n frames"]
    frame_b: Int64[np.ndarray, "n frames"]
    operator: UInt8[np.ndarray, "n"]
    person: Int32[np.ndarray, "n"]
    tally: Tally


@dataclass(frozen=True, eq=False)
class Candidates:
    """Children before selection; the fields are those of `ClipChildren`."""

    joints: Float[Tensor, "n frames joints 3"]
    mother: Int64[Tensor, "n"]
    father: Int64[Tensor, "n"]
    frame_a: Int64[Tensor, "n frames"]
    frame_b: Int64[Tensor, "n frames"]
    operator: UInt8[Tensor, "n"]
    footing: Footing
    floor: Float[Tensor, "n"]


@dataclass(frozen=True, eq=False)
class Nature:
    """What children must keep.

    Args:
        limits: of joint angles.
        speeds: of bones.
        frames_per_second: of the clips.
        settings: with the largest slide.
    """

    limits: JointLimits
    speeds: SpeedLimits
    frames_per_second: float
    settings: ClipSettings


def breed_clips(
    parents: ClipParents, quota: int, nature: Nature, settings: EvolutionSettings, place: Sequence[int]
) -> ClipChildren:
    """Breed `quota` valid children.

    Args:
        parents: that they are drawn from.
        nature: that they must keep.
        place: of the block in the run, for the seed.

    Raises:
        InputError: nearly all candidates are refused.
    """
    generator = generator_at(settings.seed, *place)
    tally, kept, done = Tally(), [], 0
    batch = max(BATCH_FRAMES // nature.settings.clip_frames, 1)
    while done < quota:
        share = (done + 1) / (tally.candidates + 1)
        n = min(batch, max(16, math.ceil((quota - done) / share * 1.1)))
        candidates = make_candidates(parents, n, nature, settings, generator)
        rows = select(candidates, nature, tally)[: quota - done]
        kept.append(
            [
                getattr(candidates, name)[rows].numpy()
                for name in ("joints", "mother", "father", "frame_a", "frame_b", "operator")
            ]
        )
        done += len(rows)
        if tally.candidates > 2 / HOPELESS and done < HOPELESS * tally.candidates:
            raise InputError(_hopeless(tally, nature))
    joints, mother, father, frame_a, frame_b, operator = (
        np.concatenate(parts) for parts in zip(*kept, strict=True)
    )
    return ClipChildren(joints, mother, father, frame_a, frame_b, operator, parents.person[mother], tally)


def make_candidates(
    parents: ClipParents,
    n: int,
    nature: Nature,
    settings: EvolutionSettings,
    generator: torch.Generator,
) -> Candidates:
    """Draw parents and apply the operators at their rates; nothing is selected yet."""
    tree, clips, rate = nature.limits.tree, nature.settings, nature.frames_per_second
    frames = clips.clip_frames

    def some(share: float) -> Tensor:
        return torch.rand(n, generator=generator) < share

    mother, father = _draw_parents(parents, n, generator)
    crossed = some(settings.crossover_rate) & (mother != father)
    taken = draw_subtrees(tree, n, generator, two_point_rate=settings.two_point_rate) & crossed[:, None]
    bent = draw_rotated(
        tree, some(settings.mutation_rate), generator, per_bone_rate=settings.per_bone_rate or None
    )
    warped = some(clips.tempo_rate)
    headed, mirrored = some(settings.rotation_rate), some(settings.mirror_rate)
    given = some(settings.body_rate)
    scaled = some(settings.length_rate)

    first = parents.take(mother, frames)
    floor = standing_height(first[:, :, ankles_of(tree)])
    body = _with_constant_lengths(to_local(tree, first.flatten(0, 1)), frames)
    child, feet, aligned = _crossed(body, feet_of(first, tree, rate), parents, father, taken, nature)
    spacing = clips.bend_seconds * rate
    child = bend_bones(child, bent, tree, generator, sigma=math.radians(clips.bend_sigma), spacing=spacing)
    times = warped_times(warped, frames, generator, sigma=clips.tempo_sigma, spacing=spacing)
    every = _every_frame(warped.nonzero()[:, 0], frames)
    child = _put(child, every, at_times(child[every], times[warped]))
    feet = feet.at(times)
    people = torch.from_numpy(parents.templates[parents.person[mother.numpy()]])
    before = child[slice(None, None, frames)]
    bodies = give_bodies(before, tree, given, people, generator)
    bodies = scale_lengths(bodies, tree, scaled, generator, spread=settings.length_spread)
    child, scale = _with_bodies(child, before, bodies, given | scaled, tree, floor)
    joints, footing = keep_feet(
        to_joints(tree, child).reshape(n, frames, -1, 3), feet.scaled(scale), floor, tree, rate
    )
    turn = torch.rand(n, generator=generator) * (2 * math.pi)
    joints = head_clips(joints, tree, torch.where(headed, turn, 0))
    joints = mirror_clips(joints, tree, mirrored)

    operator = torch.zeros(n, dtype=torch.uint8)
    for bit, applied in enumerate((crossed, bent.any(-1), warped, headed, given | scaled, mirrored)):
        operator |= applied.to(torch.uint8) << bit
    frame_a = times.round().long()
    frame_b = aligned.round().long().gather(1, frame_a)
    return Candidates(
        joints.contiguous(), mother, torch.where(crossed, father, -1), frame_a, frame_b, operator, footing,
        first[..., 2].amin((1, 2)),
    )  # fmt: skip


def _crossed(
    body: LocalBones,
    feet: Feet,
    parents: ClipParents,
    father: Int64[Tensor, "n"],
    taken: Bool[Tensor, "n bones"],
    nature: Nature,
) -> tuple[LocalBones, Feet, Float[Tensor, "n frames"]]:
    """Bodies with the trajectories of second parents where taken, what their feet do, and when each frame happens in the second parent."""
    tree, rate, frames = nature.limits.tree, nature.frames_per_second, nature.settings.clip_frames
    aligned = torch.arange(frames).float().repeat(len(father), 1)
    rows = taken.any(1).nonzero()[:, 0]
    if not len(rows):
        return body, feet, aligned
    second = parents.take(father[rows], frames)
    mate, every, chosen = to_local(tree, second.flatten(0, 1)), _every_frame(rows, frames), taken[rows]
    smoothing = 2 * round(rate * SMOOTHING / 2) + 1
    times = aligned_times(body[every], mate, chosen, tree, frames, smoothing=smoothing)
    exchanged = exchange(body[every], at_times(mate, times), chosen.repeat_interleave(frames, 0), tree)
    # Who gives the thigh, and so most of the leg, gives the foot.
    thighs = [tree.parents.index(tree.bone(hip)) for hip in tree.hips]
    feet = feet.put(rows, chosen[:, thighs], feet_of(second, tree, rate).at(times))
    return _put(body, every, exchanged), feet, aligned.index_copy(0, rows, times)


def _draw_parents(parents: ClipParents, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    rows = torch.from_numpy(parents.rows)
    if len(rows) == 1:
        return rows.repeat(n), rows.repeat(n)
    first, second = draw_pairs(n, len(rows), generator)
    return rows[first], rows[second]


def _with_constant_lengths(bones: LocalBones, frames: int) -> LocalBones:
    medians = bones.lengths.reshape(-1, frames, bones.lengths.shape[1]).median(1).values
    return bones.with_values(lengths=medians.repeat_interleave(frames, 0))


def _every_frame(clips: Int64[Tensor, "k"], frames: int) -> Int64[Tensor, "rows"]:
    return (clips[:, None] * frames + torch.arange(frames)).flatten()


def _put(bones: LocalBones, rows: Int64[Tensor, "k"], others: LocalBones) -> LocalBones:
    """The bones with some rows replaced."""
    names = ("root", "lower", "upper", "directions", "lengths")
    return LocalBones(*(getattr(bones, name).index_copy(0, rows, getattr(others, name)) for name in names))


def _with_bodies(
    child: LocalBones,
    before: LocalBones,
    bodies: LocalBones,
    changed: Bool[Tensor, "n"],
    tree: KinematicTree,
    floor: Float[Tensor, "n"],
) -> tuple[LocalBones, Float[Tensor, "n"]]:
    """Clips with the lengths of other bodies, whose ways and heights grow with their legs; and by how much.

    Args:
        child: a row per frame.
        before, bodies: a row per clip, as it was and as it is to be.
        changed: where they differ.
        floor: height of each clip's, mm.
    """
    clips, frames = len(changed), len(child) // len(changed)
    scale = torch.where(changed, _leg(bodies.lengths, tree) / _leg(before.lengths, tree), 1)
    root = child.root.reshape(clips, frames, 3)
    start = torch.cat([root[:, :1, :2], floor[:, None, None]], -1)
    root = torch.where(changed[:, None, None], start + (root - start) * scale[:, None, None], root)
    return child.with_values(
        root=root.flatten(0, 1), lengths=bodies.lengths.repeat_interleave(frames, 0)
    ), scale


def _leg(lengths: Float[Tensor, "n bones"], tree: KinematicTree) -> Float[Tensor, "n"]:
    """Length of the legs from hip to ankle, both together."""
    legs = torch.zeros(len(tree.names), dtype=torch.bool)
    for side, hip in zip(("left", "right"), tree.hips, strict=True):
        bone = tree.bone(f"{side}_ankle")
        while bone != tree.bone(hip):
            legs[bone] = True
            bone = tree.parents[bone]
    return lengths[:, legs].sum(1)


def select(candidates: Candidates, nature: Nature, tally: Tally) -> Int64[Tensor, "survivors"]:
    """Natural selection: the rows of the survivors; the rest is counted in `tally`.

    Refused are candidates that no operator changed, those that break a joint limit in any frame, that move faster than the limits of speed, and
    whose feet slide, or stand or sink where there is no floor.
    """
    n, frames = candidates.joints.shape[:2]
    changed = candidates.operator > 0
    measured = to_local(nature.limits.tree, candidates.joints.flatten(0, 1))
    verdicts = nature.limits.check_measured(measured).reshape(n, frames, -1).all(1)
    valid = changed & verdicts.all(-1)
    tally.candidates += n
    tally.unchanged += int((~changed).sum())
    tally.refused += int((changed & ~valid).sum())
    for bone, times in zip(nature.limits.bones, (~verdicts[changed]).sum(0).tolist(), strict=True):
        count(tally.refused_by, bone, times)

    rows = valid.nonzero()[:, 0]
    fast = nature.speeds.check(
        peaks_of(measured[_every_frame(rows, frames)], frames, nature.frames_per_second)
    )
    standing = _stands(candidates, rows, nature.settings.max_slide)
    for name, verdict, reasons in ((SPEED, fast, nature.speeds.parts), (FEET, standing, FEET_REASONS)):
        count(tally.implausible_by, name, int((~verdict.all(-1)).sum()))
        for reason, times in zip(reasons, (~verdict).sum(0).tolist(), strict=True):
            count(tally.reasons, f"{name}: {reason}", times)
    plausible = fast.all(-1) & standing.all(-1)
    tally.implausible += int((~plausible).sum())
    return rows[plausible]


def _stands(candidates: Candidates, rows: Int64[Tensor, "k"], max_slide: float) -> Bool[Tensor, "k reasons"]:
    footing = candidates.footing
    lowest = candidates.joints[rows][..., 2].amin((1, 2))
    return torch.stack(
        [
            footing.slides[rows] <= max_slide,
            footing.sinks[rows] <= SINK,
            lowest >= candidates.floor[rows] - SINK,
        ],
        -1,
    )


def _hopeless(tally: Tally, nature: Nature) -> str:
    survive = f"({tally.survivors} of {tally.candidates} survive)"
    left = tally.candidates - tally.unchanged
    if left < tally.candidates * HOPELESS:
        return "no operator changes anything at these rates: raise `crossover_rate` or `mutation_rate`"
    if tally.refused / left > tally.implausible / max(left - tally.refused, 1):
        bone, times = max(tally.refused_by.items(), key=lambda item: item[1])
        return f"the limits {nature.limits.name!r} refuse nearly all clips {survive}, most often for the bone that ends at {bone} ({times}): lower `bend_sigma` or `per_bone_rate`, or choose wider limits"
    reason, times = max(tally.reasons.items(), key=lambda item: item[1])
    return f"speeds and feet refuse nearly all clips {survive}, most often for {reason} ({times}): lower `bend_sigma` or `per_bone_rate`, or raise `speed_quantile` or `max_slide`"
