"""How much memory training takes when there are many videos, beside what the textbook's way would hold.

The textbook loads every clip of the data set as float64 and trains on the one large array. Kineme decodes each
video once to a file of uint8 frames and reads a few batches at a time, so its memory should not grow with the
number of videos. This script trains over as many videos as are asked for and watches the process.

Few videos are enough to run it: they are repeated as hard links. A link has a path of its own, so every repeat is
decoded, cached and read for itself; and it stays in the group of its video, so the split is as honest as ever.

    python benchmarks/memory.py                          draws a small set of people and repeats it
    python benchmarks/memory.py --data FOLDER --out benchmarks/results/memory.json
"""

from __future__ import annotations

import argparse
import csv
import datetime
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from drawn_people.make import make_dataset
from kineme.dataset.scan import scan
from kineme.files import write_json
from kineme.video.spec import ClipSpec

MARK_BYTES = 1.5e9
SAMPLES_PER_SECOND = 20
TRAIN = ["--approach", "lrcn", "--backbone", "small-cnn"]


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Peak memory of training over many clips, beside what the textbook's way would hold."
    )
    parser.add_argument("--data", type=Path, help="folder or CSV of labelled videos; drawn people by default")
    parser.add_argument("--clips", type=int, default=6681, help="videos to train over; 6,681 is UCF50 (default)")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument(
        "--work", type=Path, help="folder for links and cached frames, about 1 MB a clip (default: temp)"
    )
    parser.add_argument("--out", type=Path, help="JSON file to write the result to")
    arguments = parser.parse_args()
    if arguments.work:
        arguments.work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="kineme-memory-", dir=arguments.work) as work:
        result = measure(arguments.data, arguments.clips, arguments.epochs, Path(work))
    print_result(result)
    if arguments.out:
        write_json(arguments.out, result)
    sys.exit(0 if result["met"] else 1)


def measure(data: Path | None, clips: int, epochs: int, work: Path) -> dict[str, Any]:
    """Train over ``clips`` videos in a process of its own and watch its memory."""
    if data is None:
        data = make_dataset(work / "videos", clips=120, people=20, untrimmed=0)
    videos = write_repeats(data, clips, work)

    peak_bytes, seconds = peak_memory(
        [*TRAIN, "--epochs", str(epochs), "--out", str(work / "run"), str(work / "clips.csv")],
        strips=work / "strips",
    )
    metrics = json.loads((work / "run" / "metrics.json").read_text(encoding="utf-8"))
    strips = [file.stat().st_size for file in (work / "strips").iterdir() if file.suffix != ".json"]
    spec = ClipSpec()
    textbook_bytes = clips * spec.frames * spec.height * spec.width * 3 * 8
    return {
        "date": datetime.date.today().isoformat(),
        "versions": metrics["versions"],
        "machine": machine(),
        "data": "synthetic set" if data.is_relative_to(work) else data.name,
        "videos": videos,
        "clips": clips,
        "clips_read": sum(metrics["data"]["videos"].values()),
        "train": " ".join(TRAIN),
        "epochs": metrics["train"]["epochs"],
        "seconds": round(seconds),
        "peak_resident_bytes": peak_bytes,
        "cached_strips": len(strips),
        "cached_bytes": sum(strips),
        "textbook_bytes": textbook_bytes,
        "mark_bytes": int(MARK_BYTES),
        "met": peak_bytes < MARK_BYTES,
    }


def write_repeats(data: Path, clips: int, work: Path) -> int:
    """Write ``work/clips.csv`` of ``clips`` rows, each with a file of its own; return how many videos are in it."""
    rows = scan(data).rows.to_dicts()
    chosen = [rows[number * len(rows) // clips] for number in range(clips)]
    links = work / "links"
    links.mkdir()
    columns = ["path", "label", "group", "start_s", "end_s"]
    with (work / "clips.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        for number, row in enumerate(chosen):
            link = links / f"{number:06}{Path(row['path']).suffix}"
            link_or_copy(Path(row["path"]).resolve(), link)
            writer.writerow({**row, "path": link.relative_to(work).as_posix()})
    return len({row["name"] for row in chosen})


def link_or_copy(source: Path, target: Path) -> None:
    """A second name for a file; a copy where the file system cannot give one."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def peak_memory(arguments: list[str], strips: Path) -> tuple[int, float]:
    """Run ``kineme train`` with an empty cache; the most bytes it held with its children, and the seconds it took."""
    started = time.perf_counter()
    child = subprocess.Popen(
        [sys.executable, "-c", "from kineme.cli.main import main; main()", "train", *arguments],
        stdout=subprocess.DEVNULL,
        env={**os.environ, "KINEME_FRAME_CACHE": str(strips)},
    )
    peak = peak_while_running(child)
    if child.wait():
        sys.exit("training failed, so there is nothing to report; see the line above")
    return peak, time.perf_counter() - started


def peak_while_running(child: subprocess.Popen[bytes]) -> int:
    """The most bytes that a process held with its children; it has ended then."""
    peak = 0
    try:
        watched = psutil.Process(child.pid)
        while child.poll() is None:
            peak = max(peak, resident(watched))
            time.sleep(1 / SAMPLES_PER_SECOND)
    finally:
        child.kill()
    return peak


def resident(process: psutil.Process) -> int:
    """Bytes of a process and its children that are in memory now; 0 where it ends meanwhile."""
    try:
        return sum(one.memory_info().rss for one in [process, *process.children(recursive=True)])
    except psutil.NoSuchProcess:
        return 0


def machine() -> dict[str, Any]:
    """What it ran on."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.partition(":")[2].strip()
            for line in cpuinfo.read_text(encoding="utf-8").splitlines()
            if "model name" in line
        ]
        name = names[0] if names else name
    return {
        "cpu": name,
        "cores": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "system": f"{platform.system()} {platform.machine()}",
    }


def print_result(result: dict[str, Any]) -> None:
    """The table of the result."""

    def megabytes(count: float) -> str:
        return f"{count / 1e6:,.0f} MB"

    verdict = "met" if result["met"] else "NOT met"
    lines = {
        "clips": f"{result['clips']:,} ({result['videos']:,} videos of {result['data']}, repeated)",
        "read": f"{result['clips_read']:,} clips, {result['epochs']} epoch(s), {result['seconds']:,} s",
        "frames cached on disk": f"{megabytes(result['cached_bytes'])} in {result['cached_strips']:,} strips",
        "peak resident memory": megabytes(result["peak_resident_bytes"]),
        "the textbook's float64": f"{megabytes(result['textbook_bytes'])} would be held at once",
        "mark": f"{megabytes(result['mark_bytes'])}: {verdict}",
    }
    for name, text in lines.items():
        print(f"{name:<24}{text}")


if __name__ == "__main__":
    main()
