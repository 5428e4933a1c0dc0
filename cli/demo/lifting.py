"""Second part: lifters that learn from a few recorded poses, without and with poses bred from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from evolift.cli.demo.jobs import Job
from evolift.cli.demo.plan import DemoPlan
from evolift.lifter.settings import LifterSettings

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Float32

WITHOUT, WITH = "without", "with"
SHARE_BRED = 0.5
"""Of the draws: 54 recorded poses and 1,026 bred ones drawn alike would hardly show the recorded ones."""


@dataclass(frozen=True)
class Network:
    """What is trained.

    Args:
        name: on the page.
        settings: with the sizes and the dropout of the architecture where none are named.
        choices: without, with evolved poses or both.
    """

    name: str
    settings: LifterSettings
    choices: tuple[str, ...]


SEMGCN, MARTINEZ = "semgcn", "martinez"
NETWORKS = {
    SEMGCN: Network("SemGCN", LifterSettings(architecture="semgcn"), (WITHOUT, WITH)),
    # The best of those tried on the held-out clips (docs/results.md); the published dropout of a half is for millions of poses.
    MARTINEZ: Network(
        "Martinez MLP", LifterSettings(architecture="martinez", hidden=512, dropout=0.25), (WITH,)
    ),
}


@dataclass(frozen=True, eq=False)
class LiftingResult:
    """Scores on the test person.

    Args:
        scores: a row per network, choice of poses and seed: `network`, `poses`, `seed`, `mpjpe`, `p_mpjpe`.
        test_poses: how many were scored.
        shown: truth, without and with evolved poses, of three test poses; SemGCN of the first seed, camera frame.
    """

    scores: pd.DataFrame
    test_poses: int
    shown: Float32[np.ndarray, "poses 3 joints 3"]


def lifting_jobs(plan: DemoPlan) -> dict[str, Job]:
    """All trainings; the slow ones first, so that no core is left with one of them at the end."""
    return {training.name: (train_one, (plan, training)) for training in _trainings(plan)}


@dataclass(frozen=True)
class Training:
    """One lifter: which of `NETWORKS`, the poses that it learns from, and its seed."""

    network: str
    poses: str
    seed: int

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.network}_{self.poses}_{self.seed}"


def _trainings(plan: DemoPlan) -> list[Training]:
    seeds = range(plan.seed, plan.seed + plan.seeds)
    return [
        Training(network, poses, seed)
        for network, its in NETWORKS.items()
        for seed in seeds
        for poses in its.choices
    ]


def train_one(plan: DemoPlan, one: Training) -> None:
    """Train one lifter into a folder of its own."""
    from evolift.lifter.settings import LifterTrainingSettings
    from evolift.lifter.training import train_lifter

    training = LifterTrainingSettings(
        steps=plan.lifter_steps,
        validate_every=plan.lifter_steps,
        seed=one.seed,
        evolved_share=SHARE_BRED if one.poses == WITH else None,
        accelerator="cpu",
        progress=False,
    )
    train_lifter(
        plan.path("evolved.h5" if one.poses == WITH else "few.h5"),
        plan.path(one.name),
        validation=plan.path("validation.h5"),
        lifter=NETWORKS[one.network].settings,
        training=training,
    )


def score_lifters(plan: DemoPlan) -> LiftingResult:
    """Score every lifter on the test person, as four cameras of a room see it."""
    import pandas as pd

    from evolift.lifter.evaluation import evaluate_lifters, open_test_set, predict
    from evolift.lifter.model import LifterModel
    from evolift.posedata.skeleton import H36M17

    tests = open_test_set(plan.path("test.h5"), H36M17)
    rows = []
    models = {}
    for one in _trainings(plan):
        # No step was chosen: the last one counts.
        models[one.name] = LifterModel.load(plan.path(one.name) / "last.safetensors")
        table = evaluate_lifters({one.name: models[one.name]}, tests)
        overall = table[table["name"] == "overall"].iloc[0]
        rows.append(
            {
                "network": NETWORKS[one.network].name,
                "poses": one.poses,
                "seed": one.seed,
                "mpjpe": float(overall["mpjpe"]),
                "p_mpjpe": float(overall["p_mpjpe"]),
            }
        )
    pairs = [predict(models[Training(SEMGCN, poses, plan.seed).name], tests) for poses in (WITHOUT, WITH)]
    # Evenly spread over the test clips, whatever their errors.
    chosen = np.linspace(0, len(tests.truth) - 1, 5).round().astype(int)[1:-1]
    shown = np.stack([part.numpy()[chosen] for part in (tests.truth, *pairs)], 1)
    return LiftingResult(pd.DataFrame(rows), len(np.unique(tests.rows)), shown)
