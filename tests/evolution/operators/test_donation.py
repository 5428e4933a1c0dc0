"""Donors: whose limbs, whose bodies, what the lineage tells, and bad input."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from evolift.evolution.job.algorithm import evolve
from evolift.evolution.kinematics.gene_pool import GenePool
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.kinematics.local_bones import to_local
from evolift.evolution.limits.anatomical_limits import AnatomicalLimits
from evolift.evolution.operators.donation import Donors, draw_donors
from evolift.evolution.preview.preview_page import write_preview
from evolift.evolution.settings import ALGORITHM_1
from evolift.posedata.errors import EvoliftError, InputError, StoreError
from evolift.posedata.poses import Poses
from evolift.posedata.skeleton import H36M16, H36M17, Skeleton
from evolift.posedata.store import PoseStore, PoseStoreWriter, Provenance
from evolift.posedata.store_layout import Donor, donor_parents
from tests.evolution.operators.test_immigration import BackwardWorkers
from tests.evolution.operators.test_mutation import bodies, generator

TREE = KinematicTree(H36M17)
LIMITS = AnatomicalLimits(TREE)
SETTINGS = ALGORITHM_1.replaced(
    ratio=4.0, generations=2, crossover_rate=1.0, mutation_rate=0.0, donor_rate=0.5, seed=3
)


def write(path: Path, joints: np.ndarray, *, skeleton: Skeleton = H36M17, **options: object) -> Path:
    with PoseStoreWriter(path, skeleton, "world", Provenance("test"), **options) as writer:  # type: ignore[arg-type]
        writer.append(Poses.of_joints(joints, skeleton, subject="dancer", action="dance"))
    return path


@pytest.fixture(scope="module")
def dancers(make_poses: Callable[..., Poses], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two stores of people half as large again as those of the source."""
    folder = tmp_path_factory.mktemp("dancers")
    joints = [make_poses(rows, seed).joints_3d for rows, seed in ((30, 7), (50, 8))]
    return [write(folder / f"{name}.h5", 1.2 * one) for name, one in zip(("a", "b"), joints, strict=True)]


