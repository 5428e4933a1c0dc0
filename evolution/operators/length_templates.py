"""Bone lengths of the people in a store."""

from __future__ import annotations

import numpy as np
import pandas as pd
from jaxtyping import Float32

from evolift.evolution.kinematics.kinematic_tree import KinematicTree


def length_templates(
    lengths: Float32[np.ndarray, "poses bones"], subject: pd.Categorical, tree: KinematicTree
) -> Float32[np.ndarray, "subjects bones"]:
    """The median length of each bone of each subject, left and right made equal; mm.

    Args:
        lengths: of all poses, as `local_bones.to_local` gives them.
        subject: of each pose.
    """
    codes = np.asarray(subject.codes)
    medians = np.stack([np.median(lengths[codes == code], axis=0) for code in np.unique(codes)])
    even: np.ndarray = (medians + medians[:, list(tree.mirror)]) / 2
    return even.astype(np.float32)
