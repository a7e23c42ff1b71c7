"""Metrics with their intervals and baselines, and the temperature of the probabilities.

Clips of one group (one person, one scene) are right or wrong together, so every interval resamples groups, not
clips. No network is needed here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special, stats
from sklearn.metrics import confusion_matrix, f1_score, precision_recall_fscore_support, top_k_accuracy_score

from kineme.errors import KinemeError
from kineme.models.scoring import softmax as softmax  # here too, beside what fits its temperature

CALIBRATION_BINS = 15

_RESAMPLES = 2000
_SIGN_FLIPS = 20_000
_FEW_GROUPS = 10


def evaluate_scores(
    probabilities_NK: NDArray[np.floating[Any]],
    truth_N: ArrayLike,
    groups_N: ArrayLike,
    labels: Sequence[str],
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """Measure a classifier on N clips of K classes.

    Args:
        probabilities_NK: probabilities, each row summing to 1.
        truth_N: the right class of each clip, 0 to K - 1.
        groups_N: the group of each clip.
        labels: the K names, in the order of the columns.
        seed: of the resampling.

    Returns:
        A document for JSON: ``n`` and ``groups`` (counts), ``top1``, ``top1_interval`` [low, high], ``top5`` (None
        up to five classes), ``macro_f1`` (over the classes that occur as truth or answer), ``macro_f1_interval``,
        ``per_class`` (label to ``n``, ``precision``, ``recall``, ``f1``, ``recall_interval``; the last three: None
        for a class without clips; a class never answered has precision 0), ``confusion`` (K rows of truth, K columns
        of answers, counts), ``calibration_error`` (see :func:`calibration_error`), and ``interval_method``, one phrase.

    Raises:
        KinemeError: there is no clip, or the probabilities are not numbers.
    """
    probabilities_NK = np.asarray(probabilities_NK, np.float64)
    truth_N, groups_N = np.asarray(truth_N, np.int64), np.asarray(groups_N)
    if len(truth_N) == 0:
        raise KinemeError("there is no clip to evaluate on")
    if not np.isfinite(probabilities_NK).all():
        raise KinemeError("the model gives values that are not numbers: its training diverged")
    predictions_N = probabilities_NK.argmax(axis=1)
    correct_N = predictions_N == truth_N
    classes = np.arange(len(labels))
    top1_interval = group_interval(correct_N, groups_N, seed=seed)
    macro_f1_interval = _macro_f1_interval(truth_N, predictions_N, groups_N, len(labels), seed) or top1_interval

    precision_K, recall_K, f1_K, n_K = precision_recall_fscore_support(
        truth_N, predictions_N, labels=classes, zero_division=0.0
    )
    per_class: dict[str, Any] = {}
    for k, label in enumerate(labels):
        row: dict[str, Any] = {"n": int(n_K[k]), "precision": float(precision_K[k])}
        if n_K[k]:
            of_class = truth_N == k
            interval = group_interval(correct_N[of_class], groups_N[of_class], seed=seed)
            row |= {"recall": float(recall_K[k]), "f1": float(f1_K[k]), "recall_interval": list(interval)}
        else:
            row |= {"recall": None, "f1": None, "recall_interval": None}
        per_class[label] = row

    top5 = float(top_k_accuracy_score(truth_N, probabilities_NK, k=5, labels=classes)) if len(labels) > 5 else None
    return {
        "n": len(truth_N),
        "groups": len(np.unique(groups_N)),
        "top1": float(correct_N.mean()),
        "top1_interval": list(top1_interval),
        "top5": top5,
        "macro_f1": float(f1_score(truth_N, predictions_N, average="macro", zero_division=0.0)),
        "macro_f1_interval": list(macro_f1_interval),
        "per_class": per_class,
        "confusion": confusion_matrix(truth_N, predictions_N, labels=classes).tolist(),
        "calibration_error": calibration_error(probabilities_NK, truth_N),
        "interval_method": _interval_method(correct_N, groups_N),
    }


def reliability_bins(probabilities_NK: NDArray[np.floating[Any]], truth_N: ArrayLike) -> list[dict[str, float]]:
    """The bins of :func:`calibration_error` that hold predictions: their number, mean confidence and accuracy."""
    confidence_N = np.max(probabilities_NK, axis=1)
    correct_N = np.argmax(probabilities_NK, axis=1) == np.asarray(truth_N)
    bins_N = np.minimum((confidence_N * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    return [
        {
            "n": int(here.sum()),
            "confidence": float(confidence_N[here].mean()),
            "accuracy": float(correct_N[here].mean()),
        }
        for here in (bins_N == number for number in np.unique(bins_N))
    ]


def calibration_error(probabilities_NK: NDArray[np.floating[Any]], truth_N: ArrayLike) -> float:
    """Expected calibration error of the top answer over 15 bins of equal width (Guo et al. 2017, section 2).

    The mean gap between how sure the answers of a bin are and how often they are right, weighted by their number:
    0 (as sure as right) to 1.
    """
    confidence_N = np.max(probabilities_NK, axis=1)
    correct_N = np.argmax(probabilities_NK, axis=1) == np.asarray(truth_N)
    gaps, _, _ = stats.binned_statistic(
        confidence_N, correct_N - confidence_N, statistic="sum", bins=CALIBRATION_BINS, range=(0, 1)
    )
    return float(np.abs(gaps).sum() / len(confidence_N))


# Intervals


def group_interval(correct_N: ArrayLike, groups_N: ArrayLike, *, seed: int = 0) -> tuple[float, float]:
    """A 95 % interval for the share of right answers, with groups as the independent units.

    Percentile bootstrap over groups (2,000 resamples). Where all groups have the same share, resampling gives no
    width. Then the exact binomial interval (Clopper and Pearson) is taken: over groups where all are right, all
    are wrong or there is just one; over clips where groups agree on a share in between, which they cannot do
    unless their clips go right and wrong independently or evenly.

    Args:
        correct_N: booleans, at least one.
        groups_N: the group of each.
        seed: of the resampling.

    Returns:
        Low and high, 0 to 1.
    """
    sums_G2 = _share_sums(correct_N, groups_N)
    if not _agree(sums_G2):
        interval = bootstrap(sums_G2, lambda sums_R2: sums_R2[:, 0] / sums_R2[:, 1], seed)
        if interval is not None:
            return interval
    right, clips = sums_G2.sum(axis=0)
    units = len(sums_G2) if len(sums_G2) == 1 or right in (0, clips) else clips
    successes = right / clips * units  # between two whole numbers for one group that is partly right
    return (
        float(stats.binomtest(int(successes + 1e-9), int(units)).proportion_ci(0.95, "exact").low),
        float(stats.binomtest(int(np.ceil(successes - 1e-9)), int(units)).proportion_ci(0.95, "exact").high),
    )


def accuracy_with_interval(correct_N: ArrayLike, groups_N: ArrayLike, *, seed: int = 0) -> dict[str, Any]:
    """The share of right answers and its interval, as ``top1`` and ``top1_interval``; see :func:`group_interval`."""
    return {
        "top1": float(np.mean(np.asarray(correct_N))),
        "top1_interval": list(group_interval(correct_N, groups_N, seed=seed)),
    }


def _interval_method(correct_N: NDArray[np.bool_], groups_N: NDArray[Any]) -> str:
    sums_G2 = _share_sums(correct_N, groups_N)
    n = len(sums_G2)
    if n == 1:
        return "95 %, exact binomial, but with one group only: it says next to nothing of other groups"
    if _agree(sums_G2):
        what = f"{n} groups" if sums_G2[0, 0] in (0, sums_G2[0, 1]) else f"the clips of {n} groups"
        return f"95 %, exact binomial over {what} (all have the same accuracy, so resampling gives no width)"
    caution = "; so few groups make it too narrow" if n < _FEW_GROUPS else ""
    return f"95 %, percentile bootstrap over {n} groups{caution}; exact binomial for classes where all groups agree"


def _share_sums(correct_N: ArrayLike, groups_N: ArrayLike) -> NDArray[np.float64]:
    """Right answers and clips of each group."""
    _, group_N = np.unique(np.asarray(groups_N), return_inverse=True)
    correct = np.bincount(group_N, weights=np.asarray(correct_N, np.float64))
    return np.stack([correct, np.bincount(group_N)], axis=1)


def _agree(sums_G2: NDArray[np.float64]) -> bool:
    return len(sums_G2) == 1 or bool(np.ptp(sums_G2[:, 0] / sums_G2[:, 1]) < 1e-12)


def _macro_f1_interval(
    truth_N: NDArray[np.int64], predictions_N: NDArray[np.int64], groups_N: NDArray[Any], classes: int, seed: int
) -> tuple[float, float] | None:
    """As :func:`group_interval` for macro-F1; None where resampling gives no width."""
    names, group_N = np.unique(groups_N, return_inverse=True)
    right_GK, both_GK = np.zeros((2, len(names), classes))  # right answers; clips of the class and answers of it
    np.add.at(right_GK, (group_N, truth_N), truth_N == predictions_N)
    np.add.at(both_GK, (group_N, truth_N), 1)
    np.add.at(both_GK, (group_N, predictions_N), 1)

    def macro_f1(sums_RS: NDArray[np.float64]) -> NDArray[np.float64]:
        right_RK, both_RK = sums_RS[:, :classes], sums_RS[:, classes:]
        f1_RK = 2 * right_RK / np.maximum(both_RK, 1)
        return np.asarray(f1_RK.sum(axis=1) / (both_RK > 0).sum(axis=1))

    return bootstrap(np.hstack([right_GK, both_GK]), macro_f1, seed)


def bootstrap(
    sums_GS: NDArray[np.float64], figure: Callable[[NDArray[np.float64]], NDArray[np.float64]], seed: int
) -> tuple[float, float] | None:
    """The percentile interval of a figure of sums over groups; None where it has no width."""
    count = len(sums_GS)
    if count < 2:
        return None

    def statistic(drawn: NDArray[np.int64], axis: int = -1) -> NDArray[np.float64]:
        drawn_RG = drawn.reshape(-1, count)
        times_RG = np.zeros(drawn_RG.shape)
        np.add.at(times_RG, (np.arange(len(drawn_RG))[:, None], drawn_RG), 1)
        return figure(times_RG @ sums_GS).reshape(drawn.shape[:-1])

    result = stats.bootstrap(
        (np.arange(count),),
        statistic,
        vectorized=True,
        axis=-1,
        n_resamples=_RESAMPLES,
        batch=250,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    low, high = (float(end) for end in result.confidence_interval)
    return (low, high) if high - low > 1e-12 else None


# Baselines


def baselines(
    predictions: Mapping[str, ArrayLike], truth_N: ArrayLike, groups_N: ArrayLike, classes: int, *, seed: int = 0
) -> dict[str, Any]:
    """What can be reached by simple rules: the figures a result must be compared with.

    Args:
        predictions: what each rule answers for the N test clips, by its name.
        truth_N: the right class of each.
        groups_N: the group of each.
        classes: K.
        seed: of the resampling.

    Returns:
        ``chance`` (one in K: known exactly, its interval has no width) and each rule, with ``top1`` and
        ``top1_interval`` [low, high].
    """
    truth = np.asarray(truth_N)
    rules = {
        name: accuracy_with_interval(np.asarray(predictions_N) == truth, groups_N, seed=seed)
        for name, predictions_N in predictions.items()
    }
    return {"chance": {"top1": 1 / classes, "top1_interval": [1 / classes, 1 / classes]}, **rules}


# Comparisons


def shuffle_recall_drop(
    predictions: Mapping[str, NDArray[np.int64]], truth_N: ArrayLike, labels: Sequence[str]
) -> dict[str, Any]:
    """How much of each class' recall is lost when frames are shuffled.

    Args:
        predictions: ``"ordered"`` and ``"shuffled"``: the predicted classes of the N clips.
        truth_N: the right class of each, 0 to K - 1.
        labels: the K names.

    Returns:
        Label to recall as filmed minus recall when shuffled, -1 to 1; None for a class without clips.
    """
    truth = np.asarray(truth_N)
    found: dict[str, float | None] = {}
    for k, label in enumerate(labels):
        here = truth == k
        recalls = [
            float((predictions[order][here] == k).mean()) if here.any() else 0.0 for order in ("ordered", "shuffled")
        ]
        found[label] = recalls[0] - recalls[1] if here.any() else None
    return found


def paired_test(better_N: ArrayLike, other_N: ArrayLike, groups_N: ArrayLike, *, seed: int = 0) -> float:
    """Whether one classifier is better than another on the same clips: a sign-flip test over groups, two-sided.

    If both were equally good, each group's difference could as well have had the other sign. All combinations of
    signs are tried, or 20,000 at random where there are more, by :func:`scipy.stats.permutation_test`. Source: Good,
    "Permutation, Parametric and Bootstrap Tests of Hypotheses", 2005, chapter 3.

    Args:
        better_N: right or not, or the share of several seeds that were right, for each clip.
        other_N: the same of the other.
        groups_N: the group of each clip.
        seed: of the random signs.

    Returns:
        The probability, 0 to 1, of a difference at least as large by luck alone.
    """
    _, group_N = np.unique(np.asarray(groups_N), return_inverse=True)
    differences_N = np.asarray(better_N, np.float64) - np.asarray(other_N, np.float64)
    differences_G = np.bincount(group_N, weights=differences_N)
    differences_G = differences_G[np.abs(differences_G) > 1e-12]  # a group without a difference has no sign
    if len(differences_G) < 2:  # of one, either sign is as extreme
        return 1.0
    found = stats.permutation_test(
        (differences_G,),
        lambda differences, axis: differences.sum(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=_SIGN_FLIPS,
        batch=1000,
        rng=np.random.default_rng(seed),
    )
    return float(found.pvalue)


def reordered_accuracy(
    right_N: ArrayLike, ordered_right_N: ArrayLike, groups_N: ArrayLike, *, seed: int = 0
) -> dict[str, Any]:
    """Accuracy with the frames in another order, beside that of the same clips as filmed.

    Args:
        right_N: whether each clip is right with its frames in that order.
        ordered_right_N: the same as filmed.
        groups_N: the group of each clip.
        seed: of the interval and of the test.

    Returns:
        ``top1``, ``top1_interval``, ``top1_ordered``, and ``p_value``: that of :func:`paired_test`.
    """
    return {
        **accuracy_with_interval(right_N, groups_N, seed=seed),
        "top1_ordered": float(np.asarray(ordered_right_N, np.float64).mean()),
        "p_value": paired_test(ordered_right_N, right_N, groups_N, seed=seed),
    }


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values of several tests, raised so that all hold together (Holm 1979).

    "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 6.
    """
    raised = [0.0] * len(p_values)
    highest = 0.0
    for rank, number in enumerate(np.argsort(p_values, kind="stable").tolist()):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[number]))
        raised[number] = highest
    return raised


# Probabilities


def fit_temperature(logits_NK: NDArray[np.floating[Any]], truth_N: ArrayLike) -> float:
    """The temperature that makes the probabilities of held-out clips likeliest (Guo et al. 2017, section 4.2).

    Args:
        logits_NK: logits of validation clips, which were not trained on.
        truth_N: the right class of each, 0 to K - 1.

    Returns:
        0.05 to 20; 1.0 if no clip is classified wrongly (or there are no clips), since ever lower temperatures would
        then be ever likelier, and the probabilities surer than a few clips can vouch for.
    """
    logits_NK, truth_N = np.asarray(logits_NK, np.float64), np.asarray(truth_N, np.int64)
    if bool((logits_NK.argmax(axis=1) == truth_N).all()):
        return 1.0

    def loss(log_temperature: float) -> float:
        log_NK = special.log_softmax(logits_NK / np.exp(log_temperature), axis=1)
        return float(-log_NK[np.arange(len(truth_N)), truth_N].mean())

    found = optimize.minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded")
    return float(np.clip(np.exp(found.x), 0.05, 20))
