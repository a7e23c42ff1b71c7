"""From video files to a trained LRCN: the textbook's script beside ``kineme train``, and the memory each takes.

*Time*: both start from a folder of videos of drawn people and end with a trained model; reading the videos is part of
it, and nothing is cached before. Each splits the videos its own way (at random; by person), and both are then measured
on people who are in neither's folder. Of the textbook's script, loading and ``fit`` count; of ``kineme train``, all
from the start of the process to its end, with baselines, calibration, test figures and report. It is given ten epochs:
after them it is ahead of the textbook's last figure already, and more make it better still (``--epochs 40``).

*Memory*: 2,000 videos, made of fewer by hard links; each is read for itself. Of the textbook's script, which would
need minutes for each epoch, only reading and splitting is run: what ``fit`` takes comes on top. ``kineme train`` runs
from the start to the end of one epoch, report and all.

    python benchmarks/end_to_end.py time --out benchmarks/results/end-to-end-time.json
    python benchmarks/end_to_end.py memory --out benchmarks/results/end-to-end-memory.json
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
from pairs import mark, record

from drawn_people.make import make_dataset
from kineme.demo import ACTIONS
from kineme.files import write_json

TIMES, TENTH = 5.0, 0.1  # marks: wall time, and share of the memory
KINEME = [sys.executable, "-c", "from kineme.cli.main import main; main()"]
TEXTBOOK = [sys.executable, str(Path(__file__).with_name("textbook.py"))]
SETTINGS: dict[str, str | None] = {"textbook": None, "textbook, oneDNN on": "1", "textbook, oneDNN off": "0"}
PLAIN: dict[str, str | None] = {"KERAS_BACKEND": None, "TF_CPP_MIN_LOG_LEVEL": "3"}


def main() -> None:
    parser = argparse.ArgumentParser(description="From videos to a trained LRCN: wall time, accuracy, peak memory.")
    parser.add_argument("part", choices=("time", "memory"))
    parser.add_argument("--clips", type=int, help="videos (default: 150 for time, 2000 for memory)")
    parser.add_argument("--epochs", type=int, default=10, help="of kineme train, at most (default 10)")
    parser.add_argument("--textbook-epochs", type=int, help="of the textbook, at most (default: the recipe's 70)")
    parser.add_argument("--settings", nargs="*", default=["textbook"], choices=SETTINGS, help="of the textbook's side")
    parser.add_argument("--work", type=Path, help="folder for videos and runs, kept; else a temporary one")
    parser.add_argument("--out", type=Path, help="JSON file to write the result to")
    arguments = parser.parse_args()
    result = record("keras", "tensorflow", "opencv-python-headless", "av")
    with tempfile.TemporaryDirectory(prefix="kineme-end-to-end-") as temporary:
        work = arguments.work or Path(temporary)
        if arguments.part == "time":
            result |= measure_time(work, arguments.clips or 150, arguments)
        else:
            result |= measure_memory(work, arguments.clips or 2000)
    for name, one in result["marks"].items():
        bounds = ", ".join(f"{bound} {one[bound]}" for bound in ("least", "most") if bound in one)
        print(f"{name}: {one['value']}, mark {bounds}: {'met' if one['met'] else 'NOT met'}")
    if arguments.out:
        write_json(arguments.out, result)
    sys.exit(0 if all(one["met"] for one in result["marks"].values()) else 1)


# Time


def measure_time(work: Path, clips: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Wall time and accuracy of both, one after the other."""
    people = -(-clips // len(ACTIONS))
    make_dataset(work / "videos", clips=clips, people=people, actions=ACTIONS, untrimmed=0)
    make_dataset(work / "unseen", clips=15 * len(ACTIONS), people=15, actions=ACTIONS, untrimmed=0, seed=1)
    ours, settings = kineme_training(work, arguments.epochs), arguments.settings
    print(f"kineme train: {ours['seconds']:.0f} s, {ours['unseen_top1']:.1%} of people in neither folder")
    theirs = {}
    for label in settings:
        theirs[label] = one = textbook_training(work, SETTINGS[label], arguments.textbook_epochs)
        print(
            f"{label}: {one['seconds']:.0f} s ({one['load_seconds']:.0f} of them loading), {one['epochs']} epochs, "
            f"{one['unseen_top1']:.1%} of people in neither folder ({one['own_test_top1']:.1%} on its own test part)"
        )
    return {
        "videos": clips,
        "actions": list(ACTIONS),
        "kineme": ours,
        **theirs,
        "marks": {
            f"times_as_fast_as_{label}": mark(round(one["seconds"] / ours["seconds"], 2), TIMES)
            for label, one in theirs.items()
        }
        | {"top1_above_the_textbook": mark(round(ours["unseen_top1"] - theirs[settings[0]]["unseen_top1"], 4), 0.0)},
    }


def kineme_training(work: Path, epochs: int) -> dict[str, Any]:
    """``kineme train`` with an empty cache, and its accuracy on people it never saw."""
    shutil.rmtree(work / "cache", ignore_errors=True)
    env = environment({**PLAIN, "TF_ENABLE_ONEDNN_OPTS": None, **caches(work)})
    options = ["--approach", "lrcn", "--epochs", str(epochs), "--overwrite", "--out", str(work / "run")]
    command = [*KINEME, "train", str(work / "videos"), *options]
    started = time.perf_counter()
    subprocess.run(command, check=True, env=env, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - started
    metrics = json.loads((work / "run" / "metrics.json").read_text(encoding="utf-8"))
    asked = [*KINEME, "evaluate", str(work / "run"), str(work / "unseen"), "--split", "all", "--json"]
    done = subprocess.run(asked, check=True, env=env, stdout=subprocess.PIPE, text=True)
    found = json.loads(done.stdout)
    return {
        "command": " ".join(["kineme", "train", "videos", *options[:4]]),
        "seconds": round(seconds, 1),
        "train_seconds": metrics["train"]["training_seconds"],
        "epochs": metrics["train"]["epochs"],
        "own_test_top1": round(metrics["test"]["top1"], 4),
        "unseen_top1": round(found["top1"], 4),
        "unseen_top1_interval": found["top1_interval"],
        "unseen_clips": found["n"],
    }


def textbook_training(work: Path, onednn: str | None, epochs: int | None) -> dict[str, Any]:
    """The textbook's script on the same videos."""
    command = [*TEXTBOOK, str(work / "videos"), "--unseen", str(work / "unseen")]
    command += ["--epochs", str(epochs)] if epochs else []
    env = environment({**PLAIN, "TF_ENABLE_ONEDNN_OPTS": onednn})
    done = subprocess.run(command, check=True, env=env, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {"seconds": round(found["load_seconds"] + found["train_seconds"], 1), **found}


# Memory


def measure_memory(work: Path, clips: int) -> dict[str, Any]:
    """The most that each holds in memory with so many videos."""
    videos = repeated(work, clips)
    options = ["--approach", "lrcn", "--epochs", "1", "--allow-leaks", "--overwrite"]
    ours, seconds = peak_bytes(
        [*KINEME, "train", str(videos / "clips.csv"), *options, "--out", str(work / "run")],
        {**PLAIN, "TF_ENABLE_ONEDNN_OPTS": None, **caches(work)},
    )
    print(f"kineme train, one epoch: {ours / 1e6:,.0f} MB at most, {seconds:.0f} s")
    theirs, their_seconds = peak_bytes([*TEXTBOOK, str(videos), "--load-only"], PLAIN)
    print(f"textbook, reading and splitting: {theirs / 1e6:,.0f} MB at most, {their_seconds:.0f} s")
    return {
        "videos": clips,
        "kineme": {"peak_bytes": ours, "seconds": round(seconds, 1), "ran": "kineme train, one epoch"},
        "textbook": {"peak_bytes": theirs, "seconds": round(their_seconds, 1), "ran": "reading and splitting"},
        "marks": {"share_of_the_memory": mark(round(ours / theirs, 4), most=TENTH)},
    }


def repeated(work: Path, clips: int) -> Path:
    """A folder of so many videos by label, a few drawn ones under many names, and its table with their groups."""
    drawn, folder = work / "drawn", work / "many"
    make_dataset(drawn, clips=120, people=20, actions=ACTIONS, untrimmed=0)
    with (drawn / "clips.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    with (folder / "clips.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["path", "label", "group"], extrasaction="ignore")
        writer.writeheader()
        for number in range(clips):
            row = rows[number % len(rows)]
            link = folder / row["label"] / f"{number:06}{Path(row['path']).suffix}"
            link.parent.mkdir(exist_ok=True)
            try:
                os.link(drawn / row["path"], link)
            except OSError:
                shutil.copyfile(drawn / row["path"], link)
            writer.writerow({**row, "path": link.relative_to(folder).as_posix()})
    return folder


def peak_bytes(command: Sequence[str], env: Mapping[str, str | None]) -> tuple[int, float]:
    """Run a command; the most resident memory of it and its children, sampled 20 times a second, and its seconds."""
    started, peak = time.perf_counter(), 0
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment(env))
    try:
        watched = psutil.Process(child.pid)
        while child.poll() is None:
            try:
                held = [one.memory_info().rss for one in [watched, *watched.children(recursive=True)]]
            except psutil.NoSuchProcess:
                continue
            peak = max(peak, sum(held))
            time.sleep(0.05)
    finally:
        child.kill()
    if child.wait():
        sys.exit(f"failed: {' '.join(command)}")
    return peak, time.perf_counter() - started


# Processes


def caches(work: Path) -> dict[str, str]:
    """Caches of this run alone, so that nothing is there before."""
    return {"KINEME_FRAME_CACHE": str(work / "cache" / "strips"), "KINEME_CACHE": str(work / "cache")}


def environment(more: Mapping[str, str | None]) -> dict[str, str]:
    """This process's variables with some set, and those given as None removed."""
    return {name: value for name, value in {**os.environ, **more}.items() if value is not None}


if __name__ == "__main__":
    main()
