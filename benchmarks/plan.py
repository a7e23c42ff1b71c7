"""What would a million hours of video take: cores, days, money by stage, and what gives way first?

What a core and the driver of ``kineme batch`` do in a second is measured here, in about a minute. All else is an
assumption with a name, and each has an option of that name, so put in yours. Machines that are slow, machines that
are lost, videos that hang, and a driver that alone writes are then simulated, task by task, from a seed.

    python benchmarks/plan.py --out benchmarks/results/plan.json
    python benchmarks/plan.py --video YOURS.mp4 --price-core-hour 0.03 --video-s 60
"""

from __future__ import annotations

import argparse
import heapq
import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("KINEME_THREADS", "1")  # a core's rate

import numpy as np
from pairs import draw_video, record, spread, table

from kineme.files import write_json

CORES = (64, 256, 1024, 4096, 16384)
SEEDS = 5
RESULTS = Path(__file__).parent / "results"
KNOWN = 500  # windows that a model compares with: as many as training keeps at most
CHANGE_S = 10.0  # how long a drawn video shows the same, when the driver's work is measured


@dataclass(frozen=True)
class Assumed:
    """What was not measured, with example values.

    Args:
        hours: of video.
        jobs: into which the corpus is cut in a second simulation, side by side, each with a driver.
        video_s: mean length of a video, seconds; lengths spread log-normally, with a median of 0.6 of the mean.
        megabits: a second, of the videos as they are stored.
        price_core_hour: of a core, in your currency.
        price_1000_gets: of a thousand requests to the object store.
        gets_a_video: requests to fetch a video.
        fetch_s: a core waits for a video to come, seconds.
        node_cores: cores of a machine.
        node_gigabits: a second, of its network.
        store_gets_a_second: that the object store answers for one prefix.
        loss_a_day: chance that a machine is lost within a day.
        repair_s: until there is another in its place, seconds.
        slow_machines: share of the machines that run at half speed.
        hangs: share of the videos that hang until they are given up.
        hang_s: how long that takes, seconds; ``kineme batch`` waits so long.
        broken: share of the videos that cannot be read, which costs their fetching.
        batch_share: rate of ``kineme batch`` beside plain processes, where benchmarks/results/batch.json has none.
        gpu_frames: frames a second that a GPU takes through the network.
        price_gpu_hour: of that GPU.
    """

    hours: float = 1e6
    jobs: int = 16
    video_s: float = 600.0
    megabits: float = 1.5
    price_core_hour: float = 0.04
    price_1000_gets: float = 0.0004
    gets_a_video: float = 3.0
    fetch_s: float = 1.0
    node_cores: int = 64
    node_gigabits: float = 10.0
    store_gets_a_second: float = 5500.0
    loss_a_day: float = 0.05
    repair_s: float = 300.0
    slow_machines: float = 0.01
    hangs: float = 1e-5
    hang_s: float = 300.0
    broken: float = 0.01
    batch_share: float = 0.85
    gpu_frames: float = 5000.0
    price_gpu_hour: float = 2.5

    @property
    def videos(self) -> int:
        """How many there are."""
        return round(self.hours * 3600 / self.video_s)


def main() -> None:
    parser = argparse.ArgumentParser(description="What a million hours of video take, and what gives way first.")
    parser.add_argument("--video", type=Path, help="a video like yours, to measure on (default: drawn, 640 x 480)")
    parser.add_argument("--out", type=Path, help="JSON file to write the result to")
    for field in fields(Assumed):
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=type(field.default), default=field.default)
    arguments = parser.parse_args()
    assumed = Assumed(**{field.name: getattr(arguments, field.name) for field in fields(Assumed)})
    measured = measure(arguments.video, assumed.video_s)
    result = record("keras", "av", "polars", measured=measured, assumed=asdict(assumed), **planned(assumed, measured))
    show(result)
    if arguments.out:
        write_json(arguments.out, result)


# What is measured


