"""The shared fixtures do what the other tests rely on."""

from __future__ import annotations

from pathlib import Path

import jaxtyping
import pytest
import torch

from evolift.posedata.camera import world_to_camera
from evolift.posedata.skeleton import H36M17
from evolift.posedata.store import PoseStore


def test_shapes_in_signatures_are_checked() -> None:
    with pytest.raises(jaxtyping.TypeCheckError):
        world_to_camera(torch.zeros(4, 2), torch.eye(3), torch.zeros(3))


def test_tiny_store_is_sound(tiny_store: Path) -> None:
    with PoseStore(tiny_store, skeleton=H36M17) as store:
        assert len(store) == 64
        assert list(store.table()["subject"].cat.categories) == ["ann", "bob"]
