"""`kineme batch` beside a plain loop: equal rows, its speed, its memory, and what survives being killed.

The corpus is drawn people and, with --real, real videos too, each repeated as hard links (a link is a video of its
own); 3 % of the files are broken. Parts:

equal       every row against `model.predict` in a loop (first with it: the plain answers are made)
throughput  videos a second once running, against two plain processes that each predict half, in turn. Once running: the
            videos that a large corpus has more than a small one, over the time that it takes longer
memory      the most that all processes hold together (proportional set size), at 500 and 2,000 videos
kills       a job, ten `kill -9` of its driver or of a worker at drawn times; its files must be those of an unbroken job
nodes       two Ray nodes on this machine, one killed midway; its files must be those of an unbroken job

    python benchmarks/batch.py --real FOLDER --out benchmarks/results/batch.json
    python benchmarks/batch.py kills nodes --model RUN
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import polars as pl
import psutil
from pairs import Side, mark, ratio, record, shown, spread, take_turns

from drawn_people.make import make_dataset
from kineme import api
from kineme.errors import KinemeError
from kineme.files import write_json
from kineme.training.options import TrainOptions
from kineme.video.container import VIDEO_SUFFIXES

PARTS = ("equal", "throughput", "memory", "kills", "nodes")
VIDEOS, MANY = 500, 2000
BROKEN = 0.03
DRAWN = 160
KILLS = 10
WAIT_S = 5.0  # at most, from when a job goes on to when something of it is killed
STARTING = 0.002  # the chance, ten times a second, that it need not have gone on: some are killed as they start
WORKERS = 2
LEAST = 0.85
FLAT = 1.15  # times the memory at most, with four times the videos


def main() -> None:
    parser = argparse.ArgumentParser(description="kineme batch beside a plain loop.")
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all by default")
    parser.add_argument("--real", type=Path, help="folder of real videos, which are half of the corpus")
    parser.add_argument("--model", help="model file or run folder; by default a small one is trained on drawn people")
    parser.add_argument("--rounds", type=int, default=3, help="of the throughput")
    parser.add_argument("--seed", type=int, default=0, help="of what is killed when")
    parser.add_argument("--work", type=Path, help="folder for videos and results; kept, and used again")
    parser.add_argument("--out", type=Path, help="JSON file to write the result to")
    parser.add_argument("--loop", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.loop:
        return plain_side(*arguments.loop)
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(unknown)}")
    work = arguments.work or Path(tempfile.mkdtemp(prefix="kineme-batch-"))
    try:
        result = measure(arguments, work.resolve())
    finally:
        if not arguments.work:
            shutil.rmtree(work, ignore_errors=True)
    if arguments.out:
        write_json(arguments.out, result)
    marks = [
        one for part in result["parts"].values() for one in part.values() if isinstance(one, dict) and "met" in one
    ]
    sys.exit(0 if all(one["met"] for one in marks) else 1)


def measure(arguments: argparse.Namespace, work: Path) -> dict[str, Any]:
    parts = arguments.parts or PARTS
    result = record("ray", "av", "polars", real=bool(arguments.real), videos=VIDEOS, many=MANY, parts={})
    corpus, many = prepare(work, arguments.real)
    model = arguments.model or train(work)
    api.load(model).predict(first_good(corpus))  # compiles it, if that is still to be done
    for part in parts:
        started = time.perf_counter()
        scratch = work / "scratch"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        found = {
            "equal": lambda: equal(corpus, model, scratch),  # noqa: B023
            "throughput": lambda: throughput(corpus, many, model, scratch, arguments.rounds),  # noqa: B023
            "memory": lambda: memory(corpus, many, model, scratch),  # noqa: B023
            "kills": lambda: kills(many, model, scratch, random.Random(arguments.seed)),  # noqa: B023
            "nodes": lambda: nodes(many, model, scratch),  # noqa: B023
        }[part]()
        found["took_s"] = round(time.perf_counter() - started)
        result["parts"][part] = found
        print(f"{part}: {json.dumps(found, indent=1)}", flush=True)
    return result


# The corpus


def prepare(work: Path, real: Path | None) -> tuple[Path, Path]:
    """Folders of 500 and of 2,000 videos; the first is a quarter of the second."""
    corpus, many = work / "corpus", work / "many"
    if many.exists():
        return corpus, many
    drawn = work / "drawn"
    make_dataset(drawn, clips=DRAWN, people=40, untrimmed=0)
    found = sorted(one for one in drawn.glob("*/*.mp4"))
    true = sorted(one for one in real.rglob("*") if one.suffix.lower() in VIDEO_SUFFIXES) if real else []
    rng = random.Random(0)
    corpus.mkdir()
    for number in range(VIDEOS):
        kinds = true if true and number % 2 else found
        source = kinds[(number // 2) % len(kinds)]
        path = corpus / f"{number:04}{source.suffix}"
        if number % round(1 / BROKEN) == 7:
            content = source.read_bytes()
            path.write_bytes((b"", b"no video", content[: len(content) // 3])[rng.randrange(3)])
        else:
            link(source, path)
    half = work / "many-in-the-making"
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir()
    for number in range(MANY // VIDEOS):
        for path in corpus.iterdir():
            link(path, half / f"{number}-{path.name}")
    half.rename(many)
    return corpus, many


def link(source: Path, path: Path) -> None:
    try:
        os.link(source, path)
    except OSError:
        shutil.copyfile(source, path)


def first_good(corpus: Path) -> Path:
    return sorted(corpus.iterdir())[0]


def train(work: Path) -> str:
    """A small LRCN, so that labels mean something."""
    run = work / "run"
    if not (run / "model.safetensors").exists():
        api.train(work / "drawn", run, approach="lrcn", options=TrainOptions(epochs=20), overwrite=True)
    return str(run)


# Jobs


def command(sources: Path, out: Path, **settings: Any) -> list[str]:
    """What runs a job in a process of its own, and prints its result."""
    code = (
        "import json, sys; from dataclasses import asdict; from kineme.scale.batch import run; "
        "print(json.dumps(asdict(run([sys.argv[1]], sys.argv[2], **json.loads(sys.argv[3])))))"
    )
    return [sys.executable, "-c", code, str(sources), str(out), json.dumps({"workers": WORKERS, **settings})]


def job(sources: Path, model: str, out: Path) -> dict[str, Any]:
    """Run a job to its end; the document that it prints, and the seconds that the process took."""
    started = time.perf_counter()
    done = subprocess.run(command(sources, out, model=model), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    if done.returncode:
        sys.exit(f"a job failed: {done.returncode}")
    return {**json.loads(done.stdout), "process_s": time.perf_counter() - started}


def digest(out: Path) -> str:
    return hashlib.sha256(
        b"".join((out / f"{name}.parquet").read_bytes() for name in ("videos", "segments"))
    ).hexdigest()


def finished(out: Path) -> int:
    """Videos in the shards so far."""
    try:
        return sum(pl.scan_parquet(one).select(pl.len()).collect().item() for one in (out / "shards").glob("*.parquet"))
    except (OSError, pl.exceptions.PolarsError):
        return 0


# Parts


def equal(corpus: Path, model: str, scratch: Path) -> dict[str, Any]:
    found = job(corpus, model, scratch / "out")
    videos = {row["path"]: row for row in pl.read_parquet(scratch / "out" / "videos.parquet").to_dicts()}
    segments: dict[str, list[dict[str, Any]]] = {}
    for row in pl.read_parquet(scratch / "out" / "segments.parquet").to_dicts():
        segments.setdefault(row["path"], []).append(row)
    loaded = api.load(model)
    labels = reasons = times = 0
    apart, broken = 0.0, 0
    for path, row in videos.items():
        try:
            result = loaded.predict(path)
        except KinemeError as error:
            broken += 1
            reasons += not str(error).endswith(row["error"] or "?")
            continue
        labels += row["label"] != result.label
        apart = max(apart, *(abs(row["probabilities"][one] - share) for one, share in result.top))
        own = [(one["start_s"], one["end_s"], one["label"]) for one in segments[path]]
        times += own != [(one.start_s, one.end_s, one.label) for one in result.segments]
        for one, other in zip(segments[path], result.segments, strict=True):
            apart = max(apart, abs(one["confidence"] - other.confidence))
    return {
        "videos": len(videos),
        "broken": broken,
        "start_s": found["start_s"],
        "other_labels": mark(labels, most=0),
        "other_reasons": mark(reasons, most=0),
        "other_segments": mark(times, most=0),
        "largest_difference": mark(float(f"{apart:.2g}"), most=1e-5),
    }


def throughput(corpus: Path, many: Path, model: str, scratch: Path, rounds: int) -> dict[str, Any]:
    rates: dict[str, list[float]] = {"batch": [], "plain": []}
    starts = []
    halves = [str(scratch / f"half-{number}.json") for number in range(WORKERS)]
    paths = sorted(str(one) for one in many.iterdir())
    for number, half in enumerate(halves):
        Path(half).write_text(json.dumps(paths[number::WORKERS]), encoding="utf-8")
    for number in range(rounds):
        small, large = (job(folder, model, scratch / f"{folder.name}-{number}") for folder in (corpus, many))
        starts.append(small["start_s"])
        rates["batch"].append((MANY - VIDEOS) / (large["process_s"] - small["process_s"]))
        sides = [Side([__file__, "--loop", half, model]) for half in halves]
        for side in sides:
            side.__enter__()
        rates["plain"].append(MANY / together(sides))
        for side in sides:
            side.__exit__()
        print(f"round {number + 1}: {rates['batch'][-1]:.1f} and {rates['plain'][-1]:.1f} a second", flush=True)
    share = ratio(rates["batch"], rates["plain"])
    print(f"batch {shown(spread(rates['batch']))}, plain {shown(spread(rates['plain']))}, share {shown(share)}")
    return {
        "batch_videos_per_second": spread(rates["batch"]),
        "plain_videos_per_second": spread(rates["plain"]),
        "share": share,
        "start_s": spread(starts),
        "mark": mark(share["median"], least=LEAST),
    }


def together(sides: list[Side]) -> float:
    """The seconds until the last of several sides is done, all measured at once."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(len(sides)) as pool:
        return max(pool.map(lambda side: side.turn(), sides))


