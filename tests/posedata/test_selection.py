from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evolift.posedata.errors import InputError, OutputError
from evolift.posedata.frame_rate import rows_per_second
from evolift.posedata.poses import Lineage, Poses
from evolift.posedata.selection import select_rows
from evolift.posedata.skeleton import COCO17, H36M16, H36M17, HALPE26, LSP14, MPII16, Skeleton
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


def write_poses(
    path: Path, poses: Poses, skeleton: Skeleton = H36M17, unlabelled: tuple[str, ...] = ()
) -> Path:
    frame = "none" if poses.joints_3d is None else "world"
    with PoseStoreWriter(path, skeleton, frame, Provenance("test"), unlabelled=unlabelled) as writer:
        writer.append(poses)
    return path


def with_pixels(poses: Poses, seed: int = 0) -> Poses:
    rng = np.random.default_rng(seed)
    return replace(
        poses,
        joints_2d=rng.uniform(1, 1000, (len(poses), 17, 2)).astype(np.float32),
        visibility=rng.integers(1, 3, (len(poses), 17), np.uint8),
    )


@pytest.mark.parametrize("unlabelled", [(), ("nose",), ("left_hip",)])
def test_the_joints_of_semgcn_can_be_selected(
    make_poses, tmp_path: Path, unlabelled: tuple[str, ...]
) -> None:
    poses = with_pixels(make_poses(40))
    source = write_poses(tmp_path / "a.h5", poses, unlabelled=unlabelled)
    kept = select_rows(source, tmp_path / "b.h5", subjects=["bob"], skeleton=H36M16)
    chosen = np.flatnonzero(np.asarray(poses.subject) == "bob")
    columns = [H36M17.index(joint) for joint in H36M16.joints]
    with PoseStore(tmp_path / "b.h5", skeleton=H36M16) as store:
        got = store.read()
        assert len(got) == kept == len(chosen)
        # A nose that is unlabelled is gone; another joint that is stays unlabelled.
        assert store.unlabelled == tuple(set(unlabelled) - {"nose"})
        assert store.provenance.parameters["skeleton"] == "H36M16"
    expected = poses.joints_3d[chosen][:, columns].copy()
    expected[:, [H36M16.index(joint) for joint in store.unlabelled]] = np.nan
    np.testing.assert_array_equal(got.joints_3d, expected)
    np.testing.assert_array_equal(got.joints_2d, poses.joints_2d[chosen][:, columns])
    np.testing.assert_array_equal(got.visibility, poses.visibility[chosen][:, columns])
    assert got.frame.tolist() == poses.frame[chosen].tolist()


def test_unlabelled_joints_stay_so_without_a_conversion(make_poses, tmp_path: Path) -> None:
    source = write_poses(tmp_path / "a.h5", make_poses(12), unlabelled=("left_hip", "nose"))
    select_rows(source, tmp_path / "b.h5", subjects=["ann"])
    with PoseStore(tmp_path / "b.h5", skeleton=H36M17) as store:
        assert store.unlabelled == ("left_hip", "nose")
        assert store.provenance.parameters["skeleton"] is None
        joints = store.read().joints_3d
    lacking = [H36M17.index(joint) for joint in store.unlabelled]
    assert np.isnan(joints[:, lacking]).all()
    assert np.isfinite(np.delete(joints, lacking, 1)).all()


def test_a_joint_made_of_one_that_is_unlabelled_is_unlabelled(make_poses, tmp_path: Path) -> None:
    """LSP's and COCO's joints that H36M17 has none for, too."""
    source = write_poses(tmp_path / "a.h5", make_poses(12), unlabelled=("thorax",))
    select_rows(source, tmp_path / "lsp.h5", skeleton=LSP14)
    with PoseStore(tmp_path / "lsp.h5", skeleton=LSP14) as store:
        assert store.unlabelled == ("neck",)
        assert np.isnan(store.read().joints_3d).all((0, 2)).tolist() == [j == "neck" for j in LSP14.joints]
    select_rows(source, tmp_path / "coco.h5", skeleton=COCO17)
    with PoseStore(tmp_path / "coco.h5", skeleton=COCO17) as store:
        assert set(store.unlabelled) == {"left_eye", "right_eye", "left_ear", "right_ear"}


