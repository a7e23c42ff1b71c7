"""What the scripts here share: timing in turn, medians with spread, the limits of the machine, the record of a run.

Seconds of one machine mean little on another, and little an hour later on the same one. So whatever is compared is
timed in turn, round after round, in one run, and a ratio is the median of the rounds' own ratios. Where two sides need
other settings from the start of the process (a backend, oneDNN, another Python), each is a :class:`Side`: a process
that waits until it is its turn.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import numpy as np

# Timing


def seconds_of(call: Callable[[], Any]) -> float:
    """Wall time of one call."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def in_turn(ways: Mapping[str, Callable[[], float | None]], rounds: int, warm: int = 1) -> dict[str, list[float]]:
    """Run every way once a round; what each round took.

    Args:
        ways: by name. One that returns a number has measured itself; the wall time of the others is taken.
        rounds: how often each is run.
        warm: rounds before, which are not counted.
    """
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(warm + rounds):
        for name, call in ways.items():
            started = time.perf_counter()
            own = call()
            value = time.perf_counter() - started if own is None else float(own)
            if number >= warm:
                taken[name].append(value)
    return taken


def spread(values: Sequence[float], digits: int = 4) -> dict[str, Any]:
    """Median, least and most of some measurements, and how many there are, to so many significant digits."""
    kept = [float(f"{value:.{digits}g}") for value in (float(np.median(values)), min(values), max(values))]
    return {"median": kept[0], "least": kept[1], "most": kept[2], "rounds": len(values)}


def ratio(values: Sequence[float], of: Sequence[float]) -> dict[str, Any]:
    """How many times ``of`` the values are: the spread of the ratios, round by round."""
    return spread([one / other for one, other in zip(values, of, strict=True)], 3)


def mark(value: float, least: float | None = None, most: float | None = None) -> dict[str, Any]:
    """A figure beside what it must reach, or stay under."""
    met = (least is None or value >= least) and (most is None or value <= most)
    bounds = {name: bound for name, bound in (("least", least), ("most", most)) if bound is not None}
    return {"value": value, **bounds, "met": met}


# Sides that need a process of their own


class Side:
    """A process that measures when told to; use it in a ``with`` statement.

    The script it runs calls :func:`take_turns`. What it prints goes to standard error.

    Args:
        command: arguments of the interpreter.
        python: the interpreter; this one by default.
        env: variables to set, or with None to remove.
    """

    def __init__(
        self, command: Sequence[str], *, python: str = sys.executable, env: Mapping[str, str | None] | None = None
    ) -> None:
        wanted: dict[str, str | None] = {**os.environ, **(env or {})}
        self._process = subprocess.Popen(
            [python, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={name: value for name, value in wanted.items() if value is not None},
        )
        self.facts: dict[str, Any] = {}

    def __enter__(self) -> Self:
        self.facts = self._read()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def turn(self) -> float:
        """Let it measure once; what it answers."""
        assert self._process.stdin
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        return self._read()  # type: ignore[no-any-return]

    def _read(self) -> Any:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            sys.exit(f"a side of the pair failed: {' '.join(map(str, self._process.args))}")  # type: ignore[arg-type]
        return json.loads(line)


class Turns:
    """In the process of a :class:`Side`: waits for a turn, answers it. Made by :func:`take_turns`."""

    def __init__(self, **facts: Any) -> None:
        self._out = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)  # what libraries print is not an answer
        self._say(facts)

    def wait(self) -> bool:
        """Wait for a turn; False when there are no more."""
        return bool(sys.stdin.readline())

    def answer(self, value: float) -> None:
        """Tell what this turn measured."""
        self._say(value)

    def _say(self, value: Any) -> None:
        self._out.write(json.dumps(value) + "\n")
        self._out.flush()


def take_turns(measure: Callable[[], float], **facts: Any) -> None:
    """Measure whenever told to; ``facts`` are what the other process finds in :attr:`Side.facts`."""
    turns = Turns(**facts)
    while turns.wait():
        turns.answer(measure())


# The machine


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine() -> dict[str, Any]:
    """What it runs on, and how busy that was just now."""
    name, cpuinfo = platform.processor() or platform.machine(), Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.partition(":")[2].strip()
            for line in cpuinfo.read_text(encoding="utf-8").splitlines()
            if "model name" in line
        ]
        name = names[0] if names else name
    load = round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None
    system = f"{platform.system()} {platform.machine()}"
    return {"cpu": name, "cores": cores(), "system": system, "load_1_min_at_start": load}


