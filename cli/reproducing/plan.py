"""Rows of the report as a graph of stages.

Every row has a detector, or a chain of a detector and a lifter, made by the stages that its recipe has options for:

    detector train ------------------------------> detector evaluate     rows 1 to 5 and 7 to 9
    detector train -> finetune ------------------> chain evaluate        rows 6 and 10: a lifter from scratch
    [evolve ->] lifter train -> finetune --------> chain evaluate        rows 11 to 14 (P; D evolves)

The letter E adds the validation split to the training images; all else that letters mean is in the recipes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from evolift.cli.lifter_options import lifter_flags
from evolift.cli.recipe_file import Options, read_recipe
from evolift.cli.reproducing.data_stages import TRAIN, DataSets, Division, data_sets
from evolift.cli.reproducing.report_rows import ROWS, TEST, VALIDATION, ReportRow
from evolift.cli.reproducing.scale import Scale
from evolift.cli.reproducing.stages import BEST, LAST, Product, Stage
from evolift.posedata.errors import InputError


@dataclass(frozen=True, eq=False)
class RowRun:
    """One row with one seed.

    Args:
        row: of the report.
        seed: of its trainings.
        stages: that it needs, in an order in which they can run.
        model: its detector's or chain's checkpoint.
        is_chain: whether that is a chain.
        scores: the stage that scores it, by split.
        images: that it is scored on, by split.
        backbone: that it has at this scale.
    """

    row: ReportRow
    seed: int
    stages: tuple[Stage, ...]
    model: Product
    is_chain: bool
    scores: dict[str, Stage]
    images: dict[str, Product]
    backbone: str

    @property
    def label(self) -> str:
        """The row's number, and its seed unless that is 0, for messages."""
        return f"row {self.row.number}" + (f" with seed {self.seed}" if self.seed else "")


@dataclass(frozen=True)
class Plan:
    """What is run.

    Args:
        scale: at which.
        rows: in the order of the report.
        stages: of all rows, each once, in an order in which they can run.
        is_comparable: whether the scores are of the data and at the scale that the published ones are of.
    """

    scale: Scale
    rows: tuple[RowRun, ...]
    stages: tuple[Stage, ...]
    is_comparable: bool

    def users(self, stage: Stage) -> list[RowRun]:
        """The rows of the table that need the result of a stage."""
        return [run for run in self.rows if any(other is stage for other in run.stages)]


