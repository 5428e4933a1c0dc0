"""Which bones of a motion-capture skeleton must be followed to know where some of them are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def with_ancestors(wanted: Iterable[str], parents: Mapping[str, str | None]) -> list[str]:
    """Bones with all that they hang on, parents before children.

    Args:
        wanted: names of bones.
        parents: of every bone of the skeleton, None of the root; parents before children.
    """
    needed: set[str] = set()
    for name in wanted:
        above: str | None = name
        while above is not None:
            needed.add(above)
            above = parents[above]
    return [name for name in parents if name in needed]
