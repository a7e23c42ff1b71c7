"""Which model the default approach ships: the rule, on what its candidates gave on folds of the training groups.

The joined model is shipped unless the folds speak clearly against it. Three things may:

- single frames are right at least as often, and clearly more often than guessing: then they are shipped;
- another candidate is clearly better, by a paired test over groups;
- always answering the most frequent class is right more often than the best of them: then nothing was learned, and
  that is what the shipped model does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NotRequired, TypedDict

import numpy as np
from numpy.typing import NDArray

from kineme.training.metrics import accuracy_with_interval, paired_test

SIGNIFICANT = 0.05
Role = Literal["default", "simple", "background", "guess", "other", "live"]


class CandidateFigures(TypedDict):
    """One of the ``candidates`` of ``selection`` in ``metrics.json``.

    ``top1`` is over all clips of the folds, ``segment_f1`` over their whole videos where rows are parts of these; ``p``
    is that of a paired test against the default. They are missing where ``not_measured`` says why.
    """

    name: str
    what: str
    role: Role
    top1: NotRequired[float]
    top1_interval: NotRequired[list[float]]
    segment_f1: NotRequired[float]
    p: NotRequired[float]
    not_measured: NotRequired[str]


class Selection(TypedDict):
    """``selection`` in ``metrics.json``: the candidates of the default approach, the choice, and the reason.

    ``folds`` is 0 where the candidates were not tried, and ``not_tried`` says why. ``learned``: whether the chosen one
    is clearly better than guessing on the folds, None without folds. ``one_class_groups``: every group holds one
    class; ``one_class_share``: of the clips, those in such groups; ``clips_per_class``: of the rarest class;
    ``moving_share``: of the picture, where nothing was learned. ``features`` are those of the default,
    ``missing_weights`` the names of pretrained weights that it would have used besides, ``costs`` the seconds that
    features were to take; ``looks_per_second`` how often a stream of the shipped model gets an answer on this machine.
    """

    chosen: str
    what: str
    role: Role
    reason: str
    learned: bool | None
    guessing: float | None
    folds: int
    clips: int
    groups: int
    not_tried: str | None
    one_class_groups: bool
    one_class_share: float
    clips_per_class: int
    moving_share: NotRequired[float]
    candidates: list[CandidateFigures]
    features: str | None
    missing_weights: list[str]
    costs: dict[str, float]
    note: str
    looks_per_second: NotRequired[float | None]


@dataclass(frozen=True, eq=False)
class Tried:
    """A candidate and its results on the folds.

    Args:
        name: as ``kineme compare`` takes it, or the name of a rule.
        what: it is, in words.
        role: ``"default"``: the joined model; ``"simple"``: shipped where it is as good; ``"background"`` and
            ``"guess"``: rules that look at no action; ``"other"``: shipped where it is clearly better; ``"live"``:
            chosen among its like.
        right_N: whether it was right, for each clip of the folds; None where it was not measured.
        not_measured: why.
        videos: segment F1 of each whole video and the video's group, where rows are parts of these.
        segment_f1: of all of them together.
    """

    name: str
    what: str
    role: Role
    right_N: NDArray[np.float64] | None = None
    not_measured: str = ""
    videos: tuple[NDArray[np.float64], list[str]] | None = None
    segment_f1: float | None = None

    @property
    def top1(self) -> float:
        """Share of the clips that it was right on; 0 where it was not measured."""
        return 0.0 if self.right_N is None else float(self.right_N.mean())

    @property
    def score(self) -> float:
        """What candidates are ranked by, as in a comparison."""
        return self.top1 if self.segment_f1 is None else self.segment_f1


@dataclass(frozen=True, eq=False)
class Verdict:
    """The candidate to ship.

    Args:
        chosen: the candidate.
        reason: why, in one sentence.
        learned: whether it is clearly better than guessing on the folds.
        guessing: the share of the clips that is right without looking at a video.
    """

    chosen: Tried
    reason: str
    learned: bool
    guessing: float


def choose(
    tried: Sequence[Tried], groups_N: Sequence[str], classes: int, *, live: bool = False, seed: int = 0
) -> Verdict:
    """The candidate to ship.

    Args:
        tried: all candidates; one in the role ``"default"``, unless it is for live use.
        groups_N: the group of each clip of the folds.
        classes: K.
        live: choose among those in the role ``"live"``.
        seed: of the tests' random signs and of the intervals.
    """
    measured = [one for one in tried if one.right_N is not None]
    guess = next((one for one in measured if one.role == "guess"), None)
    guessing = max(1 / classes, guess.top1 if guess else 0.0)

    def verdict(one: Tried, reason: str) -> Verdict:
        return Verdict(one, reason, _beats(one, guessing, groups_N, seed), guessing)

    def unless_guessing(best: Tried, reason: str) -> Verdict:
        if guess is None or best.videos is not None or guess.top1 <= best.top1:  # rules answer for clips alone
            return verdict(best, reason)
        return Verdict(guess, f"{guess.what} is right more often than {best.what}", False, guessing)

    if live:
        best = max((one for one in tried if one.role == "live"), key=lambda one: one.score)
        return unless_guessing(best, "it is the best of those that follow a stream at the cost of one frame")
    default = next(one for one in tried if one.role == "default")
    if default.right_N is None:
        return Verdict(default, f"it could not be tried on folds: {default.not_measured}", False, guessing)
    of_clips = default.videos is None  # rules answer for clips, not for whole videos
    enough = [
        one
        for one in measured
        if one.role == "simple" and of_clips and one.top1 >= default.top1 and _beats(one, guessing, groups_N, seed)
    ]
    better = [one for one in measured if one.role == "other" and _clearly_better(one, default, groups_N, seed)]
    best = max([*enough, *better], key=lambda one: one.score, default=default)
    if best in better:
        return unless_guessing(best, f"{best.what} is clearly better than {default.what} on the folds")
    if best in enough:
        return unless_guessing(best, f"{best.what} do as well as {default.what} on the folds")
    return unless_guessing(default, "nothing simpler does as well on the folds, and nothing else is clearly better")


def _beats(one: Tried, guessing: float, groups_N: Sequence[str], seed: int) -> bool:
    """Whether the interval of its top-1 lies above guessing."""
    if one.right_N is None:
        return False
    low, _ = accuracy_with_interval(one.right_N > 0.5, groups_N, seed=seed)["top1_interval"]
    return bool(low > guessing)


def _clearly_better(one: Tried, default: Tried, groups_N: Sequence[str], seed: int) -> bool:
    return one.score > default.score and _p(one, default, groups_N, seed) < SIGNIFICANT


def _p(one: Tried, default: Tried, groups_N: Sequence[str], seed: int) -> float:
    """Of a paired test: on whole videos where both have those, else on clips."""
    assert one.right_N is not None
    assert default.right_N is not None
    if one.videos and default.videos:
        return paired_test(one.videos[0], default.videos[0], one.videos[1], seed=seed)
    return paired_test(one.right_N, default.right_N, groups_N, seed=seed)


def candidate_figures(tried: Sequence[Tried], groups_N: Sequence[str], *, seed: int = 0) -> list[CandidateFigures]:
    """The ``candidates`` of ``selection``, the default first; arguments as for :func:`choose`."""
    default = next((one for one in tried if one.role == "default"), None)
    found: list[CandidateFigures] = []
    for one in tried:
        figures: CandidateFigures = {"name": one.name, "what": one.what, "role": one.role}
        if one.right_N is None:
            figures["not_measured"] = one.not_measured
        else:
            accuracy = accuracy_with_interval(one.right_N > 0.5, groups_N, seed=seed)
            figures["top1"], figures["top1_interval"] = accuracy["top1"], accuracy["top1_interval"]
            if one.segment_f1 is not None:
                figures["segment_f1"] = one.segment_f1
            if default is not None and one is not default and default.right_N is not None:
                figures["p"] = _p(one, default, groups_N, seed)
        found.append(figures)
    return found
