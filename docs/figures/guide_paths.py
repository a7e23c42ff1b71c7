"""Where the guide's videos, models, transcripts and numbers lie, and what several of its figures need."""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

DOCS = Path(__file__).resolve().parents[1]
REPOSITORY = DOCS.parent
GENERATED = DOCS / "_generated"
WORK = GENERATED / "guide"  # videos and run folders
TRANSCRIPTS = GENERATED / "runs"
PICTURES = GENERATED / "figures"
NUMBERS = GENERATED / "numbers"
NOTEBOOKS = GENERATED / "guide-notebooks"

LABELS = ("pick-up", "put-down", "sit-down", "stand-up")
Frames = NDArray[np.uint8]
Numbers = dict[str, tuple[str, str]]
"""What a sentence says, by name, and the command that it comes from."""

_LEARNED_FROM = ("video", "../drawn_people", "models", "training")


@functools.cache
def sources() -> str:
    """Changes with the code that makes videos and models; KINEME_DOCS_KEEP=1 leaves it out, for writing."""
    if os.environ.get("KINEME_DOCS_KEEP"):
        return "kept"
    package = REPOSITORY / "src" / "kineme"
    files = [package / "dataset" / name for name in ("scan.py", "groups.py", "split.py", "table.py")]
    files += [file for part in _LEARNED_FROM for file in sorted((package / part).rglob("*.py"))]
    return hash_of(file.read_bytes() for file in files)


def hash_of(parts: Iterable[bytes]) -> str:
    """SHA-256 (hex) of some pieces."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()


def metrics(run: str) -> dict[str, Any]:
    """``metrics.json`` of a run of the guide."""
    return dict(json.loads((WORK / "runs" / run / "metrics.json").read_text(encoding="utf-8")))


def benchmark(name: str) -> dict[str, Any]:
    """A committed result of ``benchmarks``."""
    return dict(json.loads((REPOSITORY / "benchmarks" / "results" / f"{name}.json").read_text(encoding="utf-8")))


def percent(share: float, digits: int = 0) -> str:
    """0.853 as "85 %", which does not break at the end of a line."""
    return f"{100 * share:.{digits}f}\u00a0%"


def interval(ends: Sequence[float]) -> str:
    """[0.74, 1] as "74 to 100 %"."""
    return f"{100 * ends[0]:.0f} to {100 * ends[1]:.0f}\u00a0%"


@functools.cache
def model(run: str) -> Any:
    """The model of a run of the guide."""
    import kineme

    return kineme.load(WORK / "runs" / run)


def right_video(label: str, run: str = "lrcn") -> Path:
    """The test video of a label that a run's model is most sure of, and right about."""
    import polars as pl

    rows = pl.read_csv(WORK / "runs" / run / "predictions.csv")
    rows = rows.filter((pl.col("label") == label) & (pl.col("predicted") == label))
    return WORK / "pairs" / str(rows.sort(f"p({label})", descending=True)["name"][0])


def clip(video: Path, **spec: Any) -> Frames:
    """The middle clip of a video, frames_THWC; the textbook's clip unless ``spec`` says otherwise."""
    from kineme.video.clips import read_sampled_video
    from kineme.video.spec import ClipSpec

    wanted = ClipSpec(**spec)
    frames_NHWC = read_sampled_video(video, wanted).frames_NHWC
    start = max(0, len(frames_NHWC) - wanted.frames) // 2
    return frames_NHWC[wanted.window(start, len(frames_NHWC))]


def strip(frames_THWC: Frames, count: int = 8, gap: int = 3) -> Frames:
    """Frames side by side with white between them, RGBA so that the gaps are nothing."""
    chosen = np.linspace(0, len(frames_THWC) - 1, count).round().astype(int)
    height, width = frames_THWC.shape[1:3]
    out = np.zeros((height, count * (width + gap) - gap, 4), np.uint8)
    for place, number in enumerate(chosen):
        left = place * (width + gap)
        out[:, left : left + width, :3] = frames_THWC[number]
        out[:, left : left + width, 3] = 255
    return out


def show(axes: Any, image: NDArray[Any], **more: Any) -> None:
    """A picture without axes."""
    axes.imshow(image, interpolation="nearest", **more)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
