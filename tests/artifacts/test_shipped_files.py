from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import pytest
from safetensors import safe_open

from evolift.artifacts.shipped_files import (
    KEYPOINT_LIFTER,
    PHOTO_POSE,
    TEMPORAL_LIFTER,
    sample_poses,
    shipped_weights,
)
from evolift.posedata.errors import InputError
from evolift.posedata.store import PoseStore

FOLDER = Path(str(resources.files("evolift.artifacts")))


@pytest.mark.parametrize(
    ("name", "stage"),
    [(PHOTO_POSE, "chain"), (KEYPOINT_LIFTER, "lifter"), (TEMPORAL_LIFTER, "temporal-lifter")],
)
def test_the_defaults_are_of_their_stage(name: str, stage: str) -> None:
    with safe_open(str(shipped_weights(name)), "pt") as file:
        assert json.loads(file.metadata()["evolift"])["stage"] == stage


def test_every_shipped_file_has_a_model_card_that_says_what_must_be_known() -> None:
    weights = sorted(FOLDER.glob("*.safetensors"))
    assert {path.stem for path in weights} == {PHOTO_POSE, KEYPOINT_LIFTER, TEMPORAL_LIFTER}
    for path in weights:
        card = path.with_suffix(".md").read_text()
        for heading in ("## Data", "## Licence", "## Training", "## Scores", "## Known failures"):
            assert heading in card, f"{path.stem} {heading}"


def test_unknown_weights_are_refused_with_the_known_names() -> None:
    with pytest.raises(
        InputError,
        match=r"no weights called 'best' come with evolift: .* keypoint_lifter, photo_pose, temporal_lifter",
    ):
        shipped_weights("best")


def test_the_sample_is_three_people_of_flesh_and_blood() -> None:
    with PoseStore(sample_poses()) as store:
        table = store.table()
        assert store.coordinate_frame == "world"
        assert list(table["subject"].value_counts(sort=False).sort_index()) == [4572, 1073, 837]
    card = sample_poses().with_suffix(".md").read_text()
    assert "mocap.cs.cmu.edu" in card
    assert "NSF EIA-0196217" in card.replace("\n", " ")
