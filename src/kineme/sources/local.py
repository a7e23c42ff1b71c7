"""What ``kineme predict`` takes, and how each kind that is not live becomes a video file on this machine."""

from __future__ import annotations

import glob
import re
import stat
import sys
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from kineme.errors import KinemeError, UsageError, VideoError
from kineme.files import cannot_write

# The one table of sources: an example, and what it stands for. The help shows it.
KINDS = (
    ("clip.mp4", "a video file; several may be named"),
    ("holiday/", "a folder: every video in it and in the folders below"),
    ("'holiday/**/*.mov'", "a pattern, quoted or not; ** goes into folders"),
    ("https://site/clip.mp4", "a video file on the web"),
    ("https://youtu.be/...", "a video, playlist or channel of YouTube or another site that yt-dlp knows"),
    ("-", "a video on standard input"),
    ("0", "a camera by its number, or a device such as /dev/video0; on Windows video=NAME too"),
    ("rtsp://camera/stream", "a live stream; also rtmp, udp and tcp, and http with Motion JPEG or live HLS"),
)

_LIVE_SCHEMES = {"rtsp", "rtsps", "rtmp", "rtmps", "rtp", "udp", "tcp", "srt"}
_BLOCK = 1 << 20


@dataclass(frozen=True, kw_only=True)
class FetchOptions:
    """How sources are fetched and which part of them is used.

    Args:
        min_side: the model's size in pixels: of the formats a site offers, the smallest that has it is fetched.
        with_sound: prefer formats with sound, for outputs that play the video.
        max_bytes: of a download, or of what comes on standard input; what is larger is refused.
        timeout_s: how long a server may stay silent.
        start_s: where the part begins that is used, in seconds.
        end_s: where it ends; None is the end of the video.
    """

    min_side: int = 64
    with_sound: bool = False
    max_bytes: int = 1 << 30
    timeout_s: float = 20.0
    start_s: float = 0.0
    end_s: float | None = None


@dataclass(frozen=True)
class LocalVideo:
    """A source that is a file here and now.

    Args:
        path: the file; a temporary one is gone when the next video is asked for.
        source: how results call it: the path as asked for, the address, or ``-``.
        name: a file name without suffix, for what is saved.
        alone: whether the sources were one video, named as such, and not a collection.
    """

    path: Path
    source: str
    name: str
    alone: bool

    def in_words(self, text: str) -> str:
        """``text`` with the source in place of the name of a temporary file."""
        return text.replace(str(self.path), self.source)

    @contextmanager
    def named(self) -> Iterator[None]:
        """Errors raised inside speak of the source, and not of a temporary file."""
        try:
            yield
        except KinemeError as error:
            if str(self.path) == self.source:
                raise
            raise KinemeError(self.in_words(str(error))) from error


def table_of_kinds() -> str:
    """``KINDS`` as lines of text."""
    width = max(len(example) for example, _ in KINDS)
    return "\n".join(f"  {example:<{width}}  {meaning}" for example, meaning in KINDS)


def local_videos(
    sources: Iterable[str],
    options: FetchOptions | None = None,
    *,
    leave_out: Path | None = None,
    on_error: Callable[[str, KinemeError], None] | None = None,
) -> Generator[LocalVideo, None, None]:
    """Yield every video of ``sources`` as a local file, one after the other.

    Downloads lie in a temporary folder until the next video is asked for or the generator is closed.

    Args:
        sources: as in ``KINDS``.
        options: how to fetch.
        leave_out: a folder whose files no folder or pattern stands for, such as that of the results.
        on_error: told of a source that cannot be had (its name, the error), and the others follow; by default, and
            where it is the only one, the error is raised.

    Raises:
        UsageError: a camera or live stream, which is no file; or an address that is not taken.
        KinemeError: a source cannot be had.
    """
    sources, options = list(sources), options or FetchOptions()
    for source in sources:
        _refuse_live(source)
    alone = len(sources) == 1
    for source in sources:
        tell = None if alone else on_error
        try:
            with closing(_videos_of(source, options, alone, leave_out, on_error)) as videos:
                for video in videos:
                    yield from _part(video, options, tell if video.alone else on_error)
        except KinemeError as error:
            if tell is None:
                raise
            tell(source, error)


