"""Describes a model to visitors: its labels, its training data, and its measured accuracy."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from kineme.models.model_file import ModelCard
from kineme.models.registry import DEFAULT_APPROACH, DEFAULT_BACKBONE
from kineme.report.verdict import is_interval, is_number, score
from kineme.text import printable

_FINGERPRINT_DIGITS = 12


class Accuracy(BaseModel):
    """How often the model was right on test videos of groups that it had never seen."""

    top1: float = Field(examples=[0.87])
    interval: list[float] | None = Field(description="95 %, low and high", examples=[[0.79, 0.94]])
    videos: int = Field(examples=[120])
    groups: int = Field(examples=[12])
    leaky: bool = Field(description="groups of the test may have been in training: the accuracy is too high")


class Model(BaseModel):
    """A model that may be asked."""

    name: str = Field(examples=["my-model"])
    approach: str = Field(examples=[DEFAULT_APPROACH])
    backbone: str | None = Field(examples=[DEFAULT_BACKBONE])
    labels: list[str] = Field(examples=[["wave", "jump"]])
    clip: str = Field(description="the clip that the model sees", examples=["20 frames, 8 a second, 64 x 64 pixels"])
    trained_on: str = Field(examples=["a data set of its owner (fingerprint 4f1d0c9b7a3e)"])
    accuracy: Accuracy | None = Field(description="null where it was not measured here")
    says: str = Field(description="the accuracy in a sentence")
    knows_background: bool = Field(description="whether it can say that no known action happens")
    streams: bool = Field(description="whether it can follow a camera")
    explains: Literal["when", "where and when"] = Field(
        description="whether explanations cover time only, or image regions too; an exported model explains time only"
    )


def describe(name: str, card: ModelCard, *, exported: bool = False) -> Model:
    """What visitors may know of a model."""
    spec = card.spec
    rate = f"{spec.fps:g} a second" if spec.fps else "spread over the whole video"
    accuracy = _accuracy(card.provenance)
    backbone = card.config.get("backbone")
    return Model(
        name=name,
        approach=printable(card.approach),
        backbone=printable(backbone) if isinstance(backbone, str) else None,
        labels=list(card.labels),
        clip=f"{spec.frames} frames, {rate}, {spec.width} x {spec.height} pixels",
        trained_on=_trained_on(card.provenance),
        accuracy=accuracy,
        says=score(card.provenance["test"], leaky=accuracy.leaky) if accuracy else "Its accuracy is not known here.",
        knows_background=card.open_set is not None,
        streams=spec.fps is not None,
        explains="when" if exported else "where and when",
    )


def _accuracy(provenance: dict[str, Any]) -> Accuracy | None:
    """The figures of the training's own test, or None; a model file may say anything, so it is checked."""
    test, split = provenance.get("test"), provenance.get("split")
    if not isinstance(test, dict) or not all(is_number(test.get(key)) for key in ("n", "groups", "top1")):
        return None
    interval = test.get("top1_interval")
    return Accuracy(
        top1=float(test["top1"]),
        interval=[float(end) for end in interval] if is_interval(interval) else None,
        videos=int(test["n"]),
        groups=int(test["groups"]),
        leaky=bool(split.get("leaky")) if isinstance(split, dict) else False,
    )


def _trained_on(provenance: dict[str, Any]) -> str:
    source, data = provenance.get("source"), provenance.get("data")
    if isinstance(source, str):
        return printable(source)
    if isinstance(data, str):
        digits = printable(data.removeprefix("sha256:")[:_FINGERPRINT_DIGITS])
        return f"a data set of its owner (fingerprint {digits})"
    return "not said"
