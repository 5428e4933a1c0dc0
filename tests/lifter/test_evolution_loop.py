"""Evolution in a loop with a lifter: what each round is bred by and compared with, when it ends, what is kept, resumed and told, and bad input."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

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
from evolift.lifter.loop_report import pressure_gains
from evolift.lifter.loop_settings import LoopSettings
from evolift.lifter.model import LifterModel
from evolift.lifter.pose_hardness import PoseHardness
from evolift.lifter.settings import EVALUATION_PAIRS, LifterSettings
from evolift.posedata.errors import InputError, OutputError
from evolift.posedata.output_file import sha256_of
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


@pytest.fixture(scope="module")
def donors(make_poses: Callable[..., Poses], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("donors") / "donors.h5"
    with PoseStoreWriter(path, H36M17, "world", Provenance("test")) as writer:
        writer.append(make_poses(24, seed=6))
    return path


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Trainings that take no time: an untrained lifter, another one in each round. Gives the stores of those made."""
    made: list[Path] = []

    def train(store: Path, checkpoint: Path, scored: object, lifter: object, training: object) -> LifterModel:
        if not checkpoint.exists():
            made.append(store)
            checkpoint.parent.mkdir(exist_ok=True)
            torch.manual_seed(len(made))
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


def test_rounds_are_bred_by_the_errors_of_the_lifter_before_and_have_a_control(
    tiny_store: Path,
    others: Path,
    donors: Path,
    trained: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scored(monkeypatch, [100.0, 90.0, 72.0, 80.0, 88.0, 80.0, 71.5])
    output, rows = tmp_path / "loop", []
    table = evolve_in_loop(
        tiny_store,
        output,
        EVOLUTION.replaced(seed=4),
        LoopSettings(rounds=9),
        validation=others,
        donors=donors,
        on_round=rows.append,
    )
    names = [
        "round_1_uniform",
        *(f"round_{number}_{sampling}" for number in (2, 3, 4) for sampling in ("uniform", "hardness")),
    ]
    assert [path.stem for path in trained] == names
    assert table["round"].tolist() == [row["round"] for row in rows] == [1, 2, 2, 3, 3, 4, 4]
    assert table["sampling"].tolist() == ["uniform"] + 3 * ["uniform", "hardness"]
    assert table["gain, %"].tolist() == pytest.approx([0, 0, 20, 0, -10, 0, 10.625])
    assert table["kept"].tolist() == 6 * [False] + [True]
    assert table["children"].tolist() == [64] * 7
    pd.testing.assert_frame_equal(pd.read_csv(output / "rounds.csv"), table)
    gains = pressure_gains(table)
    assert gains.columns.tolist() == ["sampling", "rounds", "gain, %", "from", "to"]
    assert gains.iloc[0].tolist() == [
        "hardness",
        3,
        pytest.approx(6.875),
        pytest.approx(-10),
        pytest.approx(20),
    ]
    assert {path.name for path in output.iterdir()} >= WHOLE
    assert (output / "evolved.h5").read_bytes() == (output / "round_4_hardness.h5").read_bytes()
    assert (output / "lifter.safetensors").read_bytes() == (
        output / "round_4_hardness" / "last.safetensors"
    ).read_bytes()
    with PoseStore(tiny_store) as store:
        originals = store.read().joints_3d
    assert originals is not None
    weighers = {2: "round_1_uniform", 3: "round_2_hardness", 4: "round_3_hardness"}
    for place, name in enumerate(names):
        number, sampling = int(table["round"][place]), table["sampling"][place]
        with PoseStore(output / f"{name}.h5") as store:
            provenance, poses = store.provenance, store.read()
        assert provenance.parameters["sampling"] == sampling
        assert provenance.seed == 4 + number - 1
        by = provenance.inputs.get("last.safetensors")
        assert by == (
            sha256_of(output / weighers[number] / "last.safetensors") if sampling == "hardness" else None
        )
        assert [donor.store for donor in provenance.donors] == ["donors.h5"]
        hardness = PoseHardness(LifterModel.load(output / name / "last.safetensors"))(originals)
        assert table["hardness"][place] == pytest.approx(hardness.mean(), rel=1e-5)
        assert table["hardest tenth"][place] == pytest.approx(np.sort(hardness)[-6:].mean(), rel=1e-5)
        np.testing.assert_array_equal(poses.joints_3d[:64], originals)  # type: ignore[index]


@pytest.mark.parametrize(
    ("errors", "loop", "gains", "kept"),
    [
        # What erred least is kept, a control too; it does not put off the end.
        (
            [100, 60, 99.5, 99, 99.5],
            {"rounds": 9},
            [0, 0, 100 * (1 - 99.5 / 60), 0, 100 * (1 - 99.5 / 99)],
            1,
        ),
        ([100, 90, 95], {"control": False}, [0, 10, 5], 1),
        (
            [100, 90, 99, 72, 80, 88, 72],
            {"pressures": ("hardness", "novelty"), "rounds": 3},
            [0, 0, -10, 20, 0, -10, 10],
            3,
        ),
        (
            [100, 99.5, 90, 99.5, 95],
            {"pressures": ("novelty", "hardness"), "control": False},
            [0, 0.5, 10, 0.5, 5],
            2,
        ),
    ],
)
def test_what_gains_are_over_and_what_is_kept(
    tiny_store: Path,
    others: Path,
    trained: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    errors: list[float],
    loop: dict[str, Any],
    gains: list[float],
    kept: int,
) -> None:
    scored(monkeypatch, errors)
    output = tmp_path / "loop"
    settings = LoopSettings(**{"rounds": 3, **loop})
    table = evolve_in_loop(tiny_store, output, EVOLUTION, settings, validation=others)
    assert table["gain, %"].tolist() == pytest.approx(gains)
    assert table["kept"].tolist().index(True) == kept
    assert (output / "evolved.h5").read_bytes() == trained[kept].read_bytes()
    lifters = dict(zip(zip(table["round"], table["sampling"], strict=True), trained, strict=True))
    for (number, sampling), store in lifters.items():
        with PoseStore(store) as evolved:
            provenance = evolved.provenance
        assert provenance.parameters["sampling"] == sampling
        weigher = lifters.get((number - 1, "hardness"), lifters[1, "uniform"])
        by = sha256_of(weigher.with_suffix("") / "last.safetensors") if sampling == "hardness" else None
        assert provenance.inputs.get("last.safetensors") == by


@pytest.mark.parametrize("pressures", [(), ("novelty", "novelty")])
def test_pressures_are_named_once(pressures: tuple[Any, ...]) -> None:
    with pytest.raises(InputError) as refusal:
        LoopSettings(pressures=pressures)
    assert str(refusal.value) == (
        f"`pressures` must be one or more ways to draw parents, each once, not {list(pressures)}"
    )


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
    first = (output / "round_1_uniform.h5").read_bytes()
    with pytest.raises(
        OutputError, match="is not empty: choose another output, or add `overwrite` or `resume`"
    ):
        evolve_in_loop(tiny_store, output, EVOLUTION, loop, validation=others)
    other = loop.replaced(steps_per_round=10)
    with pytest.raises(InputError, match="was begun with `steps_per_round` 3000, not 10"):
        evolve_in_loop(tiny_store, output, EVOLUTION, other, validation=others, resume=True)
    for rounds in (2, 3):
        scored(monkeypatch, [100.0, 90.0, 80.0, 70.0, 60.0])
        loop = LoopSettings(rounds=rounds)
        table = evolve_in_loop(tiny_store, output, EVOLUTION, loop, validation=others, resume=True)
        assert table["round"].tolist() == [1, 2, 2, 3, 3][: 2 * rounds - 1]
    assert [path.stem for path in trained] == [
        "round_1_uniform",
        "round_2_uniform",
        "round_2_hardness",
        "round_3_uniform",
        "round_3_hardness",
    ]
    assert (output / "round_1_uniform.h5").read_bytes() == first


@pytest.mark.parametrize("error", [float("nan"), 1e4])
def test_a_lifter_that_does_not_learn_is_one_sentence(
    tiny_store: Path,
    others: Path,
    trained: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: float,
) -> None:
    scored(monkeypatch, [100.0, 100.0, error])
    output = tmp_path / "loop"
    with pytest.raises(InputError) as refusal:
        evolve_in_loop(tiny_store, output, EVOLUTION, LoopSettings(rounds=3), validation=others)
    said = str(refusal.value)
    assert said.startswith(
        f"{output / 'round_2_hardness'}: after 3000 steps the lifter of round 2 errs by {error:.0f} mm on others.h5, no less than one that always answers the mean pose ("
    )
    assert said.endswith(
        "it learns nothing of tiny.h5, so there is nothing to evolve by. Train longer by `steps_per_round`, or look whether unit, axes and sides of the poses are right by `evolift limits check`"
    )
    assert len(trained) == 3
    assert not (output / "evolved.h5").exists()
    assert len(pd.read_csv(output / "rounds.csv")) == 3


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
    assert "round 2, hardness: 64 children, MPJPE" in result.output
    assert "hardness over parents drawn alike: " in result.output
    assert f"{output / 'report.html'}: where it gained" in result.output
    table = pd.read_csv(output / "rounds.csv")
    assert len(table) == 3
    assert {"knee", "wrist", "elbow"} <= set(table.columns)
    assert not {"pelvis", "left_knee"} & set(table.columns)
    names = [*sorted(WHOLE), "round_2_hardness.h5", "round_2_hardness/last.safetensors"]
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
    tiny_store: Path, others: Path, tmp_path: Path, evolift: Callable[..., object]
) -> None:
    words = ("evolve", tiny_store, "-o", tmp_path / "loop", "--loop", 2, "--steps-per-round", 1, "--ratio", 2)
    done = evolift(*words, "--validation", others)
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
            "--sampling is the loop's own: name --pressure instead",
        ),
        (
            ("--loop", "2"),
            "a loop needs --validation, a store of poses that it neither evolves nor trains on, best of another person: their error says when it ends and what is kept",
        ),
        (("--pressure", "novelty"), "--pressure belongs to --loop: give both or neither"),
        (("--no-control",), "--control belongs to --loop: give both or neither"),
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


