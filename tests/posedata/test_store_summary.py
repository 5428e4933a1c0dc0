from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from evolift.posedata.poses import Poses, labelled
from evolift.posedata.skeleton import H36M17
from evolift.posedata.store import PoseStore, PoseStoreWriter, Provenance
from evolift.posedata.store_summary import MOST_LISTED, MOST_SAID, rows_listed, summary_lines

Make = Callable[..., Poses]


def stored(path: Path, poses: Poses, subjects: list[str], actions: list[str], **parameters: object) -> Path:
    """A store of the poses under these labels in turn."""
    number = np.arange(len(poses))
    labels = [labelled((number % len(names)).astype(np.int32), names) for names in (subjects, actions)]
    with PoseStoreWriter(path, H36M17, "world", Provenance("test", dict(parameters), 0, {})) as writer:
        writer.append(Poses(*labels, number.astype(np.int64), poses.joints_3d))
    return path


def test_whichever_are_more_go_down(make_poses: Make, tmp_path: Path) -> None:
    for name, subjects, actions, first in (
        ("a", ["ann", "bob"], ["run", "sit", "walk"], ["ann", "bob", "all"]),
        ("b", ["ann", "bob", "eve"], ["run", "walk"], ["run", "walk", "all"]),
        ("c", ["ann"], ["run", "walk"], ["ann"]),
    ):
        with PoseStore(stored(tmp_path / f"{name}.h5", make_poses(12), subjects, actions)) as store:
            lines = rows_listed(store).splitlines()
        assert lines[0].split() == first
        assert lines[-1].split()[0] == "all"
        assert lines[-1].split()[-1] == "12"


def test_of_many_clips_the_longest_are_listed_and_the_sums_are_of_all(
    make_poses: Make, tmp_path: Path
) -> None:
    actions = [f"clip{number:03}" for number in range(MOST_LISTED + 9)]
    # The last clips have one row less each than the first.
    path = stored(tmp_path / "m.h5", make_poses(3 * len(actions) - 9), ["ann"], actions)
    with PoseStore(path) as store:
        lines = rows_listed(store).splitlines()
    assert len(lines) == 2 + MOST_LISTED + 2
    assert lines[2].split() == ["clip000", "3"]
    assert lines[-2].split() == ["9", "more", "18"]
    assert lines[-1].split() == ["all", str(3 * len(actions) - 9)]


def test_a_long_parameter_is_left_out_and_the_others_are_said(make_poses: Make, tmp_path: Path) -> None:
    path = stored(
        tmp_path / "p.h5", make_poses(4), ["ann"], ["run"], ratio=2.5, report=["x"] * MOST_SAID, seed=3
    )
    with PoseStore(path) as store:
        line = next(line for line in summary_lines(store) if line.startswith("parameters"))
    assert line == f'parameters: {{"ratio": 2.5, "report": ... ({5 * MOST_SAID:,} characters), "seed": 3}}'