def measure(video: Path | None, video_s: float) -> dict[str, Any]:
    """Processor seconds of a core and of the driver, and bytes."""
    from predict_speed import MODELS, decode, untrained

    from kineme.video.probe import probe

    with tempfile.TemporaryDirectory(prefix="kineme-plan-") as work:
        path = video or draw_video(Path(work, "video.mp4"), width=640, height=480, seconds=60, gop=50)
        info = probe(path)
        found: dict[str, Any] = {
            "video": f"{info.width} x {info.height}, {float(info.fps):.4g} fps, {info.codec}",
            "video_megabits": round(8 * path.stat().st_size / info.duration_s / 1e6, 2),
            "picture_bytes_a_second": round(info.width * info.height * 1.5 * float(info.fps)),
        }
        models = {name: knowing(untrained(*wanted)) for name, wanted in MODELS.items()}
        ways: dict[str, Callable[[], Any]] = {"decoding alone": lambda: decode(path)}
        for name, model in models.items():
            ways[name] = lambda model=model: model.predict(path, engine="auto")
        taken: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(6):
            for name, call in ways.items():
                started = time.process_time()
                call()
                if number:
                    taken[name].append((time.process_time() - started) / info.duration_s)
        found["core_seconds_a_second"] = {name: spread(values) for name, values in taken.items()}
        name, model = list(models.items())[-1]
        spec = model.card.spec
        found["model"] = name
        found["model_frames_a_second"] = spec.fps
        found["handed_on_bytes_a_second"] = round(spec.fps * spec.height * spec.width * 3)
        found["driver"] = driver(model, video_s, Path(work))
    process = json.loads((RESULTS / "predict-speed.json").read_text(encoding="utf-8"))["process"]
    found["start_s"] = process[name]["a_second_of_video"]
    if (RESULTS / "batch.json").is_file():
        batch = json.loads((RESULTS / "batch.json").read_text(encoding="utf-8"))
        found["batch_share"] = min(1.0, batch["parts"]["throughput"]["share"]["median"])  # at best it costs nothing
    return found


def knowing(model: Any) -> Any:
    """An untrained model that tells known from unknown, as trained ones do: its windows then begin at every frame."""
    from kineme.model import Model
    from kineme.models.open_set import OpenSetDetector

    rows = np.random.default_rng(0).normal(scale=3, size=(KNOWN, len(model.labels))).tolist()
    open_set = OpenSetDetector(tuple(map(tuple, rows)), scale=1.0, threshold=2.0)
    return Model(model.network, replace(model.card, open_set=open_set), model.name)


