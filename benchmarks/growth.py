"""What more videos cost: processor time a video and peak memory of ``train``, ``check`` and ``predict``.

Drawn people are made once, up to ``--drawn`` of them; beyond that they are repeated as hard links. A link has a path
of its own, so that it is decoded and cached for itself, but ``check`` sees at once that its bytes are those of another
file: the search for near duplicates grows with the drawn videos alone. Every verb runs in a process of its own, with
empty caches; processor time is that of it and its children, so that other work on the machine does not count.

    python benchmarks/growth.py --counts 100 1000 --out benchmarks/results/growth.json
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from memory import peak_while_running, write_repeats
from pairs import record

from drawn_people.make import make_dataset
from kineme.cli.output import print_table
from kineme.files import write_json

MARK = 1.15  # times the time a video takes among fewer: more is worse than linear
KINEME = [sys.executable, "-c", "from kineme.cli.main import main; main()"]
VERBS = ("train", "check", "predict")
ACTIONS = ("bow", "clap", "kick", "run", "squat", "wave")


def main() -> None:
    parser = argparse.ArgumentParser(description="Processor time a video and peak memory, as videos become more.")
    parser.add_argument("--counts", type=int, nargs="+", default=[100, 1000], help="videos (default: 100 1000)")
    parser.add_argument("--drawn", type=int, default=1000, help="most that are drawn, not linked (default 1000)")
    parser.add_argument("--work", type=Path, help="folder for videos and caches, kept; else a temporary one")
    parser.add_argument("--out", type=Path, help="JSON file to write the result to")
    arguments = parser.parse_args()
    result: dict[str, Any] = {**record("keras", "tensorflow", "ai-edge-litert", "av"), "counts": {}}
    with tempfile.TemporaryDirectory(prefix="kineme-growth-") as temporary:
        work = arguments.work or Path(temporary)
        for count in sorted(arguments.counts):
            result["counts"][str(count)] = measure(count, min(count, arguments.drawn), work / str(count))
            result["growth"] = growth(result["counts"])
            if arguments.out:
                write_json(arguments.out, result)
    show(result)
    sys.exit(0 if all(one["met"] for steps in result["growth"].values() for one in steps) else 1)


def measure(count: int, drawn: int, work: Path) -> dict[str, Any]:
    """All verbs on so many videos."""
    work.mkdir(parents=True, exist_ok=True)
    size = {"width": 160, "height": 120}
    people = max(3, drawn // 12)  # each does every action
    data = make_dataset(work / "videos", clips=drawn, people=people, actions=ACTIONS, untrimmed=0, **size)
    if not (work / "clips.csv").exists():
        write_repeats(data, count, work)
    caches = {"KINEME_FRAME_CACHE": str(work / "frames"), "KINEME_INSPECTION_CACHE": str(work / "inspections")}
    table, run = str(work / "clips.csv"), str(work / "run")
    train = ["train", table, "--fast", "--epochs", "5", "--allow-leaks", "--overwrite", "--out", run, "--json"]
    found: dict[str, Any] = {"drawn": drawn}
    check = ["check", table, "--out", str(work / "check.html"), "--json"]
    found["check"] = cost(check, count, caches | {"KINEME_INSPECTION_CACHE": str(work / "first")})
    found["train"] = cost(train, count, caches)
    found["predict"] = cost(["predict", str(work / "links"), "--model", run, "--json"], count, caches)
    return found


def cost(arguments: list[str], count: int, environment: dict[str, str]) -> dict[str, float]:
    """Processor seconds a video, and the most bytes that a run of the command line held with its children."""
    before, started = _children_s(), time.perf_counter()
    child = subprocess.Popen([*KINEME, *arguments], stdout=subprocess.DEVNULL, env={**os.environ, **environment})
    peak = peak_while_running(child)
    if child.wait() and arguments[0] != "check":  # which exits with 1 where it finds something
        sys.exit(f"{arguments[0]} failed, so there is nothing to report; see the line above")
    seconds = _children_s() - before
    return {
        "cpu_s": round(seconds, 2),
        "cpu_s_per_video": round(seconds / count, 5),
        "wall_s": round(time.perf_counter() - started, 1),
        "peak_bytes": peak,
    }


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def growth(counts: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """From each count to the next: by how much the time a video takes and the peak memory grow."""
    found: dict[str, list[dict[str, Any]]] = {verb: [] for verb in VERBS}
    for fewer, more in pairwise(sorted(counts, key=int)):
        for verb in VERBS:
            one, other = counts[fewer][verb], counts[more][verb]
            per_video = other["cpu_s_per_video"] / one["cpu_s_per_video"]
            found[verb].append(
                {
                    "from": int(fewer),
                    "to": int(more),
                    "time_per_video": round(per_video, 3),
                    "memory": round(other["peak_bytes"] / one["peak_bytes"], 3),
                    "met": per_video <= MARK,
                }
            )
    return found


def show(result: dict[str, Any]) -> None:
    """A row for each verb and count."""
    rows = [
        [verb, count, f"{1000 * one[verb]['cpu_s_per_video']:.0f}", f"{one[verb]['peak_bytes'] / 1e6:.0f}"]
        for verb in VERBS
        for count, one in result["counts"].items()
    ]
    print_table(["verb", "videos", "processor ms a video", "peak MB"], rows, title="What more videos cost")


if __name__ == "__main__":
    main()
