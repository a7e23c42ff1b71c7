"""Reads the body of a request to predict: a form whose file goes to disk as it comes, or a link as JSON."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from fastapi import Request
from pydantic import BaseModel, Field
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect

from kineme.serving.places import Place
from kineme.serving.problem import ServiceError
from kineme.text import file_size

_SILENCE_S = 20.0
_SLOWEST_BYTES_S = 1 << 14  # a body that comes slower on average is cut off
_MOST_TEXT = 1 << 16  # of a form's other fields together, or of a JSON document
_LONGEST_NAME = 120
_MOST_FIELDS = 32
_LOOK_EVERY = 1 << 20  # bytes, at the disk


class Link(BaseModel):
    """A video on another server."""

    url: str = Field(examples=["https://example.org/clip.mp4"])
    model: str | None = Field(default=None, examples=["my-model"])


# The body of POST /v1/predict is read as it comes, so it is described by hand.
PREDICT_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["file"],
                "properties": {
                    "file": {"type": "string", "format": "binary", "description": "the video"},
                    "model": {"type": "string", "description": "name of a model; the first one by default"},
                },
            }
        },
        "application/json": {
            "schema": Link.model_json_schema(),
            "example": {"url": "https://example.org/clip.mp4"},
        },
    },
}


@dataclass
class PredictRequest:
    """A request for a prediction.

    Args:
        model: name of the model, or None for the first.
        name: of the file, for people.
        url: where the video is, if it was not sent.
    """

    model: str | None = None
    name: str = "video"
    url: str | None = None


async def parse_request(request: Request, path: Path, most_bytes: int, place: Place) -> PredictRequest:
    """Read the body; a file in it goes to ``path``.

    Args:
        request: whose body is unread.
        path: of a file that is not there yet.
        most_bytes: that the file may have.
        place: counts the received bytes.

    Raises:
        ServiceError: it is too large, too slow, cut off, or not the requested kind.
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > most_bytes + _MOST_TEXT:
        raise _too_large(most_bytes)
    if kind == b"application/json":
        return await _read_json(request, place)
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise ServiceError(415, "unsupported", 'send a form (multipart/form-data) with "file", or JSON with "url"')
    try:
        form = _Form(boundary, path, most_bytes)
    except FormParserError as error:
        raise ServiceError(400, "bad_form", "the form's boundary cannot be used") from error
    try:
        async for block in _blocks(request, place):
            await asyncio.to_thread(form.write, block)
    except FormParserError as error:
        raise ServiceError(400, "bad_form", "the form cannot be read") from error
    finally:
        form.close()
    return form.request()


def display_name(text: str) -> str:
    """A name that somebody sent as it may be shown: its last part, on one line, not too long."""
    last = text.replace("\\", "/").rpartition("/")[2]
    kept = "".join(one if one.isprintable() else " " for one in last)
    return " ".join(kept.split()).lstrip(".")[:_LONGEST_NAME] or "video"


async def _read_json(request: Request, place: Place) -> PredictRequest:
    text = b""
    async for block in _blocks(request, place):
        text += block
        if len(text) > _MOST_TEXT:
            raise ServiceError(413, "too_large", "the document is too long")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ServiceError(400, "bad_json", "the body is no JSON document") from error
    if not isinstance(document, dict) or not isinstance(document.get("url"), str):
        raise ServiceError(422, "invalid", 'url: give the address of a video, as {"url": "https://..."}')
    model = document.get("model")
    if model is not None and not isinstance(model, str):
        raise ServiceError(422, "invalid", "model: must be a name")
    url = document["url"].strip()
    return PredictRequest(model=model, url=url, name=display_name(url.partition("?")[0].rstrip("/")))


