from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from click.testing import CliRunner

from evolift.chain.model import ChainModel
from evolift.cli.lifter import lifter
from evolift.cli.settings_options import taken_settings
from evolift.cli.temporal_options import take_temporal_options
from evolift.lifter.data.detection_errors import DetectionErrors, save_detection_errors
from evolift.lifter.model import LifterModel
from evolift.lifter.refiner import RefinerModel
from evolift.lifter.settings import LifterSettings, LifterTrainingSettings, lifter_settings_for
from evolift.lifter.temporal.model import TemporalLifter
from evolift.lifter.temporal.settings import TemporalSettings, TemporalTrainingSettings
from evolift.posedata.errors import CheckpointError, InputError, OutputError
from evolift.posedata.output_file import hashes_of
from evolift.posedata.skeleton import H36M17
from evolift.training.checkpoint import load_checkpoint
from tests.lifter.test_public_checkpoint import public_state
from tests.settled_networks import settled_detector, settled_lifter

SMALL = ["--hidden", "8", "--blocks", "1", "--steps", "2", "--validate-every", "2", "--accelerator", "cpu"]


def run(*arguments: str | Path):
    result = CliRunner().invoke(lifter, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module")
def trained(tiny_store, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "run"
    run("train", tiny_store, "-o", folder, *SMALL, "--validation-subject", "bob", "--normalisation", "box")
    return folder


def test_train_writes_checkpoints_history_and_settings(trained) -> None:
    assert LifterModel.load(trained / "best.safetensors").settings.normalisation == "box"
    assert json.loads((trained / "settings.json").read_text())["settings"]["hidden"] == 8
    assert list(pd.read_csv(trained / "history.csv")["step"]) == [2]


def test_evaluate_writes_tables_and_images(trained, tiny_store, tmp_path) -> None:
    out = tmp_path / "scores"
    both = (trained / "best.safetensors", trained / "last.safetensors")
    result = run("evaluate", *both, "--data", tiny_store, "-o", out, "--subject", "bob", "--flip-test")
    assert "best, overall: MPJPE" in result.output
    scores = pd.read_csv(out / "scores.csv")
    assert set(scores["checkpoint"]) == {"best", "last"}
    assert (out / "scores.md").read_text().startswith("# Lifters compared")
    assert {path.name for path in out.glob("*.png")} == {"cases_best.png", "cases_last.png"}
    printed = run("evaluate", *both, "--data", tiny_store, "--subject", "bob", "--flip-test")
    assert printed.output == result.output


def test_errors_of_a_detector_are_learnt_from_and_named_in_the_checkpoint(tiny_store, tmp_path) -> None:
    errors = tmp_path / "errors.csv"
    save_detection_errors(errors, DetectionErrors(H36M17, torch.full((1, 17, 2), 50.0)))
    folder, bob = tmp_path / "run", ["--validation-subject", "bob"]
    run("train", tiny_store, "-o", folder, *SMALL, *bob, "--errors", errors)
    assert load_checkpoint(folder / "last.safetensors", "lifter").record["detection_errors"] == hashes_of(
        [errors]
    )
    best = folder / "best.safetensors"
    clean, noisy = (
        run("evaluate", best, "--data", tiny_store, "-o", tmp_path / name, *more).output.splitlines()[-1]
        for name, more in (("clean", []), ("noisy", ["--errors", errors]))
    )
    assert "MPJPE" in clean
    assert clean != noisy


def test_a_refiner_is_trained_and_scored_on_top_of_a_lifter(trained, tiny_store, tmp_path) -> None:
    sizes = ["--hidden", "8", "--code", "4", "--layers", "2", "--masked", "0.1"]
    short = ["--steps", "2", "--validate-every", "2", "--accelerator", "cpu", "--validation-subject", "bob"]
    result = run("train-refiner", tiny_store, "-o", tmp_path / "refiner", *sizes, *short, "--no-rotate-ring")
    assert "mended to" in result.output
    refiner = tmp_path / "refiner" / "best.safetensors"
    settings = RefinerModel.load(refiner).settings
    assert (settings.hidden, settings.code, settings.layers) == (8, 4, 2)
    lifter_file, out = trained / "best.safetensors", tmp_path / "scores"
    run("evaluate", lifter_file, "--data", tiny_store, "-o", out, "--refiner", refiner)
    scores = pd.read_csv(out / "scores.csv")
    assert list(dict.fromkeys(scores["checkpoint"])) == ["best", "best + refiner"]
    with pytest.raises(CheckpointError, match="a checkpoint of the stage 'lifter', not 'refiner'"):
        run("evaluate", lifter_file, "--data", tiny_store, "-o", tmp_path / "x", "--refiner", lifter_file)


def test_a_training_goes_on_with_its_folder_alone_and_is_a_recipe(tiny_store, tmp_path) -> None:
    folder, whole = tmp_path / "run", tmp_path / "whole"
    groups = ("--non-local", "--grouping", "0,1,2,3,4,5,6,7,8;8,9,10,11,12,13,14,15,16", "--subject", "bob")
    run("train", tiny_store, "-o", folder, *SMALL, *groups)
    run("train", "--recipe", folder / "settings.json", "-o", whole)
    for name in ("last.safetensors", "history.csv", "curves.png"):
        assert (whole / name).read_bytes() == (folder / name).read_bytes()
    run("train", "--resume", "-o", folder, "--steps", "4")
    assert list(pd.read_csv(folder / "history.csv")["step"]) == [2, 4]
    with pytest.raises(InputError, match="was begun with --hidden 8, not 9: resume with the same settings"):
        run("train", "--resume", "-o", folder, "--hidden", "9")
    with pytest.raises(
        InputError, match=r"is of `evolift lifter train`, not of `evolift lifter train-refiner`"
    ):
        run("train-refiner", "--resume", "-o", folder)


def test_networks_are_trained_further_with_the_settings_of_their_checkpoints(
    trained, tiny_store, tmp_path
) -> None:
    short = ["--steps", "2", "--validate-every", "2", "--accelerator", "cpu", "--validation-subject", "bob"]
    first = trained / "best.safetensors"
    run("train", tiny_store, "-o", tmp_path / "a", *short, "--start-from", first, "--normalisation", "box")
    assert LifterModel.load(tmp_path / "a/last.safetensors").settings == LifterModel.load(first).settings
    with pytest.raises(InputError, match=r"has --hidden 8, not 16: leave that out"):
        run("train", tiny_store, "-o", tmp_path / "b", *short, "--start-from", first, "--hidden", "16")
    run("train-refiner", tiny_store, "-o", tmp_path / "c", *short, "--hidden", "8", "--code", "4")
    begun = tmp_path / "c/best.safetensors"
    run("train-refiner", tiny_store, "-o", tmp_path / "d", *short, "--start-from", begun)
    assert RefinerModel.load(tmp_path / "d/last.safetensors").settings.code == 4
    run("train-refiner", "--resume", "-o", tmp_path / "d")


def test_own_groups_are_read(tiny_store, tmp_path) -> None:
    groups = "0,1,2,3,4,5,6,7,8;8,9,10,11,12,13,14,15,16"
    run("train", tiny_store, "-o", tmp_path / "a", *SMALL, "--non-local", "--grouping", groups)
    assert LifterModel.load(tmp_path / "a" / "last.safetensors").settings.groups[0] == tuple(range(9))
    words = ["train", tiny_store, "-o", tmp_path / "b", "--grouping", "0,x"]
    refused = CliRunner().invoke(lifter, [str(word) for word in words])
    assert refused.exit_code == 2
    assert "'0,x': groups of joint numbers look like" in refused.output


def test_a_joint_order_is_taken_by_name_or_whole(tiny_store, tmp_path) -> None:
    names = ",".join(reversed(H36M17.joints))
    for order, wanted in (("published", "published"), (names, tuple(reversed(H36M17.joints)))):
        more = ["--non-local", "--grouping", "consecutive", "--joint-order", order, "--overwrite"]
        run("train", tiny_store, "-o", tmp_path / "a", *SMALL, *more)
        assert LifterModel.load(tmp_path / "a" / "last.safetensors").settings.joint_order == wanted


def test_bad_input_is_refused_before_anything_is_written(trained, tiny_store, tmp_path) -> None:
    with pytest.raises(OutputError, match="not empty"):
        run("train", tiny_store, "-o", trained, *SMALL)
    with pytest.raises(InputError, match="there is no subject 'carl'"):
        run(
            "evaluate",
            trained / "best.safetensors",
            "--data",
            tiny_store,
            "-o",
            tmp_path / "x",
            "--subject",
            "carl",
        )
    with pytest.raises(CheckpointError, match="not a readable safetensors file"):
        run("evaluate", tiny_store, "--data", tiny_store, "-o", tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_help_imports_nothing_slow() -> None:
    code = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from evolift.cli.lifter import lifter\n"
        "assert CliRunner().invoke(lifter, ['train', '--help']).exit_code == 0\n"
        "print(sorted({'torch', 'numpy', 'pandas', 'h5py', 'lightning'} & set(sys.modules)))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"


def test_a_cascade_has_as_many_stages_as_asked_for(tiny_store, tmp_path) -> None:
    run("train", tiny_store, "-o", tmp_path / "a", *SMALL, "--architecture", "cascade", "--stages", "3")
    assert LifterModel.load(tmp_path / "a" / "last.safetensors").settings.stages == 3


def test_the_form_of_torch_geometric_trains_and_scores_as_the_dense_one(tiny_store, tmp_path) -> None:
    tables = []
    for architecture in ("semgcn", "semgcn-graph"):
        folder, out = tmp_path / architecture, tmp_path / f"{architecture}-scores"
        run("train", tiny_store, "-o", folder, *SMALL, "--architecture", architecture)
        best = folder / "best.safetensors"
        assert LifterModel.load(best).settings.architecture == architecture
        run("evaluate", best, "--data", tiny_store, "-o", out)
        tables.append(pd.read_csv(out / "scores.csv"))
    # Adam makes whole steps of gradients that are nothing but rounding (of biases before a batch norm).
    pd.testing.assert_frame_equal(*tables, rtol=0.02)


def test_public_checkpoints_are_converted(tmp_path) -> None:
    public = tmp_path / "ckpt_best.pth.tar"
    torch.save({"state_dict": public_state(non_local=True)}, public)
    run("convert", public, "-o", tmp_path / "lifter.safetensors")
    settings = LifterModel.load(tmp_path / "lifter.safetensors").settings
    assert (settings.skeleton.name, settings.non_local, settings.grouping) == ("H36M16", True, "pairs")
    with pytest.raises(OutputError, match="exists"):
        run("convert", public, "-o", tmp_path / "lifter.safetensors")
    with pytest.raises(CheckpointError, match="has no state_dict of tensors"):
        run("convert", tmp_path / "lifter.safetensors", "-o", tmp_path / "b.safetensors")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), ("screen", "ring", 0.0, 0.0)),
        (("--for", "rig"), ("screen", "ring", 0.0, 0.0)),
        (("--for", "photos"), ("box", "random", 1.5, 0.05)),
        (("--noise", "3", "--for", "photos"), ("box", "random", 3.0, 0.05)),
        (("--recipe", "{recipe}", "--for", "photos"), ("box", "random", 2.0, 0.05)),
        (("--for", "photos", "--recipe", "{recipe}"), ("box", "random", 2.0, 0.05)),
        (("--recipe", "{for_photos}"), ("box", "random", 1.5, 0.05)),
        (("--recipe", "{for_photos}", "--cameras", "ring"), ("box", "ring", 1.5, 0.05)),
    ],
)
def test_what_a_lifter_is_for_sets_its_defaults(
    evolift, tiny_store, tmp_path, monkeypatch, words: tuple[str, ...], expected: tuple[object, ...]
) -> None:
    given = []

    def record(stores, output, *, lifter, training, **_):
        given.append((lifter, training))
        return pd.DataFrame({"mpjpe": [1.0], "step": [1]})

    monkeypatch.setattr("evolift.lifter.training.train_lifter", record)
    recipes = {"recipe": "noise = 2.0", "for_photos": 'for = "photos"'}
    for name, option in recipes.items():
        text = f'purpose = "p"\ncommand = "lifter train"\n[options]\n{option}\n'
        (tmp_path / f"{name}.toml").write_text(text)
    places = {name: tmp_path / f"{name}.toml" for name in recipes}
    given_words = [word.format(**places) for word in words]
    command = evolift("lifter", "train", tiny_store, "-o", tmp_path / "o", *given_words)
    assert command.returncode == 0, command.stderr
    ((lifter_given, training),) = given
    pairs = training.pairs
    assert (lifter_given.normalisation, pairs.cameras, pairs.noise, pairs.missing) == expected
    if words[:2] == ("--for", "photos") and len(words) == 2:
        assert (lifter_given, training) == lifter_settings_for("photos")
    assert ("train with --for photos" in command.stderr) == (expected[0] == "screen")


