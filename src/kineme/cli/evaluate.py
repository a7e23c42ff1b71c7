"""``kineme evaluate``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from kineme.cli import options
from kineme.cli.output import print_json, print_segments, print_table, say, warn
from kineme.text import accuracy_in_words, percent


def evaluate(
    model: Annotated[str, typer.Argument(help="Model file, or the run folder that holds it; or hf:NAME.")],
    data: options.Data,
    split: Annotated[
        str | None,
        typer.Option(help="train, validation, test or all.  [default: test where a split is known, else all]"),
    ] = None,
    frames: Annotated[
        str, typer.Option(help="Frame order: ordered, or shuffled, reversed, frozen to ask whether time is used.")
    ] = "ordered",
    group_column: options.GroupColumn = None,
    labelled_throughout: options.LabelledThroughout = False,
    labels: options.Labels = None,
    prompt: options.Prompt = None,
    seed: Annotated[int, typer.Option(help="Random seed of the shuffling and of the intervals.")] = 0,
    json: options.Json = False,
) -> None:
    """Measure a model on labelled videos.

    On the data of its training, the test split is used.
    """
    from kineme import api
    from kineme.cli.models import load

    figures = api.evaluate(
        load(model, labels, prompt),
        data,
        split=split,
        frame_order=frames,  # type: ignore[arg-type]  # checked there
        group_column=group_column,
        labelled_throughout=labelled_throughout,
        seed=seed,
    )
    warn(figures["warnings"])
    warn(f"skipped {one['path']}: {one['reason']}" for one in figures["skipped"])
    if json:
        print_json(figures)
        return
    if "segments" in figures:
        print_segments(figures["segments"])
    if "per_class" in figures:
        _print_clips(figures, frames)


def _print_clips(figures: dict[str, Any], frames: str) -> None:
    """The metrics per class, with each labelled video, or part, as one sample."""
    relies = figures.get("motion_reliance")
    print_table(
        ["action", "videos", "recall", "precision", "F1", *(["lost when shuffled"] if relies else [])],
        [
            [
                label,
                one["n"],
                *map(percent, [one["recall"], one["precision"], one["f1"], *([relies[label]] if relies else [])]),
            ]
            for label, one in figures["per_class"].items()
        ],
    )
    order = "" if frames == "ordered" else f", frames {frames}"
    say(f"Top-1 ({figures['split']}{order}): {accuracy_in_words(figures)}")
    for name, one in figures.get("orders", {}).items():
        say(f"  with its frames {name}: {accuracy_in_words({**figures, **one})}")
    for name, one in figures.get("baselines", {}).items():
        say(f"  {name.replace('_', ' ')}: {percent(one['top1'])}")
    say(f"Macro-F1: {percent(figures['macro_f1'])}   calibration error: {percent(figures['calibration_error'])}")
