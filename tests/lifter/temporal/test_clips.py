from __future__ import annotations

import json
import logging
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from evolift.lifter.temporal.clips import ClipPart, clip_frames
from evolift.lifter.temporal.frame_rate import places_between
from evolift.lifter.temporal.settings import TemporalSettings
from evolift.posedata.errors import InputError
from evolift.posedata.store import PoseStore
from evolift.synthetic.acting.actors import write_actor_store
from evolift.synthetic.settings import ActorSettings
from tests.conftest import WriteClips

NINE = TemporalSettings(frames=9, hidden=8, blocks=1)


def part_of(path: Path, rate: float = 30.0, store_fps: float | None = 30.0, **settings: object) -> ClipPart:
    with PoseStore(path) as store:
        rows = np.arange(len(store))
    return ClipPart(path, rows, NINE.replaced(frames_per_second=rate), store_fps, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seconds", "rate", "places"),
    [
        ([0, 0.1, 0.2], 10, [0, 1, 2]),
        ([0, 1 / 3, 2 / 3, 1], 3, [0, 1, 2, 3]),
        ([0, 0.1, 0.2], 20, [0, 0.5, 1, 1.5, 2]),
        ([0, 0.1, 0.2, 0.3, 0.4], 5, [0, 2, 4]),
        ([0, 0.1, 0.4], 10, [0, 1, 1 + 1 / 3, 1 + 2 / 3, 2]),
        ([0, 0.1, 0.19], 10, [0, 1]),
        ([0], 30, [0]),
    ],
)
def test_frames_lie_between_the_times_that_there_are(seconds, rate, places) -> None:
    at, share = places_between(np.array(seconds, float), rate)
    np.testing.assert_allclose(at + share, places, atol=1e-5)
    assert ((share >= 0) & (share < 1)).all()


def test_few_missing_frames_are_interpolated_and_many_cut_a_clip(write_clips: WriteClips, tmp_path) -> None:
    five, six = [*range(1, 5), *range(10, 14)], [*range(1, 5), *range(11, 15)]
    path = write_clips(tmp_path / "a.h5", {("ann", "five"): five, ("ann", "six"): six})
    part = part_of(path)
    lengths = (part.frames.last[part.frames.starts] - part.frames.starts + 1).tolist()
    assert lengths == [13, 4, 4]
    whole = write_clips(tmp_path / "b.h5", {("ann", "five"): range(1, 14)})
    found = part.clip(0, 100)[0][0].joints
    with PoseStore(whole) as store:
        exact = torch.from_numpy(store.read().joints_3d)
    line = exact[3] + (exact[9] - exact[3]) * torch.arange(7)[:, None, None] / 6
    torch.testing.assert_close(found[3:10], line, rtol=0, atol=1e-3)
    assert torch.equal(found[[0, 3, 9, 12]], exact[[0, 3, 9, 12]])


def test_the_clips_of_an_actor_are_not_one(tmp_path) -> None:
    settings = ActorSettings(clips_per_action=3, frames=20, fps=30.0)
    write_actor_store(tmp_path / "actors.h5", settings, subjects=["F1"], actions=["walk"])
    part = part_of(tmp_path / "actors.h5")
    assert (part.frames.last[part.frames.starts] - part.frames.starts + 1).tolist() == [20] * 3


@pytest.mark.parametrize(
    ("numbers", "numbered", "rate", "kept"),
    [
        (range(1, 81, 4), 120, 30, slice(None)),  # CMU at 30 a second keeps its numbers of 120
        (range(0, 40), 60, 30, slice(None, None, 2)),
        ([0, 2, 3, 5, 7, 8, 10], 50, 25, None),  # 30 of 50: those between are made
    ],
)
def test_frame_numbers_tell_the_time(
    numbers, numbered, rate, kept, write_clips: WriteClips, tmp_path
) -> None:
    path = write_clips(tmp_path / "a.h5", {("ann", "walk"): list(numbers)})
    found = part_of(path, rate, numbered).clip(0, 100)[0][0].joints
    with PoseStore(path) as store:
        exact = torch.from_numpy(store.read().joints_3d)
    if kept is not None:
        assert torch.equal(found, exact[kept])
    else:
        assert torch.equal(found[[0, 1, 4, 5]], exact[[0, 1, 5, 6]])
        torch.testing.assert_close(found[2:4], (exact[[2, 3]] + exact[[3, 4]]) / 2)


def test_windows_repeat_the_ends_of_their_own_clip(clip_store) -> None:
    part = part_of(clip_store)
    footage = part.bodies_at(0, 0)
    assert len(footage) == 160
    windows = footage[torch.tensor([0, 39, 40, 60])].joints.view(4, 9, 17, 3)
    with PoseStore(clip_store) as store:
        joints = torch.from_numpy(store.read().joints_3d)
    for window, places in zip(
        windows,
        ([0] * 5 + [1, 2, 3, 4], [35, 36, 37, 38] + [39] * 5, [40] * 5 + [41, 42, 43, 44], range(56, 65)),
        strict=True,
    ):
        assert torch.equal(window, joints[list(places)])


