"""Turns sources into video files on this machine, one after the other; if one fails, the others continue."""

from __future__ import annotations

import glob
import os
import select
import stat
import sys
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, TypeVar

from kineme.errors import KinemeError, UsageError, VideoError
from kineme.files import cannot_write
from kineme.sources.cookies import check_cookies
from kineme.sources.kinds import refuse_live, scheme
from kineme.sources.local_video import FailedVideo, FetchOptions, LocalVideo, local_file
from kineme.text import file_size
from kineme.video.container import NamedFile

T = TypeVar("T")
OnError = Callable[[str, KinemeError], None]

_BLOCK = 1 << 20


def for_each_video(
    sources: Iterable[str | os.PathLike[str]],
    do: Callable[[LocalVideo], T],
    options: FetchOptions | None = None,
    *,
    leave_out: Path | None = None,
    on_error: OnError | None = None,
) -> Generator[T, None, None]:
    """Yield what ``do`` gives for every video that the sources stand for. This is the one loop over sources.

    Downloads lie in a temporary folder until the next video is asked for or the generator is closed.

    Args:
        sources: as in :data:`~kineme.sources.kinds.KINDS`.
        do: called with one video after the other; it may raise KinemeError as well.
        options: how to fetch.
        leave_out: a folder whose files no folder or pattern stands for, such as that of the results.
        on_error: called with the name and the error of a source that cannot be had, or of which ``do`` makes nothing;
            the others follow; by default the error is raised.

    Raises:
        UsageError: a camera or live stream, which is no file; an address that is not taken; or cookies that cannot be
            read.
        KinemeError: a source cannot be had.
    """
    options = options or FetchOptions()
    check_cookies(options)
    for source in (os.fspath(one) for one in sources):
        refuse_live(source)
        with _going_on(source, on_error), closing(_videos_of(source, options, leave_out)) as found:
            for one in found:
                with _going_on(one.source, on_error):
                    if isinstance(one, FailedVideo):
                        raise one.error
                    with _part(one, options) as video:
                        yield do(video)


def check_exists(source: str) -> None:
    """Raise VideoError for a path that does not exist, before anything slow begins."""
    if not (source == "-" or scheme(source) or glob.has_magic(source) or os.path.lexists(source)):
        raise VideoError(source, "no such file", "missing")


def local_videos(
    sources: Iterable[str | os.PathLike[str]],
    options: FetchOptions | None = None,
    *,
    leave_out: Path | None = None,
    on_error: OnError | None = None,
) -> Generator[LocalVideo, None, None]:
    """Yield every video of ``sources`` as a local file; see :func:`for_each_video`."""
    yield from for_each_video(sources, lambda video: video, options, leave_out=leave_out, on_error=on_error)


@contextmanager
def one_video(source: str, options: FetchOptions, *, advice: str = "name one") -> Iterator[LocalVideo]:
    """The one video of a source, as a local file while the context lasts.

    Args:
        source: as in :data:`~kineme.sources.kinds.KINDS`.
        options: how to fetch.
        advice: what to do where the source may stand for several.

    Raises:
        UsageError: it may stand for several videos, or is live; or cookies cannot be read.
        KinemeError: it cannot be had.
    """
    refuse_live(source)
    check_cookies(options)
    with closing(_videos_of(source, options, None)) as found:
        video = next(found)
        if isinstance(video, FailedVideo) or video.in_collection:
            raise UsageError(f"{source}: may stand for several videos; {advice}")
        with _part(video, options) as part:
            yield part


@contextmanager
def _going_on(source: str, on_error: OnError | None) -> Iterator[None]:
    """Errors raised inside are passed to the listener, if any, including unexpected ones.

    Wrong usage is not one bad source among many, and neither is a missing package or a closed output.
    """
    try:
        yield
    except (UsageError, BrokenPipeError, ModuleNotFoundError):
        raise
    except Exception as error:
        if on_error is None:
            raise
        if not isinstance(error, KinemeError):
            error = VideoError(source, f"cannot be worked on ({type(error).__name__}: {error})")
        on_error(source, error)


