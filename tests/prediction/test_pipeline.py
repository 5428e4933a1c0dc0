from __future__ import annotations

import numpy as np
import pytest
import torch

from evolift.chain.model import ChainModel
from evolift.lifter.lifter import FoldedLifter
from evolift.lifter.refiner import Refined, RefinerModel, RefinerSettings
from evolift.posedata.errors import InputError
from evolift.prediction.pipeline import Pipeline
from tests.same_answers import assert_same_answers
from tests.settled_networks import settled_detector, settled_lifter


def test_a_pipeline_leaves_the_chain_as_it_was() -> None:
    chain = ChainModel(settled_detector(), settled_lifter(normalisation="box")).eval()
    before = {name: value.clone() for name, value in chain.state_dict().items()}
    assert Pipeline(chain).model is not chain
    torch.testing.assert_close(chain.state_dict(), before, rtol=0, atol=0)
    assert all(value.requires_grad for value in chain.parameters())


@pytest.mark.parametrize("refined", [False, True])
def test_a_pipeline_answers_as_its_stages_do_by_folded_copies(refined) -> None:
    torch.manual_seed(0)
    chain = ChainModel(settled_detector(), settled_lifter(normalisation="box")).eval()
    refiner = RefinerModel(RefinerSettings(hidden=8, code=4)).eval() if refined else None
    pipeline = Pipeline(chain, refiner=refiner)
    assert isinstance(pipeline.lifter, FoldedLifter)
    image = np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8)
    pose = pipeline.predict(image, (20, 10, 60, 70))
    lifter = chain.lifter if refiner is None else Refined(chain.lifter, refiner)
    wanted = lifter.lift(torch.from_numpy(pose.joints_2d)[None])[0].detach().numpy()
    assert_same_answers(pose.joints_3d, wanted)
    with pytest.raises(InputError, match="only the lifter as it was trained can be saved"):
        pipeline.model.to_checkpoint({})