def test_poses_that_teach_are_not_scored(
    tiny_store: Path,
    others: Path,
    trained: list[Path],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with PoseStore(tiny_store) as store, PoseStore(others) as more:
        copied, new = store.read(slice(40, 50)), more.read(slice(0, 6))
    part, mixed = tmp_path / "part.h5", tmp_path / "mixed.h5"
    for path, batches in ((part, [copied]), (mixed, [copied, new])):
        with PoseStoreWriter(path, H36M17, "world", Provenance("test")) as writer:
            for batch in batches:
                writer.append(batch)
    output, settings = tmp_path / "loop", LoopSettings(rounds=1)
    for validation, donors, said in (
        (
            tiny_store,
            others,
            "tiny.h5: of its 64 poses that would be scored, 64 are in tiny.h5, others.h5 too",
        ),
        (part, (), "part.h5: of its 10 poses that would be scored, 10 are in tiny.h5 too"),
        (others, others, "others.h5: of its 24 poses that would be scored, 24 are in tiny.h5, others.h5 too"),
    ):
        with pytest.raises(InputError) as refusal:
            evolve_in_loop(tiny_store, output, EVOLUTION, settings, validation=validation, donors=donors)
        assert str(refusal.value).startswith(str(validation.parent))
        assert str(refusal.value).endswith(
            f"{said}, and a lifter errs little on what taught it: give as `validation` other poses, best of another person"
        )
        assert not output.exists()
    scored(monkeypatch, [100.0])
    evolve_in_loop(tiny_store, output, EVOLUTION, settings, validation=mixed)
    assert [record.message for record in caplog.records if "mixed.h5" in record.message] == [
        f"{mixed}: of its 16 poses that would be scored, 10 are in tiny.h5 too."
    ]


def test_a_device_is_where_children_are_bred(
    tiny_store: Path, others: Path, tmp_path: Path, evolift: Callable[..., object]
) -> None:
    words = ("--loop", 2, "--validation", others, "--device", "nonsense")
    done = evolift("evolve", tiny_store, "-o", tmp_path / "loop", *words)
    assert done.returncode == 2  # type: ignore[attr-defined]
    assert done.stderr.startswith("Error: --device nonsense: ")  # type: ignore[attr-defined]
    assert not (tmp_path / "loop").exists()
