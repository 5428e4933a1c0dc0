"""What was predicted of one image, video or file of keypoints, and its smoothing over time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from evolift.posedata.errors import InputError
from evolift.posedata.predictions.predictions import Predictions
from evolift.prediction.smoothing import smoothed_predictions
from evolift.prediction.temporal_lifting import TemporalLifting


def no_track(problem: str, format: str) -> InputError:
    """What to raise where a file of tracks is asked for and people are no tracks over time."""
    return InputError(f"{problem}, so there is no track for a {format} file")


def no_smoothing(problem: str) -> InputError:
    """What to raise where poses are to be smoothed and people are no tracks over time."""
    return InputError(f"{problem}, which smoothing needs: leave smoothing out")


def no_temporal(problem: str) -> InputError:
    """What to raise where poses are to be lifted over time and people are no tracks."""
    return InputError(f"{problem}, which a temporal lifter needs: leave out `temporal`")


@dataclass(frozen=True, eq=False)
class Clip:
    """What was predicted of one input.

    Args:
        label: of the input.
        predictions: of its people.
        frames_per_second: of its frames; of a single one it means nothing.
        problem: why the people are no tracks over time, None if they are.
        is_mendable: whether the user can mend the problem.
        min_joint_confidence: 2D joints of a lower one are lifted from the others.
        is_video: whether its frames follow one another in time, as a video's do.
    """

    label: str
    predictions: Predictions
    frames_per_second: float
    problem: str | None = None
    is_mendable: bool = True
    min_joint_confidence: float = 0.0
    is_video: bool = False

    @property
    def is_over_time(self) -> bool:
        """Whether there is more than one frame."""
        return len(set(self.predictions.frame.tolist())) > 1

    def tracked(self, format: str) -> Clip:
        """The clip itself, for a file of tracks.

        Raises:
            InputError: its people are no tracks over time.
        """
        if self.problem is not None:
            raise no_track(self.problem, format)
        return self

    def smoothed(self) -> Clip:
        """The clip with 3D poses smoothed over time.

        Raises:
            InputError: its people are no tracks over time.
        """
        if self.problem is not None:
            raise no_smoothing(self.problem)
        with self._named():
            smooth = smoothed_predictions(self.predictions, self.frames_per_second)
        return replace(self, predictions=smooth)

    def lifted_over_time(self, temporal: TemporalLifting) -> tuple[Clip, list[str]]:
        """The clip with 3D poses that a temporal lifter makes of its 2D joints, and sentences on that.

        Raises:
            InputError: its people are no tracks over time, or the lifter is not for them.
        """
        if self.problem is not None:
            raise no_temporal(self.problem)
        with self._named():
            lifted = temporal(self.predictions, self.frames_per_second, self.min_joint_confidence)
        return replace(self, predictions=lifted.predictions), list(lifted.notes)

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Let refusals of the block name this input."""
        try:
            yield
        except InputError as error:
            raise InputError(f"{self.label}: {error}") from error
