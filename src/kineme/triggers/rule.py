"""Rules such as ``fall > 0.8 for 2s``: what must be recognised, how surely, and for how long.

The grammar, with words in any case::

    rule      = [ "not" ] what [ ">" number [ "%" ] ] [ "for" number [ unit ] ]
    what      = "any" | "*" | label | "'" label "'"
    unit      = "ms" | "s" | "m" | "h"

``any`` is fulfilled by whichever label is surest, ``*`` stands for a rule for each label, and ``not`` for the
contrary: no window in all that time shows the label so surely. A label in quotation marks is never taken for a word of
the grammar.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kineme.dataset.labels import BACKGROUND
from kineme.errors import UsageError

DEFAULT_THRESHOLD = 0.5
DEFAULT_HOLD_S = 0.5

_GRAMMAR = re.compile(
    r"\s*(?P<not>not\s+)?(?P<what>'[^']*'|\"[^\"]*\"|.+?)"
    r"(?:\s*>\s*(?P<threshold>[\d.]+)\s*(?P<percent>%?))?"
    r"(?:\s+for\s+(?P<hold>[\d.]+)\s*(?P<unit>ms|s|m|h)?)?\s*",
    re.IGNORECASE,
)
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_LONGEST_S = 86400.0


@dataclass(frozen=True)
class Rule:
    """When to tell.

    Args:
        label: what must be recognised; None is any label.
        threshold: its calibrated probability must be above that, in (0, 1).
        hold_s: for so many seconds without a break.
        negated: whether it must not be above that instead.
    """

    label: str | None
    threshold: float = DEFAULT_THRESHOLD
    hold_s: float = DEFAULT_HOLD_S
    negated: bool = False

    def __str__(self) -> str:
        label = self.label or ""
        is_word = label.lower() in ("any", "*") or label.lower().startswith("not ")
        what = "any" if self.label is None else f"'{label}'" if is_word else label
        return f"{'not ' * self.negated}{what} > {self.threshold:g} for {self.hold_s:g}s"

    @property
    def name(self) -> str:
        """What events and sensors call it: the label, with ``not`` in front where it is negated."""
        return f"{'not ' * self.negated}{'any' if self.label is None else self.label}"


def parse_rules(texts: Iterable[str], labels: Sequence[str]) -> tuple[Rule, ...]:
    """The rules that texts stand for, each once.

    Args:
        texts: one rule each, or several for ``*``.
        labels: of the model.

    Raises:
        UsageError: a text is no rule, a number is out of range, or the model has no such label.

    Example:
        >>> from kineme.triggers.rule import parse_rules
        >>> [str(rule) for rule in parse_rules(["wave > 80% for 2s", "not any for 1m"], ["sit-down", "wave"])]
        ['wave > 0.8 for 2s', 'not any > 0.5 for 60s']
    """
    actions = tuple(label for label in labels if label.lower() != BACKGROUND)
    found = [rule for text in texts for rule in _parse(text, actions)]
    names = [rule.name for rule in found]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"--on: there are two rules for {twice}; give one for each")
    return tuple(found)


def _parse(text: str, labels: tuple[str, ...]) -> list[Rule]:
    match = _GRAMMAR.fullmatch(text)
    if not match:
        raise UsageError(f"--on {text}: give a rule such as 'wave > 0.8 for 2s'")
    threshold = _number(text, match["threshold"], DEFAULT_THRESHOLD) * (0.01 if match["percent"] else 1.0)
    if not 0 < threshold < 1:
        raise UsageError(f"--on {text}: the threshold is a probability between 0 and 1, or 1 to 99 %")
    hold_s = _number(text, match["hold"], DEFAULT_HOLD_S) * (
        _SECONDS[(match["unit"] or "s").lower()] if match["hold"] else 1
    )
    if hold_s > _LONGEST_S:
        raise UsageError(f"--on {text}: at most a day")
    what, negated = match["what"], match["not"] is not None
    if what[0] in "'\"":
        wanted: list[str | None] = [_label(text, what[1:-1], labels)]
    elif what.lower() == "any":
        wanted = [None]
    elif what == "*":
        wanted = list(labels)
    else:
        wanted = [_label(text, what, labels)]
    return [Rule(one, threshold, hold_s, negated) for one in wanted]


def _number(text: str, digits: str | None, default: float) -> float:
    if digits is None:
        return default
    try:
        return float(digits)
    except ValueError:
        raise UsageError(f"--on {text}: {digits} is not a number") from None


def _label(text: str, name: str, labels: tuple[str, ...]) -> str:
    """The label of that name, whatever its case."""
    same = [label for label in labels if label.casefold() == name.casefold()]
    if name in labels:
        return name
    if len(same) == 1:
        return same[0]
    by_case = {label.casefold(): label for label in labels}
    near = difflib.get_close_matches(name.casefold(), by_case, 1, 0.0)
    raise UsageError(f"--on {text}: the model has no label {name!r}; the nearest is {by_case[near[0]]!r}")
