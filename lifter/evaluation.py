"""How good lifters are on a pose store: tables per joint, subject and action, and Markdown of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from evolift.lifter.data.pairs import Pairs, fixed_pairs
from evolift.lifter.data.pose_source import PosePart
from evolift.lifter.joint_uncertainty import LiftedJoints, expected_error
from evolift.lifter.lifter import Lifter
from evolift.lifter.protocol import (
    Protocol,
    cameras_in_words,
    check_pairs,
    chosen_rows,
    input_in_words,
    protocol_lines,
    scored_skeleton,
    thinned,
)
from evolift.lifter.reliability import calibration_error, reliability
from evolift.lifter.settings import EVALUATION_PAIRS, EVERYTHING_SCORED, PairSettings, ProtocolSettings
from evolift.posedata.errors import InputError
from evolift.posedata.input_file import FilePath
from evolift.posedata.metrics import ACTION_WISE, COLUMNS, score_table
from evolift.posedata.predictions.levelled_poses import tell_levelled
from evolift.posedata.skeleton import Skeleton
from evolift.posedata.store import PoseStore

BLOCK = 4096
"""Pairs that are lifted at a time."""

EVERY_POSE = 10**12


@dataclass(frozen=True, eq=False)
class TestSet:
    """Pairs with their labels.

    Args:
        pairs: as cameras see the poses.
        rows: row of the store that each pair shows.
        subject, action: of each pair.
        skeleton: of the joints.
        scored: those of them that are scored.
        protocol: what the scores are of.
    """

    __test__ = False  # not a test case of pytest

    pairs: Pairs
    rows: Int64[np.ndarray, "pairs"]
    subject: pd.Categorical
    action: pd.Categorical
    skeleton: Skeleton
    scored: Skeleton
    protocol: Protocol

    @property
    def truth(self) -> Float[Tensor, "pairs joints 3"]:
        """Root-relative joints in the camera frame, mm."""
        return self.pairs.root_relative(self.skeleton.root)


def open_test_set(
    path: FilePath,
    skeleton: Skeleton,
    pairs: PairSettings = EVALUATION_PAIRS,
    *,
    seed: int = 0,
    subjects: tuple[str, ...] = (),
    actions: tuple[str, ...] = (),
    poses: int = EVERY_POSE,
    protocol: ProtocolSettings = EVERYTHING_SCORED,
) -> TestSet:
    """Poses of a store as fixed cameras see them.

    Args:
        path: of the store.
        skeleton: of the lifters.
        pairs: cameras and noise; flips are left out.
        seed: of cameras and noise.
        subjects, actions: use only these; all if empty.
        poses: at most so many, evenly spread.
        protocol: joints and frames that are scored; a published one wants `pairs` with the store's cameras.

    Raises:
        InputError: a name is not in the store, nothing is left, or something contradicts the protocol.
        StoreError: the store is not sound.
    """
    path = Path(path)
    check_pairs(protocol, pairs, None if poses == EVERY_POSE else poses)
    scored = scored_skeleton(skeleton, protocol)
    with PoseStore(path) as store:
        tell_levelled(store)
        table = store.table()
    rows, action, test_set = chosen_rows(path, table, protocol, subjects=subjects, actions=actions)
    rows, frames = thinned(path, table, rows, protocol.every)
    part = PosePart(path, rows, skeleton, rows_in_memory=0)
    seen, shown = fixed_pairs(part, pairs, seed, count=poses)
    labels = table.iloc[shown]
    record = Protocol(
        name=protocol.protocol or "own",
        joints=len(set(scored.joints) - {skeleton.joints[joint] for joint in part.lacking}),
        cameras=cameras_in_words(pairs, labels),
        input_2d=input_in_words(pairs, seen, from_store=pairs.cameras == "store" and part.has_pixels),
        frames=frames if poses >= len(rows) else f"{frames}, of these {poses} evenly spread",
        test_set=test_set,
    )
    return TestSet(seen, shown, labels["subject"].array, action[shown], skeleton, scored, record)


def scored_pairs(pairs: PairSettings) -> PairSettings:
    """Cameras and noise as in training, but each pose whole, once, by cameras that stay."""
    return pairs.replaced(ring=EVALUATION_PAIRS.ring, flip=False, missing=0.0, missing_limbs=0.0, swapped=0.0)


def predict(
    model: Lifter, tests: TestSet, *, flip_test: bool = False, rays: bool = False
) -> Float[Tensor, "pairs joints 3"]:
    """Root-relative joints, mm; a lifter of target `z` gets x and y from the truth, and so is scored on z alone.

    Args:
        model: of the tests' skeleton.
        tests: the poses.
        flip_test, rays: as `Lifter.lift` takes them.

    Raises:
        InputError: the lifter is of another skeleton, or `rays` do not go with its target.
    """
    return _predicted(model, tests, flip_test=flip_test, rays=rays).joints


@torch.no_grad()
def _predicted(model: Lifter, tests: TestSet, *, flip_test: bool = False, rays: bool = False) -> LiftedJoints:
    if model.skeleton != tests.skeleton:
        raise InputError(
            f"the lifter is for {model.skeleton.name}, the poses are {tests.skeleton.name}: open them in its skeleton"
        )
    truth, pairs = tests.truth, tests.pairs
    given = pairs.pixels
    if model.settings.input_axes == 3:
        given = torch.cat([given, truth[..., 2:].nan_to_num(0.0)], -1)
    fast = model.folded()
    parts = [
        fast.lift_with_sigma(
            given[at : at + BLOCK],
            pairs.visibility[at : at + BLOCK],
            pairs.cameras.size[at : at + BLOCK],
            pairs.lens.of_rows(slice(at, at + BLOCK)),
            flip_test=flip_test,
            rays=rays,
        )
        for at in range(0, len(pairs), BLOCK)
    ]
    joints = torch.cat([part.joints for part in parts])
    if model.settings.target == "z":
        joints = torch.cat([truth[..., :2], joints], -1)
    sigmas = [part.sigma for part in parts if part.sigma is not None]
    return LiftedJoints(joints, torch.cat(sigmas) if sigmas else None)


def expected_and_error(
    model: Lifter, tests: TestSet
) -> tuple[Float[Tensor, "pairs joints"], Float[Tensor, "pairs joints"]]:
    """How far each joint is said to be off, and how far it is, mm; NaN of the root, unlabelled joints and those that are not scored.

    Args:
        model: that tells how sure it is (`LifterSettings.uncertainty`).
        tests: the poses.

    Raises:
        InputError: the lifter is of another skeleton.
    """
    return _expected_and_error(model, _predicted(model, tests), tests)


def _expected_and_error(model: Lifter, lifted: LiftedJoints, tests: TestSet) -> tuple[Tensor, Tensor]:
    assert lifted.sigma is not None
    error = torch.linalg.vector_norm(lifted.joints - tests.truth, dim=-1)
    scored = [tests.skeleton.index(joint) for joint in tests.scored.joints]
    left_out = [j for j in range(len(tests.skeleton)) if j not in scored or j == tests.skeleton.root]
    error[:, left_out] = torch.nan
    expected = expected_error(lifted.sigma, model.settings.target_axes)
    return torch.where(error.isfinite(), expected, torch.nan), error


def evaluate_lifters(
    models: Mapping[str, Lifter], tests: TestSet, *, flip_test: bool = False, rays: bool = False
) -> pd.DataFrame:
    """`evolift.posedata.metrics.score_table` of each lifter, one under the other with the column `checkpoint` first.

    Lifters that tell how sure they are of a joint get, in the rows over all poses, `error_over_expected`, the mean error of joints over the
    one that their sigma says (1 where it is right), and `calibration_error` (mm, see `evolift.lifter.reliability`).

    The last columns hold the protocol: what each row is a mean over (`mean_over`), how the lifter's input is normalised,
    what it answers, and those of `evolift.lifter.protocol.Protocol.columns`, alike in all rows.

    Args:
        models: by the name they are shown under.
        tests: the poses.
        flip_test, rays: as `Lifter.lift` takes them; `rays` with the cameras of the tests.

    Raises:
        InputError: a lifter is of another skeleton, or `rays` do not go with its target.
    """
    tables = []
    kept = [tests.skeleton.index(joint) for joint in tests.scored.joints]
    for name, model in models.items():
        lifted = _predicted(model, tests, flip_test=flip_test, rays=rays)
        table = score_table(
            lifted.joints[:, kept], tests.truth[:, kept], tests.subject, tests.action, tests.scored
        )
        if lifted.sigma is not None:
            expected, error = (
                values[values.isfinite()].double().numpy()
                for values in _expected_and_error(model, lifted, tests)
            )
            is_overall = table["group"] == "all"
            table.loc[is_overall, "error_over_expected"] = error.mean() / expected.mean()
            table.loc[is_overall, "calibration_error"] = calibration_error(reliability(expected, error))
        table.insert(0, "checkpoint", name)
        tables.append(table.assign(**_how_lifted(model), flip_test=flip_test, rays=rays))
    scores = pd.concat(tables, ignore_index=True)
    scores["mean_over"] = np.where(scores["name"] == ACTION_WISE, "actions", "poses")
    return scores.assign(**tests.protocol.columns())


def _how_lifted(model: Lifter) -> dict[str, str]:
    settings = model.settings
    answer = "x, y, z" if settings.target == "xyz" else "z alone (x and y from the truth)"
    if settings.is_turned:
        answer += ", turned by the cameras' intrinsics"
    return {
        "normalisation": settings.normalisation,
        "answer": answer if settings.input_axes == 2 else f"{answer} of 2D and true depth",
    }


def markdown_report(scores: pd.DataFrame) -> str:
    """The scores of `evaluate_lifters` as Markdown: all metrics overall, then MPJPE and P-MPJPE side by side."""
    overall = scores[scores["group"] == "all"]
    lines = ["# Lifters compared", "", *protocol_lines(scores), ""]
    lines += ["Errors in mm, PCK@150 and AUC from 0 to 1.", ""]
    lines += markdown_table(
        ["checkpoint", "mean over", "poses", *COLUMNS],
        [
            [str(row["checkpoint"]), str(row["name"]), str(row["poses"]), *_cells(row)]
            for _, row in overall.iterrows()
        ],
    )
    names = list(dict.fromkeys(scores["checkpoint"]))
    for group in ("action", "subject", "joint"):
        part = scores[scores["group"] == group]
        for metric in ("mpjpe", "p_mpjpe"):
            wide = part.pivot_table(index="name", columns="checkpoint", values=metric, sort=False)
            lines += ["", f"## {metric} per {group}, mm", ""]
            lines += markdown_table(
                [group, *names],
                [[str(name), *(f"{wide.loc[name, column]:.1f}" for column in names)] for name in wide.index],
            )
    return "\n".join(lines) + "\n"


def _cells(row: pd.Series) -> list[str]:
    return [f"{row[column]:.1f}" if "mpjpe" in column else f"{row[column]:.3f}" for column in COLUMNS]


def markdown_table(header: list[str], rows: list[list[str]]) -> list[str]:
    """The lines of a table of Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
