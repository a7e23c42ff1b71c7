"""Follows the probabilities of a stream, and reports when the condition of a rule begins and ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kineme.dataset.labels import BACKGROUND
from kineme.triggers.rule import Rule

_SHORTEST_LEAVE_S = 1.0


@dataclass(frozen=True)
class Change:
    """A rule's action has begun or ended.

    Args:
        kind: ``"enter"`` or ``"leave"``.
        rule: whose.
        label: the recognised label: the rule's, or of ``any`` the surest; of a negated rule its label, or None.
        start_s: since when the rule is fulfilled, on the clock of the windows.
        end_s: until when it was, of one that has ended.
        confidence: mean probability since then; of a negated rule, that it is not so.
    """

    kind: Literal["enter", "leave"]
    rule: Rule
    label: str | None
    start_s: float
    end_s: float | None
    confidence: float


class Trigger:
    """One rule, followed over time.

    It begins when its condition has held for the rule's time without a break, and ends when it has not held for as
    long, and for a second at least. After it began it does not begin anew within the cool-down; where the condition
    holds beyond that, it begins then.

    Args:
        rule: what to look for.
        labels: of the model, in the order of its probabilities.
        cooldown_s: from one beginning to the next, at least.
    """

    def __init__(self, rule: Rule, labels: Sequence[str], cooldown_s: float) -> None:
        self._rule, self._labels, self._cooldown_s = rule, tuple(labels), cooldown_s
        actions = [k for k, label in enumerate(labels) if label.lower() != BACKGROUND]
        self._columns = actions if rule.label is None else [self._labels.index(rule.label)]
        self._since_s: float | None = None  # when what is now so, fulfilled or not, began
        self._fulfilled = False
        self._entered: tuple[float, str | None] | None = None  # start and label, while it goes on
        self._entered_at_s = -float("inf")
        self._sum = self._count = 0.0

    def push(self, time_s: float, probabilities_K: NDArray[np.float64], is_known: bool) -> Change | None:
        """Take in a window.

        Args:
            time_s: its middle, later than that of the window before.
            probabilities_K: calibrated.
            is_known: whether the model takes it for one of its labels at all; if not, none of them counts.
        """
        column = max(self._columns, key=lambda k: probabilities_K[k])
        probability = float(probabilities_K[column]) if is_known else 0.0
        fulfilled = (probability > self._rule.threshold) != self._rule.negated
        if self._since_s is None or fulfilled != self._fulfilled:
            self._since_s, self._fulfilled = time_s, fulfilled
            if self._entered is None:
                self._sum = self._count = 0.0
        if fulfilled:
            self._sum += 1 - probability if self._rule.negated else probability
            self._count += 1
        held_s = time_s - self._since_s + 1e-6
        if self._entered is None:
            is_due = time_s - self._entered_at_s >= self._cooldown_s
            if fulfilled and held_s >= self._rule.hold_s and is_due:
                label = self._rule.label if self._rule.negated else self._labels[column]
                self._entered, self._entered_at_s = (self._since_s, label), time_s
                return Change("enter", self._rule, label, self._since_s, None, self._confidence)
        elif not fulfilled and held_s >= max(self._rule.hold_s, _SHORTEST_LEAVE_S):
            return self._leave(self._since_s)
        return None

    def interrupt(self, time_s: float) -> Change | None:
        """Say that the source disconnected or ended: current actions end, and later ones are unknown."""
        change = self._leave(time_s) if self._entered else None
        self._since_s, self._fulfilled = None, False
        self._sum = self._count = 0.0
        return change

    @property
    def _confidence(self) -> float:
        return self._sum / self._count if self._count else 0.0

    def _leave(self, end_s: float) -> Change:
        assert self._entered is not None
        start_s, label = self._entered
        change = Change("leave", self._rule, label, start_s, end_s, self._confidence)
        self._entered = None
        self._sum = self._count = 0.0
        return change
