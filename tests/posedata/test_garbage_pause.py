from __future__ import annotations

import gc

import pytest

from evolift.posedata.garbage_pause import garbage_pause


def test_the_collector_is_as_before_whatever_happens() -> None:
    assert gc.isenabled()
    with garbage_pause():
        assert not gc.isenabled()
        with garbage_pause():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()

    @garbage_pause()
    def fail() -> None:
        assert not gc.isenabled()
        raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail()
    assert gc.isenabled()
