"""What somebody meant who mistyped a name."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def guess(name: str, known: Iterable[str]) -> str:
    """` (did you mean X?)` for the known name that is most alike, whatever its case; an empty text if none is."""
    by_lower = {one.lower(): one for one in known}
    close = get_close_matches(name[:80].lower(), by_lower, 1, 0.7)
    return f" (did you mean {by_lower[close[0]]}?)" if close else ""
