"""What a visitor is told of a model: what it knows, what it was trained on, and how good it honestly is."""

from __future__ import annotations

from typing import Any

from kineme.models.model_file import ModelCard
from kineme.report.verdict import is_interval, is_number, score

_DIGITS = 12


def describe(name: str, card: ModelCard, *, exported: bool = False) -> dict[str, Any]:
    """The document of a model, see :class:`kineme.serving.schemas.Model`."""
    spec = card.spec
    rate = f"{spec.fps:g} a second" if spec.fps else "spread over the whole video"
    accuracy = _accuracy(card.provenance)
    backbone = card.config.get("backbone")
    return {
        "name": name,
        "approach": card.approach,
        "backbone": backbone if isinstance(backbone, str) else None,
        "labels": list(card.labels),
        "clip": f"{spec.frames} frames, {rate}, {spec.width} x {spec.height} pixels",
        "trained_on": _trained_on(card.provenance),
        "accuracy": accuracy,
        "says": score(card.provenance["test"], leaky=accuracy["leaky"])
        if accuracy
        else "Its accuracy is not known here.",
        "knows_background": card.open_set is not None,
        "streams": spec.fps is not None,
        "explains": "when" if exported else "where and when",
    }


def _accuracy(provenance: dict[str, Any]) -> dict[str, Any] | None:
    """The figures of the training's own test, or None; a model file may say anything, so it is looked at."""
    test, split = provenance.get("test"), provenance.get("split")
    if not isinstance(test, dict) or not all(is_number(test.get(key)) for key in ("n", "groups", "top1")):
        return None
    interval = test.get("top1_interval")
    return {
        "top1": float(test["top1"]),
        "interval": [float(end) for end in interval] if is_interval(interval) else None,
        "videos": int(test["n"]),
        "groups": int(test["groups"]),
        "leaky": bool(split.get("leaky")) if isinstance(split, dict) else False,
    }


def _trained_on(provenance: dict[str, Any]) -> str:
    source, data = provenance.get("source"), provenance.get("data")
    if isinstance(source, str):
        return source
    if isinstance(data, str):
        return f"a data set of its owner (fingerprint {data.removeprefix('sha256:')[:_DIGITS]})"
    return "not said"
