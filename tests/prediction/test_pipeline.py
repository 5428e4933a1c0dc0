from __future__ import annotations

import torch

from evolift.chain.model import JointModel
from evolift.prediction.pipeline import Pipeline
from tests.settled_networks import settled_detector, settled_lifter


def test_a_pipeline_leaves_the_chain_as_it_was() -> None:
    chain = JointModel(settled_detector(), settled_lifter(normalisation="box")).eval()
    before = {name: value.clone() for name, value in chain.state_dict().items()}
    assert Pipeline(chain).model is not chain
    torch.testing.assert_close(chain.state_dict(), before, rtol=0, atol=0)
    assert all(value.requires_grad for value in chain.parameters())
