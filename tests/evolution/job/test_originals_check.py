"""What evolution says of a store most of whose poses break the limits, before it breeds of the rest."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from evolift.evolution.job.algorithm import evolve
from evolift.evolution.job.block_workers import Block, BlockWorkers, Job
from evolift.evolution.job.breeding import Tally
from evolift.evolution.job.originals_check import complaint
from evolift.evolution.kinematics.kinematic_tree import KinematicTree
from evolift.evolution.limits.anatomical_limits import AnatomicalLimits
from evolift.evolution.settings import ALGORITHM_1
from evolift.posedata.errors import InputError
from evolift.posedata.poses import Poses, repeated_label
from evolift.posedata.skeleton import H36M17
from evolift.posedata.store import PoseStoreWriter, Provenance

LIMITS = AnatomicalLimits(KinematicTree(H36M17))
QUICK = ALGORITHM_1.replaced(ratio=1.5, generations=1, sigma=20.0, seed=0)


@pytest.fixture(scope="module")
def good(make_poses: Callable[..., Poses]) -> np.ndarray:
    """40 poses that keep the limits."""
    joints = make_poses(400).joints_3d
    assert joints is not None
    return joints[LIMITS.accepts(torch.from_numpy(joints)).numpy()][:40]


def with_neck(joints: np.ndarray) -> np.ndarray:
    """Joint 9 on the neck, as data sets have it that are not Human3.6M."""
    joints = joints.copy()
    thorax, head = (joints[:, H36M17.index(name)] for name in ("thorax", "head"))
    joints[:, H36M17.index("nose")] = thorax + 0.55 * (head - thorax)
    return joints


def swapped(joints: np.ndarray) -> np.ndarray:
    return joints[:, list(H36M17.mirror)]


def said(joints: np.ndarray) -> str | None:
    return complaint(joints, LIMITS.check(torch.from_numpy(joints)).numpy(), LIMITS)


def store_of(path: Path, joints: np.ndarray) -> Path:
    label = repeated_label("x", len(joints))
    with PoseStoreWriter(path, H36M17, "world", Provenance("test")) as writer:
        writer.append(Poses(label, label, np.arange(len(joints)), joints))
    return path


@pytest.mark.parametrize(
    ("spoil", "cause"),
    [
        (swapped, "left and right are swapped or an axis is reversed (100 % of the mirrored poses keep"),
        (lambda joints: joints * np.array([1, -1, 1], np.float32), "left and right are swapped or an axis"),
        (with_neck, "joint 9 means something else there (H36M17's is Human3.6M's nose"),
        (
            lambda joints: joints[:, ::-1].copy(),
            "means something else in this store than in H36M17, or the joints",
        ),
    ],
    ids=["swapped", "reversed", "neck", "order"],
)
def test_each_cause_is_named(good: np.ndarray, spoil: Callable[[np.ndarray], np.ndarray], cause: str) -> None:
    sentence = said(spoil(good))
    assert sentence is not None
    assert sentence.startswith("only 0.0 % of the poses keep the limits 'anatomical'; most often broken: ")
    assert "Probable cause: " in sentence
    assert cause in sentence
    assert sentence.endswith("See `evolift limits check` with `figure`")


@pytest.mark.parametrize(
    ("millimetres", "length"),
    [(1000.0, "0.8"), (25.4, "3"), (10.0, "8"), (0.1, "8")],
    ids=["m", "in", "cm", "0.1mm"],
)
def test_another_unit_is_named_though_it_breaks_no_limit(
    good: np.ndarray, millimetres: float, length: str
) -> None:
    for joints in (good, with_neck(good)):
        sentence = said((joints / millimetres).astype(np.float32))
        assert sentence is not None
        assert sentence.startswith(f"the unit is not millimetres (a leg is {length}")
    assert said((good * 0.6).astype(np.float32)) is None  # a child


def test_the_bones_are_named_with_their_shares(good: np.ndarray) -> None:
    joints = good.copy()
    wrist, elbow = H36M17.index("left_wrist"), H36M17.index("left_elbow")
    joints[:30, wrist] = joints[:30, elbow] - 200 * np.array([1, 0, 0], np.float32)
    sentence = said(joints)
    share = float(LIMITS.accepts(torch.from_numpy(joints)).float().mean())
    assert sentence is not None
    assert f"only {100 * share:.1f} % of the poses" in sentence
    assert (
        f"most often broken: left_wrist ({100 * share:.0f} % within). Probable cause: the joint left_wrist"
        in sentence
    )


def test_it_is_silent_when_half_keep_the_limits(good: np.ndarray) -> None:
    assert said(good) is None
    assert said(np.concatenate([good[:20], with_neck(good[20:])])) is None
    sentence = said(np.concatenate([good[:19], with_neck(good[19:])]))
    assert sentence is not None
    assert sentence.startswith("only 47.5 %")


class Watched(BlockWorkers):
    """Notes what had been logged when breeding began."""

    def __init__(self, log: pytest.LogCaptureFixture) -> None:
        super().__init__()
        self.log = log
        self.messages: list[str] = []

    def breed(self, job: Job, blocks: Sequence[Block]) -> Iterator[Tally]:
        self.messages = [record.getMessage() for record in self.log.records]
        return super().breed(job, blocks)


def test_evolve_warns_before_it_breeds(
    good: np.ndarray, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = store_of(tmp_path / "swapped.h5", np.concatenate([good[:10], swapped(good[10:])]))
    workers = Watched(caplog)
    with caplog.at_level(logging.WARNING):
        evolve(source, tmp_path / "out.h5", QUICK, workers=workers)
    (message,) = workers.messages
    assert message.startswith(f"{source}: only 25.0 % of the poses keep the limits 'anatomical'")
    assert "left and right are swapped" in message


def test_evolve_warns_before_it_gives_up(
    good: np.ndarray, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = store_of(tmp_path / "neck.h5", with_neck(good))
    with (
        caplog.at_level(logging.WARNING),
        pytest.raises(InputError, match="0 of its 40 poses keep the limits"),
    ):
        evolve(source, tmp_path / "out.h5", QUICK)
    assert "joint 9 means something else there" in caplog.text


def test_evolve_counts_all_poses_of_a_small_store(
    good: np.ndarray, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Every sixteenth of these poses is wrong, and no other."""
    joints = good.copy()
    joints[::16] = swapped(good[::16])
    with caplog.at_level(logging.WARNING):
        evolve(store_of(tmp_path / "few.h5", joints), tmp_path / "out.h5", QUICK)
    assert caplog.text == ""
