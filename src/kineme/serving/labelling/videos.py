"""The videos of the folder that is labelled. A visitor names one by its number, never by a path."""

from __future__ import annotations

import hashlib
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kineme.dataset.scan import walk
from kineme.errors import KinemeError
from kineme.serving.problem import ServiceError
from kineme.video.container import VIDEO_SUFFIXES, NamedFile
from kineme.video.frame_times import frame_times
from kineme.video.probe import probe

# What Chromium, Firefox and Safari play.
_PLAYED = {".mp4": ("h264", "av1"), ".m4v": ("h264",), ".mov": ("h264",), ".webm": ("vp8", "vp9", "av1")}
_PLAYED_PIXELS = ("yuv420p", "yuvj420p")
_EVEN_S = 2e-3  # time stamps that differ less from a constant rate are one
LARGE = 2560 * 1440  # pixels: of more, a smaller copy plays more smoothly


@dataclass(frozen=True)
class Video:
    """A video of the folder.

    Args:
        id: what a visitor calls it.
        name: its path from the folder, with forward slashes.
        path: of the file.
    """

    id: str
    name: str
    path: Path


class VideoFolder:
    """The videos of a folder, looked for anew whenever they are listed.

    Args:
        folder: that is labelled.

    Raises:
        KinemeError: there is no such folder.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise KinemeError(f"{folder}: no such folder; name the folder of the videos to label")
        self.folder, self._real = folder, os.path.realpath(folder)
        self._lock = threading.Lock()
        self._videos: dict[str, Video] = {}
        self._facts: dict[tuple[str, int, int], dict[str, Any]] = {}

    def list(self) -> list[Video]:
        """All videos, by name; links that lead out of the folder are left out."""
        found = {}
        for path in walk(self.folder, []):
            if path.suffix.lower() in VIDEO_SUFFIXES and self._is_inside(path):
                name = path.relative_to(self.folder).as_posix()
                video_id = hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest()[:16]
                found[video_id] = Video(video_id, name, path)
        with self._lock:
            self._videos = found
        return sorted(found.values(), key=lambda video: video.name)

    def get(self, video_id: str) -> Video:
        """A video that was listed.

        Raises:
            ServiceError: 404, it does not exist, or its file has gone.
        """
        with self._lock:
            video = self._videos.get(video_id)
        if video is None or not video.path.is_file() or not self._is_inside(video.path):
            raise ServiceError(404, "no_video", "there is no such video in the folder; reload the page")
        return video

    def facts(self, video: Video) -> dict[str, Any]:
        """What the page must know of a video: its size, length and frames, and whether browsers play it.

        Raises:
            VideoError: it cannot be read; the message calls it by its name.
        """
        stat = video.path.stat()
        key = (video.id, stat.st_size, stat.st_mtime_ns)
        if key not in self._facts:
            self._facts[key] = _facts_of(video)
        return self._facts[key]

    def _is_inside(self, path: Path) -> bool:
        return Path(os.path.realpath(path)).is_relative_to(self._real)


def _facts_of(video: Video) -> dict[str, Any]:
    file = NamedFile(str(video.path), video.name)
    info, times_F = probe(file), frame_times(file)
    plays = info.codec in _PLAYED.get(video.path.suffix.lower(), ()) and info.pixel_format in _PLAYED_PIXELS
    steps = np.diff(times_F)
    step = float(np.median(steps))
    even = times_F[0] + step * np.arange(len(times_F))
    constant = bool(len(steps)) and bool(np.abs(times_F - even).max() < max(_EVEN_S, step / 4))
    return {
        "duration_s": round(info.duration_s, 4),
        "width": info.width,
        "height": info.height,
        "fps": float(info.fps),
        "codec": info.codec,
        "plays": plays,
        "is_large": info.width * info.height > LARGE,
        # Times of the frames: those of a constant rate by their first and their step.
        "frames": {"first_s": float(times_F[0]), "count": len(steps), "step_s": 1 / float(info.fps)}
        if constant
        else {"times_s": [round(float(time), 4) for time in times_F[:-1]]},
    }
