from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest

from evolift.posedata.errors import InputError
from evolift.prediction.frame_sample import FrameSample
from evolift.prediction.input_kinds import PredictionInput, overlay_names, prediction_inputs


def test_files_folders_and_patterns_are_spelt_out(tmp_path: Path) -> None:
    for name in ("a.JPG", "b.png", "k.json", "film.mp4", "odd.heic", "sub/a.JPG", "op/f_000_keypoints.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    paths = [tmp_path / "sub", tmp_path / "*.[Jp][Pn]*", tmp_path / "k.json", tmp_path / "film.mp4"]
    found = prediction_inputs([*paths, tmp_path / "op", tmp_path / "odd.heic"]).inputs
    assert [(one.kind, one.label) for one in found] == [
        ("image", str(tmp_path / "sub/a.JPG")),
        ("image", str(tmp_path / "a.JPG")),
        ("image", "b.png"),
        ("keypoints", "k.json"),
        ("video", "film.mp4"),
        ("keypoints", "op"),
        ("image", "odd.heic"),
    ]


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    for name in ("none.jpg", "no*.jpg"):
        with pytest.raises(InputError, match="there is no such file or folder"):
            prediction_inputs([tmp_path / name])
    with pytest.raises(
        InputError, match="there are no images in this folder, nor videos, OpenPose files or YOLO"
    ):
        prediction_inputs([tmp_path])


def test_what_a_prediction_wrote_is_left_out_of_folders_and_patterns(tmp_path: Path) -> None:
    written = ("cat_overlay.png", "film_overlay.mp4", "page.html", "predictions.json")
    for name in ("photos/cat.jpg", "photos/my_overlay.png", *(f"photos/poses/{name}" for name in written)):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).touch()
    photos, poses = tmp_path / "photos", tmp_path / "photos/poses"
    (poses / "settings.json").write_text('{"command": "evolift predict", "settings": {}}')
    own = f"{poses}: `evolift predict` wrote what is there, so it is left out: give the images themselves"
    for nothing in ([poses], [poses / "*_overlay.*"], [poses / "page.html*"], [tmp_path / "photos/po*"]):
        with pytest.raises(InputError, match="wrote what is there, so it is left out"):
            prediction_inputs(nothing)

    def names(*paths: Path) -> tuple[list[str], list[str]]:
        inputs, notes, problems = prediction_inputs(paths)
        assert not problems
        return [one.label for one in inputs], notes

    yours = ["cat.jpg", "my_overlay.png"]
    assert names(photos) == (yours, [])
    assert names(photos, poses) == (yours, [f"{own}."])
    assert names(photos / "*") == (yours, [f"{own}."])
    left = "2 files that `evolift predict` wrote are left out."
    assert names(photos / "*" / "*[!l]", photos / "cat.jpg")[1] == [
        f"{photos / '*' / '*[!l]'}: 3 files that `evolift predict` wrote are left out."
    ]
    assert names(poses / "cat_overlay.png") == (["cat_overlay.png"], [])  # asked for by name
    (poses / "dog.png").touch()
    assert names(poses) == (["dog.png"], [f"{poses}: {left}"])
    (poses / "settings.json").write_text("{")
    assert names(poses)[0] == ["cat_overlay.png", "dog.png", "film_overlay.mp4"]


def test_a_folder_of_yolo_labels_is_keypoints(tmp_path: Path) -> None:
    (tmp_path / "clip_1.txt").write_text("0 0.5 0.5 0.2 0.4" + " 0.5" * 51)
    (tmp_path / "clip_2.txt").touch()
    assert prediction_inputs([tmp_path]).inputs == [("keypoints", tmp_path, tmp_path.name)]
    (tmp_path / "a.png").touch()
    assert [one.kind for one in prediction_inputs([tmp_path]).inputs] == ["image"]
    inputs = prediction_inputs([tmp_path], are_keypoints=True).inputs
    assert [(one.kind, one.path) for one in inputs] == [("keypoints", tmp_path)]


def test_what_is_there_is_taken_although_other_things_are_not(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    inputs, notes, problems = prediction_inputs([tmp_path / "none.jpg", tmp_path / "a.png", Path("0")])
    assert [one.label for one in inputs] == ["a.png"]
    assert not notes
    assert problems == [
        f"{tmp_path / 'none.jpg'}: there is no such file or folder",
        "0: there is no such file or folder; for a webcam give `webcam` 0",
    ]


def test_files_of_a_folder_that_are_left_out_are_told(tmp_path: Path) -> None:
    for name in ("a.png", "b.doc", "c.json", "README"):
        (tmp_path / name).touch()
    inputs, notes, problems = prediction_inputs([tmp_path])
    assert [one.label for one in inputs] == ["a.png"]
    assert not problems
    assert "3 files were left out" in notes[0]
    assert "(.doc, .json, README)" in notes[0]


def test_a_format_of_keypoints_makes_files_of_unknown_ending_keypoints(tmp_path: Path) -> None:
    for name in ("k.dat", "a.png", "v.ts"):
        (tmp_path / name).touch()
    paths = [tmp_path / name for name in ("k.dat", "a.png", "v.ts")]
    assert [one.kind for one in prediction_inputs(paths).inputs] == ["image", "image", "video"]
    found = prediction_inputs(paths, are_keypoints=True).inputs
    assert [one.kind for one in found] == ["keypoints", "image", "video"]


@pytest.mark.parametrize("count", [1, 4, 5, 100, 1000])
def test_a_sample_keeps_evenly_spread_frames(count: int) -> None:
    sample: FrameSample[int, int] = FrameSample(4)
    made = []
    for number in range(count):
        sample.offer(number, lambda number=number: made.append(number) or number * 10)  # type: ignore[func-returns-value]
    kept = list(sample.kept())
    assert kept[0] == 0
    assert min(4, count) / 2 < len(kept) <= 4
    assert len({b - a for a, b in itertools.pairwise(kept)}) <= 1
    assert sample.kept() == {number: number * 10 for number in kept}
    assert len(made) <= 4 * 10  # only those that were kept for a while
    with pytest.raises(ValueError, match="at least 2"):
        FrameSample(1)


def test_pipes_loops_and_long_names_are_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "good.png").touch()
    (tmp_path / "self").symlink_to(".")
    paths = [tmp_path / "pipe.jpg", tmp_path / "loop", tmp_path / ("x" * 300), tmp_path]
    inputs, _, problems = prediction_inputs(paths)
    assert [one.label for one in inputs] == ["good.png"]
    assert [problem.rpartition(":")[2] for problem in problems] == [
        " give a file",
        " Too many levels of symbolic links",
        " File name too long",
    ]


def test_overlays_of_long_names_have_shorter_ones() -> None:
    long = ["a" * 250 + ".jpg", "a" * 251 + ".jpg", "é" * 125 + ".jpg", "b.jpg"]
    names = overlay_names([PredictionInput("image", Path(name), name) for name in long])
    assert names == [
        "a" * 180 + "_overlay.png",
        "a" * 180 + "_2_overlay.png",
        "é" * 90 + "_overlay.png",
        "b_overlay.png",
    ]
