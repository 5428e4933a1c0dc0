"""How near the answers of one network are when they are computed in two ways, on every processor.

The ways: torch and onnxruntime, as trained and folded, alone and in a batch, other numbers of threads. They add the same products in
another order. A float32 has a relative step of 1.2e-7, and sums over some thousand channels, layer after layer, were seen to differ
by up to 2e-5 of the largest answer; which sums are taken in which order depends on the processor. A wrong network is off by
a hundred times the tolerance. It is relative, because answers of a network that was never trained have any size.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

TOLERANCE = {np.dtype(np.float32): 1e-4, np.dtype(np.float64): 1e-12}
"""Of the largest answer, or of the extent if that is larger."""


def assert_same_answers(
    found: Tensor | np.ndarray, expected: Tensor | np.ndarray, *, extent: float = 0.0
) -> None:
    """Require that two arrays of any equal shape and type agree.

    Args:
        found, expected: finite.
        extent: of what is answered, in its unit: answers that happen to lie near zero are as exact as others. 1 for
            confidences and parts of a crop.
    """
    found, expected = (x.detach().numpy() if isinstance(x, Tensor) else x for x in (found, expected))
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    if not expected.size:
        return
    largest = max(extent, float(np.abs(expected).max()))
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE[expected.dtype] * largest)
