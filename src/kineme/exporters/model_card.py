"""The model card of an export: its labels, inputs and outputs, accuracy, and agreement with Keras."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kineme.models.model_file import ModelCard

if TYPE_CHECKING:
    from kineme.models.formats import Format

_FITS = {
    "stretch": "stretched to it",
    "crop": "scaled to cover it and cut at the centre",
    "letterbox": "scaled to fit inside it, with black bars",
}


def model_card(card: ModelCard, document: Mapping[str, Any], format_: Format) -> str:
    """Markdown.

    Args:
        card: of the model.
        document: of the export, as it is written to ``export.json``.
        format_: in which it is written.
    """
    spec = card.spec
    rate = f"{spec.fps:g} frames a second" if spec.fps else "frames spread evenly over the whole video"
    backbone = card.config.get("backbone")
    lines = [
        f"# {document['model']}",
        "",
        f"A video classifier of the approach `{card.approach}`{f' on `{backbone}`' if backbone else ''}, exported by "
        f"Kineme {document['kineme']} for {format_.engine}. It needs neither Kineme nor Keras.",
        "",
        f"- **Recognises** {', '.join(card.labels)} (in this order, also in `labels.txt`).",
        f"- **Sees** clips of {spec.frames} frames, {rate}: of each instant the last frame shown by then, RGB, uint8, "
        f"{spec.width} x {spec.height} pixels, {_FITS[spec.fit]}. A video shorter than a clip "
        + {"hold": "holds its last frame.", "loop": "starts again.", "refuse": "is too short."}[spec.short],
        f"- **How good?** {_accuracy(card.provenance)}",
        "",
    ]
    if card.backbone.external:
        lines[-1:] = [
            f"- **Takes** the features that `{backbone}` gives of such a clip, not its frames; that network is not in "
            "it.",
            "",
        ]
    members = {one.architecture.backbone: one for one in card.members}
    for name, part in document["parts"].items():
        lines += _part(name.rpartition(".")[2], part, document, members.get(part.get("member"), card))
    if members:
        lines += _joining(card)
    lines += [
        "## Agreement and speed",
        "",
        f"Compared with Keras over {document['frames_compared']} frames. A difference is the largest of any score, "
        f"as a share of the scores' scale ({document['scale']:.3g}); the tolerance is {document['tolerance']:.0e}.",
        "",
        "| file | size | largest difference | one run, one thread |",
        "|---|---|---|---|",
        *(
            f"| `{part['file']}` | {part['bytes'] / 1e6:.2f} MB | {part['difference']:.1e} | "
            f"{part['latency_ms']:.3g} ms |"
            for part in document["parts"].values()
        ),
        "",
        f"Timed once while exporting, on {platform.system()} {platform.machine()}, whatever else it did then.",
        "",
        "`kineme.json` holds labels, clip, calibration and where the model comes from; `export.json` "
        "the names and shapes of all tensors.",
    ]
    return "\n".join(lines)


def _joining(card: ModelCard) -> list[str]:
    """How the probabilities of the members of joined backbones become those of the model."""
    rates = [
        f"- **{one.architecture.backbone}** sees {one.spec.frames} frames, {one.spec.fps:g} frames a second, "
        f"{one.spec.width} x {one.spec.height} pixels, {_FITS[one.spec.fit]}."
        for one in card.members
        if one.spec.fps
    ]
    calibrated = (
        ""
        if card.temperature == 1
        else f" Then raise each to the power of {1 / card.temperature:.6g}, and divide them by their sum."
    )
    return [
        "## How the members are joined",
        "",
        "The members see the same seconds of a video, each in its own way:",
        "",
        *rates,
        "",
        "Average the `probabilities` of the members. Leave out a member whose `logits` are all zero: it has seen "
        f"nobody.{calibrated}",
        "",
    ]


def _part(name: str, part: Mapping[str, Any], document: Mapping[str, Any], card: ModelCard) -> list[str]:
    if name == "clip":
        says = "A whole clip in, its scores out."
        says += "" if "member" in part else " For a longer video, average the logits of several clips."
    else:
        first = document["answers_from_frame"]
        after = "" if first == 1 else f" Its scores count from frame {first} on."
        says = (
            "One frame and the states before it in, scores and the states after it out: each `next_NAME` goes back in "
            f"as `NAME` with the next frame. All states begin at zero.{after} After {card.spec.frames} frames the "
            "scores are those of the clip; later, the states also carry older frames."
        )
    rows = [
        f"| {side} | `{one['name']}` | {' x '.join(map(str, one['shape']))} | {one['type']} |"
        for side in ("input", "output")
        for one in part[f"{side}s"]
    ]
    return [
        f"## `{part['file']}`: the {name} model",
        "",
        says,
        "",
        "| | tensor | shape | type |",
        "|---|---|---|---|",
        *rows,
        "",
    ]


def _accuracy(provenance: Mapping[str, Any]) -> str:
    """One sentence; a model file may say anything, so it is looked at."""
    try:
        test = provenance["test"]
        low, high = test["top1_interval"]
        groups = f" of {int(test['groups'])} groups"
        where = f"{int(test['n'])} test videos{groups}"
        leaky = ", some of which were also trained on," if (provenance.get("split") or {}).get("leaky") else ""
        interval = f"95 % interval {100 * low:.1f} to {100 * high:.1f} %"
        return f"It classified {100 * test['top1']:.1f} % of {where}{leaky} correctly ({interval})."
    except (KeyError, TypeError, ValueError, AttributeError):
        return "The model does not say."
