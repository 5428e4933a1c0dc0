from __future__ import annotations

import pytest

from evolift.cli.progress import progress_bar


def test_a_bar_that_begins_when_told_shows_nothing_of_what_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(ValueError, match="refused"), progress_bar("counting", begins_when_told=True):
        raise ValueError("refused")
    assert capsys.readouterr() == ("", "")
    with progress_bar("counting", begins_when_told=True) as progress:
        progress(0, 7)
        progress(3)
    out, err = capsys.readouterr()
    assert out == ""
    assert "counting" in err
    assert "3/7" in err


def test_other_bars_are_there_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("counting", 7):
        pass
    assert "0/7" in capsys.readouterr().err
