"""Tables from ``benchmarks/results``: each says which command made it, when, with what, and on which machine."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
RESULTS = BENCHMARKS / "results"
NEEDS_DATA = {
    "exports.py": "RUN...",
    "feature_cache.py": "FOLDER",
    "int8.py": "FOLDER",
    "region.py": "FOLDER",
    "unknown_actions.py": "FOLDER",
    "ut_interaction.py": "FOLDER",
}

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
    given = NEEDS_DATA.get(script) or path.stem.removeprefix(script.removesuffix(".py").replace("_", "-")).strip("-")
    command = f"benchmarks/{script} {given}".strip()
    says = _questions().get(script, ("", ""))[1]
    lines = [f"{says[0].upper()}{says[1:]}.", ""] if says else []
    for caption, head, rows in table(document):
        lines += [f"**{caption}**", ""] if caption else []
        lines += ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
        lines += ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows]
        lines.append("")
    versions = ", ".join(f"{name} {version}" for name, version in document.get("versions", {}).items())
    lines += [
        f"Made by `python {command} --out benchmarks/results/{path.name}` on {document.get('date', 'an unknown date')}"
        f" ({_machine(document)}; {versions}).",
        "",
    ]
    return "\n".join(lines)


def _script(name: str) -> str:
    """The script that made a result; one that has parts names the part last."""
    whole, part = f"{name.replace('-', '_')}.py", f"{name.rpartition('-')[0].replace('-', '_')}.py"
    return part if (BENCHMARKS / part).is_file() and not (BENCHMARKS / whole).is_file() else whole


def _questions() -> dict[str, tuple[str, str]]:
    """Script to the question it answers and what it prints, from the table of ``benchmarks/README.md``."""
    text = (BENCHMARKS / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+\.py)` \| (.+?) \| (.+?) \|$", text, re.MULTILINE)
    return {script: (question, prints.rstrip(".")) for script, question, prints in rows}


def _machine(document: dict[str, Any]) -> str:
    machine = document.get("machine", "unknown machine")
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
    head = ["candidate", *(names.get(part, part) for part in kinds)]
    yield "Top-1 on groups never seen, with its 95 % interval over sequences", head, rows


def _people(document: dict[str, Any]) -> Iterator[tuple[str, list[str], Rows]]:
    rows = [
        [str(one["people"]), f"{one['detection_ms']:.1f}", f"{one['tracker_ms']:.1f}"] for one in document["by_count"]
    ]
    head = ["people in the picture", "detection", "tracking"]
    yield "Milliseconds of processor time for one look at 640 x 480", head, rows
    rows = [[one["case"], f"{one['ms']:.0f}", f"{one['ratio']:.1f}"] for one in document["small_people"]]
    yield ("One look at 1280 x 720", ["picture", "ms", "times the first row"], rows)
    live = document["live"]
    rows = [[f"a stream with {live['people']} people takes", f"{_percent(live['share_of_real_time'])} of real time"]]
    if memory := document.get("memory"):
        grown = f"{memory['grown_mb']:+.0f} MB after the first tenth"
        rows.append([f"memory over {memory['looks']:,} looks changes by", grown])
    yield ("Live, on one core", ["what", "value"], rows)


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
    head = ["model", "engine", "mode", "ms per frame, median", "95 % are under", "speed-up over the textbook loop"]
    yield "Time per new frame, compared with `model.predict` on the whole window at every frame", head, rows


def _timeline(document: dict[str, Any]) -> Iterator[tuple[str, list[str], Rows]]:
    f1, pauses = document["segment_f1"], document["pauses_called_background"]
    unknown, called = document["auroc_of_unknown_actions"], document["clips_called_background"]
    plain = unknown["highest_probability"]

    def two(value: float, interval: list[float]) -> str:
        return f"{value:.2f} ({interval[0]:.2f} to {interval[1]:.2f})"

    yield (
        f"Untrimmed videos of {f1['videos']} drawn people outside the training",
        ["what", "value (95 % interval)"],
        [
            ["segment F1 at an overlap of one half", two(f1["value"], f1["interval"])],
            ["the same without background", f"{f1['without_background']:.2f}"],
            ["the same borders with random labels", f"{f1['same_borders_random_labels']:.2f}"],
            ["share of the pauses labelled background", _within(pauses["value"], pauses["interval"])],
            ["share of the actions' time labelled correctly", _percent(pauses["action_time_labelled_right"])],
            ["AUROC of actions left out of training", two(unknown["value"], unknown["interval"])],
            ["the same with the highest probability alone", two(plain["value"], plain["interval"])],
            ["clips of known actions labelled background", _percent(called["of_known_actions"])],
            ["clips of unknown actions labelled background", _percent(called["of_unknown_actions"])],
        ],
    )


def _predict_speed(document: dict[str, Any]) -> Iterator[tuple[str, list[str], Rows]]:
    video = document["video"]
    yield (
        f"A video of {video['seconds']:.0f} s, {video['size'].replace('x', '×')}, {video['fps']:g} frames per second",
        ["step", "seconds, median", "range", "times decoding alone", "times real time"],
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
            ["kinds of planted faults found", f"{sum(faults.values())} of {len(faults)}"],
            ["false pairs of different people", copies["false_pairs_of_different_people"]],
            ["different places taken for one", copies["false_places"]],
            [f"seconds for {speed['videos']:,} videos of 7 s", f"{speed['seconds']:.0f}"],
            ["seconds for a second check", f"{speed['seconds_again']:.0f}"],
        ],
    )


def _fuzz(document: dict[str, Any]) -> Iterator[tuple[str, list[str], Rows]]:
    outcomes = [[name, count] for name, count in document["outcomes"].items()]
    yield f"{document['cases']:,} damaged files", ["result", "files"], outcomes
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
            ["size of the textbook's float64 arrays", f"{document['textbook_bytes'] / 1e9:.2f}"],
        ],
    )


def _feature_cache(document: dict[str, Any]) -> Iterator[tuple[str, list[str], Rows]]:
    equal = "equal" if document["equal_features"] else "not equal"
    yield (
        f"{document['videos']} videos with frozen EfficientNet-Lite0; the features are {equal}",
        ["training", "clips per second"],
        [
            ["first training", document["first_clips_per_second"]],
            ["second training, on the same videos", document["second_clips_per_second"]],
        ],
    )


def _cuts(document: dict[str, Any]) -> Iterator[tuple[str, list[str], Rows]]:
    head = ["detector", "read at", "cuts", "dissolves", "false, beside joins", "false, in videos of one shot"]
    keys = ("detector", "read_at", "cuts", "dissolves", "false", "false_single")
    yield "", head, [[str(one[key]) for key in keys] for one in document["detectors"]]


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


def _plan(document: dict[str, Any]) -> Iterator[tuple[str, list[str], Rows]]:
    rows = [[one["stage"], f"{one['core_hours']:,}", f"{one['price']:,}"] for one in document["stages"]]
    yield "By stage, at an example price", ["stage", "core hours", "price"], rows
    names = ("days", "efficiency", "driver_busy", "lost", "tail_hours")
    rows = [
        [str(one["jobs"]), f"{one['cores']:,}", *(f"{one[name]['median']:.3g}" for name in names)]
        for one in document["simulated"]
    ]
    head = ["jobs", "cores", "days", "efficiency", "driver busy", "done twice", "hours from first idle core to end"]
    yield "Simulated ([explanation](million-hours.md))", head, rows


def _of(one: dict[str, float]) -> str:
    return f"{one['median']:.3g} ({one['least']:.3g} to {one['most']:.3g})"


def _training_speed(document: dict[str, Any]) -> Iterator[tuple[str, list[str], Rows]]:
    peak = document["limits"]["matrix_float32_gflops"]
    for name, one in document["networks"].items():
        rows = []
        for side, rate in one["clips_a_second"].items():
            named = f"{side} (TensorFlow's default here)" if side == document["as_it_comes"] else side
            share = f"{rate['median'] * one['mflop_a_clip'] / 1e3 / peak:.0%}"
            times = one["times_as_fast"].get(side)
            rows.append([named, _of(rate), share, _of(times) if times else "–"])
        caption = f"{name}: {one['mflop_a_clip']:.0f} MFLOP per clip; the machine computes {peak:.0f} GFLOP per second"
        yield caption, ["implementation", "clips per second", "share of the matrix rate", "speed-up of Kineme"], rows


def _engines(document: dict[str, Any]) -> Iterator[tuple[str, list[str], Rows]]:
    ways = sorted(
        {way for row in document["engines"].values() for way in row["ms"]}, key=lambda one: (one != "keras", one)
    )
    rows = [
        [name, *(f"{row['ms'][way]['median']:.3g}" if way in row["ms"] else "–" for way in ways)]
        for name, row in document["engines"].items()
    ]
    yield "Milliseconds, median, by engine and threads", ["part", *ways], rows
    keys = ("chosen_ms", "predict_ms", "times", "predict_without_onednn_ms", "times_without_onednn")
    head = ["features", "ms per frame", "Keras predict", "times", "the same without oneDNN", "times"]
    yield "Features", head, [[name, *(_of(row[key]) for key in keys)] for name, row in document["features"].items()]


def _decode(document: dict[str, Any]) -> Iterator[tuple[str, list[str], Rows]]:
    for name, one in document["videos"].items():
        rows = [
            [way, _of(one["ms"][way]), _of(one["times_as_fast_as"][way]) if way in one["times_as_fast_as"] else "–"]
            for way in one["ms"]
        ]
        yield f"Twenty frames of {name}", ["method", "ms", "speed-up of Kineme"], rows


def _startup(document: dict[str, Any]) -> Iterator[tuple[str, list[str], Rows]]:
    rows = [[what, _of(one)] for what, one in document["seconds"].items()]
    yield "From the start of a process", ["what", "seconds"], rows


def _exports(document: dict[str, Any]) -> Iterator[tuple[str, list[str], Rows]]:
    formats = list(dict.fromkeys(format_ for one in document["models"].values() for format_ in one))

    def cell(found: dict[str, Any]) -> str:
        parts = found.get("parts", {}).items()
        said = ", ".join(
            f"{part} {one['difference']:.0e}, {one['latency_ms_one_thread']:.3g} ms" for part, one in parts
        )
        return said if found.get("agrees") else f"no: {found.get('error', said)}"

    rows = [[name, *(cell(one.get(format_, {})) for format_ in formats)] for name, one in document["models"].items()]
    yield "Largest difference from Keras over 200 frames", ["model", *formats], rows


def _roofline(document: dict[str, Any]) -> Iterator[tuple[str, list[str], Rows]]:
    keys = ("ms", "gflop", "gb", "own_ms", "least_ms")
    head = ["operations, one by one", "ms", "GFLOP", "GB", "ms as a matrix product", "ms at the limits"]
    for name, one in document["networks"].items():
        share = f"{one['share_of_matrix_rate']:.0%}"
        caption = f"{name}: a step takes {one['step_ms']:.0f} ms for {one['gflop']} GFLOP, {share} of the matrix rate"
        yield caption, head, [[kind, *(f"{row[key]:.3g}" for key in keys)] for kind, row in one["kinds"].items()]


def _order(document: dict[str, Any]) -> Iterator[tuple[str, list[str], Rows]]:
    orders = ("in order", "shuffled", "reversed", "frozen")
    values = {f"`{name}`": [one[order] for order in orders] for name, one in document["models"].items()}
    rows = [[name, *(_within(one["top1"], one["top1_interval"]) for one in row)] for name, row in values.items()]
    yield "Top-1 on people never seen, with its 95 % interval", ["model", *orders], rows


def _backbones(document: dict[str, Any]) -> Iterator[tuple[str, list[str], Rows]]:
    seconds = ("clip_s", "processor_s", "processor_per_second")
    rows = [
        [one["title"], f"{one['parameters'] / 1e6:.1f} million", one["frames"], *(one[key] for key in seconds)]
        for one in document["networks"].values()
    ]
    head = ["network", "parameters", "frames", "seconds a clip", "of the processor", "a second of video"]
    yield "True size, random weights", head, rows


TABLES: dict[str, Callable[[dict[str, Any]], Iterator[tuple[str, list[str], Rows]]]] = {
    "backbones": _backbones,
    "check": _check,
    "decode": _decode,
    "engines": _engines,
    "exports": _exports,
    "feature-cache": _feature_cache,
    "fuzz": _fuzz,
    "memory": _memory,
    "order": _order,
    "people": _people,
    "plan": _plan,
    "roofline": _roofline,
    "predict-speed": _predict_speed,
    "startup": _startup,
    "cuts": _cuts,
    "streaming": _streaming,
    "timeline": _timeline,
    "training-speed": _training_speed,
    "ut-interaction": _ut_interaction,
}
