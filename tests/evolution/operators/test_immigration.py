"""Immigrants: which bones are drawn anew, that they keep the limits and go everywhere within them."""

from __future__ import annotations

from pathlib import Path

import torch

from evolift.evolution.job.algorithm import evolve
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.limits.anatomical_limits import AnatomicalLimits
from evolift.evolution.operators.immigration import draw_limbs, redraw_directions
from evolift.evolution.settings import ALGORITHM_1
from evolift.posedata.skeleton import H36M17
from evolift.posedata.store import PoseStore
from tests.evolution.operators.test_mutation import bodies, generator

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
