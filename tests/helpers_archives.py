"""Archives for tests, rar among them: nothing free can make one, but members that are merely stored are easy to write.

Formats: RAR 4 by its published technote, RAR 5 by https://www.rarlab.com/technote.htm.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path


def write_zip(path: Path, files: Mapping[str, bytes]) -> Path:
    """A zip of stored members."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return path


def write_rar4(path: Path, files: Mapping[str, bytes]) -> Path:
    """A RAR 4 archive, the kind that UCF and HMDB51 come in, of stored members."""

    def block(kind: int, flags: int, body: bytes, content: bytes = b"") -> bytes:
        head = struct.pack("<BHH", kind, flags, 7 + len(body)) + body
        return struct.pack("<H", zlib.crc32(head) & 0xFFFF) + head + content

    blocks = [b"Rar!\x1a\x07\x00", block(0x73, 0, bytes(6))]
    for name, content in files.items():
        raw = name.replace("/", "\\").encode()
        unix, stored, crc = 3, 0x30, zlib.crc32(content)
        sizes = struct.pack("<IIBIIBBHI", *[len(content)] * 2, unix, crc, 0, 20, stored, len(raw), 0o100644)
        blocks.append(block(0x74, 0x8000, sizes + raw, content))
    path.write_bytes(b"".join([*blocks, block(0x7B, 0x4000, b"")]))
    return path


def write_rar5(path: Path, files: Mapping[str, bytes]) -> Path:
    """A RAR 5 archive of stored members."""

    def vint(value: int) -> bytes:
        out = b""
        while value > 0x7F:
            out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
        return out + bytes([value])

    def block(kind: int, fields: bytes, content: bytes | None = None) -> bytes:
        flags = vint(0) if content is None else vint(2) + vint(len(content))
        head = vint(kind) + flags + fields
        head = vint(len(head)) + head
        return struct.pack("<I", zlib.crc32(head)) + head + (content or b"")

    blocks = [b"Rar!\x1a\x07\x01\x00", block(1, vint(0))]
    for name, content in files.items():
        raw, has_crc, unix = name.encode(), 4, 1
        fields = vint(has_crc) + vint(len(content)) + vint(0o100644) + struct.pack("<I", zlib.crc32(content))
        blocks.append(block(2, fields + vint(0) + vint(unix) + vint(len(raw)) + raw, content))
    path.write_bytes(b"".join([*blocks, block(5, vint(0))]))
    return path
