from __future__ import annotations

import numpy as np

from evolift.lifter.case_figure import case_figure
from evolift.lifter.evaluation import open_test_set
from evolift.lifter.settings import PairSettings
from evolift.posedata.skeleton import H36M17


def test_image_holds_as_many_cases_as_there_are(tiny_store) -> None:
    tests = open_test_set(tiny_store, H36M17, PairSettings(cameras="random"), poses=6)
    prediction = tests.truth * 1.1
    few, more = case_figure(prediction, tests, each=1), case_figure(prediction, tests, each=2)
    assert few.dtype == np.uint8
    assert few.shape[0] == more.shape[0]  # two rows: median and worst
    assert few.shape[1] < more.shape[1]
    assert len(np.unique(few.reshape(-1, 3), axis=0)) > 50
