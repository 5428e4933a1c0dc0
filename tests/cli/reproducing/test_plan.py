"""Plans: what rows share, what letters do, and that every stage is a call that its command accepts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evolift.cli.main import command_named
from evolift.cli.reproducing.data_stages import Division
from evolift.cli.reproducing.plan import Plan, make_plan
from evolift.cli.reproducing.report_rows import chosen_rows
from evolift.cli.reproducing.scale import read_scale
from evolift.cli.reproducing.stages import Stage
from evolift.posedata.errors import InputError
from evolift.posedata.poses import Poses, labelled, repeated_label
from evolift.posedata.skeleton import H36M17
from evolift.posedata.store import PoseStoreWriter, Provenance

NOBODY = Division((), ())


@pytest.fixture(scope="module")
def poses(make_poses, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 poses of S1, S8, S9 and S11, two actions each."""
    path = tmp_path_factory.mktemp("plan") / "poses.h5"
    made = make_poses(60)
    rows = Poses(
        labelled((np.arange(60) // 4 % 4).astype(np.int32), ["S1", "S8", "S9", "S11"]),
        made.action,
        made.frame,
        made.joints_3d,
    )
    with PoseStoreWriter(path, H36M17, "world", Provenance("test")) as writer:
        writer.append(rows)
    return path


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plan") / "photographs.h5"
    label = repeated_label("x", 5)
    rows = Poses(
        label,
        label,
        np.arange(5),
        joints_2d=np.ones((5, 17, 2), np.float32),
        visibility=np.full((5, 17), 2, np.uint8),
        image=[f"{n}.jpg" for n in range(5)],
    )
    with PoseStoreWriter(path, H36M17, "none", Provenance("test")) as writer:
        writer.append(rows)
    return path


def plan_of(
    *rows: str, scale: str = "small", stores: tuple[Path, ...] = (), division: Division = NOBODY
) -> Plan:
    return make_plan(chosen_rows(rows), stores, read_scale(scale), division)


def commands(plan: Plan) -> list[str]:
    return [stage.command for stage in plan.stages]


def stage_of(plan: Plan, number: int, command: str) -> Stage:
    (run,) = (run for run in plan.rows if run.row.number == number and run.seed == 0)
    (stage,) = (stage for stage in run.stages if stage.command == command)
    return stage


@pytest.mark.parametrize("scale", ["small", "full"])
def test_all_14_rows_are_calls_that_their_commands_accept(scale: str, poses: Path, photographs: Path) -> None:
    division = Division(("S9", "S11"), ("S8",))
    plan = plan_of(scale=scale, stores=(poses, photographs), division=division)
    assert len(plan.rows) == 14
    seen: set[str] = set()
    for stage in plan.stages:
        assert {other.key for other in stage.before} <= seen, "what a stage needs comes before it"
        seen.add(stage.key)
        command = command_named(stage.command)
        words = stage.words(Path("out"))[len(stage.command.split()) :]
        # Files of other stages are not there yet, so paths are not asked for.
        existing = [p.type for p in command.params if getattr(p.type, "exists", False)]
        for kind in existing:
            kind.exists = False  # type: ignore[attr-defined]
        try:
            context = command.make_context(stage.command, list(words))
        finally:
            for kind in existing:
                kind.exists = True  # type: ignore[attr-defined]
        for name, value in stage.options.items():
            given = context.params[next(p.name for p in command.params if f"--{name}" in p.opts)]  # type: ignore[index]
            assert given == (tuple(value) if isinstance(value, list) else value), name


def test_rows_share_what_they_have_in_common() -> None:
    plan = plan_of()
    assert commands(plan).count("data render") == 3
    detectors = [stage for stage in plan.stages if stage.command == "detector train"]
    # Rows 7 and 8 have the same network at small scale; 6 and 10 to 14 begin with row 5's detector.
    assert len(detectors) == 7
    fifth = stage_of(plan, 5, "detector train")
    assert [run.row.number for run in plan.users(fifth)] == [5, 6, 10, 11, 12, 13, 14]
    assert stage_of(plan, 11, "lifter train") is stage_of(plan, 12, "lifter train")
    assert commands(plan).count("lifter train") == 3
    assert commands(plan).count("finetune") == 6
    assert commands(plan).count("evolve") == 1
    full = plan_of(scale="full")
    assert commands(full).count("detector train") == 8


def test_a_further_seed_shares_the_data_and_nothing_else() -> None:
    one, two = plan_of("12"), plan_of("12x2")
    shared = {stage.key for stage in one.stages}
    further = [stage.command for stage in two.stages if stage.key not in shared]
    assert sorted(further) == [
        "chain evaluate",
        "chain evaluate",
        "detector train",
        "finetune",
        "lifter train",
    ]
    assert {run.seed for run in two.rows} == {0, 1}


def test_letters_become_options() -> None:
    plan = plan_of("6", "10-14")
    row6, row10 = (stage_of(plan, number, "finetune").options for number in (6, 10))
    assert (row6["target"], row6["input-axes"], row6["normalisation"]) == ("xyz", 3, "box")
    assert (row10["target"], row10["grouping"], row10["new-lifter"]) == ("z", "concat", True)
    assert row10["freeze"] == "all"
    row12 = stage_of(plan, 12, "finetune")
    assert row12.options["freeze"] == "all-but-last-block"
    assert "target" not in row12.options
    assert "lifter" in dict(row12.inputs)
    evolved = stage_of(plan, 14, "lifter train")
    assert evolved.before[0].command == "evolve"
    plain = stage_of(plan, 13, "lifter train")
    assert evolved.options == plain.options | {"evolved-share": 0.5, "evolved-warm-up": 0}


def test_extra_data_adds_the_validation_split_and_is_scored_on_the_test_split_alone(
    photographs: Path,
) -> None:
    plan = plan_of("5", "7", stores=(photographs,))
    plain, extra = (stage_of(plan, number, "detector train") for number in (5, 7))
    assert len(plain.arguments) == 2
    assert plain.options["ratio"] == [8, 8]
    assert len(extra.arguments) == 3
    # 3000 training images and 200 of validation in half of a batch of 16, the photographs in the other half.
    assert extra.options["ratio"] == [7, 1, 8]
    (run,) = (run for run in plan.rows if run.row.number == 7)
    assert set(run.scores) == {"test"}
    assert run.model.path.name == "last.safetensors"


def test_poses_are_divided_by_subject_or_action(poses: Path) -> None:
    plan = plan_of("5", stores=(poses,), division=Division(("S9",), ("S8",)))
    selections = [stage.options for stage in plan.stages if stage.command == "data select"]
    assert {"without-subjects": "S9,S8"} in selections
    assert {"subjects": "S8"} in selections
    assert {"subjects": "S9"} in selections
    plan = plan_of("5", stores=(poses,), division=Division(("S9",), (), ("sit",)))
    selections = [stage.options for stage in plan.stages if stage.command == "data select"]
    assert {"actions": "sit", "without-subjects": "S9"} in selections
    assert {"without-subjects": "S9", "without-actions": "sit"} in selections


def test_published_scores_stand_beside_ours_only_at_full_scale_on_the_published_split(poses: Path) -> None:
    published = Division(("S9", "S11"), ("S8",))
    assert plan_of("5", scale="full", stores=(poses,), division=published).is_comparable
    assert not plan_of("5", scale="small", stores=(poses,), division=published).is_comparable
    assert not plan_of("5", scale="full", stores=(poses,), division=Division(("S9",), ("S8",))).is_comparable
    assert not plan_of("5", scale="full").is_comparable  # built-in actors
    with pytest.raises(InputError, match=r"no store of 3D joints with the subject 'S11': give it by --data"):
        plan_of("5", scale="full", division=published)


@pytest.mark.parametrize(
    ("division", "message"),
    [
        (Division(("S7",), ("S8",)), "has the subject 'S7': name others by --test-subjects, of S1, S11, S8"),
        (
            Division(("S9",), (), ("run",)),
            "has the action 'run': name others by --validation-actions, of sit",
        ),
        (Division((), ("S8",)), "no row is left for test .nobody named.: name --test-subjects; its subjects"),
        (Division(("S9",), ()), "no row is left for validation .nobody named."),
        (Division(("S9", "S11", "S1"), ("S8",)), "no row is left for train"),
    ],
)
def test_an_empty_split_is_refused(poses: Path, division: Division, message: str) -> None:
    with pytest.raises(InputError, match=message):
        plan_of("5", stores=(poses,), division=division)


def test_two_stores_of_poses_are_refused(poses: Path) -> None:
    with pytest.raises(InputError, match="are both stores of 3D poses without images: give one"):
        plan_of("5", stores=(poses, poses))


def test_a_value_that_its_command_refuses_is_found_before_anything_runs(tiny_scale: Path) -> None:
    tiny_scale.write_text(tiny_scale.read_text().replace("frames = 3", 'frames = "many"'))
    with pytest.raises(InputError, match="`evolift data actors`: --frames cannot be 'many'"):
        make_plan({5: 1}, (), read_scale(str(tiny_scale)), NOBODY)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            (
                'command = "detector train"\nset = {',
                'command = "detector train"\nset = { spread-weight = 0.1,',
            ),
            "`evolift detector train`: the regression head has no heatmaps: leave --spread-weight at 0",
        ),
        (
            (
                'command = "finetune"\nset = {',
                'command = "finetune"\nset = { freeze = "all", lifter-learning-rate = 0,',
            ),
            "`evolift finetune`: detector and lifter are both frozen: set --lifter-learning-rate above 0",
        ),
    ],
    ids=["heatmaps", "frozen"],
)
def test_values_that_do_not_go_together_are_found_before_anything_runs(
    tiny_scale: Path, change: tuple[str, str], message: str
) -> None:
    tiny_scale.write_text(tiny_scale.read_text().replace(*change, 1))
    with pytest.raises(InputError, match=message):
        make_plan(dict.fromkeys(range(1, 15), 1), (), read_scale(str(tiny_scale)), NOBODY)


def test_the_key_depends_on_content_options_and_what_came_before(poses: Path, tmp_path: Path) -> None:
    from evolift.cli.reproducing.stages import Product

    select = Stage("data select", {"subjects": "S1"}, (Product(poses),))
    again = Stage("data select", {"subjects": "S1"}, (Product(poses),), execution={"num-workers": 3})
    assert select.key == again.key
    assert select.key != Stage("data select", {"subjects": "S8"}, (Product(poses),)).key
    copy = tmp_path / "copy.h5"
    copy.write_bytes(poses.read_bytes())
    assert select.key == Stage("data select", {"subjects": "S1"}, (Product(copy),)).key
    after = Stage("data render", {"images": 4}, (select.product(),))
    other = Stage("data render", {"images": 4}, (Stage("data select", {}, (Product(poses),)).product(),))
    assert after.key != other.key
