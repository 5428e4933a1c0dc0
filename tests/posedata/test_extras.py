from __future__ import annotations

import sys
from pathlib import Path

import pytest

from evolift.posedata.errors import InputError
from evolift.posedata.extras import require_extra, require_installed


def test_a_package_that_is_there_is_passed_over() -> None:
    require_extra("render", "json", "json.decoder")
    require_installed("render", "json")


def test_a_missing_package_is_one_sentence_that_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyvista", None)  # what Python makes of a blocked import
    with pytest.raises(InputError) as caught:
        require_extra("render", "pyvista")
    assert str(caught.value) == 'the package pyvista is missing: pip install "evolift[render]"'


def test_a_package_is_looked_for_without_importing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "not_to_be_imported.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    require_installed("render", "not_to_be_imported")
    with pytest.raises(InputError) as caught:
        require_installed("render", "nowhere_to_be_found")
    assert str(caught.value) == 'the package nowhere_to_be_found is missing: pip install "evolift[render]"'
