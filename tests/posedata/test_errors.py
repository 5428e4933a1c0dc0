"""Sentences of errors: short, printable, free of Python's words, and with the file of what they are about."""

from __future__ import annotations

import pytest

from evolift.posedata.errors import CheckpointError, InputError, StoreError, reason_of, within


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("a.json is empty: write it again", "a.json is empty: write it again"),
        ("Läufer 走.json is empty", "Läufer 走.json is empty"),
        ("a\nb.json is empty", r"a\nb.json is empty"),
        ("\x1b[1ma\x00.json \udcff is empty", r"\x1b[1ma\x00.json \udcff is empty"),
    ],
)
def test_what_a_terminal_would_obey_is_escaped(message: str, shown: str) -> None:
    assert str(InputError(message)) == shown


def test_a_long_quotation_loses_its_middle() -> None:
    message = str(StoreError(f"a.h5 holds {'x' * 40_000}: make it again"))
    assert message.startswith("a.h5 holds xxx")
    assert message.endswith("xxx: make it again")
    assert len(message) < 1000
    assert str(StoreError(message)) == message


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("bad magic\n number"), "bad magic number"),
        (OSError("x" * 500), "x" * 200),
        (KeyError("annot2 not found"), "annot2 not found"),
        (MemoryError(), "its bytes make no sense"),
        (ValueError("could not convert string to float: 'a'"), "its bytes make no sense"),
        (TypeError("'NoneType' object is not subscriptable"), "its bytes make no sense"),
        (RuntimeError("UnpicklingError: persistent id"), "its bytes make no sense"),
        (RuntimeError("cannot identify <_io.BytesIO object at 0x7f>"), "its bytes make no sense"),
    ],
)
def test_reasons_of_other_libraries(error: BaseException, reason: str) -> None:
    assert reason_of(error) == reason


def test_within_names_the_place_and_keeps_the_class() -> None:
    with pytest.raises(CheckpointError, match=r"^a\.json: it is empty$"), within("a.json"):
        raise CheckpointError("it is empty")
    with pytest.raises(CheckpointError, match=r"^b of a\.json is empty$"), within("a.json"):
        raise CheckpointError("b of a.json is empty")
