from __future__ import annotations

import pytest

from evolift.cli.import_motion import import_bvh
from evolift.cli.main import command_named
from evolift.cli.predict import predict
from evolift.cli.settings_options import with_flags


@pytest.mark.parametrize(
    ("sentence", "told"),
    [
        ("`frames_per_second` and `formats`", "--fps and --write"),
        ("leave out `smooth`", "leave out --smooth or --no-smooth"),
        ("leave out `strict`", "leave out --strict"),
        ("see `evolift limits check`, or `nothing`", "see `evolift limits check`, or `nothing`"),
        ("choose another `output`", "choose another --output"),
    ],
)
def test_fields_become_the_flags_of_the_command(sentence: str, told: str) -> None:
    assert with_flags(sentence, predict) == told


def test_what_is_neither_on_nor_off_by_itself_has_both_flags() -> None:
    assert with_flags("give `mirrored`", import_bvh) == "give --mirrored or --not-mirrored"


@pytest.mark.parametrize(
    ("command", "fields"),
    [
        ("data import cmu", "num_workers overwrite"),
        ("data import bvh", "unit up mirrored overwrite"),
        ("data import smpl-joints", "rate key unit up mirrored"),
        ("data import human36m", "fps metadata world videos frames subjects"),
        ("data import videopose3d", "metadata subjects"),
        ("data import 3d-pose-baseline", "fps joints_2d subjects"),
        ("data import mmpose", "cameras metadata images subjects"),
        ("data import mpi-inf-3dhp", "cameras"),
        ("data import coco", "images mapping min_joints"),
        ("data import mpii", "images min_joints"),
        ("data view", "subject action start"),
        ("data render", "num_workers overwrite"),
        (
            "evolve",
            "num_workers resume overwrite crossover_rate mutation_rate min_distance min_change criteria ratio target_size",
        ),
        ("limits check", "criteria"),
        (
            "predict",
            "webcam image_size frames_per_second format skeleton mapping person_weights smooth chain device overwrite",
        ),
        ("app", "host port device focal intrinsics"),
    ],
)
def test_what_messages_name_are_options_of_the_commands_that_tell_them(command: str, fields: str) -> None:
    for field in fields.split():
        assert with_flags(f"`{field}`", command_named(command)).startswith("--"), field
