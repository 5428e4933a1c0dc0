"""Bone lengths of the people in a store."""

from __future__ import annotations

import numpy as np
import pandas as pd
from jaxtyping import Float32, Int64

from evolift.evolution.kinematics.kinematic_tree import KinematicTree


def length_templates(
    lengths: Float32[np.ndarray, "poses bones"], subject: pd.Categorical, tree: KinematicTree
) -> tuple[Float32[np.ndarray, "subjects bones"], Int64[np.ndarray, "poses"]]:
    """The median length of each bone of each subject, left and right made equal, mm; and the row of these of each pose's subject.

    Args:
        lengths: of all poses, as `local_bones.to_local` gives them.
        subject: of each pose.
    """
    codes, person = np.unique(np.asarray(subject.codes), return_inverse=True)
    medians = np.stack([np.median(lengths[person == row], axis=0) for row in range(len(codes))])
    even: np.ndarray = (medians + medians[:, list(tree.mirror)]) / 2
    return even.astype(np.float32), person