def record(*packages: str, **more: Any) -> dict[str, Any]:
    """The head of a result: date, versions of Kineme and of what is named, machine."""
    versions = {"python": platform.python_version()}
    installed = {distribution.name for distribution in importlib.metadata.distributions()}
    for name in ("kineme", *packages):  # of TensorFlow, a machine may have the package for processors alone
        versions[name] = importlib.metadata.version(name if name in installed else f"{name}-cpu")
    return {"date": datetime.date.today().isoformat(), "versions": versions, "machine": machine(), **more}


def matrix_gflops(size: int = 2048, rounds: int = 7) -> float:
    """The most float32 GFLOP/s that a matrix product of NumPy's BLAS reaches on all cores."""
    rng = np.random.default_rng(0)
    left, right = (rng.normal(size=(size, size)).astype(np.float32) for _ in range(2))
    best = min(seconds_of(lambda: left @ right) for _ in range(rounds + 1))
    return 2 * size**3 / best / 1e9


def decode_fps(video: str | Path, rounds: int = 3, threads: int = 1) -> float:
    """The most frames a second that FFmpeg decodes of a video when nothing is done with them."""
    import av

    def decode() -> int:
        with av.open(str(video), metadata_errors="ignore") as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = threads
            return sum(1 for _ in container.decode(stream))

    frames = decode()
    return frames / min(seconds_of(decode) for _ in range(rounds))


def limits() -> dict[str, float]:
    """Rates that nothing here can exceed: matrix products, and decoding on one thread, of two common kinds of video."""
    folder = Path(tempfile.mkdtemp(prefix="kineme-limits-"))
    try:
        old = draw_video(folder / "old.avi", width=320, height=240, seconds=8, codec="mpeg4")
        new = draw_video(folder / "new.mp4", width=1280, height=720, seconds=4, codec="libx264")
        return {
            "matrix_float32_gflops": round(matrix_gflops(), 1),
            "decode_320x240_mpeg4_fps": round(decode_fps(old)),
            "decode_1280x720_h264_fps": round(decode_fps(new)),
        }
    finally:
        shutil.rmtree(folder)


def draw_video(
    path: Path, *, width: int, height: int, seconds: float, fps: int = 25, codec: str = "libx264", gop: int = 12
) -> Path:
    """Write a video in which textured shapes move over a textured ground; the same one every time."""
    import av
    import cv2

    rng = np.random.default_rng(0)

    def texture(rows: int, columns: int) -> np.ndarray:
        coarse = rng.integers(0, 256, (rows // 8 + 1, columns // 8 + 1, 3), np.uint8)
        smooth = cv2.resize(coarse, (columns, rows), interpolation=cv2.INTER_CUBIC).astype(np.float32)
        return np.clip(smooth + rng.normal(0, 6, smooth.shape), 0, 255).astype(np.uint8)

    ground = texture(height, width)
    shapes = [(texture(height // 4, width // 6), rng.uniform(0.3, 1.5, 2), rng.uniform(0, 6, 2)) for _ in range(4)]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(fps))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.gop_size = gop
        if codec == "mpeg4":
            stream.bit_rate = width * height * 12
        for number in range(round(seconds * fps)):
            picture = ground.copy()
            for shape, speed, phase in shapes:
                rows, columns = shape.shape[:2]
                y, x = (0.5 + 0.5 * np.sin(speed * number / fps + phase)) * (height - rows, width - columns)
                picture[int(y) : int(y) + rows, int(x) : int(x) + columns] = shape
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


# What is printed


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows in columns that line up: words to the left, figures to the right."""
    cells = [[str(cell) for cell in row] for row in [head, *rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    for row in cells:
        print(
            "  ".join(
                cell.ljust(width) if not column else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
        )


def shown(figure: Mapping[str, Any], digits: int = 3) -> str:
    """A figure of :func:`spread` for people: its median, and from where to where it went."""
    return f"{figure['median']:.{digits}g} ({figure['least']:.{digits}g} to {figure['most']:.{digits}g})"
