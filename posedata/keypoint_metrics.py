"""Scores of 2D joints: the share that lies within a fraction of a body length (PCK).

The body length is the torso diameter, left shoulder to right hip, for "PCK@0.2" (Leeds Sports Pose; Yang & Ramanan
2013), or a head size for "PCKh@0.5" (MPII; Andriluka et al. 2014). Only labelled joints count; rows without a body
length count for nothing.
"""

from __future__ import annotations

import pandas as pd
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from evolift.posedata.scores import require_score
from evolift.posedata.skeleton import Skeleton

PCK_FRACTION = 0.2
PCKH_FRACTION = 0.5


def torso_diameter(
    joints: Float[Tensor, "*batch joints 2"], visibility: UInt8[Tensor, "*batch joints"], skeleton: Skeleton
) -> Float[Tensor, "*batch"]:
    """Distance from the left shoulder to the right hip in pixels; NaN where one of them is unlabelled or it is 0."""
    shoulder, hip = skeleton.index("left_shoulder"), skeleton.index("right_hip")
    diameter = torch.linalg.vector_norm(joints[..., shoulder, :] - joints[..., hip, :], dim=-1)
    known = (visibility[..., shoulder] > 0) & (visibility[..., hip] > 0) & (diameter > 0)
    return torch.where(known, diameter, torch.nan)


def correct_keypoints(
    prediction: Float[Tensor, "*batch joints 2"],
    truth: Float[Tensor, "*batch joints 2"],
    visibility: UInt8[Tensor, "*batch joints"],
    length: Float[Tensor, "*batch"],
    fraction: float = PCK_FRACTION,
) -> Float[Tensor, "*batch joints"]:
    """1 where a joint lies within `fraction` of the body length of its truth, 0 where not, NaN where it does not count.

    Args:
        prediction, truth: pixels.
        visibility: of the truth; 0 does not count.
        length: body length of each pose in pixels; a pose does not count where it is not a positive number.
        fraction: of the length.
    """
    distance = torch.linalg.vector_norm(prediction - truth, dim=-1)
    within = (distance <= fraction * length[..., None]).to(truth.dtype)
    counts = (visibility > 0) & (length > 0)[..., None]
    return torch.where(counts, within, torch.nan)


def keypoint_table(
    prediction: Float[Tensor, "rows joints 2"],
    truth: Float[Tensor, "rows joints 2"],
    visibility: UInt8[Tensor, "rows joints"],
    skeleton: Skeleton,
    *,
    head_size: Float[Tensor, "rows"] | None = None,
) -> pd.DataFrame:
    """PCK@0.2 of the torso (and PCKh@0.5 with head sizes) per joint, overall, and as a mean over joints.

    Args:
        prediction, truth: pixels of the same image.
        visibility: of the truth; joints with 0 do not count.
        skeleton: of the joints.
        head_size: of each row in pixels, NaN where unknown (MPII: 0.6 of the diagonal of the head box).

    Returns:
        Columns `name`, `labelled` (joints that count for PCK), `pck_0.2`, `pckh_0.5` (0 to 1; NaN where nothing
        counts, or without head sizes) and `error` (mean distance, px, of all labelled joints).

    Raises:
        InputError: `error` is not finite.
    """
    torso = torso_diameter(truth, visibility, skeleton)
    pck = correct_keypoints(prediction, truth, visibility, torso)
    head = torch.full_like(torso, torch.nan) if head_size is None else head_size.to(torso)
    pckh = correct_keypoints(prediction, truth, visibility, head, PCKH_FRACTION)
    distance = torch.linalg.vector_norm(prediction - truth, dim=-1)
    distance = torch.where(visibility > 0, distance, torch.nan)
    if (visibility > 0).any():
        require_score("error", float(distance[visibility > 0].mean()), "over all labelled joints")
    entries = [
        _entry(name, pck[:, joint], pckh[:, joint], distance[:, joint])
        for joint, name in enumerate(skeleton.joints)
    ]
    table = pd.DataFrame([*entries, _entry("overall", pck, pckh, distance)])
    columns = ["pck_0.2", "pckh_0.5", "error"]
    mean = {"name": "joint-wise mean", "labelled": int(table["labelled"].iloc[-1])}
    mean |= {column: float(table[column].iloc[:-1].mean()) for column in columns}
    return pd.concat([table, pd.DataFrame([mean])], ignore_index=True)


def _entry(name: str, pck: Tensor, pckh: Tensor, distance: Tensor) -> dict[str, object]:
    return {
        "name": name,
        "labelled": int(pck.isfinite().sum()),
        "pck_0.2": float(pck.double().nanmean()),
        "pckh_0.5": float(pckh.double().nanmean()),
        "error": float(distance.double().nanmean()),
    }
