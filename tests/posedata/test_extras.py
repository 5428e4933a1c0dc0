from __future__ import annotations

import sys

import pytest

from evolift.posedata.errors import InputError
from evolift.posedata.extras import require_extra


def test_a_package_that_is_there_is_passed_over() -> None:
    require_extra("render", "json", "json.decoder")


def test_a_missing_package_is_one_sentence_that_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyvista", None)  # what Python makes of a blocked import
    with pytest.raises(InputError) as caught:
        require_extra("render", "pyvista")
    assert str(caught.value) == 'the package pyvista is missing: pip install "evolift[render]"'
