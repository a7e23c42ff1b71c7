"""Writing files so that a crash, a full disk or Ctrl-C never leaves half of one under its real name."""

from __future__ import annotations

import csv
import errno
import glob
import hashlib
import io
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from kineme.errors import KinemeError
from kineme.text import json_text

_LONGEST = 200  # bytes of a temporary name, before what is added; systems take 255
_LONGEST_SUFFIX = 20


def user_cache_folder() -> Path:
    """The folder that all runs of this user share; ``KINEME_CACHE`` moves it. It may not exist yet."""
    import platformdirs

    return Path(os.environ.get("KINEME_CACHE") or platformdirs.user_cache_dir("kineme", appauthor=False)).expanduser()


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside ``path``; on success it takes ``path``'s place, on error it is removed.

    The temporary name keeps the suffix of ``path``, since encoders choose the container by it.

    Raises:
        KinemeError: the disk is full, the folder cannot be written, or ``path`` is a folder or a device.
    """
    target = Path(path)
    temporary: Path | None = None
    try:
        if target.exists() and not target.is_file():
            raise KinemeError(f"{target}: is a folder or a device; name a file")
        target.parent.mkdir(parents=True, exist_ok=True)
        name = target.with_name(f"{_temporary_stem(target)}-{secrets.token_hex(4)}{_short_suffix(target)}")
        os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))  # less what the user's umask takes
        temporary = name
        yield temporary
        temporary.replace(target)
    except OSError as error:
        raise cannot_write(target, error) from error
    finally:
        if temporary:
            temporary.unlink(missing_ok=True)


def _temporary_stem(target: Path) -> str:
    """How temporary names of a file begin: the file's own name may be as long as a name can be."""
    whole = f".{target.stem}"
    return whole if len(os.fsencode(whole)) <= _LONGEST else f".{hashlib.sha256(os.fsencode(whole)).hexdigest()[:32]}"


def _short_suffix(target: Path) -> str:
    return target.suffix if len(os.fsencode(target.suffix)) <= _LONGEST_SUFFIX else ""


def cannot_write(path: str | os.PathLike[str], error: OSError) -> KinemeError:
    """The one line for an ``OSError`` met while writing ``path``."""
    if error.errno == errno.ENOSPC:
        return KinemeError(f"{path}: the disk is full; free some space or choose another folder{setting_of(path)}")
    return KinemeError(f"{path}: cannot be written ({error.strerror or error}){setting_of(path)}")


def setting_of(path: str | os.PathLike[str] | None) -> str:
    """For files that the user has not named: the variable that moves their folder."""
    if path is None:
        return ""
    folders = {name: os.environ.get(name) for name in ("KINEME_FRAME_CACHE", "KINEME_STRIPS")}
    for name, folder in (folders | {"KINEME_CACHE": str(user_cache_folder())}).items():
        if folder and Path(os.path.abspath(path)).is_relative_to(os.path.abspath(folder)):  # noqa: PTH100
            return f"; {name} sets another folder"
    return ""


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write UTF-8 text through :func:`atomic_write`."""
    with atomic_write(path) as temporary:  # a name that is not UTF-8 gets the escapes that JSON has for it
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")


def write_csv(path: str | os.PathLike[str], columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table with a first line of ``columns`` through :func:`atomic_write`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    write_text(path, text.getvalue())


def write_json(path: str | os.PathLike[str], document: Any) -> None:
    """Write ``document`` as indented JSON through :func:`atomic_write`."""
    write_text(path, json_text(document) + "\n")


def sha256_of(path: str | os.PathLike[str]) -> str:
    """Hash of a file's content, hex."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_tensors(path: str | os.PathLike[str], tensors: dict[str, Any], metadata: dict[str, str]) -> None:
    """Write NumPy arrays and text as a safetensors file through :func:`atomic_write`."""
    import numpy as np
    from safetensors.numpy import save

    # It writes the memory of an array as it lies, so what is transposed must be laid out first; and its own writing to
    # a file leaves a stray one behind when the process is killed.
    content = save({name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}, metadata)
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)


def remove_abandoned(path: str | os.PathLike[str]) -> None:
    """Remove what a process that was killed while it wrote ``path`` left beside it."""
    target = Path(path)
    for stray in target.parent.glob(f"{glob.escape(_temporary_stem(target))}-*{glob.escape(_short_suffix(target))}"):
        stray.unlink(missing_ok=True)


class BusyError(KinemeError):
    """Another process is at work on the same file or folder."""


@contextmanager
def file_lock(
    lock: str | os.PathLike[str], *, busy: str | None = None, target: str | os.PathLike[str] | None = None
) -> Iterator[None]:
    """Hold ``lock``, a file that is made for it, alone. It is free again when its holder ends, however that ends.

    Args:
        lock: beside the guarded file.
        busy: the error where another process holds it; by default, wait.
        target: the guarded file, which errors name; by default ``lock``.

    Raises:
        BusyError: another process holds it, and ``busy`` is given.
        KinemeError: the file cannot be made.
    """
    from filelock import FileLock, Timeout

    held = FileLock(lock, timeout=0 if busy else -1)
    try:
        Path(lock).parent.mkdir(parents=True, exist_ok=True)
        held.acquire()
    except Timeout:
        raise BusyError(busy) from None
    except OSError as error:
        raise cannot_write(target or lock, error) from error
    try:
        yield
    finally:
        if os.name != "nt":  # where it is removed as it is let go
            Path(lock).unlink(missing_ok=True)
        held.release()


def sole_writer(target: str | os.PathLike[str]) -> AbstractContextManager[None]:
    """While the context lasts, no other command writes this file or folder.

    Raises:
        BusyError: another one does.
    """
    target = Path(target)
    busy = f"{target}: another command is writing it; wait for it, or choose another name"
    lock = target.with_name(f"{_temporary_stem(target)}{_short_suffix(target)}.lock")
    return file_lock(lock, busy=busy, target=target)
