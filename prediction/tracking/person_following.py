"""People followed through a video.

Each is looked for where they were in the frame before; those who are new, or were lost, are searched for with the pose detector
twice a second. With a person detector everybody is looked for in every frame, and told apart by how their boxes overlap.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from evolift.posedata.camera import Camera
from evolift.prediction.everybody import FoundPerson
from evolift.prediction.persons.box_geometry import box_on_grid, box_overlaps
from evolift.prediction.pose_prediction import NobodyError, OutOfSightError, PosePrediction
from evolift.prediction.tracking.box_tracker import BoxTracker

MIN_FOLLOWED = 0.1
"""Mean confidence of the joints below which nobody is taken to be there. A heatmap that says nothing has 0.016, one of
a person seen clearly by a well-trained detector 0.3 and more (see `evolift.detector2d.soft_argmax.CLOSE`)."""
MIN_JOINING = 0.65
"""Mean confidence of the joints of whoever joins those who are followed: who is taken for somebody once stays for long."""
PATIENCE = 0.5
"""Seconds that a person may be hidden without losing their track, and between two searches for further people."""
MIN_OVERLAP = 0.3
"""Of the boxes of one person in two frames (intersection over union)."""
SAME_PERSON = 0.7
"""Overlap of two tracks from which they are taken to have met on one person; the younger ends."""
_MIN_SIDE = 8.0  # px; a smaller person cannot be told from a spot

Image = UInt8[np.ndarray, "_height _width 3"]


@runtime_checkable
class PersonPipeline(Protocol):
    """What a `Pipeline` does for the people in one image."""

    def predict(
        self,
        image: Image,
        box: Sequence[float] | None = None,
        camera: Camera | None = None,
    ) -> PosePrediction:
        """The pose of the person in a box."""
        ...

    def predict_people(
        self, image: Image, camera: Camera | None = None, *, max_people: int | None = None
    ) -> list[PosePrediction]:
        """Poses of those who are searched for in an image."""
        ...


@dataclass(eq=False)
class _Track:
    name: str
    box: tuple[float, float, float, float]
    unseen: int = 0


class PersonFollower:
    """Finds people in one frame after the other, without a person detector.

    Args:
        pipeline: of detector and lifter.
        camera: of the video, None if it is unknown.
        box: (left, top, width, height) of the one person in the first frame, pixels; None to look for people.
        min_confidence: mean of the joints, if it shall be more than `MIN_FOLLOWED`.
        max_people: who are followed at a time; None for all.
        frames_per_second: of the frames that are given.

    Attributes:
        out_of_sight: in how many frames nobody was found but somebody whose joints span more than the camera can see.
        left_out: always 0: of people who are searched for it cannot be told from nobody's being there.
    """

    def __init__(
        self,
        pipeline: PersonPipeline,
        camera: Camera | None = None,
        box: Sequence[float] | None = None,
        min_confidence: float = 0.0,
        *,
        max_people: int | None = None,
        frames_per_second: float = 30.0,
    ) -> None:
        self.pipeline, self.camera = pipeline, camera
        self.max_people = 1 if box is not None else max_people
        self.min_confidence = max(min_confidence, MIN_FOLLOWED)
        self.patience = max(1, round(PATIENCE * frames_per_second))
        self.out_of_sight = self.left_out = 0
        self._named = 0
        self._tracks: list[_Track] = []
        self._until_search = 0
        if box is not None:
            left, top, width, height = (float(value) for value in box)
            self._tracks.append(self._new_track((left, top, width, height)))
            self._until_search = self.patience

    def __call__(self, image: Image) -> list[tuple[PosePrediction, str]]:
        """Poses and tracks of the people in the next frame, empty if nobody is found.

        A person found far from where the lost ones were begins a new track.
        """
        self._is_blind = False
        answers = self._followed(image)
        self._until_search -= 1
        is_full = self.max_people is not None and len(answers) >= self.max_people
        if not is_full and (self._until_search <= 0 or not answers):
            answers += self._searched(image, answers)
            self._until_search = self.patience
        seen = {name for _, name in answers}
        for track in self._tracks:
            track.unseen = 0 if track.name in seen else track.unseen + 1
        self._tracks = [track for track in self._tracks if track.unseen <= self.patience]
        self.out_of_sight += self._is_blind and not answers
        return sorted(answers, key=lambda answer: int(answer[1]))

    def _followed(self, image: Image) -> list[tuple[PosePrediction, str]]:
        """Those who are where they were in the frame before."""
        answers: list[tuple[PosePrediction, str]] = []
        for track in list(self._tracks):
            try:
                pose = self.pipeline.predict(image, track.box, self.camera)
            except OutOfSightError:
                self._is_blind = True
                continue
            except NobodyError:
                continue
            if not self._is_there(pose):
                continue
            if _overlaps(pose, [other for other, _ in answers], SAME_PERSON):
                self._tracks.remove(track)
                continue
            track.box = box_on_grid(pose.bounds)
            answers.append((pose, track.name))
        return answers

    def _searched(
        self, image: Image, answers: Sequence[tuple[PosePrediction, str]]
    ) -> list[tuple[PosePrediction, str]]:
        """Those who are not among the answers: lost ones found again near where they were, and new ones."""
        try:
            found = self.pipeline.predict_people(image, self.camera, max_people=self.max_people)
        except OutOfSightError:
            self._is_blind = True
            return []
        except NobodyError:
            return []
        known = [pose for pose, _ in answers]
        lost = [track for track in self._tracks if track.name not in {name for _, name in answers}]
        more: list[tuple[PosePrediction, str]] = []
        wanted = None if self.max_people is None else self.max_people - len(answers)
        for pose in sorted(found, key=lambda pose: -float(pose.confidence.mean())):
            is_first = not answers and not more
            if wanted is not None and len(more) >= wanted:
                break
            if not self._is_there(pose) or (not is_first and pose.confidence.mean() < MIN_JOINING):
                continue
            if _overlaps(pose, known, MIN_OVERLAP):
                continue
            again = [track for track in lost if _overlap(track.box, pose.bounds) >= MIN_OVERLAP]
            if again:
                track = max(again, key=lambda track: _overlap(track.box, pose.bounds))
                lost.remove(track)
            else:
                track = self._new_track(pose.bounds)
                self._tracks.append(track)
            track.box = box_on_grid(pose.bounds)
            known.append(pose)
            more.append((pose, track.name))
        return more

    def _new_track(self, box: tuple[float, float, float, float]) -> _Track:
        self._named += 1
        return _Track(str(self._named), box)

    def _is_there(self, pose: PosePrediction) -> bool:
        left, top, width, height = pose.bounds
        in_image = (
            left < pose.image_size[0] and top < pose.image_size[1] and left + width > 0 and top + height > 0
        )
        is_large = max(width, height) >= _MIN_SIDE
        return in_image and is_large and float(pose.confidence.mean()) >= self.min_confidence


def _overlap(a: Sequence[float], b: Sequence[float]) -> float:
    return float(box_overlaps(np.array([a]), np.array([b]))[0, 0])


def _overlaps(pose: PosePrediction, others: Sequence[PosePrediction], least: float) -> bool:
    return any(_overlap(pose.bounds, other.bounds) >= least for other in others)


class PeopleFollower:
    """Finds all people in one frame after the other, by a person detector.

    Args:
        people: frame and camera -> everybody in it, as `evolift.prediction.everybody.Everybody` has it.
        camera: of the video, None if it is unknown.
        frames_per_second: of the frames that are given.

    Attributes:
        out_of_sight: how often somebody was found whose joints span more than the camera can see.
        left_out: how often too few joints of somebody were found.
    """

    def __init__(
        self,
        people: Callable[[Image, Camera | None], list[FoundPerson]],
        camera: Camera | None = None,
        *,
        frames_per_second: float = 30.0,
    ) -> None:
        self.people, self.camera = people, camera
        self.out_of_sight = self.left_out = 0
        self._tracker = BoxTracker(patience=max(1, round(PATIENCE * frames_per_second)))

    def __call__(self, image: Image) -> list[tuple[PosePrediction, str]]:
        """Pose and track of everybody in the next frame; empty if there is nobody."""
        found = self.people(image, self.camera)
        boxes = np.array([person.box for person in found], np.float64).reshape(-1, 4)
        answers = []
        for person, track in zip(found, self._tracker.update(boxes), strict=True):
            if person.pose is not None:
                answers.append((person.pose, track))
            elif isinstance(person.problem, OutOfSightError):
                self.out_of_sight += 1
            else:
                self.left_out += 1
        return answers
