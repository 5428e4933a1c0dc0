from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from evolift.posedata.camera import Camera
from evolift.posedata.skeleton import H36M17
from evolift.prediction.everybody import everybody_in_boxes
from evolift.prediction.persons.people_finder import PeopleFinder
from evolift.prediction.pipeline import Pipeline
from evolift.prediction.pose_prediction import OutOfSightError, PosePrediction
from evolift.prediction.tracking.person_following import PeopleFollower, PersonFollower

IMAGE = np.zeros((240, 320, 3), np.uint8)


def standing(place: tuple[float, float]) -> np.ndarray:
    """Joints of somebody upright in a box of 40 x 100 pixels at a place."""
    joints = np.tile(np.array([20.0, 50.0]), (17, 1))
    joints[H36M17.index("head")] = (20, 0)
    for side, across in (("left", 40), ("right", 0)):
        joints[H36M17.index(f"{side}_shoulder")] = (across, 20)
        joints[H36M17.index(f"{side}_ankle")] = (across, 100)
    return joints + place


class Seen(Pipeline):
    """Stands for the pipeline: each frame has places of people; notes where it looked, None for a search."""

    def __init__(self, *frames: list[tuple[float, float]], confidence: float = 0.66) -> None:
        self.frames, self.frame, self.boxes = frames, 0, []  # type: ignore[var-annotated]  # of a test
        self.certain = confidence

    def predict(
        self, image: np.ndarray, box: Sequence[float] | None = None, camera: Camera | None = None
    ) -> PosePrediction:
        assert box is not None
        at = tuple(box)
        self.boxes.append(tuple(round(side) for side in at))
        near = [
            place for place in self.frames[self.frame] if np.hypot(place[0] - at[0], place[1] - at[1]) < 25
        ]
        return self._pose(near[0] if near else None)

    def predict_people(
        self, image: np.ndarray, camera: Camera | None = None, *, max_people: int | None = None
    ) -> list[PosePrediction]:
        self.boxes.append(None)
        return [self._pose(place) for place in self.frames[self.frame][:max_people]] or [self._pose(None)]

    def _pose(self, place: tuple[float, float] | None) -> PosePrediction:
        return PosePrediction(
            np.zeros((17, 3), np.float32),
            np.zeros(3, np.float32),
            standing(place or (0, 0)).astype(np.float32),
            np.full(17, 0.02 if place is None else self.certain, np.float32),
            (0, 0, 1, 1),
            "found",
            (320, 240),
            H36M17,
        )


def finder(boxes: Callable[[], ArrayLike]) -> PeopleFinder:
    return PeopleFinder(lambda image: np.array(boxes()).reshape(-1, 4), "found", "nobody")


def followed(*frames: list[tuple[float, float]], **how: Any) -> tuple[list[list[str]], Seen]:
    seen = Seen(*frames)
    follow = PersonFollower(seen, **{"frames_per_second": 4.0, **how})
    tracks = []
    for number in range(len(frames)):
        seen.frame = number
        tracks.append([name for _, name in follow(IMAGE)])
    return tracks, seen


def test_a_person_is_looked_for_where_they_were() -> None:
    tracks, seen = followed([(10, 20)], [(15, 20)], [(20, 20)], max_people=1)
    assert tracks == [["1"], ["1"], ["1"]]
    assert seen.boxes == [None, (10, 20, 40, 100), (15, 20, 40, 100)]


def test_a_lost_person_is_searched_in_the_whole_image_and_another_place_is_another_track() -> None:
    tracks, _ = followed([(10, 20)], [(250, 20)], [], [], [(252, 20)], max_people=1)
    assert tracks == [["1"], ["2"], [], [], ["2"]]


def test_a_track_lasts_half_a_second_of_not_being_seen_and_no_longer() -> None:
    here, gone = [(10.0, 20.0)], []
    for hidden, name in ((2, "1"), (3, "2")):  # at four frames per second
        tracks, _ = followed(here, *[gone] * hidden, here, max_people=1)
        assert tracks[-1] == [name], hidden


def test_everybody_is_followed_and_who_comes_later_is_found_by_the_next_search() -> None:
    left, right = (10.0, 20.0), (200.0, 20.0)
    tracks, seen = followed([left], [left, right], [left, right], [right, left], [right])
    assert tracks == [["1"], ["1"], ["1", "2"], ["1", "2"], ["2"]]
    assert [number for number, box in enumerate(seen.boxes) if box is None] == [0, 3, 8]


def test_two_tracks_that_meet_on_one_person_become_the_older() -> None:
    tracks, _ = followed([(10, 20), (70, 20)], [(28, 20), (50, 20)], [(38, 20)], [(38, 20)])
    assert tracks == [["1", "2"], ["1", "2"], ["1"], ["1"]]


def test_people_of_little_confidence_are_not_added_to_others() -> None:
    seen = Seen([(10, 20), (200, 20)], confidence=0.2)
    assert [name for _, name in PersonFollower(seen)(IMAGE)] == ["1"]


def test_a_given_box_begins_and_is_of_one_person() -> None:
    tracks, seen = followed([(10, 20)], [(12, 20), (200, 20)], [(12, 20), (200, 20)], box=(5, 10, 60, 120))
    assert tracks == [["1"], ["1"], ["1"]]
    assert seen.boxes == [(5, 10, 60, 120), (10, 20, 40, 100), (12, 20, 40, 100)]


def test_nobody_is_found_outside_the_image() -> None:
    assert followed([(400, 20)])[0] == [[]]


def test_everybody_is_followed_where_the_detector_finds_them() -> None:
    left, right = [10.0, 20, 40, 100], [200.0, 20, 40, 100]
    frames = [
        [left, right],
        [right],
        [],
        [[195.0, 20, 40, 100], [12.0, 20, 40, 100]],
        [left, [100.0, 0, 40, 100]],
    ]
    seen = Seen(*[[(0.0, 0.0)]] * len(frames))
    follow = PeopleFollower(everybody_in_boxes(seen.predict, finder(lambda: frames[seen.frame])).people)
    tracks = []
    for number in range(len(frames)):
        seen.frame = number
        tracks.append([track for _, track in follow(IMAGE)])
    assert tracks == [["1", "2"], ["2"], [], ["2", "1"], ["1", "3"]]
    assert seen.boxes == [tuple(box) for boxes in frames for box in boxes]


def test_who_is_out_of_sight_is_left_out_and_counted() -> None:
    boxes = np.array([[10.0, 20, 40, 100], [200.0, 20, 40, 100]])

    class HalfBlind(Seen):
        def predict(
            self,
            image: np.ndarray,
            box: Sequence[float] | None = None,
            camera: Camera | None = None,
        ) -> PosePrediction:
            if box is not None and box[0] < 100:
                raise OutOfSightError("too wide")
            return super().predict(image, box, camera)

    half_blind = HalfBlind([(200, 20)], [(200, 20)])
    follow = PeopleFollower(everybody_in_boxes(half_blind.predict, finder(lambda: boxes)).people)
    assert [[track for _, track in follow(IMAGE)] for _ in range(2)] == [["2"], ["2"]]
    assert follow.out_of_sight == 2
    alone = PersonFollower(HalfBlind([]), box=(10, 20, 40, 100))
    assert alone(IMAGE) == []
    assert alone.out_of_sight == 1
