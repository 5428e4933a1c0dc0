from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path
from unittest.mock import Mock

import pytest

from evolift.posedata.errors import InputError
from evolift.posedata.extras import install_command, packages_of_extras, require_extra, require_installed


def test_a_package_that_is_there_is_passed_over() -> None:
    require_extra("render", "json", "json.decoder")
    require_installed("render", "json")


def test_a_missing_package_is_one_sentence_that_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyvista", None)  # what Python makes of a blocked import
    with pytest.raises(InputError) as caught:
        require_extra("render", "pyvista")
    assert str(caught.value) == f"the package pyvista is missing: {install_command('render')}"


def test_a_package_is_looked_for_without_importing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "not_to_be_imported.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    require_installed("render", "not_to_be_imported")
    with pytest.raises(InputError) as caught:
        require_installed("render", "nowhere_to_be_found")
    assert str(caught.value) == f"the package nowhere_to_be_found is missing: {install_command('render')}"


@pytest.mark.parametrize(
    ("direct_url", "command"),
    [
        (None, 'pip install "evolift[onnx]"'),
        ('{"dir_info": {"editable": true}, "url": "file:///a%20b/c"}', 'pip install -e "/a b/c[onnx]"'),
        ('{"dir_info": {}, "url": "file:///a/c"}', 'pip install "/a/c[onnx]"'),
        (
            '{"archive_info": {}, "url": "file:///a/evolift-1.whl"}',
            'pip install "evolift[onnx] @ file:///a/evolift-1.whl"',
        ),
        (
            '{"vcs_info": {"vcs": "git"}, "url": "https://example.org/e.git"}',
            'pip install "evolift[onnx] @ git+https://example.org/e.git"',
        ),
    ],
)
def test_extras_are_installed_as_evolift_was(
    monkeypatch: pytest.MonkeyPatch, direct_url: str | None, command: str
) -> None:
    monkeypatch.setattr(metadata, "distribution", lambda name: Mock(read_text=lambda file: direct_url))
    assert install_command("onnx") == command


def test_a_clone_that_is_not_installed_has_its_own_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "distribution", Mock(side_effect=metadata.PackageNotFoundError))
    monkeypatch.setattr(metadata, "requires", Mock(side_effect=metadata.PackageNotFoundError))
    assert install_command("onnx") == 'pip install -e ".[onnx]" in the clone of evolift'
    assert packages_of_extras() == {}


def test_extras_and_their_packages_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    told = [
        "numpy>=2",
        "pyvista>=0.46; extra == 'all'",
        'dask>=2026.1; extra == "cluster"',
        "mypy; extra == 'dev'",
    ]
    monkeypatch.setattr(metadata, "requires", lambda name: [*told, "distributed; extra == 'cluster'"])
    assert packages_of_extras() == {"cluster": ["dask", "distributed"]}
