"""Immigrants: which bones are drawn anew, that they keep the limits and go everywhere within them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch

from evolift.evolution.job.algorithm import evolve
from evolift.evolution.job.block_workers import Block, BlockWorkers, Job
from evolift.evolution.job.breeding import Tally
from evolift.evolution.kinematics.direction_cells import cell_of
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.limits.anatomical_limits import AnatomicalLimits
from evolift.evolution.operators.immigration import draw_limbs, redraw_directions
from evolift.evolution.settings import ALGORITHM_1
from evolift.posedata.skeleton import H36M17
from evolift.posedata.store import PoseStore
from tests.evolution.operators.test_mutation import bodies, generator


class BackwardWorkers(BlockWorkers):
    """Breeds the last block of a generation first, and forgets in between what it has opened."""

    def breed(self, job: Job, blocks: Sequence[Block]) -> Iterator[Tally]:
        tallies = []
        for block in reversed(blocks):
            tallies += list(super().breed(job, [block]))
            self.close()
        yield from reversed(tallies)


TREE = KinematicTree(H36M17)
LIMITS = AnatomicalLimits(TREE)
LIMBS = [bone for bone, limb in enumerate(TREE.is_limb) if limb]


def test_whole_limbs_are_drawn() -> None:
    everyone = torch.arange(4000) % 4 > 0
    drawn = draw_limbs(TREE, everyone, LIMITS.limited, generator())
    assert not drawn[~everyone].any()
    assert drawn[everyone].any(-1).all()
    others = [bone for bone, limb in enumerate(TREE.is_limb) if not limb]
    assert not drawn[:, others].any()
    for side in ("left", "right"):
        for upper, lower in (("elbow", "wrist"), ("knee", "ankle")):
            one, other = TREE.bone(f"{side}_{upper}"), TREE.bone(f"{side}_{lower}")
            assert (drawn[:, one] == drawn[:, other]).all()
            # One half, and the one sixteenth of bodies without a limb has all four.
            assert abs(float(drawn[everyone, one].float().mean()) - 9 / 16) < 0.03
    none = draw_limbs(TREE, everyone, (False,) * 16, generator())
    assert not none.any()


def test_directions_are_uniform_over_what_is_allowed() -> None:
    parent = bodies(1)[torch.zeros(3000, dtype=torch.int64)]
    drawn = torch.zeros(3000, 16, dtype=torch.bool)
    drawn[:, LIMBS] = True
    after = redraw_directions(parent, drawn, TREE, LIMITS.check_local, generator())
    verdicts = LIMITS.check_local(after)[:, LIMBS]
    assert verdicts.all(-1).float().mean() > 0.9
    kept = [bone for bone in range(16) if bone not in LIMBS]
    torch.testing.assert_close(after.directions[:, kept], parent.directions[:, kept])
    torch.testing.assert_close(after.lengths, parent.lengths)
    torch.testing.assert_close(after.directions.norm(dim=-1), torch.ones(3000, 16))
    # The slow twin: uniform directions of the upper arm, those kept that the limits allow.
    arm = TREE.bone("left_elbow")
    tried = parent.directions.clone()
    tried[:, arm] = torch.nn.functional.normalize(torch.randn(3000, 3, generator=generator(7)), dim=-1)
    inside = LIMITS.check_local(parent.with_values(directions=tried))[:, arm]
    for statistic in (lambda x: x.mean(0), lambda x: x.square().mean(0)):
        torch.testing.assert_close(
            statistic(after.directions[:, arm]), statistic(tried[inside, arm]), atol=0.05, rtol=0
        )


def immigrants(n: int, **density: object) -> torch.Tensor:
    """Directions of the limbs of n immigrants of one parent."""
    parent = bodies(1)[torch.zeros(n, dtype=torch.int64)]
    drawn = torch.zeros(n, 16, dtype=torch.bool)
    drawn[:, LIMBS] = True
    after = redraw_directions(parent, drawn, TREE, LIMITS.check_local, generator(), **density)  # type: ignore[arg-type]
    assert LIMITS.check_local(after)[:, LIMBS].all(-1).float().mean() > 0.9
    return after.directions


def allowed(n: int) -> torch.Tensor:
    """Directions of those of n poses whose limbs keep the limits."""
    poses = bodies(n, seed=1)
    return poses.directions[LIMITS.check_local(poses)[:, LIMBS].all(-1)]


def shares_of_cells(directions: torch.Tensor) -> torch.Tensor:
    return torch.bincount(cell_of(directions.T, 6), minlength=36) / len(directions)


def test_with_all_weight_the_directions_are_distributed_as_the_populations() -> None:
    seen = allowed(6000)
    assert len(seen) > 500
    uniform, like_seen = immigrants(4000), immigrants(4000, seen=seen, weight=1.0)
    for bone in LIMBS:
        wanted = shares_of_cells(seen[:, bone])
        apart = [(shares_of_cells(one[:, bone]) - wanted).abs().sum() / 2 for one in (uniform, like_seen)]
        assert apart[1] < 0.12, TREE.names[bone]
        assert apart[0] > 0.3, TREE.names[bone]


def test_the_weight_is_the_share_of_bones_that_follow_the_population() -> None:
    seen = allowed(100)[:1]
    for weight in (0.0, 0.25, 1.0):
        drawn = immigrants(3000, seen=seen, weight=weight)
        near = ((drawn * seen).sum(-1) > 0.95)[:, LIMBS].float().mean()
        by_chance = ((immigrants(3000) * seen).sum(-1) > 0.95)[:, LIMBS].float().mean()
        assert float(near) == pytest.approx(float(weight + (1 - weight) * by_chance), abs=0.02)


def test_the_bones_of_a_limb_come_from_different_poses() -> None:
    two = allowed(100)[:2]
    arm, forearm = TREE.bone("left_elbow"), TREE.bone("left_wrist")
    # Far enough apart to tell whose direction a bone has.
    two[1, arm], two[1, forearm] = two[0, arm], two[0, forearm]
    angle = torch.tensor(0.6)
    for bone in (arm, forearm):
        sideways = torch.linalg.cross(two[0, bone], torch.tensor([1.0, 0.0, 0.0]))
        two[1, bone] = torch.nn.functional.normalize(two[0, bone] + angle * sideways, dim=0)
    parent = bodies(1)[torch.zeros(2000, dtype=torch.int64)]
    drawn = torch.zeros(2000, 16, dtype=torch.bool)
    drawn[:, [arm, forearm]] = True
    after = redraw_directions(
        parent,
        drawn,
        TREE,
        lambda local: torch.ones(len(local), 16, dtype=torch.bool),
        generator(),
        seen=two,
        weight=1.0,
    )
    whose = ((after.directions[:, None] - two).norm(dim=-1)).argmin(1)
    pairs = torch.bincount(2 * whose[:, arm] + whose[:, forearm], minlength=4) / 2000
    assert (pairs - 0.25).abs().max() < 0.04


def test_a_run_with_a_density_is_the_same_whoever_breeds_and_another_than_without(
    tiny_store: Path, tmp_path: Path
) -> None:
    settings = ALGORITHM_1.replaced(ratio=4.0, generations=2, immigrant_rate=0.5, immigrant_density=0.5)
    evolve(tiny_store, tmp_path / "one.h5", settings, block=50)
    with BackwardWorkers() as workers:
        evolve(tiny_store, tmp_path / "two.h5", settings, block=50, workers=workers)
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "two.h5").read_bytes()
    evolve(tiny_store, tmp_path / "uniform.h5", settings.replaced(immigrant_density=0.0), block=50)
    joints = []
    for name in ("one.h5", "uniform.h5"):
        with PoseStore(tmp_path / name) as store:
            joints.append(store.read().joints_3d)
            assert LIMITS.accepts(torch.from_numpy(joints[-1][64:])).all()
    assert not (joints[0] == joints[1]).all()


def test_a_bone_with_nowhere_to_go_is_left_to_selection() -> None:
    parent = bodies(5)
    drawn = torch.zeros(5, 16, dtype=torch.bool)
    drawn[:, LIMBS] = True
    after = redraw_directions(
        parent, drawn, TREE, lambda local: torch.zeros(len(local), 16, dtype=torch.bool), generator()
    )
    assert after.directions.isfinite().all()
    # Forearms and shins wait for what they hang on.
    wrist = TREE.bone("left_wrist")
    torch.testing.assert_close(after.directions[:, wrist], parent.directions[:, wrist])


def test_immigrants_are_named_and_keep_the_limits(tiny_store: Path, tmp_path: Path) -> None:
    settings = ALGORITHM_1.replaced(
        ratio=4.0, generations=2, crossover_rate=0.0, mutation_rate=0.0, immigrant_rate=1.0
    )
    evolve(tiny_store, tmp_path / "out.h5", settings)
    with PoseStore(tmp_path / "out.h5") as store:
        poses = store.read()
    assert poses.lineage is not None
    assert poses.joints_3d is not None
    assert set(poses.lineage.operator[64:]) == {"immigration"}
    assert LIMITS.accepts(torch.from_numpy(poses.joints_3d[64:])).all()
