"""Evolution in a loop with a lifter: evolve, train briefly, score, and evolve anew where the lifter errs.

Every round evolves the source and trains a lifter on the result. The parents of the first round are all alike; in every later one they
are drawn by a pressure: the errors of the lifter before (the active mode of Li et al., CVPR 2020), or their distance to others; children too
once they may be parents. The loop ends when the error on poses that were never trained on no longer falls.

Each lifter is trained anew, with the same first weights, cameras and steps. A lifter that were trained further and further would err less
whatever it is given, and no rule could tell when to stop. Populations of one size differ by some millimetres through the seed that they
are bred with, and the best of several is better than one by luck alone. So each round has a seed of its own, and a control with it: as many poses
of parents drawn alike. What a pressure gains over the controls, in the mean of the rounds, is what it is worth.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from torch import Tensor

from evolift.evolution.job.algorithm import evolve
from evolift.evolution.job.block_workers import BlockWorkers
from evolift.evolution.job.work_folder import WorkFolder
from evolift.evolution.settings import EvolutionSettings
from evolift.lifter.evaluation import TestSet, evaluate_lifters, open_test_set, scored_pairs
from evolift.lifter.loop_report import ERRORS, UNIFORM, kept_row, table_of_rounds, write_loop_page
from evolift.lifter.loop_settings import LoopSettings
from evolift.lifter.model import LifterModel
from evolift.lifter.pose_hardness import PoseHardness
from evolift.lifter.settings import LifterSettings, LifterTrainingSettings, Split, lifter_settings_for
from evolift.lifter.training import train_lifter
from evolift.posedata.errors import InputError
from evolift.posedata.input_file import FilePath, as_path, as_paths
from evolift.posedata.metrics import joint_errors
from evolift.posedata.output_file import whole_file
from evolift.posedata.settings import require_settings
from evolift.posedata.shared_poses import shared_poses
from evolift.posedata.skeleton import Skeleton
from evolift.posedata.store import PoseStore
from evolift.training.run_folder import run_folder, run_record

STORE, LIFTER = "evolved.h5", "lifter.safetensors"
READ_ROWS = 65536

_log = logging.getLogger(__name__)


def evolve_in_loop(
    source: FilePath,
    output: FilePath,
    evolution: EvolutionSettings = EvolutionSettings(),
    loop: LoopSettings = LoopSettings(),
    *,
    validation: FilePath | Sequence[FilePath],
    donors: FilePath | Sequence[FilePath] = (),
    overwrite: bool = False,
    resume: bool = False,
    workers: BlockWorkers | None = None,
    device: str = "cpu",
    on_round: Callable[[Mapping[str, Any]], object] = lambda row: None,
) -> pd.DataFrame:
    """Evolve a store in rounds; `output` then holds `evolved.h5` and `lifter.safetensors`, of what erred least, and what each round gained.

    Args:
        source: store of 3D poses, as `evolift.evolution.job.algorithm.evolve` takes it.
        output: the folder to make. It keeps all stores and the runs of their lifters, so that an interrupted loop goes on.
        evolution: of every round; its `sampling` is the loop's own, and round `n` is bred with its seed + `n` - 1.
        loop: rounds, pressures, trainings and the rule to stop.
        validation: stores of other poses, best of other people, whose error decides.
        donors: stores whose poses give limbs, as `evolve` takes them.
        overwrite: replace the folder if it exists.
        resume: go on with an interrupted loop, or with more rounds; what is whole in the folder is not made again.
        workers: who breeds; they never change the result.
        device: where children are bred, as `evolve` takes it.
        on_round: is told each row when its lifter has been scored.

    Returns:
        A row per training: `round`; `sampling`, how parents were drawn, `uniform` for the first round and the controls; `children`;
        `hardness` and `hardest tenth`, mean error of its lifter on all originals and on the tenth that it finds hardest, mm; `mpjpe` and
        `p_mpjpe` on the validation stores, mm, their mean; `gain, %` of the MPJPE over that of the round's control, or of the first round
        without controls; `kept`, True for what erred least; and the MPJPE of each joint, left and right together, mm.

    Raises:
        InputError: `evolution` has a sampling, there is no `validation`, or all of its poses teach, a store cannot be evolved or scored,
            or a lifter errs no less than one that always answers the mean pose.
        StoreError: a store is not sound.
        OutputError: the folder exists, or cannot be written.
    """
    require_settings("evolution", evolution, EvolutionSettings)
    require_settings("loop", loop, LoopSettings)
    if evolution.sampling != "uniform":
        raise InputError("`sampling` is the loop's own: name `pressures` instead")
    source, output = as_path(source, "source"), as_path(output, "output")
    validation, donors = as_paths(validation, "validation"), as_paths(donors, "donors")
    if not validation:
        raise InputError(
            "a loop needs `validation`, a store of poses that it neither evolves nor trains on, best of another person: their error says when it ends and what is kept"
        )
    record = run_record(
        "evolift evolve",
        evolution,
        loop,
        source=source,
        validation=validation,
        donors=donors,
        output=output,
    )
    with run_folder(output, record, overwrite=overwrite, resume=resume):
        try:
            return _rounds(source, output, evolution, loop, validation, donors, workers, device, on_round)
        except (KeyboardInterrupt, SystemExit) as interruption:
            # In place of what the stage says that was at work, which is a part of this.
            interruption.__notes__ = [
                f"{output} holds the rounds so far: the same command with --resume goes on."
            ]
            raise


@dataclass(frozen=True, eq=False)
class _Judge:
    """The stores that lifters are scored on, and the MPJPE of one that always answers the mean pose, mm."""

    stores: Sequence[Path]
    tests: Sequence[TestSet]
    unlearnt: float


def _rounds(
    source: Path,
    folder: Path,
    evolution: EvolutionSettings,
    loop: LoopSettings,
    validation: Sequence[Path],
    donors: Sequence[Path],
    workers: BlockWorkers | None,
    device: str,
    on_round: Callable[[Mapping[str, Any]], object],
) -> pd.DataFrame:
    with PoseStore(source) as store:
        lifter, training = _settings_of_rounds(store.skeleton, evolution.seed, loop)
    judge = _judge(validation, [source, *donors], lifter, training, loop)
    rows: list[dict[str, Any]] = []
    weigher: Path | None = None
    for number in range(1, loop.rounds + 1):
        score = None if weigher is None else PoseHardness(LifterModel.load(weigher))
        weighing: dict[str, Any] = {
            "hardness": score,
            "further_inputs": () if weigher is None else (weigher,),
        }
        for sampling in loop.samplings(number):
            store_path, run = _places(folder, number, sampling)
            report = evolve(
                source,
                store_path,
                evolution.replaced(sampling=sampling, seed=(evolution.seed + number - 1) % 2**32),
                # Goes on with what is there, and is done at once if all of it is.
                resume=store_path.exists() or WorkFolder.beside(store_path).exists(),
                workers=workers,
                donors=donors,
                device=device,
                **(weighing if sampling == "hardness" else {}),
            )
            checkpoint = run / "last.safetensors"
            model = _trained(store_path, checkpoint, judge.stores, lifter, training)
            errors = _hardness(PoseHardness(model), store_path, report.originals)
            row = {"round": number, "sampling": sampling, "children": report.children} | _hardness_row(errors)
            rows.append(row | _scores(model, judge.tests))
            # The last poses of parents drawn alike are the round's control, or the first round's.
            control = next(one for one in reversed(rows) if one["sampling"] == UNIFORM)
            rows[-1]["gain, %"] = 100 * (1 - rows[-1]["mpjpe"] / control["mpjpe"])
            table = table_of_rounds(rows, folder)
            _require_learnt(rows[-1], run, source, judge, loop)
            on_round(rows[-1])
            if sampling == "hardness" or number == 1:
                weigher = checkpoint
        if is_over(_errors_of_rounds(table), loop):
            break
    _keep(folder, table)
    write_loop_page(table, folder, source, judge.stores)
    return table


def _settings_of_rounds(
    skeleton: Skeleton, seed: int, loop: LoopSettings
) -> tuple[LifterSettings, LifterTrainingSettings]:
    lifter, training = lifter_settings_for(loop.use)
    return lifter.replaced(skeleton=skeleton), training.replaced(
        steps=loop.steps_per_round,
        validate_every=loop.steps_per_round,
        seed=seed,
        split=Split(validation_share=0.0),
        evolved_share=loop.evolved_share,
        evolved_warm_up=0,  # a round is short, and what its poses gain must show
    )


def _judge(
    validation: Sequence[Path],
    teachers: Sequence[Path],
    lifter: LifterSettings,
    training: LifterTrainingSettings,
    loop: LoopSettings,
) -> _Judge:
    """Open the validation stores.

    Args:
        validation: their paths.
        teachers: stores whose poses are evolved and trained on, or give limbs.
        lifter, training: of all rounds.
        loop: how many poses are scored.

    Raises:
        InputError: all poses of one that would be scored are in the teachers too.
    """
    pairs = scored_pairs(training.pairs)
    tests = []
    for path in validation:
        test = open_test_set(path, lifter.skeleton, pairs, poses=loop.validation_poses)
        tests.append(test)
        with ExitStack() as stack:
            scored = stack.enter_context(PoseStore(path, validate=False)).read(np.unique(test.rows)).joints_3d
            assert scored is not None  # it has just been opened to be scored
            shared = shared_poses(
                scored, [stack.enter_context(PoseStore(teacher, validate=False)) for teacher in teachers]
            )
        said = f"of its {len(shared)} poses that would be scored, {shared.sum()} are in {', '.join(one.name for one in teachers)} too"
        if shared.all():
            raise InputError(
                f"{path}: {said}, and a lifter errs little on what taught it: give as `validation` other poses, best of another person"
            )
        if shared.any():
            _log.warning("%s: %s.", path, said)
    return _Judge(validation, tests, float(np.mean([_error_of_mean_pose(test.truth) for test in tests])))


def _require_learnt(
    row: Mapping[str, Any], run: Path, source: Path, judge: _Judge, loop: LoopSettings
) -> None:
    if not row["mpjpe"] < judge.unlearnt:
        raise InputError(
            f"{run}: after {loop.steps_per_round} steps the lifter of round {row['round']} errs by {row['mpjpe']:.0f} mm on {judge.stores[0].name}, "
            f"no less than one that always answers the mean pose ({judge.unlearnt:.0f} mm): it learns nothing of {source.name}, so there is nothing to evolve by. "
            "Train longer by `steps_per_round`, or look whether unit, axes and sides of the poses are right by `evolift limits check`"
        )


def _errors_of_rounds(table: pd.DataFrame) -> list[float]:
    """MPJPE of each round, mm; controls do not count, and of several pressures the one that errs least does."""
    led = table[(table["round"] == 1) | (table["sampling"] != UNIFORM)]
    errors: list[float] = led.groupby("round")["mpjpe"].min().tolist()
    return errors


def is_over(errors: Sequence[float], loop: LoopSettings) -> bool:
    """Whether the last `patience` rounds have gained no more than `min_gain` per cent on the best one before them.

    Args:
        errors: of the rounds so far, mm.
        loop: the rule.
    """
    before, recent = errors[: -loop.patience], errors[-loop.patience :]
    return bool(before) and min(recent) >= min(before) * (1 - loop.min_gain / 100)


def _places(folder: Path, number: int, sampling: str) -> tuple[Path, Path]:
    """The store of a round's population, and the run of its lifter."""
    run = folder / f"round_{number}_{sampling}"
    return run.with_suffix(".h5"), run


