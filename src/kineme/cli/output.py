"""How results are printed: as a table for people, or as one JSON document."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kineme.prediction.result import Prediction


def print_json(document: Any) -> None:
    """One JSON document on standard output and nothing else there."""
    json.dump(document, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str | None = None) -> None:
    """A table that fits the terminal; plain text where there is none."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    for column in columns:
        table.add_column(column, overflow="fold")  # a path that is cut short is no use
    for row in rows:
        table.add_row(*[Text(str(cell)) for cell in row])
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def warn(lines: Iterable[str]) -> None:
    """Lines for the user's attention, on standard error."""
    for line in lines:
        print(f"note: {line}", file=sys.stderr)


def percent(share: float | None) -> str:
    """0.853 as "85.3 %"; a dash where there is no figure."""
    return "–" if share is None else f"{100 * share:.1f} %"


def best(result: Prediction, top: int) -> str:
    """The likeliest labels of a prediction with their shares, or that nothing known happens."""
    label, share = result.top[0]
    if not result.actions:
        return f"nothing known ({label} {percent(share)})"
    return "   ".join(f"{label} {percent(share)}" for label, share in result.top[:top])


def interval(figures: dict[str, Any], name: str = "top1") -> str:
    """A share with its interval and counts: 85.3 % (95 % interval 78.1 to 91.0 %; 60 videos, 6 groups)."""
    low, high = figures[f"{name}_interval"]
    return (
        f"{percent(figures[name])} (95 % interval {100 * low:.1f} to {100 * high:.1f} %; "
        f"{figures['n']} videos, {figures['groups']} groups)"
    )


def print_verdict(metrics: dict[str, Any]) -> None:
    """The sentences that open the report: how good a model is, and what speaks against the figure."""
    from kineme.report.verdict import caveats, headline

    words = {"group_noun": metrics["data"]["group_noun"], "leaky": metrics["model"]["split"]["leaky"]}
    print(f"\n{headline(metrics['test'], **words)}")
    for line in caveats(metrics["test"], **words):
        print(f"- {line}")


def print_comparison(document: dict[str, Any]) -> None:
    """The table of a comparison and the sentences that open its report."""
    from kineme.report.comparison_page import caveats, sentences

    done = [one for one in document["candidates"] if not one["error"]]
    done.sort(key=lambda one: -one["test"]["top1"])
    print_table(
        ["candidate", "top-1", "95 % interval", "shuffled", "against the best", "training", "a frame", "parameters"],
        [
            [
                one["name"],
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
    for line in sentences(document):
        print(line)
    for line in caveats(document):
        print(f"- {line}")
    for one in document["candidates"]:
        if one["error"]:
            print(f"- {one['name']} failed: {one['error']}")


def _against(candidate: dict[str, Any]) -> str:
    if "against_best" not in candidate:
        return "best"
    p = candidate["against_best"]["p"]
    return f"worse (p {p:.3f})" if candidate["against_best"]["distinguishable"] else f"not distinguishable (p {p:.2f})"