def driver(model: Any, video_s: float, work: Path) -> dict[str, float]:
    """What the driver does for each video: joins its windows to a row, and keeps the rows, a shard at a time."""
    import polars as pl

    from kineme.prediction.summary import summarize_windows
    from kineme.prediction.windows import file_stride
    from kineme.scale.batch import _SHARD_VIDEOS
    from kineme.scale.rows import row_of, schema
    from kineme.scale.store import ShardStore

    spec, rng = model.card.spec, np.random.default_rng(0)
    stride = file_stride(model) or spec.default_stride
    starts = np.arange(0, video_s * spec.fps - spec.frames, stride) / spec.fps
    times_W2 = np.stack([starts, starts + (spec.frames - 1) / spec.fps], axis=1)
    each = round(CHANGE_S * spec.fps / stride)  # windows that show the same
    rows, joining = [], []
    for number in range(_SHARD_VIDEOS):
        levels = rng.normal(size=(len(starts) // each + 1, len(model.labels)))
        logits_WK = (3 * np.repeat(levels, each, axis=0)[: len(starts)]).astype(np.float32)
        logits_WK += rng.normal(scale=0.3, size=logits_WK.shape).astype(np.float32)
        started = time.process_time()
        result = summarize_windows(model, f"videos/{number:07}.mp4", times_W2, logits_WK, duration_s=video_s, fps=25.0)
        rows.append(
            {**row_of(result), "path": result.source, "fingerprint": "0" * 64, "model": "m@0", "key": f"{number:032}"}
        )
        joining.append(time.process_time() - started)
    store, keeping = ShardStore(str(work / "shards")), []
    for _ in range(5):
        started = time.perf_counter()
        frame = pl.DataFrame(rows, schema=schema(model.labels))
        store.add_shard(frame)
        keeping.append((time.perf_counter() - started) / _SHARD_VIDEOS)
    written = max(file.stat().st_size for file in (work / "shards").rglob("*.parquet"))
    joined, kept = float(np.median(joining)), float(np.median(keeping))
    return {
        "windows_a_video": len(starts),
        "segments_a_video": round(sum(len(row["segments"]) for row in rows) / len(rows)),
        "join_ms_a_video": round(1000 * joined, 3),
        "write_ms_a_video": round(1000 * kept, 3),
        "seconds_a_video": round(joined + kept, 6),
        "memory_bytes_a_video": round(frame.estimated_size() / _SHARD_VIDEOS),
        "written_bytes_a_video": round(written / _SHARD_VIDEOS),
        "shard_videos": _SHARD_VIDEOS,
    }


# What follows from it


def planned(assumed: Assumed, measured: dict[str, Any]) -> dict[str, Any]:
    """Sizes, cost by stage, what gives way at how many cores, and the simulated runs."""
    seconds, videos = assumed.hours * 3600, assumed.videos
    rates = {name: one["median"] for name, one in measured["core_seconds_a_second"].items()}
    driver_s = measured["driver"]["seconds_a_video"]
    decoding = rates["decoding alone"]
    plain = rates[measured["model"]]
    whole = plain / measured.get("batch_share", assumed.batch_share)
    core_hours = {
        "decoding": decoding * seconds / 3600,
        "resizing and the network": (plain - decoding) * seconds / 3600,
        "handing on, by Ray": (whole - plain) * seconds / 3600,
        "waiting for videos to come": assumed.fetch_s * videos / 3600,
        "videos that hang": assumed.hangs * videos * assumed.hang_s / 3600,
        "the driver": driver_s * videos / 3600,
    }
    stages = [
        {"stage": name, "core_hours": round(value), "price": round(value * assumed.price_core_hour)}
        for name, value in core_hours.items()
    ]
    gets = assumed.gets_a_video * videos
    sizes = {
        "videos": videos,
        "stored_terabytes": round(assumed.megabits / 8 * 1e6 * seconds / 1e12),
        "decoded_petabytes": round(measured["picture_bytes_a_second"] * seconds / 1e15, 1),
        "handed_on_petabytes": round(measured["handed_on_bytes_a_second"] * seconds / 1e15, 1),
        "frames_through_the_network": round(measured["model_frames_a_second"] * seconds),
        "written_gigabytes": round(measured["driver"]["written_bytes_a_video"] * videos / 1e9, 1),
        "driver_memory_gigabytes": round(measured["driver"]["memory_bytes_a_video"] * videos / 1e9, 1),
        "gets": round(gets),
        "gets_price": round(gets / 1000 * assumed.price_1000_gets),
    }
    gpu_hours = sizes["frames_through_the_network"] / assumed.gpu_frames / 3600
    gpu_eats = assumed.gpu_frames / measured["model_frames_a_second"]  # seconds of video a second
    gpu = {
        "gpu_hours": round(gpu_hours),
        "price": round(gpu_hours * assumed.price_gpu_hour),
        "price_of_the_same_on_cores": stages[1]["price"],
        "cores_to_feed_one": round(gpu_eats * decoding),
    }
    simulated = [
        _spread_of(assumed, whole, driver_s, cores, jobs) for jobs in sorted({1, assumed.jobs}) for cores in CORES
    ]
    return {
        "sizes": sizes,
        "stages": stages,
        "gpu": gpu,
        "walls": walls(assumed, measured, whole),
        "simulated": simulated,
    }


def walls(assumed: Assumed, measured: dict[str, Any], core_s: float) -> list[dict[str, Any]]:
    """At how many cores each shared thing is used up, fewest first; within a machine, at how many of its cores."""
    seen = 1 / core_s  # seconds of video that a core gets through in a second
    videos = 1 / (core_s * assumed.video_s + assumed.fetch_s)  # videos a second of a core
    handed_on = seen * measured["handed_on_bytes_a_second"]
    stored = seen * assumed.megabits / 8 * 1e6
    link = assumed.node_gigabits / 8 * 1e9
    found = [
        ("the driver, joining and writing", 1 / (videos * measured["driver"]["seconds_a_video"]), "all"),
        ("requests to one prefix of the store", assumed.store_gets_a_second / (videos * assumed.gets_a_video), "all"),
        ("a machine's network, frames go to another machine", link / handed_on, "one machine"),
        ("a machine's network, videos come in", link / stored, "one machine"),
    ]
    rows = [{"what": what, "cores": round(cores), "of": of} for what, cores, of in found]
    return sorted(rows, key=lambda row: row["cores"])


# What is simulated

GROUP = 32  # videos of a task, as kineme batch groups them


def _spread_of(assumed: Assumed, core_s: float, driver_s: float, cores: int, jobs: int) -> dict[str, Any]:
    runs = [simulate(assumed, core_s, driver_s, cores, jobs, seed) for seed in range(SEEDS)]
    return {"jobs": jobs, "cores": cores, **{name: spread([one[name] for one in runs], 3) for name in runs[0]}}


def simulate(assumed: Assumed, core_s: float, driver_s: float, cores: int, jobs: int, seed: int) -> dict[str, float]:
    """One run, task by task: the next free core takes the next task, the driver takes in results one after another.

    A machine is lost at a random moment with the tasks that its cores were at, which begin anew elsewhere; another
    takes its place after a while.

    Args:
        assumed: see there.
        core_s: processor seconds for a second of video.
        driver_s: of the driver, for a video.
        cores: how many.
        jobs: drivers, among which the tasks are divided.
        seed: of lengths, speeds and losses.

    Returns:
        ``days`` until all is written; ``efficiency``, the work over all core time; ``driver_busy``, for what
        share of the time the driver is; ``lost``, the share of all core time that was done twice; ``tail_hours``,
        from the first core without work to the end.
    """
    rng = np.random.default_rng([seed, cores])
    tasks = -(-assumed.videos // GROUP)
    work = np.zeros(tasks)
    for _ in range(GROUP):
        lengths = rng.lognormal(np.log(0.6), np.sqrt(-2 * np.log(0.6)), tasks)  # mean 1, median 0.6
        usable = rng.random(tasks) >= assumed.broken
        work += assumed.fetch_s + usable * core_s * assumed.video_s * lengths
    work += assumed.hang_s * rng.binomial(GROUP, assumed.hangs, tasks)
    nodes = -(-cores // assumed.node_cores)
    slowness = np.exp(rng.normal(0, 0.05, nodes)) * np.where(rng.random(nodes) < assumed.slow_machines, 2.0, 1.0)
    lives = np.zeros(nodes, np.int64)  # how often a machine was replaced
    begun: dict[int, tuple[float, int]] = {}  # core: when, which task
    again: list[int] = []
    resting: list[tuple[int, int]] = []
    driver_free = [0.0] * jobs
    lost = first_idle = 0.0
    next_task = finished = 0
    events = [(0.0, 0, core, 0) for core in range(cores)]  # when, what (0 core is free, 1 machine is lost), which, life
    mean_life = 86400 / assumed.loss_a_day if assumed.loss_a_day else float("inf")
    events += [(float(rng.exponential(mean_life)), 1, node, 0) for node in range(nodes)]
    heapq.heapify(events)
    now = 0.0
    while finished < tasks:
        now, is_loss, which, life = heapq.heappop(events)
        if is_loss:
            lives[which] += 1
            for core in range(which * assumed.node_cores, min(cores, (which + 1) * assumed.node_cores)):
                if core in begun:
                    started, task = begun.pop(core)
                    lost += now - started
                    again.append(task)
                heapq.heappush(events, (now + assumed.repair_s, 0, core, int(lives[which])))
            heapq.heappush(events, (now + float(rng.exponential(mean_life)), 1, which, 0))
            while resting:  # there is something to do again
                core, core_life = resting.pop()
                heapq.heappush(events, (now, 0, core, core_life))
            continue
        node = which // assumed.node_cores
        if life != lives[node]:
            continue
        if which in begun:
            job = begun.pop(which)[1] % jobs
            finished += 1
            driver_free[job] = max(driver_free[job], now) + GROUP * driver_s
        if again or next_task < tasks:
            task = again.pop() if again else next_task
            next_task += task == next_task
            begun[which] = now, task
            heapq.heappush(events, (now + float(work[task] * slowness[node]), 0, which, life))
        else:
            first_idle = first_idle or now
            resting.append((which, life))
    ends = max(now, *driver_free)
    whole = cores * ends
    return {
        "days": ends / 86400,
        "efficiency": float(work.sum()) / whole,
        "driver_busy": tasks * GROUP * driver_s / jobs / ends,
        "lost": lost / whole,
        "tail_hours": (ends - (first_idle or ends)) / 3600,
    }


# What is printed


def show(result: dict[str, Any]) -> None:
    measured, assumed = result["measured"], result["assumed"]
    print(f"Measured: {measured['video']}, {measured['video_megabits']} Mbit/s, {measured['model']}, on one core")
    rows = [[name, f"{1 / one['median']:.1f}"] for name, one in measured["core_seconds_a_second"].items()]
    table(["of a core", "times real time"], rows)
    table(["the driver", "value"], list(measured["driver"].items()))
    print(f"\nAssumed: {', '.join(f'{name} {value:g}' for name, value in assumed.items())}\n")
    table(["size", "value"], [[name.replace("_", " "), f"{value:,}"] for name, value in result["sizes"].items()])
    print()
    table(["stage", "core hours", "price"], [[*map(_figure, one.values())] for one in result["stages"]])
    print()
    table(
        ["the network on GPUs", "value"], [[name.replace("_", " "), f"{one:,}"] for name, one in result["gpu"].items()]
    )
    print()
    table(["gives way", "at cores", "of"], [[*map(_figure, one.values())] for one in result["walls"]])
    print()
    head = ["jobs", "cores", "days", "efficiency", "driver busy", "done twice", "tail, hours"]
    names = ("days", "efficiency", "driver_busy", "lost", "tail_hours")
    for one in result["simulated"]:
        one["row"] = [one["jobs"], _figure(one["cores"]), *(f"{one[name]['median']:.3g}" for name in names)]
    table(head, [one.pop("row") for one in result["simulated"]])


def _figure(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


if __name__ == "__main__":
    main()