async def _blocks(request: Request, place: Place) -> AsyncIterator[bytes]:
    """The body as it comes, unless it comes too slowly."""
    blocks = request.stream()
    while True:
        try:
            block = await asyncio.wait_for(anext(blocks), _SILENCE_S)
        except StopAsyncIteration:
            return
        except TimeoutError as error:
            raise ServiceError(408, "too_slow", f"nothing came for {_SILENCE_S:g} s") from error
        except ClientDisconnect as error:
            raise ServiceError(400, "cut_off", "the connection was lost") from error
        place.count += len(block)
        if time.monotonic() - place.began_s > _SILENCE_S + place.count / _SLOWEST_BYTES_S:
            raise ServiceError(408, "too_slow", "the body comes too slowly")
        yield block


def _too_large(most_bytes: int) -> ServiceError:
    return ServiceError(413, "too_large", f"the video is larger than {file_size(most_bytes)}")


class _Form:
    """A form as it comes: ``file`` goes to disk, ``model`` and ``url`` are kept, all else is passed over."""

    def __init__(self, boundary: bytes, path: Path, most_bytes: int) -> None:
        self._path, self._most, self._count, self._text, self._parts = path, most_bytes, 0, 0, 0
        self._file: BinaryIO | None = None
        self._fields: dict[str, bytearray] = {}
        self._name: str | None = None
        self._header, self._value, self._disposition = bytearray(), bytearray(), b""
        self._field: bytearray | None = None
        self._is_file = self._is_whole = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_begin": self._begin_header,
                "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
                "on_header_end": self._end_header,
                "on_headers_finished": self._begin_content,
                "on_part_data": self._content,
                "on_end": self._end,
            },
        )

    def write(self, block: bytes) -> None:
        """Take the next block of the body."""
        self._parser.write(block)

    def close(self) -> None:
        """Close the file."""
        if self._file:
            self._file.close()

    def request(self) -> PredictRequest:
        """What the form asks for.

        Raises:
            ServiceError: it is cut off, or holds no file or an empty one.
        """
        if not self._is_whole:
            raise ServiceError(400, "cut_off", "the form ends too early")
        try:
            fields = {name: value.decode().strip() for name, value in self._fields.items()}
        except UnicodeDecodeError as error:
            raise ServiceError(400, "bad_form", "the form's fields must be UTF-8") from error
        url = fields.get("url") or None
        if self._file is None and url is None:
            raise ServiceError(422, "invalid", 'file: the form has none; send the video as "file"')
        if self._file is not None and not self._count:
            raise ServiceError(422, "bad_video", f"{self._name}: is empty (0 bytes)")
        name = self._name if self._file is not None else display_name((url or "").partition("?")[0].rstrip("/"))
        return PredictRequest(
            model=fields.get("model") or None,
            name=name or "video",
            url=None if self._file is not None else url,
        )

    def _begin_part(self) -> None:
        self._disposition, self._field, self._is_file = b"", None, False
        self._parts += 1
        if self._parts > _MOST_FIELDS:
            raise ServiceError(413, "too_large", f"the form has more than {_MOST_FIELDS} fields")

    def _begin_header(self) -> None:
        self._header.clear()
        self._value.clear()

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = bytes(self._value)

    def _begin_content(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = options.get(b"name", b"")
        if name == b"file" and self._file is None:
            self._is_file = True
            self._name = display_name(options.get(b"filename", b"").decode(errors="replace"))
            self._file = self._path.open("xb")
        elif name in (b"model", b"url"):
            self._field = self._fields.setdefault(name.decode(), bytearray())

    def _content(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            assert self._file is not None
            if self._count // _LOOK_EVERY != (self._count + end - start) // _LOOK_EVERY:
                self._check_disk()
            self._count += end - start
            if self._count > self._most:
                raise _too_large(self._most)
            self._file.write(data[start:end])
            return
        self._text += end - start
        if self._text > _MOST_TEXT:
            raise ServiceError(413, "too_large", "the form's fields are too long")
        if self._field is not None:
            self._field += data[start:end]

    def _check_disk(self) -> None:
        """Leave room for those who send at the same time, and for the results."""
        if shutil.disk_usage(self._path.parent).free < self._most:
            raise ServiceError(429, "disk_full", "the server's disk is nearly full", retry_after_s=600)

    def _end(self) -> None:
        self._is_whole = True
