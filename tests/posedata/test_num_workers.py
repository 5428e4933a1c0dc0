from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from evolift.detector2d.settings import DetectorTrainingSettings
from evolift.evolution.job.workers import block_workers
from evolift.posedata.errors import InputError
from evolift.posedata.importers.cmu_asfamc import import_cmu
from evolift.posedata.importers.settings import CmuSettings
from evolift.posedata.num_workers import require_workers
from evolift.synthetic.rendering.people import render_store
from evolift.synthetic.settings import RenderSettings
from evolift.training.run_folder import run_record

NOWHERE = Path("nowhere")


@pytest.fixture(autouse=True)
def three_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evolift.posedata.num_workers.os.cpu_count", lambda: 3)


def test_four_for_each_core_are_taken() -> None:
    require_workers(12)


@pytest.mark.parametrize(
    "ask",
    [
        lambda: require_workers(13),
        lambda: block_workers(13),
        lambda: import_cmu(NOWHERE, NOWHERE, CmuSettings(num_workers=13)),
        lambda: render_store(NOWHERE, NOWHERE, RenderSettings(num_workers=13)),
        lambda: run_record("evolift detector train", DetectorTrainingSettings(num_workers=13)),
    ],
)
def test_more_are_refused_before_anything_is_read_or_written(ask: Callable[[], object]) -> None:
    with pytest.raises(InputError) as caught:
        ask()
    assert str(caught.value) == "`num_workers` 13: at most 12, 4 for each of the 3 cores of this machine"
