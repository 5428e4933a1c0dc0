"""Evolution in a loop with a lifter: what each round is bred by, when it ends, what is kept, resumed and told, and bad input."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner

from evolift.cli.evolve import evolve as command
from evolift.evolution.settings import EvolutionSettings
from evolift.lifter import evolution_loop
from evolift.lifter.evaluation import open_test_set
from evolift.lifter.evolution_loop import evolve_in_loop, is_over
from evolift.lifter.loop_settings import LoopSettings
from evolift.lifter.model import LifterModel
from evolift.lifter.pose_hardness import PoseHardness
from evolift.lifter.settings import EVALUATION_PAIRS, LifterSettings
from evolift.posedata.errors import InputError, OutputError
from evolift.posedata.poses import Poses
from evolift.posedata.skeleton import H36M17
from evolift.posedata.store import PoseStore, PoseStoreWriter, Provenance
from tests.evolution.operators.test_immigration import BackwardWorkers

EVOLUTION = EvolutionSettings(ratio=2.0, generations=1)
WHOLE = {
    "evolved.h5",
    "lifter.safetensors",
    "rounds.csv",
    "report.html",
    "settings.json",
}


@pytest.fixture(scope="module")
def others(make_poses: Callable[..., Poses], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("others") / "others.h5"
    with PoseStoreWriter(path, H36M17, "world", Provenance("test")) as writer:
        writer.append(make_poses(24, seed=5))
    return path


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Trainings that take no time: an untrained lifter, another one in each round. Gives the stores of those made."""
    made: list[Path] = []

    def train(store: Path, checkpoint: Path, scored: object, lifter: object, training: object) -> LifterModel:
        if not checkpoint.exists():
            made.append(store)
            checkpoint.parent.mkdir(exist_ok=True)
            torch.manual_seed(int(store.stem.removeprefix("round_")))
            LifterModel(LifterSettings(hidden=8, blocks=1)).save(checkpoint)
        return LifterModel.load(checkpoint)

    monkeypatch.setattr(evolution_loop, "_trained", train)
    return made


def scored(monkeypatch: pytest.MonkeyPatch, errors: list[float]) -> None:
    """Lifters whose errors are these, one after the other."""
    told: Iterator[float] = iter(errors)

    def scores(model: object, tests: object) -> dict[str, float]:
        error = next(told)
        return {"mpjpe": error, "p_mpjpe": error / 2, "wrist": 2 * error, "knee": error}

    monkeypatch.setattr(evolution_loop, "_scores", scores)


@pytest.mark.parametrize(
    ("errors", "over"),
    [
        ([100], False),
        ([100, 100], False),
        ([100, 100, 100], True),
        ([100, 99.5, 99.5], True),
        ([100, 99.5, 98.5], False),
        ([100, 90, 90.0, 89.5], True),
        ([100, 90, 120, 80], False),
        ([100, 80, 90, 79.5, 79.0], False),
    ],
)
def test_it_is_over_after_rounds_without_a_gain(errors: list[float], over: bool) -> None:
    assert is_over(errors, LoopSettings(min_gain=1.0, patience=2)) is over