class _Maker:
    def __init__(self, scale: Scale, execution: Options, occluders: Path | None) -> None:
        self.scale, self.execution, self.occluders = scale, execution, occluders
        self.stages: dict[str, Stage] = {}
        self.data: DataSets

    def register(
        self,
        command: str,
        options: Options,
        arguments: Sequence[Product] = (),
        inputs: Sequence[tuple[str, Product]] = (),
    ) -> Stage:
        stage = Stage(command, options, tuple(arguments), tuple(inputs), self.execution)
        if stage.key not in self.stages:
            stage.check()
        return self.stages.setdefault(stage.key, stage)

    def row(self, row: ReportRow, seed: int) -> RowRun:
        recipe: dict[str, Options] = read_recipe(row.recipe)["stages"]
        options = {command: self.scale.changed(command, given) for command, given in recipe.items()}
        if recipe.get("finetune", {}).get("new-lifter"):
            options["finetune"] |= self._as_lifters_are_built(recipe)
        for command in ("detector train", "finetune"):
            if (
                command in options
                and self.occluders is not None
                and options[command].get("occlusion-probability")
            ):
                options[command]["occluders"] = str(self.occluders)
        extra = [VALIDATION] if "E" in row.extensions else []
        detector = self._images_stage("detector train", options["detector train"], seed, extra)
        scored_on = [TEST] if extra else [VALIDATION, TEST]
        if "finetune" not in options:
            # With E, the best on the validation split means nothing: it was trained on.
            model = detector.product(LAST if extra else BEST)
            scores = {
                split: self.register("detector evaluate", {}, [model], [("data", self.data.images[split])])
                for split in scored_on
            }
        else:
            inputs = [("detector", detector.product(BEST))]
            if "lifter train" in options:
                lifter = self._lifter(options, seed)
                inputs.append(("lifter", lifter.product(BEST)))
            model = self._images_stage("finetune", options["finetune"], seed, [], inputs).product(BEST)
            scores = {
                split: self.register("chain evaluate", {}, [model], [("data", self.data.images[split])])
                for split in scored_on
            }
        return RowRun(
            row,
            seed,
            tuple(_in_order(list(scores.values()))),
            model,
            "finetune" in options,
            scores,
            self.data.images,
            str(options["detector train"]["backbone"]),
        )

    def _as_lifters_are_built(self, recipe: dict[str, Options]) -> Options:
        """What the scale changes of a lifter's architecture, for one that begins untrained in the chain."""
        built = {name: value for name, value in recipe["finetune"].items() if name in lifter_flags()}
        changed = self.scale.changed("lifter train", built)
        return {name: value for name, value in changed.items() if name in lifter_flags()}

    def _images_stage(
        self,
        command: str,
        options: Options,
        seed: int,
        extra: Sequence[str],
        inputs: Sequence[tuple[str, Product]] = (),
    ) -> Stage:
        """A stage that learns from images: half of each batch photographs, if there are any, half with 3D joints."""
        splits = [TRAIN, *extra]
        data = self.data
        batch = int(options.get("batch-size", 16))
        photographs = batch // 2 if data.photographs else 0
        ratios = _shares(batch - photographs, [data.counts[split] for split in splits])
        ratios += _shares(photographs, [1] * len(data.photographs))
        arguments = [*(data.images[split] for split in splits), *data.photographs]
        several: Options = {"ratio": ratios} if len(arguments) > 1 else {}
        validation = ("validation", data.images[VALIDATION])
        return self.register(command, options | several | {"seed": seed}, arguments, [validation, *inputs])

    def _lifter(self, options: dict[str, Options], seed: int) -> Stage:
        poses = self.data.poses[TRAIN]
        if "evolve" in options:
            poses = self.register("evolve", options["evolve"], [poses]).product()
        validation = ("validation", self.data.poses[VALIDATION])
        return self.register("lifter train", options["lifter train"] | {"seed": seed}, [poses], [validation])


def make_plan(
    chosen: dict[int, int],
    stores: Sequence[Path],
    scale: Scale,
    division: Division,
    *,
    seed: int = 0,
    occluders: Path | None = None,
    execution: Options | None = None,
) -> Plan:
    """The stages of rows, checked as far as can be without running them.

    Args:
        chosen: number of each row -> how many seeds.
        stores: the user's.
        scale, division: see their modules.
        seed: the first.
        occluders: what is pasted in rows with O; synthetic things if None.
        execution: options that say how stages run.

    Raises:
        InputError: a store, a recipe or the scale does not fit.
    """
    maker = _Maker(scale, execution or {}, occluders)
    maker.data = data_sets(stores, scale, division, maker.register, (TRAIN, VALIDATION, TEST))
    runs = [
        maker.row(ROWS[number], seed + further)
        for number, seeds in chosen.items()
        for further in range(seeds)
    ]
    wanted = _in_order([stage for run in runs for stage in run.stages])
    is_published_split = set(division.test_subjects) == {"S9", "S11"} and bool(stores)
    return Plan(scale, tuple(runs), tuple(wanted), scale.comparable and is_published_split)


def _in_order(stages: Sequence[Stage]) -> list[Stage]:
    """The stages and all that they need, each behind what it needs."""
    order: dict[str, Stage] = {}

    def add(stage: Stage) -> None:
        for before in stage.before:
            add(before)
        order.setdefault(stage.key, stage)

    for stage in stages:
        add(stage)
    return list(order.values())


def _shares(crops: int, sizes: Sequence[int]) -> list[int]:
    """Crops of a batch for each store by its size, one at least."""
    if not sizes:
        return []
    if crops < len(sizes):
        raise InputError(
            f"a batch with {crops} crops for {len(sizes)} stores is too small: enlarge batch-size"
        )
    shares = [max(1, round(crops * size / sum(sizes))) for size in sizes]
    shares[shares.index(max(shares))] += crops - sum(shares)
    return shares
