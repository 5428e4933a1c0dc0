"""Whether evolution pays: lifters trained without and with evolved poses on some sources of poses, tested on others.

A source is a store of other people, motions or bodies than the other sources. An arm is a way to evolve; the first arm does not.
All arms of a split have the same originals, seeds, cameras and steps, and all lifters are scored on the same pairs of poses and cameras.
The last weights are scored, so that the test chooses nothing. An interrupted judgement goes on: what was bred and trained
is taken as it is, and all lifters are scored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import UInt8

from evolift.drawing.figures import figure_image, image_sheet, new_figure, plot_bars
from evolift.drawing.report_page import ReportPage
from evolift.evolution.job.algorithm import evolve
from evolift.evolution.job.block_workers import BlockWorkers
from evolift.evolution.job.work_folder import WorkFolder
from evolift.evolution.settings import EvolutionSettings
from evolift.lifter.direction_errors import AXES, GROUP, direction_errors, direction_gains
from evolift.lifter.direction_figure import direction_images
from evolift.lifter.evaluation import TestSet, evaluate_lifters, open_test_set, scored_pairs
from evolift.lifter.judge_settings import JudgeSettings
from evolift.lifter.model import LifterModel
from evolift.lifter.settings import (
    LifterSettings,
    LifterTrainingSettings,
    Split,
    lifter_settings_for,
)
from evolift.lifter.training import train_lifter
from evolift.posedata.errors import InputError
from evolift.posedata.image_file import write_image
from evolift.posedata.input_file import FilePath, as_paths
from evolift.posedata.output_file import write_text
from evolift.posedata.settings import require_settings

WITHOUT = "without"
"""Name of the arm that does not evolve."""
LABELS = ["trained on", "tested on"]


def judge_evolution(
    sources: Sequence[FilePath],
    folder: Path,
    arms: Mapping[str, EvolutionSettings],
    settings: JudgeSettings = JudgeSettings(),
    *,
    tests: Sequence[FilePath] = (),
    workers: BlockWorkers | None = None,
    resume: bool = False,
) -> Iterator[pd.DataFrame]:
    """Train and score all arms on all splits; yields the scores of one training after the other.

    Args:
        sources: stores to train and to test on; each is named by its file.
        folder: an existing one, for the evolved stores and the runs.
        arms: ways to evolve, beside the arm without.
        settings: of splits and trainings.
        tests: further stores that are only tested on, with every split.
        workers: who breeds; they never change the result.
        resume: go on with what an interrupted judgement of the same stores, arms and settings left in the folder.

    Yields:
        Tables of `evolift.posedata.metrics.score_table`, and of `evolift.lifter.direction_errors` under them, with the columns
        `trained on`, `tested on`, `arm` and `seed`.

    Raises:
        InputError: two stores have one name, there is nothing to test on, a store cannot be evolved or trained on, or what is to be
            resumed had other settings.
        OutputError: something is in the folder already, and it is not to be resumed, or was made of other stores.
        StoreError: a store is not sound.
    """
    require_settings("settings", settings, JudgeSettings)
    sources, tests = as_paths(sources, "sources"), as_paths(tests, "tests")
    _require_names([*sources, *tests], arms)
    splits = _splits(sources, tests, settings)
    lifter, training = lifter_settings_for(settings.use)
    lifter = lifter.replaced(skeleton=settings.skeleton, architecture=settings.architecture)
    seen: dict[Path, TestSet] = {}
    for path in dict.fromkeys(test for tested in splits.values() for test in tested):
        seen[path] = open_test_set(
            path, lifter.skeleton, scored_pairs(training.pairs), poses=settings.test_poses
        )
    bred = {WITHOUT: {source: source for source in sources}}
    for number, (arm, how) in enumerate(arms.items(), start=1):
        bred[arm] = {}
        for source in {one: None for learnt in splits for one in learnt}:
            bred[arm][source] = folder / f"{source.stem}_evolved_{number}.h5"
            evolve(
                source, bred[arm][source], how, workers=workers, resume=resume and _begun(bred[arm][source])
            )
    for learnt, tested in splits.items():
        for seed in range(settings.seeds):
            for number, (arm, stores) in enumerate(bred.items()):
                name = "+".join(one.stem for one in learnt)
                model = _trained(
                    [stores[one] for one in learnt],
                    tested,
                    folder / f"{name}_arm_{number}_seed_{seed}",
                    lifter,
                    training.replaced(
                        steps=settings.steps,
                        validate_every=settings.steps,
                        seed=seed,
                        precision=settings.precision,
                        split=Split(validation_share=0.0),
                        evolved_share=None if arm == WITHOUT else settings.evolved_share,
                    ),
                    resume=resume,
                )
                for test in tested:
                    scores = evaluate_lifters({arm: model}, seen[test]).rename(columns={"checkpoint": "arm"})
                    scores = pd.concat(
                        [scores, direction_errors(model, seen[test]).assign(arm=arm)], ignore_index=True
                    )
                    place: dict[str, Any] = {"trained on": name, "tested on": test.stem, "seed": seed}
                    yield scores.assign(**place)[[*LABELS, "arm", "seed", *scores.columns[1:]]]


def summary(scores: pd.DataFrame) -> pd.DataFrame:
    """One row per split and arm: mean, lowest and highest over the seeds, and the mean gain of the pairs of one seed.

    Args:
        scores: all tables of `judge_evolution`, one under the other.

    Returns:
        Columns `trained on`, `tested on`, `arm`, `seeds`; for `mpjpe` and `p_mpjpe` (mm) the mean, `... from`, `... to`
        and `... gain, %` over the arm without, positive where evolution pays.
    """
    overall = scores[(scores["group"] == "all") & (scores["name"] == "overall")]
    without = overall[overall["arm"] == WITHOUT].set_index([*LABELS, "seed"])
    rows = []
    for (learnt, tested, arm), part in overall.groupby([*LABELS, "arm"], sort=False):
        row = {"trained on": learnt, "tested on": tested, "arm": arm, "seeds": len(part)}
        paired = without.loc[part.set_index([*LABELS, "seed"]).index]
        for metric in ("mpjpe", "p_mpjpe"):
            values = part[metric].to_numpy()
            gain = 100 * (1 - values / paired[metric].to_numpy()).mean()
            row |= {
                metric: values.mean(),
                f"{metric} from": values.min(),
                f"{metric} to": values.max(),
                f"{metric} gain, %": gain,
            }
        rows.append(row)
    return pd.DataFrame(rows)


def joint_gains(scores: pd.DataFrame) -> pd.DataFrame:
    """By how much each joint's error is smaller than without, mm, a row per joint and a column per arm: means over splits and seeds.

    Left and right are one row; the root, and joints that a test store does not label, are left out.
    """
    joints = scores[
        (scores["group"] == "joint") & (scores["mpjpe"] > 0)
    ]  # neither the root nor what is unlabelled
    names = joints["name"].str.replace(r"^(left|right)_", "", regex=True)
    table = joints.assign(name=names).pivot_table(index="name", columns="arm", values="mpjpe", sort=False)
    arms = [arm for arm in table.columns if arm != WITHOUT]
    return table[arms].rsub(table[WITHOUT], axis=0)


def write_judgement(scores: pd.DataFrame, folder: Path) -> None:
    """Write `scores.csv`, `summary.csv`, `directions.csv`, `joints.png`, `directions.png` and `report.html` with all of it into a folder.

    What a resumed judgement finds there is replaced.

    Args:
        scores: all tables of `judge_evolution`, one under the other.
        folder: an existing one.
    """
    table, joints = summary(scores), joint_gains(scores)
    figure = _joint_figure(joints)
    directed = scores["group"] == GROUP
    by_direction = scores.loc[directed, [*LABELS, "arm", "seed", "name", *AXES, "poses", "mpjpe"]]
    plain = scores[~directed].drop(columns=list(AXES))
    texts = {"scores.csv": plain, "summary.csv": table, "directions.csv": by_direction}
    for name, part in texts.items():
        write_text(folder / name, part.to_csv(index=False))
    write_image(folder / "joints.png", figure, overwrite=True)
    page = ReportPage("What evolution gains on sources that a lifter never saw")
    page.paragraph(
        "Every lifter of a split has the same originals, steps, seeds and cameras. Errors in mm, mean, lowest and highest over the seeds; "
        "gains are of pairs of one seed, positive where evolved poses take error away."
    )
    page.table(_for_the_page(table), index=False)
    page.heading("Which joints gain")
    page.image(
        figure, "MPJPE without evolved poses minus with them, mean over splits and seeds; above 0 is a gain"
    )
    page.table(joints.rename_axis(index="joint", columns=None), "The same, mm")
    if len(by_direction):
        images = direction_images(direction_gains(by_direction, WITHOUT))
        page.heading("Which directions gain")
        page.paragraph(
            "Each limb's sphere as its front and back half, left limbs mirrored onto right ones, in the frame of the body; forearms and shins in "
            "that of the limb above. Colours are the error of the joint at the limb's end without evolved poses minus with them, by where the "
            "limb truly points, mean over splits and seeds; grey where the test poses hardly point."
        )
        page.images(list(images.values()), [limb.replace("_", " ") for limb in images])
        height, width = next(iter(images.values())).shape[:2]
        captions = [limb.replace("_", " ") for limb in images]
        sheet = image_sheet(list(images.values()), captions, columns=2, tile=(width, height))
        write_image(folder / "directions.png", sheet, overwrite=True)
    page.write(folder / "report.html", overwrite=True)


def _for_the_page(table: pd.DataFrame) -> pd.DataFrame:
    """The summary in fewer columns, which fit a page."""
    shown = table[[*LABELS, "arm", "seeds"]].copy()
    for metric in ("mpjpe", "p_mpjpe"):
        mean, low, high = (table[name] for name in (metric, f"{metric} from", f"{metric} to"))
        shown[f"{metric}, mm"] = [
            f"{m:.1f} ({a:.1f} to {b:.1f})" if seeds > 1 else f"{m:.1f}"
            for m, a, b, seeds in zip(mean, low, high, table["seeds"], strict=True)
        ]
        shown[f"{metric} gain, %"] = table[f"{metric} gain, %"]
    return shown


def _require_names(stores: Sequence[Path], arms: Mapping[str, EvolutionSettings]) -> None:
    names = [store.stem for store in stores]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"two stores are called {twice[0]}: each needs a file name of its own")
    if WITHOUT in arms or not arms:
        raise InputError(f"`arms` must be one or more ways to evolve, none of them called {WITHOUT!r}")


def _splits(
    sources: Sequence[Path], tests: Sequence[Path], settings: JudgeSettings
) -> dict[tuple[Path, ...], list[Path]]:
    """What is trained on -> what it is tested on."""
    splits: dict[tuple[Path, ...], list[Path]] = {}
    for source in sources:
        others = [other for other in sources if other != source]
        if settings.train_on == "each":
            splits[(source,)] = [*others, *tests]
        elif others:
            splits[tuple(others)] = [source, *tests]
    splits = {learnt: tested for learnt, tested in splits.items() if tested}
    if not splits:
        raise InputError(
            "there is no store to test on that is not trained on: give at least two `sources`, or one, `train_on` each, and `tests`"
        )
    return splits


def _begun(evolved: Path) -> bool:
    return evolved.exists() or WorkFolder.beside(evolved).exists()


def _trained(
    stores: Sequence[Path],
    tested: Sequence[Path],
    run: Path,
    lifter: LifterSettings,
    training: LifterTrainingSettings,
    *,
    resume: bool,
) -> LifterModel:
    # Validation needs some poses; it is made once, at the end, and nothing is chosen by it.
    train_lifter(
        stores, run, validation=tested[:1], lifter=lifter, training=training, resume=resume and run.exists()
    )
    return LifterModel.load(run / "last.safetensors")


def _joint_figure(gains: pd.DataFrame) -> UInt8[np.ndarray, "height width 3"]:
    figure = new_figure(max(6.0, 0.5 * gains.size), 3.6)
    plot_bars(figure.add_subplot(), gains, unit="mm", lower_is_better=False)
    return figure_image(figure)
