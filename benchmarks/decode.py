"""Twenty frames of a video as an array: ours, the textbook's seeks, OpenCV and PyAV in order, decord.

The textbook sets ``CAP_PROP_POS_FRAMES`` before each of 20 frames spread over the video, which makes OpenCV begin at a
key frame each time. Here the same 20 frames are read in other ways from the same files, in turn: an 8 s AVI of
320 x 240 (the format of UCF50, a key frame every 12), an MP4 with a key frame every 250 frames and B-frames, 720p,
and 20 frames of five minutes. Every frame shows its number, so that it is also known who gives the right ones.

    python benchmarks/decode.py --out benchmarks/results/decode.json

decord is timed where it is installed (``pip install decord``; its last release is of 2021); --videos are timed too.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from pairs import in_turn, mark, ratio, record, shown, spread, table

from kineme.files import write_json
from kineme.video.clips import read_sampled_video, ticks
from kineme.video.spec import ClipSpec
from kineme.video.write import VideoWriter

FRAMES, FPS = 20, 25
BITS = 14
REPEATS = 20
# name: suffix, codec, encoder's options, width, height, seconds
VIDEOS: dict[str, tuple[str, str, dict[str, str], int, int, int]] = {
    "AVI, 320 x 240, 8 s": (".avi", "mpeg4", {"g": "12"}, 320, 240, 8),
    "MP4, 320 x 240, 8 s, a key frame in 250": (".mp4", "libx264", {"g": "250", "bf": "3"}, 320, 240, 8),
    "MP4, 1280 x 720, 8 s": (".mp4", "libx264", {"g": "50", "bf": "2"}, 1280, 720, 8),
    "MP4, 320 x 240, 5 min": (".mp4", "libx264", {"g": "250", "bf": "3"}, 320, 240, 300),
}
MARKED = "AVI, 320 x 240, 8 s"
SEEKS, OURS = "textbook: OpenCV, a seek a frame", "kineme"
LEAST_OF_SEEKS, LEAST_OF_BEST = 2.0, 1.0

Way = Callable[[Path, int], np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description="Twenty frames of a video, in the ways that people read them.")
    parser.add_argument("--rounds", type=int, default=15, help="rounds of timing (default 15)")
    parser.add_argument("--videos", type=Path, nargs="*", default=[], help="further videos to time")
    parser.add_argument("--out", type=Path, help="JSON file to write the result to")
    arguments = parser.parse_args()
    decord = ["decord"] if importlib.util.find_spec("decord") else []
    result = record("av", "opencv-python-headless", *decord, decord=bool(decord), videos={})
    fewer = max(3, arguments.rounds // 3)
    with tempfile.TemporaryDirectory(prefix="kineme-decode-") as folder:
        videos = {
            name: draw(Path(folder) / f"{number}{how[0]}", *how[1:])
            for number, (name, how) in enumerate(VIDEOS.items())
        }
        for name, path in [*videos.items(), *((path.name, path) for path in arguments.videos)]:
            large, long = "720" in name, name in VIDEOS and VIDEOS[name][-1] > 60
            rounds = 3 if long else fewer if large else arguments.rounds
            for size in (64,) if long else (64, 224):
                found = measure(path, size, rounds, numbered=name in VIDEOS)
                result["videos"][f"{name}, to {size} px"] = found
                show(f"{name}, to {size} px", found)
        short = {name: path for name, path in videos.items() if VIDEOS[name][-1] < 60}
        result["sampled_at_8_fps"] = {name: dense(path, name, fewer) for name, path in short.items()}
        result["threads"] = {name: threads(path, name, fewer) for name, path in short.items()}
        result["conversion_ms"] = conversion(arguments.rounds)
    marks = {}
    for size in (64, 224):
        found = result["videos"][f"{MARKED}, to {size} px"]
        marks[f"times_the_seeks_{size}px"] = mark(found["times_as_fast_as"][SEEKS]["median"], least=LEAST_OF_SEEKS)
        others = {name: one["median"] for name, one in found["times_as_fast_as"].items() if name != SEEKS}
        marks[f"times_the_best_other_{size}px"] = mark(min(others.values()), least=LEAST_OF_BEST)
    result |= {"marks": marks, "met": all(one["met"] for one in marks.values())}
    for name, one in marks.items():
        print(f"{name} {one['value']}, mark {one['least']}: {'met' if one['met'] else 'NOT met'}")
    if arguments.out:
        write_json(arguments.out, result)
    sys.exit(0 if result["met"] else 1)


def measure(video: Path, size: int, rounds: int, numbered: bool) -> dict[str, Any]:
    """Milliseconds of every way, how often ours is as fast, and how many of its 20 frames are the right ones."""
    right = {name: count_right(way(video, size), video) for name, way in WAYS.items()} if numbered else {}
    taken, processor = both_times({name: (lambda way=way: way(video, size)) for name, way in WAYS.items()}, rounds)
    return {
        "ms": {name: spread([1e3 * one for one in values], 3) for name, values in taken.items()},
        "processor_ms": {name: spread([1e3 * one for one in values], 3) for name, values in processor.items()},
        "times_as_fast_as": {name: ratio(values, taken[OURS]) for name, values in taken.items() if name != OURS},
        **({"right_frames": right} if numbered else {}),
    }


def dense(video: Path, name: str, rounds: int) -> dict[str, Any]:
    """Frames a second of video when eight frames of each second are wanted, as in prediction; beside decoding alone."""
    spec = ClipSpec(frames=FRAMES, fps=8.0, height=224, width=224)
    with av.open(str(video)) as container:
        frames = container.streams.video[0].frames
    ways = {OURS: lambda: list(ticks(video, spec)), "decoding alone, one thread": lambda: decode_all(video, 1)}
    taken, _ = both_times(ways, rounds)
    found = {
        **{f"{way}, fps": spread([frames / one for one in values], 3) for way, values in taken.items()},
        "times_decoding_alone": ratio(taken["decoding alone, one thread"], taken[OURS]),
    }
    print(f"{name}, 8 frames of each second to 224 px: {shown(found['times_decoding_alone'])} times decoding alone")
    return found


def threads(video: Path, name: str, rounds: int) -> dict[str, Any]:
    """Decoding one file, and eight files two at a time, with the threads that decoders can take."""
    kinds = {"one thread": (1, "NONE"), "slices": (0, "SLICE"), "frames at once": (0, "AUTO")}
    ways: dict[str, Callable[[], Any]] = {
        **{f"one file, {kind}": (lambda how=how: decode_all(video, *how)) for kind, how in kinds.items()},
        **{f"eight files, {kind}": (lambda how=how: decode_eight(video, *how)) for kind, how in kinds.items()},
    }
    taken, processor = both_times(ways, rounds)
    found = {
        way: {
            "ms": spread([1e3 * one for one in values], 3),
            "processor_ms": spread([1e3 * one for one in processor[way]], 3),
        }
        for way, values in taken.items()
    }
    print(f"{name}, decoding alone, by the threads of the decoder")
    table(
        ["", "ms", "ms of processor"],
        [[way, shown(one["ms"]), shown(one["processor_ms"])] for way, one in found.items()],
    )
    return found


def conversion(rounds: int) -> dict[str, Any]:
    """Milliseconds from a decoded frame to pixels of the model's size: swscale's way, which is ours, and OpenCV's."""
    found = {}
    for (width, height), size in (((320, 240), 64), ((320, 240), 224), ((1280, 720), 224), ((1920, 1080), 224)):
        ways = {name: repeated(way) for name, way in conversions(width, height, size).items()}
        taken, _ = both_times(ways, rounds)
        name = f"{width} x {height} to {size} px"
        found[name] = {way: spread([1e3 * one / REPEATS for one in values], 3) for way, values in taken.items()}
        print(f"{name}: " + "; ".join(f"{way} {one['median']:.3g} ms" for way, one in found[name].items()))
    return found


