"""Damaged videos by the thousand, and a process that reads each as Kineme does, with a watch on time and memory.

A case is a number: it stands for the file it began as and for what was done to it, so it can be made again.
"""

from __future__ import annotations

import json
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from helpers_video import numbered_video

HANG_S = 10.0
_EXTREMES = [bytes.fromhex(text) for text in ("00000000", "00000001", "7fffffff", "80000000", "ffffffff", "000186a0")]


def make_seeds(folder: Path) -> list[Path]:
    """Small whole videos of the usual containers and codecs."""
    folder.mkdir(parents=True, exist_ok=True)
    size = {"height": 64, "width": 96}
    kinds = {
        "moov-last.mp4": {"options": {"g": "8", "bf": "2"}, "sound": "aac"},
        "moov-first.mp4": {"options": {"g": "8", "bf": "0"}, "movflags": "+faststart"},
        "fragments.mp4": {"options": {"g": "8"}, "movflags": "+frag_keyframe+empty_moov"},
        "xvid.avi": {"codec": "mpeg4", "options": {"g": "8", "bf": "2"}, "sound": "libmp3lame"},
        "mjpeg.avi": {"codec": "mjpeg", "pixel_format": "yuvj420p"},
        "h264.mkv": {"options": {"g": "8", "bf": "2"}},
        "ffv1.mkv": {"codec": "ffv1", "pixel_format": "yuv420p"},
        "vp9.webm": {"codec": "libvpx-vp9", "options": {"g": "8", "deadline": "realtime", "cpu-used": "8"}},
        "vp8.webm": {"codec": "libvpx", "options": {"g": "8", "deadline": "realtime", "cpu-used": "8"}},
    }
    return [numbered_video(folder / name, 30, fps=5, **size, **how) for name, how in kinds.items()]  # type: ignore[arg-type]


def mutate(seeds: Sequence[Path], case: int, folder: Path) -> Path:
    """Write the damaged video of a case into ``folder``."""
    rng = np.random.default_rng(case)
    seed = seeds[case % len(seeds)]
    data = bytearray(seed.read_bytes())
    done = []
    for _ in range(int(rng.integers(1, 4))):
        how = _WAYS[int(rng.integers(len(_WAYS)))]
        how(data, rng, seeds)
        done.append(how.__name__.strip("_"))
    path = folder / f"{case:06}-{'-'.join(done)}{seed.suffix}"
    path.write_bytes(data)
    return path


def _header(data: bytearray, rng: np.random.Generator) -> int:
    """A place where the structure of the file is told: at its start, or near one of its marks."""
    marks = [
        match.start() for match in re.finditer(rb"moov|trak|stsd|stts|stsz|avcC|moof|strh|strf|avih|idx1|\xae", data)
    ]
    near = marks[int(rng.integers(len(marks)))] if marks and rng.random() < 0.7 else 0
    return min(len(data) - 1, near + int(rng.integers(0, 200)))


def _flip_in_header(data: bytearray, rng: np.random.Generator, seeds: Sequence[Path]) -> None:
    for _ in range(int(rng.integers(1, 9))):
        data[_header(data, rng)] ^= 1 << int(rng.integers(8))


def _noise_in_header(data: bytearray, rng: np.random.Generator, seeds: Sequence[Path]) -> None:
    at = _header(data, rng)
    data[at : at + 16] = rng.bytes(min(16, len(data) - at))


def _extreme_number(data: bytearray, rng: np.random.Generator, seeds: Sequence[Path]) -> None:
    for _ in range(int(rng.integers(1, 4))):
        at, value = _header(data, rng), _EXTREMES[int(rng.integers(len(_EXTREMES)))]
        data[at : at + 4] = value[:: 1 if rng.random() < 0.5 else -1][: len(data) - at]


def _huge_size(data: bytearray, rng: np.random.Generator, seeds: Sequence[Path]) -> None:
    """The frame's width and height (64 and 96 here), wherever they are told, grow."""
    bits = int(rng.choice([2, 4]))
    order = "big" if rng.random() < 0.5 else "little"
    for side in (64, 96):
        new = int(rng.choice([65535, 16384, 100_000, 2**31 - 1])) & (2 ** (8 * bits) - 1)
        places = [match.start() for match in re.finditer(re.escape(side.to_bytes(bits, order)), bytes(data))]
        for at in places[:20]:
            data[at : at + bits] = new.to_bytes(bits, order)


def _flip_in_body(data: bytearray, rng: np.random.Generator, seeds: Sequence[Path]) -> None:
    for at in rng.integers(0, len(data), int(rng.integers(1, 60))):
        data[int(at)] ^= 1 << int(rng.integers(8))


