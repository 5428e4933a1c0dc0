"""Damaged files of every kind through every reader: right values, one plain refusal, or values that may be true.

The short form, part of the default tests, has two kinds for every second reader, others for the next, so that each kind meets
several readers; `pytest -m fuzz -s` damages each file in every way many times and prints the table. A case is a function of (reader,
kind, number); what fails is written beside the table with its name.
"""

from __future__ import annotations

import os
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from evolift.posedata.poses import Poses
from tests.robustness import data_readers
from tests.robustness.mutations import BYTES, KINDS, ONCE, STRUCTURE, mutated
from tests.robustness.readers import READERS, Bodies
from tests.robustness.verdicts import FORBIDDEN, Verdict, digest, judged, verdict_of

assert data_readers.__name__  # which registers its readers

FEW, LONG = 1, int(os.environ.get("EVOLIFT_FUZZ", "20"))
"""Kinds of bytes and of structure for each reader in the short form; cases of each reader and kind in the long one."""
SLOW = {
    "person detector ONNX",
    "Akhter-Black jointAngleModel_v2.mat",
    "Akhter-Black staticPose.mat",
    "MPI-INF-3DHP annot.mat",
    "MPI-INF-3DHP calibration",
    "MPII mat",
}
"""Readers that the short form leaves out: each file takes them a new process, as that of LSP does, which stays in it."""
_SHOWN = 8


def damaged(reader: str, kind: str, number: int, sound: bytes, format: str) -> bytes | None:
    """The content of one case; None if this kind is not for this file."""
    seed = [zlib.crc32(f"{reader}/{kind}".encode()), number]
    return mutated(kind, sound, format, np.random.default_rng(seed))


def _entries(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")} - {"out.h5"}


def _few_kinds(reader: str) -> list[str]:
    first = FEW * list(READERS).index(reader)
    return [kinds[(first + n) % len(kinds)] for kinds in (list(BYTES), STRUCTURE) for n in range(FEW)]


def verdicts_of(
    reader: str, folder: Path, bodies: Bodies, numbers: int, kinds: Sequence[str] = KINDS
) -> tuple[Counter[str], list[str]]:
    """Damage the file of a reader in many ways and read each.

    Returns:
        How often each verdict was given, and a line for each that must not be, with where its content is kept.
    """
    place = folder / "files"
    place.mkdir()
    torch.manual_seed(0)
    sample = READERS[reader](place, bodies)
    sound, values = sample.path.read_bytes(), sample.read()
    assert (nonsense := sample.nonsense(values)) is None, f"the sound file is taken for nonsense: {nonsense}"
    expected, before = digest(values), _entries(place)
    cases = [(kind, number) for kind in kinds for number in range(1 if kind in ONCE else numbers)]

    def judge(index: int) -> Verdict:
        content = damaged(reader, *cases[index], sound, sample.format)
        if content is None:
            return Verdict("")
        (place / "out.h5").unlink(missing_ok=True)
        sample.path.write_bytes(content)
        verdict = verdict_of(sample.read, (sample.path.name, *sample.names), expected, sample.nonsense)
        left = sorted(_entries(place) - before) + ["out.h5"] * (place / "out.h5").exists()
        return (
            Verdict("litter", f"{left[0]} is left by a refusal")
            if verdict.name == "refused" and left
            else verdict
        )

    counts, problems = Counter[str](), []
    for (kind, number), verdict in zip(cases, judged(judge, len(cases)), strict=True):
        if verdict.name in FORBIDDEN:
            kept = folder / f"{kind} {number}{sample.path.suffix}"
            kept.write_bytes(damaged(reader, kind, number, sound, sample.format) or b"")
            problems.append(f"{verdict.name}: {verdict.what} [{verdict.where}] {kind} {number}: {kept}")
        counts[verdict.name] += verdict.name != ""
    return counts, problems


@pytest.fixture
def bodies(standing_pose: np.ndarray, make_poses: Callable[..., Poses]) -> Bodies:
    return Bodies(standing_pose, make_poses)


def _refuse(problems: list[str]) -> None:
    assert not problems, f"{len(problems)} damaged files are not taken as they should:\n" + "\n".join(
        problems[:_SHOWN]
    )


@pytest.mark.parametrize("reader", [name for name in READERS if name not in SLOW][::2])
def test_a_few_damages(reader: str, tmp_path: Path, bodies: Bodies) -> None:
    counts, problems = verdicts_of(reader, tmp_path, bodies, 1, _few_kinds(reader))
    _refuse(problems)
    assert counts.total(), "no damage is for this file"


@pytest.mark.fuzz
@pytest.mark.parametrize("reader", READERS)
def test_many_damages_of_each_kind(
    reader: str, tmp_path: Path, bodies: Bodies, record_property: Callable[[str, object], None]
) -> None:
    counts, problems = verdicts_of(reader, tmp_path, bodies, LONG)
    record_property("verdicts", (reader, dict(counts)))
    _refuse(problems)