@contextmanager
def one_video(source: str, options: FetchOptions, *, advice: str = "name one") -> Iterator[LocalVideo]:
    """The one video of a source, as a local file while the context lasts; errors raised inside speak of the source.

    Args:
        source: as in ``KINDS``.
        options: how to fetch.
        advice: what to do where the source may stand for several.

    Raises:
        UsageError: it may stand for several videos, or is live.
        KinemeError: it cannot be had.
    """
    with closing(local_videos([source], options)) as videos:
        video = next(videos)
        if not video.alone:
            raise UsageError(f"{source}: may stand for several videos; {advice}")
        with video.named():
            yield video


def parse_part(start: str | None, end: str | None) -> tuple[float, float | None]:
    """``--start`` and ``--end`` in seconds.

    Raises:
        UsageError: one is no time, or nothing lies between them.
    """
    start_s, end_s = parse_seconds("--start", start or "0"), parse_seconds("--end", end) if end else None
    if end_s is not None and end_s <= start_s:
        raise UsageError(f"--end {end}: must come after --start {start or 0}")
    return start_s, end_s


def parse_seconds(option: str, text: str) -> float:
    """``"90"``, ``"1:30"`` or ``"1:02:03.5"`` in seconds.

    Raises:
        UsageError: it is none of these; the line names ``option``.
    """
    if not re.fullmatch(r"(\d+:)?(\d+:)?\d+(\.\d*)?", text):
        raise UsageError(f"{option} {text}: give seconds, or minutes and seconds such as 1:30")
    seconds = 0.0
    for part in text.split(":"):
        seconds = 60 * seconds + float(part)
    return seconds


