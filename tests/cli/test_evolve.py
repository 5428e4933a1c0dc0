"""`evolift evolve` and `evolift limits` from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from evolift.cli.data import export as export_data
from evolift.cli.evolve import evolve
from evolift.cli.limits import limits
from evolift.evolution.settings import ALGORITHM_1
from evolift.posedata.errors import InputError, OutputError
from evolift.posedata.poses import Poses
from evolift.posedata.skeleton import H36M16, H36M17
from evolift.posedata.store import PoseStore, PoseStoreWriter, Provenance
from tests.conftest import Finished
from tests.evolution.clips.made_clips import write_clips


def run(command, *arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def test_evolve_writes_the_store_and_its_settings(tiny_store: Path, tmp_path: Path) -> None:
    target = tmp_path / "evolved.h5"
    result = run(evolve, tiny_store, "-o", target, "--ratio", 2, "--generations", 2, "--seed", 3)
    assert result.exit_code == 0, result.output
    assert "64 originals" in result.output
    assert "and 64 children" in result.output
    with PoseStore(target) as store:
        assert len(store) == 128
        assert store.provenance.seed == 3
    record = json.loads((tmp_path / "evolved.h5.settings.json").read_text())
    assert record["settings"]["generations"] == 2
    assert record["report"]["children"] == 64


def test_evolve_does_not_overwrite_unasked(tiny_store: Path, tmp_path: Path) -> None:
    target = tmp_path / "evolved.h5"
    assert run(evolve, tiny_store, "-o", target, "--ratio", 2).exit_code == 0
    before = target.read_bytes()
    refused = run(evolve, tiny_store, "-o", target, "--ratio", 2, "--seed", 1)
    assert isinstance(refused.exception, OutputError)
    assert target.read_bytes() == before
    assert run(evolve, tiny_store, "-o", target, "--ratio", 2, "--seed", 1, "--overwrite").exit_code == 0
    assert target.read_bytes() != before


def test_a_store_without_a_nose_is_converted_as_the_refusal_says(
    evolift: Callable[..., Finished], make_poses: Callable[..., Poses], tmp_path: Path
) -> None:
    poses = make_poses(64)
    assert poses.joints_3d is not None
    poses.joints_3d[:, H36M17.index("nose")] = np.nan
    source, converted = tmp_path / "noseless.h5", tmp_path / "converted.h5"
    with PoseStoreWriter(source, H36M17, "world", Provenance("test"), unlabelled=("nose",)) as writer:
        writer.append(poses)
    refused = evolift("evolve", source, "-o", tmp_path / "out.h5", "--ratio", 2)
    assert refused.returncode == 2
    assert "its 3D poses lack nose" in refused.stderr
    assert "(`skeleton` H36M16 of `evolift data select` for a missing nose)" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert evolift("data", "select", source, "-o", converted, "--skeleton", "H36M16").returncode == 0
    done = evolift("evolve", converted, "-o", tmp_path / "out.h5", "--ratio", 2)
    assert done.returncode == 0, done.stderr
    with PoseStore(tmp_path / "out.h5") as store:
        assert (store.skeleton, store.unlabelled, len(store)) == (H36M16, (), 128)


@pytest.mark.parametrize("arguments", [("--ratio", "0.5"), ("--limits", "none"), ("--sigma", "-1")])
def test_settings_that_cannot_be_leave_nothing_behind(
    tiny_store: Path, tmp_path: Path, arguments: tuple[str, str]
) -> None:
    result = run(evolve, tiny_store, "-o", tmp_path / "out.h5", *arguments)
    assert isinstance(result.exception, InputError) or result.exit_code == 2
    assert not any(tmp_path.iterdir())


def test_limits_check_tells_per_bone(tiny_store: Path) -> None:
    result = run(limits, "check", tiny_store)
    assert result.exit_code == 0, result.output
    assert "(whole pose)" in result.output
    assert "of 64 poses keep the limits 'anatomical'" in result.output
    assert run(limits, "check", tiny_store, "--fail-below", 100).exit_code == 1


def test_the_recipe_of_the_report_is_its_algorithm(tiny_store: Path, tmp_path: Path) -> None:
    target = tmp_path / "evolved.h5"
    assert run(evolve, tiny_store, "-o", target, "--recipe", "evolve-report").exit_code == 0
    with PoseStore(target) as store:
        provenance = store.provenance
    assert {**provenance.parameters, "report": None} == {**ALGORITHM_1.to_dict(), "report": None}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("clips") / "clips.h5")


def test_motions_are_bred_with_their_preview(clips: Path, tmp_path: Path) -> None:
    target, page = tmp_path / "motions.h5", tmp_path / "motions.html"
    few = ("--clips", "--clip-frames", 27, "--ratio", 1.2, "--generations", 1)
    result = run(evolve, clips, "-o", target, *few, "--preview", page)
    assert result.exit_code == 0, result.output
    assert "63 clips of 27 frames in the source" in result.output
    assert "and 8 children" in result.output
    assert "<canvas" in page.read_text()
    record = json.loads((tmp_path / "motions.h5.settings.json").read_text())
    assert record["settings"]["clip_frames"] == 27
    assert record["report"]["children"] == 8
    exported = run(export_data, target, "-o", tmp_path / "bvh", "--fps", 20)
    assert exported.exit_code == 0, exported.output
    assert len(list((tmp_path / "bvh").glob("*_child_*.bvh"))) == 8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--clip-frames", 27), "--clip-frames is of motions: add --clips, or leave it out"),
        (("--clips", "--criterion", "ground"), "--criterion is of single poses, which clips are not: leave it out"),
        (("--clips", "--coverage-of", "SOURCE"), "--coverage-of is of single poses, which clips are not: leave it out"),
        (("--clips", "--no-settle"), "--settle is of single poses, which clips are not: leave it out"),
        (("--clips", "--tilt-sigma", 5), "--tilt-sigma is of single poses, which clips are not: leave it out"),
        (("--clips", "--donor-rate", 0.2), "--donor-rate is of single poses, which clips are not: leave it out"),
        (("--clips", "--donor", "SOURCE"), "--donor is of single poses, which clips are not: leave it out"),
        (("--clips", "--immigrant-density", 1), "--immigrant-density is of single poses, which clips are not: leave it out"),
        (("--clips", "--template-rate", 0.3), "--template-rate is of single poses, which clips are not: leave it out"),
        (("--clips", "--loop", 2), "--loop is of single poses, which clips are not: leave it out"),
        (("--clips", "--steps-per-round", 10), "--steps-per-round is of single poses, which clips are not: leave it out"),
        (("--clips", "--validation", "SOURCE"), "--validation is of single poses, which clips are not: leave it out"),
        (("--clips", "--device", "meta"), "--device: clips are bred on the CPU: leave it out"),
        (("--steps-per-round", 10), "--steps-per-round belongs to --loop: give both or neither"),
        (("--clips", "--clip-frames", 81), "no clip has 81 frames in a row, the longest has 53: lower --clip-frames"),
    ],
)  # fmt: skip
def test_options_of_motions_and_of_poses_are_told_apart(
    clips: Path, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    given = [clips if option == "SOURCE" else option for option in options]
    refused = run(evolve, clips, "-o", tmp_path / "motions.h5", *given)
    assert isinstance(refused.exception, InputError)
    assert message in str(refused.exception)
    assert not list(tmp_path.iterdir())
