"""Algorithm 1 from store to store: what the result holds, where children come from, and bad input."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from evolift.evolution.job.algorithm import evolve
from evolift.evolution.job.breeding import operator_name
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.kinematics.local_bones import to_local
from evolift.evolution.limits.anatomical_limits import AnatomicalLimits
from evolift.evolution.settings import ALGORITHM_1
from evolift.posedata.camera import Camera
from evolift.posedata.errors import InputError, OutputError, StoreError
from evolift.posedata.poses import Poses
from evolift.posedata.selection import select_rows
from evolift.posedata.skeleton import H36M16, H36M17, LSP14
from evolift.posedata.store import PoseStore, PoseStoreWriter, Provenance

TREE = KinematicTree(H36M17)
SETTINGS = ALGORITHM_1.replaced(ratio=4.0, generations=3, mutation_rate=0.5, sigma=60.0, seed=5)


@pytest.fixture(scope="module")
def result(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    path = tmp_path_factory.mktemp("evolved") / "evolved.h5"
    done: list[int] = []
    report = evolve(tiny_store, path, SETTINGS, progress=done.append)
    with PoseStore(path) as store:
        return store.read(), store.provenance, report, done, path


def test_originals_come_first_and_unchanged(result, tiny_store: Path) -> None:  # type: ignore[no-untyped-def]
    poses, *_ = result
    with PoseStore(tiny_store) as store:
        source = store.read()
    np.testing.assert_array_equal(poses.joints_3d[:64], source.joints_3d)
    assert list(poses.subject[:64]) == list(source.subject)
    np.testing.assert_array_equal(poses.frame[:64], source.frame)
    assert (poses.lineage.generation[:64] == 0).all()
    assert (poses.lineage.parent_a[:64] == -1).all()
    assert set(poses.lineage.operator[:64]) == {""}


def test_sizes_and_generations(result) -> None:  # type: ignore[no-untyped-def]
    poses, _, report, done, _ = result
    assert len(poses) == 256
    assert np.bincount(poses.lineage.generation).tolist() == [64, 64, 64, 64]
    assert (np.diff(poses.lineage.generation) >= 0).all()
    assert report.children == sum(done) == 192


def test_every_child_keeps_the_limits_and_its_body(result) -> None:  # type: ignore[no-untyped-def]
    poses, *_ = result
    joints = torch.from_numpy(poses.joints_3d)
    assert AnatomicalLimits(TREE).accepts(joints[64:]).all()
    parents = joints[poses.lineage.parent_a[64:]]
    torch.testing.assert_close(joints[64:, 0], parents[:, 0], atol=1e-3, rtol=0)
    child, parent = to_local(TREE, joints[64:]), to_local(TREE, parents)
    torch.testing.assert_close(child.lengths, parent.lengths, atol=5e-3, rtol=0)
    ancestors = poses.lineage.parent_a[64:]
    assert list(poses.subject[64:]) == list(poses.subject[ancestors])
    assert list(poses.action[64:]) == list(poses.action[ancestors])


def test_parents_are_earlier_valid_and_two(result) -> None:  # type: ignore[no-untyped-def]
    poses, _, report, *_ = result
    lineage = poses.lineage
    children = np.arange(64, 256)
    a, b = lineage.parent_a[children], lineage.parent_b[children]
    crossed = np.array(["crossover" in name for name in lineage.operator[children]])
    assert (lineage.generation[a] < lineage.generation[children]).all()
    assert (lineage.generation[b[crossed]] < lineage.generation[children[crossed]]).all()
    assert (a[crossed] != b[crossed]).all()
    assert (b[~crossed] == -1).all()
    valid = AnatomicalLimits(TREE).accepts(torch.from_numpy(poses.joints_3d)).numpy()
    assert valid[a].all()
    assert valid[:64].sum() == report.originals_within_limits
    # Children breed too.
    assert (a >= 64).any()


def test_crossed_children_have_directions_of_both_parents(result) -> None:  # type: ignore[no-untyped-def]
    poses, *_ = result
    rows = np.flatnonzero(np.asarray(poses.lineage.operator == "crossover"))
    assert len(rows) > 20
    a, b = poses.lineage.parent_a[rows], poses.lineage.parent_b[rows]
    child, first, second = (to_local(TREE, torch.from_numpy(poses.joints_3d[r])) for r in (rows, a, b))
    arms = [bone for bone, limb in enumerate(TREE.is_limb) if limb]
    from_first = (child.directions - first.directions).norm(dim=-1)[:, arms] < 1e-2
    from_second = (child.directions - second.directions).norm(dim=-1)[:, arms] < 1e-2
    # Torso axes are measured anew in the child, so a few bones may be seen a little rotated.
    assert (from_first | from_second).float().mean() > 0.9
    assert from_second.float().mean() > 0.1


def test_what_was_refused_is_in_provenance(result) -> None:  # type: ignore[no-untyped-def]
    _, provenance, report, *_ = result
    stored = provenance.parameters["report"]["generations"]
    assert len(stored) == 3
    for values, tally in zip(stored, report.generations, strict=True):
        assert values["refused"] == tally.refused > 0
        assert sum(values["refused_by"].values()) >= values["refused"]
        assert values["candidates"] - values["refused"] - values["unchanged"] == tally.survivors >= 64
    assert provenance.seed == 5
    assert provenance.parameters["sigma"] == 60.0
    assert list(provenance.inputs) == ["tiny.h5"]
    assert report.table().refused.tolist() == [tally.refused for tally in report.generations]


def test_the_same_seed_gives_the_same_bytes(result, tiny_store: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    evolve(tiny_store, tmp_path / "again.h5", SETTINGS)
    assert (tmp_path / "again.h5").read_bytes() == result[-1].read_bytes()
    other = ALGORITHM_1.replaced(ratio=4.0, generations=3, sigma=60.0, seed=6)
    evolve(tiny_store, tmp_path / "other.h5", other)
    with PoseStore(tmp_path / "other.h5") as store:
        assert not np.array_equal(store.read().joints_3d[64:], result[0].joints_3d[64:])


def test_evolving_again_goes_on_counting(result, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    evolve(result[-1], tmp_path / "more.h5", ALGORITHM_1.replaced(target_size=300, generations=2, seed=1))
    with PoseStore(tmp_path / "more.h5") as store:
        lineage = store.read().lineage
    assert lineage is not None
    assert np.bincount(lineage.generation).tolist() == [64, 64, 64, 64, 22, 22]
    np.testing.assert_array_equal(lineage.parent_a[:256], result[0].lineage.parent_a)


def test_lengths_and_turns_are_named(tiny_store: Path, tmp_path: Path) -> None:
    settings = ALGORITHM_1.replaced(
        ratio=3.0,
        generations=1,
        crossover_rate=0.0,
        mutation_rate=0.0,
        rotation_rate=1.0,
        length_rate=1.0,
    )
    evolve(tiny_store, tmp_path / "turned.h5", settings)
    with PoseStore(tmp_path / "turned.h5") as store:
        poses = store.read()
    assert poses.lineage is not None
    assert poses.joints_3d is not None
    assert set(poses.lineage.operator[64:]) == {"rotation+lengths"} == {operator_name(12)}
    child = to_local(TREE, torch.from_numpy(poses.joints_3d[64:]))
    parent = to_local(TREE, torch.from_numpy(poses.joints_3d[poses.lineage.parent_a[64:]]))
    assert ((child.lengths / parent.lengths - 1).abs().amax(-1) > 0.03).all()
    torch.testing.assert_close(child.lower[:, 2], parent.lower[:, 2], atol=0.02, rtol=0)


def test_mirrored_children_are_named_and_keep_their_heights(tiny_store: Path, tmp_path: Path) -> None:
    settings = ALGORITHM_1.replaced(
        ratio=3.0, generations=1, crossover_rate=0.0, mutation_rate=0.0, mirror_rate=0.5
    )
    report = evolve(tiny_store, tmp_path / "mirrored.h5", settings)
    with PoseStore(tmp_path / "mirrored.h5") as store:
        poses = store.read()
    assert poses.lineage is not None
    assert poses.joints_3d is not None
    assert set(poses.lineage.operator[64:]) == {"mirror"} == {operator_name(16)}
    parents = poses.joints_3d[poses.lineage.parent_a[64:]]
    np.testing.assert_allclose(
        poses.joints_3d[64:, list(H36M17.mirror), 2], parents[..., 2], atol=5e-3, rtol=0
    )
    tally = report.generations[0]
    assert tally.unchanged / tally.candidates == pytest.approx(0.5, abs=0.15)


def test_too_few_valid_parents(tmp_path: Path, make_poses: Callable[..., Poses]) -> None:
    poses = make_poses(1)
    path = tmp_path / "one.h5"
    with PoseStoreWriter(path, H36M17, "world", Provenance("test")) as writer:
        writer.append(poses)
    with pytest.raises(InputError, match=r"one\.h5: [01] of its 1 poses keep the limits 'anatomical'"):
        evolve(path, tmp_path / "out.h5", ALGORITHM_1.replaced(target_size=5))
    assert sorted(tmp_path.iterdir()) == [path]


def test_when_all_children_are_refused_the_bone_is_named(
    tmp_path: Path, make_poses: Callable[..., Poses]
) -> None:
    # Only the trunk is rotated, by up to half a circle: hardly any child survives.
    path = tmp_path / "wild.h5"
    with PoseStoreWriter(path, H36M17, "world", Provenance("test")) as writer:
        writer.append(make_poses(64))
    wild = ALGORITHM_1.replaced(crossover_rate=0.0, mutation_rate=1.0, per_bone_rate=1.0, sigma=180.0)
    with pytest.raises(
        InputError, match=r"the limits 'anatomical' refuse nearly all children .* ends at \w+"
    ):
        evolve(path, tmp_path / "out.h5", wild)
    assert sorted(tmp_path.iterdir()) == [path]


def test_stores_that_cannot_be_evolved(
    tmp_path: Path, make_poses: Callable[..., Poses], tiny_store: Path
) -> None:
    poses = make_poses(4)
    camera = Camera(np.array([[1000.0, 0, 500], [0, 1000, 500], [0, 0, 1]]), 1000, 1000)
    in_camera = Poses(poses.subject, poses.action, poses.frame, poses.joints_3d, camera=np.zeros(4, np.int32))
    with PoseStoreWriter(
        tmp_path / "camera.h5", H36M17, "camera", Provenance("test"), cameras=[camera]
    ) as writer:
        writer.append(in_camera)
    with pytest.raises(StoreError, match=r"camera\.h5: its poses are in the camera frame"):
        evolve(tmp_path / "camera.h5", tmp_path / "out.h5", SETTINGS)
    flat = Poses(
        poses.subject,
        poses.action,
        poses.frame,
        joints_2d=np.ones((4, 14, 2), np.float32),
        visibility=np.full((4, 14), 2, np.uint8),
    )
    with PoseStoreWriter(tmp_path / "flat.h5", LSP14, "none", Provenance("test")) as writer:
        writer.append(flat)
    with pytest.raises(StoreError, match=r"flat\.h5: it has no 3D poses"):
        evolve(tmp_path / "flat.h5", tmp_path / "out.h5", SETTINGS)
    with pytest.raises(OutputError, match="exists"):
        evolve(tiny_store, tmp_path / "flat.h5", SETTINGS)
    assert not (tmp_path / "out.h5").exists()


def test_a_store_that_lacks_a_joint_is_refused_until_it_is_converted(
    tmp_path: Path, make_poses: Callable[..., Poses]
) -> None:
    poses = make_poses(64)
    assert poses.joints_3d is not None
    poses.joints_3d[:, H36M17.index("nose")] = np.nan
    path = tmp_path / "noseless.h5"
    with PoseStoreWriter(path, H36M17, "world", Provenance("test"), unlabelled=("nose",)) as writer:
        writer.append(poses)
    with pytest.raises(InputError) as refusal:
        evolve(path, tmp_path / "out.h5", SETTINGS)
    assert str(refusal.value) == (
        f"{path}: its 3D poses lack nose, and evolution needs all joints of H36M17: convert it to a skeleton without "
        "(`skeleton` H36M16 of `evolift data select` for a missing nose), or take another source"
    )
    assert sorted(tmp_path.iterdir()) == [path]
    select_rows(path, tmp_path / "sixteen.h5", skeleton=H36M16)
    evolve(tmp_path / "sixteen.h5", tmp_path / "out.h5", SETTINGS)
    with PoseStore(tmp_path / "out.h5") as store:
        joints = store.read().joints_3d
    assert joints is not None
    assert joints.shape == (256, 16, 3)
    assert np.isfinite(joints).all()
    kept = [H36M17.index(joint) for joint in H36M16.joints]
    np.testing.assert_array_equal(joints[:64], poses.joints_3d[:, kept])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"ratio": 1.0}, "`ratio` must be a number above 1, not 1.0"),
        ({"generations": 0}, "`generations` must be a whole number of at least 1, not 0"),
        ({"crossover_rate": 1.5}, "`crossover_rate` must be a number of at least 0 and at most 1, not 1.5"),
        ({"sigma": -1.0}, "`sigma` must be a number of at least 0 and at most 180, not -1.0"),
        ({"length_spread": 1.0}, "`length_spread` must be a number of at least 0 and below 1"),
        ({"per_bone_rate": -0.1}, "`per_bone_rate` must be a number of at least 0"),
        ({"crossover_rate": 0.0, "mutation_rate": 0.0}, "every operator has rate 0"),
    ],
)
def test_settings_that_cannot_be(values: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match="^" + message):
        ALGORITHM_1.replaced(**values)  # type: ignore[arg-type]


def test_a_target_below_the_source_is_refused(tiny_store: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the source has 64 poses already and the result shall have 60"):
        evolve(tiny_store, tmp_path / "out.h5", ALGORITHM_1.replaced(target_size=60))
    assert not any(tmp_path.iterdir())
