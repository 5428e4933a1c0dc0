"""How good lifters are over time: errors of poses and of accelerations on the clips of a store, also of lifters of one frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from evolift.lifter.data.pairs import Pairs, errors_of
from evolift.lifter.data.split import split_rows
from evolift.lifter.evaluation import markdown_table
from evolift.lifter.lifter import Lifter
from evolift.lifter.model import LifterModel
from evolift.lifter.protocol import cameras_in_words, input_in_words
from evolift.lifter.settings import EVALUATION_PAIRS, PairSettings, Split
from evolift.lifter.temporal.clips import ClipPart
from evolift.lifter.temporal.model import TemporalLifter
from evolift.lifter.temporal.noise import with_clip_noise
from evolift.lifter.temporal.settings import TemporalSettings
from evolift.lifter.temporal.windows import seen_clips
from evolift.posedata.camera_rig import RING_CAMERAS
from evolift.posedata.errors import InputError
from evolift.posedata.input_file import FilePath, as_path
from evolift.posedata.metrics import ACTION_WISE, acceleration_errors, score_table
from evolift.posedata.predictions.levelled_poses import tell_levelled
from evolift.posedata.seeds import generator_at
from evolift.posedata.skeleton import Skeleton
from evolift.posedata.smoothing import smoothed
from evolift.posedata.store import PoseStore
from evolift.training.checkpoint import stage_of

SECONDS = 10
"""Longest piece of a clip that one camera sees: it stands still, and people walk on."""
SCORES = ("mpjpe", "p_mpjpe", "acceleration", "acceleration_m_s2")
SMOOTHED = ", smoothed"
"""Behind the name of a lifter whose answers are smoothed."""
MM_PER_M = 1000.0
# End of the place of the random stream of a test clip; training batches have (step, rank), whose fourth number is 0.
_TEST_STREAM = (0, 3)


@dataclass(frozen=True, eq=False)
class TestClip:
    """A piece of a clip as one camera sees it.

    Args:
        pairs: of its frames.
        subject, action: of the clip.
    """

    __test__ = False  # not a test case of pytest

    pairs: Pairs
    subject: str
    action: str


@dataclass(frozen=True, eq=False)
class TestClips:
    """Clips to score lifters on.

    Args:
        clips: at least one.
        skeleton: of the joints.
        rate: frames a second.
        source: cameras and 2D joints, in words.
    """

    __test__ = False  # not a test case of pytest

    clips: tuple[TestClip, ...]
    skeleton: Skeleton
    rate: float
    source: str

    def in_words(self) -> str:
        """What the scores are of, in a sentence."""
        people = len({clip.subject for clip in self.clips})
        frames = sum(len(clip.pairs) for clip in self.clips)
        return f"{len(self.clips)} clips of {people} {'person' if people == 1 else 'people'}, {frames} frames at {self.rate:g} a second; {self.source}."


def open_test_clips(
    path: FilePath,
    skeleton: Skeleton,
    pairs: PairSettings = EVALUATION_PAIRS,
    *,
    rate: float = TemporalSettings().frames_per_second,
    store_fps: float | None = None,
    seed: int = 0,
    subjects: tuple[str, ...] = (),
    actions: tuple[str, ...] = (),
) -> TestClips:
    """Clips of a store as fixed cameras see them: those of a ring each by all of its cameras, other rigs by one.

    Evolved poses are left out, and so are pieces of fewer than three frames, which have no acceleration.

    Args:
        path: of the store.
        skeleton: of the lifters.
        pairs: cameras and noise; flips are left out.
        rate: frames a second that the lifters see.
        store_fps: frames a second that the store's frame numbers count; None if the store is to tell it.
        seed: of cameras and noise.
        subjects, actions: use only these; all if empty.

    Raises:
        InputError: a name is not in the store, nothing is left, or the frame rate is not known or too low.
        StoreError: the store is not sound.
    """
    path = as_path(path)
    with PoseStore(path) as store:
        tell_levelled(store)
        table = store.table()
    rows, _ = split_rows(table, Split(subjects=subjects, actions=actions, validation_share=0.0), seed)
    if "generation" in table:
        rows = rows[table["generation"].to_numpy()[rows] == 0]
    if not len(rows):
        raise InputError(
            f"{path}: all of its poses are evolved ones, which nothing is scored on: give the recorded ones"
        )
    lifter = TemporalSettings(skeleton=skeleton, frames_per_second=rate)
    part = ClipPart(path, rows, lifter, store_fps)
    clips = tuple(_test_clips(part, table, pairs, rate, seed))
    if not clips:
        raise InputError(f"{path}: none of its clips has three frames, of which an acceleration is made")
    words = "cameras: " + cameras_in_words(pairs, table.iloc[rows])
    from_store = pairs.cameras == "store" and part.has_pixels
    words += "; 2D: " + input_in_words(pairs, clips[0].pairs, from_store=from_store)
    return TestClips(clips, skeleton, rate, words)


def _test_clips(
    part: ClipPart, table: pd.DataFrame, pairs: PairSettings, rate: float, seed: int
) -> Iterator[TestClip]:
    errors = errors_of(pairs, part.skeleton)
    for number, start in enumerate(part.frames.starts.tolist()):
        for piece, (bodies, row) in enumerate(part.clip(start, round(SECONDS * rate))):
            count = len(bodies)
            if count < 3:
                continue
            generator = generator_at(seed, number, piece, *_TEST_STREAM)
            cameras = range(RING_CAMERAS) if pairs.cameras == "ring" else [None]
            for camera in cameras:
                which = None if camera is None else torch.tensor([camera])
                exact = seen_clips(part, bodies, count, count // 2, pairs, generator, which)
                given = with_clip_noise(exact, count, rate, pairs, errors, part.skeleton, generator)
                labels = table.iloc[row]
                yield TestClip(given, str(labels["subject"]), str(labels["action"]))


def evaluate_clips(
    models: Mapping[str, Lifter], tests: TestClips, *, flip_test: bool = False
) -> pd.DataFrame:
    """Scores of lifters on clips, one under the other, as they are and smoothed.

    Args:
        models: by the name they are shown under, of one frame or of several.
        tests: the clips.
        flip_test: average each prediction with that of the mirrored input.

    Returns:
        Rows as of `evolift.posedata.metrics.score_table`, with the columns `checkpoint` first and two more: `acceleration`, the mean
        error in mm/frame^2 (see `acceleration_errors`), and `acceleration_m_s2`, that in m/s^2. Those of joints are NaN.

    Raises:
        InputError: a lifter is of another skeleton, frame rate or kind of answer.
    """
    tables = []
    for name, model in models.items():
        _require_fit(model, tests)
        answers = list(lifted_clips(model, tests, flip_test=flip_test))
        tables.append(_scores(name, answers, tests))
        tables.append(
            _scores(name + SMOOTHED, [smoothed_clip(answer, tests.rate) for answer in answers], tests)
        )
    return pd.concat(tables, ignore_index=True)


def _scores(name: str, answers: list[Tensor], tests: TestClips) -> pd.DataFrame:
    truths = [clip.pairs.root_relative(tests.skeleton.root) for clip in tests.clips]
    lengths = [len(truth) for truth in truths]
    labels = {
        label: np.repeat([getattr(clip, label) for clip in tests.clips], lengths)
        for label in ("subject", "action")
    }
    table = score_table(
        torch.cat(answers), torch.cat(truths), list(labels["subject"]), list(labels["action"]), tests.skeleton
    )
    error = torch.cat(
        [_of_frames(answer, truth) for answer, truth in zip(answers, truths, strict=True)]
    ).numpy()
    of_group = {("all", "overall"): float(np.nanmean(error))}
    for label, names in labels.items():
        of_group |= {(label, one): float(np.nanmean(error[names == one])) for one in np.unique(names)}
    of_actions = [value for (group, _), value in of_group.items() if group == "action"]
    of_group["all", ACTION_WISE] = float(np.mean(of_actions))
    keys = zip(table["group"], table["name"], strict=True)
    table["acceleration"] = [of_group.get(key, np.nan) for key in keys]
    table["acceleration_m_s2"] = table["acceleration"] * tests.rate**2 / MM_PER_M
    table.insert(0, "checkpoint", name)
    return table


def _of_frames(answer: Tensor, truth: Tensor) -> Float[Tensor, "frames"]:
    """Mean error of the acceleration in each frame, NaN at the ends."""
    error = acceleration_errors(answer, truth).nanmean(-1)
    return torch.nn.functional.pad(error, (1, 1), value=torch.nan)


@torch.no_grad()
def lifted_clips(
    model: Lifter, tests: TestClips, *, flip_test: bool = False
) -> Iterator[Float[Tensor, "frames joints 3"]]:
    """Root-relative joints of each clip, mm."""
    fast = model.folded()
    for clip in tests.clips:
        given = clip.pairs
        yield fast.lift(given.pixels, given.visibility, given.cameras.size, given.lens, flip_test=flip_test)


def smoothed_clip(joints: Float[Tensor, "frames joints 3"], rate: float) -> Float[Tensor, "frames joints 3"]:
    """Joints of a clip smoothed over time as `evolift predict --smooth` does; `rate` in frames a second."""
    return torch.from_numpy(smoothed(joints.numpy(), np.arange(len(joints)) / rate))


def _require_fit(model: Lifter, tests: TestClips) -> None:
    settings = model.settings
    if model.skeleton != tests.skeleton:
        raise InputError(
            f"the lifter is for {model.skeleton.name}, the clips are {tests.skeleton.name}: open them in its skeleton"
        )
    if settings.target != "xyz" or settings.input_axes != 2:
        raise InputError("clips are scored for lifters of `target` xyz and 2 `input_axes`: leave others out")
    if isinstance(settings, TemporalSettings) and settings.frames_per_second != tests.rate:
        raise InputError(
            f"the lifter sees {settings.frames_per_second:g} frames a second, the clips have {tests.rate:g}: open them at its rate"
        )


def markdown_report(scores: pd.DataFrame, tests: TestClips) -> str:
    """The scores of `evaluate_clips` as Markdown: overall, and per action."""
    lines = ["# Lifters compared over time", "", tests.in_words(), ""]
    lines += [
        "MPJPE and P-MPJPE in mm, acceleration errors in mm/frame^2 and m/s^2. Lifters of normalisation box and camera are told the cameras' intrinsics.",
        "",
    ]
    for group, title in (("all", "mean over"), ("action", "action"), ("subject", "subject")):
        part = scores[scores["group"] == group]
        lines += markdown_table(
            ["checkpoint", title, "frames", *SCORES],
            [
                [row["checkpoint"], row["name"], str(row["poses"]), *(f"{row[name]:.2f}" for name in SCORES)]
                for _, row in part.iterrows()
            ],
        )
        lines.append("")
    return "\n".join(lines)


def rate_of_lifters(models: Sequence[Lifter], rate: float | None) -> float:
    """Frames a second to evaluate lifters at: that of the temporal ones among them, or what is asked for.

    Raises:
        InputError: they are of several, or another one is asked for.
    """
    rates = {
        model.settings.frames_per_second for model in models if isinstance(model.settings, TemporalSettings)
    }
    rates |= set() if rate is None else {rate}
    if len(rates) > 1:
        raise InputError(
            f"the lifters and `frames_per_second` are of {' and '.join(f'{one:g}' for one in sorted(rates))} frames a second: evaluate them one by one"
        )
    return rates.pop() if rates else TemporalSettings().frames_per_second


def lifter_of_file(path: Path) -> Lifter:
    """The lifter of a checkpoint, of one frame or of several.

    Raises:
        CheckpointError: the file is not sound, or of another stage.
    """
    if stage_of(path) == TemporalLifter.stage:
        return TemporalLifter.load(path)
    return LifterModel.load(path)
