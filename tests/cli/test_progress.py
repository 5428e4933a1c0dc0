from __future__ import annotations

import pytest

from evolift.cli.progress import progress_bar


def test_nothing_is_shown_of_what_is_refused_or_of_what_is_short_and_has_no_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(ValueError, match="refused"), progress_bar("counting", 7):
        raise ValueError("refused")
    with progress_bar("counting") as progress:
        progress(0, 7)
        progress(7)
    assert capsys.readouterr() == ("", "")
