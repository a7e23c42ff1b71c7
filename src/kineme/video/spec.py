"""The contract between training and use: which instants of a video a model sees, which part of the picture, and how.

Training, evaluation, prediction and streaming all take their frames through the arithmetic in this file, so a
model gets the same input at prediction as in training.

Time is laid out as *ticks*: tick ``k`` of a video (or of a labelled part of it) is the instant
``start + k * step``, and its frame is the one a player would be showing then: the last frame whose time stamp
is not after it. A clip is T ticks in a row.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from kineme.errors import UsageError
from kineme.keywords import suggest_fields

ResizeMode = Literal["stretch", "crop", "letterbox"]
Short = Literal["hold", "loop", "refuse"]
Region = Literal["frame", "people", "person"]
Brightness = Literal["as-is", "auto"]

_CHOICES: dict[str, tuple[str, ...]] = {
    "fit": get_args(ResizeMode),
    "short": get_args(Short),
    "region": get_args(Region),
    "brightness": get_args(Brightness),
}
_ADDED_LATER = {"region", "brightness", "overlap"}  # documents written before them mean the defaults
_MOST_OVERLAP = 0.95
_EPSILON_S = 1e-6  # time stamps are rounded to their time base; a frame this little late is still in time


@suggest_fields
@dataclass(frozen=True, kw_only=True)
class ClipSpec:
    """Clip sampling: T frames, the time between them, their size, and how a video is fitted to both.

    Args:
        frames: T, the number of frames of a clip.
        fps: frames per second of the clip, whatever the rate of the video; None spreads the T frames evenly
            over the whole video (the textbook's way: the time between frames then differs from video to video).
        height: pixels.
        width: pixels.
        fit: how a frame is brought to the size. ``"stretch"`` ignores its aspect, ``"crop"`` scales it to cover
            and keeps the centre, ``"letterbox"`` scales it to fit inside and adds black bars.
        short: what to do when a video has fewer than T ticks. ``"hold"`` repeats its last frame, ``"loop"``
            starts it again, ``"refuse"`` reports it as too short.
        region: which part of the frame. ``"frame"`` is all of it, ``"people"`` one window over all the people in it,
            ``"person"`` a window over one person.
        brightness: ``"as-is"`` leaves the pixels alone. ``"auto"`` brightens dark clips, those with a mean under 0.2 of
            full scale, by one curve that brings the mean to 0.4: see :class:`kineme.video.brightness.Brightener`.
        overlap: the share of a clip that the next clip of a video sees again, from 0 (they meet) to 0.95.

    Raises:
        UsageError: a value is out of its range.

    Example:
        >>> kineme.ClipSpec(frames=20, fps=8.0).seconds
        2.5
    """

    frames: int = 20
    fps: float | None = 8.0
    height: int = 64
    width: int = 64
    fit: ResizeMode = "stretch"
    short: Short = "hold"
    region: Region = "frame"
    brightness: Brightness = "as-is"
    overlap: float = 0.5

    def __post_init__(self) -> None:
        for name in ("frames", "height", "width"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 4096:
                raise UsageError(f"clip spec: {name} must be a whole number from 1 to 4096, not {value!r}")
        if self.fps is not None and not (_is_number(self.fps) and 0.01 <= self.fps <= 1000):
            raise UsageError(f"clip spec: fps must be between 0.01 and 1000, or none to spread, not {self.fps!r}")
        if not (_is_number(self.overlap) and 0 <= self.overlap <= _MOST_OVERLAP):
            raise UsageError(f"clip spec: overlap must be from 0 to {_MOST_OVERLAP}, not {self.overlap!r}")
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise UsageError(f"clip spec: {name} must be one of {', '.join(choices)}, not {getattr(self, name)!r}")

    def step_s(self, duration_s: float, per_frame: int = 1) -> float:
        """Seconds between ticks in a video of ``duration_s``, with ``per_frame`` ticks for each clip frame."""
        if self.fps is not None:
            return 1.0 / (self.fps * per_frame)
        return max(duration_s, _EPSILON_S) / (self.frames * per_frame)

    def tick_count(self, duration_s: float, per_frame: int = 1) -> int:
        """How many ticks lie in ``duration_s`` seconds: those before its end, and always at least one."""
        if self.fps is None:
            return self.frames * per_frame
        ticks = duration_s * self.fps * per_frame
        return max(1, int(ticks - _EPSILON_S * per_frame) + 1) if ticks > 0 else 1

    @property
    def default_stride(self) -> int:
        """Ticks from one clip of a video to the next, where nothing else is asked for."""
        return max(1, int(round(self.frames * (1 - self.overlap), 6)))  # 20 * (1 - 0.9) is a little less than 2

    @property
    def stream_stride(self) -> int:
        """Ticks from one clip of a stream to the next, where each takes long: half a clip."""
        return max(1, self.frames // 2)

    def window_starts(self, ticks: int, stride: int | None = None) -> list[int]:
        """First ticks of the clips that cover ``ticks`` ticks: one every ``stride``, and one flush with the end.

        Args:
            ticks: number of ticks, one for each clip frame.
            stride: ticks from one clip to the next; by default as the overlap says.
        """
        last = max(0, ticks - self.frames)
        starts = list(range(0, last + 1, stride or self.default_stride))
        return starts if starts[-1] == last else [*starts, last]

    def window(self, start: int, ticks: int) -> list[int]:
        """The T tick indices of the clip that begins at ``start``, within ``ticks`` ticks.

        Ticks past the end follow the ``short`` policy (``"refuse"`` is the reader's to report; here it holds).
        """
        wanted = range(start, start + self.frames)
        if self.short == "loop":
            return [tick % ticks for tick in wanted]
        return [min(tick, ticks - 1) for tick in wanted]

    @property
    def seconds(self) -> float | None:
        """Length of a clip in seconds, or None where it is spread over the video."""
        return None if self.fps is None else self.frames / self.fps

    def to_json(self) -> dict[str, Any]:
        """A document from which :meth:`from_json` makes an equal spec; it lacks the overlap where that is the usual."""
        document = asdict(self)
        if self.overlap == ClipSpec.overlap:
            del document["overlap"]
        return document

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> ClipSpec:
        """Read :meth:`to_json`'s document.

        Raises:
            UsageError: a field is missing, unknown or out of range.
        """
        fields = set(cls.__dataclass_fields__)
        if not isinstance(document, dict) or not fields - _ADDED_LATER <= set(document) <= fields:
            raise UsageError("clip spec: the document does not have the fields of a clip spec")
        return cls(**document)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
