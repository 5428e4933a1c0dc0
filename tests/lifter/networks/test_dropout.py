from __future__ import annotations

import pytest
import torch

from evolift.lifter.networks.dropout import dropout


@pytest.mark.parametrize("rate", [0.1, 0.25, 0.5, 0.9])
def test_share_scale_and_gradient(rate: float) -> None:
    torch.manual_seed(0)
    x = torch.ones(501, 401, dtype=torch.float64, requires_grad=True)  # no multiple of four
    out = dropout(x, rate)
    kept = out != 0
    n = x.numel()
    assert abs(int(kept.sum()) - (1 - rate) * n) < 4 * (rate * (1 - rate) * n) ** 0.5
    torch.testing.assert_close(out[kept], torch.full_like(out[kept], 1 / (1 - rate)), rtol=1e-3, atol=0)
    out.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, out.detach())


def test_elements_are_dropped_on_their_own() -> None:
    torch.manual_seed(0)
    kept = (dropout(torch.ones(4000, 64), 0.3) > 0).double()
    correlation = torch.corrcoef(kept.T) - torch.eye(64)
    assert correlation.abs().max() < 5 / 4000**0.5


def test_seeded_and_each_time_anew() -> None:
    x = torch.ones(1000)
    torch.manual_seed(3)
    first, second = dropout(x, 0.5), dropout(x, 0.5)
    torch.manual_seed(3)
    assert torch.equal(dropout(x, 0.5), first)
    assert not torch.equal(first, second)


def test_rates_that_drop_nothing_or_nearly_all() -> None:
    x = torch.ones(1000)
    assert torch.equal(dropout(x, 0.0), x)
    assert dropout(x, 1 - 1e-9).isfinite().all()
