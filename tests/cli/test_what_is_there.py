"""`evolift doctor`, `models` and `recipes`: what is there, and what works."""

from __future__ import annotations

import subprocess
from importlib import metadata
from unittest.mock import Mock

import pytest
from click.testing import CliRunner

from evolift.artifacts.shipped_files import shipped_cards
from evolift.cli import doctor
from evolift.cli.models import models
from evolift.cli.recipe_file import shipped_recipes
from evolift.cli.recipe_list import recipes
from evolift.posedata.errors import InputError


def printed(command, *arguments: str) -> str:
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_doctor_tells_what_works_and_how_to_mend_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    told = ["pyvista>=0.46; extra == 'render'", "json-of-nobody>=1; extra == 'app'"]
    monkeypatch.setattr(metadata, "requires", lambda name: told)
    monkeypatch.setattr(metadata, "version", {"pyvista": "1", "torch": "2"}.get)
    monkeypatch.setattr(doctor, "_is_installed", lambda package: package == "pyvista")
    runs = Mock(returncode=1, stderr="Traceback\nevolift.posedata.errors.InputError: install EGL\n")
    monkeypatch.setattr(subprocess, "run", lambda *arguments, **more: runs)
    lines = printed(doctor.doctor).splitlines()
    names = [line.split()[0] for line in lines]
    assert names == [
        *["evolift", "Python", "cores", "memory", "torch", "GPU", "[render]", "rendering", "[app]"]
    ]
    assert lines[6].split(maxsplit=1)[1] == "installed"
    assert lines[7].split(maxsplit=1)[1] == "does not work: install EGL"
    assert "missing (json-of-nobody): pip install" in lines[8]
    assert "[app]" in lines[8].removeprefix("[app]")


def test_doctor_waits_for_rendering_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *_, **more: Mock(returncode=0, stderr="a warning"))
    assert doctor._rendering() == "works"
    monkeypatch.setattr(subprocess, "run", Mock(side_effect=subprocess.TimeoutExpired("python", 1)))
    assert doctor._rendering().startswith("does not work: nothing within")
    monkeypatch.setattr(subprocess, "run", lambda *_, **more: Mock(returncode=-11, stderr=""))
    assert doctor._rendering() == "does not work"


def test_models_tells_of_all_that_is_shipped_and_shows_cards() -> None:
    text = printed(models)
    for name, (file, card) in shipped_cards().items():
        assert f"{name}  {file.stat().st_size / 1e6:.1f} MB  {file}" in text
        about = card.read_text(encoding="utf-8").splitlines()[2]
        assert about in text
    assert text.count("\nLicence\n") == len(shipped_cards())
    assert text.count("\nScores\n") == 3
    assert "## Known failures" not in text
    assert "## Known failures" in printed(models, "photo_pose")
    with pytest.raises(
        InputError, match="nothing called 'x' comes with evolift, only keypoint_lifter, photo"
    ):
        printed(models, "x")
    with pytest.raises(
        InputError, match=r"nothing called 'photopose' .* \(did you mean photo_pose\?\), only"
    ):
        printed(models, "photopose")


def test_recipes_are_listed_and_shown() -> None:
    text = printed(recipes)
    assert all(f"{name}\n    evolift " in text for name in shipped_recipes())
    assert 'backbone = "tf_efficientnet_lite2"' in printed(recipes, "photos-small")
    with pytest.raises(InputError, match="there is no recipe 'x': choose one of evolve-report"):
        printed(recipes, "x")
    with pytest.raises(
        InputError, match=r"^there is no recipe 'photo-small' \(did you mean photos-small\?\): choose one of "
    ):
        printed(recipes, "photo-small")
