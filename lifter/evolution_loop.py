"""Evolution in a loop with a lifter: evolve, train briefly, score, and evolve anew where the lifter errs.

Every round evolves the source and trains a lifter on the result. The parents of the first round are all alike; in every later one they
are drawn by the errors of the lifter before (the active mode of Li et al., CVPR 2020), children too once they may be parents. The loop
ends when the error on poses that were never trained on no longer falls.

Each lifter is trained anew, with the same first weights, cameras and steps, and each population is bred with the same seed. So what an
error gains on that of another round is what the poses gain. A lifter that were trained further and further would err less whatever
it is given, and no rule could tell when to stop.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, UInt8
from torch import Tensor

from evolift.drawing.figures import figure_image, new_figure, plot_bars, plot_curves
from evolift.drawing.report_page import ReportPage
from evolift.evolution.job.algorithm import evolve
from evolift.evolution.job.block_workers import BlockWorkers
from evolift.evolution.job.work_folder import WorkFolder
from evolift.evolution.settings import EvolutionSettings
from evolift.lifter.evaluation import TestSet, evaluate_lifters, open_test_set, scored_pairs
from evolift.lifter.loop_settings import LoopSettings
from evolift.lifter.model import LifterModel
from evolift.lifter.pose_hardness import PoseHardness
from evolift.lifter.settings import LifterSettings, LifterTrainingSettings, Split, lifter_settings_for
from evolift.lifter.training import train_lifter
from evolift.posedata.errors import InputError
from evolift.posedata.input_file import FilePath, as_path, as_paths
from evolift.posedata.metrics import joint_errors
from evolift.posedata.output_file import whole_file, write_text
from evolift.posedata.settings import require_settings
from evolift.posedata.store import PoseStore
from evolift.training.run_folder import run_folder, run_record

STORE, LIFTER, ROUNDS, PAGE = "evolved.h5", "lifter.safetensors", "rounds.csv", "report.html"
ERRORS = ["mpjpe", "p_mpjpe"]
TOLD = ["round", "children", "hardness", "hardest tenth", *ERRORS]
GAINED = ["gain, %", "kept"]
"""Columns of the table of rounds; those of the joints follow."""
READ_ROWS = 65536


def evolve_in_loop(
    source: FilePath,
    output: FilePath,
    evolution: EvolutionSettings = EvolutionSettings(),
    loop: LoopSettings = LoopSettings(),
    *,
    validation: FilePath | Sequence[FilePath] = (),
    donors: FilePath | Sequence[FilePath] = (),
    overwrite: bool = False,
    resume: bool = False,
    workers: BlockWorkers | None = None,
    on_round: Callable[[Mapping[str, Any]], object] = lambda row: None,
) -> pd.DataFrame:
    """Evolve a store in rounds; `output` then holds those of the best round, `evolved.h5` and `lifter.safetensors`, and what all rounds gained.

    Args:
        source: store of 3D poses, as `evolift.evolution.job.algorithm.evolve` takes it.
        output: the folder to make. Each round keeps its store and the run of its lifter in it, so that an interrupted loop goes on.
        evolution: of every round; its `sampling` is the loop's own.
        loop: rounds, trainings and the rule to stop.
        validation: stores of other poses, whose error decides. Without any the originals are scored, which have been trained on.
        donors: stores whose poses give limbs, as `evolve` takes them.
        overwrite: replace the folder if it exists.
        resume: go on with an interrupted loop, or with more rounds; what is whole in the folder is not made again.
        workers: who breeds; they never change the result.
        on_round: is told the row of each round when that ends.

    Returns:
        A row per round: `round`, `children`; `hardness` and `hardest tenth`, mean error of its lifter on all originals and on
        the tenth that it finds hardest, mm; `mpjpe` and `p_mpjpe` on the validation stores, mm, their mean; `gain, %` of the MPJPE
        over the first round's; `kept`, True for the best round; and the MPJPE of each joint, left and right together, mm.

    Raises:
        InputError: `evolution` has a sampling, a store cannot be evolved or scored, or a lifter errs no less than one that
            always answers the mean pose.
        StoreError: a store is not sound.
        OutputError: the folder exists, or cannot be written.
    """
    require_settings("evolution", evolution, EvolutionSettings)
    require_settings("loop", loop, LoopSettings)
    if evolution.sampling != "uniform":
        raise InputError("`sampling` is the loop's own, by the errors of its lifters: leave it out")
    source, output = as_path(source, "source"), as_path(output, "output")
    validation, donors = as_paths(validation, "validation"), as_paths(donors, "donors")
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
            return _rounds(source, output, evolution, loop, validation, donors, workers, on_round)
        except (KeyboardInterrupt, SystemExit) as interruption:
            # In place of what the stage says that was at work, which is a part of this.
            interruption.__notes__ = [
                f"{output} holds the rounds so far: the same command with --resume goes on."
            ]
            raise


def _rounds(
    source: Path,
    folder: Path,
    evolution: EvolutionSettings,
    loop: LoopSettings,
    validation: Sequence[Path],
    donors: Sequence[Path],
    workers: BlockWorkers | None,
    on_round: Callable[[Mapping[str, Any]], object],
) -> pd.DataFrame:
    with PoseStore(source) as store:
        skeleton = store.skeleton
    lifter, training = lifter_settings_for(loop.use)
    lifter = lifter.replaced(skeleton=skeleton)
    training = training.replaced(
        steps=loop.steps_per_round,
        validate_every=loop.steps_per_round,
        seed=evolution.seed,
        split=Split(validation_share=0.0),
        evolved_share=loop.evolved_share,
        evolved_warm_up=0,  # a round is short, and what its poses gain must show
    )
    scored = validation or [source]
    pairs = scored_pairs(training.pairs)
    tests = [open_test_set(path, skeleton, pairs, poses=loop.validation_poses) for path in scored]
    unlearnt = float(np.mean([_error_of_mean_pose(test.truth) for test in tests]))
    rows: list[dict[str, Any]] = []
    score: PoseHardness | None = None
    weighers: tuple[Path, ...] = ()
    for number in range(1, loop.rounds + 1):
        store_path, run = _places(folder, number)
        report = evolve(
            source,
            store_path,
            evolution.replaced(sampling="uniform" if score is None else "hardness"),
            # Goes on with what is there, and is done at once if all of it is.
            resume=store_path.exists() or WorkFolder.beside(store_path).exists(),
            workers=workers,
            hardness=score,
            further_inputs=weighers,
            donors=donors,
        )
        weighers = (run / "last.safetensors",)
        model = _trained(store_path, *weighers, scored, lifter, training)
        score = PoseHardness(model)
        hardness = _hardness(score, store_path, report.originals)
        row = {"round": number, "children": report.children} | _hardness_row(hardness)
        rows.append(row | _scores(model, tests))
        table = _write_table(rows, folder)
        if not rows[-1]["mpjpe"] < unlearnt:
            raise InputError(
                f"{run}: after {loop.steps_per_round} steps the lifter of round {number} errs by {rows[-1]['mpjpe']:.0f} mm on {scored[0].name}, "
                f"no less than one that always answers the mean pose ({unlearnt:.0f} mm): it learns nothing of {source.name}, so there is nothing to evolve by. "
                "Train longer by `steps_per_round`, or look whether unit, axes and sides of the poses are right by `evolift limits check`"
            )
        on_round(rows[-1])
        if is_over([row["mpjpe"] for row in rows], loop):
            break
    _keep(folder, int(table.loc[table["kept"], "round"].iloc[0]))
    _write_page(table, folder, source, scored)
    return table


def is_over(errors: Sequence[float], loop: LoopSettings) -> bool:
    """Whether the last `patience` rounds have gained no more than `min_gain` per cent on the best one before them.

    Args:
        errors: of the rounds so far, mm.
        loop: the rule.
    """
    before, recent = errors[: -loop.patience], errors[-loop.patience :]
    return bool(before) and min(recent) >= min(before) * (1 - loop.min_gain / 100)


def _places(folder: Path, number: int) -> tuple[Path, Path]:
    """The store of a round, and the run of its lifter."""
    return folder / f"round_{number}.h5", folder / f"round_{number}"


def _trained(
    store: Path,
    checkpoint: Path,
    scored: Sequence[Path],
    lifter: LifterSettings,
    training: LifterTrainingSettings,
) -> LifterModel:
    """The lifter of a round; it is saved once, when it is whole."""
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


def _write_table(rows: Sequence[Mapping[str, Any]], folder: Path) -> pd.DataFrame:
    table = pd.DataFrame(rows)
    errors = table["mpjpe"].to_numpy()
    kept = np.arange(len(errors)) == errors.argmin()
    gained = pd.DataFrame(dict(zip(GAINED, (100 * (1 - errors / errors[0]), kept), strict=True)))
    table = pd.concat([table[TOLD], gained, table.drop(columns=TOLD)], axis=1)
    write_text(folder / ROUNDS, table.to_csv(index=False))
    return table


def _keep(folder: Path, number: int) -> None:
    """Store and lifter of a round under the names that do not tell its number."""
    store, run = _places(folder, number)
    for made, name in ((store, STORE), (run / "last.safetensors", LIFTER)):
        with whole_file(folder / name, overwrite=True) as new:
            shutil.copyfile(made, new)


def _write_page(table: pd.DataFrame, folder: Path, source: Path, scored: Sequence[Path]) -> None:
    kept = int(table.loc[table["kept"], "round"].iloc[0])
    page = ReportPage(f"Where {source.name} was evolved, and what that gained")
    page.paragraph(
        f"In every round {source.name} was evolved anew, from the second on where the lifter before erred, and a lifter was trained anew for as many steps. "
        f"Errors in mm: hardness on the originals, the others on {', '.join(path.name for path in scored)}. Round {kept} erred least and is kept."
    )
    page.table(table[[*TOLD, *GAINED]], index=False)
    page.image(_error_figure(table), "Errors of the lifter of each round")
    page.heading("Which joints")
    page.image(
        _joint_figure(table, kept), "MPJPE of each joint in the first round and in the one that is kept"
    )
    page.write(folder / PAGE, overwrite=True)


def _error_figure(table: pd.DataFrame) -> UInt8[np.ndarray, "height width 3"]:
    figure = new_figure(6.0, 3.2)
    columns = [*ERRORS, "hardness", "hardest tenth"]
    plot_curves(figure.add_subplot(), {"": table}, columns, unit="mm", x="round")
    return figure_image(figure)


def _joint_figure(table: pd.DataFrame, kept: int) -> UInt8[np.ndarray, "height width 3"]:
    joints = table.drop(columns=[*TOLD, *GAINED])
    shown = {f"round {number}": joints.iloc[number - 1] for number in dict.fromkeys((1, kept))}
    figure = new_figure(max(6.0, 0.6 * joints.shape[1] * len(shown)), 3.6)
    plot_bars(figure.add_subplot(), pd.DataFrame(shown), unit="mm")
    return figure_image(figure)
