"""Errors of 3D poses as the field reports them, and tables of them.

All functions take joints in millimetres with joint and axis last, and keep the leading dimensions. "Protocol 1"
is MPJPE of root-relative poses, "protocol 2" P-MPJPE (Ionescu et al. 2014; Martinez et al. 2017). The root joint
counts in the means with its error of 0, as in VideoPose3D and SemGCN. PCK and AUC follow MPI-INF-3DHP (Mehta et
al. 2017): the share of joints nearer than 150 mm, and its mean over thresholds 0, 5, ..., 150 mm.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from evolift.posedata.procrustes import aligned_blocks, procrustes_align, scale_align
from evolift.posedata.scores import require_score
from evolift.posedata.skeleton import Skeleton

PCK_THRESHOLD = 150.0
AUC_THRESHOLDS = tuple(float(threshold) for threshold in range(0, 151, 5))
ACTION_WISE = "action-wise mean"
"""Name of the row that papers on Human3.6M report: the mean of the rows of actions, whatever their lengths."""
COLUMNS = ("mpjpe", "p_mpjpe", "n_mpjpe", "pck_150", "auc")
# Poses of a table that are scored at a time, so that memory stays flat.
_TABLE_BLOCK = 65536


def root_relative(
    joints: Float[Tensor, "*batch joints 3"], root: int = 0
) -> Float[Tensor, "*batch joints 3"]:
    """Joints relative to the root joint, in the units of the joints."""
    return joints - joints[..., root : root + 1, :]


def joint_errors(
    prediction: Float[Tensor, "*batch joints 3"], truth: Float[Tensor, "*batch joints 3"]
) -> Float[Tensor, "*batch joints"]:
    """Distance of each joint to the truth, mm."""
    errors: Tensor = torch.linalg.vector_norm(prediction - truth, dim=-1)
    return errors


def mpjpe(
    prediction: Float[Tensor, "*batch joints 3"], truth: Float[Tensor, "*batch joints 3"]
) -> Float[Tensor, "*batch"]:
    """Mean per-joint position error of each pose, mm. Give root-relative poses for protocol 1."""
    return joint_errors(prediction, truth).mean(-1)


def p_mpjpe(
    prediction: Float[Tensor, "*batch joints 3"], truth: Float[Tensor, "*batch joints 3"]
) -> Float[Tensor, "*batch"]:
    """MPJPE of each pose after similarity alignment (protocol 2), mm; a mirror image is not aligned away."""
    errors = [joint_errors(aligned, exact).mean(-1) for aligned, exact in aligned_blocks(prediction, truth)]
    return torch.cat(errors).to(prediction.dtype).reshape(prediction.shape[:-2])


def n_mpjpe(
    prediction: Float[Tensor, "*batch joints 3"], truth: Float[Tensor, "*batch joints 3"]
) -> Float[Tensor, "*batch"]:
    """MPJPE of each root-relative pose after the best scaling (Rhodin et al. 2018), mm."""
    return mpjpe(scale_align(prediction, truth), truth)


def acceleration_errors(
    prediction: Float[Tensor, "frames joints 3"], truth: Float[Tensor, "frames joints 3"]
) -> Float[Tensor, "inner joints"]:
    r"""Distance of each joint's acceleration to the true one, mm/frame^2, as HMMR and VIBE report it (Kanazawa et al. 2019).

    .. math:: \| (\hat x_{t-1} - 2 \hat x_t + \hat x_{t+1}) - (x_{t-1} - 2 x_t + x_{t+1}) \|

    Times the square of the frames per second it is mm/s^2; numbers of other frame rates do not compare otherwise.

    Args:
        prediction, truth: consecutive frames of one clip, mm.

    Returns:
        For all frames but the first and the last one; none where there are fewer than three.
    """
    errors: Tensor = torch.linalg.vector_norm(torch.diff(prediction - truth, n=2, dim=0), dim=-1)
    return errors


def pck(errors: Float[Tensor, "*shape"], threshold: float = PCK_THRESHOLD) -> Float[Tensor, ""]:
    """Share of joint errors (mm) below a threshold, 0 to 1; an error that is not a number is not below."""
    return (errors < threshold).double().mean()


def auc(errors: Float[Tensor, "*shape"]) -> Float[Tensor, ""]:
    """Mean of `pck` over `AUC_THRESHOLDS`, 0 to 1."""
    thresholds = torch.tensor(AUC_THRESHOLDS, dtype=errors.dtype, device=errors.device)
    # A sorted search counts all thresholds at once.
    below = torch.searchsorted(errors.flatten().nan_to_num(torch.inf).sort().values, thresholds)
    return below.double().mean() / errors.numel()


def score_table(
    prediction: Float[Tensor, "rows joints 3"],
    truth: Float[Tensor, "rows joints 3"],
    subject: pd.Categorical | Sequence[str],
    action: pd.Categorical | Sequence[str],
    skeleton: Skeleton,
) -> pd.DataFrame:
    """All scores of a set of poses.

    Both sides are made root-relative first. Joints that are NaN in the truth, unlabelled ones, are not scored: neither their own
    row (NaN) nor any mean knows of them.

    Args:
        prediction, truth: mm, in the same frame.
        subject, action: labels per row.
        skeleton: of the joints.

    Returns:
        A row per joint, subject and action, then `overall` (mean over all poses) and `action-wise mean` (mean of
        the action rows, the number that papers on Human3.6M report). Columns: `group` ("joint", "subject",
        "action", "all"), `name`, `poses`, `mpjpe`, `p_mpjpe`, `n_mpjpe` (mm), `pck_150`, `auc` (0 to 1).

    Raises:
        InputError: an overall score is not finite.
        ValueError: there are no rows, lengths differ, or joints are not those of the skeleton.
    """
    rows = len(prediction)
    if rows == 0:
        raise ValueError("there are no poses to score")
    if not rows == len(truth) == len(subject) == len(action):
        raise ValueError(
            f"prediction, truth, subject and action must be equally long (got {rows}, {len(truth)}, {len(subject)}, {len(action)})"
        )
    if prediction.shape != truth.shape or prediction.shape[1] != len(skeleton):
        raise ValueError(
            f"joints must be (rows, {len(skeleton)}, 3) for {skeleton.name} (got {tuple(prediction.shape)} and {tuple(truth.shape)})"
        )
    known = truth.isfinite().all(0).all(-1).nonzero()[:, 0].tolist()
    root = known.index(skeleton.root)
    plain, aligned, scaled = _three_errors(prediction[:, known], truth[:, known], root)
    entries = [
        _entry("joint", name, rows, *(errors[:, known.index(joint)] for errors in (plain, aligned, scaled)))
        if joint in known
        else {"group": "joint", "name": name, "poses": rows} | dict.fromkeys(COLUMNS, np.nan)
        for joint, name in enumerate(skeleton.joints)
    ]
    for group, labels in (("subject", subject), ("action", action)):
        for label, members in _groups(labels):
            chosen = torch.from_numpy(members)
            entries.append(_entry(group, label, len(members), plain[chosen], aligned[chosen], scaled[chosen]))
    overall = _entry("all", "overall", rows, plain, aligned, scaled)
    for column in COLUMNS:
        require_score(column, float(str(overall[column])), "over all poses")
    table = pd.DataFrame([*entries, overall])
    actions = table[table["group"] == "action"]
    mean = {"group": "all", "name": ACTION_WISE, "poses": rows, **actions[list(COLUMNS)].mean()}
    return pd.concat([table, pd.DataFrame([mean])], ignore_index=True)


def _three_errors(prediction: Tensor, truth: Tensor, root: int) -> tuple[Tensor, Tensor, Tensor]:
    """Errors per joint: plain, after similarity alignment, after scaling."""
    parts = []
    with torch.no_grad():
        for x, y in zip(torch.split(prediction, _TABLE_BLOCK), torch.split(truth, _TABLE_BLOCK), strict=True):
            x, y = root_relative(x.cpu(), root), root_relative(y.cpu(), root)  # noqa: PLW2901 - the same poses
            parts.append([joint_errors(moved, y) for moved in (x, procrustes_align(x, y), scale_align(x, y))])
    plain, aligned, scaled = (torch.cat(column) for column in zip(*parts, strict=True))
    return plain, aligned, scaled


def _groups(labels: pd.Categorical | Sequence[str]) -> list[tuple[str, np.ndarray]]:
    """Labels in sorted order, each with the numbers of its rows."""
    codes, names = pd.factorize(np.asarray(labels, object).astype(str), sort=True)
    order = np.argsort(codes, kind="stable")
    edges = np.searchsorted(codes[order], np.arange(1, len(names)))
    return list(zip((str(name) for name in names), np.split(order, edges), strict=True))


def _entry(
    group: str, name: str, poses: int, plain: Tensor, aligned: Tensor, scaled: Tensor
) -> dict[str, object]:
    scores = (plain.double().mean(), aligned.double().mean(), scaled.double().mean(), pck(plain), auc(plain))
    return {"group": group, "name": name, "poses": poses} | dict(
        zip(COLUMNS, (float(score) for score in scores), strict=True)
    )