def _noise_in_body(data: bytearray, rng: np.random.Generator, seeds: Sequence[Path]) -> None:
    at = int(rng.integers(0, len(data)))
    data[at : at + 500] = rng.bytes(min(500, len(data) - at))


def _cut(data: bytearray, rng: np.random.Generator, seeds: Sequence[Path]) -> None:
    del data[max(1, int(rng.integers(0, len(data)))) :]


def _leave_out(data: bytearray, rng: np.random.Generator, seeds: Sequence[Path]) -> None:
    at = int(rng.integers(0, len(data)))
    if len(data) > 400:
        del data[at : at + int(rng.integers(1, 300))]


def _say_twice(data: bytearray, rng: np.random.Generator, seeds: Sequence[Path]) -> None:
    at = int(rng.integers(0, len(data)))
    data[at:at] = data[at : at + int(rng.integers(1, 3000))]


def _mix(data: bytearray, rng: np.random.Generator, seeds: Sequence[Path]) -> None:
    other = seeds[int(rng.integers(len(seeds)))].read_bytes()
    at = int(rng.integers(0, len(data)))
    begin = int(rng.integers(0, len(other)))
    data[at : at + 1000] = other[begin : begin + 1000]


Way = Callable[[bytearray, np.random.Generator, Sequence[Path]], None]
_WAYS: list[Way] = [
    *(_flip_in_header, _noise_in_header, _extreme_number, _huge_size),
    *(_flip_in_body, _noise_in_body, _cut, _leave_out, _say_twice, _mix),
]


@dataclass(frozen=True)
class Outcome:
    """What became of a file.

    Args:
        kind: ``frames``, ``frames, damage told``, ``error: REASON``, or what must not be: ``crash``, ``hang``,
            ``other error``.
        seconds: how long it took.
        peak_bytes: most memory the reading process had held by then.
        detail: the error, the signal, or the number of frames.
    """

    kind: str
    seconds: float
    peak_bytes: int
    detail: str

    @property
    def is_failure(self) -> bool:
        return self.kind in ("crash", "hang", "other error")


def read_all(
    paths: Sequence[Path], hang_s: float = HANG_S, command: Sequence[str] = (sys.executable, __file__)
) -> Iterator[Outcome]:
    """Read each file in a process that ``command`` starts; a crash or a hang costs it, and another takes over."""
    worker: subprocess.Popen[str] | None = None
    peak = 0
    try:
        for path in paths:
            if worker is None:
                worker = _start(command)
            assert worker.stdin is not None
            assert worker.stdout is not None
            started = time.monotonic()
            worker.stdin.write(f"{path}\n")
            worker.stdin.flush()
            ready, *_ = select.select([worker.stdout], [], [], hang_s)
            seconds = time.monotonic() - started
            line = worker.stdout.readline() if ready else ""
            if line:
                kind, peak, detail = json.loads(line)
                yield Outcome(kind, seconds, peak, detail)
                continue
            if not ready:
                worker.kill()
            worker.communicate()
            yield Outcome("crash" if ready else "hang", seconds, peak, f"exit code {worker.returncode}")
            worker = None
    finally:
        if worker is not None:
            worker.kill()
            worker.communicate()


def _start(command: Sequence[str]) -> subprocess.Popen[str]:
    worker = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert worker.stdout is not None
    worker.stdout.readline()  # its imports are done
    return worker


def _work() -> None:
    """Read the files named on standard input, and tell of each on standard output."""
    from kineme.errors import KinemeError
    from kineme.video.clips import read_sampled_video
    from kineme.video.decode import read_frames
    from kineme.video.probe import probe
    from kineme.video.spec import ClipSpec

    print("ready", flush=True)
    for line in sys.stdin:
        path = line.rstrip("\n")
        try:
            probe(path)
            warnings = list(read_sampled_video(path, ClipSpec()).warnings)
            count = sum(1 for _ in read_frames(path, on_warning=warnings.append))
            sum(1 for _ in read_frames(path, start_s=4.5, size=(48, 48), fit="crop"))
            kind, detail = ("frames, damage told" if warnings else "frames"), f"{count} frames"
        except KinemeError as error:
            detail = str(error)
            reason = detail.removeprefix(f"{path}: ").split(", or they are")[0].split("; ")[0]
            kind = "error: " + re.sub(r"\b\d+(\.\d+)?\b", "N", reason)
        except BaseException as error:
            kind, detail = "other error", f"{type(error).__name__}: {error}"
        print(json.dumps([kind, peak_bytes(), detail]), flush=True)


def peak_bytes() -> int:
    """Most memory this process has held. ``ru_maxrss`` of Linux counts what its parent held when it was started."""
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    _work()