def _videos_of(
    source: str, options: FetchOptions, leave_out: Path | None
) -> Generator[LocalVideo | FailedVideo, None, None]:
    """The videos that one source stands for."""
    path = Path(source)
    if source == "-":
        if sys.stdin is None or sys.stdin.isatty():
            raise UsageError("-: standard input is a terminal; pipe a video into it")
        with _copied(sys.stdin.buffer, "-", options) as video:
            yield LocalVideo(video, "stdin")
    elif scheme(source):
        from kineme.sources.links import fetch_videos

        yield from fetch_videos(source, options)
    elif path.is_dir():
        files = (file for file in sorted(path.rglob("*")) if not _is_hidden(file.relative_to(source)))
        for file in _videos_among(source, files, leave_out):
            yield local_file(file, str(file), file.stem, in_collection=True)
    elif glob.has_magic(source) and not path.exists():
        matches = (Path(match) for match in sorted(glob.glob(source, recursive=True)))  # noqa: PTH207
        for file in _videos_among(source, matches, leave_out):
            yield local_file(file, str(file), file.stem, in_collection=True)
    elif path.exists() and not path.is_file():
        with _opened_pipe(path, source, options) as pipe, _copied(pipe, source, options) as video:
            yield LocalVideo(video, path.stem)
    else:
        yield local_file(path, source, path.stem)


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _videos_among(source: str, paths: Iterable[Path], leave_out: Path | None) -> list[Path]:
    """Those that are videos by their suffix.

    Raises:
        KinemeError: no such source exists.
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


@contextmanager
def _opened_pipe(path: Path, source: str, options: FetchOptions) -> Iterator[IO[bytes]]:
    """A named pipe, or ``/dev/stdin`` and the like. One that nobody writes to is given up, and does not hang.

    Raises:
        VideoError: it is no pipe but a socket, a terminal or another device; or it stays silent.
    """
    if not stat.S_ISFIFO(path.stat().st_mode) or sys.platform == "win32":  # there, what follows does not exist
        raise VideoError(source, "is a socket or device, not a video file or pipe", "not-a-video")
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as pipe:  # noqa: PTH123
        poll = select.poll()
        poll.register(pipe, select.POLLIN)
        if not poll.poll(1000 * options.timeout_s):
            raise VideoError(source, f"is a pipe, and nothing came through it for {options.timeout_s:g} s", "empty")
        os.set_blocking(pipe.fileno(), True)
        yield pipe


@contextmanager
def _copied(incoming: IO[bytes], source: str, options: FetchOptions) -> Iterator[NamedFile]:
    """The input of a pipe, as a file while the context lasts."""
    with tempfile.TemporaryDirectory(prefix="kineme-") as folder:
        path, count = Path(folder, "video"), 0
        try:
            with path.open("wb") as file:
                while block := incoming.read(_BLOCK):
                    count += len(block)
                    if count > options.max_bytes:
                        limit = file_size(options.max_bytes)
                        raise VideoError(source, f"is larger than {limit}; --max-size sets the limit", "too-large")
                    file.write(block)
        except OSError as error:
            raise cannot_write(path, error) from error
        if not count:
            raise VideoError(source, "nothing came through the pipe", "empty")
        yield NamedFile(str(path), source)


@contextmanager
def _part(video: LocalVideo, options: FetchOptions) -> Iterator[LocalVideo]:
    """The part of a video that is wanted, as a file of its own; the video itself where that is all of it."""
    if not options.start_s and options.end_s is None:
        yield video
        return
    with tempfile.TemporaryDirectory(prefix="kineme-") as folder:
        path = Path(folder) / "part.mp4"
        _cut(video.file, path, options.start_s, options.end_s)
        yield replace(video, file=NamedFile(str(path), video.source))


def _cut(video: NamedFile, out: Path, start_s: float, end_s: float | None) -> None:
    """Encode the frames from ``start_s`` to ``end_s`` anew without loss; sound is left out."""
    from kineme.video.decode import read_frames
    from kineme.video.probe import probe
    from kineme.video.write import VideoWriter

    info = probe(video)
    if start_s >= info.duration_s:
        reason = f"is {info.duration_s:.1f} s long, so it ends before --start {start_s:g}"
        raise VideoError(video, reason, "no-such-part")
    options = {"qp": "0", "crf": "0", "preset": "ultrafast"}
    with VideoWriter(out, width=info.width, height=info.height, fps=info.fps, options=options) as writer:
        for frame in read_frames(video, start_s=start_s, end_s=end_s):
            begins_s = max(frame.pts_s, start_s)
            ends_s = frame.pts_s + frame.duration_s
            ends_s = ends_s if end_s is None else min(ends_s, end_s)
            writer.write(frame.pixels_HWC, pts_s=begins_s - start_s, duration_s=ends_s - begins_s)
