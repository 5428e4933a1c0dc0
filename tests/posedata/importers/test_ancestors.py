from __future__ import annotations

from evolift.posedata.importers.ancestors import with_ancestors


def test_what_is_wanted_comes_with_all_above_it_in_the_order_of_the_skeleton() -> None:
    parents = {"root": None, "hip": "root", "knee": "hip", "spine": "root", "head": "spine"}
    assert with_ancestors(["head", "hip"], parents) == ["root", "hip", "spine", "head"]
    assert with_ancestors([], parents) == []
