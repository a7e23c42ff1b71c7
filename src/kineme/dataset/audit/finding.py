"""One thing that an audit has to say, and how bad it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)


@dataclass(frozen=True)
class Finding:
    """One thing to say about the data.

    Args:
        kind: a word for programs, such as ``"near-duplicate"``; each kind has its own.
        severity: ``"error"`` where training would fail or its figures would be wrong, ``"warning"`` where something
            is lost or doubtful, ``"note"`` where there is nothing to be done.
        names: the videos concerned, as the user knows them.
        rows: their places in the table; empty where it is no matter of rows.
        message: one sentence.
        advice: what to do about it; "" for nothing.
    """

    kind: str
    severity: Severity
    names: tuple[str, ...]
    message: str
    advice: str = ""
    rows: tuple[int, ...] = ()

    @property
    def rank(self) -> tuple[int, str, tuple[str, ...]]:
        """To sort by: the worst first."""
        return SEVERITIES.index(self.severity), self.kind, self.names