def conversions(width: int, height: int, size: int) -> dict[str, Callable[[], Any]]:
    coarse = np.random.default_rng(0).integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    picture = av.VideoFrame.from_ndarray(cv2.resize(coarse, (width, height)), format="rgb24")
    frame = picture.reformat(format="yuv420p")
    small, large = VideoReformatter(), VideoReformatter()

    def scaled(how: Interpolation) -> np.ndarray:
        return small.reformat(frame, size, size, "rgb24", interpolation=how, threads=1).to_ndarray()

    def rgb() -> np.ndarray:
        return large.reformat(frame, format="rgb24", threads=1).to_ndarray()

    return {
        "swscale, area (ours)": lambda: scaled(Interpolation.AREA),
        "swscale, fast bilinear": lambda: scaled(Interpolation.FAST_BILINEAR),
        "to RGB, then cv2, area": lambda: cv2.resize(rgb(), (size, size), interpolation=cv2.INTER_AREA),
        "to RGB, then cv2, linear": lambda: cv2.resize(rgb(), (size, size)),
    }


def repeated(call: Callable[[], Any]) -> Callable[[], Any]:
    return lambda: [call() for _ in range(REPEATS)]


def both_times(
    ways: dict[str, Callable[[], Any]], rounds: int
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Wall times of ways timed in turn, and those of the processor."""
    processor: dict[str, list[float]] = {name: [] for name in ways}

    def timed(name: str, call: Callable[[], Any]) -> float:
        wall, busy = time.perf_counter(), time.process_time()
        call()
        processor[name].append(time.process_time() - busy)
        return time.perf_counter() - wall

    taken = in_turn({name: (lambda name=name, call=call: timed(name, call)) for name, call in ways.items()}, rounds)
    return taken, {name: values[-rounds:] for name, values in processor.items()}


# The ways


def kineme(video: Path, size: int) -> np.ndarray:
    return read_sampled_video(video, ClipSpec(frames=FRAMES, fps=None, height=size, width=size)).frames_NHWC


def opencv_seeks(video: Path, size: int) -> np.ndarray:
    """As the textbook does, which leaves the colours in OpenCV's order."""
    reader = cv2.VideoCapture(str(video))
    step = max(int(reader.get(cv2.CAP_PROP_FRAME_COUNT) / FRAMES), 1)
    frames = []
    for number in range(FRAMES):
        reader.set(cv2.CAP_PROP_POS_FRAMES, number * step)
        there, frame = reader.read()
        if not there:
            break
        frames.append(cv2.resize(frame, (size, size)))
    reader.release()
    return np.asarray(frames)


def opencv_in_order(video: Path, size: int) -> np.ndarray:
    reader = cv2.VideoCapture(str(video))
    wanted = set(indices(int(reader.get(cv2.CAP_PROP_FRAME_COUNT))))
    frames = []
    for number in range(max(wanted) + 1):
        if not reader.grab():
            break
        if number in wanted:
            frames.append(cv2.resize(reader.retrieve()[1], (size, size)))
    reader.release()
    return np.asarray(frames)


def pyav_then_opencv(video: Path, size: int) -> np.ndarray:
    return bare_pyav(video, lambda frame: cv2.resize(frame.to_ndarray(format="rgb24"), (size, size)))


def pyav_reformat(video: Path, size: int) -> np.ndarray:
    return bare_pyav(video, lambda frame: frame.reformat(width=size, height=size, format="rgb24").to_ndarray())


def bare_pyav(video: Path, convert: Callable[[av.VideoFrame], np.ndarray]) -> np.ndarray:
    frames = []
    with av.open(str(video)) as container:
        wanted = set(indices(container.streams.video[0].frames))
        for number, frame in enumerate(container.decode(video=0)):
            if number in wanted:
                frames.append(convert(frame))
            if number == max(wanted):
                break
    return np.asarray(frames)


def decord_batch(video: Path, size: int) -> np.ndarray:
    import decord

    reader = decord.VideoReader(str(video), width=size, height=size)
    return reader.get_batch(indices(len(reader))).asnumpy()


def indices(count: int) -> list[int]:
    return [number * count // FRAMES for number in range(FRAMES)]


def decode_all(video: Path, count: int = 1, kind: str = "NONE") -> None:
    """Decode and look at nothing."""
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        stream.thread_type, stream.codec_context.thread_count = kind, count
        for _ in container.decode(stream):
            pass


def decode_eight(video: Path, count: int, kind: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: decode_all(video, count, kind), range(8)))


WAYS: dict[str, Way] = {
    OURS: kineme,
    SEEKS: opencv_seeks,
    "OpenCV in order": opencv_in_order,
    "PyAV in order, cv2.resize": pyav_then_opencv,
    "PyAV in order, reformat": pyav_reformat,
    **({"decord": decord_batch} if importlib.util.find_spec("decord") else {}),
}


# The videos


def draw(path: Path, codec: str, options: dict[str, str], width: int, height: int, seconds: int) -> Path:
    """Textured shapes on a textured ground, and on top of each frame its number in black and white squares."""
    rng = np.random.default_rng(0)

    def texture(rows: int, columns: int) -> np.ndarray:
        coarse = rng.integers(0, 256, (rows // 8 + 1, columns // 8 + 1, 3), np.uint8)
        smooth = cv2.resize(coarse, (columns, rows), interpolation=cv2.INTER_CUBIC).astype(np.float32)
        return np.clip(smooth + rng.normal(0, 6, smooth.shape), 0, 255).astype(np.uint8)

    ground = texture(height, width)
    shapes = [(texture(height // 4, width // 6), rng.uniform(0.3, 1.5, 2), rng.uniform(0, 6, 2)) for _ in range(4)]
    with VideoWriter(path, width=width, height=height, fps=FPS, codec=codec, options=options) as writer:
        for number in range(seconds * FPS):
            picture = ground.copy()
            for shape, speed, phase in shapes:
                rows, columns = shape.shape[:2]
                y, x = (0.5 + 0.5 * np.sin(speed * number / FPS + phase)) * (height - rows, width - columns)
                picture[int(y) : int(y) + rows, int(x) : int(x) + columns] = shape
            for bit in range(BITS):
                picture[: height // 8, bit * width // BITS : (bit + 1) * width // BITS] = 235 * (number >> bit & 1)
            writer.write(picture)
    return path


def count_right(frames_NHWC: np.ndarray, video: Path) -> int:
    """How many of the 20 frames are those that were asked for."""
    with av.open(str(video)) as container:
        wanted = indices(container.streams.video[0].frames)
    _, height, width, _ = frames_NHWC.shape
    columns = [int((bit + 0.5) * width / BITS) for bit in range(BITS)]
    bits_NB = frames_NHWC[:, height // 16, columns].mean(axis=2) > 127
    numbers = [int(sum(1 << bit for bit in np.flatnonzero(row))) for row in bits_NB]
    return sum(one == other for one, other in zip(numbers, wanted, strict=False))


def show(name: str, found: dict[str, Any]) -> None:
    print(name)
    right = found.get("right_frames", {})
    table(
        ["", "ms", "ms of processor", "right frames", "ours is so many times as fast"],
        [
            [
                way,
                shown(ms),
                f"{found['processor_ms'][way]['median']:.3g}",
                f"{right[way]} of {FRAMES}" if right else "",
                shown(found["times_as_fast_as"][way]) if way != OURS else "",
            ]
            for way, ms in found["ms"].items()
        ],
    )


if __name__ == "__main__":
    main()
