from __future__ import annotations

import pytest

from evolift.posedata.similar_name import guess


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("photo-small", " (did you mean photos-small?)"),
        ("coco-17", " (did you mean COCO17?)"),
        ("COCO1", " (did you mean COCO17?)"),
        ("x", ""),
        ("", ""),
        ("photos-small" * 10_000, ""),
    ],
)
def test_the_most_alike_name_is_guessed_and_nothing_of_what_is_unlike(name: str, said: str) -> None:
    assert guess(name, ["photos-small", "COCO17", "H36M17", "evolve-report"]) == said