def _trained(
    store: Path,
    checkpoint: Path,
    scored: Sequence[Path],
    lifter: LifterSettings,
    training: LifterTrainingSettings,
) -> LifterModel:
    """The lifter of a population; it is saved once, when it is whole."""
    if not checkpoint.exists():
        # Validation needs some poses; it is made once, at the end, and nothing is chosen by it.
        train_lifter(
            store,
            checkpoint.parent,
            validation=scored[:1],
            lifter=lifter,
            training=training,
            overwrite=True,
        )
    return LifterModel.load(checkpoint)


def _error_of_mean_pose(truth: Float[Tensor, "pairs joints 3"]) -> float:
    """MPJPE of the one answer that is best for all poses, mm; joints without a label stay out."""
    return float(joint_errors(truth.nanmean(0).expand_as(truth), truth).nanmean())


def _hardness(score: PoseHardness, store: Path, originals: int) -> Float[np.ndarray, "originals"]:
    """Error of a lifter on each original, mm, which an evolved store has first."""
    parts = []
    with PoseStore(store, validate=False) as evolved:
        for start in range(0, originals, READ_ROWS):
            joints = evolved.read(slice(start, min(start + READ_ROWS, originals))).joints_3d
            assert joints is not None  # evolution works on 3D poses
            parts.append(score(joints))
    return np.concatenate(parts)


