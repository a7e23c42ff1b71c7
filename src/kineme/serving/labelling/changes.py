"""The labels of a video, and changes of them: a change can be applied, and returns the change that undoes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from kineme.dataset.labels import clean

LabelledBy = Literal["person", "model+person", "model"]


class LabelledSegment(BaseModel):
    """A labelled part of a video."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^[0-9a-z-]{1,40}$")
    start_s: float = Field(ge=0, lt=1e7, allow_inf_nan=False)
    end_s: float | None = Field(gt=0, lt=1e7, allow_inf_nan=False, description="null: the end of the video")
    label: str = Field(min_length=1, max_length=200)
    by: LabelledBy = Field(default="person", description="who gave the label")
    track: int | None = Field(
        default=None, ge=1, le=10**6, description="the person it is about, as people are numbered"
    )

    @field_validator("start_s", "end_s")
    @classmethod
    def _rounded(cls, value: float | None) -> float | None:
        return None if value is None else round(value, 4)

    @field_validator("label")
    @classmethod
    def _clean(cls, value: str) -> str:
        if not clean(value):
            raise ValueError("a label must show something")
        return clean(value)

    @model_validator(mode="after")
    def _in_order(self) -> LabelledSegment:
        if self.end_s is not None and self.end_s <= self.start_s:
            raise ValueError("a segment must end after it begins")
        return self


class Change(BaseModel):
    """A change of labels: segments put in place of those of the same name, or removed; and facts of the video."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    put: list[LabelledSegment] = Field(default_factory=list, max_length=2000)
    remove: list[str] = Field(default_factory=list, max_length=2000)
    reject: list[str] = Field(default_factory=list, max_length=2000, description="proposals that are wrong")
    restore: list[str] = Field(default_factory=list, max_length=2000, description="proposals that are not, after all")
    group: str | None = Field(default=None, max_length=200, description='who or where it is; "" is unknown')
    done: bool | None = Field(default=None, description="whether everything that happens is labelled")

    @property
    def is_empty(self) -> bool:
        """Whether it changes nothing."""
        return not (self.put or self.remove or self.reject or self.restore) and self.group is None and self.done is None


@dataclass
class VideoLabels:
    """The labels of one video.

    Attributes:
        revision: rises with each change.
        segments: by their names.
        rejected: names of proposals that are wrong.
        group: who or where it is; "" where nobody said.
        done: whether everything that happens is labelled.
        undo: what takes back the last changes, the last one at the end.
        redo: what brings back the last changes taken back.
    """

    revision: int = 0
    segments: dict[str, LabelledSegment] = field(default_factory=dict)
    rejected: set[str] = field(default_factory=set)
    group: str = ""
    done: bool = False
    undo: list[Change] = field(default_factory=list)
    redo: list[Change] = field(default_factory=list)

    def apply(self, change: Change) -> Change:
        """Make a change; gives the one that takes it back."""
        touched = {*(one.id for one in change.put), *change.remove}
        inverse = Change(
            put=[self.segments[name] for name in sorted(touched) if name in self.segments],
            remove=[one.id for one in change.put if one.id not in self.segments],
            reject=[name for name in change.restore if name in self.rejected],
            restore=[name for name in change.reject if name not in self.rejected],
            group=None if change.group is None else self.group,
            done=None if change.done is None else self.done,
        )
        for name in change.remove:
            self.segments.pop(name, None)
        self.segments.update({one.id: one for one in change.put})
        self.rejected = (self.rejected | set(change.reject)) - set(change.restore)
        self.group = self.group if change.group is None else clean(change.group)
        self.done = self.done if change.done is None else change.done
        self.revision += 1
        return inverse

    def step(self, kind: str, change: Change | None) -> bool:
        """Make a change, take the last one back, or bring it back; says whether there was anything to do.

        Args:
            kind: ``"change"``, ``"undo"`` or ``"redo"``.
            change: for ``"change"``.
        """
        if kind == "change":
            assert change is not None
            self.undo.append(self.apply(change))
            self.redo.clear()
            return True
        source, target = (self.undo, self.redo) if kind == "undo" else (self.redo, self.undo)
        if not source:
            return False
        target.append(self.apply(source.pop()))
        return True

    def document(self) -> dict[str, Any]:
        """As JSON."""
        ordered = sorted(self.segments.values(), key=lambda one: (one.start_s, one.end_s or 1e9, one.id))
        return {
            "revision": self.revision,
            "segments": [one.model_dump() for one in ordered],
            "group": self.group,
            "done": self.done,
            "can_undo": bool(self.undo),
            "can_redo": bool(self.redo),
        }
