"""Tables from ``benchmarks/results``: each says which command made it, when, with what, and on which machine."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
RESULTS = BENCHMARKS / "results"
NEEDS_DATA = {"feature_cache.py": "FOLDER", "ut_interaction.py": "FOLDER"}

Rows = list[list[str]]


def parts() -> dict[str, str]:
    """A part for each result, and ``benchmarks`` that has them all."""
    found = {path.stem: _part(path) for path in sorted(RESULTS.glob("*.json"))}
    return {f"benchmark-{name}": text for name, text in found.items()} | {"benchmarks": _all(found)}


def _all(found: dict[str, str]) -> str:
    asked = _questions()
    order = list(asked)
    lines = []
    for name, text in sorted(
        found.items(), key=lambda one: order.index(_script(one[0])) if _script(one[0]) in order else 99
    ):
        title = asked.get(_script(name), (name, ""))[0]
        lines += [f"(benchmark-{name})=", f"## {title}", "", text]
    return "\n".join(lines)


def _part(path: Path) -> str:
    document = json.loads(path.read_text(encoding="utf-8"))
    script = _script(path.stem)
    table = TABLES.get(path.stem, _anything)
    command = f"benchmarks/{script}" + (f" {NEEDS_DATA[script]}" if script in NEEDS_DATA else "")
    says = _questions().get(script, ("", ""))[1]
    lines = [f"{says[0].upper()}{says[1:]}.", ""] if says else []
    for caption, head, rows in table(document):
        lines += [f"**{caption}**", ""] if caption else []
        lines += ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
        lines += ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows]
        lines.append("")
    versions = ", ".join(f"{name} {version}" for name, version in document.get("versions", {}).items())
    lines += [
        f"Made by `python {command} --out benchmarks/results/{path.name}` on {document.get('date', 'no known day')}"
        f" ({_machine(document)}; {versions}).",
        "",
    ]
    return "\n".join(lines)


def _script(name: str) -> str:
    return f"{name.replace('-', '_')}.py"


def _questions() -> dict[str, tuple[str, str]]:
    """Script to the question it answers and what it prints, from the table of ``benchmarks/README.md``."""
    text = (BENCHMARKS / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+\.py)` \| (.+?) \| (.+?) \|$", text, re.MULTILINE)
    return {script: (question, prints.rstrip(".")) for script, question, prints in rows}


def _machine(document: dict[str, Any]) -> str:
    machine = document.get("machine", "machine not said")
    if isinstance(machine, str):
        return machine
    cores = f"{machine['cores']} cores" if "cores" in machine else ""
    return ", ".join(str(part) for part in (cores, machine.get("cpu"), machine.get("system")) if part)


def _cell(value: Any) -> str:
    return str(value).replace("|", "\\|")


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _within(value: float, interval: list[float]) -> str:
    return f"{_percent(value)} ({100 * interval[0]:.0f} to {100 * interval[1]:.0f})"


def _ut_interaction(document: dict[str, Any]) -> Iterator[tuple[str, list[str], Rows]]:
    names = {
        "set1": "set 1",
        "set2": "set 2",
        "across": "across the sets",
        "across from scratch": "across, from scratch",
    }
    kinds = [part for part in document if isinstance(document[part], dict) and "candidates" in document[part]]
    values: dict[str, dict[str, str]] = {}
    for part in kinds:
        for one in document[part]["candidates"]:
            values.setdefault(f"`{one['name']}`", {})[part] = _within(one["top1"], one["top1_interval"])
        baselines = document[part].get("baselines", document[part].get("leaky", {}))
        for name, one in (document[part].get("baselines") or baselines or {}).items():
            if isinstance(one, dict) and "top1" in one:
                said = _within(one["top1"], one["top1_interval"]) if "top1_interval" in one else _percent(one["top1"])
                values.setdefault(f"baseline: {name.replace('_', ' ')}", {})[part] = said
    rows = [[name, *(row.get(part, "–") for part in kinds)] for name, row in values.items()]
    yield (
        "Top-1 on groups never seen, with its 95 % interval over sequences",
        ["candidate", *(names.get(part, part) for part in kinds)],
        rows,
    )


def _streaming(document: dict[str, Any]) -> Iterator[tuple[str, list[str], Rows]]:
    rows = []
    for one in [document["textbook"], *document["others"]]:
        name = f"`{one['approach']}` on `{one['config']['backbone']}`, {one['clip'].replace('x', '×')}"
        rows += [
            [
                name,
                way["engine"],
                way["mode"],
                f"{way['ms_a_frame']:.2f}",
                f"{way['ms_95_percent']:.2f}",
                f"{way['times_the_loop']:.0f}" if way.get("times_the_loop") else "–",
            ]
            for way in one["ways"]
        ]
    yield (
        "What one more frame costs, beside `model.predict` on the whole window at every frame",
        ["model", "engine", "mode", "ms a frame, median", "95 % are under", "times the textbook's loop"],
        rows,
    )


def _timeline(document: dict[str, Any]) -> Iterator[tuple[str, list[str], Rows]]:
    f1, pauses = document["segment_f1"], document["pauses_called_background"]
    unknown, called = document["auroc_of_unknown_actions"], document["clips_called_background"]
    plain = unknown["highest_probability"]

    def two(value: float, interval: list[float]) -> str:
        return f"{value:.2f} ({interval[0]:.2f} to {interval[1]:.2f})"

    yield (
        f"Untrimmed videos of {f1['videos']} drawn people never seen",
        ["what", "value (95 % interval)"],
        [
            ["segment F1 at an overlap of one half", two(f1["value"], f1["interval"])],
            ["the same without background", f"{f1['without_background']:.2f}"],
            ["the same borders with labels at random", f"{f1['same_borders_random_labels']:.2f}"],
            ["share of the pauses called background", _within(pauses["value"], pauses["interval"])],
            ["share of the actions' time labelled right", _percent(pauses["action_time_labelled_right"])],
            ["AUROC of actions left out of training", two(unknown["value"], unknown["interval"])],
            ["the same by the highest probability alone", two(plain["value"], plain["interval"])],
            ["clips of known actions called background", _percent(called["of_known_actions"])],
            ["clips of unknown actions called background", _percent(called["of_unknown_actions"])],
        ],
    )


def _predict_speed(document: dict[str, Any]) -> Iterator[tuple[str, list[str], Rows]]:
    video = document["video"]
    yield (
        f"A video of {video['seconds']:.0f} s, {video['size'].replace('x', '×')}, {video['fps']:g} frames a second",
        ["what", "seconds, median", "least to most", "times decoding alone", "times real time"],
        [
            [
                name,
                f"{one['median']:.2f}",
                f"{one['least']:.2f} to {one['most']:.2f}",
                f"{one['times_decoding_alone']:.2f}",
                f"{one['times_real_time']:.0f}",
            ]
            for name, one in document["seconds"].items()
        ],
    )


def _check(document: dict[str, Any]) -> Iterator[tuple[str, list[str], Rows]]:
    copies, speed = document["copies"], document["speed"]
    yield (
        f"Copies planted among {copies['originals']} originals",
        ["kind of copy", "planted", "found"],
        [[kind, copies["planted"][kind], f"{100 * found:.1f} %"] for kind, found in copies["found"].items()],
    )
    faults = document["faults"]
    yield (
        "",
        ["what else", "value"],
        [
            ["kinds of planted fault named", f"{sum(faults.values())} of {len(faults)}"],
            ["false pairs of different people", copies["false_pairs_of_different_people"]],
            ["places taken for one that are two", copies["false_places"]],
            [f"seconds for {speed['videos']:,} videos of 7 s", f"{speed['seconds']:.0f}"],
            ["seconds for the same again", f"{speed['seconds_again']:.0f}"],
        ],
    )


def _fuzz(document: dict[str, Any]) -> Iterator[tuple[str, list[str], Rows]]:
    yield (
        f"{document['cases']:,} damaged files",
        ["what became of them", "files"],
        [[name, count] for name, count in document["outcomes"].items()],
    )
    yield (
        "",
        ["what else", "value"],
        [
            ["hangs of more than 10 s", document["hangs"]],
            ["crashes", document["crashes"]],
            ["slowest file", f"{document['slowest']['seconds']:.2f} s"],
            ["peak memory of the reader", f"{document['peak_resident_bytes'] / 1e6:.0f} MB"],
        ],
    )


def _memory(document: dict[str, Any]) -> Iterator[tuple[str, list[str], Rows]]:
    yield (
        f"`kineme train {document['train']}` on {document['clips']:,} clips",
        ["what", "GB"],
        [
            ["peak memory of the training process and its children", f"{document['peak_resident_bytes'] / 1e9:.2f}"],
            ["frames cached on disk", f"{document['cached_bytes'] / 1e9:.2f}"],
            ["what the textbook's arrays of float64 would hold", f"{document['textbook_bytes'] / 1e9:.2f}"],
        ],
    )


def _feature_cache(document: dict[str, Any]) -> Iterator[tuple[str, list[str], Rows]]:
    equal = "equal" if document["equal_features"] else "not equal"
    yield (
        f"{document['videos']} videos behind frozen EfficientNet-Lite0; the features are {equal}",
        ["training", "clips a second"],
        [
            ["the first", document["first_clips_per_second"]],
            ["the second, on the same videos", document["second_clips_per_second"]],
        ],
    )


def _anything(document: dict[str, Any]) -> Iterator[tuple[str, list[str], Rows]]:
    """A result that nobody has written a table for yet: its numbers, each under its path."""
    rows = [[name, value] for name, value in _flat(document) if not name.startswith(("machine", "versions", "date"))]
    yield "", ["what", "value"], rows


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}, {key}" if name else str(key).replace("_", " "))
    elif isinstance(value, float):
        yield name, f"{value:.4g}"
    elif isinstance(value, bool):
        yield name, "yes" if value else "no"
    elif isinstance(value, int):
        yield name, f"{value:,}"


TABLES: dict[str, Callable[[dict[str, Any]], Iterator[tuple[str, list[str], Rows]]]] = {
    "check": _check,
    "feature-cache": _feature_cache,
    "fuzz": _fuzz,
    "memory": _memory,
    "predict-speed": _predict_speed,
    "streaming": _streaming,
    "timeline": _timeline,
    "ut-interaction": _ut_interaction,
}