def plain_side(half: str, model: str) -> None:
    """One of the plain processes."""
    paths = json.loads(Path(half).read_text(encoding="utf-8"))
    loaded = api.load(model)
    loaded.predict(paths[0])

    def loop() -> float:
        started = time.perf_counter()
        for path in paths:
            try:
                loaded.predict(path)
            except KinemeError:
                continue
        return time.perf_counter() - started

    take_turns(loop)


def memory(corpus: Path, many: Path, model: str, scratch: Path) -> dict[str, Any]:
    peaks = {}
    for folder in (corpus, many):
        process = subprocess.Popen(
            command(folder, scratch / folder.name, model=model),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        peak, driver = 0, 0
        while process.poll() is None:
            peak = max(peak, sum(held(one) for one in tree(process.pid)))
            driver = max(driver, held(psutil.Process(process.pid)) if psutil.pid_exists(process.pid) else 0)
            time.sleep(1)
        peaks[folder.name] = {"all_mb": round(peak / 1e6), "driver_mb": round(driver / 1e6)}
    times = peaks[many.name]["all_mb"] / peaks[corpus.name]["all_mb"]
    return {
        f"at_{VIDEOS}": peaks[corpus.name],
        f"at_{MANY}": peaks[many.name],
        "times": mark(round(times, 3), most=FLAT),
    }


def tree(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def held(process: psutil.Process) -> int:
    """Bytes that a process holds; what it shares with others counts in part."""
    try:
        return int(process.memory_full_info().pss)
    except (psutil.Error, FileNotFoundError):
        return 0


def kills(many: Path, model: str, scratch: Path, rng: random.Random) -> dict[str, Any]:
    job(many, model, scratch / "whole")
    out, killed, starts = scratch / "broken", [], 0
    driver: subprocess.Popen[bytes] | None = None
    while driver is None or driver.poll() != 0:
        if driver is None or driver.poll() is not None:
            starts += 1
            driver = subprocess.Popen(
                command(many, out, model=model, shard_s=1.0),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        if len(killed) == KILLS:
            driver.wait()
            continue
        before = finished(out)
        while rng.random() > STARTING and driver.poll() is None and finished(out) <= before:
            time.sleep(0.1)
        time.sleep(rng.uniform(0, WAIT_S))
        if driver.poll() is not None:
            continue
        workers = [one for one in tree(driver.pid) if one.name().startswith("ray::")]
        victim = rng.choice(workers) if workers and rng.random() < 0.6 else psutil.Process(driver.pid)
        killed.append(("driver" if victim.pid == driver.pid else victim.name(), finished(out)))
        print("killed {} with {} videos in shards".format(*killed[-1]), flush=True)
        victim.send_signal(signal.SIGKILL)
        if victim.pid == driver.pid:
            driver.wait()
    return {
        "killed": [f"{who} at {at}" for who, at in killed],
        "starts": starts,
        "kills": mark(len(killed), least=KILLS),
        "same_files": mark(int(digest(out) == digest(scratch / "whole")), least=1),
    }


def nodes(many: Path, model: str, scratch: Path) -> dict[str, Any]:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    job(many, model, scratch / "whole")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    second = cluster.add_node(num_cpus=1)
    out = scratch / "out"
    driver = subprocess.Popen(
        command(many, out, model=model, address=cluster.address, shard_s=1.0),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    while driver.poll() is None and finished(out) < MANY // 5:
        time.sleep(0.2)
    at = finished(out)
    cluster.remove_node(second, allow_graceful=False)
    document = json.loads(driver.communicate()[0] or "{}")
    cluster.shutdown()
    return {
        "node_killed_at": at,
        "seconds": document.get("seconds"),
        "same_files": mark(int(driver.returncode == 0 and digest(out) == digest(scratch / "whole")), least=1),
    }


if __name__ == "__main__":
    main()
