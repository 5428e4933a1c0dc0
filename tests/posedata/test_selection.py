from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evolift.posedata.errors import InputError, OutputError
from evolift.posedata.poses import Lineage, Poses
from evolift.posedata.selection import select_rows
from evolift.posedata.skeleton import H36M17
from evolift.posedata.store import PoseStore, PoseStoreWriter, Provenance


def test_chosen_rows_and_no_others(tiny_store: Path, tmp_path: Path) -> None:
    with PoseStore(tiny_store) as store:
        table, poses = store.table(), store.read()
    for names, wanted in (
        ({"subjects": ["ann"]}, table["subject"] == "ann"),
        ({"without_actions": ["walk"]}, table["action"] != "walk"),
        ({"subjects": ["bob"], "actions": ["sit"]}, (table["subject"] == "bob") & (table["action"] == "sit")),
    ):
        kept = select_rows(tiny_store, tmp_path / "part.h5", overwrite=True, **names)
        with PoseStore(tmp_path / "part.h5") as part:
            assert len(part) == kept == wanted.sum()
            np.testing.assert_array_equal(part.read().joints_3d, poses.joints_3d[wanted.to_numpy()])
            np.testing.assert_array_equal(part.table()["frame"], table["frame"][wanted])


def test_a_share_of_the_chosen_rows(tiny_store: Path, tmp_path: Path) -> None:
    with PoseStore(tiny_store) as store:
        table, poses = store.table(), store.read()
    chosen = np.flatnonzero(table["subject"] == "ann")

    def rows(seed: int, share: float) -> list[int]:
        kept = select_rows(
            tiny_store, tmp_path / "part.h5", subjects=["ann"], share=share, seed=seed, overwrite=True
        )
        with PoseStore(tmp_path / "part.h5") as part:
            joints = part.read().joints_3d
        assert len(joints) == kept
        return [int(np.flatnonzero((poses.joints_3d == pose).all((1, 2)))[0]) for pose in joints]

    half = rows(0, 0.5)
    assert len(half) == round(len(chosen) / 2)
    assert half == sorted(half)
    assert set(half) < set(chosen)
    assert rows(0, 0.5) == half
    assert rows(1, 0.5) != half
    assert len(rows(0, 1e-9)) == 1


def test_evolved_stores_are_refused(make_poses, tmp_path: Path) -> None:
    poses = make_poses(8)
    lineage = replace(Lineage.unbred(8), generation=np.arange(8, dtype=np.int32) // 4)
    evolved = Poses(poses.subject, poses.action, poses.frame, poses.joints_3d, lineage=lineage)
    with PoseStoreWriter(tmp_path / "a.h5", H36M17, "world", Provenance("test")) as writer:
        writer.append(evolved)
    with pytest.raises(InputError, match="it has evolved poses, which mix subjects and actions"):
        select_rows(tmp_path / "a.h5", tmp_path / "b.h5", subjects=["ann"])
    assert not (tmp_path / "b.h5").exists()


def test_refusals(tiny_store: Path, tmp_path: Path) -> None:
    target = tmp_path / "part.h5"
    with pytest.raises(InputError, match="there is no action 'fly': it has sit, walk"):
        select_rows(tiny_store, target, actions=["fly"])
    with pytest.raises(InputError, match="no row is of the chosen subjects and actions"):
        select_rows(tiny_store, target, subjects=["ann"], without_subjects=["ann"])
    assert not target.exists()
    select_rows(tiny_store, target, subjects=["ann"])
    with pytest.raises(OutputError, match="exists"):
        select_rows(tiny_store, target)