def test_uses_are_named(tiny_store) -> None:
    assert lifter_settings_for("rig") == (LifterSettings(), LifterTrainingSettings())
    with pytest.raises(InputError, match=r"^`use` must be one of rig, photos, not 'video'$"):
        lifter_settings_for("video")


def test_a_folder_without_a_run_is_not_resumed(tmp_path: Path) -> None:
    words = ["train", "--resume", "-o", str(tmp_path / "none")]
    with pytest.raises(
        InputError, match="none holds no run to resume: give the folder of one, or what a new"
    ):
        CliRunner().invoke(lifter, words, catch_exceptions=False)


def test_a_lifter_that_says_how_sure_it_is_is_trained_calibrated_and_scored(tiny_store, tmp_path) -> None:
    folder, bob = tmp_path / "run", ["--validation-subject", "bob"]
    run("train", tiny_store, "-o", folder, *SMALL, *bob, "--loss", "nll", "--architecture", "semgcn")
    best, calibrated, curve = folder / "best.safetensors", tmp_path / "c.safetensors", tmp_path / "c.png"
    assert LifterModel.load(best).settings.uncertainty
    data = ["--data", tiny_store, "--subject", "bob"]
    result = run("calibrate", best, *data, "-o", calibrated, "--curve", curve, "--noise", "1.5")
    assert "expected calibration error" in result.output.splitlines()[-1]
    assert curve.stat().st_size > 5000
    assert load_checkpoint(calibrated, "lifter").record["calibrated_on"] == hashes_of([tiny_store])
    for name, tensor in LifterModel.load(best).state_dict().items():
        same = torch.equal(tensor, LifterModel.load(calibrated).state_dict()[name])
        assert same == (name != "sigma_factor")
    before, after = (
        run("evaluate", path, *data, "--noise", "1.5").output.splitlines()[-1] for path in (best, calibrated)
    )
    assert before.startswith("best, sigma: joints are off by ")
    assert after.startswith("c, sigma: joints are off by ")
    assert float(after.split()[6]) == pytest.approx(1, abs=0.05)
    assert float(after.split()[-2]) < float(before.split()[-2])