def _hardness_row(hardness: Float[np.ndarray, "originals"]) -> dict[str, float]:
    hardest = np.sort(hardness)[-max(1, len(hardness) // 10) :]
    return {"hardness": float(hardness.mean()), "hardest tenth": float(hardest.mean())}


def _scores(model: LifterModel, tests: Sequence[TestSet]) -> dict[str, float]:
    """Means over the stores: both errors, and that of each joint, left and right together."""
    scores = pd.concat([evaluate_lifters({"lifter": model}, test) for test in tests])
    overall = scores[(scores["group"] == "all") & (scores["name"] == "overall")]
    joints = scores[(scores["group"] == "joint") & (scores["mpjpe"] > 0)]  # neither root nor unlabelled
    names = joints["name"].str.replace(r"^(left|right)_", "", regex=True)
    of_joints = joints.groupby(names, sort=False)["mpjpe"].mean()
    errors = {name: float(overall[name].mean()) for name in ERRORS}
    return errors | {str(name): float(error) for name, error in of_joints.items()}


def _keep(folder: Path, table: pd.DataFrame) -> None:
    """Store and lifter of what erred least, under the names that tell neither round nor sampling."""
    kept = kept_row(table)
    store, run = _places(folder, int(kept["round"]), kept["sampling"])
    for made, name in ((store, STORE), (run / "last.safetensors", LIFTER)):
        with whole_file(folder / name, overwrite=True) as new:
            shutil.copyfile(made, new)
