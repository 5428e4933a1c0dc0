from __future__ import annotations

import gc
import importlib
import sys
from pathlib import Path

import pytest

from evolift.posedata.garbage_collection import lasting_imports, paused_garbage_collection


def test_the_collector_is_as_before_whatever_happens() -> None:
    assert gc.isenabled()
    with paused_garbage_collection():
        assert not gc.isenabled()
        with paused_garbage_collection():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()

    @paused_garbage_collection()
    def fail() -> None:
        assert not gc.isenabled()
        raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail()
    assert gc.isenabled()


def test_what_is_imported_to_last_is_frozen_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "module_that_lasts.py").write_text("VALUES = [[] for _ in range(1000)]")
    monkeypatch.syspath_prepend(tmp_path)
    counts = [gc.get_freeze_count()]
    try:
        for _ in range(2):
            with lasting_imports():
                assert not gc.isenabled()
                importlib.import_module("module_that_lasts")
            assert gc.isenabled()
            counts.append(gc.get_freeze_count())
    finally:
        gc.unfreeze()
        sys.modules.pop("module_that_lasts", None)
    assert counts[0] + 1000 < counts[1]
    assert counts[2] <= counts[1]  # what was freed since no longer counts
