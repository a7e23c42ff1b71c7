"""What ``kineme batch`` takes, and how a worker gets hold of each video. Nothing is opened when they are listed."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kineme.errors import KinemeError, UsageError, VideoError
from kineme.sources.local import local_videos, one_video
from kineme.sources.local_video import FetchOptions
from kineme.video.container import VIDEO_SUFFIXES, NamedFile

TABLES = (".csv", ".parquet")
_COLUMNS = ("path", "url")
_ASKING = 32  # requests at a time, of an object store
_VERSIONS = ("ETag", "etag", "mtime", "LastModified", "last_modified", "updated")  # as object stores call it


@dataclass(frozen=True, order=True)
class Source:
    """A video of the corpus.

    Args:
        path: as it was asked for: a path or an address; it is what the results name.
        fingerprint: of its path, size and time of change; another one means that the video has changed.
        file: where it lies, whatever the current folder; the address, for one that is fetched.
    """

    path: str
    fingerprint: str
    file: str

    @property
    def is_fetched(self) -> bool:
        """Whether it lies elsewhere."""
        return is_address(self.file)


def is_address(text: str) -> bool:
    """Whether a path is an address, such as ``s3://bucket/video.mp4``."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", text) is not None


def list_sources(sources: Sequence[str], *, leave_out: str | None = None) -> list[Source]:
    """Every video that the sources stand for, once, in the order of its path.

    Args:
        sources: files, folders and patterns, here or in an object store that fsspec knows; CSV and Parquet files with
            a column ``path`` or ``url``, its relative paths seen from the table's own folder; URLs.
        leave_out: a folder whose files no folder or pattern stands for, that of the results.

    Raises:
        UsageError: a camera or live stream.
        KinemeError: a folder, pattern or table gives no video, or cannot be read.
    """
    found: dict[str, Source] = {}
    for source in sources:
        for path in _paths_of(source, leave_out):
            if path.path not in found:
                found[path.path] = path
    return sorted(found.values())


@contextmanager
def fetched(file: str, options: FetchOptions, name: str | None = None) -> Iterator[NamedFile]:
    """A video as a file of this machine, while the context lasts.

    Args:
        file: a path or an address.
        options: how to fetch.
        name: what messages call it; by default ``file``.

    Raises:
        KinemeError: it cannot be had.
    """
    if not is_address(file):
        yield NamedFile(file, name or file)
    elif _is_web(file):
        with one_video(file, options, advice="list them one by one") as video:
            yield NamedFile(os.fspath(video.file), name or file)
    else:
        with tempfile.TemporaryDirectory(prefix="kineme-") as folder:
            path = Path(folder, "video" + Path(file).suffix)
            try:
                system, inner = filesystem(file)
                system.get_file(inner, str(path))
            except Exception as error:  # each store has errors of its own
                raise VideoError(file, f"cannot be fetched ({_line(error)})") from error
            yield NamedFile(str(path), name or file)


def filesystem(address: str) -> tuple[Any, str]:
    """The file system that fsspec knows for an address, and the path in it.

    Raises:
        KinemeError: fsspec, or its package for that kind of address, is not installed.
    """
    try:
        from fsspec.core import url_to_fs

        system, path = url_to_fs(address)
    except ImportError as error:
        raise KinemeError(f"{address}: {_line(error)}") from error
    except ValueError as error:
        raise UsageError(f"{address}: addresses of this kind are not taken ({_line(error)})") from error
    return system, path


def _paths_of(source: str, leave_out: str | None) -> Iterator[Source]:
    if Path(source).suffix.lower() in TABLES and not glob.has_magic(source):
        yield from _listed_in(source)
    elif not is_address(source):
        if not glob.has_magic(source) and not os.path.lexists(source):
            raise KinemeError(f"{source}: there is no such file or folder")
        out = Path(leave_out) if leave_out and not is_address(leave_out) else None
        with closing(local_videos([source], leave_out=out)) as videos:
            for video in videos:
                yield _local(video.source)
    elif _is_web(source):
        yield Source(source, _digest(source), source)
    else:
        yield from _stored(source, leave_out)


def _is_web(source: str) -> bool:
    return source.lower().startswith(("http://", "https://"))


def _local(path: str, file: str | None = None) -> Source:
    file = str(Path(file or path).absolute())
    path = path.encode(errors="backslashreplace").decode()  # a name that is not UTF-8 could not be written
    try:
        stat = Path(file).stat()
    except OSError:
        return Source(path, _digest(path), file)  # the worker will say what is wrong
    return Source(path, _digest(path, stat.st_size, stat.st_mtime_ns), file)


def _stored(source: str, leave_out: str | None) -> Iterator[Source]:
    """Videos of an object store, or of what else fsspec knows."""
    system, path = filesystem(source)
    try:
        if glob.has_magic(path):
            found = system.glob(path, detail=True)
        elif system.isdir(path):
            found = system.find(path, detail=True)
        else:
            found = {path: system.info(path)}
    except FileNotFoundError:
        found = {}
    except Exception as error:
        raise KinemeError(f"{source}: cannot be listed ({_line(error)})") from error
    inside = [
        (system.unstrip_protocol(name), info)
        for name, info in found.items()
        if info.get("type") != "directory" and (len(found) == 1 or Path(name).suffix.lower() in VIDEO_SUFFIXES)
    ]
    out = leave_out.rstrip("/") + "/" if leave_out and is_address(leave_out) else None
    inside = [(address, info) for address, info in inside if not (out and address.startswith(out))]
    if not inside:
        raise KinemeError(f"{source}: there is no video")
    for address, info in inside:
        version = next((str(info[name]) for name in _VERSIONS if info.get(name) is not None), None)
        yield Source(address, _digest(address, info.get("size"), version), address)


def _listed_in(table: str) -> Iterator[Source]:
    """The videos that a table lists."""
    import polars as pl

    opened: Any = table
    try:
        if is_address(table):
            system, path = filesystem(table)
            opened = system.cat_file(path)
        frame = pl.read_csv(opened, infer_schema=False) if table.lower().endswith(".csv") else pl.read_parquet(opened)
    except Exception as error:
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else f"cannot be read: {_line(error)}"
        raise KinemeError(f"{table}: {reason}") from error
    column = next((name for name in _COLUMNS if name in frame.columns), None)
    if column is None:
        raise KinemeError(f"{table}: needs a column 'path' or 'url'; it has {', '.join(frame.columns) or 'none'}")
    listed = [str(one).strip() for one in frame[column].to_list() if one is not None and str(one).strip()]
    if not listed:
        raise KinemeError(f"{table}: lists no videos")
    with ThreadPoolExecutor(_ASKING) as pool:
        yield from pool.map(lambda path: _one_listed(path, table), dict.fromkeys(listed))


def _one_listed(path: str, table: str) -> Source:
    """A video of a table; where something is wrong with it, a worker will say what."""
    if not is_address(path):
        if not is_address(table):
            return _local(os.path.normpath(Path(table).parent / path))
        path = table.rpartition("/")[0] + "/" + path
    if not _is_web(path):
        with suppress(KinemeError):
            return next(_stored(path, None))
    return Source(path, _digest(path), path)


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps([str(part) for part in parts]).encode()).hexdigest()[:32]


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
