"""Whether a video shows one of the labels at all."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special


def energy(logits_NK: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """The logarithm of the sum of exponentials of each row, (N,): large where the network sees one of its labels.

    Liu et al., "Energy-based Out-of-distribution Detection" (NeurIPS 2020), with the sign turned.
    """
    return np.asarray(special.logsumexp(np.asarray(logits_NK, np.float64), axis=-1))
