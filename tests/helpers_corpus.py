"""A small corpus of videos, good and bad, and a model for it."""

from __future__ import annotations

import io
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import polars as pl
from helpers_dataset import make_videos
from helpers_networks import SMALL, network_of
from helpers_video import cut_file, numbered_video, sound_only

from kineme.models.model_file import ModelCard, config_of, save_model
from kineme.models.open_set import OpenSetDetector
from kineme.models.registry import make_approach

LABELS = ("to-left", "to-right")
DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data" / "real-clips"


def make_model(path: Path, backbone: str = "small-cnn") -> Path:
    """An untrained LRCN that knows what it knows, so that each tick begins a window and there is background."""
    logits = tuple(tuple(row) for row in np.random.default_rng(0).normal(0, 0.05, (20, 2)).tolist())
    approach = make_approach("lrcn", {"backbone": backbone})
    card = ModelCard("lrcn", config_of(approach), SMALL, LABELS, open_set=OpenSetDetector(logits, 0.05, 1.0))
    save_model(path, network_of("lrcn", backbone=backbone), card)
    return path


def make_corpus(folder: Path, people: int = 3) -> Path:
    """Good videos, one of several parts, and one of each kind that cannot be used."""
    make_videos(folder, people=people)
    numbered_video(folder / "long.mp4", count=450, height=64, width=64, fps=5)  # repeats frames at 8 a second
    (folder / "text.mp4").write_text("no video")
    (folder / "empty.mp4").touch()
    sound_only(folder / "sound.mp4")
    cut_file(folder / "long.mp4", 0.3, folder / "short.mp4")
    return folder


def tables(out: Path) -> tuple[bytes, bytes]:
    """The two files of a job's result."""
    return (out / "videos.parquet").read_bytes(), (out / "segments.parquet").read_bytes()


def videos_in(out: Path) -> dict[str, dict]:
    """Rows of the videos, by file name."""
    rows = pl.read_parquet(io.BytesIO(tables(out)[0])).to_dicts()
    return {Path(row["path"]).name: row for row in rows}


class Killer:
    """While the context lasts, ends each other process that has a file open, as a file that breaks decoders would."""

    def __init__(self, file: Path) -> None:
        self.file, self.killed = str(file.resolve()), 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Killer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.is_set():
            for process in Path("/proc").iterdir():
                if process.name.isdecimal() and int(process.name) != os.getpid() and self._holds(process):
                    os.kill(int(process.name), signal.SIGKILL)
                    self.killed += 1
            time.sleep(0.001)

    def _holds(self, process: Path) -> bool:
        try:
            if "kineme" not in (process / "cmdline").read_text() and "ray::" not in (process / "cmdline").read_text():
                return False
            return any(str(link.readlink()) == self.file for link in (process / "fd").iterdir())
        except OSError:
            return False
