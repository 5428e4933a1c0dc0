from __future__ import annotations

from pathlib import Path

import pytest

from evolift.cli.reproducing.scale import SCALES, read_scale
from evolift.posedata.errors import InputError
from tests.cli.reproducing.conftest import TINY


@pytest.mark.parametrize("name", SCALES)
def test_shipped_scales_are_sound_and_say_whether_they_compare(name: str) -> None:
    scale = read_scale(name)
    assert scale.name == name
    assert scale.comparable == (name == "full")
    assert bool(scale.changes) == (name != "full")


def test_changes_ask_the_recipe_and_come_in_their_order(tiny_scale: Path) -> None:
    scale = read_scale(str(tiny_scale))
    given = {"backbone": "resnet50", "input-height": 384, "augment": True}
    changed = scale.changed("detector train", given)
    assert changed["backbone"] == "resnet10t"
    assert changed["input-height"] == 96  # the recipe's 384 is asked for, though 64 was set before
    assert changed["augment"] is True
    assert given["input-height"] == 384
    assert scale.changed("detector train", {"input-height": 256})["input-height"] == 64
    assert scale.changed("evolve", {"ratio": 2.5}) == {"ratio": 2.5}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "frames = 3",
            "framez = 3",
            "unknown option 'framez' .did you mean frames..: `evolift data actors` has",
        ),
        ("where = { input-height", "where = { height", "unknown option 'height'"),
        ('command = "data actors"', 'command = "data actor"', "there is no command 'data actor'"),
        ('command = "data actors"', 'commands = "data actors"', "a change has command, set and maybe where"),
        ("train-images = 8", 'train-images = "8"', "data must have train-images"),
        ("image-size = 64\n", "", "data must have"),
        ("comparable = false", "comparable = 0", "its keys must be purpose"),
        ("comparable", "comparabel", "its keys must be purpose"),
        ("purpose", "[purpose", "not valid TOML"),
    ],
)
def test_an_unsound_scale_is_refused(tiny_scale: Path, old: str, new: str, message: str) -> None:
    tiny_scale.write_text(TINY.replace(old, new, 1))
    with pytest.raises(InputError, match=message.replace("(", r"\(")):
        read_scale(str(tiny_scale))


def test_an_unknown_scale_names_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"choose full or small, or give a \.toml file"):
        read_scale("medium")