def test_rounds_are_bred_by_the_errors_of_the_lifter_before(
    tiny_store: Path, others: Path, trained: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored(monkeypatch, [100.0, 80.0, 90.0, 79.5])
    output, rows = tmp_path / "loop", []
    table = evolve_in_loop(
        tiny_store,
        output,
        EVOLUTION,
        LoopSettings(rounds=9),
        validation=others,
        donors=others,
        on_round=rows.append,
    )
    assert [path.name for path in trained] == [f"round_{number}.h5" for number in (1, 2, 3, 4)]
    assert table["round"].tolist() == [row["round"] for row in rows] == [1, 2, 3, 4]
    assert table["gain, %"].tolist() == pytest.approx([0, 20, 10, 20.5])
    assert table["kept"].tolist() == [False, False, False, True]
    assert table["children"].tolist() == [64] * 4
    pd.testing.assert_frame_equal(pd.read_csv(output / "rounds.csv"), table)
    assert {path.name for path in output.iterdir()} >= WHOLE
    assert (output / "evolved.h5").read_bytes() == (output / "round_4.h5").read_bytes()
    assert (output / "lifter.safetensors").read_bytes() == (
        output / "round_4" / "last.safetensors"
    ).read_bytes()
    with PoseStore(tiny_store) as store:
        originals = store.read().joints_3d
    assert originals is not None
    for number in (1, 2, 3, 4):
        with PoseStore(output / f"round_{number}.h5") as store:
            provenance, poses = store.provenance, store.read()
        assert provenance.parameters["sampling"] == ("uniform" if number == 1 else "hardness")
        assert ("last.safetensors" in provenance.inputs) is (number > 1)
        assert [donor.store for donor in provenance.donors] == ["others.h5"]
        hardness = PoseHardness(LifterModel.load(output / f"round_{number}" / "last.safetensors"))(originals)
        assert table["hardness"][number - 1] == pytest.approx(hardness.mean(), rel=1e-5)
        assert table["hardest tenth"][number - 1] == pytest.approx(np.sort(hardness)[-6:].mean(), rel=1e-5)
        assert poses.lineage is not None
        np.testing.assert_array_equal(poses.joints_3d[:64], originals)  # type: ignore[index]


def test_an_interrupted_loop_goes_on_and_says_so(
    tiny_store: Path, others: Path, trained: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, loop = tmp_path / "loop", LoopSettings(rounds=2)

    def interrupted(row: object) -> None:
        raise KeyboardInterrupt

    scored(monkeypatch, [100.0])
    with pytest.raises(KeyboardInterrupt) as interruption:
        evolve_in_loop(tiny_store, output, EVOLUTION, loop, validation=others, on_round=interrupted)
    assert interruption.value.__notes__ == [
        f"{output} holds the rounds so far: the same command with --resume goes on."
    ]
    first = (output / "round_1.h5").read_bytes()
    with pytest.raises(
        OutputError, match="is not empty: choose another output, or add `overwrite` or `resume`"
    ):
        evolve_in_loop(tiny_store, output, EVOLUTION, loop, validation=others)
    other = loop.replaced(steps_per_round=10)
    with pytest.raises(InputError, match="was begun with `steps_per_round` 3000, not 10"):
        evolve_in_loop(tiny_store, output, EVOLUTION, other, validation=others, resume=True)
    for rounds in (2, 3):
        scored(monkeypatch, [100.0, 90.0, 80.0])
        loop = LoopSettings(rounds=rounds)
        table = evolve_in_loop(tiny_store, output, EVOLUTION, loop, validation=others, resume=True)
        assert len(table) == rounds
    assert [path.name for path in trained] == ["round_1.h5", "round_2.h5", "round_3.h5"]
    assert (output / "round_1.h5").read_bytes() == first


@pytest.mark.parametrize("error", [float("nan"), 1e4])
def test_a_lifter_that_does_not_learn_is_one_sentence(
    tiny_store: Path,
    others: Path,
    trained: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: float,
) -> None:
    scored(monkeypatch, [100.0, error])
    output = tmp_path / "loop"
    with pytest.raises(InputError) as refusal:
        evolve_in_loop(tiny_store, output, EVOLUTION, LoopSettings(rounds=3), validation=others)
    said = str(refusal.value)
    assert said.startswith(
        f"{output / 'round_2'}: after 3000 steps the lifter of round 2 errs by {error:.0f} mm on others.h5, no less than one that always answers the mean pose ("
    )
    assert said.endswith(
        "it learns nothing of tiny.h5, so there is nothing to evolve by. Train longer by `steps_per_round`, or look whether unit, axes and sides of the poses are right by `evolift limits check`"
    )
    assert len(trained) == 2
    assert not (output / "evolved.h5").exists()
    assert len(pd.read_csv(output / "rounds.csv")) == 2


def test_the_mean_pose_errs_as_a_plain_loop_says(others: Path) -> None:
    test = open_test_set(others, H36M17, EVALUATION_PAIRS)
    truth = test.truth.numpy().astype(float)
    truth[:5, 3] = np.nan  # unlabelled
    distances = []
    for joint in range(17):
        known = [pose for pose in truth[:, joint] if np.isfinite(pose).all()]
        mean = sum(known) / len(known)
        distances += [np.sqrt(((pose - mean) ** 2).sum()) for pose in known]
    found = evolution_loop._error_of_mean_pose(torch.from_numpy(truth))
    assert found == pytest.approx(np.mean(distances), rel=1e-6)


def test_the_command_trains_and_breeds_the_same_whoever_does(
    tiny_store: Path, others: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evolution_loop, "_error_of_mean_pose", lambda truth: 1e6)
    output = tmp_path / "loop"
    words = [
        tiny_store,
        "-o",
        output,
        "--loop",
        2,
        "--validation",
        others,
        "--steps-per-round",
        1,
        "--ratio",
        2,
    ]
    result = CliRunner().invoke(command, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "round 2: 64 children, MPJPE" in result.output
    assert f"{output / 'report.html'}: where it gained" in result.output
    table = pd.read_csv(output / "rounds.csv")
    assert len(table) == 2
    assert {"knee", "wrist", "elbow"} <= set(table.columns)
    assert not {"pelvis", "left_knee"} & set(table.columns)
    names = [*sorted(WHOLE), "round_2.h5", "round_2/last.safetensors"]
    before = {name: (output / name).read_bytes() for name in names if name != "settings.json"}
    with BackwardWorkers() as workers:
        evolve_in_loop(
            tiny_store,
            output,
            EvolutionSettings(ratio=2.0),
            LoopSettings(rounds=2, steps_per_round=1),
            validation=others,
            overwrite=True,
            workers=workers,
        )
    assert {name: (output / name).read_bytes() for name in before} == before


def test_a_real_training_that_does_not_learn(
    tiny_store: Path, tmp_path: Path, evolift: Callable[..., object]
) -> None:
    words = ("evolve", tiny_store, "-o", tmp_path / "loop", "--loop", 2, "--steps-per-round", 1, "--ratio", 2)
    done = evolift(*words)
    assert done.returncode == 2  # type: ignore[attr-defined]
    assert "the lifter of round 1 errs by" in done.stderr  # type: ignore[attr-defined]
    assert "Train longer by --steps-per-round" in done.stderr  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("--loop", "2", "--preview", "page.html"),
            "--preview does not go with --loop, which weighs parents and writes a page itself: leave one of them out",
        ),
        (
            ("--loop", "2", "--sampling", "novelty"),
            "--sampling is the loop's own, by the errors of its lifters: leave it out",
        ),
        (("--steps-per-round", "5"), "--steps-per-round belongs to --loop: give both or neither"),
        (("--validation", "STORE"), "--validation belongs to --loop: give both or neither"),
    ],
)
def test_options_that_would_have_no_effect(
    tiny_store: Path,
    others: Path,
    tmp_path: Path,
    evolift: Callable[..., object],
    words: tuple[str, ...],
    said: str,
) -> None:
    given = [others if word == "STORE" else word for word in words]
    done = evolift("evolve", tiny_store, "-o", tmp_path / "out", *given)
    assert done.returncode == 2  # type: ignore[attr-defined]
    assert done.stderr.strip().endswith(f"Error: {said}")  # type: ignore[attr-defined]
    assert not (tmp_path / "out").exists()