def test_photographs_of_mpii_become_h36m17_without_a_nose(make_poses, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.uniform(1, 1000, (12, 16, 2)).astype(np.float32)
    visibility = rng.integers(1, 3, (12, 16), np.uint8)
    seen = replace(make_poses(12), joints_3d=None, joints_2d=pixels, visibility=visibility)
    source = write_poses(tmp_path / "mpii.h5", seen, MPII16)
    select_rows(source, tmp_path / "out.h5", skeleton=H36M17)
    with PoseStore(tmp_path / "out.h5", skeleton=H36M17) as store:
        got = store.read()
        assert (store.coordinate_frame, store.unlabelled) == ("none", ())  # there is no 3D to lack it in
    assert (got.visibility == 0).all(0).tolist() == [joint == "nose" for joint in H36M17.joints]
    assert (got.joints_2d[:, H36M17.index("nose")] == 0).all()
    names = {"head": "head_top"}
    for joint in set(H36M17.joints) - {"spine", "nose"}:
        place, old = H36M17.index(joint), MPII16.index(names.get(joint, joint))
        np.testing.assert_array_equal(got.joints_2d[:, place], pixels[:, old])
        np.testing.assert_array_equal(got.visibility[:, place], visibility[:, old])
    trunk = [MPII16.index(joint) for joint in ("pelvis", "thorax")]
    spine = H36M17.index("spine")
    np.testing.assert_allclose(got.joints_2d[:, spine], pixels[:, trunk].mean(1), rtol=1e-6)
    np.testing.assert_array_equal(got.visibility[:, spine], visibility[:, trunk].min(1))


def test_a_skeleton_without_a_mapping_is_refused(tiny_store: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no mapping from H36M17 to HALPE26 is declared"):
        select_rows(tiny_store, tmp_path / "out.h5", skeleton=HALPE26)
    assert not list(tmp_path.iterdir())


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


def test_a_share_and_its_complement_are_a_split(tiny_store: Path, tmp_path: Path) -> None:
    def part(name: str, **chosen: Any) -> list[int]:
        select_rows(tiny_store, tmp_path / name, seed=3, **chosen)
        with PoseStore(tmp_path / name) as store:
            return store.table()["frame"].tolist()

    with PoseStore(tiny_store) as store:
        subjects, frames = store.table()["subject"], store.table()["frame"]
    ann = frames[subjects == "ann"].tolist()
    train = part("train.h5", subjects=["ann"], share=0.8)
    validation = part("validation.h5", subjects=["ann"], share=0.8, complement=True)
    assert len(train) == round(0.8 * len(ann))
    assert sorted(train + validation) == sorted(ann)
    with pytest.raises(
        InputError, match="the `share` is all of it, so its `complement` has no row: take less"
    ):
        part("none.h5", complement=True)
    assert not (tmp_path / "none.h5").exists()


@pytest.mark.parametrize(
    ("command", "parameters", "rate"),
    [
        ("evolift data import bvh", {"fps": 30.0}, 30.0),
        ("evolift data import cmu", {"fps": None}, 120.0),
        ("evolift data import bvh", {"fps": None}, None),
    ],
)
def test_a_selection_knows_the_frame_rate_that_its_source_knows(
    make_poses, tmp_path: Path, command: str, parameters: dict[str, object], rate: float | None
) -> None:
    with PoseStoreWriter(tmp_path / "a.h5", H36M17, "world", Provenance(command, parameters)) as writer:
        writer.append(make_poses(40))

    def rate_of(target: str, source: str = "a.h5", **choice: Any) -> float | None:
        select_rows(tmp_path / source, tmp_path / target, **choice)
        with PoseStore(tmp_path / target) as store:
            return rows_per_second(store.provenance)

    assert rate_of("b.h5", subjects=["bob"]) == rate
    assert rate_of("c.h5", "b.h5", subjects=["bob"]) == rate
    assert rate_of("d.h5", share=0.5) is None, "rows chosen at random are not one as far as the next"
