"""Whether a video shows one of the labels at all: a number for it, and the threshold."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

REFUSED = 0.05  # share of videos of known actions that the threshold may refuse
LEARNED_THRESHOLD = 0.0  # without validation videos: background was learned, and here both are equally likely


def energy(logits_NK: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """The logarithm of the sum of exponentials of each row, (N,): large where the network sees one of its labels.

    Of a network that learned from background (:mod:`kineme.training.background`) it is the log odds of one of the
    labels against background. Source: Liu et al., "Energy-based Out-of-distribution Detection", NeurIPS 2020; theirs
    has the other sign.
    """
    return np.asarray(special.logsumexp(np.asarray(logits_NK, np.float64), axis=-1))


def fit_threshold(energies_N: ArrayLike, refused: float = REFUSED) -> tuple[float, float]:
    """The threshold that refuses at most a stated share of known videos.

    It is the k-th lowest energy of N videos that were not trained on, with k as large as ``k / (N + 1) <= refused``
    allows: another such video then lies below it with a probability of at most ``k / (N + 1)``, whatever the
    distribution. Of fewer videos than that takes, it is the lowest. Source: conformal prediction (Vovk, Gammerman and
    Shafer, "Algorithmic Learning in a Random World", 2005). Videos of one person are alike, so this holds on average
    over people, and less exactly the fewer there are.

    Args:
        energies_N: of validation videos, at least one.
        refused: share, 0 to 1.

    Returns:
        The threshold, and the share that it holds for.
    """
    energies = np.sort(np.asarray(energies_N, np.float64))
    k = max(1, int(refused * (len(energies) + 1) + 1e-9))
    return float(energies[k - 1]), k / (len(energies) + 1)
