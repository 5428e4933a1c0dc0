"""Windows are cut from what one person did without a pause."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evolift.evolution.clips.windows import windows_of
from evolift.posedata.exporters.sequences import sequences_of
from evolift.posedata.store import PoseStore
from evolift.synthetic.acting.actors import write_actor_store
from evolift.synthetic.settings import ActorSettings


@pytest.mark.parametrize("clips", [1, 3])
def test_no_window_spans_two_clips_of_an_actor(clips: int, tmp_path: Path) -> None:
    path = tmp_path / "actors.h5"
    settings = ActorSettings(clips_per_action=clips, frames=40, fps=20.0)
    write_actor_store(path, settings, subjects=["F1"], actions=["walk", "wave"])
    with PoseStore(path) as store:
        windows = windows_of(store, sequences_of(store), 27)
        joints = store.read().joints_3d
    assert joints is not None
    assert windows.rows.shape == (2 * clips * 2, 27)  # two of each clip
    assert (windows.rows // 40 == windows.rows[:, :1] // 40).all()
    # Clips begin in another place each: a window over two would jump.
    step = np.linalg.norm(np.diff(joints[windows.rows][:, :, 0, :2], axis=1), axis=-1)
    assert step.max() < 150