@pytest.fixture(scope="module")
def bred(tiny_store: Path, dancers: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bred") / "bred.h5"
    evolve(tiny_store, path, SETTINGS, donors=dancers, block=50)
    return path


def test_a_share_of_the_mates_are_donors_with_the_childs_lengths() -> None:
    body, mate, givers = bodies(4000, 1), bodies(4000, 2), bodies(20, 3)
    pool = GenePool.in_memory(TREE, 20)
    pool.put(0, givers)
    parents = donor_parents(np.arange(100, 120))
    rows = torch.arange(4000)
    mates, second = draw_donors(Donors(pool, parents), body, mate, rows, generator(), rate=0.3)
    donated = second < -1
    assert float(donated.float().mean()) == pytest.approx(0.3, abs=3 * math.sqrt(0.21 / 4000))
    number = -2 - second[donated] - 100
    assert set(number.tolist()) == set(range(20))
    torch.testing.assert_close(mates.directions[donated], givers.directions[number])
    torch.testing.assert_close(mates.upper[donated], givers.upper[number])
    torch.testing.assert_close(mates.lengths[donated], body.lengths[donated])
    assert (second[~donated] == rows[~donated]).all()
    torch.testing.assert_close(mates.directions[~donated], mate.directions[~donated])
    torch.testing.assert_close(mates.lengths[~donated], mate.lengths[~donated])


@pytest.mark.parametrize("crossed_lengths", ["kept", "swapped"])
def test_limbs_come_from_the_named_rows_and_bodies_from_the_source(
    tiny_store: Path, dancers: list[Path], tmp_path: Path, crossed_lengths: str
) -> None:
    settings = SETTINGS.replaced(donor_rate=1.0, crossed_lengths=crossed_lengths)
    evolve(tiny_store, tmp_path / "bred.h5", settings, donors=dancers)
    with PoseStore(tmp_path / "bred.h5") as store:
        poses, provenance = store.read(), store.provenance
    lineage = poses.lineage
    assert lineage is not None
    assert poses.joints_3d is not None
    assert provenance.donors == (Donor("a.h5", 30), Donor("b.h5", 50))
    assert {"a.h5", "b.h5"} <= set(provenance.inputs)
    places = [provenance.donor_of(int(number)) for number in lineage.parent_b[64:]]
    given = {}
    for path in dancers:
        with PoseStore(path) as store:
            given[path.name] = store.read().joints_3d
    assert {place[0] for place in places if place} == {"a.h5", "b.h5"}
    donors = torch.from_numpy(np.stack([given[name][row] for name, row in places]))  # type: ignore[misc]
    assert LIMITS.accepts(donors).all()
    child, donor, parent = (
        to_local(TREE, joints)
        for joints in (
            torch.from_numpy(poses.joints_3d[64:]),
            donors,
            torch.from_numpy(poses.joints_3d[lineage.parent_a[64:]]),
        )
    )
    arms = [bone for bone, limb in enumerate(TREE.is_limb) if limb]
    from_donor = (child.directions - donor.directions).norm(dim=-1)[:, arms] < 1e-2
    from_parent = (child.directions - parent.directions).norm(dim=-1)[:, arms] < 1e-2
    assert (from_donor | from_parent).float().mean() > 0.9
    assert from_donor.float().mean() > 0.1
    torch.testing.assert_close(child.lengths, parent.lengths, atol=5e-3, rtol=0)
    assert set(poses.subject) == {"ann", "bob"}


def test_donors_are_no_part_of_the_result(bred: Path, tiny_store: Path) -> None:
    with PoseStore(bred) as store, PoseStore(tiny_store) as source:
        assert len(store) == 256
        np.testing.assert_array_equal(store.read(slice(0, 64)).joints_3d, source.read().joints_3d)
        lineage = store.read().lineage
    assert lineage is not None
    second = lineage.parent_b[64:]
    assert ((second < -1).mean()) == pytest.approx(0.5, abs=0.13)
    assert (second != -1).all()


def test_whoever_breeds_the_bytes_are_the_same(
    bred: Path, tiny_store: Path, dancers: list[Path], tmp_path: Path
) -> None:
    with BackwardWorkers() as workers:
        evolve(tiny_store, tmp_path / "bred.h5", SETTINGS, donors=dancers, block=50, workers=workers)
    assert (tmp_path / "bred.h5").read_bytes() == bred.read_bytes()


def test_the_lineage_still_tells_after_evolving_again(
    bred: Path, dancers: list[Path], tmp_path: Path
) -> None:
    other = tmp_path / "c.h5"
    other.write_bytes(dancers[0].read_bytes())
    evolve(bred, tmp_path / "more.h5", SETTINGS.replaced(donor_rate=1.0), donors=other)
    with PoseStore(bred) as before, PoseStore(tmp_path / "more.h5") as after:
        old, new = before.read().lineage, after.read().lineage
        provenance = after.provenance
    assert old is not None
    assert new is not None
    np.testing.assert_array_equal(new.parent_b[:256], old.parent_b)
    assert [donor.store for donor in provenance.donors] == ["a.h5", "b.h5", "c.h5"]
    assert {provenance.donor_of(int(number))[0] for number in new.parent_b[256:]} == {"c.h5"}  # type: ignore[index]
    assert provenance.donor_of(-1) is None
    assert provenance.donor_of(-2 - 110) is None


def test_one_pose_can_be_crossed_with_donors(
    make_poses: Callable[..., Poses], dancers: list[Path], tmp_path: Path
) -> None:
    with PoseStore(dancers[0]) as store:
        joints = store.read().joints_3d
    assert joints is not None
    valid = np.flatnonzero(LIMITS.accepts(torch.from_numpy(joints)).numpy())
    one = write(tmp_path / "one.h5", joints[valid[:1]])
    settings = SETTINGS.replaced(target_size=20, generations=1, donor_rate=1.0)
    evolve(one, tmp_path / "bred.h5", settings, donors=dancers)
    with PoseStore(tmp_path / "bred.h5") as store:
        lineage = store.read().lineage
    assert lineage is not None
    assert (lineage.parent_b[1:] < -1).all()


def test_a_row_that_points_beyond_the_donors_is_refused(bred: Path, tmp_path: Path) -> None:
    import h5py

    damaged = tmp_path / "damaged.h5"
    damaged.write_bytes(bred.read_bytes())
    with h5py.File(damaged, "a") as file:
        file["poses/parent_b"][70] = -2 - 80
    with pytest.raises(StoreError, match="dataset /poses/parent_b, row 70: points to no row"):
        PoseStore(damaged)
    with h5py.File(damaged, "a") as file:
        file["poses/parent_b"][70] = -2 - 79
    PoseStore(damaged).close()
    with h5py.File(damaged, "a") as file:
        file.attrs["provenance"] = file.attrs["provenance"].replace('"poses": 50', '"poses": "many"')
    with pytest.raises(StoreError, match=r"dataset /poses/parent_b, row .*: points to no row"):
        PoseStore(damaged)


def test_the_preview_names_the_donor(bred: Path, tmp_path: Path) -> None:
    write_preview(bred, SETTINGS, tmp_path / "page.html")
    assert re.search(
        r"Row \d+, of row \d+ and a limb of [ab]\.h5, row \d+, by", (tmp_path / "page.html").read_text()
    )


def test_donors_that_cannot_give(
    tiny_store: Path, dancers: list[Path], make_poses: Callable[..., Poses], tmp_path: Path
) -> None:
    joints = make_poses(8).joints_3d
    assert joints is not None
    sixteen = write(
        tmp_path / "sixteen.h5", joints[:, [H36M17.index(joint) for joint in H36M16.joints]], skeleton=H36M16
    )
    noseless = write(tmp_path / "noseless.h5", joints, unlabelled=("nose",))
    backward = joints.copy()  # knees bend the wrong way
    for side in ("left", "right"):
        backward[:, H36M17.index(f"{side}_ankle")] += np.array([2000, 0, 0], np.float32)
    broken = write(tmp_path / "broken.h5", backward, implausible="accept")
    twin = tmp_path / "other" / "a.h5"
    twin.parent.mkdir()
    twin.write_bytes(dancers[0].read_bytes())
    for donors, kind, said in (
        (
            [sixteen],
            InputError,
            f"{sixteen} has skeleton H36M16, {tiny_store} has H36M17: convert one of them by `evolift data select`",
        ),
        ([noseless], InputError, "its 3D poses lack nose, and a donor needs all joints of H36M17"),
        (
            [broken],
            InputError,
            f"{broken}: none of its poses keeps the limits 'anatomical', so it has no limbs to give",
        ),
        ([dancers[0], twin], InputError, "two stores are called a.h5: donors are known by their file names"),
    ):
        target = tmp_path / "out.h5"
        with pytest.raises(EvoliftError) as refusal:
            evolve(tiny_store, target, SETTINGS, donors=donors)
        assert isinstance(refusal.value, kind)
        assert said in str(refusal.value)
        assert not target.exists()
        assert not list(tmp_path.glob("out.h5*"))
