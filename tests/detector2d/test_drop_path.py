from __future__ import annotations

import pytest
import torch
from torch import nn

from evolift.detector2d.backbone import build_backbone
from evolift.detector2d.drop_path import DropPath, drop_paths, dropped
from evolift.detector2d.efficientnet_lite import EfficientNetLite, ResidualBlock
from evolift.posedata.errors import InputError


def test_some_of_a_batch_are_dropped_and_the_mean_stays() -> None:
    torch.manual_seed(0)
    branch = torch.ones(4000, 2, 3)
    kept = dropped(branch, 0.25)
    assert ((kept == 0) | (kept == 1 / 0.75)).all()
    assert (kept == kept[:, :1, :1]).all(), "whole examples"
    torch.manual_seed(0)
    assert torch.equal(DropPath(0.25)(branch), kept)
    assert DropPath(0.25).eval()(branch) is branch
    assert float(kept.mean()) == pytest.approx(1, abs=0.03)


def test_blocks_are_passed_over_with_growing_probability_in_training_alone() -> None:
    body = EfficientNetLite("tf_efficientnet_lite0")
    drop_paths(body, 0.3)
    blocks = [block for block in body.modules() if isinstance(block, ResidualBlock)]
    assert len(blocks) == 16
    assert [block.drop_path for block in blocks] == pytest.approx([0.02 * n for n in range(16)])
    block = next(block for block in reversed(blocks) if block.is_residual)
    given = torch.randn(64, block[0].in_channels, 4, 4)
    expected = block.eval()(given)
    torch.manual_seed(1)
    for layer in block:  # the same batch statistics in both
        layer.eval()
    block.training = True
    found = block(given)
    passed_over = (found == given).flatten(1).all(1)
    assert 5 < passed_over.sum() < 35
    wanted = given + (expected - given) / (1 - block.drop_path)
    torch.testing.assert_close(found[~passed_over], wanted[~passed_over])
    drop_paths(body, 0.0)
    assert all(block.drop_path == 0 for block in blocks)


@pytest.mark.parametrize("name", ["test_resnet", "mobilenetv3_small_050"])
def test_blocks_of_timm_have_the_same_done(name: str) -> None:
    torch.manual_seed(0)
    backbone = build_backbone(name)
    batch_norms = [layer for layer in backbone.modules() if isinstance(layer, nn.BatchNorm2d)]
    for layer in batch_norms:
        nn.init.ones_(layer.weight)  # 0 at the end of blocks, from which they begin to learn
    images = torch.randn(4, 3, 64, 64)
    before = backbone.eval()(images)
    drop_paths(backbone, 0.9)
    assert all(torch.equal(a, b) for a, b in zip(before, backbone.eval()(images), strict=True))
    backbone.train()
    for layer in batch_norms:
        layer.eval()
    assert not torch.equal(before[-1], backbone(images)[-1])
    drop_paths(backbone, 0.0)
    assert torch.equal(before[-1], backbone(images)[-1])


def test_a_backbone_without_residual_blocks_is_refused() -> None:
    with pytest.raises(InputError, match="no blocks that are known to be residual: leave `drop_path` at 0"):
        drop_paths(build_backbone("alexnet"), 0.1)
    drop_paths(build_backbone("alexnet"), 0.0)
