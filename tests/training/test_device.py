from __future__ import annotations

import pytest
import torch
from torch import nn

from evolift.posedata.errors import InputError
from evolift.training.device import on_device


@pytest.mark.parametrize(("found", "expected"), [(None, "cpu"), (torch.device("meta"), "meta")])
def test_auto_is_the_accelerator_if_there_is_one(
    monkeypatch: pytest.MonkeyPatch, found: torch.device | None, expected: str
) -> None:
    monkeypatch.setattr("torch.accelerator.current_accelerator", lambda check_available: found)
    assert on_device(nn.Linear(2, 2), "auto").weight.device.type == expected


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match=r"^`device` nonsense: "):
        on_device(nn.Linear(2, 2), "nonsense")