def parse_size(option: str, text: str) -> int:
    """``"500M"``, ``"2G"`` or a number of bytes.

    Raises:
        UsageError: it is none of these, or nothing; the line names ``option``.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmg]?)i?b?", text.strip().lower())
    size = int(float(match[1]) * 1024 ** " kmg".index(match[2] or " ")) if match else 0
    if size < 1:
        raise UsageError(f"{option} {text}: give a size such as 500M or 2G")
    return size


def size_in_words(count: float) -> str:
    """Bytes as ``"1.2 GB"``, ``"35 MB"`` or ``"3 kB"``, in powers of 1024."""
    for power, unit in ((3, "GB"), (2, "MB"), (1, "kB")):
        if count >= 1024**power or power == 1:
            return f"{count / 1024**power:.3g} {unit}"
    raise AssertionError("unreachable")


def is_live(source: str) -> bool:
    """Whether a source is a camera or a live stream, which is watched. A server is asked if need be."""
    if _is_live_by_name(source):
        return True
    if _scheme(source) not in ("http", "https"):
        return False
    from kineme.video.live import sends_live

    return sends_live(source)


def _refuse_live(source: str) -> None:
    """Raise UsageError for what is no file, and for addresses of other kinds."""
    if _is_live_by_name(source):
        raise UsageError(f"{source}: a camera or live stream has no end; name it alone (Python: model.watch)")
    scheme = _scheme(source)
    if scheme and scheme not in ("http", "https"):
        raise UsageError(f"{source}: addresses of this kind are not taken; see kineme predict --help")


def _scheme(source: str) -> str:
    match = re.match(r"([A-Za-z][A-Za-z0-9+.-]+)://", source)
    return match[1].lower() if match else ""


def _is_live_by_name(source: str) -> bool:
    if _scheme(source) in _LIVE_SCHEMES or source.startswith(("/dev/video", "video=")):
        return True
    path = Path(source)
    if path.exists():
        return stat.S_ISCHR(path.stat().st_mode)
    return source.isdecimal()


def _videos_of(
    source: str,
    options: FetchOptions,
    alone: bool,
    leave_out: Path | None,
    on_error: Callable[[str, KinemeError], None] | None,
) -> Generator[LocalVideo, None, None]:
    """The videos that one source stands for."""
    if source == "-":
        with tempfile.TemporaryDirectory(prefix="kineme-") as folder:
            yield LocalVideo(_read_stdin(Path(folder), options.max_bytes), "-", "stdin", alone)
    elif _scheme(source):
        from kineme.sources.links import fetch_videos

        yield from fetch_videos(source, options, alone=alone, on_error=on_error)
    elif Path(source).is_dir():
        files = (path for path in sorted(Path(source).rglob("*")) if not _is_hidden(path.relative_to(source)))
        for path in _videos_among(source, files, leave_out):
            yield LocalVideo(path, str(path), path.stem, False)
    elif glob.has_magic(source) and not Path(source).exists():
        matches = (Path(match) for match in sorted(glob.glob(source, recursive=True)))  # noqa: PTH207
        for path in _videos_among(source, matches, leave_out):
            yield LocalVideo(path, str(path), path.stem, False)
    else:
        yield LocalVideo(Path(source), source, Path(source).stem, alone)


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _videos_among(source: str, paths: Iterable[Path], leave_out: Path | None) -> list[Path]:
    """Those that are videos by their suffix.

    Raises:
        KinemeError: there is none.
    """
    from kineme.video.container import VIDEO_SUFFIXES

    out = leave_out.resolve() if leave_out else None
    if out and Path(source).is_dir() and Path(source).resolve().is_relative_to(out):
        out = None  # it was asked for
    found = [
        path
        for path in paths
        if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file() and not (out and path.resolve().is_relative_to(out))
    ]
    if not found:
        holds = "holds" if Path(source).is_dir() else "matches"
        raise KinemeError(f"{source}: {holds} no video (files are known by suffixes such as .mp4, .avi, .mkv)")
    return found


def _read_stdin(folder: Path, max_bytes: int) -> Path:
    """What comes on standard input, as a file."""
    if sys.stdin.isatty():
        raise UsageError("-: standard input is a terminal; pipe a video into it")
    path = folder / "video"
    try:
        with path.open("wb") as file:
            _copy(sys.stdin.buffer, file, max_bytes)
    except OSError as error:
        raise cannot_write(path, error) from error
    if not path.stat().st_size:
        raise VideoError("-", "nothing came on standard input")
    return path


def _copy(incoming: BinaryIO, file: BinaryIO, max_bytes: int) -> None:
    count = 0
    while block := incoming.read(_BLOCK):
        count += len(block)
        if count > max_bytes:
            raise VideoError("-", f"is larger than {size_in_words(max_bytes)}; --max-size sets the limit")
        file.write(block)


def _part(
    video: LocalVideo, options: FetchOptions, on_error: Callable[[str, KinemeError], None] | None
) -> Generator[LocalVideo, None, None]:
    """The part of a video that is wanted, as a file of its own; the video itself where that is all of it."""
    if not options.start_s and options.end_s is None:
        yield video
        return
    with tempfile.TemporaryDirectory(prefix="kineme-") as folder:
        path = Path(folder) / "part.mp4"
        try:
            with video.named():
                _cut(video, path, options.start_s, options.end_s)
        except KinemeError as error:
            if on_error is None:
                raise
            on_error(video.source, error)
            return
        yield replace(video, path=path)


def _cut(video: LocalVideo, out: Path, start_s: float, end_s: float | None) -> None:
    """Encode the frames from ``start_s`` to ``end_s`` anew without loss; sound is left out."""
    from kineme.video.decode import read_frames
    from kineme.video.probe import probe
    from kineme.video.write import VideoWriter

    info = probe(video.path)
    if start_s >= info.duration_s:
        raise VideoError(video.source, f"is {info.duration_s:.1f} s long, so nothing lies after --start {start_s:g}")
    options = {"qp": "0", "crf": "0", "preset": "ultrafast"}
    with VideoWriter(out, width=info.width, height=info.height, fps=info.fps, options=options) as writer:
        for frame in read_frames(video.path, start_s=start_s, end_s=end_s):
            writer.write(frame.pixels_HWC, pts_s=max(0.0, frame.pts_s - start_s))
