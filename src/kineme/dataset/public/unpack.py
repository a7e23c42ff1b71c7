"""Archives of every usual kind, read one member at a time. Nothing is ever written where a member says it should be.

The caller decides where a member goes; links, devices and folders are no members at all. A member that gives more or
fewer bytes than the archive's own list tells, or whose checksum is wrong, is an error.
"""

from __future__ import annotations

import shutil
import stat
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from kineme.errors import KinemeError
from kineme.files import cannot_write

_BLOCK = 1 << 20
_RATIO = 100  # bytes out of each byte in; videos hardly shrink
_AT_LEAST = 1_000_000_000  # however small the archive is

RAR_HINT = "rar archives need a program that unpacks them, best unar (apt install unar, brew install unar) or UnRAR"


@dataclass(frozen=True)
class Member:
    """A regular file inside an archive.

    Args:
        name: as the archive has it, with forward slashes. Not to be trusted.
        size: bytes.
        handle: what the reader of the archive calls it.
    """

    name: str
    size: int
    handle: Any


class Archive:
    """An open archive; made by :func:`open_archive`.

    Args:
        path: the file.
        members: the regular files in it.
        reader: gives a stream of a member's bytes.
    """

    def __init__(self, path: Path, members: list[Member], reader: Callable[[Any], IO[bytes]]) -> None:
        self.path, self.members, self._reader = path, members, reader
        size = sum(member.size for member in members)
        if size > _AT_LEAST + _RATIO * path.stat().st_size:
            raise KinemeError(f"{path}: would unpack to {size / 1e9:,.0f} GB, which cannot be right; it is left alone")

    def read(self, member: Member, most_bytes: int = 10_000_000) -> bytes:
        """The content of a small member."""
        if member.size > most_bytes:
            raise KinemeError(f"{self.path}: {member.name} has {member.size:,} bytes, too many for this kind of file")
        with _damage_as_one_line(self.path), self._reader(member.handle) as source:
            return b"".join(_exactly(self.path, member, source))

    def extract(self, member: Member, target: Path) -> None:
        """Write a member to ``target``, which lies where the caller says."""
        try:
            with target.open("wb") as file, _damage_as_one_line(self.path), self._reader(member.handle) as source:
                for block in _exactly(self.path, member, source):
                    file.write(block)
        except OSError as error:
            raise cannot_write(target, error) from error


def is_archive(path: Path) -> bool:
    """Whether the file begins as an archive does."""
    return _kind(path) is not None


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Open a zip, tar (plain or compressed) or rar archive.

    Raises:
        KinemeError: it is not an archive, is damaged or locked, or a program to read it is missing.
    """
    kind = _kind(path)
    if kind is None:
        raise KinemeError(f"{path}: is not an archive (zip, tar or rar)")
    with _damage_as_one_line(path), _OPENERS[kind](path) as archive:
        yield archive


def rar_tool_is_missing() -> bool:
    """Whether there is no program here that unpacks compressed rar archives."""
    import rarfile

    _use_system_tar(rarfile)
    try:
        rarfile.tool_setup()
    except rarfile.RarCannotExec:
        return True
    return False


def _kind(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            start = file.read(512)
    except OSError as error:
        raise KinemeError(f"{path}: cannot be read ({error.strerror})") from error
    if start.startswith(b"Rar!\x1a\x07"):
        return "rar"
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    if start[257:262] == b"ustar" or start.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00")):
        return "tar"
    return None


@contextmanager
def _zip(path: Path) -> Iterator[Archive]:
    with zipfile.ZipFile(path) as archive:
        files = [info for info in archive.infolist() if not info.is_dir() and _is_plain(info.external_attr >> 16)]
        if any(info.flag_bits & 1 for info in files):
            raise KinemeError(f"{path}: is locked with a password")
        yield Archive(path, [_member(info.filename, info.file_size, info) for info in files], archive.open)


@contextmanager
def _tar(path: Path) -> Iterator[Archive]:
    with tarfile.open(path) as archive:
        members = [_member(info.name, info.size, info) for info in archive if info.isreg()]
        yield Archive(path, members, lambda info: cast("IO[bytes]", archive.extractfile(info)))


@contextmanager
def _rar(path: Path) -> Iterator[Archive]:
    import rarfile

    _use_system_tar(rarfile)
    with rarfile.RarFile(path) as archive:
        if archive.needs_password():
            raise KinemeError(f"{path}: is locked with a password")
        files = [info for info in archive.infolist() if info.is_file()]
        yield Archive(path, [_member(info.filename, info.file_size, info) for info in files], archive.open)


_OPENERS = {"zip": _zip, "tar": _tar, "rar": _rar}


def _member(name: str, size: int, handle: Any) -> Member:
    return Member(name.replace("\\", "/"), size, handle)


def _is_plain(mode: int) -> bool:
    """Whether a zip's Unix mode, if any, is that of a regular file."""
    return stat.S_IFMT(mode) in (0, stat.S_IFREG)


def _exactly(path: Path, member: Member, source: IO[bytes]) -> Iterator[bytes]:
    """The blocks of a member, as many bytes as it should have."""
    count = 0
    while block := source.read(_BLOCK):
        count += len(block)
        if count > member.size:
            break
        yield block
    if count != member.size:
        raise KinemeError(f"{path}: is damaged ({member.name} does not have {member.size:,} bytes)")


@contextmanager
def _damage_as_one_line(path: Path) -> Iterator[None]:
    """The errors of the readers as one line."""
    import rarfile

    try:
        yield
    except rarfile.RarCannotExec as error:
        raise KinemeError(f"{path}: {RAR_HINT}; then run the same command again") from error
    except rarfile.Error as error:
        raise KinemeError(f"{path}: is damaged ({_short(error)}), or beyond the program here; {RAR_HINT}") from error
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, NotImplementedError) as error:
        raise KinemeError(f"{path}: is damaged ({_short(error)}); delete it and run the same command again") from error


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _use_system_tar(rarfile: Any) -> None:
    """The tar of macOS and Windows is bsdtar under another name."""
    rarfile.BSDTAR_TOOL = _bsdtar() or "bsdtar"


def _bsdtar() -> str | None:
    return shutil.which("bsdtar") or (shutil.which("tar") if sys.platform in ("darwin", "win32") else None)
