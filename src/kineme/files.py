"""Writing files so that a crash, a full disk or Ctrl-C never leaves half of one under its real name."""

from __future__ import annotations

import csv
import errno
import glob
import io
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kineme.errors import KinemeError


def user_cache_folder() -> Path:
    """The folder that all runs of this user share; ``KINEME_CACHE`` moves it. It may not exist yet."""
    import platformdirs

    return Path(os.environ.get("KINEME_CACHE") or platformdirs.user_cache_dir("kineme", appauthor=False)).expanduser()


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside ``path``; on success it takes ``path``'s place, on error it is removed.

    The temporary name keeps the suffix of ``path``, since encoders choose the container by it.

    Raises:
        KinemeError: the disk is full, or the folder cannot be written.
    """
    target = Path(path)
    temporary = target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.stem}-", suffix=target.suffix, dir=target.parent)
        os.close(handle)
        temporary = Path(name)
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        yield temporary
        temporary.replace(target)
    except OSError as error:
        raise cannot_write(target, error) from error
    finally:
        if temporary is not target:
            temporary.unlink(missing_ok=True)


def cannot_write(path: str | os.PathLike[str], error: OSError) -> KinemeError:
    """The one line for an ``OSError`` met while writing ``path``."""
    if error.errno == errno.ENOSPC:
        return KinemeError(f"{path}: the disk is full; free some space or choose another folder")
    return KinemeError(f"{path}: cannot be written ({error.strerror or error})")


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write UTF-8 text through :func:`replacing`."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_csv(path: str | os.PathLike[str], columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table with a first line of ``columns`` through :func:`replacing`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    write_text(path, text.getvalue())


def write_json(path: str | os.PathLike[str], document: Any) -> None:
    """Write ``document`` as indented JSON through :func:`replacing`."""
    write_text(path, json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def sha256_of(path: str | os.PathLike[str]) -> str:
    """Hash of a file's content, hex."""
    import hashlib

    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_tensors(path: str | os.PathLike[str], tensors: dict[str, Any], metadata: dict[str, str]) -> None:
    """Write NumPy arrays and text as a safetensors file through :func:`replacing`."""
    import numpy as np
    from safetensors.numpy import save

    # It writes the memory of an array as it lies, so what is transposed must be laid out first; and its own writing to
    # a file leaves a stray one behind when the process is killed.
    content = save({name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}, metadata)
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def remove_abandoned(path: str | os.PathLike[str]) -> None:
    """Remove what a process that was killed while it wrote ``path`` left beside it."""
    target = Path(path)
    for stray in target.parent.glob(f".{glob.escape(target.stem)}-*{glob.escape(target.suffix)}"):
        stray.unlink(missing_ok=True)


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Wait until no other process holds ``lock``. The system frees it when its holder ends, however that ends."""
    with lock.open("a+b") as file:
        if sys.platform == "win32":
            import msvcrt

            while True:
                try:
                    msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)  # gives up after ten seconds
                    break
                except OSError:
                    continue
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield
