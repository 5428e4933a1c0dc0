"""The judge of evolution: which splits it makes, that arms are paired, what the table says, and bad input."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from evolift.cli.judge import judge
from evolift.evolution.settings import EvolutionSettings
from evolift.lifter.evolution_judge import joint_gains, judge_evolution, summary
from evolift.lifter.judge_settings import JudgeSettings
from evolift.posedata.errors import EvoliftError, InputError, OutputError
from evolift.posedata.poses import Poses
from evolift.posedata.skeleton import H36M16, H36M17
from evolift.posedata.store import PoseStoreWriter, Provenance

QUICK = JudgeSettings(steps=2, test_poses=16)
ARMS = {"evolved": EvolutionSettings(ratio=1.5, generations=1)}


@pytest.fixture(scope="module")
def sources(make_poses: Callable[..., Poses], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("sources")
    paths = [folder / f"{name}.h5" for name in ("walks", "dance", "jumps")]
    for seed, path in enumerate(paths):
        with PoseStoreWriter(path, H36M17, "world", Provenance("test")) as writer:
            writer.append(make_poses(32, seed=seed))
    return paths


def table(rows: list[tuple[str, str, int, str, str, float]]) -> pd.DataFrame:
    scores = pd.DataFrame(rows, columns=["tested on", "arm", "seed", "group", "name", "mpjpe"])
    return scores.assign(**{"trained on": "walks"}, p_mpjpe=scores["mpjpe"] / 2)


@pytest.mark.parametrize(
    ("train_on", "extra", "expected"),
    [
        ("others", False, {("dance", "walks"), ("walks", "dance")}),
        ("others", True, {("dance", "walks"), ("walks", "dance"), ("dance", "jumps"), ("walks", "jumps")}),
        ("each", True, {("dance", "walks"), ("walks", "dance"), ("dance", "jumps"), ("walks", "jumps")}),
    ],
)
def test_nobody_is_tested_on_what_was_trained_on(
    sources: list[Path],
    train_on: str,
    extra: bool,
    expected: set[tuple[str, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trained: list[tuple[list[str], int]] = []

    def train(stores, run, tested, lifter, training, resume):  # type: ignore[no-untyped-def]
        assert (lifter.skeleton, lifter.architecture) == (H36M16, "graformer")
        assert lifter.hidden == 96  # its own size
        assert training.precision == "bf16-mixed"
        trained.append(([store.name for store in stores], training.seed))
        return run

    def score(models, tests):  # type: ignore[no-untyped-def]
        return pd.DataFrame({"checkpoint": list(models), "group": "all", "name": "overall", "mpjpe": 1.0})

    monkeypatch.setattr("evolift.lifter.evolution_judge._trained", train)
    monkeypatch.setattr("evolift.lifter.evolution_judge.evaluate_lifters", score)
    monkeypatch.setattr("evolift.lifter.evolution_judge.direction_errors", lambda *_: pd.DataFrame())
    settings = QUICK.replaced(
        train_on=train_on, seeds=2, skeleton=H36M16, architecture="graformer", precision="bf16-mixed"
    )
    tests = sources[2:] if extra else []
    scores = pd.concat(judge_evolution(sources[:2], tmp_path, ARMS, settings, tests=tests))
    assert set(zip(scores["trained on"], scores["tested on"], strict=True)) == expected
    assert len(scores) == len(expected) * 2 * 2
    # Both arms of a split with both seeds, the second from what was bred of the same store.
    assert [seed for _, seed in trained[:4]] == [0, 0, 1, 1]
    assert trained[1][0] == [trained[0][0][0].replace(".h5", "_evolved_1.h5")]


def test_others_are_all_other_sources(sources: list[Path]) -> None:
    from evolift.lifter.evolution_judge import _splits  # the rule alone, without trainings

    splits = _splits(sources, [], QUICK)
    assert {tuple(p.stem for p in learnt): [p.stem for p in tested] for learnt, tested in splits.items()} == {
        ("dance", "jumps"): ["walks"],
        ("walks", "jumps"): ["dance"],
        ("walks", "dance"): ["jumps"],
    }


def test_gains_are_of_pairs_of_one_seed() -> None:
    scores = table(
        [
            ("dance", "without", 0, "all", "overall", 100.0),
            ("dance", "evolved", 0, "all", "overall", 90.0),
            ("dance", "without", 1, "all", "overall", 50.0),
            ("dance", "evolved", 1, "all", "overall", 55.0),
            ("dance", "evolved", 1, "all", "action-wise mean", 1.0),
        ]
    )
    without, evolved = summary(scores).to_dict("records")
    assert without["mpjpe gain, %"] == 0
    assert evolved["mpjpe"] == 72.5
    assert (evolved["mpjpe from"], evolved["mpjpe to"], evolved["seeds"]) == (55.0, 90.0, 2)
    assert evolved["mpjpe gain, %"] == pytest.approx((10 - 10) / 2)
    assert evolved["p_mpjpe"] == 36.25


def test_joint_gains_are_both_sides_together() -> None:
    rows = []
    for arm, wrist in (("without", 100.0), ("evolved", 80.0)):
        rows += [
            ("dance", arm, 0, "joint", "left_wrist", wrist),
            ("dance", arm, 0, "joint", "right_wrist", 100.0),
        ]
        rows += [("dance", arm, 0, "joint", "nose", float("nan")), ("dance", arm, 0, "joint", "pelvis", 0.0)]
    gains = joint_gains(table(rows))
    assert gains.to_dict() == {"evolved": {"wrist": 10.0}}


WRITTEN = ("scores.csv", "summary.csv", "directions.csv", "joints.png", "directions.png", "report.html")


def test_the_command_writes_its_tables_and_goes_on(
    sources: list[Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "judged"
    words = [str(path) for path in sources[:2]]
    words += ["-o", str(folder), "--steps", "1", "--test-poses", "8", "--train-on", "each"]
    words += ["--arm", "ratio=1.5,generations=1"]
    result = CliRunner().invoke(judge, words, catch_exceptions=False)
    assert result.exit_code == 0
    assert {*WRITTEN, "settings.json"} <= {path.name for path in folder.iterdir()}
    judged = pd.read_csv(folder / "summary.csv")
    assert judged["arm"].tolist() == ["without", "ratio=1.5,generations=1"] * 2
    assert judged["tested on"].tolist() == ["dance"] * 2 + ["walks"] * 2
    assert "walks to dance, without, seed 0: MPJPE" in result.output
    assert set(pd.read_csv(folder / "scores.csv")["group"]) == {"joint", "subject", "action", "all"}
    directions = pd.read_csv(folder / "directions.csv")
    # Both sides of eight poses before four cameras, two tests, two arms.
    assert (directions.groupby("name")["poses"].sum() == 2 * 8 * 4 * 2 * 2).all()
    before = {name: (folder / name).read_bytes() for name in WRITTEN}

    # What is whole is not made again; what is missing is made as it was.
    weights = {path: path.read_bytes() for path in folder.glob("*/last.safetensors")}
    assert len(weights) == 4
    lost = folder / "walks_arm_1_seed_0"
    for path in lost.iterdir():
        path.unlink()
    (folder / "summary.csv").unlink()
    result = CliRunner().invoke(judge, [*words, "--resume"], catch_exceptions=False)
    assert result.exit_code == 0
    assert {name: (folder / name).read_bytes() for name in WRITTEN} == before
    assert {path: path.read_bytes() for path in folder.glob("*/last.safetensors")} == weights
    assert caplog.text.count("nothing is trained") == 3
    assert caplog.text.count("nothing is bred") == 2

    # Another run is refused in a sentence, and an output that is there without being asked for, too.
    other = [word if word != "1" else "2" for word in words]
    for changed, said in (
        ([*other, "--resume"], "was begun with --steps 1, not 2: resume with the same settings"),
        ([*words, "--arm", "body_rate=0", "--resume"], "was begun with --arm "),
        (words, "is not empty: choose another output, or add --overwrite or --resume"),
    ):
        result = CliRunner().invoke(judge, changed)
        assert isinstance(result.exception, EvoliftError)
        assert said in str(result.exception)
    assert {name: (folder / name).read_bytes() for name in WRITTEN} == before


def test_sources_that_changed_are_not_resumed(
    sources: list[Path], tmp_path: Path, make_poses: Callable[..., Poses], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "walks.h5"
    source.write_bytes(sources[0].read_bytes())
    folder = tmp_path / "judged"
    folder.mkdir()
    monkeypatch.setattr("evolift.lifter.evolution_judge._trained", lambda *_, **__: None)
    monkeypatch.setattr(
        "evolift.lifter.evolution_judge.evaluate_lifters", lambda *_: pd.DataFrame({"checkpoint": [""]})
    )
    monkeypatch.setattr("evolift.lifter.evolution_judge.direction_errors", lambda *_: pd.DataFrame())
    settings = QUICK.replaced(train_on="each")
    for resume in (False, True):
        assert list(judge_evolution([source], folder, ARMS, settings, tests=sources[1:2], resume=resume))
    with PoseStoreWriter(source, H36M17, "world", Provenance("test"), overwrite=True) as writer:
        writer.append(make_poses(32, seed=9))
    with pytest.raises(
        OutputError, match=r"walks_evolved_1\.h5 was bred with other settings or of another source"
    ):
        list(judge_evolution([source], folder, ARMS, settings, tests=sources[1:2], resume=True))


@pytest.mark.parametrize(
    ("arm", "said"),
    [
        ("body_rat=1", "--arm: there is no setting 'body_rat' of evolution; see `evolift evolve --help`"),
        ("body_rate=2", "`body_rate` must be a number of at least 0 and at most 1, not 2"),
    ],
)
def test_wrong_arms_are_told(sources: list[Path], tmp_path: Path, arm: str, said: str) -> None:
    words = [str(path) for path in sources[:2]] + ["-o", str(tmp_path / "out"), "--arm", arm]
    result = CliRunner().invoke(judge, words)
    assert isinstance(result.exception, InputError)
    assert str(result.exception) == said
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_judged(sources: list[Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no store to test on that is not trained on"):
        list(judge_evolution(sources[:1], tmp_path, ARMS, QUICK))
    with pytest.raises(InputError, match="two stores are called walks"):
        list(judge_evolution([sources[0], sources[0]], tmp_path, ARMS, QUICK))
    with pytest.raises(InputError, match="none of them called 'without'"):
        list(judge_evolution(sources, tmp_path, {"without": EvolutionSettings()}, QUICK))
