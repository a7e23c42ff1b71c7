"""What 2,000 damaged videos do to the reader: they must end in frames or in a clear error, soon, and in little memory.

Small whole videos (MP4, AVI, MKV and WebM, of nine kinds) are damaged in ten ways: bits flipped and noise in headers
and bodies, absurd numbers and frame sizes, parts cut off, left out, said twice or taken from another file. Each is then
probed, read as a clip, read in full size, and entered in the middle, in a process that is watched.

    python benchmarks/fuzz.py                       2,000 cases, some minutes
    python benchmarks/fuzz.py --cases 300 --first 5000 --keep FOLDER
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import av
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from helpers_fuzz import HANG_S, Outcome, make_seeds, mutate, read_all

from kineme.files import write_json
from kineme.progress import track
from kineme.version import __version__

MARK_BYTES = 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description="Read damaged videos; count what becomes of them.")
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument(
        "--first", type=int, default=0, help="number of the first case; a number is always the same damage"
    )
    parser.add_argument("--keep", type=Path, help="folder to keep the files that crash, hang or break in")
    parser.add_argument("--out", type=Path, help="JSON file to write the result to")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kineme-fuzz-") as work:
        result = measure(arguments.first, arguments.cases, Path(work), arguments.keep)
    print_result(result)
    if arguments.out:
        write_json(arguments.out, result)
    sys.exit(0 if result["met"] else 1)


def measure(first: int, cases: int, work: Path, keep: Path | None) -> dict[str, Any]:
    """Make and read the cases; the counts of what became of them."""
    started = time.perf_counter()
    seeds = make_seeds(work / "seeds")
    outcomes: list[tuple[str, Outcome]] = []
    paths = [mutate(seeds, case, work) for case in range(first, first + cases)]
    for path, one in zip(paths, track(read_all(paths), "reading", cases), strict=True):
        outcomes.append((path.name, one))
        if one.is_failure and keep:
            keep.mkdir(parents=True, exist_ok=True)
            (keep / path.name).write_bytes(path.read_bytes())
    failures = [{"case": name, "kind": one.kind, "detail": one.detail} for name, one in outcomes if one.is_failure]
    slowest = max(outcomes, key=lambda item: item[1].seconds)
    peak = max(one.peak_bytes for _, one in outcomes)
    return {
        "date": datetime.date.today().isoformat(),
        "versions": {
            "kineme": __version__,
            "python": platform.python_version(),
            "av": av.__version__,
            "libavcodec": ".".join(map(str, av.library_versions["libavcodec"])),
        },
        "machine": {
            "cores": os.cpu_count(),
            "memory_bytes": psutil.virtual_memory().total,
            "system": f"{platform.system()} {platform.machine()}",
        },
        "seeds": [seed.name for seed in seeds],
        "first": first,
        "cases": cases,
        "seconds": round(time.perf_counter() - started, 1),
        "outcomes": dict(Counter(one.kind for _, one in outcomes).most_common()),
        "hangs": sum(one.kind == "hang" for _, one in outcomes),
        "crashes": sum(one.kind == "crash" for _, one in outcomes),
        "other_errors": sum(one.kind == "other error" for _, one in outcomes),
        "failures": failures,
        "slowest": {"case": slowest[0], "seconds": round(slowest[1].seconds, 2), "kind": slowest[1].kind},
        "peak_resident_bytes": peak,
        "marks": {"hang_seconds": HANG_S, "hangs": 0, "crashes": 0, "peak_resident_bytes": int(MARK_BYTES)},
        "met": not failures and peak < MARK_BYTES,
    }


def print_result(result: dict[str, Any]) -> None:
    """The counts, the slowest case and the peak."""
    for kind, count in result["outcomes"].items():
        print(f"{count:6,}  {kind}")
    for one in result["failures"]:
        print(f"FAILED  {one['case']}: {one['kind']} ({one['detail']})")
    slowest = result["slowest"]
    print(f"\n{result['cases']:,} cases in {result['seconds']:.0f} s")
    print(f"slowest      {slowest['seconds']} s ({slowest['case']}: {slowest['kind']}); mark {HANG_S:g} s")
    print(f"peak memory  {result['peak_resident_bytes'] / 1e6:,.0f} MB; mark {MARK_BYTES / 1e6:,.0f} MB")
    print(f"hangs {result['hangs']}, crashes {result['crashes']}, other errors {result['other_errors']}")
    print("met" if result["met"] else "NOT met")


if __name__ == "__main__":
    main()