def test_short_clips_are_told(write_clips: WriteClips, tmp_path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_clips(tmp_path / "a.h5", {("ann", "one"): range(8), ("ann", "two"): range(9)})
    with caplog.at_level(logging.WARNING):
        part_of(path)
    assert caplog.messages == [
        f"{path}: 1 of 2 clips are shorter than 9 frames: their first and last frames are repeated."
    ]


def test_of_a_large_store_some_clips_are_held_for_some_steps(write_clips: WriteClips, tmp_path) -> None:
    path = write_clips(tmp_path / "a.h5", {("ann", f"a{n}"): range(20 + n) for n in range(12)})
    part = part_of(path, rows_in_memory=200)
    first, same, later = (part.bodies_at(step, 5) for step in (0, 999, 1000))
    assert same is first
    assert 1 <= len(first.frames.starts) < 4
    assert len(first) <= 50
    assert not (len(later) == len(first) and torch.equal(later.joints, first.joints))
    assert torch.equal(part_of(path, rows_in_memory=200).bodies_at(7, 5).joints, first.joints)
    # Each clip is whole: its window is what it is when all is held.
    every = part_of(path).bodies_at(0, 5)
    whole = {every[torch.tensor([n])].joints.sum().item() for n in range(len(every))}
    assert all(first[torch.tensor([n])].joints.sum().item() in whole for n in range(len(first)))


def test_unlabelled_joints_stay_so(write_clips: WriteClips, tmp_path) -> None:
    path = write_clips(tmp_path / "a.h5", {("ann", "walk"): range(12)}, unlabelled=("nose",))
    part = part_of(path, 38)
    assert part.lacking == [9]
    joints = part.bodies_at(0, 0)[torch.tensor([3])].joints
    assert joints[:, 9].isnan().all()
    assert joints[:, [n for n in range(17) if n != 9]].isfinite().all()


def test_pixels_are_interpolated_where_both_sides_are_labelled(camera_store) -> None:
    """Rows of the two cameras are clips of their own: every fourth number, as subject and action change too."""
    part = part_of(camera_store, 2.5, 8.0)
    bodies, _ = part.clip(0, 100)[0]
    assert bodies.pixels is not None
    assert (bodies.camera == bodies.camera[0]).all()
    assert (bodies.visibility[:, 16] == 0).all()
    assert (bodies.visibility[:, :16] == 2).all()
    with PoseStore(camera_store) as store:
        pixels = torch.from_numpy(store.read().joints_2d)
    np.testing.assert_allclose(part.frames.share[:3], [0, 0.8, 0.6], atol=1e-6)
    torch.testing.assert_close(bodies.pixels[1, :16], 0.2 * pixels[0, :16] + 0.8 * pixels[4, :16])


def test_the_rate_of_known_sources_is_known(write_clips: WriteClips, tmp_path) -> None:
    path = write_clips(
        tmp_path / "a.h5", {("ann", "walk"): range(1, 81, 4)}, command="evolift data import cmu"
    )
    assert len(part_of(path, 30, None).frames.before) == 20


@pytest.mark.parametrize(
    ("parameters", "step", "numbered"),
    [
        ({"fps": 30}, 4, 120),  # every fourth of 120
        ({"frames_per_second": 10.0}, 1, 10),
        ({"fps": 15.0}, (3, 3, 4), 50),  # 15 of 50
        ({"fps": None}, 1, None),
        ({"fps": True}, 1, None),
        ({"fps": 0}, 1, None),
        ({}, 1, None),
    ],
)
def test_a_rate_that_a_store_was_made_with_is_taken(
    parameters: dict[str, object], step, numbered, write_clips: WriteClips, tmp_path
) -> None:
    steps = np.resize(step, 61)  # of which the first is no step between two
    path = write_clips(tmp_path / "a.h5", {("ann", "walk"): np.cumsum(steps)})
    with h5py.File(path, "r+") as file:
        provenance = json.loads(file.attrs["provenance"])
        file.attrs["provenance"] = json.dumps({**provenance, "parameters": parameters})
    if numbered is None:
        with pytest.raises(
            InputError, match="does not tell how many frames a second its frame numbers count"
        ):
            part_of(path, 10, None)
        return
    told, given = (part_of(path, 10, fps).frames for fps in (None, numbered))
    assert all(np.allclose(a, b, atol=1e-3) for a, b in zip(told, given, strict=True))


def test_bad_clips_are_refused(write_clips: WriteClips, clip_store, tmp_path) -> None:
    with pytest.raises(
        InputError, match=r"clips.h5 does not tell how many frames a second.*give `store_fps`"
    ):
        part_of(clip_store, 30, None)
    with pytest.raises(
        InputError, match=r"it has 10 frames a second, and the lifter sees 30: import it again with more"
    ):
        part_of(clip_store, 30, 10)
    path = write_clips(tmp_path / "a.h5", {("ann", "walk"): [1, 2, 2, 3]})
    with pytest.raises(InputError, match="frame 2 of ann, walk, is there twice"):
        part_of(path)


def test_rows_may_be_a_part_of_a_store(clip_store) -> None:
    with PoseStore(clip_store) as store:
        table = store.table()
    rows = np.array([0, 1, 2, 50, 51])
    frames = clip_frames(clip_store, table, rows, 30, numbered=30)
    assert frames.before.tolist() == rows.tolist()
    assert frames.first.tolist() == [0, 0, 0, 3, 3]
    assert frames.last.tolist() == [2, 2, 2, 4, 4]
