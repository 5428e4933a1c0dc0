from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from evolift.posedata.metrics import (
    acceleration_errors,
    auc,
    joint_errors,
    mpjpe,
    n_mpjpe,
    p_mpjpe,
    pck,
    root_relative,
    score_table,
)
from evolift.posedata.skeleton import H36M16, H36M17, MPII16, Skeleton


def random_poses(seed: int, rows: int) -> torch.Tensor:
    return 300 * torch.randn(rows, 17, 3, generator=torch.Generator().manual_seed(seed))


def test_joint_errors_are_distances() -> None:
    truth = torch.zeros(2, 3, 3)
    prediction = truth.clone()
    prediction[1, 2] = torch.tensor([3.0, 4.0, 12.0])
    assert torch.equal(joint_errors(prediction, truth), torch.tensor([[0.0, 0, 0], [0, 0, 13]]))
    assert torch.allclose(mpjpe(prediction, truth), torch.tensor([0.0, 13 / 3]))


def test_root_relative_takes_the_named_root() -> None:
    joints = random_poses(0, 5)
    assert root_relative(joints, 3)[:, 3].eq(0).all()
    assert torch.equal(root_relative(joints)[:, 4], joints[:, 4] - joints[:, 0])


def test_the_protocols_are_ordered() -> None:
    truth = random_poses(0, 200)
    prediction = 1.2 * truth + 0.2 * random_poses(1, 200)
    square = [
        torch.linalg.vector_norm(error, dim=-1).mean()
        for error in (mpjpe(prediction, truth), n_mpjpe(prediction, truth), p_mpjpe(prediction, truth))
    ]
    assert square[0] > square[1] > square[2] > 0


def test_p_mpjpe_of_a_turned_pose_is_zero_and_of_a_mirrored_one_is_not() -> None:
    truth = random_poses(0, 20)
    rotated = truth @ torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]) * 0.5
    assert p_mpjpe(rotated, truth).max() < 1e-3
    assert p_mpjpe(truth * torch.tensor([-1.0, 1, 1]), truth).min() > 30


def test_acceleration_errors_against_a_slow_loop() -> None:
    prediction, truth = random_poses(0, 7), random_poses(1, 7)
    found = acceleration_errors(prediction, truth)
    assert found.shape == (5, 17)
    for frame in range(1, 6):
        for joint in range(17):
            of_both = [
                one[frame - 1, joint] - 2 * one[frame, joint] + one[frame + 1, joint]
                for one in (prediction, truth)
            ]
            expected = float((of_both[0] - of_both[1]).norm())
            assert float(found[frame - 1, joint]) == pytest.approx(expected, rel=1e-5)


def test_a_steady_error_is_no_error_of_acceleration() -> None:
    truth = random_poses(0, 6)
    drift = torch.arange(6.0)[:, None, None] * 5 + 100
    torch.testing.assert_close(
        acceleration_errors(truth + drift, truth), torch.zeros(4, 17), rtol=0, atol=1e-3
    )
    assert acceleration_errors(truth[:2], truth[:2]).shape == (0, 17)


def test_pck_and_auc_against_their_definition() -> None:
    errors = torch.tensor([[0.0, 4.9, 5.0], [149.9, 150.0, torch.nan]])
    assert float(pck(errors)) == pytest.approx(4 / 6)
    assert float(pck(errors, 5.0)) == pytest.approx(2 / 6)
    expected = np.mean([(errors.numpy() < threshold).mean() for threshold in range(0, 151, 5)])
    assert float(auc(errors)) == pytest.approx(expected)
    noise = 100 * torch.rand(1000, 17, generator=torch.Generator().manual_seed(0))
    expected = np.mean([(noise.numpy() < threshold).mean() for threshold in range(0, 151, 5)])
    assert float(auc(noise)) == pytest.approx(expected)


def slow_table(prediction: torch.Tensor, truth: torch.Tensor, action: list[str]) -> tuple[float, float]:
    prediction, truth = prediction - prediction[:, :1], truth - truth[:, :1]
    per_pose = (prediction - truth).norm(dim=-1).mean(-1)
    by_action = [
        float(per_pose[[i for i, name in enumerate(action) if name == wanted]].mean())
        for wanted in sorted(set(action))
    ]
    return float(per_pose.mean()), float(np.mean(by_action))


