"""How the windows of a model become segments of a video: part of the model, since training finds what suits it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from kineme.video.spec import ClipSpec

_DEFAULT_CLIP_S = 2.5
_LONGEST = 1000.0


@dataclass(frozen=True, kw_only=True)
class TimelineSettings:
    """How windows become segments; the defaults suit windows of 2.5 s.

    Args:
        smooth_s: each instant takes the mean of the windows whose middles lie within half of this, before and after.
        shortest_s: shorter segments are merged into their surroundings.
        onset: an action is there where the open-set score reaches this; 0 is where few known actions are refused.
        margin: it lasts, before and after that, while the open-set score stays above ``onset - margin``.

    Raises:
        ValueError: a value makes no sense.
    """

    smooth_s: float = 1.0
    shortest_s: float = 1.0
    margin: float = 1.0
    onset: float = 0.0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            least = -_LONGEST if name == "onset" else 0
            if not least <= value <= _LONGEST:
                raise ValueError(f"{name} of the timeline must be from {least:g} to {_LONGEST:g}, not {value!r}")

    @classmethod
    def of(cls, spec: ClipSpec) -> TimelineSettings:
        """Those for windows of another length: they blur the borders in proportion."""
        share = (spec.seconds or _DEFAULT_CLIP_S) / _DEFAULT_CLIP_S
        return cls(smooth_s=share * cls.smooth_s, shortest_s=share * cls.shortest_s)

    def to_json(self) -> dict[str, float]:
        """A document; :meth:`from_json` makes equal settings of it."""
        return {name: value for name, value in asdict(self).items() if name != "onset" or value}

    @classmethod
    def from_json(cls, document: dict[str, Any] | None) -> TimelineSettings | None:
        """Read :meth:`to_json`'s document; None for none.

        Raises:
            TypeError: a part is of another type, or unknown.
            ValueError: a part makes no sense.
        """
        return None if document is None else cls(**{name: float(value) for name, value in document.items()})