def test_the_lifter_of_a_chain_is_calibrated_in_it(tiny_store, tmp_path) -> None:
    chain = ChainModel(settled_detector(), settled_lifter(normalisation="box", uncertainty=True))
    chain.save(tmp_path / "chain.safetensors")
    run("calibrate", tmp_path / "chain.safetensors", "--data", tiny_store, "-o", tmp_path / "c.safetensors")
    factor = ChainModel.load(tmp_path / "c.safetensors").state_dict()["lifter.sigma_factor"]
    assert (factor[1:] > 0).all()
    assert factor[1:].std() > 0.01


def test_lifters_that_say_nothing_are_not_calibrated(trained, tiny_store, tmp_path) -> None:
    with pytest.raises(InputError, match="train one with `loss` nll, and calibrate that"):
        run("calibrate", trained / "best.safetensors", "--data", tiny_store, "-o", tmp_path / "c.safetensors")
    assert not (tmp_path / "c.safetensors").exists()


def test_temporal_lifters_are_trained_and_scored_beside_others(trained, write_clips, tmp_path) -> None:
    store = write_clips(tmp_path / "clips.h5", {(who, "walk"): range(24) for who in ("ann", "bob")})
    sizes = [*SMALL, "--frames", "9", "--batch-size", "4", "--validation-poses", "8"]
    common = [*sizes, "--store-fps", "25", "--fps", "25", "--causal", "--validation-subject", "bob"]
    result = run("train", store, "-o", tmp_path / "run", *common, "--for", "photos")
    assert "mm on the validation poses at step 2" in result.output
    settings = TemporalLifter.load(tmp_path / "run" / "best.safetensors").settings
    assert settings == TemporalSettings(
        frames=9, causal=True, frames_per_second=25, hidden=8, blocks=1, normalisation="box"
    )
    run("train", "--resume", "-o", tmp_path / "run", "--steps", "4")
    assert list(pd.read_csv(tmp_path / "run" / "history.csv")["step"]) == [2, 4]
    start = ["--start-from", tmp_path / "run" / "best.safetensors"]
    run("train", store, "-o", tmp_path / "further", *common, *start, "--normalisation", "box")

    checkpoints = [tmp_path / "run" / "best.safetensors", trained / "last.safetensors"]
    out = tmp_path / "scores"
    words = ("evaluate-clips", *checkpoints, "--data", store, "--store-fps", "25", "--subject", "bob")
    printed = run(*words, "-o", out).output
    assert [line.split(":")[0] for line in printed.splitlines()] == [
        "4 clips of 1 person, 96 frames at 25 a second; cameras", "best", "best, smoothed", "last", "last, smoothed",
    ]  # fmt: skip
    assert set(pd.read_csv(out / "scores.csv")["checkpoint"]) == {
        "best",
        "best, smoothed",
        "last",
        "last, smoothed",
    }
    assert (out / "scores.md").read_text().startswith("# Lifters compared over time")
    assert run(*words).output == printed


def test_options_of_temporal_lifters_belong_to_them(tiny_store, tmp_path) -> None:
    for options in (["--causal"], ["--fps", "25"], ["--store-fps", "30"]):
        with pytest.raises(InputError, match=f"{options[0]} belongs to a lifter of several --frames"):
            run("train", tiny_store, "-o", tmp_path / "a", *SMALL, *options)
    with pytest.raises(
        InputError, match="--architecture must be modulated-gcn or semgcn for a lifter of several --frames"
    ):
        run("train", tiny_store, "-o", tmp_path / "a", *SMALL, "--frames", "9", "--architecture", "martinez")


def test_the_defaults_of_temporal_lifters_are_those_of_their_settings() -> None:
    command = lifter.commands["train"]
    context = command.make_context("train", ["x.h5", "-o", "run", "--frames", "27"], resilient_parsing=True)
    options = dict(context.params)
    assert take_temporal_options(context, options)
    assert taken_settings(TemporalSettings, options) == TemporalSettings()
    assert taken_settings(TemporalTrainingSettings, options) == TemporalTrainingSettings()