def test_the_table_against_plain_loops() -> None:
    truth = random_poses(0, 70_000)  # more than one block
    prediction = truth + 0.1 * random_poses(1, 70_000) + 50
    action = ["walk"] * 60_000 + ["sit"] * 10_000
    prediction[60_000:] += 0.3 * random_poses(2, 10_000)
    subject = ["S9", "S11"] * 35_000
    table = score_table(prediction, truth, subject, action, H36M17)
    overall, action_wise = slow_table(prediction, truth, action)
    rows = table.set_index("name")
    assert rows.loc["overall", "mpjpe"] == pytest.approx(overall, rel=1e-5)
    assert rows.loc["action-wise mean", "mpjpe"] == pytest.approx(action_wise, rel=1e-5)
    assert abs(overall - action_wise) > 1
    assert rows.loc["pelvis", "mpjpe"] == 0
    assert rows.loc[list(H36M17.joints), "mpjpe"].mean() == pytest.approx(overall, rel=1e-5)
    aligned = p_mpjpe(root_relative(prediction), root_relative(truth))
    assert rows.loc["sit", "p_mpjpe"] == pytest.approx(float(aligned[60_000:].mean()), rel=1e-5)
    assert rows.loc["S9", "n_mpjpe"] == pytest.approx(
        float(n_mpjpe(root_relative(prediction[::2]), root_relative(truth[::2])).mean()), rel=1e-5
    )
    assert list(rows["poses"][["S11", "walk", "overall"]]) == [35_000, 60_000, 70_000]
    assert list(table["group"].unique()) == ["joint", "subject", "action", "all"]


def test_the_table_takes_categoricals_and_ignores_unused_labels() -> None:
    truth = random_poses(0, 4)
    labels = pd.Categorical(["a", "b", "a", "b"], categories=["a", "b", "unused"])
    table = score_table(truth, truth, labels, labels, H36M17)
    assert list(table[table["group"] == "action"]["name"]) == ["a", "b"]
    assert table["mpjpe"].eq(0).all()
    assert table["pck_150"].eq(1).all()


@pytest.mark.parametrize("unlabelled", [("nose",), ("nose", "left_wrist", "right_wrist"), ("head",)])
def test_unlabelled_joints_are_as_if_they_were_not_there(unlabelled: tuple[str, ...]) -> None:
    """Against the table of a skeleton that has only the other joints."""
    truth, prediction = random_poses(0, 60), random_poses(0, 60) + 0.2 * random_poses(1, 60)
    subject, action = ["S9", "S11"] * 30, ["walk"] * 20 + ["sit"] * 40
    known = [joint for joint in H36M17.joints if joint not in unlabelled]
    columns = [H36M17.index(joint) for joint in known]
    others = Skeleton("others", tuple(known), (None, *["pelvis"] * (len(known) - 1)), is_kinematic=False)
    expected = score_table(prediction[:, columns], truth[:, columns], subject, action, others).set_index(
        "name"
    )
    for joint in unlabelled:
        truth[:, H36M17.index(joint)] = torch.nan
    table = score_table(prediction, truth, subject, action, H36M17).set_index("name")
    pd.testing.assert_frame_equal(table.drop(list(unlabelled)), expected)
    lacking = table.loc[list(unlabelled)]
    assert lacking["poses"].eq(60).all()
    assert lacking.drop(columns=["group", "poses"]).isna().all(axis=None)
    # What is predicted for them does not matter.
    prediction[:, [H36M17.index(joint) for joint in unlabelled]] = 1e6
    pd.testing.assert_frame_equal(
        score_table(prediction, truth, subject, action, H36M17).set_index("name"), table
    )


def test_the_root_is_found_behind_an_unlabelled_joint() -> None:
    """MPII's pelvis is its seventh joint: what moves with the whole body is no error there either."""
    truth = random_poses(0, 10)[:, :16]
    truth[:, MPII16.index("right_ankle")] = torch.nan
    table = score_table(truth + torch.tensor([50.0, -20, 10]), truth, ["S9"] * 10, ["walk"] * 10, MPII16)
    assert table.set_index("name").loc["overall", "mpjpe"] < 1e-3
    moved = truth.clone()
    moved[:, MPII16.root, 0] += 30  # then all other labelled joints are wrong by so much
    table = score_table(moved, truth, ["S9"] * 10, ["walk"] * 10, MPII16)
    assert table.set_index("name").loc["overall", "mpjpe"] == pytest.approx(30 * 14 / 15, rel=1e-4)


def test_bad_arguments_of_the_table() -> None:
    truth = random_poses(0, 4)
    labels = ["a"] * 4
    with pytest.raises(ValueError, match="there are no poses to score"):
        score_table(truth[:0], truth[:0], [], [], H36M17)
    with pytest.raises(ValueError, match=r"must be equally long \(got 4, 4, 3, 4\)"):
        score_table(truth, truth, ["a"] * 3, labels, H36M17)
    with pytest.raises(ValueError, match=r"joints must be \(rows, 16, 3\) for H36M16"):
        score_table(truth, truth, labels, labels, H36M16)
