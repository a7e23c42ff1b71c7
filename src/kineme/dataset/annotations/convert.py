"""From one form of annotations to another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kineme.dataset.annotations.read import read_segments, read_segments_by_video
from kineme.dataset.annotations.write import write_segments


@dataclass(frozen=True)
class Converted:
    """What :func:`convert_segments` wrote.

    Args:
        files: that were written.
        videos: how many they are about.
        segments: how many they hold.
        left_out: one line for each thing that was left out.
    """

    files: list[Path]
    videos: int
    segments: int
    left_out: list[str]


def convert_segments(
    source: Path,
    out: Path,
    target: str = "csv",
    *,
    video: Path | None = None,
    tier: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> Converted:
    """Read annotations, and write them in another form.

    Args:
        source: as :func:`kineme.dataset.annotations.read.read_segments` takes it.
        out: as :func:`kineme.dataset.annotations.write.write_segments` takes it.
        target: as :func:`kineme.dataset.annotations.write.write_segments` takes it.
        video: the video, where the source does not name it, or is about several.
        tier: as :func:`kineme.dataset.annotations.read.read_segments` takes it.
        columns: as :func:`kineme.dataset.annotations.read.read_segments` takes it.

    Raises:
        KinemeError: something cannot be read or written.
        UsageError: there is no such form, tier or column.
    """
    if video is None:
        videos, left_out = read_segments_by_video(source, tier=tier, columns=columns)
    else:
        segments, left_out = read_segments(source, video, tier=tier, columns=columns)
        videos = {video: segments}
    files = write_segments(videos, out, target)
    return Converted(files, len(videos), sum(map(len, videos.values())), left_out)
