from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evolift.posedata.camera import Camera
from evolift.posedata.skeleton import H36M17
from evolift.prediction.pipeline import Pipeline
from evolift.prediction.pose_prediction import OutOfSightError, PosePrediction
from evolift.prediction.tracking.person_following import PeopleFollower, PersonFollower

IMAGE = np.zeros((240, 320, 3), np.uint8)


class Seen(Pipeline):
    """Stands for the pipeline: each frame has a place of the person, or None; notes which box was searched."""

    def __init__(self, *places: tuple[float, float] | None) -> None:
        self.places, self.frame, self.boxes = places, 0, []  # type: ignore[var-annotated]  # of a test

    def predict(
        self, image: np.ndarray, box: Sequence[float] | None = None, camera: Camera | None = None
    ) -> PosePrediction:
        self.boxes.append(None if box is None else tuple(box))
        place = self.places[self.frame]
        if place is not None and box is not None:
            inside = box[0] - 20 <= place[0] <= box[0] + box[2] + 20
            place = place if inside else None
        joints = np.linspace([0, 0], [40, 100], 17) + (place or (0, 0))
        return PosePrediction(
            np.zeros((17, 3), np.float32),
            np.zeros(3, np.float32),
            joints.astype(np.float32),
            np.full(17, 0.02 if place is None else 0.5, np.float32),
            (0, 0, 1, 1),
            "found" if box is None else "given",
            (320, 240),
            H36M17,
        )


def followed(
    *places: tuple[float, float] | None, box: Sequence[float] | None = None
) -> tuple[list[str | None], Seen]:
    seen = Seen(*places)
    follow = PersonFollower(seen, box=box)
    tracks: list[str | None] = []
    for number in range(len(places)):
        seen.frame = number
        answer = follow(IMAGE)
        tracks.append(answer[0][1] if answer else None)
    return tracks, seen


def test_a_person_is_looked_for_where_they_were() -> None:
    tracks, seen = followed((10, 20), (15, 20), (20, 20))
    assert tracks == ["1", "1", "1"]
    assert seen.boxes == [None, (10, 20, 40, 100), (15, 20, 40, 100)]


def test_a_lost_person_is_searched_in_the_whole_image_and_another_place_is_another_track() -> None:
    tracks, seen = followed((10, 20), (250, 20), None, None, (252, 20))
    assert tracks == ["1", "2", None, None, "2"]
    assert seen.boxes == [None, (10, 20, 40, 100), None, (250, 20, 40, 100), None, None, None]


def test_a_given_box_begins() -> None:
    tracks, seen = followed((10, 20), (12, 20), box=(5, 10, 60, 120))
    assert tracks == ["1", "1"]
    assert seen.boxes[0] == (5, 10, 60, 120)


def test_nobody_is_found_outside_the_image() -> None:
    assert followed((400, 20))[0] == [None]


def test_everybody_is_followed_where_the_detector_finds_them() -> None:
    left, right = [10.0, 20, 40, 100], [200.0, 20, 40, 100]
    frames = [
        [left, right],
        [right],
        [],
        [[195.0, 20, 40, 100], [12.0, 20, 40, 100]],
        [left, [100.0, 0, 40, 100]],
    ]
    seen = Seen(*[(0, 0)] * len(frames))
    follow = PeopleFollower(seen, lambda image: np.array(frames[seen.frame]).reshape(-1, 4))
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
            self, image: np.ndarray, box: Sequence[float] | None = None, camera: Camera | None = None
        ) -> PosePrediction:
            if box is not None and box[0] < 100:
                raise OutOfSightError("too wide")
            return super().predict(image, box, camera)

    follow = PeopleFollower(HalfBlind((200, 20), (200, 20)), lambda image: boxes)
    assert [[track for _, track in follow(IMAGE)] for _ in range(2)] == [["2"], ["2"]]
    assert follow.out_of_sight == 2
    alone = PersonFollower(HalfBlind((10, 20)), box=(10, 20, 40, 100))
    assert alone(IMAGE) == []
    assert alone.out_of_sight == 1
