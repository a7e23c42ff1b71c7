"""A small corpus of videos, good and bad, and a model for it."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import threading
from pathlib import Path

import numpy as np
import polars as pl
import psutil
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
    """While the context lasts, an address whose video ends each process that reads it, as a broken file may.

    A reader waits for an answer that never comes, so it is always found.
    """

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}/clip.mp4"
        self.killed: list[int] = []
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Killer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with socket.create_connection(self._server.getsockname()):  # from this process: the end
            self._thread.join()
        self._server.close()

    def _serve(self) -> None:
        while (reader := self._accept()) != os.getpid():
            psutil.Process(reader).kill()
            self.killed.append(reader)

    def _accept(self) -> int:
        """The process at the other end of the next connection."""
        connection, address = self._server.accept()
        with connection:
            here = psutil.Process()
            for process in (here, *here.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    if any(one.laddr and one.laddr.port == address[1] for one in process.net_connections("tcp")):
                        return process.pid
        raise AssertionError("whoever connects is a child of this process")
