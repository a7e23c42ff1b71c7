"""How results are printed: as lines and tables for people, or as one JSON document. Names cannot act on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kineme.text import clock, json_text, percent, printable

if TYPE_CHECKING:
    from kineme.prediction.result import Prediction, Segment


_MOST_SEGMENTS = 30  # in a terminal


def say(*lines: object) -> None:
    """Lines on standard output."""
    for line in lines:
        print(printable(line))


def tell(*lines: object) -> None:
    """Lines on standard error, which no program reads as the result."""
    for line in lines:
        print(printable(line), file=sys.stderr)


def warn(lines: Iterable[str]) -> None:
    """Lines for the user's attention."""
    tell(*(f"note: {line}" for line in lines))


def print_text(text: str) -> None:
    """A text file on standard output: as it is, unless that is a terminal."""
    sys.stdout.write("\n".join(map(printable, text.split("\n"))) if sys.stdout.isatty() else text)
    sys.stdout.flush()


def print_json(document: Any) -> None:
    """One JSON document on standard output and nothing else there."""
    is_unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    sys.stdout.write(json_text(document, ascii_only=not is_unicode) + "\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str | None = None) -> None:
    """A table that fits the terminal; plain text without a terminal."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    for column in columns:
        table.add_column(Text(printable(column)), overflow="fold")  # a path that is cut short is no use
    for row in rows:
        table.add_row(*[Text(printable(cell)) for cell in row])
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def print_timeline(segments: Sequence[Segment]) -> None:
    """What happens when, in a video of several segments; background is left out."""
    actions = [one for one in segments if not one.is_background]
    rows = [[clock(one.start_s, 1), clock(one.end_s, 1), one.label, percent(one.confidence)] for one in actions]
    print_table(["from", "to", "action", "confidence"], rows[:_MOST_SEGMENTS])
    if len(rows) > _MOST_SEGMENTS:
        say(f"and {len(rows) - _MOST_SEGMENTS} more segments: --save csv writes them all")


def best(result: Prediction, top: int) -> str:
    """The likeliest labels of a prediction with their shares, or that no known action happens."""
    label, share = result.top[0]
    if not result.actions:
        return f"no known action ({label} {percent(share)})"
    return "   ".join(f"{label} {percent(share)}" for label, share in result.top[:top])


PEOPLE_COLUMNS = ("video", "person", "from", "to", "action")


def people_rows(result: Prediction) -> list[list[object]]:
    """Rows of a table: video, person, from, to, and what the person does then; one without known actions has a row."""
    rows: list[list[object]] = []
    for person in result.people or ():
        for one in person.actions or (None,):
            start_s, end_s = (one.start_s, one.end_s) if one else (person.start_s, person.end_s)
            told = f"{one.label} {percent(one.confidence)}" if one else "no known action"
            rows.append([result.source, person.id, f"{start_s:.1f} s", f"{end_s:.1f} s", told])
    return rows


def print_verdict(metrics: Mapping[str, Any]) -> None:
    """The sentences that open the report: how good a model is, and what speaks against the figure."""
    from kineme.report.selection_verdict import COLUMNS, live, opening, rows, why
    from kineme.report.verdict import caveats, headline

    words = {"group_noun": metrics["data"]["group_noun"], "leaky": metrics["model"]["split"]["leaky"]}
    for line in opening(metrics):
        say("", line)
    if "segments" in metrics:
        print_segments(metrics["segments"], metrics["data"]["group_noun"])
        say("", "The parts by themselves, as training sees them:")
    say("", headline(metrics["test"], **words), *(f"- {line}" for line in caveats(metrics["test"], **words)))
    if selection := metrics.get("selection"):
        if selection["candidates"]:
            print_table(COLUMNS, rows(selection))
        say(*filter(None, ["", why(selection), live(selection)]))


def print_segments(segments: Mapping[str, Any], group_noun: str = "groups") -> None:
    """What a model finds in whole videos: a table of the actions, and the sentences that open the report."""
    from kineme.report.segment_verdict import segment_caveats, segment_headline

    print_table(
        ["action", "in the videos", "recall", "precision", "F1"],
        [
            [label, one["n"], *map(percent, [one["recall"], one["precision"], one["f1"]])]
            for label, one in segments["per_class"].items()
        ],
        "Segments of whole videos, at an overlap of 0.5",
    )
    say(segment_headline(segments, group_noun=group_noun))
    say(*(f"- {line}" for line in segment_caveats(segments, group_noun=group_noun)))


def print_comparison(document: Mapping[str, Any]) -> None:
    """The table of a comparison and the sentences that open its report."""
    from kineme.report.comparison_page import caveats, sentences

    done = [one for one in document["candidates"] if not one["error"]]
    segments = any("segments" in one for one in done)
    done.sort(key=lambda one: -(_segment_f1(one) if segments else one["test"]["top1"]))
    print_table(
        [
            "candidate",
            *(["segment F1"] if segments else []),
            "top-1",
            "95 % interval",
            "shuffled",
            "against the best",
            "training",
            "a frame",
            "parameters",
        ],
        [
            [
                one["name"],
                *([percent(_segment_f1(one))] if segments else []),
                percent(one["test"]["top1"]),
                "{:.0f} to {:.0f} %".format(*(100 * end for end in one["test"]["top1_interval"])),
                percent(one["orders"]["shuffled"]["top1"]),
                _against(one),
                f"{one['cost']['training_seconds']:.0f} s",
                f"{one['cost']['ms_per_frame']:.2g} ms",
                f"{one['cost']['parameters']:,}",
            ]
            for one in done
        ],
    )
    say(*sentences(document), *(f"- {line}" for line in caveats(document)))
    say(*(f"- {one['name']} failed: {one['error']}" for one in document["candidates"] if one["error"]))


def _segment_f1(candidate: Mapping[str, Any]) -> float:
    return float(candidate["segments"]["overlaps"]["0.5"]["f1"]) if "segments" in candidate else 0.0


def _against(candidate: dict[str, Any]) -> str:
    if "against_best" not in candidate:
        return "best"
    p = candidate["against_best"]["p"]
    return f"worse (p {p:.3f})" if candidate["against_best"]["distinguishable"] else f"not distinguishable (p {p:.2f})"
