"""What the position channels of a BVH root mean where the root has an offset too.

Some programs add the two (iClone), others write where the root is and leave the offset as the rest pose has it (Rokoko, Axis
Neuron, Blender, PyMO). Files do not say which; people stand on the floor in one of the readings and almost a metre above or below
it in the other.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from evolift.posedata.skeleton import H36M17

_ANKLE = 0.1
"""Height of the ankle above the sole, of the leg's length."""
_CLEARLY_NEARER = 0.2
_ON_THE_FLOOR = 0.5


def is_offset_added(joints: Float[np.ndarray, "frames 17 3"], offset: Float[np.ndarray, "3"]) -> bool | None:
    """Whether people stand on the floor when the root's offset is added to its position channels.

    The floor is at height 0. How high they stand is told by the lower ankle where it is lowest, but for a tenth of the frames.

    Args:
        joints: H36M17, z up, any unit, with the offset added.
        offset: of the root, in the same axes and unit.

    Returns:
        None if they stand equally well either way, or far from the floor both ways.
    """
    hip, knee, ankle = (
        joints[:, [H36M17.index(f"{side}_{name}") for side in ("left", "right")]]
        for name in ("hip", "knee", "ankle")
    )
    leg = float(np.median(np.linalg.norm(hip - knee, axis=-1) + np.linalg.norm(knee - ankle, axis=-1)))
    low = float(np.percentile(ankle[..., 2].min(1), 10))
    added, replaced = (abs(height / leg - _ANKLE) for height in (low, low - offset[2]))
    if abs(added - replaced) < _CLEARLY_NEARER or min(added, replaced) > _ON_THE_FLOOR:
        return None
    return bool(added < replaced)
