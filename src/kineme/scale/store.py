"""Where results lie: a folder here, or an object store. A shard is named after its content, so it can be checked.

The driver alone writes. A kill during a write leaves either a complete shard or no shard.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl

from kineme.errors import KinemeError
from kineme.files import atomic_write, remove_abandoned
from kineme.scale.sources import filesystem, is_address

SHARDS = "shards"
VIDEOS, SEGMENTS = "videos.parquet", "segments.parquet"
_DIGITS = 32  # of a shard's SHA-256
_ROW_GROUP = 100_000


class ShardStore:
    """The folder of a job's results.

    Args:
        out: a folder, or an address that fsspec knows, such as ``s3://bucket/labels``.
    """

    def __init__(self, out: str) -> None:
        self.out = out.rstrip("/") or out
        self._system: Any = None
        if is_address(out):
            self._system, self._inner = filesystem(self.out)
        elif Path(out).exists() and not Path(out).is_dir():
            raise KinemeError(f"{out}: is a file; --out names the folder of the results")

    def where(self, name: str) -> str:
        """How people find a file of it."""
        return f"{self.out}/{name}" if self._system else str(Path(self.out, name))

    def read(self, name: str) -> bytes | None:
        """The content of a file, or None without such a file."""
        if self._system:
            with suppress(FileNotFoundError):
                return bytes(self._system.cat_file(f"{self._inner}/{name}"))
            return None
        with suppress(FileNotFoundError):
            return Path(self.out, name).read_bytes()
        return None

    def write(self, name: str, content: bytes) -> None:
        """Write a file, all of it or nothing.

        Raises:
            KinemeError: it cannot be written.
        """
        if self._system:
            try:
                self._system.makedirs(f"{self._inner}/{name}".rpartition("/")[0], exist_ok=True)
                self._system.pipe_file(f"{self._inner}/{name}", content)  # a store shows no half of an object
            except Exception as error:  # each store has errors of its own
                raise KinemeError(f"{self.where(name)}: cannot be written ({error})") from error
            return
        with atomic_write(Path(self.out, name)) as temporary:
            temporary.write_bytes(content)

    def remove(self, name: str) -> None:
        """Remove a file."""
        if self._system:
            self._system.rm_file(f"{self._inner}/{name}")
        else:
            Path(self.out, name).unlink(missing_ok=True)

    def add_shard(self, frame: pl.DataFrame) -> None:
        """Keep finished rows."""
        content = parquet(frame)
        self.write(f"{SHARDS}/{hashlib.sha256(content).hexdigest()[:_DIGITS]}.parquet", content)

    def shards(self) -> Iterator[tuple[str, pl.DataFrame | None]]:
        """Name and rows of each shard; None for rows that differ from the written ones."""
        for name in self._shard_names():
            content = self.read(name) or b""
            is_whole = hashlib.sha256(content).hexdigest()[:_DIGITS] == Path(name).stem
            yield name, pl.read_parquet(io.BytesIO(content)) if is_whole else None

    def _shard_names(self) -> Sequence[str]:
        if self._system:
            with suppress(FileNotFoundError):
                names = self._system.ls(f"{self._inner}/{SHARDS}", detail=False)
                return sorted(f"{SHARDS}/{Path(name).name}" for name in names if str(name).endswith(".parquet"))
            return []
        folder = Path(self.out, SHARDS)
        for stray in folder.glob(".*-*.parquet"):  # of a driver that was killed
            stray.unlink(missing_ok=True)
        for name in (VIDEOS, SEGMENTS):
            remove_abandoned(Path(self.out, name))
        return sorted(f"{SHARDS}/{path.name}" for path in folder.glob("*.parquet") if not path.name.startswith("."))


def parquet(frame: pl.DataFrame) -> bytes:
    """A table as a Parquet file; the same rows give the same bytes."""
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd", row_group_size=_ROW_GROUP)
    return buffer.getvalue()
