from __future__ import annotations

import gc

import pytest

from evolift.posedata.garbage_collection import paused_garbage_collection


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
